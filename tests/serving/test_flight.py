"""A request on its way through the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from smallsteps.generation.generator import Decoding
from smallsteps.serving.api_errors import ApiError
from smallsteps.serving.flight import ClientGone, Flight
from smallsteps.serving.reply_choice import Failure, Piece, ReplyChoice, Written


class StandIn:
    """A worker that answers at once, or never."""

    def __init__(self, *events: Any) -> None:
        self.events, self.choices = events, []

    def submit(self, model: str, choices: Sequence[ReplyChoice]) -> None:
        self.choices = list(choices)
        for event in self.events:
            choices[0].emit(event)


DONE = Written(0, "7", "stop", "end", [(None, "7")], "7", 1, 1)


def maker(on_segment: Any) -> Any:
    return None


def fly(worker: StandIn, count: int, hangs_up: bool = False) -> list[Any]:
    async def run() -> list[Any]:
        flight = Flight(worker, "m", [maker] * count, Decoding())  # type: ignore[arg-type,list-item]

        async def receive() -> dict[str, Any]:
            if not hangs_up:
                await asyncio.sleep(60)
            return {"type": "http.disconnect"}

        return [event async for event in flight.events(receive)]

    return asyncio.run(run())


def test_events_come_in_order_until_all_choices_are_written() -> None:
    piece = Piece(0, "7", 0, None)
    assert fly(StandIn(piece, DONE, DONE, piece), 2) == [piece, DONE, DONE]


def test_a_client_that_hangs_up_frees_all_its_slots() -> None:
    worker = StandIn()
    with pytest.raises(ClientGone):
        fly(worker, 3, hangs_up=True)
    assert len(worker.choices) == 3 and all(choice.cancelled for choice in worker.choices)


def test_one_choice_that_fails_ends_the_others() -> None:
    worker = StandIn(DONE, Failure(1, ApiError(400, "too long")))
    with pytest.raises(ApiError, match="too long"):
        fly(worker, 2)
    assert all(choice.cancelled for choice in worker.choices)
