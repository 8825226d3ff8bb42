"""Greedy text on the device beside the CPU, in float32: whole chains, segments and causal students.

python benchmarks/gpu/same_text.py [--device cuda] [--n 32]
"""

from __future__ import annotations

import argparse
import copy

from bench_training import small_causal
from measure import add_options, prepare, record, record_peak

from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding, EngineSettings, Request
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.tasks import get_task
from smallsteps.tasks.stories import make_chains

TASK = get_task("stories")


def written(student: Student, questions: list[str], device: str) -> dict[str, tuple[int, ...]]:
    """What a copy of the student on `device` writes for each question."""
    copied = copy.deepcopy(student)
    copied.model.to(device)
    requests = [Request(text, copied.source_ids(TASK, text)) for text in questions]
    engine = open_engine(copied, EngineSettings(batch_size=16))
    return {reply.id: reply.ids for reply in engine.generate(requests, Decoding(max_new_tokens=64))}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--n", type=int, default=32)
    add_options(parser, rounds=1)
    options = parser.parse_args()
    prepare(options)
    chains = make_chains(options.n, 901, "medium")
    questions = list({TASK.render(chain.problem) for chain in chains})
    students = {
        "bundled T5": load_student("bundled", device="cpu"),
        "causal, random weights": small_causal([f"{text} 1 2 3" for text in questions]),
    }
    for name, student in students.items():
        here, there = (written(student, questions, device) for device in ("cpu", options.device))
        same = sum(here[text] == there[text] for text in questions)
        record(
            f"same greedy text on CPU and {options.device}, {name}",
            100 * same / len(questions),
            "%",
            "100",
        )
        record_peak(options.device, f"same text, {name}")


if __name__ == "__main__":
    main()
