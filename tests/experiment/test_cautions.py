"""What a plan warns of: in one line, with the option of the command in use, and only where it is
so."""

from __future__ import annotations

import pytest

from smallsteps.experiment.cautions import few_chains, few_problems, few_updates, typed
from smallsteps.tasks import get_task
from smallsteps.training.settings import TrainSettings, suited_update

COMPARE = "smallsteps compare my.jsonl --budget 60000"


def warned(updates, size, train, command, sequences=0.0):
    named = {f"arm-{number}": count for number, count in enumerate(updates)}
    return few_updates(named, size, train, command, lambda: sequences)


def test_few_updates_say_how_many_and_what_to_type() -> None:
    """The trap of a new user: 9 updates, every arm at 0 %, and nothing that says why."""
    warning = warned([9, 14], 64, TrainSettings(budget=60_000), COMPARE)
    assert warning == (
        "few updates: a model makes 9 (arm-0) to 14 (arm-1) of 64 examples. Fewer than 100 teach "
        "little: all arms may end near 0. For more, type --set train.update_examples=8 (about 72) "
        "or --budget 700000"
    )
    assert "\n" not in warning


@pytest.mark.parametrize(
    ("train", "command", "advice"),
    [
        (TrainSettings(budget=600), "smallsteps run my.yaml", "type train.budget=1300"),
        (TrainSettings(passes=4.0), "smallsteps run my.yaml", "type train.passes=9"),
        (TrainSettings(passes=4.0), COMPARE, "type --passes 9"),
        (TrainSettings(budget=600, until="passes"), COMPARE, "type --passes 42"),
        (TrainSettings(passes=4.0), "", "type train.passes=9"),
    ],
)
def test_the_advice_names_the_setting_that_ends_training(
    train: TrainSettings, command: str, advice: str
) -> None:
    assert warned([50], 8, train, command).endswith(advice)


def test_smaller_updates_are_advised_only_as_far_as_needed_and_possible() -> None:
    train = TrainSettings(passes=10.0)
    assert "train.update_examples=32 (about 120) or" in warned([60], 64, train, "")
    assert "update_examples" not in warned([60], 8, train, "")
    assert "update_examples" not in warned([60], 5, train, "")


def test_the_advice_keeps_the_size_of_updates_where_it_would_grow() -> None:
    """The trap: with 5 times the budget `direct` reads enough for updates of 16, and a half of a
    pair makes half as many as expected."""
    few, direct, size, train = 20, 90, 8, TrainSettings(budget=10_000)
    assert suited_update(direct * size * 5.3) == 16
    advice = warned([few, direct], size, train, COMPARE, direct * size)
    assert advice.endswith("type --budget 53000 --set train.update_examples=8")
    assert warned([few], size, train, COMPARE, few * size).endswith("type --budget 53000")
    fixed = TrainSettings(budget=10_000, update_examples=size)
    assert warned([few, direct], size, fixed, COMPARE, 10**9).endswith("type --budget 53000")


def test_fewer_chains_than_an_update_are_warned_of() -> None:
    """The trap: one chain to train on, and advice to make 110 passes over it."""
    assert few_chains(1, TrainSettings()) == (
        "few chains: 1 chain to train on, fewer than the 8 examples of an update. Every update "
        "repeats the one there is, and a student learns by heart. Give more chains: some hundreds "
        "are a beginning"
    )
    assert "3 questions to train on" in few_chains(3, TrainSettings(), "question")
    assert few_chains(8, TrainSettings()) == ""
    assert "than the 64 examples" in few_chains(63, TrainSettings(update_examples=64))


def test_enough_updates_are_no_matter() -> None:
    assert warned([100, 3000], 64, TrainSettings(), COMPARE) == ""
    assert warned([], 64, TrainSettings(), COMPARE) == ""


def test_few_problems_say_how_wide_the_interval_will_be() -> None:
    warning = few_problems(12, 5, get_task("numbers"), COMPARE, bundled=False)
    assert warning == (
        "few problems: a figure of 50 % has the 95 % interval 25 to 75 over 12 test problems; "
        "17 to 83 over 5 for validation, which choose the best student. For more, type "
        "--set data.test=FILE --set data.validation=FILE, or give more data"
    )


def test_a_figure_that_is_no_share_has_no_interval_beforehand() -> None:
    warning = few_problems(12, 100, get_task("pet"), "smallsteps run as-es/pet", bundled=False)
    assert warning == (
        "few problems: wide intervals over 12 test problems. For more, type data.test=FILE, or "
        "give more data"
    )


def test_bundled_problems_are_numbered() -> None:
    warning = few_problems(99, 0, get_task("stories"), "smallsteps run demo", bundled=True)
    assert warning.endswith("type data.test_count=300")
    assert few_problems(100, 30, get_task("stories"), "", bundled=True) == ""


def test_only_compare_has_options_of_its_own() -> None:
    assert typed("train.update_examples", 8, COMPARE) == "--set train.update_examples=8"
    assert typed("train.passes", 9, "smallsteps run compare") == "train.passes=9"
