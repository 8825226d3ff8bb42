"""The report of `smollm2.py`: figures of all arms that have their answers, and paired differences.

Reads run folders that may still be under way: only stages that are complete count.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsteps.evaluation.comparison import compare_scores, pool_scores
from smallsteps.evaluation.grade import Score, grade
from smallsteps.records import Prediction
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_problems


@dataclass(frozen=True)
class Result:
    """One arm of one job on one test set."""

    job: Mapping[str, Any]
    arm: str
    test: str
    """Name of the test set."""
    score: Score
    tokens: float
    """Written for an answer, in the mean."""
    trained: Mapping[str, Any]
    """Tokens, seconds, validation and curves of its training."""


def write_report(out: Path, jobs: Sequence[Mapping[str, Any]], note: str, seconds: float) -> None:
    """Writes report.md, results.jsonl and predictions.jsonl into `out`."""
    results: list[Result] = []
    predictions: list[dict[str, Any]] = []
    for job in jobs:
        for arm, test, file in _answers(job):
            result, rows = _read(job, arm, test, file)
            results.append(result)
            predictions += rows
    _write(out / "predictions.jsonl", predictions)
    _write(out / "results.jsonl", [_row(result) for result in results])
    (out / "report.md").write_text(_text(results, jobs, note, seconds), encoding="utf-8")


def _answers(job: Mapping[str, Any]) -> list[tuple[str, str, Path]]:
    """(arm, test set, file of predictions) of what a job has answered so far."""
    folder = Path(job["folder"])
    single = folder / "answers.jsonl"
    if single.is_file():
        return [("untrained", job["task"], single)]
    found = []
    for manifest in sorted(folder.glob("arms/*/answers*/manifest.json")):
        stage = manifest.parent
        test = stage.name.removeprefix("answers").removeprefix("-") or job["task"]
        found.append((stage.parent.name.rpartition("-seed")[0], test, stage / "parts.jsonl"))
    return found


def _read(
    job: Mapping[str, Any], arm: str, test: str, file: Path
) -> tuple[Result, list[dict[str, Any]]]:
    task = get_task(test)
    problems = read_problems(Path(job["test"]).with_name(f"{test}-round{job['round']}.jsonl"), task)
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    if arm == "untrained":
        texts = {row["id"]: row for row in rows}
        given = []
        for (
            problem
        ) in problems:  # it never learnt the closing phrase, so its answers are read off leniently
            row = texts[problem.id]
            answer = task.extract(row["text"], True, problem)
            given.append(
                Prediction(
                    f"{problem.id}/prediction",
                    problem.id,
                    row["text"],
                    (),
                    answer,
                    row["stopped"],
                    row["tokens"],
                )
            )
    else:
        given = [Prediction.from_row(row) for row in rows]
    score = grade(given, problems, task, dataset=test, seed=job["seed"])
    training = file.parents[1] / "training" / "trained.json"
    trained = json.loads(training.read_text(encoding="utf-8")) if training.is_file() else {}
    kept = [
        {
            "job": job["job"],
            "arm": arm,
            "test": test,
            "id": p.problem_id,
            "text": p.text,
            "answer": p.answer,
            "correct": g.value,
            "tokens": p.tokens,
            "stopped": p.stopped,
        }
        for p, g in zip(given, score.grades, strict=True)
    ]
    mean = sum(prediction.tokens for prediction in given) / max(1, len(given))
    return Result(job, arm, test, score, mean, trained), kept


def _row(result: Result) -> dict[str, Any]:
    """A line of results.jsonl."""
    job = {
        key: value
        for key, value in result.job.items()
        if key not in ("folder", "test", "task", "arms")
    }
    return {**job, "arm": result.arm, **result.score.to_row(), "training": result.trained}


def _text(
    results: Sequence[Result], jobs: Sequence[Mapping[str, Any]], note: str, seconds: float
) -> str:
    """The report in Markdown."""
    lines = [
        "# SmolLM2-135M-Instruct: direct fine-tuning and AS-ES learning",
        "",
        f"{note}. {seconds:.0f} s in all.",
        "",
    ]
    lines += ["| job | state | seconds |", "| --- | --- | --- |"]
    lines += [f"| {job['job']} | {job['state']} | {job['seconds']:.0f} |" for job in jobs]
    lines += [
        "",
        "| round | test | arm | learning rate | seeds | accuracy, 95 % | n | unparsed "
        "| against direct, 95 % | p |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    groups = _groups(results)
    for (round_, test, rate, arm), group in groups.items():
        score = pool_scores([group[seed].score for seed in sorted(group)])
        seeds = ", ".join(map(str, sorted(group)))
        figure = f"{score.value:.1f} [{score.low:.1f}, {score.high:.1f}]"
        against = (
            _against(group, groups.get((round_, test, rate, "direct"), {}))
            if arm not in ("direct", "untrained")
            else "|"
        )
        unparsed = f"{score.unparsed} of {score.n * len(group)}"
        lines.append(
            f"| {round_} | {test} | {arm} | {rate:g} | {seeds} | {figure} | {score.n} "
            f"| {unparsed} | {against} |"
        )
    lines += [
        "",
        "| job | arm | tokens | passes | training, s | tokens/s | validation | tokens an answer |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for result in results:
        trained = result.trained
        if trained and result.test == result.job["task"]:
            speed = trained["train_tokens"] / max(trained["seconds"], 1e-3)
            lines.append(
                f"| {result.job['job']} | {result.arm} | {trained['train_tokens']:,} "
                f"| {trained['passes']:.2f} | {trained['seconds']:.0f} | {speed:,.0f} "
                f"| {trained['validation']:.1f} | {result.tokens:.0f} |"
            )
    return "\n".join(lines) + "\n"


def _groups(results: Sequence[Result]) -> dict[tuple[int, str, float, str], dict[int, Result]]:
    """(round, test set, learning rate, arm) -> seed -> result."""
    groups: dict[tuple[int, str, float, str], dict[int, Result]] = defaultdict(dict)
    for result in results:
        key = (result.job["round"], result.test, result.job["learning_rate"], result.arm)
        groups[key][result.job["seed"]] = result
    return groups


def _against(group: Mapping[int, Result], direct: Mapping[int, Result]) -> str:
    """Two cells: paired difference to `direct` over shared seeds, and its p-value."""
    shared = sorted(set(group) & set(direct))
    if not shared:
        return "|"
    comparison = compare_scores(
        pool_scores([group[seed].score for seed in shared]),
        pool_scores([direct[seed].score for seed in shared]),
    )
    interval = f"[{comparison.low:+.1f}, {comparison.high:+.1f}]"
    return f"{comparison.difference:+.1f} {interval} | {comparison.p_bootstrap:.3f}"


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
