"""From problems to predictions: a chain written whole, or segment by segment (AS-ES, Algorithms 1
and 2).

    direct   one reply, from question to end
    uni      one student writes segments until one carries the stop sign; each sees the question and all segments before
    it dual     the ES and the AS student take turns (Alg. 1 line 10 prints `ESM_output` where `ASM_output` is meant)

A segment that ends is followed at once by the next request, with the longer prefix; chains never
wait for each other. Causal students go on from their caches: uni-path is one row from question to
end in which the student writes the markers itself; dual-path keeps one cache for each half, which
also reads what the other wrote.

How a chain ends (Section 4 of the method page): `stop_sign` where a segment carries it, `end` where
the student ended without it, `limit` where segments, tokens or the student's length ran out,
`empty` after two empty segments in a row, `repetition` where the chain ran in a circle and
`Solving.stop_repetition` is on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from smallsteps.errors import DataError, StudentError
from smallsteps.generation.engine import LocalEngine, Session
from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.generation.repetition import loops, repeats
from smallsteps.records import Kind, Prediction, Problem, Stopped
from smallsteps.students.dual import DualStudent
from smallsteps.students.loading import load
from smallsteps.students.student import Student
from smallsteps.tasks import get_task
from smallsteps.tasks.base import STOP_TOKEN, Task

OnSegment = Callable[[str, int, Kind | None, str], None]
"""(problem id, sample, kind, text): told each segment as it is written."""

MOST_CHAINS = 8
"""Whole chains (`Task.max_chain_tokens`) whose tokens a causal uni-path reply may have, markers
included."""
OTHER: dict[Kind, Kind] = {"ES": "AS", "AS": "ES"}


@dataclass(frozen=True)
class Solving:
    """How `solve` runs; results in float32 do not depend on `batch_size`."""

    batch_size: int = 32
    """Rows under way at a time (dual-path: for each half)."""
    dtype: str | None = None
    """`bfloat16`: reduced precision; None: the student's own."""
    source_limit: int | None = None
    """Longest source in tokens for students without a limit of their own (T5)."""
    lenient: bool = False
    """Whether answers may be read off without the closing phrase."""
    samples: int = 1
    """Predictions for each problem."""
    stop_repetition: bool = False
    """Whether a chain that runs in a circle is ended (`stopped` says `repetition`). Off in
    comparisons unless all arms have it."""


def solve(
    student: Student | DualStudent,
    problems: Sequence[Problem],
    task: Task,
    solving: Solving | None = None,
    decoding: Decoding | None = None,
    *,
    progress: Callable[[int], None] | None = None,
    on_segment: OnSegment | None = None,
) -> Iterator[Prediction]:
    """One prediction for each problem and sample, as they are done.

    Segments are limited by the task's `max_segment_tokens`, their number by the student's own
    `Drive.max_segments` (students that have none: the task's `max_segments`), whole chains by
    `max_chain_tokens`, and each reply by `decoding.max_new_tokens`. `progress` is told the number
    of predictions done. Raises DataError before anything is written where a question is longer than
    the student reads, or an id occurs twice."""
    solving, decoding = solving or Solving(), decoding or Decoding()
    if student.drive is not None and student.drive.max_segments is not None:
        task = replace(task, max_segments=student.drive.max_segments)
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise DataError(f"{problem.id}: two problems have this id. Give each its own.")
        seen.add(problem.id)
    writer = _writer(student, task, solving, decoding, on_segment)
    for problem in problems:
        for sample in range(solving.samples):
            writer.begin(Chain(problem, sample))
    began, done = time.monotonic(), 0
    while writer.busy:
        for chain in writer.step():
            done += 1
            if progress:
                progress(done)
            yield _prediction(chain, task, solving, student.name, (time.monotonic() - began) / done)


@dataclass
class Chain:
    """A chain under way."""

    problem: Problem
    sample: int
    segments: list[tuple[Kind | None, str]] = field(default_factory=list)
    """Stripped; empty ones too."""
    tokens: int = 0
    stopped: Stopped | None = None
    ids: list[int] = field(default_factory=list)
    """What was written so far, over all segments."""

    def request_id(self) -> str:
        """Names one reply of this chain: draws of a sampled reply hang on it, so it must not depend
        on the batch."""
        return f"{self.problem.id}\0{self.sample}\0{len(self.segments)}"

    def prefix(self) -> list[tuple[Kind, str]]:
        # an encoder-decoder student reads no kinds, so any will do where there is none
        return [(kind or "ES", text) for kind, text in self.segments]

    def add(
        self, kind: Kind | None, text: str, task: Task, cut: bool, repeated: bool = False
    ) -> None:
        """Appends a segment and decides whether the chain ends with it. `cut`: it ran into its
        limit of tokens; `repeated`: the chain runs in a circle."""
        self.segments.append((kind, text.strip()))
        if task.ends_chain(text.strip(), self.problem):
            self.stopped = "stop_sign"
        elif repeated:
            self.stopped = "repetition"
        elif cut or len(self.segments) >= task.max_segments:
            self.stopped = "limit"
        elif len(self.segments) > 1 and not self.segments[-1][1] and not self.segments[-2][1]:
            self.stopped = "empty"


