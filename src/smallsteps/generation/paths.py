"""How a chain is written: which student writes next, from which prompt (AS-ES, Algorithms 1 and 2).

| student    | encoder-decoder                     | causal                                     |
|------------|-------------------------------------|--------------------------------------------|
| direct     | `WholePath`: one reply              | `WholePath`: one reply                     |
| uni-path   | `SegmentPath`: a reply for each     | `WholePath`: one reply, which the          |
|            | segment, each with a longer prompt  | student's own markers cut into segments    |
| dual-path  | `SegmentPath`: ES and AS take turns | `TurnPath`: ES and AS take turns, each     |
|            |                                     | continues from its own cache               |

A path makes requests and reads replies; `solve.py` runs them. Algorithm 1, line 10, prints
`ESM_output` where `ASM_output` is meant; we follow the meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from smallsteps.config import Count
from smallsteps.errors import DataError
from smallsteps.generation.draft import ChainDraft
from smallsteps.generation.generator import Decoding, EngineSettings, PromptCache, Reply, Request
from smallsteps.generation.repetition import loops, repeats
from smallsteps.records import Kind, Stopped
from smallsteps.students.dual import DualStudent
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task

OnSegment = Callable[[str, int, Kind | None, str], None]
"""Receives (problem id, sample, kind, text) of each segment as it is written."""

MAX_CHAINS_PER_REPLY = 8
"""A causal uni-path reply may have at most the tokens of this many whole chains
(`Task.max_chain_tokens`), markers included."""

SUB_SENTENCE_ENDS = ",.;:?!，。；：！？\n"
"""Characters after which a chain that may end early is looked at."""

StopRule = Callable[[Sequence[int]], bool]
"""What `Request.stop` is."""

OTHER: dict[Kind, Kind] = {"ES": "AS", "AS": "ES"}


class SolveSettings(EngineSettings):
    """How `solve` runs; `batch_size` counts for each half of a dual student. Results in float32 do
    not depend on `batch_size`."""

    source_limit: Count | None = None
    """Maximum source length in tokens, for students without a limit of their own (T5)."""
    lenient: bool = False
    """Whether answers may be read off without the closing phrase."""
    samples: Count = 1
    """Predictions for each problem."""
    stop_repetition: bool = False
    """Whether a chain that repeats itself is ended (`stopped` says `repetition`). Off in
    comparisons unless all arms have it."""


@dataclass(frozen=True)
class SegmentTurn:
    """The next request of a chain, and who answers it."""

    writer: Kind
    """A key of `Path.students`."""
    request: Request


class Path(Protocol):
    """A way of writing chains."""

    students: dict[Kind, Student]
    """Whose engines are needed. A student that writes every kind stands under `ES`."""

    def first(self, draft: ChainDraft) -> SegmentTurn:
        """The first turn. Raises DataError where the question leaves the student no room."""
        ...

    def following(self, draft: ChainDraft, reply: Reply) -> SegmentTurn | None:
        """Adds the reply to the draft; the next turn, None once the chain has ended."""
        ...


@dataclass(frozen=True)
class PathOptions:
    """What every path needs to know."""

    task: Task
    settings: SolveSettings
    decoding: Decoding
    on_segment: OnSegment


def loop_stop(student: Student) -> StopRule:
    """Ends a reply that runs in a circle."""
    return lambda ids: loops(ids, student.number_ids)


def path_of(student: Student | DualStudent, options: PathOptions) -> Path:
    """The path that `student` was trained for."""
    if isinstance(student, DualStudent):
        halves: dict[Kind, Student] = {"ES": student.es, "AS": student.as_}
        dual = TurnPath if student.architecture == "causal" else SegmentPath
        return dual(halves, options)
    path = student.drive.path if student.drive else "direct"
    if path == "direct" or student.architecture == "causal":
        return WholePath(student, options)
    return SegmentPath({"ES": student}, options)


class SegmentPath:
    """Encoder-decoders, one request for each segment: uni-path and dual-path."""

    def __init__(self, students: dict[Kind, Student], options: PathOptions) -> None:
        self.students, self.options = students, options
        self.dual = len(students) == 2
        drive = students["ES"].drive
        self.cue = not self.dual and drive is not None and drive.cue
        self.limit = min(options.task.max_segment_tokens, options.decoding.max_new_tokens)

    def first(self, draft: ChainDraft) -> SegmentTurn:
        """The first segment. Raises DataError where the question alone is too long."""
        return self._turn(draft)

    def following(self, draft: ChainDraft, reply: Reply) -> SegmentTurn | None:
        """Adds the segment; the next one, with the longer prefix."""
        settings = self.options.settings
        draft.tokens += reply.tokens
        draft.ids += reply.ids
        draft.add(
            draft.next_kind() if self.cue or self.dual else None,
            reply.text,
            self.options.task,
            cut=reply.finished == "limit",
            repeated=settings.stop_repetition
            and (reply.finished == "stop" or repeats(draft.ids, self.students["ES"].number_ids)),
        )
        self.options.on_segment(draft.problem.id, draft.sample, *draft.segments[-1])
        if draft.stopped:
            return None
        try:
            return self._turn(draft)
        except DataError:  # the prefix has outgrown what the student reads
            draft.stopped = "limit"
            return None

    def _turn(self, draft: ChainDraft) -> SegmentTurn:
        task, settings = self.options.task, self.options.settings
        kind = draft.next_kind()  # a uni-path student without a cue decides for itself
        writer: Kind = kind if self.dual else "ES"
        student = self.students[writer]
        question = task.render(draft.problem)
        ids = student.source_ids(task, question, draft.prefix(), kind if self.cue else None)
        student.require_room(ids, draft.problem.id, limit=settings.source_limit)
        stop = loop_stop(student) if settings.stop_repetition else None
        given = student.encode(draft.begun)
        request = Request(
            draft.request_id(), ids, max_new_tokens=self.limit, stop=stop, given=given
        )
        return SegmentTurn(writer, request)


class WholePath:
    """One reply for each chain: direct, and causal uni-path, where markers cut the reply into
    segments."""

    def __init__(self, student: Student, options: PathOptions) -> None:
        self.students: dict[Kind, Student] = {"ES": student}
        self.student, self.options = student, options
        self.by_segment = student.drive is not None and student.drive.path != "direct"
        task = options.task
        tokens = task.max_chain_tokens
        if self.by_segment:
            # a student that repeats itself must end before it has filled its whole length
            tokens = min(task.max_segments * task.max_segment_tokens, MAX_CHAINS_PER_REPLY * tokens)
        self.limit = min(tokens, options.decoding.max_new_tokens)

    def first(self, draft: ChainDraft) -> SegmentTurn:
        """The whole chain. Raises DataError where the question leaves no room for a reply."""
        student, task, settings = self.student, self.options.task, self.options.settings
        question = task.render(draft.problem)
        cue = draft.next_kind() if self.by_segment else None
        ids = student.source_ids(task, question, draft.prefix(), cue)
        given = student.encode(draft.begun)
        room = len(given) + 1
        student.require_room(ids, draft.problem.id, new_tokens=room, limit=settings.source_limit)
        limit = self.limit
        if student.architecture == "causal" and student.max_source_tokens is not None:
            limit = min(limit, student.max_source_tokens - len(ids))
        stop: StopRule | None = loop_stop(student) if settings.stop_repetition else None
        if self.by_segment:
            stop = MarkerCutter(draft, student, self.options)
        elif draft.enough is not None:
            stop = EnoughText(draft.enough, student, len(given), stop)
        request = Request(draft.request_id(), ids, max_new_tokens=limit, stop=stop, given=given)
        return SegmentTurn("ES", request)

    def following(self, draft: ChainDraft, reply: Reply) -> None:
        """Adds what the cutter has not added yet: the whole reply, or its last segment."""
        draft.tokens = reply.tokens
        if draft.stopped:  # by the cutter
            return
        text, kind = reply.text, None
        if self.by_segment:
            kind, start = open_segment(reply.ids, self.student, draft.next_kind())
            text = self.student.text(reply.ids[start:])
        draft.segments.append((kind, text.strip()))
        signed = self.options.task.ends_chain(text.strip(), draft.problem)
        stopped: Stopped = "limit" if draft.may_end(self.options.task) else "repetition"
        endings: dict[str, Stopped] = {"end": "end", "stop": stopped}
        draft.stopped = "stop_sign" if signed else endings.get(reply.finished, "limit")
        self.options.on_segment(draft.problem.id, draft.sample, *draft.segments[-1])


class EnoughText:
    """The `stop` rule of a whole chain that may end early: asks `enough` at the end of each
    sub-sentence that the student has written."""

    def __init__(
        self,
        enough: Callable[[str], bool],
        student: Student,
        given: int,
        further: Callable[[Sequence[int]], bool] | None,
    ) -> None:
        self.enough, self.student, self.given, self.further = enough, student, given, further

    def __call__(self, ids: Sequence[int]) -> bool:
        if self.further is not None and self.further(ids):
            return True
        ended = len(ids) > self.given and set(SUB_SENTENCE_ENDS) & set(self.student.text(ids[-1:]))
        return bool(ended) and self.enough(self.student.text(ids))


class MarkerCutter:
    """The `stop` rule of a causal uni-path reply: adds a segment to the draft at each marker, and
    ends the reply where the draft has ended."""

    def __init__(self, draft: ChainDraft, student: Student, options: PathOptions) -> None:
        self.draft, self.student, self.options = draft, student, options
        self.kinds: dict[int, Kind] = {i: kind for kind, i in student.markers.items()}
        self.kind = draft.next_kind()
        self.start = 0
        """Place of the open segment's first id."""

    def __call__(self, ids: Sequence[int]) -> bool:
        task = self.options.task
        marker = self.kinds.get(ids[-1])
        full = len(ids) - self.start >= task.max_segment_tokens
        repeated = self.options.settings.stop_repetition and loops(ids, self.student.number_ids)
        if marker is None and not full and not repeated:
            return False
        text = self.student.text(ids[self.start : len(ids) if marker is None else -1])
        self.draft.add(self.kind, text, task, cut=full and marker is None, repeated=repeated)
        self.options.on_segment(self.draft.problem.id, self.draft.sample, *self.draft.segments[-1])
        self.kind, self.start = marker or self.kind, len(ids)
        return self.draft.stopped is not None


