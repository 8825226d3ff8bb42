"""The six records that the stages hand to each other.

    Problem → Rationale → Segment → Example → (fit) → Prediction → Grade

Each is frozen, stands for one JSON line, carries its own id and the id of what it came from. Parts
of the toolkit meet through these records and through nothing else. `to_row` leaves out fields that
hold their default, and `from_row` refuses unknown fields, so that a record → JSON → record round
trip is exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, NamedTuple, Self

from smallsteps.errors import DataError, nearest

Kind = Literal["ES", "AS"]
"""ES: an extractive segment restates what is already said; AS: an abstractive segment infers
something new."""

Stopped = Literal["stop_sign", "end", "limit", "empty", "repetition"]
"""How a chain ended: its stop sign, the end of sequence without it, a limit, or two empty segments
in a row."""


@dataclass(frozen=True, slots=True)
class Record:
    """What all records share: exact conversion to and from one JSON object."""

    def to_row(self) -> dict[str, Any]:
        """The record as a JSON object; fields that hold their default are left out."""
        row: dict[str, Any] = {}
        for f in fields(self):
            value = getattr(self, f.name)
            default = f.default_factory() if f.default_factory is not MISSING else f.default
            if default is MISSING or value != default:
                row[f.name] = _plain(value)
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The record back from `to_row`. Raises DataError on an unknown or missing field."""
        known = {f.name for f in fields(cls)}
        for name in row:
            if name not in known:
                raise DataError(f"{cls.__name__} has no field {name!r}.{nearest(name, known)}")
        try:
            return cls(**{name: _frozen(value) for name, value in row.items()})
        except TypeError as error:
            raise DataError(f"{cls.__name__}: {error}") from None


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return dict(value) if isinstance(value, Mapping) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Problem(Record):
    """A question, and its gold answer where one is known."""

    id: str
    question: str
    answer: str | None = None
    choices: tuple[str, ...] = ()
    """Multiple choice only: the texts of the options."""
    context: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Multi-hop only: (title, sentences) for each paragraph."""
    group: str | None = None
    """What the problem was cut from (a report, say); splits keep a group together. None: the
    problem stands alone."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Further facts a task needs (gold regions of a report, difficulty, equation); plain JSON
    values."""


@dataclass(frozen=True, slots=True)
class Rationale(Record):
    """A chain of thought for one problem: `text` includes its closing sentence."""

    id: str
    problem_id: str
    text: str
    author: str = "data"
    """Who wrote it: `data`, or the name of a teacher or student."""
    correct: bool | None = None
    """Whether its own final answer equals the gold answer; None: unknown."""
    gold: tuple[tuple[Kind, str], ...] = ()
    """Gold segments where the data has them: (kind, text) whose texts joined are `text`."""


@dataclass(frozen=True, slots=True)
class Segment(Record):
    """A run of neighbouring sub-sentences with one label; the texts of a chain's segments joined
    are the chain."""

    id: str
    rationale_id: str
    kind: Kind
    text: str
    """With the white space that follows it."""
    score: float | None = None
    """Mean score of its sub-sentences; None where the strategy has none (`inter`, `gold`)."""


@dataclass(frozen=True, slots=True)
class Example(Record):
    """One thing to learn: write `target` after reading the question and `prefix`. Rendered to ids
    by the student."""

    id: str
    problem_id: str
    question: str
    """As the task renders it (`task.render`)."""
    prefix: tuple[tuple[Kind, str], ...]
    """The earlier segments, each stripped; empty for a whole chain and for a first segment."""
    target: str
    """Stripped; may be empty (a chain that opens with AS, for the ES model)."""
    kind: Kind | None = None
    """The kind of the target segment; None: a whole chain (direct)."""
    cue: Kind | None = None
    """`cue: kind` only: the marker that closes the input."""
    last: bool = False
    """Whether the target ends the chain."""


@dataclass(frozen=True, slots=True)
class Prediction(Record):
    """What a student wrote for one problem."""

    id: str
    problem_id: str
    text: str
    """The segments stripped and joined by the task's joiner."""
    segments: tuple[tuple[Kind | None, str], ...]
    answer: str | None
    """None: nothing could be read off. No answer is a value of its own and never equals a gold
    answer."""
    stopped: Stopped
    tokens: int = 0
    """Tokens written, ends of segments included."""
    seconds: float = 0.0
    """Wall-clock seconds of the whole batch divided by its problems."""
    author: str = "student"


@dataclass(frozen=True, slots=True)
class Grade(Record):
    """The verdict on one prediction."""

    id: str
    prediction_id: str
    value: float
    """The task's score of this item between 0 and 1 (accuracy: 0 or 1)."""
    answer: str | None
    gold: str | None
    parsed: bool
    """Whether an answer could be read off the prediction."""


class Chain(NamedTuple):
    """A problem with one rationale: what data files hold line by line."""

    problem: Problem
    rationale: Rationale
