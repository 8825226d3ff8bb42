"""`smallsteps grade`: prediction rows of any tool against gold rows → the figure, and a verdict for
each prediction."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from smallsteps.cli.progress import Terminal, say
from smallsteps.errors import DataError
from smallsteps.outputs import check_output
from smallsteps.records import Kind, Prediction, Problem, Stopped
from smallsteps.tasks import Task
from smallsteps.tasks.files import at, identified, read_problems, read_rows, write_rows
from smallsteps.tasks.rows import problem_of, scalar, type_name
from smallsteps.tasks.spoken import task_for


def grade_file(
    predictions: Path,
    gold: Path,
    task_name: str,
    as_json: bool = False,
    columns: Mapping[str, str] | None = None,
    lenient: bool = False,
    rows: Path | None = None,
) -> None:
    """Prints the figures with their signatures, or as fields; `rows`: a file for one verdict a
    prediction, in order.

    Raises DataError, with file and line, on a prediction that cannot be read, that answers no gold
    problem, or a second one for the same problem."""
    from smallsteps.evaluation.grade import grade

    if rows is not None:
        check_output(rows, "--rows", [predictions, gold])
    task = task_for(task_name, [gold], columns, say=Terminal().say)
    problems = gold_problems(gold, task, columns or {})
    wholes = problems if task.wholes is None else task.wholes(problems)
    by_id = {problem.id: problem for problem in [*problems, *wholes]}
    answers = _read_predictions(predictions, gold, task, by_id, lenient)
    score, *further = (
        grade(answers, problems, task, dataset=gold.stem, decode="unknown", seed=None, metric=name)
        for name in (task.metric, *task.also)
    )
    if rows is not None:
        write_rows(
            rows,
            (_verdict(task, prediction, by_id[prediction.problem_id]) for prediction in answers),
        )
    if as_json:
        row = score.to_row()
        if further:
            row["metrics"] = {
                other.metric: {"value": other.value, "low": other.low, "high": other.high}
                for other in further
            }
        json.dump(row, sys.stdout, ensure_ascii=False, indent=1)
        print()
        return
    for figure in (score, *further):
        say(figure.signature())
    if score.missing:
        say(f"{score.missing} of {score.n} problems have no prediction; they count as wrong")


def gold_problems(path: Path, task: Task, columns: Mapping[str, str]) -> list[Problem]:
    """The problems of a gold file, each with its answer; a question is not needed. Raises DataError
    where an answer is missing."""
    if task.prepare is not None:
        problems = read_problems(path, task, columns, Terminal().say)
    else:
        problems = []
        for place, identifier, row in identified(path, task, columns, Terminal().say):
            with at(place):
                named = {**row, "question": row.get("question") or identifier}
                problems.append(problem_of(named, identifier, task))
    lacking = next((problem for problem in problems if problem.answer is None), None)
    if lacking is not None:
        raise DataError(
            f"{path} ({lacking.id}): no gold answer to grade against. Add an `answer` to the row."
        )
    return problems


def _read_predictions(
    path: Path, gold: Path, task: Task, by_id: Mapping[str, Problem], lenient: bool
) -> list[Prediction]:
    answers: list[Prediction] = []
    lines: dict[str, int] = {}
    readable = 0  # by the lenient rule, among those that the strict rule does not read
    for line, row in read_rows(path):
        place = f"{path}:{line}"
        prediction = prediction_of(row, place, task, by_id, lenient)
        name = prediction.problem_id
        if name not in by_id:
            raise DataError(
                f"{place}: the id {name!r} is not among the {len(by_id)} ids of {gold}. Grade against the file that "
                "was solved, or take the row out."
            )
        if name in lines:
            raise DataError(
                f"{place}: a second prediction for {name!r}, after line {lines[name]}. Keep one for each problem."
            )
        lines[name] = line
        answers.append(prediction)
        if prediction.answer is None and not lenient:
            readable += prediction_of(row, place, task, by_id, lenient=True).answer is not None
    unread = sum(prediction.answer is None for prediction in answers)
    if 2 * readable > len(answers):
        Terminal().say(f"{unread} of {len(answers)} answers could not be read: try --lenient")
    return answers


def _verdict(task: Task, prediction: Prediction, problem: Problem) -> dict[str, Any]:
    correct = any(task.same(prediction.answer, answer) for answer in task.golds(problem))
    return {"id": prediction.problem_id, "answer": prediction.answer, "correct": correct}


# ---- one row ----


def prediction_of(
    row: Mapping[str, Any],
    place: str,
    task: Task | None = None,
    problems: Mapping[str, Problem] | None = None,
    lenient: bool = False,
) -> Prediction:
    """A prediction from a row: `id` and `answer` (null: none), or `id` and `text`, from which
    `task` extracts the answer, with the choices of its problem. `lenient`: what holds no answer is
    read by the lenient rule.

    Raises DataError, which begins with `place`, where a field is missing or of another type.
    """
    with at(place):
        identifier = scalar(row, "id")
        if identifier is None:
            raise DataError(
                'no field \'id\'. Expected id and text, or id and answer, such as {"id": …, "text": …}'
            )
        text = _text(row, "text")
        if "text" not in row and "answer" not in row:
            raise DataError(
                "neither 'text' nor 'answer'. Expected id and text, or id and answer (null: none), as "
                "`smallsteps solve` and `guide` write them"
            )
        answer = scalar(row, "answer")
        if (
            answer is None
            and text is not None
            and task is not None
            and (lenient or "answer" not in row)
        ):
            answer = task.extract(text, lenient, (problems or {}).get(identifier))
        return Prediction(
            id=identifier,
            problem_id=identifier,
            text=text or _text(row, "rationale") or "",
            segments=_segments(row.get("segments")),
            answer=answer,
            stopped=_stopped(row.get("stopped")),
            tokens=_tokens(row.get("tokens")),
            author="file",
        )


def _text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise DataError(f"field {name!r} must be text, got {type_name(value)}. Write it in quotes.")
    return (
        value if value is None else value.encode("utf-8", "replace").decode("utf-8")
    )  # half characters


def _segments(value: object) -> tuple[tuple[Kind | None, str], ...]:
    if value is None:
        return ()
    kinds = (None, *get_args(Kind))
    segments: list[tuple[Kind | None, str]] = []
    for segment in value if isinstance(value, list) else [value]:
        kind, text = (
            (segment.get("kind"), segment.get("text"))
            if isinstance(segment, dict)
            else (None, None)
        )
        if not isinstance(value, list) or not isinstance(text, str) or kind not in kinds:
            shown = f"{type_name(segment)} in it" if isinstance(value, list) else type_name(value)
            raise DataError(
                f'field \'segments\' must be a list of {{"kind": "ES", "AS" or null, "text": "…"}}, got {shown}.'
            )
        segments.append((kind, text))
    return tuple(segments)


def _stopped(value: object) -> Stopped:
    known: Sequence[Stopped] = get_args(Stopped)
    if value is None:
        return "end"
    for name in known:
        if value == name:
            return name
    raise DataError(
        f"field 'stopped' must be {', '.join(known)} or null, got {json.dumps(value)[:40]}."
    )


def _tokens(value: object) -> int:
    if value is None:
        return 0
    count = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
    if not math.isfinite(count) or count < 0 or count != int(count) or count > 2**53:
        raise DataError(
            f"field 'tokens' must be a whole number from 0, got {json.dumps(value)[:40]}."
        )
    return int(count)
