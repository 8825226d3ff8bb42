"""The results of a run: the typed records behind `results.json` (those of scores and tests:
`score_results.py`; of data, budget and provenance: `run_facts.py`).

The runner makes one `Results`, `write_results` writes it, `read_results` reads it; the page, the
terminal and users read these records and nothing else. The docstrings here are the schema of the
file. Every key is in the file; a value that does not exist is null. Values of metrics lie between
0 and 100, intervals are 95 % intervals.

A method that reports more than arms (rounds, refinement) owns a record for it: a subclass of
`MethodResults` in `smallsteps/methods/<method>/results.py`, registered in `METHOD_RESULTS`. A new
method needs no change here."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import Field, SerializeAsAny, ValidationError, field_validator

from smallsteps.disk import read_object, write_json
from smallsteps.errors import RunFolderError
from smallsteps.experiment.result_record import Figure, ResultRecord
from smallsteps.experiment.run_facts import BestStudent, BudgetFacts, DataFacts, Provenance
from smallsteps.experiment.score_results import (
    ComparisonResult,
    FurtherComparison,
    FurtherResult,
    JoinedFurtherResult,
    PaperProtocolResult,
    PointComparison,
    PointResult,
    PooledResult,
    ScoreResult,
)
from smallsteps.experiment.why_results import WhyResults

SCHEMA_VERSION = 2
"""Raised when a key changes its name or meaning; files of other versions are refused."""
FILE_NAME = "results.json"


class CurvePoint(ResultRecord):
    """One evaluation during a training: what it had cost until then, and what was measured."""

    tokens: int
    """Tokens trained on."""
    passes: float
    """Passes over the arm's examples."""
    seconds: float
    """Of training, without evaluations."""
    evaluation_seconds: float
    """Of the evaluations so far, this one included."""
    validation: float | None
    """The task's metric on the validation problems; null: not measured."""
    validation_loss: float | None
    """Nats a target token; null: not measured, or the student is a pair."""


class RateResult(ResultRecord):
    """One learning rate in the search that precedes the training of an arm."""

    learning_rate: float
    validation: float | None
    """The metric on the validation problems; null: not measured, or the training diverged."""
    validation_loss: float | None
    """Nats a target token; null as above."""
    tokens: int
    """Tokens that this rate was trained on."""
    seconds: float
    diverged: bool = False


class ArmResult(ScoreResult):
    """One arm at one seed: its figure on the test problems, and what it cost."""

    method: str
    """The method that the arm belongs to: `baselines`, `as-es`, `tailored`, `guided`."""
    seed: int
    control: bool = False
    """A control or a ceiling, which no user can use: it never leads."""
    validation: float | None = None
    """The metric on the validation problems; null: not measured."""
    metrics: dict[str, Figure] = Field(default_factory=dict)
    """Further metrics on the test problems."""
    further: dict[str, Figure] = Field(default_factory=dict)
    """Further test set → the figure on it, by the metric of its task."""
    train_tokens: int | None = None
    """Tokens trained on: source and target, without padding. Null: the arm trains nothing."""
    all_tokens: int | None = None
    """Tokens that went through the model; more than `train_tokens` where positives and negatives of
    a contrast are read too."""
    passes: float | None = None
    """Passes over the arm's examples."""
    seconds: float | None = None
    """Of training, without evaluations."""
    seconds_per_answer: float
    tokens_per_answer: float
    learning_rate: float | None = None
    """The highest rate of the schedule; null: nothing was trained, or the method has its own."""
    search: list[RateResult] = Field(default_factory=list)
    """The rates that were tried first, on top of `train_tokens`; empty: the recipe names one."""
    curve: list[CurvePoint] = Field(default_factory=list)
    """The evaluations of the training in their order; empty: nothing was trained."""
    plateau: bool | None = None
    """Whether the arm was trained until its plateau; false: the cap came first; null: the recipe
    ends training by tokens or passes."""
    scorer_tokens: int | None = None
    """Tokens that training the scorer of the segmentation cost beside `train_tokens`."""
    generated_tokens: int | None = None
    """Tokens that students wrote for the training of this one; null: it learnt from no own
    chains."""
    other_tokens: int | None = None
    """Tokens of the trainings beside `train_tokens` that a method with own chains needed: the
    student that wrote the first ones, and the other rounds."""
    teacher_calls: int | None = None
    """Replies that a teacher was asked for."""
    teacher_tokens: int | None = None
    """Tokens of these replies."""
    beta: float | None = None
    """Threshold factor of the segmentation."""
    round: int | None = None
    """The round whose student is reported: the best on validation."""
    student: str | None = None
    """The folder of the student, relative to the run folder; null: nothing was trained."""
    folder: str
    """The folder of predictions, grades and curves, relative to the run folder."""


class MethodResults(ResultRecord):
    """What one method reports beside its arms; each method has a subclass of its own."""