def _writer(
    student: Student | DualStudent,
    task: Task,
    solving: Solving,
    decoding: Decoding,
    on_segment: OnSegment | None,
) -> SegmentWriter | CausalDualWriter | WholeWriter:
    tell = on_segment or (lambda *_: None)
    if isinstance(student, DualStudent):
        dual = CausalDualWriter if student.architecture == "causal" else SegmentWriter
        return dual({"ES": student.es, "AS": student.as_}, task, solving, decoding, tell)
    path = student.drive.path if student.drive else "direct"
    if path == "direct" or student.architecture == "causal":
        return WholeWriter(student, task, solving, decoding, tell)
    both: dict[Kind, Student] = {"ES": student, "AS": student}
    return SegmentWriter(both, task, solving, decoding, tell)


class SegmentWriter:
    """Encoder-decoder, segment by segment: uni-path (both kinds by one student) and dual-path."""

    def __init__(
        self,
        halves: dict[Kind, Student],
        task: Task,
        solving: Solving,
        decoding: Decoding,
        tell: OnSegment,
    ) -> None:
        self.halves, self.task, self.solving, self.tell = halves, task, solving, tell
        self.one = halves["ES"] is halves["AS"]
        drive = halves["ES"].drive
        self.cue = self.one and drive is not None and drive.cue
        self.limit = min(task.max_segment_tokens, decoding.max_new_tokens)
        kinds: list[Kind] = ["ES"] if self.one else ["ES", "AS"]
        self.sessions: dict[Kind, Session] = {
            kind: LocalEngine(halves[kind], solving.batch_size, solving.dtype).session(decoding)
            for kind in kinds
        }
        self.chains: dict[str, Chain] = {}

    @property
    def busy(self) -> bool:
        return bool(self.chains)

    def begin(self, chain: Chain) -> None:
        """Raises DataError where the question alone is too long."""
        kind = self._kind(chain)
        ids = self._source(chain, kind)
        self.halves[kind].require_room(ids, chain.problem.id, limit=self.solving.source_limit)
        self._submit(chain, kind, ids)

    def _kind(self, chain: Chain) -> Kind:
        """Whose turn it is; without a cue a uni-path student decides for itself, and the value has
        no meaning."""
        return "AS" if len(chain.segments) % 2 else "ES"

    def _source(self, chain: Chain, kind: Kind) -> list[int]:
        question = self.task.render(chain.problem)
        return self.halves[kind].source_ids(
            self.task, question, chain.prefix(), kind if self.cue else None
        )

    def _submit(self, chain: Chain, kind: Kind, ids: list[int]) -> None:
        stop = loops if self.solving.stop_repetition else None
        request = Request(chain.request_id(), ids, max_new_tokens=self.limit, stop=stop)
        self.chains[request.id] = chain
        self.sessions["ES" if self.one else kind].submit(request)

    def step(self) -> list[Chain]:
        """One step of each batch; the chains that are done."""
        replies = [reply for session in self.sessions.values() for reply in session.step()]
        return [chain for reply in replies if (chain := self._after(reply)).stopped]

    def _after(self, reply: Reply) -> Chain:
        chain = self.chains.pop(reply.id)
        kind = self._kind(chain)
        chain.tokens += reply.tokens
        chain.ids += reply.ids
        repeated = self.solving.stop_repetition and (reply.finished == "stop" or repeats(chain.ids))
        cut = reply.finished == "limit"
        chain.add(kind if self.cue or not self.one else None, reply.text, self.task, cut, repeated)
        self.tell(chain.problem.id, chain.sample, *chain.segments[-1])
        if not chain.stopped:
            kind = self._kind(chain)
            ids = self._source(chain, kind)
            try:
                self.halves[kind].require_room(
                    ids, chain.problem.id, limit=self.solving.source_limit
                )
            except DataError:
                chain.stopped = "limit"
            else:
                self._submit(chain, kind, ids)
        return chain


