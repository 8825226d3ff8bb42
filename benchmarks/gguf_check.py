"""Does a student answer in llama.cpp as it does here?

    python benchmarks/gguf_check.py STUDENT LLAMA_CPP questions.jsonl --out check.json

STUDENT: the folder of a causal student, best an exported one. LLAMA_CPP: a checkout of llama.cpp,
whose `convert_hf_to_gguf.py` converts it in float32. Both engines then write greedily for the first
questions of the file; the prompt is given as text, so that llama.cpp's tokenizer is checked too.
Needs `pip install xllamacpp gguf` (a llama.cpp engine as a wheel).

A segment-wise student writes its whole chain in one reply, as on a plain server: of that reply the
part up to its closing is compared."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from smallsteps.generation.generator import NO_CAP, Decoding
from smallsteps.generation.paths import SolveSettings
from smallsteps.generation.solve import solve
from smallsteps.publishing.servers import check_server, reply_tokens
from smallsteps.students.driving import prompt_frame
from smallsteps.students.loading import load
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_problems


def convert(student: Path, llama_cpp: Path, target: Path) -> None:
    """Writes the GGUF file `target` by llama.cpp's own converter."""
    command = [sys.executable, str(llama_cpp / "convert_hf_to_gguf.py"), str(student)]
    command += ["--outfile", str(target), "--outtype", "f32"]
    paths = os.pathsep.join([str(llama_cpp / "gguf-py"), str(llama_cpp)])
    environment = {**os.environ, "PYTHONPATH": paths}
    subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def open_server(gguf: Path, threads: int) -> Any:
    """llama.cpp's server, in this process."""
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(gguf)
    parameters.n_ctx, parameters.n_parallel = 2048, 1
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
    return xllamacpp.Server(parameters)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("student", type=Path)
    parser.add_argument("llama_cpp", type=Path)
    parser.add_argument("questions", type=Path)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--gguf", type=Path, default=Path("student.gguf"))
    parser.add_argument("--out", type=Path, default=Path("gguf_check.json"))
    options = parser.parse_args()

    student = check_server(load(options.student, device="cpu"), "llama.cpp")
    if student.drive is None:
        raise SystemExit(f"{options.student}: no smallsteps.json")
    task = get_task(student.drive.task)
    problems = read_problems(options.questions, task)[: options.count]
    settings = SolveSettings(batch_size=1)
    ours = {
        prediction.problem_id: prediction
        for prediction in solve(student, problems, task, settings, Decoding(max_new_tokens=NO_CAP))
    }

    if not options.gguf.exists():
        convert(options.student, options.llama_cpp, options.gguf)
    server = open_server(options.gguf, options.threads)
    before, after = prompt_frame(student, task)
    rows = []
    for problem in problems:
        prompt = before + task.render(problem) + after
        body = {
            "prompt": prompt,
            "n_predict": reply_tokens(student, task),
            "temperature": 0,
            "top_k": 1,
            "repeat_penalty": 1.0,
            "cache_prompt": False,
            "return_tokens": True,
        }
        reply = server.handle_completions(body)
        reply = json.loads(reply) if isinstance(reply, (str, bytes)) else reply
        text = reply.get("content") or reply["choices"][0]["text"]
        for marker in ("<es>", "<as>"):
            text = text.replace(marker, " ")
        chain, theirs = " ".join(ours[problem.id].text.split()), " ".join(text.split())
        rows.append(
            {
                "id": problem.id,
                "ours": chain,
                "llama.cpp": theirs,
                "same_chain": theirs == chain or theirs.startswith(chain),
                "same_answer": task.extract(theirs, False, problem) == ours[problem.id].answer,
            }
        )
        print(problem.id, rows[-1]["same_chain"], rows[-1]["same_answer"], ours[problem.id].answer)
    for name in ("same_chain", "same_answer"):
        print(f"{name}: {sum(row[name] for row in rows)} of {len(rows)}")
    options.out.write_text(json.dumps(rows, indent=1, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
