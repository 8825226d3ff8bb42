"""The names of AS-ES arms."""

import pytest

from smallsteps.methods.as_es.config import METHOD, arm_names, parse_arm
from smallsteps.segments.strategies import STRATEGIES


def test_arm_names_are_taken_apart():
    arm = parse_arm("ases-cue-ent*")
    assert (arm.path, arm.strategy, arm.cue) == ("uni", "ent*", True)
    assert parse_arm("ases-dual-inter").path == "dual"


def test_an_unknown_arm_names_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'ases-uni-inter'"):
        parse_arm("ases-uni-intr")


def test_every_path_has_an_arm_for_every_strategy():
    assert len(arm_names()) == 3 * len(STRATEGIES) == len(set(METHOD.arm_names()))
