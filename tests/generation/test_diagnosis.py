"""What follows from a failed call: again, given up, or the end of the job."""

from __future__ import annotations

import pytest

from smallsteps.errors import TeacherError
from smallsteps.generation import diagnosis
from smallsteps.generation.bodies import NO_COMPLETION, Refusal
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.diagnosis import (
    AGAIN,
    IN_VAIN,
    SAME_BODIES,
    Diagnosis,
    FailedCall,
    advice,
)
from smallsteps.generation.model_server import ModelServer
from smallsteps.generation.pauses import Pauses
from smallsteps.generation.settings import CallSettings

URL = "http://127.0.0.1:9/v1"
REQUEST = ChatRequest(URL, "m", (("user", "why"),), (("temperature", 0.7),))


def job(key: str = "sk-12345678") -> tuple[Diagnosis, list[str]]:
    lines: list[str] = []
    server = ModelServer(CallSettings(name="m", base_url=URL), key, lines.append)
    return Diagnosis(server, Pauses(URL, 900.0, lines.append)), lines


def failed(status: int | None, words: str = "oops", **headers: str) -> FailedCall:
    reason = f"status {status}: {words}" if status else words
    return FailedCall(REQUEST, REQUEST.body(), reason, Refusal(words), status, headers)


@pytest.mark.parametrize("status", [429, 503, 529])
def test_a_busy_server_is_asked_again_after_a_pause(status: int) -> None:
    judge, lines = job()
    assert judge.consequence(failed(status)) == AGAIN
    assert f"is busy (status {status}: oops)" in lines[0]


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502])
def test_a_passing_error_comes_back_as_it_was(status: int) -> None:
    assert job()[0].consequence(failed(status)) == f"status {status}: oops"


@pytest.mark.parametrize("status", [400, 413, 422, 451])
def test_a_refused_request_is_marked_as_refused(status: int) -> None:
    assert job()[0].consequence(failed(status)) == f"refused {status}: oops"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (failed(402), "refuses for want of money: oops. Top up the account"),
        (failed(400, "insufficient_quota"), "refuses for want of money"),
        (failed(None, "credit balance too low"), "refuses for want of money"),
        (failed(401), "refuses the key: oops. Set OPENAI_API_KEY"),
        (failed(403), "refuses the key: oops"),
        (failed(404), "knows no model 'm', or no chat there: oops"),
        (
            failed(302, location="http://elsewhere.org/x"),
            r"sends on to elsewhere\.org \(status 302\); nothing was sent there",
        ),
    ],
)
def test_what_holds_for_every_request_ends_the_job(call: FailedCall, message: str) -> None:
    with pytest.raises(TeacherError, match=message):
        job()[0].consequence(call)


def test_a_server_that_wants_a_key_says_so() -> None:
    with pytest.raises(TeacherError, match="wants a key: oops"):
        job(key="")[0].consequence(failed(401))


def test_a_proven_server_that_forbids_one_request_ends_nothing() -> None:
    judge, _ = job()
    judge.completion_came()
    assert judge.consequence(failed(403)) == "refused 403: oops"


def test_a_parameter_that_is_refused_is_told_once_and_left_out_from_then_on() -> None:
    judge, lines = job()
    call = failed(400, "Unsupported value: temperature")
    assert judge.consequence(call) == AGAIN and judge.consequence(call) == AGAIN
    assert lines == [f"m at {URL} refuses `temperature`: it is no longer sent"]
    assert "temperature" not in judge.server.dialect.body(REQUEST)


def test_the_same_body_that_is_no_completion_ends_the_job_whatever_its_numbers() -> None:
    judge, _ = job()
    for number in range(1, SAME_BODIES):
        reason = f"{NO_COMPLETION}, but text: error {number}"
        assert judge.consequence(failed(None, reason)) == reason
    with pytest.raises(TeacherError, match=f"sent, {SAME_BODIES} times in a row, no completion"):
        judge.consequence(failed(None, f"{NO_COMPLETION}, but text: error 99"))


def test_a_completion_between_two_such_bodies_begins_the_count_anew() -> None:
    judge, _ = job()
    for _ in range(3 * SAME_BODIES):
        judge.consequence(failed(None, NO_COMPLETION))
        judge.completion_came()


def test_a_proven_server_may_fail_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    judge, _ = job()
    judge.completion_came()
    judge.waiting = IN_VAIN
    for _ in range(3 * SAME_BODIES):
        judge.consequence(failed(None, NO_COMPLETION))
    monkeypatch.setattr(diagnosis, "BLIP_SECONDS", 0.0)
    with pytest.raises(TeacherError, match="times in a row"):
        judge.consequence(failed(None, NO_COMPLETION))


def test_many_requests_in_a_row_that_bring_nothing_end_a_job_with_as_many_to_come() -> None:
    judge, _ = job()
    judge.waiting = IN_VAIN
    for _ in range(IN_VAIN - 1):
        judge.request_given_up("status 500: oops")
    with pytest.raises(TeacherError, match="10 requests in a row brought no reply, the last one"):
        judge.request_given_up("status 500: oops")


@pytest.mark.parametrize("waiting", [0, IN_VAIN - 1])
def test_few_requests_to_come_are_asked_whatever_came_before(waiting: int) -> None:
    judge, _ = job()
    judge.waiting = waiting
    for _ in range(3 * IN_VAIN):
        judge.request_given_up("status 500: oops")


def test_an_answer_or_a_refusal_is_not_in_vain() -> None:
    judge, _ = job()
    judge.waiting = IN_VAIN
    for _ in range(3):
        for _ in range(IN_VAIN - 1):
            judge.request_given_up("status 500: oops")
        judge.request_answered()
    for _ in range(3 * IN_VAIN):
        judge.request_given_up("refused 400: oops")


def test_advice_on_a_slow_server_names_the_timeout() -> None:
    assert "--timeout" in advice("no reply within 3 seconds")
    assert "--timeout" not in advice("status 500: try again within the hour")
