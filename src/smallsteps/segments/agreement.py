"""How far the labels of a strategy agree with people's, and what segments a strategy makes.

The paper (Appendix B) compares labels with people's on the sub-sentences of 100 question-answer
pairs and gives the share that agrees. Ours adds Cohen's kappa (Cohen 1960), since a strategy that
always gives the more common label agrees often by chance. The bootstrap intervals resample whole
chains, since sub-sentences of one chain are not independent."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from smallsteps.errors import DataError, RecipeError
from smallsteps.evaluation.kappa import kappa
from smallsteps.evaluation.significance import RESAMPLES, percentile_interval, resample_sums
from smallsteps.records import KINDS, Chain, Kind, Segment
from smallsteps.segments.label import label_pieces, segment_chains
from smallsteps.segments.split import split
from smallsteps.segments.strategies import (
    ChainFunction,
    Scoring,
    Strategy,
    get_strategy,
    gold_kinds,
)


@dataclass(frozen=True)
class Agreement:
    """Agreement of two labellings of the same sub-sentences, with 95 % intervals over chains."""

    n: int
    """Sub-sentences compared."""
    chains: int
    share: float
    """Per cent (0..100) of sub-sentences with the same label."""
    share_interval: tuple[float, float]
    kappa: float
    """Cohen's kappa, -1..1; 0: no better than chance. 0 too where both labellings know one label
    only."""
    kappa_interval: tuple[float, float]
    abstractive: float
    """Per cent of sub-sentences that the strategy calls AS."""
    gold_abstractive: float
    """Per cent of sub-sentences that are AS in the gold labels."""

    def __str__(self) -> str:
        low, high = self.share_interval
        kappa_low, kappa_high = self.kappa_interval
        return (
            f"agreement = {self.share:.1f} [{low:.1f}, {high:.1f}] | kappa = {self.kappa:.2f} "
            f"[{kappa_low:.2f}, {kappa_high:.2f}] | n:{self.n} | chains:{self.chains}"
        )


@dataclass(frozen=True)
class Shares:
    """What a strategy made of a set of chains."""

    chains: int
    segments: int
    extractive: float
    """Per cent (0..100) of the segments that are ES."""
    abstractive: float
    """Per cent of the segments that are AS."""
    abstractive_characters: float
    """Per cent of the characters that stand in AS segments."""
    segments_per_chain: float
    opens_abstractive: float
    """Per cent of the chains whose first segment is AS."""


class SegmentTally:
    """What is said of segments at the end, counted while chains are cut: 32 bytes a chain with gold
    labels, nothing for other chains."""

    def __init__(self, language: str = "en") -> None:
        self.language = language
        self.chains = self.segments = self.abstractive = self.opening = 0
        self.characters = self.abstractive_characters = 0
        self._tables = array("q")
        """The `_table` of each chain with gold labels, one after the other."""

    def add(self, chain: Chain, segments: Sequence[Segment]) -> None:
        """Counts the segments of one chain. Raises DataError as `gold_kinds`."""
        self.chains += 1
        self.segments += len(segments)
        self.opening += segments[0].kind == "AS"
        for segment in segments:
            self.characters += len(segment.text)
            if segment.kind == "AS":
                self.abstractive += 1
                self.abstractive_characters += len(segment.text)
        if chain.rationale.gold:
            pieces = split(chain.rationale.text, self.language)
            labels, gold = piece_kinds(segments, pieces), gold_kinds(chain, pieces)
            self._tables.extend(_table(labels, gold))

    def shares(self) -> Shares:
        """ES and AS shares and segments per chain. Raises DataError where there are no segments."""
        if not self.segments:
            raise DataError("There are no segments to describe: the input has no chains.")
        return Shares(
            chains=self.chains,
            segments=self.segments,
            extractive=100 - 100 * self.abstractive / self.segments,
            abstractive=100 * self.abstractive / self.segments,
            abstractive_characters=100 * self.abstractive_characters / self.characters,
            segments_per_chain=self.segments / self.chains,
            opens_abstractive=100 * self.opening / self.chains,
        )

    def gold_agreement(self, *, seed: int = 0, resamples: int = RESAMPLES) -> Agreement | None:
        """Agreement with the gold labels of those chains that have them, by sub-sentence; None
        where none has."""
        if not self._tables:
            return None
        tables = np.array(self._tables, dtype=float).reshape(-1, 2, 2)
        return _agreement(tables, seed=seed, resamples=resamples)


def piece_kinds(segments: Sequence[Segment], pieces: Sequence[str]) -> list[Kind]:
    """The label of each sub-sentence of one chain, read off its merged segments: that of its first
    character."""
    kinds: list[Kind] = []
    ends = np.cumsum([len(segment.text) for segment in segments])
    start = 0
    for piece in pieces:
        kinds.append(segments[int(np.searchsorted(ends, start, side="right"))].kind)
        start += len(piece)
    return kinds


def strategy_agreement(
    chains: Sequence[Chain],
    strategy: str | Strategy | ChainFunction,
    scoring: Scoring,
    *,
    beta: float = 1.0,
    whole_segments: bool = False,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Agreement:
    """Agreement of a strategy with the gold labels of those chains that have them.

    whole_segments: the strategy labels each gold segment as it is, for labels of whole sentences;
    else the sub-sentences. Raises DataError where no chain has gold labels, RecipeError for `gold`
    itself and where the student is missing."""
    strategy = get_strategy(strategy)
    if strategy.needs_gold:
        raise RecipeError(
            f"strategy {strategy.name!r} is what the others are compared with: leave it out"
        )
    chains = [chain for chain in chains if chain.rationale.gold]
    if not chains:
        raise DataError(
            'no row has labels to compare with. Give rows "segments": [{"kind": "ES" or "AS", '
            '"text": ...}, ...]; the texts joined are the chain.'
        )
    pieces = [
        [text for _, text in chain.rationale.gold if text.strip()]
        if whole_segments
        else split(chain.rationale.text, scoring.task.language)
        for chain in chains
    ]
    if strategy.as_many_as is not None:  # cuts at equal lengths, which are no sub-sentences
        segments = segment_chains(chains, strategy, task=scoring.task, beta=beta)
        labels = [
            piece_kinds(chain_segments, chain_pieces)
            for chain_segments, chain_pieces in zip(segments, pieces, strict=True)
        ]
    else:
        labels, _ = label_pieces(chains, pieces, strategy, scoring, beta=beta)
    gold = [
        gold_kinds(chain, chain_pieces) for chain, chain_pieces in zip(chains, pieces, strict=True)
    ]
    return compare_kinds(labels, gold, seed=seed, resamples=resamples)


def compare_kinds(
    labels: Sequence[Sequence[Kind]],
    gold: Sequence[Sequence[Kind]],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Agreement:
    """Agreement of labels with gold labels, chain by chain; the bootstrap draws chains.

    Raises DataError where there is nothing to compare or the numbers of labels differ."""
    for index, (chain_labels, chain_gold) in enumerate(zip(labels, gold, strict=True)):
        if len(chain_labels) != len(chain_gold):
            raise DataError(
                f"Chain {index}: {len(chain_labels)} labels beside {len(chain_gold)} gold labels; "
                "expected one each."
            )
    tables = [_table(*pair) for pair in zip(labels, gold, strict=True)]
    return _agreement(
        np.array(tables, dtype=float).reshape(-1, 2, 2), seed=seed, resamples=resamples
    )


def _table(labels: Sequence[Kind], gold: Sequence[Kind]) -> list[int]:
    """How often each pair of labels occurs: (the strategy's, the gold one), AS after ES."""
    pairs = Counter(zip(labels, gold, strict=True))
    return [pairs[label, other] for label in KINDS for other in KINDS]


def _agreement(counts: np.ndarray, *, seed: int, resamples: int) -> Agreement:
    """Agreement of tables (chain x strategy's label x gold label). Raises DataError where they
    count nothing."""
    total = counts.sum(axis=0)
    n = int(total.sum())
    if not n:
        raise DataError("There are no labels to compare: the chains are empty.")
    tables = resample_sums(counts.reshape(len(counts), 4), seed=seed, resamples=resamples).reshape(
        -1, 2, 2
    )
    return Agreement(
        n=n,
        chains=len(counts),
        share=float(_share(total)),
        share_interval=percentile_interval(_share(tables)),
        kappa=float(kappa(total)),
        kappa_interval=percentile_interval(kappa(tables)),
        abstractive=float(100 * total[1].sum() / n),
        gold_abstractive=float(100 * total[:, 1].sum() / n),
    )


def _share(tables: np.ndarray) -> np.ndarray:
    return 100 * np.trace(tables, axis1=-2, axis2=-1) / tables.sum(axis=(-2, -1))
