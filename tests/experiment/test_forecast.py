"""The forecast of a run, by hand: seconds a token, then evaluations and test answers."""

import pytest

from smallsteps.experiment.forecast import Forecast

LABEL = "direct, seed 0"


def row(tokens, seconds, evaluated=False):
    return {"tokens": tokens, "seconds": seconds} | ({"train_loss_mean": 1.0} if evaluated else {})


def test_training_is_estimated_after_the_first_updates_and_evaluations_once_one_was_timed():
    forecast = Forecast({LABEL: 1000, "ases, seed 0": 1000}, evaluations=2, answers=5)
    assert forecast.left() is None and forecast.brief() == ""
    assert forecast.heard(LABEL, row(100, 60.0), 1060.0) is None
    assert forecast.heard(LABEL, row(200, 120.0), 1120.0) is None
    line = forecast.heard(LABEL, row(300, 180.0), 1180.0)
    assert (
        line
        == "estimate for the whole run: about 17 min more of training, evaluations not counted yet"
    )
    assert forecast.left() == pytest.approx(0.6 * 1700)
    line = forecast.heard(LABEL, row(500, 300.0, evaluated=True), 1330.0)
    # of 150 seconds since the row before, 120 were training
    measured = 1 + 5 + 2 + 5
    assert forecast.evaluation_seconds == [pytest.approx(30.0)]
    assert forecast.left() == pytest.approx(0.6 * 1500 + 30 * measured)
    assert (
        line
        == "estimate for the whole run: about 22 min more, evaluations and test answers included"
    )
    assert forecast.heard(LABEL, row(600, 360.0), 1390.0) is None, "each is said once"
    assert forecast.brief() == "whole run: 20 min left"


def test_finished_arms_count_no_more_and_both_halves_of_a_pair_are_one_arm():
    halves = {f"ases-dual, seed 0, {kind} half": 500 for kind in ("ES", "AS")}
    forecast = Forecast({LABEL: 1000, **halves}, evaluations=1, answers=0)
    for update in range(1, 4):
        forecast.heard("ases-dual, seed 0, ES half", row(100 * update, 1.0 * update), float(update))
    assert forecast.left() == pytest.approx(0.01 * (1000 + 200 + 500))
    forecast.finished("ases-dual, seed 0")
    assert forecast.left() == pytest.approx(10.0)
    forecast.finished(LABEL)
    assert forecast.left() == 0.0


def test_a_resumed_training_is_measured_by_its_own_clock():
    forecast = Forecast({LABEL: 1000}, evaluations=2, answers=0)
    for place in range(3):  # 50 tokens a second, of which 500 were read by a call that was killed
        forecast.heard(LABEL, row(550 + 50 * place, 11.0 + place), 5000.0 + place)
    assert forecast.left() == pytest.approx(350 / 50)


def test_trials_of_a_learning_rate_are_evaluated_once_and_answer_nothing():
    trials = {f"{LABEL}, learning rate {rate}": 100 for rate in (0.1, 1)}
    forecast = Forecast({LABEL: 1000}, evaluations=2, answers=5, trials=trials)
    forecast.measured(30.0)
    forecast.heard(f"{LABEL}, learning rate 0.1", row(50, 5.0), 5.0)
    assert forecast.left() == pytest.approx(0.1 * (50 + 100 + 1000) + 30 * (1 + 1 + 2 + 5))
    forecast.finished(f"{LABEL}, learning rate 0.1")
    assert forecast.left() == pytest.approx(0.1 * (100 + 1000) + 30 * (1 + 2 + 5))


def test_until_the_plateau_nobody_knows_more_than_the_most():
    forecast = Forecast({LABEL: 1000}, evaluations=2, answers=0, at_most=True)
    lines = [forecast.heard(LABEL, row(100 * n, 60.0 * n), 60.0 * n) for n in range(1, 4)]
    assert lines[-1].startswith("estimate for the whole run: at most about 7 min more of training")
    assert forecast.brief() == "whole run: at most 7 min left"


def test_a_second_estimate_that_says_the_same_is_not_said():
    """The trap: "about 1 min more" twice in a row."""
    forecast = Forecast({LABEL: 1000}, evaluations=1, answers=0)
    lines = [forecast.heard(LABEL, row(100 * n, 0.1 * n), float(n)) for n in (1, 2, 3)]
    lines.append(forecast.heard(LABEL, row(400, 0.4, evaluated=True), 4.0))
    assert [line for line in lines if line] == [
        "estimate for the whole run: about 1 min more of training, evaluations not counted yet"
    ]


def test_a_command_that_makes_some_arms_speaks_of_itself():
    forecast = Forecast({LABEL: 1000}, evaluations=1, answers=0, work="this command")
    lines = [forecast.heard(LABEL, row(100 * n, 60.0 * n), 60.0 * n) for n in (1, 2, 3)]
    assert lines[-1].startswith("estimate for this command: about 7 min more of training")
    assert forecast.brief() == "this command: 7 min left"
