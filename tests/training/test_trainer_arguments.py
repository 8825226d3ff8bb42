"""Trainer leaves the caller's process as it was."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from transformers.utils import logging

from smallsteps.training.settings import TrainSettings
from smallsteps.training.trainer_arguments import isolated, trainer_arguments
from smallsteps.training.update_plan import plan_updates


def drawn():
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def test_the_caller_gets_its_random_state_and_log_level_back():
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(5)
    expected = drawn()
    for seed in (random.seed, np.random.seed, torch.manual_seed):
        seed(5)
    level = logging.get_verbosity()
    with pytest.raises(KeyError), isolated():
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        logging.set_verbosity_error()
        raise KeyError
    assert drawn() == expected and logging.get_verbosity() == level


def test_updates_are_trainer_steps_and_trainer_saves_nothing_by_itself(tiny, tmp_path):
    plan = plan_updates([10] * 64, TrainSettings(passes=3, update_examples=16))
    arguments = trainer_arguments(tiny("t5"), TrainSettings(learning_rate=1e-3), plan, tmp_path)
    assert arguments.max_steps == plan.updates == 12 and arguments.learning_rate == 1e-3
    assert arguments.save_strategy == arguments.eval_strategy == "no"
