"""Reads a finished run folder for the page: results, problems, gold chains, and the files of each
arm.

Every file but `results.json` may be missing, and the page leaves out what it would show. A file
that is there must be whole: a broken line is named by file and number.

    results.json                        experiment.results.Results
    problems.jsonl                      records.Problem, the test problems in the order of the page
    gold.jsonl                          GoldChain: problem_id, segments [{kind, text}], and, where
                                        they are known, tokens [{text, entropy}] and cut_by
    <folder of an arm>/predictions.jsonl    records.Prediction
                      /grades.jsonl         records.Grade
                      /curves.jsonl         one row for each update: update, tokens, train_loss,
                                            validation_loss, metric, seconds; half (ES, AS, pair)
                      /fates.jsonl          tailored learning: what became of each training question
                      /guided.jsonl         LM-guided chain of thought: what the reader was given
                      /refined.jsonl        LM-guided chain of thought: the steps of refinement"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from smallsteps.errors import DataError, RunFolderError
from smallsteps.experiment.results import ArmResult, Results, read_results
from smallsteps.records import Grade, Prediction, Problem, Record

R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class GoldChain:
    """The gold chain of one test problem."""

    problem_id: str
    segments: tuple[tuple[str, str], ...]
    """(kind, text); the texts joined are the chain."""
    tokens: tuple[tuple[str, float], ...] = ()
    """(text, entropy in nats); the texts joined are the chain. Empty: no entropies were written."""
    cut_by: str | None = None
    """The segmentation that cut it; None: its kinds are labels of the data."""


@dataclass(frozen=True)
class Arm:
    """One arm at one seed: its results and what lies in its folder."""

    result: ArmResult
    curves: tuple[Mapping[str, Any], ...]
    predictions: Mapping[str, Prediction]
    """By problem id; of several samples for one problem the first."""
    grades: Mapping[str, Grade]
    """By prediction id."""
    fates: tuple[Mapping[str, Any], ...]
    """Tailored learning: what became of each training question; else empty."""
    guided: tuple[Mapping[str, Any], ...]
    """LM-guided chain of thought: what the reader was given, and what it answered with and without
    it; else empty."""
    refined: tuple[Mapping[str, Any], ...]
    """The steps of its refinement by reinforcement learning; else empty."""
    further: int
    """Predictions beyond the first of their problem, which the page counts and does not show."""

    @property
    def name(self) -> str:
        return self.result.name

    @property
    def seed(self) -> int:
        return self.result.seed


@dataclass(frozen=True)
class Run:
    """Everything the page shows."""

    folder: Path
    results: Results
    problems: tuple[Problem, ...]
    gold: Mapping[str, GoldChain]
    arms: tuple[Arm, ...]


def read_run(folder: Path) -> Run:
    """The run in `folder`. Raises RunFolderError where results.json is missing or a file in it is
    damaged."""
    results = read_results(folder)
    arms = tuple(_arm(folder, result) for result in results.arms)
    problems = list(_records(folder / "problems.jsonl", Problem))
    known = {problem.id for problem in problems}
    for arm in arms:  # predictions without their problems are still worth reading
        for problem_id in arm.predictions:
            if problem_id not in known:
                known.add(problem_id)
                problems.append(Problem(problem_id, question=""))
    gold = {chain.problem_id: chain for chain in _gold(folder / "gold.jsonl")}
    return Run(folder, results, tuple(problems), gold, arms)


def _arm(folder: Path, result: ArmResult) -> Arm:
    place = folder / result.folder
    curves = tuple(r for _, r in _rows(place / "curves.jsonl"))
    first: dict[str, Prediction] = {}
    count = 0
    for prediction in _records(place / "predictions.jsonl", Prediction):
        first.setdefault(prediction.problem_id, prediction)
        count += 1
    grades = {grade.prediction_id: grade for grade in _records(place / "grades.jsonl", Grade)}
    fates = tuple(r for _, r in _rows(place / "fates.jsonl"))
    guided = tuple(r for _, r in _rows(place / "guided.jsonl"))
    refined = tuple(r for _, r in _rows(place / "refined.jsonl"))
    return Arm(result, curves, first, grades, fates, guided, refined, count - len(first))


def _gold(path: Path) -> Iterator[GoldChain]:
    for line, row in _rows(path):
        try:
            segments = tuple((str(s["kind"]), str(s["text"])) for s in row["segments"])
            tokens = tuple((str(t["text"]), float(t["entropy"])) for t in row.get("tokens") or ())
            yield GoldChain(str(row["problem_id"]), segments, tokens, row.get("cut_by"))
        except (KeyError, TypeError, ValueError) as error:
            raise RunFolderError(
                f"{path}:{line}: expected problem_id, segments [{{kind, text}}] and, optionally, "
                f"tokens [{{text, entropy}}]: {error!r}."
            ) from None


def _records(path: Path, record: type[R]) -> Iterator[R]:
    for line, row in _rows(path):
        try:
            yield record.from_row(row)
        except DataError as error:
            raise RunFolderError(f"{path}:{line}: {error}") from None


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of a JSONL file; nothing where the file is missing."""
    if not path.exists():
        return
    with path.open(encoding="utf-8") as lines:
        for number, text in enumerate(lines, start=1):
            if not text.strip():
                continue
            try:
                row = json.loads(text)
            except json.JSONDecodeError as error:
                raise RunFolderError(
                    f"{path}:{number}: expected one JSON object: {error}. Delete the file and run the command again."
                ) from None
            if not isinstance(row, dict):
                raise RunFolderError(
                    f"{path}:{number}: expected one JSON object, found {type(row).__name__}."
                )
            yield number, row