class WholeWriter:
    """One reply for each chain: direct, and causal uni-path, where markers cut the reply into
    segments."""

    def __init__(
        self, student: Student, task: Task, solving: Solving, decoding: Decoding, tell: OnSegment
    ) -> None:
        self.student, self.task, self.solving, self.tell = student, task, solving, tell
        self.by_segment = student.drive is not None and student.drive.path != "direct"
        tokens = task.max_chain_tokens
        if self.by_segment:
            # a student that repeats itself must end before it has filled its whole length
            tokens = min(task.max_segments * task.max_segment_tokens, MOST_CHAINS * tokens)
        self.limit = min(tokens, decoding.max_new_tokens)
        self.session = LocalEngine(student, solving.batch_size, solving.dtype).session(decoding)
        self.chains: dict[str, Chain] = {}

    @property
    def busy(self) -> bool:
        return bool(self.chains)

    def begin(self, chain: Chain) -> None:
        """Raises DataError where the question leaves no room for a reply."""
        student = self.student
        question = self.task.render(chain.problem)
        ids = student.source_ids(self.task, question, cue="ES" if self.by_segment else None)
        student.require_room(ids, chain.problem.id, new_tokens=1, limit=self.solving.source_limit)
        limit = self.limit
        if student.architecture == "causal" and student.max_source_tokens is not None:
            limit = min(limit, student.max_source_tokens - len(ids))
        stop: Callable[[Sequence[int]], bool] | None = (
            loops if self.solving.stop_repetition else None
        )
        if self.by_segment:
            stop = Cutter(chain, student, self.task, self.tell, self.solving.stop_repetition)
        request = Request(chain.request_id(), ids, max_new_tokens=limit, stop=stop)
        self.chains[request.id] = chain
        self.session.submit(request)

    def step(self) -> list[Chain]:
        """One step of the batch; the chains that are done."""
        return [self._after(reply) for reply in self.session.step()]

    def _after(self, reply: Reply) -> Chain:
        chain = self.chains.pop(reply.id)
        chain.tokens = reply.tokens
        if chain.stopped:  # the cutter has said so
            return chain
        text, kind = reply.text, None
        if self.by_segment:
            open_kind, start = Cutter.open_segment(reply.ids, self.student)
            text, kind = self.student.text(reply.ids[start:]), open_kind
        chain.segments.append((kind, text.strip()))
        signed = self.task.ends_chain(text.strip(), chain.problem)
        endings: dict[str, Stopped] = {"end": "end", "stop": "repetition"}
        chain.stopped = "stop_sign" if signed else endings.get(reply.finished, "limit")
        self.tell(chain.problem.id, chain.sample, *chain.segments[-1])
        return chain


class Cutter:
    """The `stop` of a causal uni-path reply: closes a segment at each marker and ends the chain
    where its rules say so."""

    def __init__(
        self,
        chain: Chain,
        student: Student,
        task: Task,
        tell: OnSegment,
        stop_repetition: bool = False,
    ) -> None:
        self.chain, self.student, self.task, self.tell = chain, student, task, tell
        self.stop_repetition = stop_repetition
        self.kinds: dict[int, Kind] = {i: kind for kind, i in student.markers.items()}
        self.kind: Kind = "ES"
        self.start = 0

    def __call__(self, ids: Sequence[int]) -> bool:
        marker = self.kinds.get(ids[-1])
        cut = len(ids) - self.start >= self.task.max_segment_tokens
        repeated = self.stop_repetition and loops(ids)
        if marker is None and not cut and not repeated:
            return False
        text = self.student.text(ids[self.start : len(ids) if marker is None else -1])
        self.chain.add(self.kind, text, self.task, cut=cut and marker is None, repeated=repeated)
        self.tell(self.chain.problem.id, self.chain.sample, *self.chain.segments[-1])
        self.kind, self.start = marker or self.kind, len(ids)
        return self.chain.stopped is not None

    @staticmethod
    def open_segment(ids: Sequence[int], student: Student) -> tuple[Kind, int]:
        """(kind, place of its first id) of the segment that no marker closes."""
        kinds: dict[int, Kind] = {i: kind for kind, i in student.markers.items()}
        for place in range(len(ids) - 1, -1, -1):
            if ids[place] in kinds:
                return kinds[ids[place]], place + 1
        return "ES", 0


@dataclass
class Half:
    """What one half of a causal dual-path pair has read of a chain."""

    past: object = None
    read: int = 0


