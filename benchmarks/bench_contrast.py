"""The cost of the triplet loss: anchor tokens per second of `fit` with it and without it.

    python benchmarks/bench_contrast.py path/to/gsm8k_cot_llama3_70b/train.jsonl
        [--rounds 3] [--kinds triplet,dpo] [--students causal]

Every item is usable: chains of other questions, of similar length on average, serve as the other
right rationale and as the wrong one. Updates of 16 examples, fp32, two threads, gradients through
all three texts. Students: an encoder-decoder of Flan-T5-small's shape with random weights, and a
small causal model. In each round both arms train on the same anchors in the same updates. The ratio
is the median over rounds, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from bench_training import TASK, flan_t5_small, small_causal
from measure import add_options, record, record_peak
from measure import prepare as prepare_device

from smallsteps.records import Example
from smallsteps.segments.examples import build_examples
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.files import read_chains
from smallsteps.training.contrast import Contrast
from smallsteps.training.fit import fit
from smallsteps.training.settings import NO_PROMPT_LOSS, TrainSettings


def anchors_per_second(
    student: Student,
    examples: list[Example],
    contrasts: dict[str, Contrast],
    kind: str,
    options: argparse.Namespace,
) -> tuple[float, float]:
    """(anchor tokens per second, share of usable items) of one pass; a token of question or anchor
    counts once."""
    settings = TrainSettings(
        passes=1,
        learning_rate=1e-5,
        update_examples=16,
        evaluations=1,
        micro_batch_tokens=options.micro_batch_tokens,
        dtype=options.dtype,
        source_limit=None,
        target_limit=None,
        overlong="drop",
        early_stop="drop",
    )
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            student,
            examples,
            [],
            settings,
            Path(folder) / "run",
            task=TASK,
            contrasts=contrasts,
            contrast_settings=NO_PROMPT_LOSS.changed(contrast=kind),
        )
    usable = [row.get("usable") or 0.0 for row in result.curves]
    return result.train_tokens / result.seconds, sum(usable) / len(usable)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chains", type=Path)
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--kinds", default="triplet")
    parser.add_argument("--students", default="encoder-decoder,causal")
    parser.add_argument(
        "--micro-batch-tokens", type=int, default=TrainSettings().micro_batch_tokens
    )
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    add_options(parser, rounds=3)
    options = parser.parse_args()
    prepare_device(options)

    chains = read_chains(options.chains, TASK).chains
    texts = [f"{c.problem.question} {c.rationale.text}" for c in chains]
    examples = build_examples(chains[: options.items], [], TASK, "direct")
    others = [
        ((None, chain.rationale.text),) for chain in chains[options.items : 3 * options.items]
    ]
    contrasts = {
        example.id: Contrast(example.question, (others[2 * n],), (others[2 * n + 1],))
        for n, example in enumerate(examples)
    }
    students = {
        "encoder-decoder": (flan_t5_small(texts), 2.0),
        "causal": (prepare(small_causal(texts), TASK, path="direct"), 2.2),
    }
    for name in options.students.split(","):
        student, wanted = students[name]
        student.model.to(options.device)
        for kind in options.kinds.split(","):
            ratios = []
            share = 0.0
            for number in range(options.rounds + 1):
                alone, _ = anchors_per_second(student, examples, {}, kind, options)
                both, share = anchors_per_second(student, examples, contrasts, kind, options)
                if number:  # the first round loads kernels
                    ratios.append(alone / both)
            most = f"at most {wanted}" if kind == "triplet" else ""
            record(f"{name}, {kind} / language-model loss alone, seconds", ratios, wanted=most)
            record(f"{name}, {kind}: usable items", 100 * share, "%")
            record_peak(options.device, f"{name}, {kind}")


if __name__ == "__main__":
    main()
