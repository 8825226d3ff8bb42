"""The segmentation strategies: how each tells extractive (ES) from abstractive (AS) sub-sentences.

A strategy gives each sub-sentence of a chain a label, or a score from which `label.py` makes labels
(Xi et al. 2024, Eq. 1-6). All that the toolkit knows of a strategy stands in its entry in
`STRATEGIES`: which scores mean AS, which student must be trained first, whether the data must bring
labels. The names of arms (`ases-uni-rouge`), recipes and messages are read off this dictionary.

To add a strategy, write a function and add one line to `STRATEGIES`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from smallsteps.errors import DataError, RecipeError, nearest
from smallsteps.records import Chain, Kind
from smallsteps.segments.score import (
    Conditioning,
    Reduce,
    Scores,
    bleu_scores,
    certainty_scores,
    rouge_scores,
)
from smallsteps.tasks.base import Task

if TYPE_CHECKING:
    from smallsteps.students.student import Student

Direction = Literal["high", "low"]
"""Which scores mean AS: `high` ones (uncertainty, Eq. 1-2) or `low` ones (similarity, Eq. 5-6)."""


@dataclass(frozen=True)
class Scoring:
    """What a strategy may use beside the chains."""

    task: Task
    student: Student | None = None
    """Given where `Strategy.scorer` is not `none`."""
    reduce: Reduce = "mean"
    """How the scores of tokens become the score of their sub-sentence."""
    conditioning: Conditioning = "rationale"
    """What a student reads before the sub-sentence that it scores."""
    batch_tokens: int | None = None
    """Padded tokens of one pass of the student; None: what suits the device."""


LabelsOrScores = Sequence[Kind] | Sequence[float | None]
"""Of one chain: a label, or a score, for each sub-sentence. None: nothing could be measured."""
ChainFunction = Callable[[Chain, list[str]], LabelsOrScores]
"""(chain, its sub-sentences) → labels or scores: the simplest strategy (see `per_chain`)."""
StrategyFunction = Callable[
    [Sequence[Chain], Sequence[list[str]], Scoring], Sequence[LabelsOrScores]
]
"""(chains, the sub-sentences of each, what may be used) → labels or scores of each chain. It gets
all chains at once, so that a student can score them in batches."""


@dataclass(frozen=True)
class Strategy:
    """One way to tell ES from AS."""

    name: str
    function: StrategyFunction
    direction: Direction | None = None
    """Which scores mean AS; None: `function` gives labels."""
    scorer: Literal["none", "untrained", "trained"] = "none"
    """The student whose certainty is the score: the one before training, or one trained on whole
    chains."""
    needs_gold: bool = False
    """Whether each chain must bring gold segments. Chains are then cut where people cut them."""
    as_many_as: str | None = None
    """The strategy whose number and kinds of segments this one copies, with cuts at equal lengths
    (`segments.chunks`); None: chains are cut at sub-sentences. `function` is then asked only for
    labels of given pieces."""
    control: bool = False
    """Whether it is a control: its arms show what cuts without meaning do, and never lead."""

    @property
    def needs_student(self) -> bool:
        return self.scorer != "none"

    @property
    def reads_beta(self) -> bool:
        """Whether the threshold decides the segments."""
        return self.direction is not None or self.as_many_as is not None


def per_chain(function: ChainFunction) -> StrategyFunction:
    """A function of one chain and its sub-sentences as a function of all chains.

    >>> last_is_new = per_chain(lambda chain, pieces: [0.0] * (len(pieces) - 1) + [1.0])
    """

    def of_all(
        chains: Sequence[Chain], pieces: Sequence[list[str]], scoring: Scoring
    ) -> list[LabelsOrScores]:
        return [
            function(chain, list(chain_pieces))
            for chain, chain_pieces in zip(chains, pieces, strict=True)
        ]

    return of_all


def alternate(chain: Chain, pieces: Sequence[str]) -> list[Kind]:
    """`inter`: ES, AS, ES, AS, ... in turn."""
    return ["AS" if index % 2 else "ES" for index in range(len(pieces))]


def gold_kinds(chain: Chain, pieces: Sequence[str]) -> list[Kind]:
    """`gold`: the label that most characters of each piece have in `Rationale.gold`.

    Raises DataError where the chain has no gold segments, or they are not its rationale."""
    rationale = chain.rationale
    if not rationale.gold:
        raise DataError(
            f"{rationale.id}: strategy 'gold' needs labelled segments and the record has none. "
            f'Give the row "segments": [{{"kind": "ES" or "AS", "text": ...}}, ...], '
            "or choose another strategy."
        )
    if "".join(text for _, text in rationale.gold) != rationale.text:
        raise DataError(
            f"{rationale.id}: the texts of its gold segments joined are not its rationale, "
            "character for character. White space between two segments belongs to the first."
        )
    kind_of_character: list[Kind] = []
    for kind, text in rationale.gold:
        kind_of_character += [kind] * len(text)
    kinds: list[Kind] = []
    start = 0
    for piece in pieces:
        visible = kind_of_character[start : start + len(piece.rstrip())]
        kinds.append("AS" if 2 * visible.count("AS") > len(visible) else "ES")
        start += len(piece)
    return kinds


def _likeness(
    score: Callable[[str, Sequence[str], str], Scores],
    chains: Sequence[Chain],
    pieces: Sequence[list[str]],
    scoring: Scoring,
) -> list[Scores]:
    """How much each sub-sentence repeats the question."""
    task = scoring.task
    return [
        score(task.render(chain.problem), chain_pieces, task.language)
        for chain, chain_pieces in zip(chains, pieces, strict=True)
    ]


def _certainty(
    quantity: Literal["entropy", "loss"],
    chains: Sequence[Chain],
    pieces: Sequence[list[str]],
    scoring: Scoring,
) -> list[Scores]:
    """How unsure the student is of each sub-sentence. `score_pieces` has checked that it is
    there."""
    assert scoring.student is not None
    return certainty_scores(
        chains,
        pieces,
        scoring.task,
        scoring.student,
        quantity,
        reduce=scoring.reduce,
        conditioning=scoring.conditioning,
        batch_tokens=scoring.batch_tokens,
    )


STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        Strategy("inter", per_chain(alternate)),
        Strategy("ent", partial(_certainty, "entropy"), "high", scorer="trained"),
        Strategy("ent*", partial(_certainty, "entropy"), "high", scorer="untrained"),
        Strategy("loss", partial(_certainty, "loss"), "high", scorer="trained"),
        Strategy("bleu", partial(_likeness, bleu_scores), "low"),
        Strategy("rouge", partial(_likeness, rouge_scores), "low"),
        Strategy("gold", per_chain(gold_kinds), needs_gold=True),
        Strategy("chunks", per_chain(alternate), as_many_as="rouge", control=True),
    )
}
"""Every strategy by its name: the paper's six; `gold`, people's labels; `chunks`, a control."""


def get_strategy(strategy: str | Strategy | ChainFunction) -> Strategy:
    """The strategy of that name. A user's function becomes a strategy whose high scores mean AS.

    Raises RecipeError on an unknown name."""
    if isinstance(strategy, Strategy):
        return strategy
    if not isinstance(strategy, str):
        name = getattr(strategy, "__name__", "a function")
        return Strategy(name, per_chain(strategy), "high")
    if strategy not in STRATEGIES:
        raise RecipeError(
            f"There is no segmentation strategy {strategy!r}.{nearest(strategy, STRATEGIES)}"
        )
    return STRATEGIES[strategy]


def needs_trained_scorer(name: str | None) -> bool:
    """Whether a student must be trained on whole chains before this strategy can score. None, an
    arm without segments, needs none."""
    return name is not None and get_strategy(name).scorer == "trained"


def strategies_for_new_chains() -> list[str]:
    """Names of the strategies that can cut any chain at once: without a student and without gold
    labels."""
    return [
        strategy.name
        for strategy in STRATEGIES.values()
        if not strategy.needs_student and not strategy.needs_gold and not strategy.control
    ]
