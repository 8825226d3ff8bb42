"""The price of the triplet loss: anchor tokens per second of `fit` with every item usable, beside `fit` without it.

    python benchmarks/bench_contrast.py path/to/gsm8k_cot_llama3_70b/train.jsonl [--rounds 3] [--kinds triplet,dpo] [--students causal]

GSM8K chains; as the other right rationale and as the wrong one stand chains of other questions, of like length on
average. Updates of 16, fp32, two threads; gradients through all three. An encoder-decoder of Flan-T5-small's shape
with random weights, and a small causal model. Both arms of a round train the same anchors in the same updates; a
ratio is the median of the rounds' ratios, with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

import torch
from bench_training import TASK, flan_t5_small, small_causal

from smallsteps.records import Example
from smallsteps.segments.examples import build_examples
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.files import read_chains
from smallsteps.training.contrast import Contrast
from smallsteps.training.fit import fit
from smallsteps.training.settings import TrainSettings


def anchors_per_second(
    student: Student, examples: list[Example], contrasts: dict[str, Contrast], kind: str, tokens: int
) -> tuple[float, float]:
    """(anchor tokens per second, share of usable items) of one pass; a token of question or anchor counts once."""
    settings = TrainSettings(
        passes=1, learning_rate=1e-5, update_examples=16, evaluations=1, micro_batch_tokens=tokens,
        contrast=kind, source_limit=None, target_limit=None, overlong="drop", early_stop="drop",
    )  # type: ignore[arg-type]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        result = fit(student, examples, [], settings, Path(folder) / "run", task=TASK, contrasts=contrasts)
    usable = [row.get("usable") or 0.0 for row in result.curves]
    return result.train_tokens / result.seconds, sum(usable) / len(usable)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chains", type=Path)
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kinds", default="triplet")
    parser.add_argument("--students", default="encoder-decoder,causal")
    parser.add_argument("--micro-batch-tokens", type=int, default=TrainSettings(passes=1).micro_batch_tokens)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    chains = read_chains(options.chains, TASK).chains
    texts = [f"{c.problem.question} {c.rationale.text}" for c in chains]
    examples = build_examples(chains[: options.items], [], TASK, "direct")
    others = [((None, chain.rationale.text),) for chain in chains[options.items : 3 * options.items]]
    contrasts = {
        example.id: Contrast(example.question, (others[2 * n],), (others[2 * n + 1],))
        for n, example in enumerate(examples)
    }
    students = {
        "encoder-decoder": (flan_t5_small(texts), 2.0),
        "causal": (prepare(small_causal(texts), TASK, path="direct"), 2.2),
    }
    for name in options.students.split(","):
        student, aim = students[name]
        for kind in options.kinds.split(","):
            ratios = []
            share = 0.0
            for number in range(options.rounds + 1):
                alone, _ = anchors_per_second(student, examples, {}, kind, options.micro_batch_tokens)
                both, share = anchors_per_second(student, examples, contrasts, kind, options.micro_batch_tokens)
                if number:  # the first round loads kernels
                    ratios.append(alone / both)
            wanted = f"(at most {aim})" if kind == "triplet" else ""
            print(
                f"{name}, {kind}: {median(ratios):.2f} times the time of the language-model loss alone "
                f"({min(ratios):.2f} to {max(ratios):.2f}) {wanted}; {100 * share:.0f} % of items usable"
            )


if __name__ == "__main__":
    main()
