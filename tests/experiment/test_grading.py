"""Grading: which arms are compared, and what leads."""

from types import SimpleNamespace

import pytest

from smallsteps.experiment.grading import (
    GradedArm,
    best_student,
    by_arm,
    compared_pairs,
    within,
)
from smallsteps.experiment.outcome import Outcome


class FakeArm:
    def __init__(self, name, method, *others):
        self.name, self.method, self.others = name, method, others

    def against(self, names):
        return [name for name in self.others if name in names]


def graded(arm, seed=0, **outcome):
    left = Outcome([], [], **outcome)
    return GradedArm(arm, seed, left, None, {}, {}, None, f"arms/{arm.name}/page")


DIRECT = FakeArm("direct", "baselines")
ASES = FakeArm("ases-uni-ent", "as-es", "direct")
TAILORED = FakeArm("tailored-full", "tailored", "tailored-t0")
FIRST = FakeArm("tailored-t0", "tailored")


def test_arms_are_compared_with_what_their_method_names_and_with_the_baseline():
    assert compared_pairs([DIRECT, ASES, TAILORED, FIRST], "direct") == [
        ("ases-uni-ent", "direct"),
        ("tailored-full", "direct"),
        ("tailored-t0", "direct"),
        ("tailored-full", "tailored-t0"),
    ]


def test_the_baseline_is_not_compared_with_itself_and_no_pair_comes_twice():
    assert compared_pairs([FIRST, TAILORED], "tailored-t0") == [("tailored-full", "tailored-t0")]


def test_seeds_are_grouped_in_the_order_of_the_recipe():
    arms = [graded(ASES, 0), graded(DIRECT, 0), graded(ASES, 1)]
    groups = by_arm(arms)
    assert list(groups) == ["ases-uni-ent", "direct"]
    assert [arm.seed for arm in groups["ases-uni-ent"]] == [0, 1]


@pytest.fixture
def lab(tmp_path):
    return SimpleNamespace(run=SimpleNamespace(path=tmp_path))


def test_a_control_is_never_handed_out_and_the_folder_is_relative_to_the_run(lab, tmp_path):
    folders = {name: tmp_path / "arms" / name for name in ("a", "b")}
    control = graded(FakeArm("a", "m"), student=folders["a"], validation=90.0, handed_out=False)
    usable = graded(FakeArm("b", "m"), student=folders["b"], validation=10.0)
    best = best_student(lab, [control, usable])
    assert (best.name, best.folder, best.validation) == ("b", "arms/b", 10.0)
    assert best_student(lab, [control]) is None
    assert best_student(lab, [graded(FakeArm("c", "m"))]) is None, "an arm without a student"
    assert within(lab, None) is None


def test_the_untrained_student_leads_without_a_folder_only_where_no_trained_one_is_better(
    lab, tmp_path
):
    base = graded(FakeArm("base", "baselines"), untrained=True, validation=20.0)
    better = graded(DIRECT, student=tmp_path / "arms" / "b", validation=21.0)
    assert best_student(lab, [base, better]).name == "direct"
    best = best_student(lab, [base, graded(DIRECT, student=tmp_path / "b", validation=20.0)])
    assert (best.name, best.folder, best.validation) == ("base", None, 20.0)
