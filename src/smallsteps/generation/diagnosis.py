"""What follows from a call that brought no answer.

| what came                                      | what follows                               |
|------------------------------------------------|--------------------------------------------|
| 429, 503, 529                                  | all calls pause (`pauses.py`); not counted |
| an unknown parameter                           | sent as the server wants (`parameters.py`) |
| another 4xx, a refusal                         | given up: asking again brings the same     |
| 5xx, a broken connection, a timeout            | asked again a few times                    |
| no money, wrong key, wrong URL, unknown model, | the job ends with one line                 |
| a redirect                                     |                                            |

The job also ends where the server sends something else than completions, the same again and again,
and where many requests in a row bring nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smallsteps.errors import TeacherError
from smallsteps.generation.access import host_of
from smallsteps.generation.bodies import NO_COMPLETION, Refusal, one_line
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.generator import REFUSED
from smallsteps.generation.model_server import ModelServer
from smallsteps.generation.pauses import Pauses

AGAIN = "again"
"""Of a call that does not count: asked again as soon as the server accepts it."""

SAME_BODIES = 3
"""Bodies in a row that are no completion, all the same, after which the job may end."""

BLIP_SECONDS = 5.0
"""For this long a server that has answered may send something else than completions."""

IN_VAIN = 10
"""Requests in a row that may bring nothing once the server has answered, where as many would still
be asked."""


@dataclass(frozen=True)
class FailedCall:
    """A response without an answer."""

    request: ChatRequest
    sent: Mapping[str, Any]
    """The body of the request as it was sent."""
    reason: str
    """Why it is no answer, in one line."""
    refusal: Refusal
    """What the server says."""
    status: int | None
    """The HTTP status of an error, of the response or in its body; None: there is none."""
    headers: Mapping[str, str]


class Diagnosis:
    """Judges the failed calls of one job."""

    def __init__(self, server: ModelServer, pauses: Pauses) -> None:
        self.server, self.pauses = server, pauses
        self.waiting = 0
        """Requests that no call was made for, now or in an earlier run. The job counts them."""
        self._in_vain = 0
        """Requests in a row that brought nothing."""
        self._last_body = ""
        """The last body that was no completion, numbers left out."""
        self._last_body_times = 0
        self._last_body_since = 0.0
        """Monotonic seconds of the first of them."""

    def completion_came(self) -> None:
        """Notes a completion, with or without text."""
        self.server.proven = True
        self._last_body, self._last_body_times = "", 0

    def request_answered(self) -> None:
        """Notes a request whose reply is stored."""
        self._in_vain = 0

    def request_given_up(self, reason: str) -> None:
        """Notes a request that brought nothing. Raises TeacherError after too many in a row."""
        self._in_vain += 1
        refused = reason.startswith(REFUSED)
        if self._in_vain >= IN_VAIN and self.waiting >= IN_VAIN and not refused:
            raise TeacherError(
                f"{self.server.base_url}: {self._in_vain} requests in a row brought no reply, the "
                f"last one: {reason}. What came before is stored. {advice(reason)}"
            )

    def consequence(self, failed: FailedCall) -> str:
        """The reason as it is given back, or AGAIN. Raises TeacherError where the job cannot
        continue."""
        status, refusal = failed.status, failed.refusal
        url, message = self.server.base_url, refusal.message or failed.reason
        if status == 402 or (refusal.quota and (status is None or status < 500)):
            raise TeacherError(
                f"{url} refuses for want of money: {message}. Top up the account, then run the "
                "same command again; what is stored is not bought again."
            )
        if status is None:
            return self._no_completion(failed.reason)
        if 300 <= status < 400:
            target = host_of(failed.headers.get("location", "")) or "elsewhere"
            raise TeacherError(
                f"{url} sends on to {one_line(target)} (status {status}); nothing was sent there. "
                "Correct --base-url (OPENAI_BASE_URL) if that is the right place."
            )
        if status in (429, 503, 529):
            self.pauses.refused(status, refusal.message, failed.headers)
            return AGAIN
        if status == 401 or (status == 403 and not self.server.proven):
            problem = "refuses the key" if self.server.key() else "wants a key"
            raise TeacherError(f"{url} {problem}: {message}. Set OPENAI_API_KEY.")
        if status in (404, 405, 410):
            raise TeacherError(
                f"{url} knows no model {self.server.model!r}, or no chat there: {message}. Correct "
                "the model's name or --base-url (it ends in /v1 with most servers)."
            )
        if status >= 500 or status in (408, 409, 425):
            return failed.reason
        if status in (400, 422) and self._sent_otherwise(failed):
            return AGAIN
        return f"{REFUSED} {status}: {message}" if status >= 400 else failed.reason

    def _sent_otherwise(self, failed: FailedCall) -> bool:
        """Whether the request will be sent with other parameters next time."""
        dialect = self.server.dialect
        if dialect.body(failed.request) != failed.sent:
            return True  # another call has learnt it meanwhile
        if learnt := dialect.learn(failed.refusal, failed.sent):
            self.server.say(f"{self.server.model} at {self.server.base_url} {learnt}")
            return True
        return False

    def _no_completion(self, reason: str) -> str:
        """Counts bodies of a good status that are no completions. Raises TeacherError where the
        same one comes again and again."""
        if not reason.startswith(NO_COMPLETION):
            return reason
        body = re.sub(r"[0-9a-f]{6,}|[0-9]+", "#", reason)
        now = time.monotonic()
        if body != self._last_body:
            self._last_body, self._last_body_times, self._last_body_since = body, 0, now
        self._last_body_times += 1
        lasting = self.waiting >= IN_VAIN and now - self._last_body_since >= BLIP_SECONDS
        if self._last_body_times >= SAME_BODIES and (lasting or not self.server.proven):
            raise TeacherError(
                f"{self.server.base_url} sent, {self._last_body_times} times in a row, {reason}. "
                "Correct the model's name or --base-url (it ends in /v1 with most servers), or "
                "look at the server."
            )
        return reason


def advice(reason: str) -> str:
    """What to do about a server that does not answer."""
    slow = " Or allow more time (--timeout)." if "within" in reason.split(":")[0] else ""
    return f"Look at the server, then run the same command again.{slow}"
