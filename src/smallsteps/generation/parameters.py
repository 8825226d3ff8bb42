"""What is sent beside the messages: the parameters of a request, what the user adds, and what a
server does not take.

Servers differ: some know `max_completion_tokens` in place of `max_tokens`, some refuse any
`temperature`. The first refusal teaches which; the request is then sent as the server wants it, and
so are all later ones of the job. The request in the store of paid replies stays as it was asked.
Everything else goes into `extra_body`, which is part of what was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from smallsteps.errors import RecipeError, json_fault
from smallsteps.generation.bodies import Refusal
from smallsteps.generation.chat_request import ChatRequest

OPTIONAL = ("temperature", "top_p", "top_k", "seed")
"""Parameters that a server may refuse; the request is then sent without them."""

OURS = {
    "model": "--teacher or --reader names it",
    "messages": "the prompt files hold them",
    "n": "every sample is a call of its own",
    "stream": "replies are read whole",
}
"""What `extra_body` may not hold, and why."""

LIMITS = ("max_tokens", "max_completion_tokens")

_UNKNOWN = re.compile(
    r"unsupported|not support|only the default|not permitted|not allowed|not available"
    r"|unrecogni[sz]ed|unknown|unexpected|deprecated|extra (input|field)"
    r"|cannot be (specified|set|used)|can ?not both|is fixed",
    re.IGNORECASE,
)


class Dialect:
    """How one server wants its parameters; learnt from its refusals."""

    def __init__(self) -> None:
        self._renamed = False
        """Whether `max_tokens` is sent as `max_completion_tokens`."""
        self._left_out: set[str] = set()

    def body(self, chat_request: ChatRequest) -> dict[str, Any]:
        """What is sent for `chat_request`."""
        body = {
            name: value for name, value in chat_request.body().items() if name not in self._left_out
        }
        if self._renamed and "max_tokens" in body:
            body["max_completion_tokens"] = body.pop("max_tokens")
        return body

    def learn(self, refusal: Refusal, sent: Mapping[str, Any]) -> str | None:
        """What is sent otherwise from now on, in words; None where the refusal is of another
        kind."""
        text = " ".join((refusal.message, *refusal.kinds))
        if "max_tokens" in sent and "max_completion_tokens" in refusal.message:
            self._renamed = True
            return "refuses `max_tokens`: `max_completion_tokens` is sent instead"
        if not _UNKNOWN.search(text):
            return None
        for name in OPTIONAL:
            if name in sent and (
                refusal.parameter == name or re.search(rf"\b{name}\b", refusal.message)
            ):
                self._left_out.add(name)
                return f"refuses `{name}`: it is no longer sent"
        return None


def check_extra_body(extra: Any) -> dict[str, Any]:
    """`extra` as what is sent along. Raises ValueError where it is no mapping of JSON values, or
    holds what is ours."""
    if not isinstance(extra, Mapping):
        raise ValueError(
            f'expected a JSON object such as {{"reasoning_effort": "low"}}, got {extra!r:.80}.'
        )
    for key in extra:
        if not isinstance(key, str):
            raise ValueError(f"{key!r:.40} is no name of a parameter.")
        if key in OURS:
            raise ValueError(f"`{key}` cannot be set there; {OURS[key]}.")
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(extra), allow_nan=False))
        json.dumps(plain, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({str(error)[:100]}).") from None
    for limit in LIMITS:
        value = plain.get(limit)
        if value is not None and (type(value) is not int or value < 1):
            raise ValueError(f"`{limit}` is {value!r:.40}, expected a whole number of at least 1.")
    return plain


def read_extra_body(text: str | None, flag: str = "--extra-body") -> dict[str, Any]:
    """What the user typed. Raises RecipeError where it is no JSON object.

    >>> read_extra_body('{"reasoning_effort": "low"}'), read_extra_body(None)
    ({'reasoning_effort': 'low'}, {})
    """
    if text is None:
        return {}
    try:
        extra = json.loads(text)
    except (ValueError, RecursionError) as error:
        fault = f" ({json_fault(error)})" if isinstance(error, json.JSONDecodeError) else ""
        raise RecipeError(
            f"{flag} {text[:60]!r}: expected a JSON object{fault}, "
            f"""for example {flag} '{{"reasoning_effort": "low"}}'."""
        ) from None
    try:
        return check_extra_body(extra)
    except ValueError as error:
        raise RecipeError(f"{flag}: {error}") from None


def with_extra_body(
    parameters: Mapping[str, Any], extra: Mapping[str, Any]
) -> tuple[tuple[str, Any], ...]:
    """The parameters of a request with those of the user, in order of name; null takes one out.

    >>> extra = {"max_completion_tokens": 900, "temperature": None}
    >>> with_extra_body({"max_tokens": 20, "temperature": 0}, extra)
    (('max_completion_tokens', 900),)
    """
    both = {**parameters, **extra}
    if extra.get("max_completion_tokens") is not None and "max_tokens" not in extra:
        both.pop("max_tokens", None)
    return tuple((name, both[name]) for name in sorted(both) if both[name] is not None)
