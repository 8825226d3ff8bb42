"""Data and evaluation of a run."""

import pytest

from smallsteps.errors import RecipeError
from smallsteps.experiment.settings import DataSettings, EvaluationSettings
from smallsteps.generation.server_settings import ServerSettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"chains": []},
            r"chains: expected text \(not empty\) or a list \(not empty\) of texts, got",
        ),
        ({"count": 9}, "count: expected a whole number of at least 10, got 9"),
        ({"difficulty": "hrad"}, "difficulty: expected one of easy, medium, hard, got 'hrad'. Did"),
        ({"split_seed": -1}, "split_seed: expected a whole number of at least 0"),
    ],
)
def test_invalid_settings_of_the_data_are_refused(values, message):
    with pytest.raises(RecipeError, match=f"^DataSettings: {message}"):
        DataSettings(**values)


def test_a_checkpoint_is_chosen_by_a_known_criterion():
    with pytest.raises(
        RecipeError, match=r"^EvaluationSettings: checkpoint: expected one of metric"
    ):
        EvaluationSettings(checkpoint="loss")  # type: ignore[arg-type]


def test_the_local_engine_is_not_in_the_digest_and_a_server_is():
    local = EvaluationSettings()
    assert not {"engine", "server"} & set(local.effects())
    served = local.changed(engine="vllm", server=ServerSettings(timeout=1))
    assert served.effects()["engine"] == "vllm"
    assert set(served.effects()["server"]) == {"command", "base_url"}
    assert served.effects() == local.changed(engine="vllm").effects()


def test_answers_are_written_by_the_engine_that_is_named():
    writing = EvaluationSettings(engine="vllm", batch_size=7).writing()
    assert (writing.engine, writing.batch_size) == ("vllm", 7)
    with pytest.raises(RecipeError, match=r"engine: expected one of local, vllm, got 'vlm'"):
        EvaluationSettings(engine="vlm")  # type: ignore[arg-type]
