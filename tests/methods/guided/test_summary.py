"""Which student is handed to users: validation decides, whatever the test set says."""

from __future__ import annotations

from types import SimpleNamespace

from smallsteps.methods.guided.summary import Arm, _best


def arm(name, seed, validation, test, student=True):
    """An arm whose figure on the test set is `test`."""
    scores = {"exact_match": SimpleNamespace(value=test, grades=())}
    folder = f"seed{seed}/{name}" if student else None
    return Arm(name, seed, f"arms/{name}-seed{seed}", [], scores, None, folder, validation)


def by_name(*arms):
    names = dict.fromkeys(one.name for one in arms)
    return {name: [one for one in arms if one.name == name] for name in names}


STANDARD = arm("standard", 0, None, 99.0, student=False)


def test_arm_and_seed_are_chosen_on_validation_alone():
    chosen = _best(
        by_name(
            STANDARD,
            arm("distilled", 0, 40.0, 90.0),
            arm("distilled", 1, 42.0, 10.0),
            arm("both", 0, 44.0, 20.0),
            arm("both", 1, 43.0, 95.0),
        )
    )
    assert (chosen.name, chosen.seed, chosen.folder) == ("both", 0, "seed0/both")
    assert chosen.validation == 44.0


def test_what_answers_alone_and_what_votes_is_not_handed_out_while_a_student_guides():
    arms = [
        STANDARD,
        arm("small", 0, 90.0, 90.0),
        arm("distilled", 0, 10.0, 10.0),
        arm("distilled-sc", 0, 10.0, 99.0),
    ]
    assert _best(by_name(*arms)).name == "distilled"
    assert _best(by_name(*arms[:2])).name == "small"


def test_where_nothing_was_trained_there_is_no_choice():
    assert _best(by_name(STANDARD, arm("cot", 0, None, 100.0, student=False))) is None
