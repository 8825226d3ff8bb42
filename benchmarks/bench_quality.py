"""The time of scoring rationales in seven aspects by lexical judges, and how well each aspect
recognises damage.

    python benchmarks/bench_quality.py [path/to/hotpotqa_cot/gold_context.jsonl] [--rationales 1000]

On one core, without fluency, which needs a student. Data: bundled two-hop facts (10 sentences of
context) and, if a file is given, its chains. Chains are repeated with a step dropped or swapped
until there are enough, so that no text is scored twice. The table shows AUC for each aspect and
perturbation: bold where the perturbation was made for the aspect, † where the aspect also reacts.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import replace
from pathlib import Path

import torch

from smallsteps.quality.perturb import garble
from smallsteps.quality.rated import Rated, References
from smallsteps.quality.scorer import Scorer
from smallsteps.quality.sensitivity import matrix, matrix_table
from smallsteps.tasks import get_task
from smallsteps.tasks.facts import make_chains
from smallsteps.tasks.files import read_chains


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chains", type=Path, nargs="?")
    parser.add_argument("--rationales", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = {"bundled facts": make_chains(options.rationales, 1)}
    if options.chains is not None:
        sets[options.chains.stem] = read_chains(
            options.chains, get_task("hotpotqa"), allow_wrong=True
        ).chains
    for name, chains in sets.items():
        rated = [Rated.of(chain.problem, chain.rationale.text) for chain in chains]
        items = [
            item
            if turn == 0
            else replace(item, text=garble(item, item, random.Random(f"{turn}/{n}")) or item.text)
            for turn in range(-(-options.rationales // len(rated)))
            for n, item in enumerate(rated)
        ][: options.rationales]
        scorer = Scorer(references=References.of([item.text for item in rated]))
        began = time.perf_counter()
        scorer.score(items)
        seconds = time.perf_counter() - began
        sentences = sum(len(item.context) for item in items) / len(items)
        print(
            f"{name}: {len(items):,} rationales, {sentences:.0f} sentences of context each: "
            f"{seconds:.2f} s"
        )
        print(matrix_table(matrix(rated[:300], scorer)))


if __name__ == "__main__":
    main()
