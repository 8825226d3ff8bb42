"""The learning rate of an arm: the best of several, each tried by a short training.

    search/<arm>/rates.json     what each rate reached; the trainings themselves are deleted

Every arm searches by the same rule and at the same cost: `train.search_share` of its budget for
each rate, the arm's own examples, and the figure on validation at the end. So no arm is trained at
a rate that was chosen for another. The search is made once for an arm, at the first seed of the
run; its other seeds train at the rate that it found. A rate at which training diverges is passed
over."""

from __future__ import annotations

import contextlib
import gc
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from smallsteps import team
from smallsteps.disk import write_json
from smallsteps.errors import DivergenceError, TrainingError
from smallsteps.experiment.fail_points import fail_point
from smallsteps.experiment.results import RateResult
from smallsteps.experiment.trained import Trained
from smallsteps.students.student import Student
from smallsteps.training.checkpoints import CURVES, read_curves, trained_weights

RATES = "rates.json"


def search_rates(
    rates: Sequence[float], train: Callable[[float, Path], Trained], folder: Path
) -> None:
    """Tries every rate and leaves `rates.json` in `folder`. `train`: (rate, folder) → what a short
    training at this rate left. A call that goes on after a kill repeats no rate that is done."""
    done = _read(folder) if (folder / RATES).exists() else []
    for number, rate in enumerate(rates):
        place = folder / f"rate-{number}"
        if number >= len(done):
            done.append(team.agreed(_tried(rate, train, place)))
            if team.is_first():
                write_json(folder / RATES, [row.model_dump() for row in done])
        fail_point(f"after-rate:{number}")
        if team.is_first():
            shutil.rmtree(place, ignore_errors=True)


def read_rates(folder: Path, label: str) -> list[RateResult]:
    """What the rates reached. Raises TrainingError where training diverged at every one."""
    rates = _read(folder)
    if all(row.diverged for row in rates):
        tried = ", ".join(f"{row.learning_rate:g}" for row in rates)
        raise TrainingError(
            f"{label}: training diverged at every learning rate ({tried}). Name lower ones: "
            f"train.learning_rate={min(row.learning_rate for row in rates) / 10:g}"
        )
    return rates


def best_rate(rates: Sequence[RateResult]) -> float:
    """The rate of the best metric on validation; of equals the one of the lower loss there, then
    the one that was named first."""
    return max((row for row in rates if not row.diverged), key=_rank).learning_rate


def rate_lines(rates: Sequence[RateResult]) -> str:
    """What the search found, in a line: `0.001 (41.0 on validation, loss 1.2), 1 (diverged)`."""
    return ", ".join(f"{row.learning_rate:g} ({_figure(row)})" for row in rates)


def trial_note(rate: float) -> str:
    """What the label of a short training ends in."""
    return f"learning rate {rate:g}"


@contextlib.contextmanager
def starting_weights(students: Sequence[Student]) -> Iterator[Callable[[], None]]:
    """A function that gives the students back the weights that they have now, exactly: type,
    gradients and mode included. Adapters must be there already."""
    weights_before = [
        {name: value.detach().cpu().clone() for name, value in trained_weights(s.model).items()}
        for s in students
    ]

    def restore() -> None:
        for student, weights in zip(students, weights_before, strict=True):
            tensors: Mapping[str, torch.Tensor] = {
                **dict(student.model.named_parameters()),
                **dict(student.model.named_buffers()),
            }
            for name, value in weights.items():
                # training may have changed the type: half-precision weights become float32
                tensors[name].data = value.to(tensors[name].device, copy=True)
                tensors[name].grad = None
            student.model.eval()

    yield restore


def _tried(rate: float, train: Callable[[float, Path], Trained], place: Path) -> RateResult:
    trained = None
    with contextlib.suppress(DivergenceError):
        trained = train(rate, place)
    if trained is None:
        gc.collect()  # the optimizer of the training that was cut off
        return RateResult(
            learning_rate=rate,
            validation=None,
            validation_loss=None,
            diverged=True,
            **_spent(place),
        )
    loss = trained.validation_loss
    diverged = loss is not None and loss != loss
    return RateResult(
        learning_rate=rate,
        validation=None if diverged else trained.validation,
        validation_loss=None if diverged else loss,
        tokens=trained.train_tokens,
        seconds=round(trained.seconds, 3),
        diverged=diverged,
    )


def _spent(place: Path) -> dict[str, Any]:
    """Tokens and seconds of a training that diverged: of both, where a pair was trained."""
    ends = [rows[-1] for path in place.rglob(CURVES) if (rows := read_curves(path))]
    return {
        "tokens": sum(row["tokens"] for row in ends),
        "seconds": round(float(sum(row["seconds"] for row in ends)), 3),
    }


def _read(folder: Path) -> list[RateResult]:
    rows = json.loads((folder / RATES).read_text(encoding="utf-8"))
    return [RateResult.model_validate(row) for row in rows]


def _rank(row: RateResult) -> tuple[float, float]:
    lowest = float("-inf")
    return (
        lowest if row.validation is None else row.validation,
        lowest if row.validation_loss is None else -row.validation_loss,
    )


def _figure(row: RateResult) -> str:
    if row.diverged:
        return "diverged"
    parts = [] if row.validation is None else [f"{row.validation:.1f} on validation"]
    if row.validation_loss is not None:
        parts.append(f"loss {row.validation_loss:.3g}")
    return ", ".join(parts)
