"""The files of a run folder that the page shows beside `results.json`, written and read.

    problems.jsonl          records.Problem, the test problems in the order of the page
    gold.jsonl              GoldChain of each test problem that has one
    <folder of an arm>/     ArmFiles
        predictions.jsonl   records.Prediction, one for each test problem
        grades.jsonl        records.Grade of each prediction
        curves.jsonl        one row for each update: update, tokens, seconds, train_loss, and where
                            they were measured validation_loss and metric; `half` (ES, AS, pair) in
                            the curves of a dual pair
        <name>.jsonl        rows that only one method has: `fates` (methods/tailored), `guided` and
                            `refined` (methods/guided)

Every file may be missing when it is read. A file that is there must be whole: a damaged line is
named by file and number."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from smallsteps.errors import DataError, RunFolderError, json_fault
from smallsteps.records import Chain, Grade, Prediction, Problem
from smallsteps.tasks.files import write_rows

Row = Mapping[str, Any]
COMMON = ("predictions", "grades", "curves")
"""Files that the arms of every method have."""


@dataclass(frozen=True)
class GoldChain:
    """The gold chain of one test problem."""

    problem_id: str
    segments: tuple[tuple[str, str], ...]
    """(kind, text); the texts joined are the chain."""
    tokens: tuple[tuple[str, float], ...] = ()
    """(text, entropy in nats); the texts joined are the chain. Empty: entropies are not known."""
    cut_by: str | None = None
    """The segmentation that cut it; None: its kinds are labels of the data."""

    @classmethod
    def uncut(cls, chain: Chain) -> Self:
        """A gold chain as it is in the data, without a student's scores."""
        return cls(chain.problem.id, chain.rationale.gold or (("ES", chain.rationale.text),))

    def to_row(self) -> dict[str, Any]:
        """The chain as a JSON object; what is not known is left out."""
        row: dict[str, Any] = {
            "problem_id": self.problem_id,
            "segments": [{"kind": kind, "text": text} for kind, text in self.segments],
        }
        if self.tokens:
            row["tokens"] = [{"text": text, "entropy": entropy} for text, entropy in self.tokens]
        if self.cut_by is not None:
            row["cut_by"] = self.cut_by
        return row

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """The chain back from `to_row`. Raises DataError on a missing or wrong field."""
        try:
            return cls(
                str(row["problem_id"]),
                tuple((str(s["kind"]), str(s["text"])) for s in row["segments"]),
                tuple((str(t["text"]), float(t["entropy"])) for t in row.get("tokens") or ()),
                row.get("cut_by"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                "expected problem_id, segments [{kind, text}] and, optionally, "
                f"tokens [{{text, entropy}}]: {error!r}."
            ) from None


R = TypeVar("R", Problem, Prediction, Grade, GoldChain)


@dataclass(frozen=True)
class ArmFiles:
    """What an arm wrote at one seed, and how it learnt to."""

    predictions: Sequence[Prediction]
    grades: Sequence[Grade]
    curves: Sequence[Row] = ()
    details: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    """Name → rows that only one method has."""


# ---- writing ----


def write_test_set(
    run_folder: Path, problems: Iterable[Problem], gold: Sequence[GoldChain]
) -> None:
    """Writes the test problems and their gold chains; without gold chains no file for them."""
    write_rows(run_folder / "problems.jsonl", (problem.to_row() for problem in problems))
    if gold:
        write_rows(run_folder / "gold.jsonl", (chain.to_row() for chain in gold))


def write_arm_files(folder: Path, files: ArmFiles) -> None:
    """Writes the files of an arm into its folder."""
    write_rows(folder / "predictions.jsonl", (p.to_row() for p in files.predictions))
    write_rows(folder / "grades.jsonl", (grade.to_row() for grade in files.grades))
    if files.curves:
        write_rows(folder / "curves.jsonl", files.curves)
    for name, rows in files.details.items():
        write_rows(folder / f"{name}.jsonl", rows)


# ---- reading ----


def read_test_set(run_folder: Path) -> tuple[list[Problem], list[GoldChain]]:
    """The test problems and their gold chains."""
    gold = _records(run_folder / "gold.jsonl", GoldChain)
    return list(_records(run_folder / "problems.jsonl", Problem)), list(gold)


def read_arm_files(folder: Path) -> ArmFiles:
    """The files of an arm. Raises RunFolderError where one is damaged."""
    others = [path for path in sorted(folder.glob("*.jsonl")) if path.stem not in COMMON]
    return ArmFiles(
        list(_records(folder / "predictions.jsonl", Prediction)),
        list(_records(folder / "grades.jsonl", Grade)),
        [row for _, row in _rows(folder / "curves.jsonl")],
        {path.stem: [row for _, row in _rows(path)] for path in others},
    )


def pages_with_details(run_folder: Path) -> list[str]:
    """The folders of arms with rows that only their method has, relative to the run folder. Such
    rows may speak of other arms."""
    return [
        folder.relative_to(run_folder).as_posix()
        for folder in sorted(run_folder.glob("arms/*/page"))
        if any(path.stem not in COMMON for path in folder.glob("*.jsonl"))
    ]


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
            place = f"{path}:{number}: expected one JSON object"
            try:
                row = json.loads(text)
            except json.JSONDecodeError as error:
                raise RunFolderError(
                    f"{place} ({json_fault(error)}). Delete the file and run the command again."
                ) from None
            if not isinstance(row, dict):
                raise RunFolderError(f"{place}, found {type(row).__name__}.")
            yield number, row
