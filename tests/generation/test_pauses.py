"""Pauses of a busy server: how long, who waits, and when the job ends."""

from __future__ import annotations

import asyncio
import math
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from smallsteps.errors import TeacherError
from smallsteps.generation import pauses
from smallsteps.generation.pauses import LONGEST, Pauses, moment, retry_after


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(pauses.time, "monotonic", clock.monotonic)
    return clock


def server(patience: float = 900.0) -> tuple[Pauses, list[str]]:
    lines: list[str] = []
    return Pauses("http://host/v1", patience, lines.append), lines


def pause_of(busy: Pauses, clock: Clock, headers: dict[str, str] | None = None) -> float:
    """Seconds until calls may go out again, after a refusal now; the clock then stands there."""
    busy.refused(429, "slow down", headers or {})
    seconds = busy._open_at - clock.now
    clock.now = busy._open_at
    return seconds


def test_a_pause_doubles_from_refusal_to_refusal_up_to_a_minute(clock: Clock) -> None:
    busy, _ = server()
    assert [pause_of(busy, clock) for _ in range(8)] == [1, 2, 4, 8, 16, 32, LONGEST, LONGEST]


def test_an_answer_begins_the_count_anew(clock: Clock) -> None:
    busy, _ = server()
    assert [pause_of(busy, clock), pause_of(busy, clock)] == [1, 2]
    busy.accepted()
    assert pause_of(busy, clock) == 1


def test_calls_that_are_refused_at_once_make_one_pause(clock: Clock) -> None:
    busy, lines = server()
    for _ in range(10):
        busy.refused(503, "busy", {})
    assert busy._open_at - clock.now == 1 and len(lines) == 1


def test_the_server_may_ask_for_a_longer_pause_and_for_no_shorter_one(clock: Clock) -> None:
    busy, lines = server()
    assert pause_of(busy, clock, {"retry-after": "7"}) == 7
    assert pause_of(busy, clock, {"retry-after": "0"}) == 2
    assert "(status 429: slow down)" in lines[0] and "the server asks for 7 s" in lines[0]


def test_a_server_that_refuses_for_longer_than_patience_ends_the_job(clock: Clock) -> None:
    busy, _ = server(patience=5.0)
    busy.refused(429, "slow down", {})
    clock.now += 6
    with pytest.raises(
        TeacherError, match=r"refused every call for 6 seconds .*Run the same command again later"
    ):
        busy.refused(429, "slow down", {})


def test_a_wait_beyond_patience_may_be_asked_for_once(clock: Clock) -> None:
    busy, lines = server(patience=5.0)
    assert pause_of(busy, clock, {"retry-after": "inf"}) == 1
    assert "longer than --patience; asked once more" in lines[0]
    with pytest.raises(
        TeacherError, match=r"asks to wait until .*longer than a patience of 5 seconds"
    ):
        busy.refused(429, "slow down", {"retry-after": "inf"})


def test_messages_come_at_most_every_ten_seconds_unless_the_end_moves_as_far(clock: Clock) -> None:
    busy, lines = server()
    for _ in range(3):  # pauses of 1, 2 and 4 seconds
        pause_of(busy, clock)
    assert len(lines) == 1
    pause_of(busy, clock, {"retry-after": "60"})
    assert len(lines) == 2


def test_after_two_refusals_in_a_row_one_call_goes_first() -> None:
    busy, _ = server()
    busy._in_a_row = 2
    under_way: list[int] = []
    most: list[int] = []

    async def call(number: int) -> None:
        async with busy.passed():
            under_way.append(number)
            most.append(len(under_way))
            await asyncio.sleep(0.01)
            under_way.remove(number)

    async def calls() -> None:
        await asyncio.gather(*(call(number) for number in range(4)))

    asyncio.run(calls())
    assert max(most) == 1
    busy.accepted()
    most.clear()
    asyncio.run(calls())
    assert max(most) == 4


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "2.5", "retry-after-ms": "300"}, 0.3),
        ({"retry-after": "inf"}, math.inf),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
    ],
)
def test_what_a_refusal_asks_for_is_read_whatever_its_form(
    headers: dict[str, Any], seconds: float | None
) -> None:
    assert retry_after(headers) == seconds


def test_a_date_is_a_time_to_wait() -> None:
    then = datetime.now(UTC) + timedelta(seconds=30)
    seconds = retry_after({"retry-after": format_datetime(then, usegmt=True)})
    assert seconds is not None and 28 <= seconds <= 31


def test_a_moment_beyond_the_calendar_has_a_name() -> None:
    assert moment(math.inf) == "the end of time"
    assert len(moment(0)) == len("12:00:00") and len(moment(10**7)) == len("2026-01-01 12:00")
