"""Calls to a server that continues token ids: `/v1/completions` as vLLM speaks it.

A reply is taken as it is or the job ends: a server that reads other ids than it was sent, gives no
ids back, or ends a reply where the student would not, would make figures that are no longer the
student's. Failures that pass (a busy server, a broken connection) are asked again, as for
teachers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx2

from smallsteps.errors import EngineError
from smallsteps.generation.bodies import Unreadable, one_line, parsed, refusal_of
from smallsteps.generation.pauses import Pauses
from smallsteps.generation.post import Response, Unanswered, get, post

ATTEMPTS = 5
"""Calls for one reply; those that a busy server refused (429, 503) do not count."""
PATIENCE = 900.0
"""Seconds for which a server may be too busy for every call."""
POLL = 0.25
"""Seconds between two questions whether a server answers."""


@dataclass(frozen=True)
class WrittenIds:
    """What a server wrote after a prompt."""

    ids: tuple[int, ...]
    """The end token included."""
    cut: bool
    """Whether it ran into `max_tokens`."""
    logprobs: tuple[float, ...] = ()
    """Nats, one per id; empty unless asked for."""


class TokenCalls:
    """Calls to one server. `check` raises EngineError where the server's process has ended; `say`
    receives a line when calls wait."""

    def __init__(
        self,
        client: httpx2.AsyncClient,
        base_url: str,
        timeout: float,
        check: Callable[[], None],
        say: Callable[[str], None],
    ) -> None:
        self.client, self.base_url, self.timeout = client, base_url, timeout
        self.check = check
        self.pauses = Pauses(base_url, PATIENCE, say)

    async def model(self, seconds: float) -> str:
        """The name of the model that is served, once the server answers. Raises EngineError where
        it does not within `seconds`."""
        end = asyncio.get_running_loop().time() + seconds
        reason = "no reply"
        while True:
            self.check()
            try:
                response = await get(self.client, f"{self.base_url}/models", min(5.0, seconds))
                if response.status == 200:
                    return _served(response.body, self.base_url)
                reason = f"status {response.status}"
            except Unanswered as unanswered:
                reason = str(unanswered)
            if asyncio.get_running_loop().time() >= end:
                raise EngineError(
                    f"{self.base_url} does not answer within {seconds:g} seconds ({reason})"
                )
            await asyncio.sleep(POLL)

    async def continuation(self, body: Mapping[str, Any]) -> WrittenIds:
        """What the server writes for a request of one prompt and one sample. Raises EngineError."""
        failed = 0
        while True:
            async with self.pauses.passed():
                reason = await self._attempt(body)
            if isinstance(reason, WrittenIds):
                return reason
            if not reason:
                continue
            self.check()
            failed += 1
            if failed >= ATTEMPTS:
                raise EngineError(f"{self.base_url}: {reason}, {failed} calls")
            await asyncio.sleep(min(30.0, 0.25 * 2**failed))

    async def load_weights(self, folder: str) -> None:
        """The server writes with the weights in `folder` from now on, and forgets what it read with
        others. No request may be under way. Raises EngineError."""
        order = {"method": "reload_weights", "kwargs": {"weights_path": folder}}
        for path, body in (("collective_rpc", order), ("reset_prefix_cache", {})):
            url = f"{self.base_url.removesuffix('/v1')}/{path}"
            try:
                response = await post(self.client, url, "", body, self.timeout)
            except Unanswered as unanswered:
                self.check()
                raise EngineError(f"{url}: {unanswered}") from None
            if response.status != 200 or _has_failed(response):
                self.check()
                raise EngineError(
                    f"{url}: the server took no new weights, status {response.status}: "
                    f"{_refusal(response)} (expected: vLLM, such as 0.32, in its development mode)"
                )

    async def _attempt(self, body: Mapping[str, Any]) -> WrittenIds | str:
        """The continuation; or why it did not come, "" where the server was busy."""
        try:
            response = await post(
                self.client, f"{self.base_url}/completions", "", body, self.timeout
            )
        except Unanswered as unanswered:
            return str(unanswered)
        if response.broken:
            return response.broken
        if response.status in (429, 503, 529):
            said = _refusal(response)
            self.pauses.refused(response.status, said, response.headers)
            return ""
        self.pauses.accepted()
        if response.status >= 500 or response.status == 408:
            return f"status {response.status}: {_refusal(response)}"
        if response.status != 200:
            raise EngineError(
                f"{self.base_url} refuses a request with status {response.status}: "
                f"{_refusal(response)}"
            )
        try:
            return read_continuation(response.body, body)
        except ValueError as error:
            raise EngineError(f"{self.base_url}: {error}") from None


def read_continuation(raw: bytes, sent: Mapping[str, Any]) -> WrittenIds:
    """What a body says. Raises ValueError where that is no continuation of the ids that were
    sent."""
    try:
        content = parsed(raw.decode(errors="replace"))
        (choice,) = content["choices"]
        ids, finish = choice.get("token_ids"), choice.get("finish_reason")
        read = content["usage"]["prompt_tokens"]
    except (Unreadable, LookupError, TypeError, AttributeError, ValueError):
        said = one_line(raw.decode(errors="replace"), 100)
        raise ValueError(f"no completion of one prompt: {said}") from None
    if not isinstance(ids, list) or not all(type(token) is int for token in ids) or not ids:
        raise ValueError(
            "the reply holds no `token_ids`. The engine needs a server that knows "
            "`return_token_ids`, such as vLLM from 0.10.2 on"
        )
    if read != len(sent["prompt"]):
        raise ValueError(f"the server read {read} tokens of a prompt of {len(sent['prompt'])}")
    cut = finish == "length"
    if cut and len(ids) < sent["max_tokens"]:
        raise ValueError(
            f"a reply was cut after {len(ids)} tokens, where {sent['max_tokens']} may follow a "
            f"prompt of {read}. Let the server read more (vLLM: --max-model-len)"
        )
    if not cut and (finish != "stop" or ids[-1] not in sent["stop_token_ids"]):
        raise ValueError(
            f"a reply ended by {finish!r} after token {ids[-1]}, at which this student does not end"
        )
    return WrittenIds(tuple(ids), cut, _logprobs(choice, ids) if "logprobs" in sent else ())


def _logprobs(choice: Mapping[str, Any], ids: list[int]) -> tuple[float, ...]:
    """Of the ids. Raises ValueError where they are not there."""
    try:
        values = tuple(float(value) for value in choice["logprobs"]["token_logprobs"])
    except (LookupError, TypeError):
        values = ()
    if len(values) != len(ids):
        raise ValueError(f"{len(values)} log-probabilities for {len(ids)} tokens")
    return values


def _has_failed(response: Response) -> bool:
    """Whether a body says `"success": false`."""
    with suppress(Unreadable, AttributeError):
        return parsed(response.body.decode(errors="replace")).get("success") is False
    return False


def _refusal(response: Response) -> str:
    return refusal_of(response.body.decode(errors="replace")).message or "without a word"


def _served(body: bytes, base_url: str) -> str:
    """The first model of a list of models. Raises EngineError where there is none."""
    try:
        name = parsed(body.decode(errors="replace"))["data"][0]["id"]
    except (Unreadable, LookupError, TypeError):
        name = None
    if not isinstance(name, str):
        raise EngineError(
            f"{base_url}/models names no model. Correct the server's URL (it ends in /v1)."
        )
    return name
