"""The exam: a student answers its training questions several times, and its chains are sorted into
right and wrong.

The local engine samples the chains with a seed for each item (Wang et al. 2023: 4 samples,
temperature 1, the 50 likeliest tokens). A chain is right by the task's strict reading. It is wrong
only if its lenient reading is wrong too. Two kinds of chains are neither; they are counted, and the
student learns nothing from them:

    unfinished   the chain ran into a limit
    unknown      the chain has no readable answer, or only the lenient reading finds the gold answer

The authors' exam cuts chains at 128 tokens and counts them as mistakes; here the limits are the
same as in the test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from smallsteps.errors import DataError
from smallsteps.generation.generator import Decoding
from smallsteps.generation.paths import SolveSettings
from smallsteps.generation.solve import solve
from smallsteps.records import Prediction, Problem, Record
from smallsteps.students.dual import DualStudent
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task

SAMPLING = Decoding(max_new_tokens=10_000, temperature=1.0, top_k=50)
"""The authors' exam; the task limits the tokens."""


@dataclass(frozen=True)
class Paper(Record):
    """A student's answers to one question in one exam."""

    id: str
    """Of the problem."""
    right: int
    """Chains whose answer is the gold one."""
    wrong: tuple[str, ...] = ()
    """The different wrong chains that were finished, in order of their sample."""
    unfinished: int = 0
    """Chains that ran into a limit."""
    samples: int = 0
    """Chains written in all."""
    unknown: int = 0
    """Finished chains that are neither right nor wrong."""

    @property
    def mistaken(self) -> bool:
        """Whether the student can learn from a mistake."""
        return bool(self.wrong)


@dataclass(frozen=True)
class Marks:
    """An exam in figures, in per cent."""

    accuracy: float
    """Right chains of all chains."""
    mistaken: float
    """Questions with at least one finished wrong chain."""
    unfinished: float
    """Chains that ran into a limit."""
    unknown: float
    """Finished chains that are neither right nor wrong."""
    questions: int


def sit(
    student: Student | DualStudent,
    problems: Sequence[Problem],
    task: Task,
    *,
    samples: int = 4,
    decoding: Decoding = SAMPLING,
    solving: SolveSettings | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Paper]:
    """The papers of all problems, in their order. Raises DataError where a problem has no gold
    answer."""
    for problem in problems:
        if problem.answer is None:
            raise DataError(
                f"{problem.id}: an exam needs a gold answer. Add `answer` to the row, or remove "
                "the row."
            )
    chosen = (solving or SolveSettings()).changed(samples=samples)
    return mark(solve(student, problems, task, chosen, decoding, progress=progress), problems, task)


def mark(predictions: Iterable[Prediction], problems: Sequence[Problem], task: Task) -> list[Paper]:
    """The papers of the predictions, in the order of the problems."""
    by_problem: dict[str, list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        by_problem[prediction.problem_id].append(prediction)
    return [
        _paper(problem, sorted(by_problem[problem.id], key=lambda p: p.id), task)
        for problem in problems
    ]


def _paper(problem: Problem, predictions: Sequence[Prediction], task: Task) -> Paper:
    right, unfinished, unknown, wrong = 0, 0, 0, list[str]()
    for prediction in predictions:
        if task.grade(prediction, problem).value == 1.0:
            right += 1
        elif prediction.stopped in ("limit", "repetition"):
            unfinished += 1
        elif not _wrong_by_any_reading(prediction, problem, task):
            unknown += 1
        elif prediction.text not in wrong:
            wrong.append(prediction.text)
    return Paper(problem.id, right, tuple(wrong), unfinished, len(predictions), unknown)


def _wrong_by_any_reading(prediction: Prediction, problem: Problem, task: Task) -> bool:
    """Whether a chain that is not right has an answer by the lenient reading, and a wrong one."""
    answer = task.extract(prediction.text, True, problem)
    return answer is not None and not any(task.same(answer, gold) for gold in task.golds(problem))


def marks(papers: Sequence[Paper]) -> Marks:
    """The exam in figures."""
    chains = sum(paper.samples for paper in papers) or 1
    return Marks(
        accuracy=100 * sum(paper.right for paper in papers) / chains,
        mistaken=100 * sum(paper.mistaken for paper in papers) / max(1, len(papers)),
        unfinished=100 * sum(paper.unfinished for paper in papers) / chains,
        unknown=100 * sum(paper.unknown for paper in papers) / chains,
        questions=len(papers),
    )


def fate(before: Sequence[Paper], after: Sequence[Paper]) -> tuple[int, int]:
    """(repaired, broken): questions with a mistake in the exam before and none now, and the other
    way round."""
    mistaken_before = {paper.id: paper.mistaken for paper in before}
    repaired = sum(mistaken_before[paper.id] and not paper.mistaken for paper in after)
    broken = sum(not mistaken_before[paper.id] and paper.mistaken for paper in after)
    return repaired, broken
