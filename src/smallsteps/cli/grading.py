"""`smallsteps grade`: grades rows of predictions against gold rows."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smallsteps.cli.input_file import InputFile
from smallsteps.cli.prediction_rows import prediction_of
from smallsteps.cli.progress import Terminal, say
from smallsteps.errors import DataError, RecipeError
from smallsteps.evaluation.grade import Score, grade
from smallsteps.outputs import check_output
from smallsteps.records import Prediction, Problem
from smallsteps.tasks import Task
from smallsteps.tasks.fields import or_column
from smallsteps.tasks.files import at, identified, read_problems, read_rows, write_rows
from smallsteps.tasks.records_from_rows import problem_of

if TYPE_CHECKING:
    from smallsteps.publishing.harness import HarnessScores


HARNESS = "lm-eval"
"""The other program that can grade beside us."""
PREDICTED = frozenset({"stopped", "tokens", "read_from"})
"""Fields that `solve` and `guide` write, and no file of gold rows has."""
WRITTEN = PREDICTED | {"text", "segments", "correct"}
"""Fields that rows of predictions have beside their answers."""
MAX_OTHERS = 5
"""Maximum number of ids in a line about other verdicts."""


def grade_file(
    predictions: Path,
    gold: InputFile,
    lenient: bool,
    rows: Path | None,
    as_json: bool,
    beside: str | None = None,
) -> None:
    """Prints the scores with their signatures, or as JSON. rows: a file for one row per prediction,
    in order. beside: `lm-eval` also grades by that program.

    Raises DataError, with file and line, on a prediction that cannot be read, that answers no gold
    problem, or that is the second one for its problem."""
    if beside not in (None, HARNESS):
        raise RecipeError(f"--with {beside}: expected {HARNESS}.")
    if predictions.exists() and predictions.resolve() == gold.path.resolve():
        raise RecipeError(
            f"{predictions}: the predictions and the gold answers are one file. Name first the "
            "file that solve wrote, then the one with the gold answers."
        )
    if rows is not None:
        check_output(rows, "--rows", [predictions, gold.path])
    reporter = Terminal()
    _check_order(predictions, gold.path, reporter)
    task = gold.task(reporter.say)
    problems = gold_problems(gold, task, reporter)
    wholes = problems if task.wholes is None else task.wholes(problems)
    problem_by_id = {problem.id: problem for problem in [*problems, *wholes]}
    answers = _PredictionFile(predictions, gold.path, task, problem_by_id, lenient).read(reporter)
    scores = [
        grade(
            answers,
            problems,
            task,
            dataset=gold.path.stem,
            decode="unknown",
            seed=None,
            metric=metric,
        )
        for metric in (task.metric, *task.also)
    ]
    if rows is not None:
        write_rows(rows, (_graded_row(task, answer, problem_by_id) for answer in answers))
    harness = _by_harness(answers, problems, task) if beside else None
    if as_json:
        _print_json(scores, harness)
        return
    _print_signatures(scores)
    if harness is not None:
        _print_harness(harness, answers, problem_by_id, task)


def _check_order(predictions: Path, gold: Path, reporter: Terminal) -> None:
    """Raises RecipeError where the two files are swapped, by the fields of their first rows. Says
    so where only one of them looks like the other kind."""
    fields = {path: set(next(read_rows(path), (0, {}))[1]) for path in (predictions, gold)}
    marks = sorted(fields[gold] & PREDICTED)
    is_gold = "question" in fields[predictions] and not fields[predictions] & WRITTEN
    if is_gold and marks:
        command = shlex.join(["smallsteps", "grade", str(gold), str(predictions)])
        raise RecipeError(
            f"the two files are swapped: {gold} holds predictions (it has {', '.join(marks)}), "
            f"{predictions} questions with gold answers. Type: {command}"
        )
    if marks:
        reporter.say(
            f"{gold}: the gold rows look like predictions (they have {', '.join(marks)}): their "
            "answers are taken as right"
        )
    elif is_gold:
        reporter.say(
            f"{predictions}: the predictions look like gold rows (they have a question and no "
            "`text`): their answers are graded as they are"
        )


def gold_problems(gold: InputFile, task: Task, reporter: Terminal) -> list[Problem]:
    """The problems of a gold file, each with its answer. A question is not needed. Raises DataError
    where an answer is missing."""
    if task.prepare is not None:
        problems = read_problems(gold.path, task, gold.columns, reporter.say)
    else:
        problems = []
        for place, identifier, row in identified(gold.path, task, gold.columns, reporter.say):
            with at(place):
                with_question = {**row, "question": row.get("question") or identifier}
                problems.append(problem_of(with_question, identifier, task))
    for problem in problems:
        if problem.answer is None:
            raise DataError(
                f"{gold.path} ({problem.id}): no gold answer to grade against. "
                f"Add an `answer` to the row{or_column(problem.meta, 'answer')}."
            )
    return problems


class _PredictionFile:
    """A file of predictions for the problems of a gold file."""

    def __init__(
        self,
        path: Path,
        gold: Path,
        task: Task,
        problem_by_id: Mapping[str, Problem],
        lenient: bool,
    ) -> None:
        self.path, self.gold, self.task = path, gold, task
        self.problem_by_id, self.lenient = problem_by_id, lenient

    def read(self, reporter: Terminal) -> list[Prediction]:
        """One prediction per row, each for a gold problem of its own. Raises DataError."""
        predictions: list[Prediction] = []
        line_by_id: dict[str, int] = {}
        readable_leniently = 0
        for line, row in read_rows(self.path):
            prediction = self._prediction(row, line, self.lenient)
            self._check_id(prediction.problem_id, line, line_by_id)
            predictions.append(prediction)
            if prediction.answer is None and not self.lenient:
                readable_leniently += self._prediction(row, line, True).answer is not None
        if 2 * readable_leniently > len(predictions):
            unread = sum(prediction.answer is None for prediction in predictions)
            reporter.say(f"{unread} of {len(predictions)} answers could not be read: try --lenient")
        return predictions

    def _prediction(self, row: Mapping[str, Any], line: int, lenient: bool) -> Prediction:
        place = f"{self.path}:{line}"
        return prediction_of(row, place, self.task, self.problem_by_id, lenient)

    def _check_id(self, identifier: str, line: int, line_by_id: dict[str, int]) -> None:
        place = f"{self.path}:{line}"
        if identifier not in self.problem_by_id:
            raise DataError(
                f"{place}: the id {identifier!r} is not among the {len(self.problem_by_id)} ids of "
                f"{self.gold}. Grade against the file that was solved, or remove the row."
            )
        if identifier in line_by_id:
            raise DataError(
                f"{place}: a second prediction for {identifier!r}, after line "
                f"{line_by_id[identifier]}. Keep one per problem."
            )
        line_by_id[identifier] = line


def _graded_row(
    task: Task, prediction: Prediction, problem_by_id: Mapping[str, Problem]
) -> dict[str, Any]:
    correct = _is_right(task, prediction, problem_by_id)
    return {"id": prediction.problem_id, "answer": prediction.answer, "correct": correct}


def _is_right(task: Task, prediction: Prediction, problem_by_id: Mapping[str, Problem]) -> bool:
    golds = task.golds(problem_by_id[prediction.problem_id])
    return any(task.same(prediction.answer, gold) for gold in golds)


def _by_harness(
    answers: Sequence[Prediction], problems: Sequence[Problem], task: Task
) -> HarnessScores:
    """The same answers, graded by lm-evaluation-harness. Raises RecipeError for a task whose
    answers are parts of longer ones."""
    if task.assemble is not None:
        raise RecipeError(f"--with {HARNESS}: task {task.name!r} is graded as whole reports.")
    from smallsteps.publishing.harness import harness_scores

    return harness_scores(answers, problems)


def _print_harness(
    harness: HarnessScores,
    answers: Sequence[Prediction],
    problem_by_id: Mapping[str, Problem],
    task: Task,
) -> None:
    """The harness's figures, and the first answers that it grades in another way."""
    ours = {answer.problem_id: _is_right(task, answer, problem_by_id) for answer in answers}
    for name, value in harness.values.items():
        right = harness.right[name]
        others = [problem for problem in ours if right[problem] != ours[problem]]
        shown = ", ".join(others[:MAX_OTHERS]) + (", ..." if len(others) > MAX_OTHERS else "")
        parted = f"; another verdict than ours on {len(others)}: {shown}" if others else ""
        say(
            f"exact_match = {value:.1f} | {name} of lm-eval {harness.version} | n:{len(right)}"
            f"{parted}"
        )


def _print_json(scores: Sequence[Score], harness: HarnessScores | None = None) -> None:
    main_score, *further = scores
    row = main_score.to_row()
    if further:
        row["metrics"] = {
            score.metric: {"value": score.value, "low": score.low, "high": score.high}
            for score in further
        }
    if harness is not None:
        row[HARNESS] = {"version": harness.version, **harness.values}
    json.dump(row, sys.stdout, ensure_ascii=False, indent=1)
    print()


def _print_signatures(scores: Sequence[Score]) -> None:
    for score in scores:
        say(score.signature())
    if scores[0].missing:
        say(
            f"{scores[0].missing} of {scores[0].n} problems have no prediction; they count as wrong"
        )
