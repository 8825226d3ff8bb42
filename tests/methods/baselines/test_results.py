"""The record of self-training is found by the name of its method."""

import pytest
from pydantic import ValidationError

from smallsteps.experiment.results import method_results
from smallsteps.methods.baselines.results import BaselinesResults, SelfTrainingResult

ROW = {
    "arm": "self-training",
    "seed": 0,
    "round": 1,
    "right": 41.5,
    "own_chains": 30,
    "generated_tokens": 900,
    "train_tokens": 1000,
    "validation": None,
}


def test_the_record_is_found_read_back_and_strict():
    assert method_results("baselines") is BaselinesResults
    record = BaselinesResults(self_training=[SelfTrainingResult(**ROW)])
    assert BaselinesResults.model_validate(record.model_dump()) == record
    with pytest.raises(ValidationError, match="own_chains"):
        SelfTrainingResult(**ROW | {"own_chains": "many"})
