"""The shapes in which servers answer: where the text of a completion stands, and what the others
say in place of one.

Read are: JSON with a byte order mark; `content` as text, as a list of parts, or null; `text` as in
the older interface for plain completions; several choices, of which the first counts. All else is
named in one line with the server's own words: errors with status 200, HTML, server-sent events,
refusals, tool calls, empty lists, JSON nested beyond reason."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import unescape
from typing import Any

from smallsteps.generation.generator import REFUSED

NO_COMPLETION = "no completion"
"""How the reasons begin that lie with the server and not with one request."""

LONGEST_MESSAGE = 300
"""Characters of what a server says that reach a message."""

CUT = ("length", "max_tokens", "max_output_tokens", "model_length")
"""Values of `finish_reason`, in lower case, of a reply that ran into its limit."""

_QUOTA = re.compile(
    r"insufficient[ _-]+(credit|quota|balance|fund)|credit balance"
    r"|(out of|not enough|no more) credit|payment required|billing[ _]hard[ _]limit",
    re.IGNORECASE,
)


class Unreadable(ValueError):
    """A body that is no answer; `tokens` read and written as the server counted."""

    def __init__(self, reason: str, tokens: tuple[int | None, int | None] = (None, None)) -> None:
        super().__init__(reason)
        self.tokens = tokens


@dataclass(frozen=True)
class Refusal:
    """What a server says in place of a completion."""

    message: str
    """In one line."""
    status: int | None = None
    """An HTTP status that stands in the body."""
    kinds: tuple[str, ...] = ()
    """Its short names for what is wrong, in lower case."""
    parameter: str | None = None
    """The parameter that it names."""

    @property
    def quota(self) -> bool:
        """Whether there is no money left, so that asking again is no use."""
        names = " ".join(self.kinds)
        return self.status == 402 or _QUOTA.search(f"{names} {self.message}") is not None


def parsed(raw: str) -> Any:
    """The JSON in a body. Raises Unreadable with the server's words where it is something else."""
    text = raw.lstrip("\ufeff").strip()
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError:
        return parsed(
            _shallow(text)
        )  # what is deep is no text of ours; the reply beside it is paid
    except ValueError as error:
        raise Unreadable(_not_json(text, error)) from None


def _whole(digits: str) -> int | None:
    """A whole number; None for one that no server means, and that Python refuses to read."""
    return int(digits) if len(digits) <= 1_000 else None


_JSON_MARK = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
"""A text, or where an array or an object begins or ends."""


def _shallow(text: str, deepest: int = 50) -> str:
    """JSON without what is nested deeper than `deepest`; null stands in its place.

    >>> _shallow('{"a": [[1], "]"], "b": 2}', deepest=1)
    '{"a": null, "b": 2}'
    """
    kept: list[str] = []
    level = start = 0
    for mark in _JSON_MARK.finditer(text):
        if mark[0] in "[{":
            level += 1
            if level == deepest + 1:
                kept.append(text[start : mark.start()] + "null")
        elif mark[0] in "]}":
            if level == deepest + 1:
                start = mark.end()
            level -= 1
    if level <= deepest:
        kept.append(text[start:])
    return "".join(kept)


def _not_json(text: str, error: ValueError) -> str:
    if not text:
        return f"{NO_COMPLETION}, but an empty body"
    if re.match(r"(data|event|id|retry)?:", text):
        return (
            f"{NO_COMPLETION}, but server-sent events, which were not asked for: {one_line(text)}"
        )
    if text.startswith("<"):
        return f"{NO_COMPLETION}, but HTML: {one_line(_without_tags(text))}"
    if text.startswith(("{", "[")):
        return f"unreadable reply (broken JSON: {one_line(str(error))})"
    return f"{NO_COMPLETION}, but text: {one_line(text) or 'without a readable character'}"


def _without_tags(text: str) -> str:
    text = re.sub(r"(?is)<(script|style)\b.*?(</\1>|$)", " ", text[:20_000])
    return unescape(re.sub(r"<[^>]*>?", " ", text))


def choice_of(body: Any) -> Mapping[str, Any]:
    """The first choice of a completion. Raises Unreadable, with the server's words, where the body
    is none."""
    if not isinstance(body, Mapping):
        message = refusal_in(body).message if isinstance(body, list) else ""
        content = f"an error: {message}" if message else _kind(body)
        raise Unreadable(f"{NO_COMPLETION}, but {content}")
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices or body.get("error"):
        refusal = refusal_in(body)
        if refusal.message:
            raise Unreadable(f"{NO_COMPLETION}, but an error: {refusal.message}")
        if choices is None:
            names = (
                ", ".join(f"`{one_line(str(name), 30)}`" for name in list(body)[:6]) or "nothing"
            )
            raise Unreadable(f"{NO_COMPLETION}: no `choices` in the reply, which holds {names}")
        raise Unreadable(
            f"{NO_COMPLETION}: `choices` is {'empty' if choices == [] else _kind(choices)}"
        )
    choice = choices[0]
    if not isinstance(choice, Mapping):
        raise Unreadable(f"{NO_COMPLETION}: the first of `choices` is {_kind(choice)}")
    if choice.get("error"):
        raise Unreadable(f"{NO_COMPLETION}, but an error: {refusal_in(choice).message}")
    return choice


