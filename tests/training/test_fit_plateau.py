"""Training until the plateau: it ends where the figure on validation does not rise any more,
wherever it was stopped in between."""

from __future__ import annotations

import json

import pytest
from safetensors.torch import load_file

from interrupted import Killed, assert_identical, stop_in, weights
from launched_processes import in_processes
from smallsteps.errors import TrainingError
from smallsteps.students.loading import load_student
from smallsteps.training import fit as fit_module
from smallsteps.training import trainer as trainer_module
from smallsteps.training.fit import Training, fit
from smallsteps.training.settings import TrainSettings
from smallsteps.training.trainer import UpdateTrainer

SETTINGS = TrainSettings(
    passes=8,
    update_examples=8,
    learning_rate=3e-3,
    evaluations=8,
    micro_batch_tokens=300,
    until="plateau",
    patience=2,
)
"""24 examples: 24 updates at most, evaluated after 3, 6, ... 24, as a pass has three updates."""
FIGURES = {3: 3.0, 6: 7.0, 9: 5.0, 12: 7.0, 15: 9.0, 18: 9.0, 21: 9.0, 24: 9.0}
"""After the fourth evaluation two have brought nothing better than the second."""


def trained(student, examples, out, task, settings=SETTINGS, figures=FIGURES, **more):
    """Trains with a metric that depends on the number of updates alone, also after a resume."""
    done = [0]

    def count(update, total, row):
        done[0] = update

    def metric(student):
        return figures[3 * (done[0] // 3 + 1)]

    return fit(
        student, examples, [], settings, out, task=task, metric=metric, progress=count, **more
    )


def test_training_ends_after_so_many_evaluations_without_gain(tiny, direct, task, tmp_path):
    result = trained(tiny("t5"), direct(24), tmp_path / "run", task)
    assert (result.plateau, result.updates, len(result.curves)) == (True, 12, 12)
    assert result.passes == 4.0
    assert result.train_tokens == result.curves[-1]["tokens"]
    assert (result.selections["metric"].update, result.selections["metric"].value) == (6, 7.0)
    assert [row["without_gain"] for row in result.curves if "metric" in row] == [0, 0, 1, 2]
    assert [(chosen.update, chosen.value) for chosen in result.trail] == [(3, 3.0), (6, 7.0)]
    for chosen in result.trail:
        load_student(tmp_path / "run" / chosen.folder, device="cpu")
    kept = {path.name for path in (tmp_path / "run").glob("candidate-*")}
    best = {chosen.folder for chosen in result.selections.values()}
    assert kept == best | {"candidate-3", "candidate-6"}


def test_the_weights_are_those_of_a_training_that_nothing_ended(tiny, direct, task, tmp_path):
    """What an evaluation decides changes nothing of what was trained until then."""
    patient = SETTINGS.changed(patience=7)
    for name, settings in (("short", SETTINGS), ("long", patient)):
        # the same warm-up, which depends on the patience
        share = settings.warmup_share * 3 / (settings.patience + 1)
        changed = settings.changed(warmup_share=share)
        result = trained(tiny("t5"), direct(24), tmp_path / name, task, changed)
        assert result.plateau is (name == "short")
    one, other = (
        load_file(tmp_path / name / "candidate-6" / "model.safetensors")
        for name in ("short", "long")
    )
    assert_identical(one, other)


def test_a_limit_that_comes_first_is_no_plateau(tiny, direct, task, tmp_path):
    rising = {update: float(update) for update in FIGURES}
    result = trained(tiny("t5"), direct(24), tmp_path / "run", task, figures=rising)
    assert (result.plateau, result.updates) == (False, 24)
    assert len(result.trail) == 8


def test_without_a_metric_the_loss_on_validation_is_watched(tiny, direct, task, tmp_path):
    settings = SETTINGS.changed(learning_rate=1e-12, patience=3)  # nothing is learnt
    student = tiny("t5")
    result = fit(student, direct(24), direct(6, 1, "v"), settings, tmp_path / "run", task=task)
    losses = [row["validation_loss"] for row in result.curves if "validation_loss" in row]
    best = losses.index(min(losses)) + 1
    assert result.plateau is True and len(losses) == best + 3
    assert result.trail[-1].value == min(losses)


def test_without_any_figure_on_validation_it_is_refused(tiny, direct, task, tmp_path):
    with pytest.raises(
        TrainingError, match=r"until=plateau: there is no figure to watch. Give val"
    ):
        fit(tiny("t5"), direct(24), [], SETTINGS, tmp_path / "run", task=task)


@pytest.mark.parametrize(
    ("name", "at", "owner", "before"),
    [
        ("training_step", 8, UpdateTrainer, False),
        ("evaluate", 2, UpdateTrainer, False),  # a candidate without its checkpoint
        ("evaluate", 4, UpdateTrainer, False),  # the plateau is seen, and not noted yet
        ("complete", 7, trainer_module, True),  # the checkpoint of the plateau is torn
        ("tidy", 4, trainer_module, False),  # it is whole, and training not ended
        ("write_result", 1, fit_module, True),
        ("write_result", 1, fit_module, False),
    ],
)
def test_stopped_anywhere_it_ends_at_the_same_place_with_the_same_weights(
    tiny, direct, task, tmp_path, monkeypatch, name, at, owner, before
):
    straight_student, student = tiny("t5"), tiny("t5")
    straight = trained(straight_student, direct(24), tmp_path / "straight", task)
    with monkeypatch.context() as patch:
        stop_in(patch, name, at, owner, before)
        with pytest.raises(Killed):
            trained(tiny("t5"), direct(24), tmp_path / "stopped", task)
    resumed = trained(student, direct(24), tmp_path / "stopped", task)
    assert (resumed.updates, resumed.plateau) == (straight.updates, True) == (12, True)
    assert (resumed.selections, resumed.trail) == (straight.selections, straight.trail)
    for chosen in straight.trail:
        one, other = (
            load_file(tmp_path / place / chosen.folder / "model.safetensors")
            for place in ("straight", "stopped")
        )
        assert_identical(one, other)
    names = [
        sorted(path.name for path in (tmp_path / place).iterdir())
        for place in ("straight", "stopped")
    ]
    assert names[0] == names[1], "no orphan"
    if name in ("training_step", "evaluate"):
        assert_identical(weights(straight_student), weights(student))


def test_a_caller_may_end_the_training_itself(tiny, direct, task, tmp_path):
    """As a pair ends its halves: no half watches anything, and each result is of what was
    trained."""
    training = Training(
        tiny("t5"), direct(24), [], SETTINGS, tmp_path / "run", task=task, ends_at_plateau=False
    )
    training.go_on(3)
    training.go_on(6)
    result = training.finish()
    assert (result.updates, len(result.curves), result.plateau, result.trail) == (6, 6, None, [])
    assert result.train_tokens == sum(training.plan.tokens[:6])
    assert training.update == 6, "of a finished training"


def test_a_long_limit_does_not_prolong_the_warm_up(tiny, direct, task, tmp_path):
    """Until the plateau the beginning is the same, whatever the limit, if evaluations are as
    dense."""
    longer = SETTINGS.changed(passes=12, evaluations=12)
    rates = []
    for name, settings in (("short", SETTINGS), ("long", longer)):
        settings = settings.changed(warmup_share=0.9)
        rows = trained(tiny("t5"), direct(24), tmp_path / name, task, settings).curves
        rates.append([row["lr"] for row in rows])
    assert rates[0] == pytest.approx(rates[1][: len(rates[0])], rel=0.03)
    assert rates[0][0] < 0.2 * 3e-3 and rates[0][-1] == 3e-3


def test_two_processes_end_together(tiny, direct, task, tmp_path):
    """Only the first measures; a process that did not follow would wait for ever."""
    tiny("t5").save(tmp_path / "student")
    figures = iter([3.0, 7.0, 5.0, 7.0])

    def work(rank):
        student = load_student(tmp_path / "student", device="cpu")
        metric = {"metric": lambda student: next(figures)}
        fit(student, direct(24), [], SETTINGS, tmp_path / "two", task=task, **metric)
        return rank

    assert in_processes(work) == [0, 1]
    result = json.loads((tmp_path / "two" / "result.json").read_text())
    assert (result["plateau"], result["updates"], result["processes"]) == (True, 12, 2)
