"""The six records that the stages hand to each other.

    Problem → Rationale → Segment → Example → (fit) → Prediction → Grade

A record is frozen, is written as one JSON line, and has an id and the id of the record it was made
from. Parts of the toolkit exchange these records and nothing else. A record that is written and
read again equals itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, NamedTuple, Self, get_args

from smallsteps.errors import DataError, nearest

Kind = Literal["ES", "AS"]
"""ES: an extractive segment repeats what the text above it says. AS: an abstractive segment infers
something new."""
KINDS: tuple[Kind, ...] = get_args(Kind)

Stopped = Literal["stop_sign", "end", "limit", "empty", "repetition"]
"""How a chain ended: with its stop sign; with the end of sequence, but no stop sign; at a limit;
with two empty segments in a row; or because it repeated itself."""


@dataclass(frozen=True, slots=True)
class Record:
    """Base of all records: exact conversion to and from one JSON object."""

    def to_row(self) -> dict[str, Any]:
        """The record as a JSON object, without fields that have their default value."""
        row: dict[str, Any] = {}
        for column in fields(self):
            value = getattr(self, column.name)
            default = column.default
            if column.default_factory is not MISSING:
                default = column.default_factory()
            if default is MISSING or value != default:
                row[column.name] = _plain(value)
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """The record that `to_row` wrote. Raises DataError on an unknown or missing field."""
        known = {column.name for column in fields(cls)}
        for name in row:
            if name not in known:
                raise DataError(f"{cls.__name__} has no field {name!r}.{nearest(name, known)}")
        try:
            return cls(**{name: _frozen(value) for name, value in row.items()})
        except TypeError as error:
            raise DataError(f"{cls.__name__}: {error}") from None


def _plain(value: Any) -> Any:
    """A value as JSON has it: tuples become lists."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _frozen(value: Any) -> Any:
    """A JSON value as a record has it: lists become tuples."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class Problem(Record):
    """A question, with its gold answer if that is known."""

    id: str
    question: str
    answer: str | None = None
    choices: tuple[str, ...] = ()
    """Multiple choice only: the texts of the options."""
    context: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Multi-hop only: (title, sentences) for each paragraph."""
    group: str | None = None
    """What the problem was taken from, such as a report. Splits keep a group together. None: the
    problem belongs to no group."""
    meta: Mapping[str, Any] = field(default_factory=dict)
    """Further JSON values that a task needs: gold regions of a report, difficulty, equation."""


@dataclass(frozen=True, slots=True)
class Rationale(Record):
    """A chain of thought for one problem. `text` includes the closing sentence with the answer."""

    id: str
    problem_id: str
    text: str
    author: str = "data"
    """`data`, or the name of the teacher or student that wrote it."""
    correct: bool | None = None
    """Whether its final answer equals the gold answer. None: unknown."""
    gold: tuple[tuple[Kind, str], ...] = ()
    """Gold segments, if the data has them: (kind, text). The texts joined are `text`."""


@dataclass(frozen=True, slots=True)
class Segment(Record):
    """Neighbouring sub-sentences with the same label. Joined, segments are their rationale."""

    id: str
    rationale_id: str
    kind: Kind
    text: str
    """Includes the white space after it."""
    score: float | None = None
    """Mean score of its sub-sentences. None: the strategy has no scores (`inter`, `gold`)."""


@dataclass(frozen=True, slots=True)
class Example(Record):
    """A training example: the student reads the question and `prefix`, and learns to write
    `target`."""

    id: str
    problem_id: str
    question: str
    """The text that `task.render` makes of the problem."""
    prefix: tuple[tuple[Kind, str], ...]
    """The earlier segments (kind, text), stripped. Empty for a whole chain and a first segment."""
    target: str
    """Stripped. May be empty: for the ES student, where a chain begins with an AS segment."""
    kind: Kind | None = None
    """The kind of the target segment. None: the target is a whole chain."""
    cue: Kind | None = None
    """With the setting `cue: kind` only: the marker at the end of the input."""
    last: bool = False
    """Whether the target ends the chain."""


@dataclass(frozen=True, slots=True)
class Prediction(Record):
    """What a student, teacher or reader wrote for one problem."""

    id: str
    problem_id: str
    text: str
    """The segments stripped and joined by the task's joiner."""
    segments: tuple[tuple[Kind | None, str], ...]
    answer: str | None
    """The answer read off `text`. None: there is none. None never equals a gold answer."""
    stopped: Stopped
    tokens: int = 0
    """Number of tokens written, including the ends of segments."""
    seconds: float = 0.0
    """Seconds of the whole batch (`Stopwatch`), divided by its number of problems."""
    author: str = "student"


@dataclass(frozen=True, slots=True)
class Grade(Record):
    """The score of one prediction."""

    id: str
    prediction_id: str
    value: float
    """The task's score of this item, from 0 to 1 (accuracy: 0 or 1)."""
    answer: str | None
    gold: str | None
    parsed: bool
    """Whether the prediction has a readable answer."""


class Chain(NamedTuple):
    """A problem with one rationale: one line of a data file."""

    problem: Problem
    rationale: Rationale
