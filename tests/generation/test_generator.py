"""Settings of decoding, and sessions run to their end."""

from __future__ import annotations

from typing import Any

import pytest

from smallsteps.errors import RecipeError, TeacherError
from smallsteps.generation.generator import (
    Decoding,
    EngineSettings,
    Reply,
    Request,
    check_all_came,
    check_temperature,
    run_session,
)


@pytest.mark.parametrize(
    ("decoding", "words"),
    [
        (Decoding(top_p=0.5, top_k=3), "greedy"),
        (Decoding(temperature=0.7), "sample(t=0.7,seed=0)"),
        (
            Decoding(temperature=1.0, top_k=20, top_p=0.9, seed=3),
            "sample(t=1.0,k=20,p=0.9,seed=3)",
        ),
    ],
)
def test_a_decoding_describes_what_decides_its_draws(decoding: Decoding, words: str) -> None:
    assert decoding.describe() == words


@pytest.mark.parametrize("value", [0.0, 0.01, 1.0, 1000.0])
def test_a_temperature_within_the_bounds_is_taken(value: float) -> None:
    assert check_temperature(value) == value


@pytest.mark.parametrize("value", [-1.0, 0.001, 1001.0, float("nan")])
def test_a_temperature_beyond_the_bounds_is_refused(value: float) -> None:
    with pytest.raises(
        RecipeError, match=r"--temperature .*: expected 0 \(greedy\), or 0.01 to 1000"
    ):
        check_temperature(value, "--temperature")


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1}, {"top_k": -1}, {"top_p": 0.0}, {"max_new_tokens": 0}, {"seed": -1}],
)
def test_an_invalid_decoding_is_refused_by_its_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        Decoding(**wrong)


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"batch_size": True}, {"engine": ""}])
def test_invalid_engine_settings_are_refused_by_their_key(wrong: dict[str, Any]) -> None:
    with pytest.raises(RecipeError, match=next(iter(wrong))):
        EngineSettings(**wrong)


class Countdown:
    """A session that finishes a request `int(id)` steps after it was submitted."""

    def __init__(self) -> None:
        self.left: dict[str, int] = {}

    def submit(self, request: Request) -> None:
        self.left[request.id] = int(request.id)

    @property
    def idle(self) -> bool:
        return not self.left

    def step(self) -> list[Reply]:
        self.left = {id: steps - 1 for id, steps in self.left.items()}
        done = [id for id, steps in self.left.items() if steps == 0]
        self.left = {id: steps for id, steps in self.left.items() if steps}
        return [Reply(id, 0, (), "", "end", 1) for id in done]


def test_a_session_runs_until_all_is_done_and_reports_each_reply() -> None:
    told: list[int] = []
    requests = [Request(id, [1]) for id in ("3", "1", "2")]
    replies = run_session(Countdown(), requests, told.append)
    assert [reply.id for reply in replies] == ["1", "2", "3"] and told == [1, 2, 3]


def test_a_session_without_requests_is_done() -> None:
    assert list(run_session(Countdown(), [])) == []


def test_a_reply_that_did_not_come_ends_a_job_and_a_permanent_error_does_not() -> None:
    check_all_came("judge", "m", [None, "refused: too long", "empty reply"])
    with pytest.raises(TeacherError, match=r"judge 'm': 1 of 3 replies did not come.*: timeout"):
        check_all_came("judge", "m", [None, "empty reply", "timeout"])
