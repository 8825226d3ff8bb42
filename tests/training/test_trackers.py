"""Trackers get the rows of the curves."""

from __future__ import annotations

import pytest

from smallsteps.training.fit import fit
from smallsteps.training.settings import TrainSettings

pytest.importorskip("tensorboard", reason="pip install tensorboard")

SETTINGS = TrainSettings(
    passes=2, update_examples=8, learning_rate=3e-3, evaluations=2, report_to=["tensorboard"]
)
"""24 examples: six updates, evaluated after the third and the sixth."""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_has_every_update_and_evaluation_and_training_ends_the_same(
    tiny, direct, task, tmp_path
):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    figures = iter([10.0, 30.0])
    result = fit(
        tiny("t5"),
        direct(24),
        direct(4, 1, "v"),
        SETTINGS,
        tmp_path / "run",
        task=task,
        metric=lambda student: next(figures),
    )
    (file,) = (tmp_path / "run").rglob("events.out.tfevents.*")
    events = EventAccumulator(str(file))
    events.Reload()
    scalars = {
        name: [(event.step, pytest.approx(event.value, rel=1e-5)) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }
    losses = [(row["update"], row["train_loss"]) for row in result.curves]
    assert scalars["train/train_loss"] == losses and len(losses) == 6
    assert scalars["eval/metric"] == [(3, 10.0), (6, 30.0)]
    evaluated = [row for row in result.curves if "metric" in row]
    assert scalars["eval/loss"] == [(row["update"], row["validation_loss"]) for row in evaluated]
    quiet = fit(
        tiny("t5"),
        direct(24),
        direct(4, 1, "v"),
        SETTINGS.changed(report_to=[]),
        tmp_path / "quiet",
        task=task,
    )
    assert [row["train_loss"] for row in quiet.curves] == [
        row["train_loss"] for row in result.curves
    ]
