"""The time of scoring rationales in seven aspects by lexical judges, and how well each aspect
recognises damage, by these judges or by a chat model.

    python benchmarks/bench_quality.py [path/to/hotpotqa_cot/gold_context.jsonl] [--rationales 1000]
    python benchmarks/bench_quality.py [FILE] --judge local:smollm2 --rationales 20 --store FILE

On one core, without fluency, which needs a student. Data: bundled two-hop facts (10 sentences of
context) and, if a file is given, its chains. Chains are repeated with a step dropped or swapped
until there are enough, so that no text is scored twice. The table shows AUC for each aspect and
perturbation: bold where the perturbation was made for the aspect, † where the aspect also reacts.

`--judge` names another judge as `smallsteps quality` does. A chat model is asked once for each
aspect of each rationale, spoilt or not, so name few rationales; its replies are kept in `--store`.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import torch

from smallsteps.cli.environment import access
from smallsteps.generation.budget import Budget
from smallsteps.generation.replies import ReplyStore
from smallsteps.quality.open_scorer import open_scorer
from smallsteps.quality.perturb import PERTURBATIONS, garble
from smallsteps.quality.prompted_judge import PromptedJudge
from smallsteps.quality.rated import Rated, References
from smallsteps.quality.scorer import Scorer
from smallsteps.quality.sensitivity import matrix, matrix_table
from smallsteps.quality.settings import LEXICAL, JudgeSettings
from smallsteps.tasks import get_task
from smallsteps.tasks.facts import make_chains
from smallsteps.tasks.files import read_chains


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chains", type=Path, nargs="?")
    parser.add_argument("--rationales", type=int, default=1000)
    parser.add_argument("--judge", default=LEXICAL)
    parser.add_argument("--base-url")
    parser.add_argument("--judge-prompts")
    parser.add_argument("--judge-tokens", type=int, default=64)
    parser.add_argument("--store")
    parser.add_argument("--aspect", action="append", help="of a chat model; default: all")
    parser.add_argument("--perturbation", action="append", help="the same")
    options = parser.parse_args()
    torch.set_num_threads(1)
    sets = {"bundled facts": make_chains(options.rationales, 1)}
    if options.chains is not None:
        sets[options.chains.stem] = read_chains(
            options.chains, get_task("hotpotqa"), allow_wrong=True
        ).chains
    settings = JudgeSettings(
        name=options.judge,
        base_url=options.base_url,
        prompts=options.judge_prompts,
        max_new_tokens=options.judge_tokens,
        store=options.store,
    )
    if settings.is_chat:
        for name, chains in sets.items():
            items = [Rated.of(chain.problem, chain.rationale.text) for chain in chains]
            with closing(ReplyStore(settings.store_path)) as store:
                scorer = open_scorer(settings, LEXICAL, Budget(store, "bench"), access(), say=print)
                scorer.aspects = options.aspect
                names = options.perturbation or tuple(PERTURBATIONS)
                measure_chat(name, items[: options.rationales], scorer, names)
        return
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


def measure_chat(
    name: str, items: Sequence[Rated], scorer: Scorer, perturbations: Sequence[str]
) -> None:
    """Prints the table of a chat model that judges, paired: each rationale against its own spoilt
    forms, since few are rated."""
    judge = scorer.prompted
    if not isinstance(judge, PromptedJudge):
        raise SystemExit("no chat model judges")
    began = time.perf_counter()
    measured = matrix(items, scorer, paired=True, names=perturbations)
    print(
        f"{name}, judge {judge.name}: {len(items):,} rationales, {judge.asked.total():,} ratings "
        f"in {time.perf_counter() - began:.0f} s, not readable: {judge.unread.total():,}"
    )
    print(matrix_table({aspect: measured[aspect] for aspect in scorer.prompted_aspects}))
    qualities = scorer.score(items)
    for aspect in scorer.prompted_aspects:
        scores = Counter(quality[aspect] for quality in qualities)
        print(f"{aspect}, scores of the rationales as they are: {dict(scores.most_common())}")


if __name__ == "__main__":
    main()
