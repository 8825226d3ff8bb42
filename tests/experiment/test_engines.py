"""A run whose answers a server writes ends like one that writes them itself, in the same places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from smallsteps.errors import EngineError, RecipeError
from smallsteps.experiment.engines import check_engine, logging_answers
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.run import run
from smallsteps.experiment.settings import EvaluationSettings
from smallsteps.generation.server_settings import ServerSettings
from tiny_runs import TINY_STUDENT, lasting, tiny_content
from token_server import Threads

ARMS = ["direct", "ases-dual-rouge"]
VLLM = {"engine": "vllm", "server": {"command": "true {folder} --port {port}"}}


def recipe(**evaluation: Any) -> Any:
    student = {"scratch": {**TINY_STUDENT, "architecture": "causal"}}
    return make_recipe(tiny_content(arms=ARMS, student=student, evaluation=evaluation))


def figures(results: Any) -> Any:
    """What must be the same: all but the lines that name the engine."""
    text = str(lasting(results))
    return text.replace("greedy, vllm", "greedy")


def test_a_run_with_a_server_has_the_figures_of_one_without(
    servers: Threads, tmp_path: Path
) -> None:
    local = run(recipe(why_problems=2), tmp_path / "local")
    served = run(recipe(why_problems=2, **VLLM), tmp_path / "served")
    assert figures(served) == figures(local)
    assert all("decode:greedy, vllm" in arm.signature for arm in served.arms)
    assert len(servers.logs) == 3, "one for each student that answers, of a pair two"
    assert servers.most_running == 2
    assert all(arm.seconds_per_answer > 0 for arm in served.arms)
    assert set(servers.logs) == {tmp_path / "served" / "server.log"}


def test_a_server_that_does_not_start_loses_no_training(tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = "sh -c 'echo Error: no card; exit 4' {folder} {port}"
    broken = {"engine": "vllm", "server": {"command": command}}
    content = {**recipe(**broken).model_dump(mode="json"), "arms": ["direct"]}
    for memory in (None, 0.5):  # with another share of the memory it is the same run
        content["evaluation"]["server"]["memory"] = memory
        failing = make_recipe(content)
        with pytest.raises(EngineError, match=r"sh ended with exit code 4: Error: no card\. Its"):
            run(failing, out)
    assert (out / "server.log").read_text().count("no card") == 2
    assert (out / "arms" / "direct-seed0" / "training" / "manifest.json").exists()


def test_a_log_alone_does_not_make_a_folder_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text("Error: no card\n")
    changed = {**recipe().model_dump(mode="json"), "arms": ["base"]}
    assert run(make_recipe(changed), tmp_path).arms


@pytest.mark.parametrize(
    ("server", "causal", "message"),
    [
        ({}, False, r"evaluation\.engine=vllm writes for causal students.*student\.name=smollm2"),
        ({"base_url": "http://127.0.0.1:1/v1"}, True, r"a run has a student for each arm and seed"),
        ({"command": "no-vllm {folder} {port}"}, None, r"evaluation\.engine: .*no program 'no-vl"),
    ],
)
def test_what_no_server_can_write_is_refused_before_any_work(
    server: Any, causal: bool | None, message: str
) -> None:
    evaluation = EvaluationSettings(engine="vllm", server=ServerSettings(**server))
    with pytest.raises(RecipeError, match=message):
        check_engine("evaluation", evaluation, causal)
    check_engine("evaluation", evaluation.changed(engine="local"), causal)


def test_the_log_is_in_the_run_folder_unless_another_is_named(tmp_path: Path) -> None:
    assert logging_answers(recipe(), tmp_path) == recipe()
    logging = logging_answers(recipe(**VLLM), tmp_path)
    assert logging.evaluation.server.log == str(tmp_path / "server.log")
    assert logging.digest() == recipe(**VLLM).digest()
    plain = logging_answers(recipe(engine="vllm"), tmp_path)
    assert plain.evaluation.server.log == str(tmp_path / "server.log")
    named = recipe(engine="vllm", server={"log": "other.log"})
    assert logging_answers(named, tmp_path) == named
