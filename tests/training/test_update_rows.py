"""Rows of the curves: by hand, and read late without a row too few or too many."""

from __future__ import annotations

import pytest
import torch

from smallsteps.errors import DivergenceError
from smallsteps.training.contrast import Contrast
from smallsteps.training.gradient import Gradient
from smallsteps.training.preflight import preflight
from smallsteps.training.settings import ContrastSettings, TrainSettings
from smallsteps.training.update_rows import UpdateRows
from smallsteps.training.updates import TrainingInputs, Updates


@pytest.fixture
def job(tiny, direct, task):
    def make(contrasted=0):
        student, examples = tiny("t5"), direct(8)
        settings = TrainSettings(
            passes=2, update_examples=4, learning_rate=0.5, schedule="constant", warmup_share=0.0
        )
        checked = preflight(student, examples, [], settings, task, 0)
        contrast = Contrast(examples[0].question, (((None, "then 3."),),), (((None, "no."),),))
        contrasts = {example.id: contrast for example in examples[:contrasted]}
        return TrainingInputs(student, task, checked, settings, contrasts, ContrastSettings())

    return make


def figures(loss, *contrast):
    return Gradient(torch.tensor(float(loss)), torch.tensor([*contrast, *[0.0] * 4][:4]))


def test_a_row_by_hand(job):
    made = job()
    rows, updates = UpdateRows(made), Updates(made)
    for number, loss in ((0, 2.0), (1, 1.0)):
        rows.add(updates.update(number), figures(loss))
        rows.read()
        rows.stamp(10.12345 + number)
    tokens = made.checked.plan.tokens
    assert list(rows.finished()) == [
        {"update": 1, "tokens": tokens[0], "train_loss": 2.0, "lr": 0.5, "seconds": 10.123},
        {"update": 2, "tokens": sum(tokens[:2]), "train_loss": 1.0, "lr": 0.5, "seconds": 11.123},
    ]
    weights = [updates.update(number).normaliser for number in (0, 1)]
    wanted = (2.0 * weights[0] + 1.0 * weights[1]) / sum(weights)
    assert rows.mean_loss() == pytest.approx(wanted)
    assert rows.mean_loss() == 0.0, "since the last call"


def test_contrasts_are_means_over_their_items(job):
    made = job(contrasted=8)
    rows, update = UpdateRows(made), Updates(made).update(0)
    rows.add(update, figures(2.0, 4.0, 2.0, -2.0, 3.0))
    rows.read()
    (row,) = rows.finished()
    assert row["usable"] == 1.0 and row["all_tokens"] == update.tokens
    names = ("triplet", "cos_positive", "cos_negative", "active")
    assert [row[name] for name in names] == [1.0, 0.5, -0.5, 0.75]


def test_rows_are_read_one_update_late_and_none_is_lost(job):
    made = job()
    rows, updates = UpdateRows(made), Updates(made)
    seen = []
    for number in range(4):
        rows.add(updates.update(number), figures(number + 1))
        rows.read(1)
        rows.stamp(float(number))
        seen.append([row["update"] for row in rows.finished(1)])
    assert seen == [[], [1], [2], [3]]
    rows.read()
    (last,) = rows.finished()
    assert (last["update"], last["train_loss"], last["seconds"]) == (4, 4.0, 3.0)


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_known_once_it_is_read(job, loss):
    made = job()
    rows, updates = UpdateRows(made), Updates(made)
    rows.add(updates.update(0), figures(loss))
    rows.read(1)
    rows.add(updates.update(1), figures(1.0))
    with pytest.raises(DivergenceError, match=rf"update 1: the loss is {loss}\. Lower learning_ra"):
        rows.read(1)
