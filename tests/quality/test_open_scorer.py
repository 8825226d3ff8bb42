"""Opening a judge by its name."""

from __future__ import annotations

import pytest

from loopback import Server, completion
from smallsteps.errors import RecipeError, StudentError
from smallsteps.generation.access import Access
from smallsteps.generation.budget import Budget
from smallsteps.generation.replies import ReplyStore
from smallsteps.quality.open_scorer import open_scorer
from smallsteps.quality.settings import JudgeSettings

from .conftest import ITEMS


@pytest.fixture
def budget(tmp_path):
    store = ReplyStore(tmp_path / "replies.sqlite")
    yield Budget(store, "job")
    store.close()


def open_judge(budget, encoder="lexical", **settings):
    return open_scorer(JudgeSettings(**settings), encoder, budget, Access(None, None), "cpu")


def test_a_served_model_rates_and_a_second_job_is_served_from_the_store(server: Server, budget):
    server.answer = lambda body, times: (200, completion("Score: 4"), {})
    for _ in range(2):
        scorer = open_judge(budget, name="endpoint:m", base_url=server.url)
        qualities = scorer.score(ITEMS[:2])
    assert [quality["factuality"] for quality in qualities] == [0.75, 0.75]
    assert server.calls == 2 * 7 and {body["model"] for body in server.bodies} == {"m"}
    assert {body["max_tokens"] for body in server.bodies} == {64}


def test_a_served_model_is_not_taken_for_a_local_one_of_its_name(
    server: Server, budget, monkeypatch
):
    monkeypatch.setattr(
        "smallsteps.students.loading.load_student", lambda *_, **__: pytest.fail("opened here")
    )
    scorer = open_scorer(
        JudgeSettings(name="endpoint:smollm2"), "lexical", budget, Access(server.url, None)
    )
    assert scorer.prompted.generator.server.base_url == server.url


def test_a_folder_rates_on_this_machine(budget, tmp_path):
    from smallsteps.students.loading import load_student

    load_student("bundled", device="cpu").save(tmp_path / "m")
    scorer = open_judge(budget, name=f"local:{tmp_path / 'm'}")
    scorer.aspects = ("fluency",)
    (quality,) = scorer.score(ITEMS[:1])
    assert scorer.prompted.asked == {"fluency": 1} and quality["factuality"] is None


def test_a_local_judge_that_is_not_there_is_named(budget):
    with pytest.raises(StudentError, match="nowhere: no such folder"):
        open_judge(budget, name="local:./nowhere")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"base_url": "http://localhost:1/v1"},
            "--base-url http://localhost:1/v1: has no effect beside --judge lexical. For a chat "
            "model type --judge endpoint:MODEL",
        ),
        (
            {"name": "gpt", "prompts": "mine"},
            "--judge-prompts mine: has no effect beside --judge gpt. .* type --judge endpoint:gpt",
        ),
        (
            {"name": "endpoint:m", "encoder": "some/encoder"},
            "--encoder some/encoder: has no effect beside --judge endpoint:m",
        ),
        ({"name": "endpoint:./m"}, r"the judge \./m: no such file or folder"),
    ],
)
def test_options_without_effect_are_refused(budget, settings, message):
    with pytest.raises(RecipeError, match=message):
        open_judge(budget, **settings)
