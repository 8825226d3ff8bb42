"""Hard limits on calls, tokens and money, and the forecast before the first call.

Before a call is sent, all that it may cost is reserved: every byte of the prompt as a token (no tokenizer here makes more
tokens than bytes), and the whole `max_tokens` of the reply. A call that could break a limit is not sent. When it comes
back, the reservation is replaced by what the server counted; a call that was cut off stays reserved, since it may have
been billed. So no limit is ever exceeded, and near a limit a little may stay unspent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from smallsteps.errors import RecipeError
from smallsteps.generation.replies import Ask, ReplyStore, Spent

MESSAGE_TOKENS = 64
"""Reserved for each message for what a chat template writes around it (roles, a system prompt of its own)."""

NOT_ASKED = "not asked"
"""How the reason begins with which a request comes back that a limit kept from being sent."""

BYTES_PER_TOKEN = 4.0
"""Of English text, for the forecast only."""


@dataclass(frozen=True)
class Limits:
    """What may be spent by a job in all, earlier interrupted runs of it included. None: no limit."""

    calls: int | None = None
    """Requests sent, retries included."""
    tokens: int | None = None
    """Read and written."""
    money: float | None = None
    """In the currency of the prices."""

    def __post_init__(self) -> None:
        for name in ("calls", "tokens", "money"):
            value = getattr(self, name)
            if value is not None and value < 0:
                raise RecipeError(f"the limit on {name} is {value}, expected 0 or more.")


@dataclass(frozen=True)
class Prices:
    """Per million tokens, in any one currency."""

    input: float = 0.0
    output: float = 0.0

    def of(self, spent: Spent) -> float:
        return (spent.input_tokens * self.input + spent.output_tokens * self.output) / 1e6


@dataclass(frozen=True)
class Call:
    """A call under way and all that it may cost."""

    number: int
    ask: Ask
    most: Spent


class Exhausted(Exception):
    """The next call could break a limit."""


class Budget:
    """The limits of one job, over a store that remembers what earlier runs of the job have sent."""

    def __init__(self, store: ReplyStore, job: str, limits: Limits | None = None, prices: Prices | None = None) -> None:
        self.store, self.job = store, job
        self.limits, self.prices = limits or Limits(), prices or Prices()
        self.spent = store.spent(job)
        if self.limits.money is not None and not (self.prices.input or self.prices.output):
            raise RecipeError("a limit on money needs prices: name input and output price per million tokens.")

    def most(self, ask: Ask) -> Spent:
        """All that one call may cost."""
        read = sum(len(content.encode()) + MESSAGE_TOKENS for _, content in ask.messages)
        written = int(dict(ask.parameters).get("max_tokens", 0))
        return Spent(1, read, written)

    def reserve(self, ask: Ask) -> Call:
        """Notes the call as sent. Raises Exhausted where it could break a limit."""
        most = self.most(ask)
        for unit, limit, spent, more in (
            ("calls", self.limits.calls, self.spent.calls, most.calls),
            ("tokens", self.limits.tokens, self.spent.tokens, most.tokens),
            ("money", self.limits.money, self.prices.of(self.spent), self.prices.of(most)),
        ):
            if limit is not None and spent + more > limit:
                raise Exhausted(
                    f"limit of {limit:,} {unit}: {spent:,.6g} spent, the next call may take {more:,.6g} more"
                )
        self.spent += most
        return Call(self.store.sent(self.job, ask.key, most), ask, most)

    def answered(self, call: Call, raw: str, input_tokens: int, output_tokens: int) -> None:
        """Stores the reply; what the server counted takes the place of the reservation."""
        cost = self._settled(call, input_tokens, output_tokens)
        self.store.answered(call.number, call.ask, raw, cost)

    def failed(self, call: Call, reason: str, raw: str | None = None, tokens: tuple[int, int] | None = (0, 0)) -> None:
        """Notes that no answer came. `tokens` read and written: what was billed nevertheless; None: nobody knows, so the
        reservation stays."""
        cost = call.most if tokens is None else self._settled(call, *tokens)
        self.store.failed(call.number, call.ask.key, reason, raw, cost)

    def _settled(self, call: Call, input_tokens: int, output_tokens: int) -> Spent:
        cost = Spent(1, input_tokens, output_tokens)
        self.spent += cost - call.most
        return cost

    def missing(self, asks: Iterable[Ask]) -> list[Ask]:
        """Those of them that are not stored, the same one once."""
        return [ask for ask in {ask.key: ask for ask in asks}.values() if self.store.get(ask.key) is None]

    def forecast(self, wanted: int, new: Sequence[Ask]) -> str:
        """What buying the `new` of the `wanted` may take, in a line."""
        most = [self.most(ask) for ask in new]
        read = int(sum(len(content.encode()) for ask in new for _, content in ask.messages) / BYTES_PER_TOKEN)
        top = sum(one.output_tokens for one in most)
        line = f"{wanted:,} requests: {len(new):,} calls (the others are stored, or the same), about {read:,} tokens to read"
        line += f" and at most {top:,} to write"
        if self.prices.input or self.prices.output:
            line += f", at most about {self.prices.of(Spent(0, read, top)):,.2f} in money"
        return line