class CausalDualWriter:
    """Causal dual-path: the halves take turns, each on its own cache, which also reads what the
    other wrote."""

    def __init__(
        self,
        halves: dict[Kind, Student],
        task: Task,
        solving: Solving,
        decoding: Decoding,
        tell: OnSegment,
    ) -> None:
        self.halves, self.task, self.solving, self.tell = halves, task, solving, tell
        self.limit = min(task.max_segment_tokens, decoding.max_new_tokens)
        self.sessions: dict[Kind, Session] = {
            kind: LocalEngine(half, solving.batch_size, solving.dtype).session(decoding)
            for kind, half in halves.items()
        }
        self.chains: dict[str, tuple[Chain, list[int], dict[Kind, Half]]] = {}

    @property
    def busy(self) -> bool:
        return bool(self.chains)

    def begin(self, chain: Chain) -> None:
        """Raises DataError where the question leaves no room for a segment."""
        ids = self.halves["ES"].source_ids(self.task, self.task.render(chain.problem), cue="ES")
        self.halves["ES"].require_room(
            ids, chain.problem.id, new_tokens=1, limit=self.solving.source_limit
        )
        self._submit(chain, ids, {"ES": Half(), "AS": Half()}, "ES")

    def _submit(self, chain: Chain, ids: list[int], read: dict[Kind, Half], kind: Kind) -> None:
        student, half = self.halves[kind], read[kind]
        room = (
            self.limit
            if student.max_source_tokens is None
            else student.max_source_tokens - len(ids)
        )
        markers = set(student.markers.values())
        request = Request(
            chain.request_id(),
            ids[half.read :],
            max_new_tokens=max(1, min(self.limit, room)),
            stop=lambda written: (
                written[-1] in markers or (self.solving.stop_repetition and loops(written))
            ),
            past=half.past,
            keep=True,
        )
        self.chains[request.id] = (chain, ids, read)
        self.sessions[kind].submit(request)

    def step(self) -> list[Chain]:
        """One step of each half's batch; the chains that are done."""
        done = []
        for kind in self.sessions:
            for reply in self.sessions[kind].step():
                chain = self._after(reply, kind)
                if chain.stopped:
                    done.append(chain)
        return done

    def _after(self, reply: Reply, kind: Kind) -> Chain:
        chain, ids, read = self.chains.pop(reply.id)
        chain.tokens += reply.tokens
        chain.ids += reply.ids
        written = list(reply.ids[:-1] if reply.finished == "stop" else reply.ids)
        repeated = self.solving.stop_repetition and repeats(chain.ids)
        chain.add(kind, reply.text, self.task, cut=reply.finished == "limit", repeated=repeated)
        self.tell(chain.problem.id, chain.sample, *chain.segments[-1])
        if reply.finished == "end" and chain.stopped != "stop_sign":
            chain.stopped = "end"
        ids = [*ids, *written, self.halves[kind].marker(OTHER[kind])]
        room = self.halves[OTHER[kind]].max_source_tokens
        if not chain.stopped and room is not None and len(ids) >= room:
            chain.stopped = "limit"
        if not chain.stopped:
            # the last token written, a marker, is not in the cache; all before it is
            read[kind] = Half(reply.past, len(ids) - 1)
            self._submit(chain, ids, read, OTHER[kind])
        return chain


def _prediction(
    chain: Chain, task: Task, solving: Solving, author: str, seconds: float
) -> Prediction:
    assert chain.stopped is not None
    kept = [(kind, text.replace(STOP_TOKEN, "").strip()) for kind, text in chain.segments]
    segments = tuple((kind, text) for kind, text in kept if text)
    text = task.joiner.join(text for _, text in segments)
    name = f"{chain.problem.id}/prediction"
    return Prediction(
        id=name if solving.samples == 1 else f"{name}-{chain.sample}",
        problem_id=chain.problem.id,
        text=text,
        segments=segments,
        answer=task.extract(text, solving.lenient, chain.problem),
        stopped=chain.stopped,
        tokens=chain.tokens,
        seconds=seconds,
        author=author,
    )


class Solver:
    """A student ready to answer: what `smallsteps.load` returns."""

    def __init__(self, student: Student | DualStudent, task: Task) -> None:
        self.student, self.task = student, task

    def solving(self, batch_size: int = 1) -> Solving:
        """How this student solves. A model that smallsteps did not train never learnt to end its
        chains: where one runs in a circle, it is ended."""
        return Solving(batch_size, stop_repetition=self.student.drive is None)

    def __call__(self, question: str, decoding: Decoding | None = None) -> Prediction:
        """The answer to one question, with its chain: `.answer`, `.text`, `.segments`,
        `.stopped`."""
        problem = Problem("question", question)
        return next(solve(self.student, [problem], self.task, self.solving(), decoding))


def load_solver(
    folder: str | Path, *, task: Task | None = None, device: str = "auto", dtype: str = "auto"
) -> Solver:
    """A trained student's folder, ready to answer. `task` is needed for a model that smallsteps did
    not train.

    Raises StudentError where there is no student or its task is not known.
    """
    student = load(folder, device=device, dtype=dtype)
    if student.drive is None and task is None:
        raise StudentError(
            f"{folder} was not trained by smallsteps, so its task is not known. Name it: --task numbers"
        )
    return Solver(student, task or get_task(student.drive.task if student.drive else ""))
