"""Sub-sentences → extractive (ES) and abstractive (AS) segments.

The last steps of segmentation (Xi et al. 2024, Eq. 1-2 and 5-6): compare the score of each
sub-sentence with beta times the mean over the sub-sentences of the same chain, then merge
neighbours that got the same label. Scores and labels come from `strategies.py`. `inter` and `gold`
give labels, so beta does not matter for them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from smallsteps.errors import DataError, RecipeError
from smallsteps.faults import names_faults
from smallsteps.records import Chain, Kind, Segment
from smallsteps.segments.chunks import chunks
from smallsteps.segments.score import Conditioning, Reduce, Scores
from smallsteps.segments.split import split
from smallsteps.segments.strategies import (
    ChainFunction,
    Direction,
    LabelsOrScores,
    Scoring,
    Strategy,
    get_strategy,
    strategies_for_new_chains,
)
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task

if TYPE_CHECKING:
    from smallsteps.students.student import Student


@names_faults
def segment_chains(
    chains: Sequence[Chain],
    strategy: str | Strategy | ChainFunction,
    *,
    task: Task | str,
    beta: float = 1.0,  # Fig. 3: best at about 1; the authors' script uses 1.4
    student: Student | None = None,
    reduce: Reduce = "mean",
    conditioning: Conditioning = "rationale",
    batch_tokens: int | None = None,
) -> list[list[Segment]]:
    """The segments of each chain; their texts joined are the rationale, character for character.

    Raises DataError where a rationale is empty or gold labels are missing, RecipeError where the
    strategy is unknown or its student is missing."""
    strategy, task = get_strategy(strategy), get_task(task)
    if strategy.as_many_as is not None:
        as_many = segment_chains(
            chains,
            strategy.as_many_as,
            task=task,
            beta=beta,
            student=student,
            reduce=reduce,
            conditioning=conditioning,
            batch_tokens=batch_tokens,
        )
        pairs = zip(chains, as_many, strict=True)
        return [chunks(chain, segments, task) for chain, segments in pairs]
    pieces = [_pieces(chain, strategy, task) for chain in chains]
    scoring = Scoring(task, student, reduce, conditioning, batch_tokens)
    kinds, scores = label_pieces(chains, pieces, strategy, scoring, beta=beta)
    rows = zip(chains, pieces, kinds, scores, strict=True)
    return [merge(*row) for row in rows]


def _pieces(chain: Chain, strategy: Strategy, task: Task) -> list[str]:
    """What is labelled: sub-sentences, or people's segments, which need not end at punctuation."""
    if strategy.needs_gold:
        gold = [text for _, text in chain.rationale.gold if text.strip()]
        if gold:
            return gold
    return split(chain.rationale.text, task.language)


def label_pieces(
    chains: Sequence[Chain],
    pieces: Sequence[list[str]],
    strategy: str | Strategy | ChainFunction,
    scoring: Scoring,
    *,
    beta: float = 1.0,
) -> tuple[list[list[Kind]], list[Scores]]:
    """Labels and scores of the given pieces of each chain: sub-sentences as a rule, whole sentences
    in agreement studies. Scores are None where the strategy gives labels.

    Raises as `segment_chains`."""
    strategy = get_strategy(strategy)
    kinds: list[list[Kind]] = []
    scores: list[Scores] = []
    values_of_chains = score_pieces(chains, pieces, strategy, scoring)
    for chain, values in zip(chains, values_of_chains, strict=True):
        if all(isinstance(value, str) for value in values):
            kinds.append(list(cast("Sequence[Kind]", values)))
            scores.append([None] * len(values))
            continue
        chain_scores = list(cast("Scores", values))
        if strategy.direction is None:
            raise RecipeError(
                f"Strategy {strategy.name!r} gives scores: "
                "say whether 'high' or 'low' ones mean AS (direction)."
            )
        scores.append(chain_scores)
        if chain.problem.meta.get("normal"):  # a normal region of a report is in D_ES at any beta
            kinds.append(["ES"] * len(chain_scores))
        else:
            kinds.append(label_scores(chain_scores, strategy.direction, beta))
    return kinds, scores


