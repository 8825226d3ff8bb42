"""Sub-sentences → extractive (ES) and abstractive (AS) segments.

Last steps of segmentation (Xi et al. 2024, Eq. 1-2 and 5-6): compare each sub-sentence's score with
beta times the mean over the sub-sentences of the same chain, then merge neighbours that got the
same label. `inter` only takes turns, so it has no beta and nothing to merge; `gold` takes the
labels that came with the data.

To add a strategy, write a function `(chain, sub-sentences) -> labels or scores` and give it, or a
`Strategy` that says in which direction its scores point, to `segment_chains`; or add a line to
`STRATEGIES`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from smallsteps.errors import DataError, RecipeError, nearest
from smallsteps.records import Chain, Kind, Segment
from smallsteps.segments.score import (
    Conditioning,
    Reduce,
    Scores,
    bleu_scores,
    certainty_scores,
    rouge_scores,
)
from smallsteps.segments.split import split
from smallsteps.tasks.base import Task

if TYPE_CHECKING:
    from smallsteps.students.student import Student

OwnFunction = Callable[[Chain, list[str]], Sequence[Kind] | Sequence[float]]
"""A user's strategy: a label, or a score, for each sub-sentence of a chain."""


@dataclass(frozen=True)
class Strategy:
    """One way to tell ES from AS."""

    name: str
    direction: Literal["high", "low"] | None
    """Which scores mean AS: `high` (uncertainty, Eq. 1-2), `low` (similarity, Eq. 5-6); None:
    labels without scores."""
    needs_student: bool = False
    function: OwnFunction | None = None
    """A user's own scores or labels; None for the strategies built in."""


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("inter", None),
        Strategy("ent", "high", needs_student=True),
        Strategy("ent*", "high", needs_student=True),
        Strategy("loss", "high", needs_student=True),
        Strategy("bleu", "low"),
        Strategy("rouge", "low"),
        Strategy("gold", None),
    )
}


def get_strategy(strategy: str | Strategy | OwnFunction) -> Strategy:
    """The strategy of that name; a user's function becomes one whose high scores mean AS. Raises
    RecipeError."""
    if isinstance(strategy, Strategy):
        return strategy
    if not isinstance(strategy, str):
        return Strategy(getattr(strategy, "__name__", "own"), "high", function=strategy)
    if strategy not in STRATEGIES:
        raise RecipeError(
            f"There is no segmentation strategy {strategy!r}.{nearest(strategy, STRATEGIES)}"
        )
    return STRATEGIES[strategy]


def segment_chains(
    chains: Sequence[Chain],
    strategy: str | Strategy | OwnFunction,
    *,
    task: Task,
    beta: float = 1.0,  # Fig. 3: best at about 1; the authors' script uses 1.4
    student: Student | None = None,
    reduce: Reduce = "mean",
    conditioning: Conditioning = "rationale",
    batch_tokens: int | None = None,
) -> list[list[Segment]]:
    """The segments of each chain; their texts joined are the rationale, character for character.

    Raises DataError where a rationale is empty or `gold` labels are missing, RecipeError where the
    strategy is unknown or its student is missing."""
    strategy = get_strategy(strategy)
    if strategy.name == "gold":  # people's segments need not end at punctuation
        pieces = [[text for _, text in chain.rationale.gold if text.strip()] for chain in chains]
        pieces = [
            own or split(chain.rationale.text, task.language)
            for chain, own in zip(chains, pieces, strict=True)
        ]
    else:
        pieces = [split(chain.rationale.text, task.language) for chain in chains]
    kinds, scores = label_pieces(
        chains,
        pieces,
        strategy,
        task=task,
        beta=beta,
        student=student,
        reduce=reduce,
        conditioning=conditioning,
        batch_tokens=batch_tokens,
    )
    rows = zip(chains, pieces, kinds, scores, strict=True)
    return [merge(chain, own, labels, values) for chain, own, labels, values in rows]


def label_pieces(
    chains: Sequence[Chain],
    pieces: Sequence[list[str]],
    strategy: str | Strategy | OwnFunction,
    *,
    task: Task,
    beta: float = 1.0,
    student: Student | None = None,
    reduce: Reduce = "mean",
    conditioning: Conditioning = "rationale",
    batch_tokens: int | None = None,
) -> tuple[list[list[Kind]], list[Scores]]:
    """Labels and scores of given pieces of each chain: sub-sentences as a rule, whole sentences in
    agreement studies.

    Scores are all None where the strategy has none. Raises as `segment_chains`.
    """
    strategy = get_strategy(strategy)
    for chain, own in zip(chains, pieces, strict=True):
        if not "".join(own).strip():
            raise DataError(
                f"{chain.rationale.id}: the rationale is empty. Give it a text or leave the record out."
            )
    if strategy.direction is None and strategy.function is None:
        label = gold_kinds if strategy.name == "gold" else alternate
        return [label(chain, own) for chain, own in zip(chains, pieces, strict=True)], [
            [None] * len(p) for p in pieces
        ]
    if strategy.function is not None:
        rows = [_own(strategy, chain, own) for chain, own in zip(chains, pieces, strict=True)]
        if rows and all(isinstance(value, str) for row in rows for value in row):
            return cast("list[list[Kind]]", rows), [[None] * len(row) for row in rows]
        scores = cast("list[Scores]", rows)
    else:
        scores = score_chains(
            chains,
            pieces,
            strategy,
            task=task,
            student=student,
            reduce=reduce,
            conditioning=conditioning,
            batch_tokens=batch_tokens,
        )
    if strategy.direction is None:
        raise RecipeError(
            f"Strategy {strategy.name!r} gives scores: say whether 'high' or 'low' ones mean AS."
        )
    direction = strategy.direction
    kinds = [label_scores(row, direction, beta) for row in scores]
    for chain, labels in zip(chains, kinds, strict=True):
        if chain.problem.meta.get(
            "normal"
        ):  # a normal region of a report belongs to D_ES at any beta
            labels[:] = ["ES"] * len(labels)
    return kinds, scores


