"""One HTTP request on its way through the worker: its choices, and the events that come back.

Whatever ends the request, an answer, an error or a client that hangs up, its choices are cancelled,
so that no slot is kept for nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from typing import Any

from smallsteps.generation.generator import Decoding
from smallsteps.serving.reply_choice import Event, Failure, ReplyChoice, Written
from smallsteps.serving.served_student import ScriptMaker
from smallsteps.serving.worker import Worker

Receive = Callable[[], Any]
"""ASGI's `receive`."""


class ClientGone(Exception):
    """The client hung up."""


class Flight:
    """The choices of one request. Made and used on the event loop."""

    def __init__(
        self,
        worker: Worker,
        model: str,
        makers: Sequence[ScriptMaker],
        decoding: Decoding,
        *,
        stops: Sequence[str] = (),
        streams: bool = False,
    ) -> None:
        """Raises ApiError where the queue is full."""
        loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event] = asyncio.Queue()

        def emit(event: Event) -> None:
            with suppress(RuntimeError):  # the loop is closed: the server has stopped
                loop.call_soon_threadsafe(self._events.put_nowait, event)

        self._choices = [
            ReplyChoice(number, maker, decoding, emit, stops=stops, streams=streams)
            for number, maker in enumerate(makers)
        ]
        worker.submit(model, self._choices)

    async def events(self, receive: Receive) -> AsyncGenerator[Event, None]:
        """Pieces and written choices as they come, until all are written.

        Raises ApiError of the first choice that fails, and ClientGone."""
        gone = asyncio.ensure_future(_hung_up(receive))
        try:
            unfinished = len(self._choices)
            while unfinished:
                coming = asyncio.ensure_future(self._events.get())
                await asyncio.wait({coming, gone}, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    coming.cancel()
                    raise ClientGone
                event = coming.result()
                if isinstance(event, Failure):
                    raise event.error
                unfinished -= isinstance(event, Written)
                yield event
        finally:
            gone.cancel()
            self.cancel()

    def cancel(self) -> None:
        """Frees the slots at the next token."""
        for choice in self._choices:
            choice.cancelled = True


async def _hung_up(receive: Receive) -> None:
    """Returns once the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
