"""How right chains differ from gold, and how BLEU goes with right and wrong answers.

Xi et al. 2024, Sec. 4.3: segments bring lower BLEU and higher accuracy, because a student finds
ways of its own. Two chains are the same where they differ in case and white space only."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

import numpy as np

from smallsteps.evaluation.metrics import METRICS, Item, Setting
from smallsteps.evaluation.shares import Share, rows_of, share
from smallsteps.evaluation.significance import RESAMPLES, bootstrap


class GradedChain(NamedTuple):
    """What a student wrote for one problem, and whether its answer is right."""

    text: str
    gold: str | None
    """The gold chain; None: the problem has none."""
    right: bool


@dataclass(frozen=True)
class Diversity:
    """How the chains of an arm differ from gold, over all seeds. None: there is nothing to measure
    it on."""

    right: int
    """Right chains whose problem has a gold chain."""
    differing: Share | None
    """Share of them that are not the gold chain."""
    bleu_right: Share | None
    """BLEU of right chains against gold."""
    bleu_wrong: Share | None
    distinct: float | None
    """Mean number of different chains of a problem over the seeds; None: one seed."""


def same_text(text: str) -> str:
    """What of a chain counts where chains are compared.

    >>> same_text("So  3 + 4 = 7.") == same_text("so 3+4 = 7.")
    True
    """
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def diversity(
    chains: Sequence[Sequence[GradedChain]], language: str = "en", resamples: int = RESAMPLES
) -> Diversity:
    """`chains`: (seeds, problems), every seed with the same problems."""
    differs = [
        [
            None
            if chain.gold is None or not chain.right
            else same_text(chain.text) != same_text(chain.gold)
            for chain in by_seed
        ]
        for by_seed in chains
    ]
    differing = share(rows_of(differs), resamples)
    return Diversity(
        right=differing.n if differing else 0,
        differing=differing,
        bleu_right=_bleu(chains, right=True, language=language),
        bleu_wrong=_bleu(chains, right=False, language=language),
        distinct=_distinct(chains) if len(chains) > 1 else None,
    )


def _distinct(chains: Sequence[Sequence[GradedChain]]) -> float:
    """Mean number of different chains of a problem."""
    by_problem = zip(*chains, strict=True)
    return fmean(len({same_text(chain.text) for chain in problem}) for problem in by_problem)


def _bleu(chains: Sequence[Sequence[GradedChain]], *, right: bool, language: str) -> Share | None:
    """Corpus BLEU, with its interval, of the chains whose answers are right, or wrong."""
    metric, setting = METRICS["bleu"], Setting(language)
    counted = [
        [chain.gold is not None and chain.right == right for chain in by_seed] for by_seed in chains
    ]
    n = sum(sum(by_seed) for by_seed in counted)
    if not n:
        return None
    rows = np.array(
        [
            metric.statistics(
                [Item(chain.text, chain.gold or "", 0.0) for chain in by_seed], setting
            )
            for by_seed in chains
        ]
    )
    rows = rows * np.array(counted)[..., None]
    value = float(metric.aggregate(rows.sum(axis=(0, 1))))
    low, high = bootstrap(rows, metric.aggregate)
    return Share(value, low, high, n)
