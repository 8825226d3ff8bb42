"""The result of a training: what was really trained, and the folders of what is kept."""

import pytest

from smallsteps.errors import TrainingError
from smallsteps.training.fit_result import read_result, read_state, write_result
from smallsteps.training.preflight import preflight
from smallsteps.training.settings import NO_PROMPT_LOSS, TrainSettings
from smallsteps.training.updates import TrainingInputs

SETTINGS = TrainSettings(passes=4, update_examples=8, learning_rate=2e-3)
STATE = {
    "update": 5,
    "selections": {"metric": {"update": 3, "value": 40.0}},
    "trail": [{"update": 2, "value": 10.0}, {"update": 3, "value": 40.0}],
    "gain": {"update": 3, "value": 40.0, "loss": None},
    "over": True,
    "seconds": 1.5,
    "micro_batch_tokens": 300,
}


@pytest.fixture
def job(tiny, direct, task):
    student = tiny("t5")
    checked = preflight(student, direct(24), [], SETTINGS, task)
    return TrainingInputs(student, task, checked, SETTINGS, {}, NO_PROMPT_LOSS)


def written(job, out, patience):
    for name in ("settings.json", "curves.jsonl"):
        (out / name).write_text("")
    write_result(out, job, STATE, 1, patience)
    return read_result(out, job.checked.report)


@pytest.mark.parametrize(("patience", "plateau"), [(2, True), (None, None)])
def test_what_was_trained_counts_and_not_what_was_planned(job, tmp_path, patience, plateau):
    result = written(job, tmp_path, patience)
    assert job.checked.plan.updates == 12
    assert (result.updates, result.passes) == (5, 5 * 8 / 24)
    assert result.train_tokens == sum(job.checked.plan.tokens[:5])
    assert (result.plateau, result.learning_rate, result.seconds) == (plateau, 2e-3, 1.5)
    assert [chosen.folder for chosen in result.trail] == ["candidate-2", "candidate-3"]
    assert result.folder() == tmp_path / "candidate-3"
    with pytest.raises(TrainingError, match="no checkpoint by bleu: measured were metric"):
        result.folder("bleu")


def test_a_training_that_is_not_over_has_no_result(job, tmp_path):
    assert read_result(tmp_path, job.checked.report) is None
    assert read_state(None) == {}
