"""The body of a request, read strictly: what cannot be done is refused and never ignored.

The names are those of OpenAI's interface. Two things differ, because students are small and are
mostly asked greedily: `temperature` is 0 where it is not set, and `max_tokens` is what the
student's task allows. Not here: what a student makes of it (`served_student.py`)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smallsteps.errors import RecipeError, json_fault, similar
from smallsteps.generation.generator import NO_CAP, Decoding, check_temperature
from smallsteps.serving.api_errors import ApiError

MAX_CHOICES = 64
"""Choices of one request, over all its prompts."""
MAX_STOPS = 16
NO_EFFECT = frozenset(
    {
        "metadata",
        "prompt_cache_key",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    }
)
"""Parameters that change no reply: they are read and left alone."""
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "best_of": (1,),
    "echo": (False,),
    "frequency_penalty": (0, 0.0),
    "function_call": ("none",),
    "functions": ([],),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "parallel_tool_calls": (True, False),
    "presence_penalty": (0, 0.0),
    "response_format": ({"type": "text"},),
    "suffix": ("",),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
}
"""Parameter that is not supported → values with which it does nothing. null does nothing
anywhere."""


class StreamOptions(BaseModel):
    """What a stream ends with."""

    model_config = ConfigDict(strict=True, extra="ignore")
    include_usage: bool = False


class SamplingBody(BaseModel):
    """What both kinds of completion have in common."""

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    model: str
    n: int | None = Field(None, ge=1, le=MAX_CHOICES)
    temperature: float | None = Field(None, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0)
    """Not of OpenAI's; other servers have it."""
    seed: int | None = Field(None, ge=0, lt=2**63)
    max_tokens: int | None = Field(None, ge=1, le=NO_CAP)
    max_completion_tokens: int | None = Field(None, ge=1, le=NO_CAP)
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    def check(self) -> None:
        """Raises ApiError where a parameter is not supported, or not known."""
        for name, value in (self.model_extra or {}).items():
            if value is None or name in NO_EFFECT or value in NEUTRAL.get(name, ()):
                continue
            if name in NEUTRAL:
                message = f"`{name}` is not supported by this server. Leave it out."
            else:
                known = {*type(self).model_fields, *NO_EFFECT, *NEUTRAL}
                message = f"`{name}` is not known by this server.{_meant(name, known)}"
            raise ApiError(
                400,
                message,
                param=name,
                code="unsupported_parameter",
            )
        if len(self.stops) > MAX_STOPS or any(not text for text in self.stops):
            raise ApiError(
                400, f"`stop`: expected 1 to {MAX_STOPS} texts that are not empty.", param="stop"
            )
        if self.stream and self.wants_logprobs:
            raise ApiError(
                400,
                "`logprobs` are not streamed. Leave out `stream` or `logprobs`.",
                param="logprobs",
                code="unsupported_parameter",
            )

    @property
    def wants_logprobs(self) -> bool:
        """Whether each token comes with its log-probability."""
        return False

    @property
    def choices(self) -> int:
        """Replies to each prompt."""
        return self.n or 1

    @property
    def stops(self) -> tuple[str, ...]:
        """Texts that end a reply and do not belong to it."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def token_limit(self) -> int | None:
        """Tokens of one reply; None: as many as the student may write."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def includes_usage(self) -> bool:
        """Whether a stream ends with the numbers of tokens."""
        return self.stream_options is not None and self.stream_options.include_usage

    def decoding(self) -> Decoding:
        """How tokens are chosen. Without `seed` every request draws anew. Raises ApiError."""
        try:
            temperature = check_temperature(self.temperature or 0.0)
        except RecipeError as error:
            raise ApiError(400, str(error), param="temperature") from None
        return Decoding(
            max_new_tokens=self.token_limit or NO_CAP,
            temperature=temperature,
            top_k=self.top_k or 0,
            top_p=self.top_p or 1.0,
            seed=secrets.randbits(62) if self.seed is None else self.seed,
            logprobs=self.wants_logprobs,
        )


class TextPart(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(strict=True, extra="ignore")
    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One message."""

    model_config = ConfigDict(strict=True, extra="ignore")
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    def pair(self) -> tuple[str, str]:
        """(role, content) as chat templates know them."""
        content = self.content
        text = content if isinstance(content, str) else "".join(part.text for part in content)
        return "system" if self.role == "developer" else self.role, text


class ChatBody(SamplingBody):
    """`POST /v1/chat/completions`."""

    messages: list[ChatMessage] = Field(min_length=1)
    logprobs: bool | None = None

    @property
    def wants_logprobs(self) -> bool:
        return bool(self.logprobs)


class TextBody(SamplingBody):
    """`POST /v1/completions`."""

    prompt: str | list[str]
    logprobs: int | None = Field(None, ge=0, le=0)
    """0: of each chosen token. Alternatives to it are not kept."""

    @property
    def wants_logprobs(self) -> bool:
        return self.logprobs is not None

    @property
    def prompts(self) -> list[str]:
        """At least one. Raises ApiError where there is none, or there are too many."""
        prompts = [self.prompt] if isinstance(self.prompt, str) else self.prompt
        if not 1 <= len(prompts) * self.choices <= MAX_CHOICES:
            raise ApiError(
                400,
                f"`prompt`: expected 1 to {MAX_CHOICES} replies in all, "
                f"got {len(prompts)} prompts with n = {self.choices}.",
                param="prompt",
            )
        return prompts


Body = TypeVar("Body", bound=BaseModel)


def read_body(raw: bytes, kind: type[Body]) -> Body:
    """The body as `kind`. Raises ApiError where it is no JSON object, or a value is wrong."""
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError) as error:
        place = f": {json_fault(error)}" if isinstance(error, json.JSONDecodeError) else ""
        raise ApiError(400, f"The body is not JSON{place}.", code="invalid_json") from None
    if any("\ud800" <= letter <= "\udfff" for letter in json.dumps(content, ensure_ascii=False)):
        raise ApiError(400, "The body holds half a character (a lone surrogate).")
    if not isinstance(content, dict):
        raise ApiError(400, "The body is no JSON object.", code="invalid_json")
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False)
        fault = max(
            faults, key=lambda fault: len(fault["loc"])
        )  # of a union the part that is meant
        parts = [str(part) for part in fault["loc"]]
        place = ".".join(part for part in parts if part != "str" and not part.startswith("list["))
        match fault["type"], fault["input"]:
            case "extra_forbidden", _:
                known = _fields_at(kind, fault["loc"][:-1])
                message = f"`{place}` is not known.{_meant(parts[-1], known)}"
            case "missing", dict(given):
                others = [name for name in given if name not in _fields_at(kind, fault["loc"][:-1])]
                meant = similar(parts[-1], others)
                message = f"`{place}`: {fault['msg']}." + (f" Is it `{meant}`?" if meant else "")
            case _, given:
                message = f"`{place}`: {fault['msg']}, got {given!r:.60}."
        raise ApiError(400, message, param=place.split(".")[0] or None) from None


def _meant(name: str, known: Collection[str]) -> str:
    """What to do about a name that is not known."""
    meant = similar(name, known)
    return f" Did you mean `{meant}`?" if meant else " Leave it out."


def _fields_at(kind: type[BaseModel], place: Sequence[int | str]) -> Collection[str]:
    """The names of the fields of the object at `place` within a body."""
    for part in place:
        if part in kind.model_fields:
            inner = _models_in(kind.model_fields[str(part)].annotation)
            kind = next(inner, kind)
    return kind.model_fields


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
