"""The server's routes: models, completions, health, and the playground.

A handler reads the body, hands choices to the worker (`worker.py`) and sends what comes back
(`api_replies.py`). Every error has OpenAI's shape (`api_errors.py`)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from smallsteps import __version__
from smallsteps.errors import similar
from smallsteps.serving.api_errors import ApiError
from smallsteps.serving.api_replies import ReplyShape, Shape
from smallsteps.serving.api_requests import ChatBody, SamplingBody, TextBody, read_body
from smallsteps.serving.flight import ClientGone, Flight
from smallsteps.serving.guard import AccessRule, Application, Guard, Receive, Scope, Send
from smallsteps.serving.playground import Playground
from smallsteps.serving.reply_choice import Piece, Written
from smallsteps.serving.served_student import ScriptMaker, ServedStudent, find_served
from smallsteps.serving.worker import Worker


def make_application(
    students: Sequence[ServedStudent],
    *,
    access: AccessRule,
    feedback: Path,
    queue_limit: int,
    log: Callable[[str], None],
) -> Application:
    """The ASGI application. Its worker starts and stops with it. `feedback`: the file that
    verdicts are appended to."""
    worker = Worker(students, queue_limit, log)
    served = Completions(students, worker)
    playground = Playground(students, worker, feedback)

    @asynccontextmanager
    async def running(_: Any) -> AsyncIterator[None]:
        worker.start()
        try:
            yield
        finally:
            worker.stop()

    routes = [
        Route("/health", served.health),
        Route("/v1/models", served.models),
        Route("/v1/models/{model:path}", served.model),
        Route("/v1/chat/completions", served.chat, methods=["POST"]),
        Route("/v1/completions", served.text, methods=["POST"]),
        *playground.routes(),
    ]
    application = Starlette(routes=routes, lifespan=running, exception_handlers=ERROR_HANDLERS)
    return Guard(application, access, log)


class Completions:
    """The handlers of `/v1` and `/health`."""

    def __init__(self, students: Sequence[ServedStudent], worker: Worker) -> None:
        self.students = {served.id: served for served in students}
        self.worker = worker

    async def health(self, _: Request) -> Response:
        """`GET /health`."""
        load = self.worker.load
        state = {"running": load.running, "waiting": load.waiting, "queue": self.worker.queue_limit}
        broken = self.worker.is_broken
        content = {"status": "failed" if broken else "ok", "smallsteps": __version__, **state}
        return JSONResponse(content, 503 if broken else 200)

    async def models(self, _: Request) -> Response:
        """`GET /v1/models`."""
        data = [_card(served) for served in self.students.values()]
        return JSONResponse({"object": "list", "data": data})

    async def model(self, request: Request) -> Response:
        """`GET /v1/models/NAME`."""
        return JSONResponse(_card(find_served(self.students, request.path_params["model"])))

    async def chat(self, request: Request) -> Response:
        """`POST /v1/chat/completions`."""
        body = read_body(await request.body(), ChatBody)
        body.check()
        served, decoding = find_served(self.students, body.model), body.decoding()
        messages = [message.pair() for message in body.messages]
        makers = [served.chat_script(messages, decoding, n) for n in range(body.choices)]
        return await self._answer(request, body, "chat", makers)

    async def text(self, request: Request) -> Response:
        """`POST /v1/completions`."""
        body = read_body(await request.body(), TextBody)
        body.check()
        served, decoding = find_served(self.students, body.model), body.decoding()
        makers = [
            served.prompt_script(prompt, decoding, n)
            for prompt in body.prompts
            for n in range(body.choices)
        ]
        return await self._answer(request, body, "text", makers)

    async def _answer(
        self, request: Request, body: SamplingBody, shape: Shape, makers: Sequence[ScriptMaker]
    ) -> Response:
        streams = bool(body.stream)
        flight = Flight(
            self.worker, body.model, makers, body.decoding(), stops=body.stops, streams=streams
        )
        reply = ReplyShape(shape, body.model, body.wants_logprobs)
        if streams:
            return EventStream(flight, reply, len(makers), body.choices, body.includes_usage)
        written: list[Written] = []
        try:
            async with aclosing(flight.events(request.receive)) as events:
                async for event in events:
                    if isinstance(event, Written):
                        written.append(event)
        except ClientGone:
            return Response(status_code=499)  # nobody reads it
        written.sort(key=lambda choice: choice.choice)
        return JSONResponse(reply.whole(written, body.choices))


class EventStream(Response):
    """A stream of server-sent events."""

    def __init__(
        self, flight: Flight, reply: ReplyShape, choices: int, per_prompt: int, totals: bool
    ) -> None:
        self.flight, self.reply = flight, reply
        self.choices, self.per_prompt, self.totals = choices, per_prompt, totals
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events until all choices are written. What fails before the first event is a plain
        error; later it is an event with an `error`."""
        written: list[Written] = []
        started = False
        try:
            async with aclosing(self.flight.events(receive)) as events:
                async for event in events:
                    if not started:
                        started = True
                        await self._start(send)
                    if isinstance(event, Piece):
                        await _send_event(send, self.reply.piece(event))
                    elif isinstance(event, Written):
                        written.append(event)
                        await _send_event(send, self.reply.end(event))
            if self.totals:
                written.sort(key=lambda choice: choice.choice)
                await _send_event(send, self.reply.totals(written, self.per_prompt))
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
        except ApiError as error:
            if not started:
                await _json_error(error)(scope, receive, send)
                return
            await _send_event(send, error.body(), more=False)
        except (ClientGone, OSError):
            return
        finally:
            self.flight.cancel()

    async def _start(self, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for choice in range(self.choices):
            if opening := self.reply.opening(choice):
                await _send_event(send, opening)


async def _send_event(send: Send, content: dict[str, Any], more: bool = True) -> None:
    data = b"data: " + json.dumps(content, ensure_ascii=False).encode() + b"\n\n"
    await send({"type": "http.response.body", "body": data, "more_body": more})


def _card(served: ServedStudent) -> dict[str, Any]:
    return {
        "id": served.id,
        "object": "model",
        "created": served.created,
        "owned_by": "smallsteps",
    }


def _json_error(error: ApiError) -> JSONResponse:
    return JSONResponse(error.body(), error.status, error.headers())


def _api_error(_: Request, error: ApiError) -> Response:
    return _json_error(error)


def _http_error(request: Request, error: HTTPException) -> Response:
    message = error.detail
    if error.status_code == 404:
        paths = [route.path for route in request.app.routes if "{" not in route.path]
        meant = similar(request.url.path, paths)
        message = f"No such path.{f' Did you mean {meant}?' if meant else ''}"
    elif error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        message = f"{request.method} does nothing here.{f' Use {allowed}.' if allowed else ''}"
    return JSONResponse(
        ApiError(error.status_code, message).body(), error.status_code, error.headers
    )


def _bug(_: Request, error: Exception) -> Response:
    return _json_error(ApiError(500, f"A bug of smallsteps ({type(error).__name__})."))


ERROR_HANDLERS: dict[Any, Any] = {
    ApiError: _api_error,
    HTTPException: _http_error,
    Exception: _bug,
}
"""Every error in OpenAI's shape."""
