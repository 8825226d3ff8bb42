"""Settings of a model that is asked, at a URL or in a folder, and of what may be spent on it.

A teacher and a reader are such models; their settings (`teaching/settings.py`,
`methods/guided/config.py`) add prompts and the like. The key is no setting: it comes from the
environment alone (`access.py`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from smallsteps.config import LARGEST_COUNT, Name, NotNegative, Positive, Settings
from smallsteps.errors import RecipeError

Thinking = Literal["drop", "keep", "only"]
"""What of a reply with a thought is the reply."""

STORE = Path("~/.smallsteps/replies.sqlite").expanduser()
"""The store of paid replies that all jobs share."""


class BudgetSettings(Settings):
    """What a job may spend in all, earlier interrupted runs of it included. None: no limit."""

    calls: int | None = Field(None, ge=0, le=LARGEST_COUNT, examples=[1000])
    """Maximum number of calls, retries included."""
    tokens: int | None = Field(None, ge=0, le=LARGEST_COUNT, examples=[1_000_000])
    """Maximum number of tokens, read and written."""
    money: float | None = Field(None, ge=0, le=1e12, examples=[5])
    """Maximum amount of money, in the currency of the prices."""
    price_in: NotNegative = 0.0
    """Price of a million tokens read."""
    price_out: NotNegative = 0.0
    """Price of a million tokens written."""

    @model_validator(mode="after")
    def _money_needs_prices(self) -> Self:
        if self.money is not None and not (self.price_in or self.price_out):
            raise ValueError(
                "a limit on money needs prices: name input and output price per million tokens."
            )
        return self


class CallSettings(BudgetSettings):
    """A model that is asked: which, where, how hard, and what may be spent on it.

    Of `concurrency` there is one default, 16: what recipes always had, and what small servers
    bear."""

    no_effect: ClassVar[frozenset[str]] = frozenset(
        {
            *BudgetSettings.model_fields,
            "store",
            "concurrency",
            "timeout",
            "attempts",
            "patience",
        }
    )

    name: Name
    """A model at `base_url`; or a folder of a model, a GGUF file, or `smollm2`."""
    base_url: Name | None = None
    """Of an OpenAI-compatible server. None: OPENAI_BASE_URL. The key is OPENAI_API_KEY and stands
    in no recipe."""
    store: Name | None = None
    """The SQLite file of paid replies; None: ~/.smallsteps/replies.sqlite, shared by all runs."""
    concurrency: int = Field(16, ge=1, le=4096)
    """Calls under way at once."""
    timeout: Positive = 120.0
    """Seconds for one call, from the first byte sent to the last byte received."""
    attempts: int = Field(5, ge=1, le=1000)
    """Calls for one reply before it is given up; those that a busy server refused (429, 503) do not
    count."""
    patience: float = Field(900.0, ge=0, le=1e7)
    """Seconds for which a server may be too busy for every call before the job ends."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further parameters of each request, as the server wants them; null takes one out that is sent
    otherwise."""
    thinking: Thinking = "drop"
    """What of a reply of a model that thinks is the reply: what follows the thought (drop), thought
    and reply (keep), or the thought (only)."""

    @property
    def store_path(self) -> Path:
        """The file of the store."""
        return Path(self.store).expanduser() if self.store else STORE

    @field_validator("name", mode="before")
    @classmethod
    def _is_a_name(cls, name: Any) -> Any:
        if not isinstance(name, str):
            return name
        if not name.strip():
            raise ValueError("the model's name is empty. Name one that the server knows.")
        try:
            name.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"the model's name {name.encode(errors='replace').decode()} is not UTF-8. "
                "Name one that the server knows."
            ) from None
        return name

    @field_validator("base_url")
    @classmethod
    def _is_a_url(cls, url: str | None) -> str | None:
        from smallsteps.generation.access import check_url

        try:
            return None if url is None else check_url(url, "the URL")
        except RecipeError as error:
            raise ValueError(str(error)) from None

    @field_validator("extra_body", mode="before")
    @classmethod
    def _is_json(cls, extra: Any) -> dict[str, Any]:
        from smallsteps.generation.parameters import check_extra_body

        return check_extra_body(extra)
