"""Which checkpoints are kept, and when a training has reached its plateau."""

import json

import pytest

from smallsteps.training.choice import Choice, Selection, better


@pytest.mark.parametrize(
    ("criterion", "value", "wins"),
    [
        ("train_loss", 0.9, True),
        ("validation_loss", 1.1, False),
        ("bleu", 1.1, True),
        ("metric", 1.0, False),
        ("metric", float("nan"), False),
    ],
)
def test_losses_are_best_when_low_and_figures_when_high(criterion, value, wins):
    assert better(criterion, value, Selection(1, 1.0)) is wins
    assert better("metric", 0.0, None) and not better("metric", float("nan"), None)


def after(values, patience, criterion="metric"):
    """(the choice after these values, one an evaluation, after updates 10, 20, ...; the evaluation
    at which training was over first)."""
    choice = Choice([10 * number for number in range(1, len(values) + 1)], patience)
    over = None
    for number, value in enumerate(values, start=1):
        choice.take(10 * number, {criterion: value, "train_loss": 1.0})
        if over is None and choice.over(10 * number):
            over = number
    return choice, over


@pytest.mark.parametrize(
    ("values", "patience", "over"),
    [
        ([1, 2, 3, 4, 5], 2, None),
        ([1, 3, 2, 2, 9], 2, 4),
        ([5, 5, 5, 5], 3, 4),  # an equal figure is no gain
        ([1, 3, 2, 4, 3, 3], 2, 6),  # a gain starts the count again
        ([0, 0, 0], 2, 3),  # the first figure is one, also where it is 0
        ([float("nan")] * 4, 2, 2),  # no figure at all is no gain
        ([3, 1], 1, 2),
        ([1, 2, 1, 1, 1], None, None),
    ],
)
def test_training_is_over_after_so_many_evaluations_without_gain(values, patience, over):
    assert after(values, patience)[1] == over


def test_of_losses_the_lower_is_the_better():
    assert after([3.0, 2.0, 2.5, 2.4], 2, "validation_loss")[1] == 4


def test_while_nothing_is_right_a_lower_loss_is_a_gain():
    """A student that cannot answer anything yet is not done."""
    values = [(0.0, 5.0), (0.0, 4.0), (0.0, 3.0), (0.0, 3.5), (0.0, 2.0), (0.0, 2.5), (0.0, 2.0)]
    choice = Choice(range(1, 8), patience=2)
    waited = []
    for update, (metric, loss) in enumerate(values, start=1):
        choice.take(update, {"metric": metric, "validation_loss": loss})
        waited.append(choice.without_gain(update))
    assert waited == [0, 0, 0, 1, 0, 1, 2] and choice.over(7)
    assert choice.trail == [Selection(1, 0.0)], "the checkpoint is still the first of equals"


def test_a_lower_loss_is_no_gain_once_an_answer_was_right():
    choice = Choice([1, 2, 3], patience=2)
    for update, (metric, loss) in enumerate([(50.0, 3.0), (49.0, 2.0), (50.0, 1.0)], start=1):
        choice.take(update, {"metric": metric, "validation_loss": loss})
    assert choice.over(3)


def test_only_the_named_criteria_keep_a_student():
    choice = Choice([1, 2], patience=1, criteria=("metric",))
    assert choice.take(1, {"metric": 1.0, "validation_loss": 2.0})
    assert not choice.take(2, {"metric": 1.0, "validation_loss": 1.0})
    assert choice.folders == {"candidate-1"}


def test_the_loss_decides_only_where_there_is_no_metric():
    choice = Choice([1, 2, 3], patience=2)
    for update, (metric, loss) in enumerate([(50.0, 3.0), (40.0, 2.0), (40.0, 1.0)], start=1):
        choice.take(update, {"metric": metric, "validation_loss": loss, "train_loss": loss})
    assert choice.over(3), "the loss went on falling, the metric did not rise"
    assert choice.trail == [Selection(1, 50.0)]


def test_with_a_patience_every_student_that_was_best_so_far_is_kept_else_only_the_best():
    values = [1.0, 3.0, 2.0, 4.0]
    with_patience, _ = after(values, 3)
    assert with_patience.trail == [Selection(10, 1.0), Selection(20, 3.0), Selection(40, 4.0)]
    assert with_patience.folders == {"candidate-10", "candidate-20", "candidate-40"}
    without, _ = after(values, None)
    assert without.trail == []
    assert without.folders == {"candidate-10", "candidate-40"}, "by train_loss and by metric"


def test_a_choice_goes_on_from_what_it_wrote():
    whole, _ = after([1.0, 3.0, 2.0, 2.0], 2)
    choice, _ = after([1.0, 3.0], 2)
    choice = Choice.of(whole.evaluations, 2, json.loads(json.dumps(choice.state())))
    for update, value in ((30, 2.0), (40, 2.0)):
        assert not choice.take(update, {"metric": value, "train_loss": 1.0})
    assert choice == whole and choice.over(40)
