"""One call to a model's server: it is sent, what comes is stored, and an answer is told from a
failure."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import httpx2

from smallsteps.errors import TeacherError
from smallsteps.generation.bodies import NO_COMPLETION, Refusal, Unreadable, parsed, refusal_of
from smallsteps.generation.budget import Budget, Call
from smallsteps.generation.diagnosis import AGAIN, Diagnosis, FailedCall
from smallsteps.generation.generator import UNFINISHED
from smallsteps.generation.model_server import ModelServer
from smallsteps.generation.post import Response, Unanswered, post, proxy_for

FAILED_BODY = 65_536
"""Maximum number of bytes of an error's body that are kept for people to read."""


class Caller:
    """Sends the calls of one job."""

    def __init__(self, server: ModelServer, budget: Budget, diagnosis: Diagnosis) -> None:
        self.server, self.budget, self.diagnosis = server, budget, diagnosis
        self.sending: set[asyncio.Task[Any] | None] = set()
        """Tasks with a call under way."""
        self.completed = False
        """Whether a completion has come."""
        self._responded = False
        """Whether any response has come."""

    async def call(self, client: httpx2.AsyncClient, call: Call) -> str:
        """ "": the reply is stored; otherwise why there is none, or AGAIN. Raises TeacherError
        where the job cannot continue."""
        sent = self.server.dialect.body(call.chat_request)
        url = self.server.base_url.rstrip("/") + "/chat/completions"
        task = asyncio.current_task()
        self.sending.add(task)
        try:
            timeout = self.server.settings.timeout
            response = await post(client, url, self.server.key(), sent, timeout)
        except Unanswered as error:
            return self._unanswered(call, error)
        finally:
            self.sending.discard(task)
        self._responded = True
        if 200 <= response.status < 300:
            reason, refusal = self._store(call, response)
            status = refusal.status
        else:
            refusal, status = self._refusal(response), response.status
            if not refusal.message:
                refusal = replace(refusal, message=phrase(status))
            reason = f"status {status}: {refusal.message}"
            self.budget.failed(call, reason, self._text(response)[:FAILED_BODY])
        if reason:
            reason = self.diagnosis.consequence(
                FailedCall(call.chat_request, sent, reason, refusal, status, response.headers)
            )
        if reason != AGAIN:
            self.diagnosis.pauses.accepted()
        return reason

    def _unanswered(self, call: Call, error: Unanswered) -> str:
        """Why no response came. Raises TeacherError where the server was never reached at all."""
        reason = self.server.clean(error)
        self.budget.failed(call, reason, tokens=(0, 0) if error.unheard else None)
        if not error.unheard or self._responded:
            return reason
        variable, proxy = proxy_for(self.server.base_url)
        through = f" through the proxy of {variable}" if proxy else ""
        what, advice = (
            "cannot connect",
            "Start the server, or correct --base-url (OPENAI_BASE_URL).",
        )
        if "SSL" in reason:
            what = "cannot connect securely"
            advice = (
                "SSL_CERT_FILE names further certificates to trust. A server without certificates "
                "has an http:// URL."
            )
        raise TeacherError(f"{what} to {self.server.base_url}{through}: {reason}. {advice}")

    def _store(self, call: Call, response: Response) -> tuple[str, Refusal]:
        """Stores what came with a good status; why it is no answer ("": it is one), and what the
        server says in its place."""
        body = self.server.without_key(response.body)
        if response.broken and not is_json(body):
            text = body[:FAILED_BODY].decode(errors="replace")
            self.budget.failed(call, response.broken, text, tokens=None)
            return response.broken, Refusal("")
        reason = self.server.clean(self.budget.received(call, body))
        if not reason or reason.startswith(UNFINISHED):
            # the server writes; a completion without text says nothing yet: it may be all that it
            # sends
            self.completed = True
            self.diagnosis.completion_came()
            return reason, Refusal("")
        return reason, self._refusal(response) if reason.startswith(NO_COMPLETION) else Refusal("")

    def _refusal(self, response: Response) -> Refusal:
        return refusal_of(self._text(response))

    def _text(self, response: Response) -> str:
        return self.server.without_key(response.body).decode(errors="replace")


def is_json(body: bytes) -> bool:
    """Whether a body that was cut short is a whole JSON value nevertheless."""
    try:
        parsed(body.decode(errors="replace"))
    except Unreadable:
        return False
    return True


def phrase(status: int) -> str:
    """What a status means."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "no message"