METHOD_RESULTS: dict[str, type[MethodResults]] = {}
"""Method → its record. Each method's module `results` adds its own when it is imported."""


def method_results(method: str) -> type[MethodResults] | None:
    """The record of a method; None: the method reports nothing beside its arms."""
    if method not in METHOD_RESULTS and method.replace("-", "").isalnum():
        with contextlib.suppress(ModuleNotFoundError):
            import_module(f"smallsteps.methods.{method.replace('-', '_')}.results")
    return METHOD_RESULTS.get(method)


class Results(ResultRecord):
    """All that a run found."""

    schema_version: int = SCHEMA_VERSION
    title: str
    about: str = ""
    command: str = ""
    """The command that started the run, as typed; empty: Python."""
    arms: list[ArmResult]
    """One for each arm and seed."""
    comparisons: list[ComparisonResult] = Field(default_factory=list)
    """Paired tests, seed by seed."""
    pooled: list[PooledResult] = Field(default_factory=list)
    """Each arm over all seeds; empty with one seed."""
    pooled_comparisons: list[ComparisonResult] = Field(default_factory=list)
    """Paired tests over all seeds; empty with one seed."""
    points: list[PointResult] = Field(default_factory=list)
    """Arms trained until their plateau, at three points of their way; else empty."""
    point_comparisons: list[PointComparison] = Field(default_factory=list)
    """Paired tests at these points."""
    further_tests: list[FurtherResult] = Field(default_factory=list)
    """Each arm on each further test set, over all seeds."""
    further_joined: list[JoinedFurtherResult] = Field(default_factory=list)
    """Each arm on the questions of all further test sets; empty where there is one set, or their
    metrics differ or are no mean over questions."""
    further_comparisons: list[FurtherComparison] = Field(default_factory=list)
    """Paired tests on each further test set and on all, of the arms that are tested on the main
    one."""
    paper_protocol: list[PaperProtocolResult] = Field(default_factory=list)
    why: WhyResults | None = None
    """Null: no arm writes chains."""
    data: DataFacts
    budget: BudgetFacts
    best: BestStudent | None
    """Null: nothing was trained."""
    methods: dict[str, SerializeAsAny[MethodResults]] = Field(default_factory=dict)
    """Method → what it reports beside its arms."""
    provenance: Provenance | None = None
    """Null only until the run has ended."""

    @field_validator("methods", mode="before")
    @classmethod
    def _typed_parts(cls, parts: Any) -> Any:
        """Each method's part as the method's own record."""
        if not isinstance(parts, Mapping):
            return parts
        return {name: _typed_part(name, part) for name, part in parts.items()}


def _typed_part(method: Any, part: Any) -> Any:
    if isinstance(part, MethodResults):
        return part
    record = method_results(str(method))
    if record is None:
        raise ValueError(f"no method {method!r} is installed that has results of its own")
    try:
        return record.model_validate(part)
    except ValidationError as error:
        raise ValueError(f"{method}.{_first_problem(error)}") from None


def write_results(folder: Path, results: Results) -> Path:
    """Writes `results.json` into the run folder, whole or not at all; returns its path."""
    path = folder / FILE_NAME
    write_json(path, results.model_dump())
    return path


def read_results(folder: Path | str) -> Results:
    """The results of a finished run.

    Raises RunFolderError where `results.json` is missing or damaged, or another version of
    smallsteps wrote it; the message names the file and the key."""
    path = Path(folder) / FILE_NAME
    if not path.exists():
        raise RunFolderError(
            f"{path}: no such file. The run has not finished: type its command again."
        )
    try:
        content = read_object(path)
    except ValueError as error:
        raise RunFolderError(
            f"{path}: {error}. Delete the file and type the run's command again."
        ) from None
    _check_version(path, content)
    try:
        return Results.model_validate(content)
    except ValidationError as error:
        raise RunFolderError(
            f"{path}: {_first_problem(error)}. Delete the file and type the run's command again."
        ) from None


def _check_version(path: Path, content: Mapping[str, Any]) -> None:
    version = content.get("schema_version")
    if version == SCHEMA_VERSION:
        return
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise RunFolderError(
            f"{path}: schema_version {version}, expected {SCHEMA_VERSION}: a newer smallsteps "
            "wrote this file. Update smallsteps to read it."
        )
    version_found = "no schema_version" if version is None else f"schema_version {version}"
    raise RunFolderError(
        f"{path}: {version_found}, expected {SCHEMA_VERSION}: an older smallsteps wrote this file. "
        "Run the recipe again in a new folder (--out DIR), or install that version to read it."
    )


def _first_problem(error: ValidationError) -> str:
    """`arms[0].value: Input should be a valid number`, and how many more there are."""
    problems = error.errors(include_url=False)
    first = problems[0]
    place = ""
    for part in first["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{place}: {first['msg']}{more}"