def message_of(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message of a choice; of a plain completion, one with its text. Raises Unreadable."""
    message = choice.get("message")
    if message is None and isinstance(choice.get("text"), str):
        return {"content": choice["text"]}
    if not isinstance(message, Mapping):
        raise Unreadable(f"{NO_COMPLETION}: the first of `choices` has no `message`")
    return message


def is_cut(choice: Mapping[str, Any]) -> bool:
    """Whether the server stopped at the limit on tokens."""
    return str(choice.get("finish_reason")).lower() in CUT


def message_text(choice: Mapping[str, Any], message: Mapping[str, Any]) -> str:
    """The text of a message, stripped; "" where it has none and does not say why.

    Raises Unreadable, with a named reason, where something else stands in place of text, or the
    text was cut by a filter."""
    content = message.get("content")
    text = whole_characters("".join(_texts(content))).strip()
    finish = str(choice.get("finish_reason") or "").lower()
    if finish == "content_filter":
        raise Unreadable(f"{REFUSED} by the server's content filter")
    if text:
        return text
    if refusal := "".join(_refusals(message)).strip():
        raise Unreadable(f"{REFUSED} by the model: {one_line(refusal)}")
    if message.get("tool_calls") or message.get("function_call"):
        raise Unreadable("empty reply: the model calls a tool in place of an answer")
    if content and not isinstance(content, (str, list, Mapping)):
        raise Unreadable(f"empty reply: `content` is {_kind(content)}")
    return ""


def thought_text(message: Mapping[str, Any]) -> str | None:
    """The thought that stands beside the text: in a field of its own, or as a part of the
    content."""
    parts = message.get("content")
    thoughts = (
        [part for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []
    )
    beside = [message.get(name) for name in ("reasoning_content", "reasoning")]
    for places in (beside, [part.get("thinking", part.get("reasoning")) for part in thoughts]):
        texts = (whole_characters("".join(_texts(place))).strip() for place in places)
        if text := next(filter(None, texts), None):
            return text
    return None


def _texts(content: Any) -> Iterator[str]:
    if isinstance(content, str):
        yield content
    elif isinstance(content, list):
        for part in content:
            yield from _texts(part)
    elif isinstance(content, Mapping) and content.get("type", "text") in ("text", "output_text"):
        yield from _texts(content.get("text", content.get("value")))


def _refusals(message: Mapping[str, Any]) -> Iterator[str]:
    parts = message.get("content")
    for part in (message, *(parts if isinstance(parts, list) else ())):
        if isinstance(part, Mapping) and isinstance(part.get("refusal"), str):
            yield part["refusal"]


def refusal_of(raw: str) -> Refusal:
    """What a server says in a body that came with an error, whatever its form."""
    try:
        return refusal_in(parsed(raw))
    except Unreadable:
        text = raw.strip()
        return Refusal(one_line(_without_tags(text) if text.startswith("<") else text))


def refusal_in(body: Any) -> Refusal:
    """The same of a parsed body; with an empty message where it says nothing."""
    error = body
    for name in ("error", "errors", "detail"):
        if isinstance(error, list) and error:
            error = error[0]
        if isinstance(error, Mapping) and error.get(name):
            error = error[name]
    if isinstance(error, list) and error:
        error = error[0]
    if not isinstance(error, Mapping):
        return Refusal(one_line(error) if isinstance(error, str) else "")
    message = next(
        (error[name] for name in ("message", "msg", "error_description") if error.get(name)), ""
    )
    codes = [error.get(name) for name in ("code", "type", "status")]
    if error is body and not isinstance(message, str):
        message = ""  # a `message` of another interface
    elif error is not body and not message:
        message = error
    status = next((code for code in map(_status, codes) if code), None)
    kinds = tuple(code.lower()[:80] for code in codes if isinstance(code, str))
    place = error.get("loc")
    parameter = place[-1] if isinstance(place, list) and place else error.get("param")
    return Refusal(
        one_line(message if isinstance(message, str) else json.dumps(message)),
        status,
        kinds,
        parameter if isinstance(parameter, str) else None,
    )


def _status(code: Any) -> int | None:
    """An HTTP status that tells of an error."""
    text = str(code) if isinstance(code, str) or type(code) is int else ""
    return int(text) if re.fullmatch("[45][0-9][0-9]", text) else None


def _kind(value: Any) -> str:
    names = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return "null" if value is None else names.get(type(value), "something else")


def one_line(message: object, limit: int = LONGEST_MESSAGE) -> str:
    """A server's words for a message: one line, nothing in it that a terminal obeys."""
    text = "".join(letter if letter.isprintable() else " " for letter in str(message)[: 4 * limit])
    return " ".join(text.split())[:limit]


def whole_characters(text: str) -> str:
    """`text` without halves of characters (lone surrogates), which no file can hold: U+FFFD stands
    in their place.

    >>> whole_characters("\\ud83d\\ude00 and \\ud83d")
    '😀 and \ufffd'
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
