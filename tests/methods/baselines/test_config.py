"""The baselines of a recipe."""

from smallsteps.methods.baselines.config import METHOD


def test_direct_is_the_baseline_and_learns_from_chains():
    assert METHOD.baseline == "direct" and METHOD.needs_chains
    assert list(METHOD.arm_names()) == ["direct", "direct-report"]
