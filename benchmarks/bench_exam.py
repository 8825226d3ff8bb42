"""The speed of an exam: our engine beside `model.generate(num_return_sequences=4)`, equal memory.

    python benchmarks/bench_exam.py [--n 500] [--samples 4] [--student bundled]

Questions of the bundled problems, sampled at temperature 1 from the 50 most probable tokens, fp32,
two threads. The student should end its chains (`--student`: best one trained on these problems).
`generate` gets batches of --batch rows (questions x samples) in file order; our engine has the same
number of rows in its cache. Samples differ between the two, so the tokens of both are counted, and
ratios are given for seconds per chain and per token.
"""

from __future__ import annotations

import argparse

import torch
from measure import add_options, now, record, record_peak
from measure import prepare as prepare_device

from smallsteps.generation.generator import Decoding
from smallsteps.generation.paths import SolveSettings
from smallsteps.generation.solve import solve
from smallsteps.records import Problem
from smallsteps.students.loading import load_student
from smallsteps.students.padding import pad
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.stories import make_chains

TASK = get_task("stories")


@torch.inference_mode()
def generate(
    student: Student, problems: list[Problem], samples: int, batch: int
) -> tuple[float, int]:
    """(seconds, tokens written) of transformers."""
    began, tokens = now(student.device.type), 0
    torch.manual_seed(0)
    each = max(1, batch // samples)
    for start in range(0, len(problems), each):
        sources = [student.source_ids(TASK, TASK.render(p)) for p in problems[start : start + each]]
        ids, mask = pad(sources, fill=student.pad_id)
        ids, mask = ids.to(student.device), mask.to(student.device)
        out = student.model.generate(
            ids,
            attention_mask=mask,
            do_sample=True,
            temperature=1.0,
            top_k=50,
            num_return_sequences=samples,
            max_new_tokens=TASK.max_chain_tokens,
            eos_token_id=student.end_id,
            pad_token_id=student.pad_id,
        )
        for row in out[:, 1:].tolist():
            tokens += row.index(student.end_id) + 1 if student.end_id in row else len(row)
    return now(student.device.type) - began, tokens


def ours(student: Student, problems: list[Problem], samples: int, batch: int) -> tuple[float, int]:
    """(seconds, tokens written) of our engine."""
    began = now(student.device.type)
    solving = SolveSettings(batch_size=batch, samples=samples)
    written = list(
        solve(
            student,
            problems,
            TASK,
            solving,
            Decoding(max_new_tokens=100_000, temperature=1.0, top_k=50),
        )
    )
    return now(student.device.type) - began, sum(prediction.tokens for prediction in written)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--student", default="bundled")
    add_options(parser, rounds=3)
    options = parser.parse_args()
    prepare_device(options)
    student = load_student(options.student, device=options.device)
    if student.drive is None:
        prepare(student, TASK, path="direct")
    student.model.eval()
    problems = [chain.problem for chain in make_chains(options.n, 900, "medium")]
    for run in (generate, ours):
        run(student, problems[:8], options.samples, options.batch)  # first calls load kernels
    chains = options.n * options.samples
    ratios: dict[str, list[float]] = {"chain": [], "token": []}
    for _ in range(options.rounds):
        (theirs, their_tokens), (mine, my_tokens) = (
            run(student, problems, options.samples, options.batch) for run in (generate, ours)
        )
        ratios["chain"].append(theirs / mine)
        ratios["token"].append((theirs / their_tokens) / (mine / my_tokens))
        print(
            f"generate {theirs / chains:.4f} s per chain of {their_tokens / chains:.1f} tokens, "
            f"ours {mine / chains:.4f} s per chain of {my_tokens / chains:.1f} tokens"
        )
    for unit, values in ratios.items():
        record(f"exam: generate / ours, seconds a {unit}", values, wanted="2")
    record_peak(options.device, "exam")


if __name__ == "__main__":
    main()
