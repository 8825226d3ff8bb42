"""The baselines of a run, by name."""

from types import SimpleNamespace

from smallsteps.experiment.arm import ChainArm
from smallsteps.methods.baselines.arms import baseline_arms, open_run
from smallsteps.methods.baselines.config import ARMS
from smallsteps.methods.baselines.results import BaselinesResults
from smallsteps.methods.baselines.self_training import SelfTrainingArm


def test_every_arm_of_the_method_has_its_name_and_those_that_train_on_chains_are_checked(recipe_of):
    recipe = recipe_of()
    arms = {name: baseline_arms(recipe, name) for name in ARMS}
    assert all([arm.name for arm in by_name] == [name] for name, by_name in arms.items())
    trained = [name for name, by_name in arms.items() if isinstance(by_name[0], ChainArm)]
    assert trained == ["answer-only", "direct", "direct-report", "self-training"]


def test_only_self_training_reports_something_of_its_own():
    lab = SimpleNamespace(recipe=None)
    direct = SimpleNamespace(arm=None, name="direct", seed=0, outcome=SimpleNamespace(detail=None))
    arm = SelfTrainingArm()
    own = SimpleNamespace(arm=arm, name=arm.name, seed=0, outcome=SimpleNamespace(detail=[]))
    method_run = open_run(lab, ["direct"])
    assert method_run.results([direct]) is None
    assert method_run.results([direct, own]) == BaselinesResults(self_training=[])
