"""Every method defines the modules that the runner and the plan call."""

import inspect

import pytest

from smallsteps.experiment.method import methods
from smallsteps.experiment.method_modules import (
    ArmsModule,
    BeforeModule,
    arms_module,
    before_module,
)


def functions(protocol):
    return {name: value for name, value in vars(protocol).items() if inspect.isfunction(value)}


@pytest.mark.parametrize("name", methods())
def test_a_method_has_every_function_with_the_parameters_that_are_passed(name):
    for protocol, module in ((ArmsModule, arms_module(name)), (BeforeModule, before_module(name))):
        for function, expected in functions(protocol).items():
            if function.startswith("_"):
                continue
            parameters = list(inspect.signature(getattr(module, function)).parameters)
            assert parameters == list(inspect.signature(expected).parameters)[1:], function
