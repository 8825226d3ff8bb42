"""Arms of every method are arms: they have what the runner calls."""

import pytest

from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.method import methods
from smallsteps.experiment.method_modules import arms_module
from tiny_labs import tiny_lab


@pytest.mark.parametrize("method", ["baselines", "as-es"])
def test_every_arm_of_a_chain_method_says_what_it_is_and_which_chains_it_learns(tmp_path, method):
    other = ("direct-report", "base", "base-fewshot")  # for reports; not trained
    names = [name for name in methods()[method].arm_names() if name not in other]
    with tiny_lab(tmp_path) as lab:
        run = arms_module(method).open_run(lab, names)
        for name in names:
            (arm,) = run.arms(name)
            assert (arm.name, arm.method) == (name, method)
            assert isinstance(arm, ChainArm)
            assert arm.against([name]) == []
        run.prepare()
        assert run.results([]) is None
