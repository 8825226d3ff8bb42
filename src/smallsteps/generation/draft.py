"""A chain while a student writes it, and the rules by which it ends.

A chain ends with `stop_sign` where a segment carries the task's closing or stop sign, `end` where
the student ended without it, `limit` where segments, tokens or the student's length ran out,
`empty` after two empty segments in a row, and `repetition` where it repeats itself and
`SolveSettings.stop_repetition` is on (Section 4 of the method page)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from smallsteps.records import Kind, Prediction, Problem, Stopped
from smallsteps.tasks.base import STOP_TOKEN, Task


@dataclass(frozen=True)
class GivenPrefix:
    """The part of a chain that is given; the student writes on from there."""

    segments: tuple[tuple[Kind, str], ...] = ()
    """Complete segments, ES and AS in turn from ES on; of whole chains none."""
    begun: str = ""
    """How the next segment, or the whole chain, begins."""


@dataclass
class ChainDraft:
    """One sample of one problem's chain, as far as it is written."""

    problem: Problem
    sample: int
    segments: list[tuple[Kind | None, str]] = field(default_factory=list)
    """(kind, text), stripped; empty segments too."""
    tokens: int = 0
    """Tokens written, ends and markers included."""
    ids: list[int] = field(default_factory=list)
    """Token ids written, over all segments."""
    stopped: Stopped | None = None
    """Why the chain ended; None while it goes on."""
    begun: str = ""
    """How the next segment begins, where that is given (`GivenPrefix`)."""
    enough: Callable[[str], bool] | None = None
    """Given the text so far: whether the chain may end here, with `limit`. None: it goes on."""

    def request_id(self) -> str:
        """Names the next reply of this chain. A sampled reply depends on it, so it must not depend
        on the batch."""
        return f"{self.problem.id}\0{self.sample}\0{len(self.segments)}"

    def text(self, task: Task) -> str:
        """The chain so far, without `<STOP>`."""
        texts = (text.replace(STOP_TOKEN, "").strip() for _, text in self.segments)
        return task.joiner.join(text for text in texts if text)

    def may_end(self, task: Task) -> bool:
        """Whether the text so far is enough."""
        return self.enough is not None and self.enough(self.text(task))

    def next_kind(self) -> Kind:
        """Whose turn it is where ES and AS take turns, ES first."""
        return "AS" if len(self.segments) % 2 else "ES"

    def prefix(self) -> list[tuple[Kind, str]]:
        """The segments as a student reads them. A segment without a kind gets any: a student that
        knows no kinds reads none."""
        return [(kind or "ES", text) for kind, text in self.segments]

    def add(
        self, kind: Kind | None, text: str, task: Task, *, cut: bool, repeated: bool = False
    ) -> None:
        """Appends a segment and decides whether the chain ends with it.

        cut: the segment ran into its limit of tokens; repeated: the chain repeats itself."""
        self.segments.append((kind, text.strip()))
        self.begun = ""
        if task.ends_chain(text.strip(), self.problem):
            self.stopped = "stop_sign"
        elif repeated:
            self.stopped = "repetition"
        elif cut or len(self.segments) >= task.max_segments or self.may_end(task):
            self.stopped = "limit"
        elif len(self.segments) > 1 and not self.segments[-1][1] and not self.segments[-2][1]:
            self.stopped = "empty"

    def prediction(
        self, task: Task, *, author: str, samples: int, lenient: bool, seconds: float
    ) -> Prediction:
        """The finished chain, with the answer that is read off. `samples` of the problem are
        written; only where they are several does the id number this one."""
        assert self.stopped is not None, "the chain is still being written"
        texts = [(kind, text.replace(STOP_TOKEN, "").strip()) for kind, text in self.segments]
        segments = tuple((kind, text) for kind, text in texts if text)
        text = self.text(task)
        name = f"{self.problem.id}/prediction"
        return Prediction(
            id=name if samples == 1 else f"{name}-{self.sample}",
            problem_id=self.problem.id,
            text=text,
            segments=segments,
            answer=task.extract(text, lenient, self.problem),
            stopped=self.stopped,
            tokens=self.tokens,
            seconds=seconds,
            author=author,
        )
