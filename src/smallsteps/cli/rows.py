"""Commands that turn rows into rows: `segment`, `solve`, `grade`."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from smallsteps.cli.jobs import set_threads
from smallsteps.cli.progress import Terminal
from smallsteps.errors import DataError, RecipeError
from smallsteps.records import Prediction, Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains, read_problems, read_rows, write_rows


def segment_file(
    chains: Path, out: Path, strategy: str, task_name: str, student: str | None, beta: float, closing: str,
    columns: Mapping[str, str], device: str, show: int,
) -> None:  # fmt: skip
    """`smallsteps segment`: one row a chain, the shares, agreement with gold labels, some chains coloured."""
    from smallsteps.segments.agreement import gold_agreement, shares
    from smallsteps.segments.label import get_strategy, segment_chains

    task = get_task(task_name)
    get_strategy(strategy)
    if closing not in ("add", "keep"):
        raise RecipeError(f"--closing {closing}: expected add or keep")
    found = read_chains(chains, task, columns, closing="keep" if closing == "keep" else "add", allow_wrong=True)
    scorer: Any = None
    if student is not None:
        from smallsteps.students.student import load_student

        scorer = load_student(student, device=device)
    segments = segment_chains(found.chains, strategy, task=task, beta=beta, student=scorer)
    rows = (
        {
            "id": chain.problem.id, "question": chain.problem.question, "answer": chain.problem.answer,
            "chain": chain.rationale.text, "strategy": strategy,
            "segments": [_segment_row(s.kind, s.text, s.score) for s in own],
        }
        for chain, own in zip(found.chains, segments, strict=True)
    )  # fmt: skip
    write_rows(out, rows)
    console = Console(highlight=False)
    facts = shares(segments)
    console.print(
        f"{facts.chains} chains, {facts.segments} segments ({facts.segments_per_chain:.2f} a chain): "
        f"ES {facts.extractive:.1f} %, AS {facts.abstractive:.1f} % of segments, AS {facts.abstractive_characters:.1f} % of "
        f"characters; {facts.opens_abstractive:.1f} % of chains open with AS", markup=False, soft_wrap=True,
    )  # fmt: skip
    agreement = gold_agreement(found.chains, segments)
    if agreement is not None:
        console.print(f"against gold labels: {agreement}", markup=False, soft_wrap=True)
    from smallsteps.report.terminal import coloured

    for chain, own in list(zip(found.chains, segments, strict=True))[:show]:
        console.print(f"\n{chain.problem.id}: {chain.problem.question}", markup=False, style="dim")
        console.print(coloured(own))
    console.print(f"\nwritten: {out}", markup=False, soft_wrap=True)


def _segment_row(kind: str, text: str, score: float | None) -> dict[str, Any]:
    return {"kind": kind, "text": text, **({} if score is None else {"score": round(score, 5)})}


def prediction_row(prediction: Prediction) -> dict[str, Any]:
    """The row of `smallsteps solve`."""
    return {
        "id": prediction.problem_id, "text": prediction.text,
        "segments": [{"kind": kind, "text": text} for kind, text in prediction.segments],
        "answer": prediction.answer, "stopped": prediction.stopped, "tokens": prediction.tokens,
    }  # fmt: skip


def prediction_of(row: Mapping[str, Any], place: str) -> Prediction:
    """A prediction back from such a row, or from any with `id` and `answer`. Raises DataError that names what is missing."""
    for name in ("id", "answer"):
        if name not in row:
            raise DataError(
                f"{place}: no field {name!r}; expected id and answer (null: none), as `smallsteps solve` and `guide` write them"
            )
    segments = tuple((s["kind"], s["text"]) for s in row.get("segments", ()))
    return Prediction(
        str(row["id"]),
        str(row["id"]),
        str(row.get("text") or row.get("rationale") or ""),
        segments,
        row["answer"],
        row.get("stopped", "end"),
        int(row.get("tokens", 0)),
    )


def solve_question(
    model: str, question: str, task_name: str | None, dtype: str, temperature: float, seed: int, device: str
) -> None:
    """`smallsteps solve MODEL "question"`: segments as they are written."""
    from smallsteps.generation.generator import Decoding
    from smallsteps.generation.solve import load_solver, solve
    from smallsteps.report.terminal import segment_printer

    if not question.strip():
        raise DataError('the question is empty. Type it in quotes: smallsteps solve MODEL "How many …?"')
    solver = load_solver(model, task=get_task(task_name) if task_name else None, device=device, dtype=dtype)
    student, task = solver.student, solver.task
    console = Console(highlight=False)
    show = segment_printer(console, question if student.drive is not None and student.drive.path != "direct" else None)
    decoding = Decoding(temperature=temperature, seed=seed)
    problem = Problem("question", question.strip())
    for prediction in solve(
        student, [problem], task, solver.solving(), decoding, on_segment=lambda _, __, kind, text: show(kind, text)
    ):
        answer = "no answer could be read off" if prediction.answer is None else f"answer: {prediction.answer}"
        console.print(
            f"{answer}   ({prediction.tokens} tokens, stopped by {prediction.stopped})", markup=False, style="bold"
        )


def solve_file(
    model: str, source: Path, out: Path | None, task_name: str | None, batch_size: int, dtype: str, temperature: float,
    seed: int, columns: Mapping[str, str], device: str, threads: int | None,
) -> None:  # fmt: skip
    """`smallsteps solve MODEL FILE --out OUT`: many questions; rows done before an interruption are kept beside OUT."""
    from smallsteps.generation.generator import Decoding
    from smallsteps.generation.solve import load_solver, solve

    if out is None:
        raise RecipeError("name the file for the predictions: --out predictions.jsonl")
    set_threads(threads)
    if not source.is_file():
        read_rows(source).__next__()
    solver = load_solver(model, task=get_task(task_name) if task_name else None, device=device, dtype=dtype)
    student, task = solver.student, solver.task
    problems = read_problems(source, task, columns)
    wanted = {problem.id for problem in problems}
    decoding = Decoding(temperature=temperature, seed=seed)
    signature = {"model": model, "task": task.name, "decode": decoding.describe(), "dtype": dtype}
    kept = out.with_name(f".{out.name}.partial")
    done = {row["id"]: row for row in _resumed(kept, signature) if row["id"] in wanted}
    rest = [problem for problem in problems if problem.id not in done]
    kept.parent.mkdir(parents=True, exist_ok=True)
    with Terminal() as reporter, kept.open("w", encoding="utf-8") as file:
        if done:
            reporter.say(f"going on: {len(done)} of {len(problems)} are done")
        for row in (signature, *done.values()):
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        file.flush()
        for prediction in solve(student, rest, task, solver.solving(batch_size), decoding):
            done[prediction.problem_id] = prediction_row(prediction)
            file.write(json.dumps(done[prediction.problem_id], ensure_ascii=False) + "\n")
            file.flush()
            reporter.advance("answering", len(done), len(problems))
    write_rows(out, (done[problem.id] for problem in problems))
    kept.unlink()
    unparsed = sum(row["answer"] is None for row in done.values())
    print(f"{len(problems)} answers in {out}; no answer could be read off {unparsed}")
    if all(problem.answer is not None for problem in problems) and task.assemble is None:
        from smallsteps.evaluation.grade import grade

        predictions = [prediction_of(done[problem.id], str(out)) for problem in problems]
        print(
            grade(predictions, problems, task, dataset=source.stem, decode=decoding.describe(), seed=seed).signature()
        )


def _resumed(kept: Path, signature: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """Rows that an interrupted call with the same model and decoding left; the last line may be torn."""
    if not kept.is_file():
        return []
    rows = []
    for line in kept.read_text(encoding="utf-8").split("\n")[:-1]:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            break
    return rows[1:] if rows and rows[0] == signature else []


def grade_file(predictions: Path, gold: Path, task_name: str, as_json: bool, columns: Mapping[str, str]) -> None:
    """`smallsteps grade`: the figures with their signatures, or as fields."""
    from smallsteps.evaluation.grade import grade

    task = get_task(task_name)
    problems = read_problems(gold, task, columns)
    lacking = next((problem for problem in problems if problem.answer is None), None)
    if lacking is not None:
        raise DataError(f"{gold} ({lacking.id}): no gold answer to grade against. Add an `answer` to the row.")
    found = [prediction_of(row, f"{predictions}:{line}") for line, row in read_rows(predictions)]
    found = [replace(p, author="file") for p in found]
    score, *further = (
        grade(found, problems, task, dataset=gold.stem, metric=name) for name in (task.metric, *task.also)
    )
    if as_json:
        row = score.to_row()
        if further:
            row["metrics"] = {one.metric: {"value": one.value, "low": one.low, "high": one.high} for one in further}
        json.dump(row, sys.stdout, ensure_ascii=False, indent=1)
        print()
    else:
        for one in (score, *further):
            print(one.signature())
        if score.missing:
            print(f"{score.missing} of {score.n} problems have no prediction; they count as wrong")