def score_pieces(
    chains: Sequence[Chain],
    pieces: Sequence[list[str]],
    strategy: Strategy,
    scoring: Scoring,
) -> list[LabelsOrScores]:
    """What the strategy says of each piece of each chain, checked: labels, or scores M(S_i).

    Raises RecipeError where the student is missing or the strategy returns neither labels nor
    scores, DataError where a chain is empty."""
    for chain, chain_pieces in zip(chains, pieces, strict=True):
        if not "".join(chain_pieces).strip():
            raise DataError(
                f"{chain.rationale.id}: the rationale is empty. Give it a text or leave it out."
            )
    check_scorer(strategy, scoring.student)
    values_of_chains = list(strategy.function(chains, pieces, scoring))
    for chain, chain_pieces, values in zip(chains, pieces, values_of_chains, strict=True):
        _check(chain, chain_pieces, values, strategy.name)
    return values_of_chains


def check_scorer(strategy: Strategy, student: Student | None) -> None:
    """Raises RecipeError where the strategy needs a student and there is none."""
    if strategy.needs_student and student is None:
        which, option = "the student before fine-tuning", "--untrained-student"
        if strategy.scorer == "trained":
            which, option = "a student trained on whole chains", "--student"
        raise RecipeError(
            f"Strategy {strategy.name!r} reads {which}, and none was given. Name its folder "
            f"({option} DIR), or choose a strategy without a model: "
            f"{', '.join(strategies_for_new_chains())}."
        )


def _check(chain: Chain, pieces: Sequence[str], values: LabelsOrScores, name: str) -> None:
    where = f"{chain.rationale.id}: strategy {name!r}"
    if len(values) != len(pieces):
        raise RecipeError(
            f"{where} returned {len(values)} values for {len(pieces)} sub-sentences; "
            "return one for each."
        )
    labels = [value for value in values if isinstance(value, str)]
    scores = [value for value in values if value is not None and not isinstance(value, str)]
    only_labels = len(labels) == len(values) and set(labels) <= {"ES", "AS"}
    only_scores = not labels and all(math.isfinite(score) for score in scores)
    if not (only_labels or only_scores):
        raise RecipeError(
            f"{where} returned {list(values)}; expected labels 'ES' and 'AS', or finite numbers, "
            "not both."
        )


def label_scores(scores: Scores, direction: Direction, beta: float = 1.0) -> list[Kind]:
    """Eq. 1-2 (`high`: AS if M(S_i) > beta * mean) or Eq. 5-6 (`low`: AS if M(S_i) < beta * mean);
    otherwise ES.

    A sub-sentence without a score counts in no mean. It gets the label of the one before it, else
    of the one after it. Scores that differ from the threshold by rounding only are ES.

    >>> label_scores([0.2, 0.9, 0.3, 0.8, 0.1], "high")
    ['ES', 'AS', 'ES', 'AS', 'ES']
    """
    measured = [score for score in scores if score is not None]
    if not measured:
        return ["ES"] * len(scores)
    threshold = beta * math.fsum(measured) / len(measured)
    kinds: list[Kind | None] = [_compare(score, threshold, direction) for score in scores]
    before = next(kind for kind in kinds if kind is not None)
    filled: list[Kind] = []
    for kind in kinds:
        before = kind or before
        filled.append(before)
    return filled


def _compare(score: float | None, threshold: float, direction: Direction) -> Kind | None:
    if score is None:
        return None
    if math.isclose(score, threshold, rel_tol=1e-9):
        return "ES"
    return "AS" if (score > threshold) == (direction == "high") else "ES"


def merge(
    chain: Chain, pieces: Sequence[str], kinds: Sequence[Kind], scores: Scores
) -> list[Segment]:
    """Segments of one chain: neighbours with the same label become one, whose score is the mean of
    those that its sub-sentences have."""
    segments: list[Segment] = []
    start = 0
    while start < len(pieces):
        end = start
        while end < len(pieces) and kinds[end] == kinds[start]:
            end += 1
        measured = [score for score in scores[start:end] if score is not None]
        segments.append(
            Segment(
                id=f"{chain.rationale.id}/{len(segments)}",
                rationale_id=chain.rationale.id,
                kind=kinds[start],
                text="".join(pieces[start:end]),
                score=math.fsum(measured) / len(measured) if measured else None,
            )
        )
        start = end
    return segments