def open_segment(ids: Sequence[int], student: Student, first: Kind = "ES") -> tuple[Kind, int]:
    """(kind, place of its first id) of the last segment in `ids`, which no marker closes. `first`:
    the kind of the first one."""
    kinds: dict[int, Kind] = {i: kind for kind, i in student.markers.items()}
    for place in range(len(ids) - 1, -1, -1):
        if ids[place] in kinds:
            return kinds[ids[place]], place + 1
    return first, 0


@dataclass
class SharedText:
    """What both halves of a causal pair have read and written of one chain, in ids, and what each
    half's engine remembers of it."""

    ids: list[int]
    caches: dict[Kind, PromptCache | None]


class TurnPath:
    """Causal dual-path: the halves take turns. Each continues from its own cache and first reads
    what the other one has written since."""

    def __init__(self, students: dict[Kind, Student], options: PathOptions) -> None:
        self.students, self.options = students, options
        self.limit = min(options.task.max_segment_tokens, options.decoding.max_new_tokens)
        self.texts: dict[str, tuple[Kind, SharedText]] = {}
        """Id of a request under way → (its writer, the chain's text before it)."""

    def first(self, draft: ChainDraft) -> SegmentTurn:
        """The first segment, by ES unless segments are given. Raises DataError where the question
        leaves no room for it."""
        kind = draft.next_kind()
        task, student = self.options.task, self.students[kind]
        ids = student.source_ids(task, task.render(draft.problem), draft.prefix(), kind)
        limit = self.options.settings.source_limit
        room = len(student.encode(draft.begun)) + 1
        student.require_room(ids, draft.problem.id, new_tokens=room, limit=limit)
        return self._turn(draft, kind, SharedText(ids, {"ES": None, "AS": None}))

    def following(self, draft: ChainDraft, reply: Reply) -> SegmentTurn | None:
        """Adds the segment; the other half's turn, after its marker."""
        kind, text = self.texts.pop(reply.id)
        other = OTHER[kind]
        draft.tokens += reply.tokens
        draft.ids += reply.ids
        draft.add(
            kind,
            reply.text,
            self.options.task,
            cut=reply.finished == "limit",
            repeated=self.options.settings.stop_repetition
            and repeats(draft.ids, self.students[kind].number_ids),
        )
        self.options.on_segment(draft.problem.id, draft.sample, *draft.segments[-1])
        if reply.finished == "end" and draft.stopped != "stop_sign":
            draft.stopped = "end"
        written = reply.ids[:-1] if reply.finished == "stop" else reply.ids
        text.ids += [*written, self.students[kind].marker(other)]
        # the last token written, a marker, is not in the cache; all before it is
        text.caches[kind] = reply.cache
        room = self.students[other].max_source_tokens
        if not draft.stopped and room is not None and len(text.ids) >= room:
            draft.stopped = "limit"
        return None if draft.stopped else self._turn(draft, other, text)

    def _turn(self, draft: ChainDraft, kind: Kind, text: SharedText) -> SegmentTurn:
        student = self.students[kind]
        limit = self.limit
        if student.max_source_tokens is not None:
            limit = max(1, min(limit, student.max_source_tokens - len(text.ids)))
        markers = set(student.markers.values())
        stop_repetition = self.options.settings.stop_repetition
        request = Request(
            draft.request_id(),
            tuple(text.ids),
            max_new_tokens=limit,
            stop=lambda ids: (
                ids[-1] in markers or (stop_repetition and loops(ids, student.number_ids))
            ),
            stop_ids=markers,
            given=student.encode(draft.begun),
            keep_cache=True,
            cache=text.caches[kind],
        )
        self.texts[request.id] = (kind, text)
        return SegmentTurn(kind, request)