def score_chains(
    chains: Sequence[Chain],
    pieces: Sequence[Sequence[str]],
    strategy: str | Strategy,
    *,
    task: Task,
    student: Student | None = None,
    reduce: Reduce = "mean",
    conditioning: Conditioning = "rationale",
    batch_tokens: int | None = None,
) -> list[Scores]:
    """M(S_i) for every piece of every chain under one of the paper's strategies that score.

    Scores of different students (`folds: k` scores each chain by a student that has not seen it)
    can be put together and handed to `label_scores` and `merge`. Raises RecipeError where the
    strategy has no scores or its student is missing."""
    strategy = get_strategy(strategy)
    if strategy.name in ("bleu", "rouge"):
        score = bleu_scores if strategy.name == "bleu" else rouge_scores
        return [
            score(task.render(chain.problem), own, task.language)
            for chain, own in zip(chains, pieces, strict=True)
        ]
    if not strategy.needs_student:
        raise RecipeError(
            f"Strategy {strategy.name!r} has no scores; it labels sub-sentences by itself."
        )
    if student is None:
        which = (
            "the student before fine-tuning"
            if strategy.name == "ent*"
            else "a student trained on whole chains"
        )
        raise RecipeError(
            f"Strategy {strategy.name!r} reads {which}, and none was given. Name its folder (--student DIR), or choose "
            f"a strategy without a model: inter, bleu, rouge."
        )
    return certainty_scores(
        chains,
        pieces,
        task,
        student,
        "loss" if strategy.name == "loss" else "entropy",
        reduce=reduce,
        conditioning=conditioning,
        batch_tokens=batch_tokens,
    )


def label_scores(
    scores: Scores, direction: Literal["high", "low"], beta: float = 1.0
) -> list[Kind]:
    """Eq. 1-2 (`high`: AS if M(S_i) > beta * mean) or Eq. 5-6 (`low`: AS if M(S_i) < beta * mean);
    otherwise ES.

    A sub-sentence without a score counts in no mean and goes with its neighbour before it, else the
    one after it. Scores that differ from the threshold by rounding only are ES.

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


def _compare(
    score: float | None, threshold: float, direction: Literal["high", "low"]
) -> Kind | None:
    if score is None:
        return None
    if math.isclose(score, threshold, rel_tol=1e-9):
        return "ES"
    return "AS" if (score > threshold) == (direction == "high") else "ES"


def alternate(chain: Chain, pieces: Sequence[str]) -> list[Kind]:
    """`inter`: ES, AS, ES, AS, ... in turn."""
    return ["AS" if index % 2 else "ES" for index in range(len(pieces))]


def gold_kinds(chain: Chain, pieces: Sequence[str]) -> list[Kind]:
    """`gold`: the label that most characters of each piece have in `Rationale.gold`. Raises
    DataError without one."""
    rationale = chain.rationale
    if not rationale.gold:
        raise DataError(
            f"{rationale.id}: strategy 'gold' needs labelled segments and the record has none. Give the row "
            f'"segments": [{{"kind": "ES" or "AS", "text": ...}}, ...], or choose another strategy.'
        )
    if "".join(text for _, text in rationale.gold) != rationale.text:
        raise DataError(
            f"{rationale.id}: the texts of its gold segments joined are not its rationale, character for character. "
            f"White space between two segments belongs to the one before it."
        )
    abstractive = "".join(
        ("1" if kind == "AS" else "0") * len(text) for kind, text in rationale.gold
    )
    kinds: list[Kind] = []
    start = 0
    for piece in pieces:
        own = abstractive[start : start + len(piece.rstrip())]
        kinds.append("AS" if 2 * own.count("1") > len(own) else "ES")
        start += len(piece)
    return kinds


def merge(
    chain: Chain, pieces: Sequence[str], kinds: Sequence[Kind], scores: Scores
) -> list[Segment]:
    """Neighbours with the same label become one segment, whose score is the mean of those its
    sub-sentences have."""
    segments: list[Segment] = []
    start = 0
    while start < len(pieces):
        end = start
        while end < len(pieces) and kinds[end] == kinds[start]:
            end += 1
        own = [score for score in scores[start:end] if score is not None]
        segments.append(
            Segment(
                id=f"{chain.rationale.id}/{len(segments)}",
                rationale_id=chain.rationale.id,
                kind=kinds[start],
                text="".join(pieces[start:end]),
                score=math.fsum(own) / len(own) if own else None,
            )
        )
        start = end
    return segments


def _own(strategy: Strategy, chain: Chain, pieces: list[str]) -> list[Any]:
    """What a user's function says about one chain, checked."""
    assert strategy.function is not None
    values = list(strategy.function(chain, list(pieces)))
    where = f"{chain.rationale.id}: strategy {strategy.name!r}"
    if len(values) != len(pieces):
        raise RecipeError(
            f"{where} returned {len(values)} values for {len(pieces)} sub-sentences; return one each."
        )
    if all(value in ("ES", "AS") for value in values if isinstance(value, str)) and (
        all(isinstance(value, str) for value in values)
        or all(not isinstance(value, str) and math.isfinite(value) for value in values)
    ):
        return values
    raise RecipeError(
        f"{where} returned {values}; expected labels 'ES' and 'AS', or finite numbers, not both."
    )
