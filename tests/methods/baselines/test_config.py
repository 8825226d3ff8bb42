"""The baselines of a recipe."""

from smallsteps.experiment.method import needs_chains
from smallsteps.methods.baselines.config import METHOD


def test_direct_is_the_baseline_and_learns_from_chains():
    assert METHOD.baseline == "direct" and METHOD.needs_chains
    assert list(METHOD.arm_names()) == ["base", "answer-only", "direct", "direct-report"]


def test_the_untrained_student_needs_no_chains_but_the_arms_beside_it_may(recipe_of):
    assert not needs_chains(recipe_of(arms=["base"]))
    assert needs_chains(recipe_of(arms=["base", "answer-only"]))
