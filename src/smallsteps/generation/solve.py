"""From problems to predictions: chains written whole or segment by segment, many at a time.

Chains never wait for each other: a segment that ends is followed at once by the next request, with
the longer prefix. How a chain is written stands in `paths.py`, when it ends in `draft.py`, how
tokens are written in `engine.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from smallsteps.errors import DataError, StudentError
from smallsteps.faults import names_faults
from smallsteps.generation.draft import ChainDraft, GivenPrefix
from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding
from smallsteps.generation.paths import OnSegment, PathOptions, SegmentTurn, SolveSettings, path_of
from smallsteps.generation.stopwatch import Stopwatch
from smallsteps.records import Prediction, Problem
from smallsteps.students.drive import DRIVE_FILE, Drive
from smallsteps.students.dual import DualStudent
from smallsteps.students.loading import load
from smallsteps.students.run_student import student_place
from smallsteps.students.student import Student
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task


@names_faults
def solve(
    student: Student | DualStudent,
    problems: Sequence[Problem],
    task: Task | str,
    settings: SolveSettings | None = None,
    decoding: Decoding | None = None,
    *,
    progress: Callable[[int], None] | None = None,
    on_segment: OnSegment | None = None,
    given: Mapping[str, GivenPrefix] | None = None,
    enough: Callable[[str, str], bool] | None = None,
) -> Iterator[Prediction]:
    """One prediction for each problem and sample, as they are done.

    given: problem id → the part of its chain that is given and counts as written. enough: receives
    (problem id, text so far) after each segment (whole chains: each sub-sentence); where it returns
    True, the chain ends with `limit`. So does a chain whose given part the student cannot read.

    The task's `max_segment_tokens` limits a segment, the student's own `Drive.max_segments` (or the
    task's `max_segments`) their number, `max_chain_tokens` a whole chain, and
    `decoding.max_new_tokens` each reply. `progress` receives the number of predictions done. Raises
    DataError before anything is written where a question is longer than the student reads, or an id
    occurs twice."""
    task = get_task(task)
    settings, decoding = settings or SolveSettings(), decoding or Decoding()
    given = given or {}
    if student.drive is not None and student.drive.max_segments is not None:
        task = replace(task, max_segments=student.drive.max_segments)
    _check_ids(problems)
    path = path_of(student, PathOptions(task, settings, decoding, on_segment or (lambda *_: None)))
    with ExitStack() as stack:
        engines = {
            kind: stack.enter_context(closing(open_engine(writer, settings)))
            for kind, writer in path.students.items()
        }
        sessions = {kind: engine.session(decoding) for kind, engine in engines.items()}
        drafts: dict[str, ChainDraft] = {}
        """Id of a request under way → its chain."""
        finished: list[ChainDraft] = []

        def submit(draft: ChainDraft, turn: SegmentTurn) -> None:
            """Hands a chain's next request to its writer."""
            drafts[turn.request.id] = draft
            sessions[turn.writer].submit(turn.request)

        for problem in problems:
            for sample in range(settings.samples):
                prefix = given.get(problem.id, GivenPrefix())
                draft = ChainDraft(
                    problem,
                    sample,
                    list(prefix.segments),
                    begun=prefix.begun,
                    enough=partial(enough, problem.id) if enough else None,
                )
                try:
                    submit(draft, path.first(draft))
                except DataError:
                    if problem.id not in given:
                        raise
                    draft.stopped = "limit"  # what is given has outgrown what the student reads
                    finished.append(draft)
        if drafts:
            for engine in engines.values():
                engine.start()
        stopwatch, done = Stopwatch(student.device, settings.engine), 0
        while drafts or finished:
            replies = [reply for session in sessions.values() for reply in session.step()]
            for reply in replies:
                draft = drafts.pop(reply.id)
                if turn := path.following(draft, reply):
                    submit(draft, turn)
                else:
                    finished.append(draft)
            for draft in finished:
                done += 1
                if progress:
                    progress(done)
                yield draft.prediction(
                    task,
                    author=student.name,
                    samples=settings.samples,
                    lenient=settings.lenient,
                    seconds=stopwatch.share(done),
                )
            finished.clear()


def _check_ids(problems: Sequence[Problem]) -> None:
    """Raises DataError where two problems have the same id."""
    seen: set[str] = set()
    for problem in problems:
        if problem.id in seen:
            raise DataError(f"{problem.id}: two problems have this id. Give each its own.")
        seen.add(problem.id)


class StudentWithTask:
    """A student ready to answer: what `smallsteps.load` returns."""

    def __init__(self, student: Student | DualStudent, task: Task) -> None:
        self.student, self.task = student, task

    def settings(self, batch_size: int = 1) -> SolveSettings:
        """How this student solves. A model that smallsteps did not train has not learnt to end its
        chains: where one repeats itself, it is ended, and answers are read off leniently."""
        untrained = self.student.drive is None or not self.student.drive.trained
        return SolveSettings(batch_size=batch_size, lenient=untrained, stop_repetition=untrained)

    def __call__(self, question: str, decoding: Decoding | None = None) -> Prediction:
        """The answer to one question, with its chain: `.answer`, `.text`, `.segments`,
        `.stopped`."""
        problem = Problem("question", question)
        return next(solve(self.student, [problem], self.task, self.settings(), decoding))


@names_faults
def load_with_task(
    folder: str | Path, *, task: Task | str | None = None, device: str = "auto", dtype: str = "auto"
) -> StudentWithTask:
    """A trained student's folder, ready to answer. `task` is needed for a model that smallsteps did
    not train.

    Raises StudentError where there is no student or its task is not known."""
    student = load(folder, device=device, dtype=dtype)
    if student.drive is None and task is None:
        raise StudentError(
            f"{folder} was not trained by smallsteps, so its task is not known. "
            "Name it: --task numbers"
        )
    named = student.drive.task if student.drive else ""
    return StudentWithTask(student, get_task(task or named))


def stored_task(model: str) -> Task | None:
    """The task that a student of smallsteps was trained for. None: `model` is no folder of such a
    student, or no folder at all. Raises StudentError for a run without a trained student."""
    try:
        path = Path(student_place(model)).expanduser() / DRIVE_FILE
        if not path.is_file():
            return None
    except (OSError, ValueError, RuntimeError):  # not a possible path
        return None
    return get_task(Drive.from_file(path).task)
