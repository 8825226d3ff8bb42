"""A student's own right chains: what self-training learns from beside the gold chains.

A chain counts if it carries the stop sign, its answer is the gold one by the task's strict reading,
and every equation in it holds. Of chains that go the same way one is kept. As in rejection sampling
fine-tuning (RFT, Yuan et al. 2023) the way is the list of equations; a chain without equations goes
its own way by its words. The gold chains' ways are known already and count as well."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from smallsteps.evaluation.diversity import same_text
from smallsteps.generation.generator import Decoding
from smallsteps.generation.paths import SolveSettings
from smallsteps.generation.solve import solve
from smallsteps.records import Chain, Prediction, Problem, Record
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.tasks.equations import find_equations


@dataclass(frozen=True)
class OwnChains(Record):
    """What one student wrote for one training question."""

    id: str
    """Of the problem."""
    texts: tuple[str, ...] = ()
    """Right chains in the order of their samples, each another way."""
    right: int = 0
    """Samples with the gold answer."""
    samples: int = 0
    tokens: int = 0
    """Written for all samples."""


def sample_own(
    student: Student,
    problems: Sequence[Problem],
    task: Task,
    decoding: Decoding,
    solving: SolveSettings,
    progress: Callable[[int], None] | None = None,
) -> list[OwnChains]:
    """The student's chains for each problem, in the order of the problems."""
    by_problem: dict[str, list[Prediction]] = defaultdict(list)
    for prediction in solve(student, problems, task, solving, decoding, progress=progress):
        by_problem[prediction.problem_id].append(prediction)
    return [
        _own(problem, sorted(by_problem[problem.id], key=_sample_number), task)
        for problem in problems
    ]


def _sample_number(prediction: Prediction) -> int:
    """`p/prediction-12` → 12."""
    number = prediction.id.rpartition("-")[2]
    return int(number) if number.isdecimal() else 0


def _own(problem: Problem, predictions: Sequence[Prediction], task: Task) -> OwnChains:
    right = [p for p in predictions if task.grade(p, problem).value == 1.0]
    texts: dict[object, str] = {}
    for prediction in right:
        if prediction.stopped == "stop_sign" and arithmetic_holds(prediction.text):
            texts.setdefault(way(prediction.text), prediction.text)
    tokens = sum(prediction.tokens for prediction in predictions)
    return OwnChains(problem.id, tuple(texts.values()), len(right), len(predictions), tokens)


def arithmetic_holds(text: str) -> bool:
    """Whether every equation of a chain holds.

    >>> arithmetic_holds("So 3 + 4 = 7."), arithmetic_holds("So 3 + 4 = 8, that is 7.")
    (True, False)
    """
    return all(equation.holds for equation in find_equations(text))


def way(text: str) -> object:
    """What two chains have in common that go the same way: their equations, else their words.

    >>> way("She has 3 + 4 = 7 pens.") == way("Adding, 3 + 4 = 7.")
    True
    >>> way("It is blue.") == way("It is green.")
    False
    """
    equations = [(equation.expression, equation.result) for equation in find_equations(text)]
    return tuple(equations) or same_text(text)


def add_own(
    kept: Mapping[str, Sequence[str]],
    written: Iterable[OwnChains],
    gold: Sequence[Chain],
    most: int,
) -> dict[str, list[str]]:
    """Problem id → the student's own chains after a round: those `kept` so far and new ways among
    the `written` ones, at most `most` for a question, the earlier first."""
    texts = {id: list(own) for id, own in kept.items()}
    ways: dict[str, set[object]] = defaultdict(set)
    for chain in gold:
        ways[chain.problem.id].add(way(chain.rationale.text))
    for id, own in kept.items():
        ways[id] |= {way(text) for text in own}
    for record in written:
        for text in record.texts:
            of_question = texts.setdefault(record.id, [])
            if way(text) not in ways[record.id] and len(of_question) < most:
                ways[record.id].add(way(text))
                of_question.append(text)
    return {id: own for id, own in texts.items() if own}
