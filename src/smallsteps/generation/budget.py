"""Hard limits on calls, tokens and money, and the forecast before the first call.

Before a call is sent, all that it may cost is reserved: every byte of the prompt as a token (no
tokenizer here makes more tokens than bytes), and the whole `max_tokens` of the reply. A call that
could break a limit is not sent. When it comes back, the reservation is replaced by what the server
counted, or by the most that it may have cost where the server did not count believably
(`costs.cost_of`); a call that was cut off stays reserved, since it may have been billed. So no
limit is ever exceeded, and near a limit a little may stay unspent.

Limits are checked and calls noted in one transaction of the store, so processes that work on one
job share its limits. Where only the reservations of calls under way stand against the next call, it
waits until they are settled."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from smallsteps.errors import RecipeError
from smallsteps.generation.bodies import Unreadable
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.completion import read_answer
from smallsteps.generation.costs import Cost, cost_of, highest_cost
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.settings import BudgetSettings
from smallsteps.generation.store_tables import MAX_TOKENS

NOT_ASKED = "not asked"
"""How the reason of a request begins that was not sent because of a limit."""

BYTES_PER_TOKEN = 4.0
"""Of English text, for the forecast only."""


@dataclass(frozen=True)
class Call:
    """A call under way."""

    number: int
    """Of the call in the store."""
    chat_request: ChatRequest
    highest: Cost
    """All that it may cost."""


class Exhausted(Exception):
    """The next call could break a limit."""


@dataclass(frozen=True)
class BrokenLimit:
    """A limit that a further call would break."""

    unit: str
    """calls, tokens or money."""
    limit: float
    spent: float
    more: float
    """What the call may cost."""


class Budget:
    """The limits of one job, over a store that remembers what earlier runs of the job have sent."""

    def __init__(
        self,
        store: ReplyStore,
        job: str,
        settings: BudgetSettings | None = None,
    ) -> None:
        self.store = store
        self.job = job.encode(errors="backslashreplace").decode()  # paths may hold any bytes
        self.settings = settings or BudgetSettings()

    def money(self, cost: Cost) -> float:
        """The money that it costs, in the currency of the prices."""
        read, written = self.settings.price_in, self.settings.price_out
        return (cost.input_tokens * read + cost.output_tokens * written) / 1e6

    @property
    def spent(self) -> Cost:
        """What the job has sent so far, other processes included; calls under way count with all
        they may cost."""
        return self.store.spent(self.job)

    def reserve(self, chat_request: ChatRequest, owner: str = "") -> Call | None:
        """Notes the call as sent. None: wait, since calls under way may leave room for it. Raises
        Exhausted where it could break a limit even if those cost nothing. `owner`: whose claims say
        that the call is under way."""
        highest = highest_cost(chat_request)
        if highest.output_tokens > MAX_TOKENS:
            raise RecipeError(
                f"max_tokens is {highest.output_tokens:,}, expected at most {MAX_TOKENS:,}."
            )

        def fits(spent: Cost, under_way: Cost) -> bool:
            settled = spent - replace(under_way, calls=0)  # a call that is settled stays a call
            if broken := self._broken(settled, highest):
                raise Exhausted(
                    f"limit of {broken.limit:,} {broken.unit}: {broken.spent:,.6g} spent, "
                    f"the next call may take {broken.more:,.6g} more"
                )
            return self._broken(spent, highest) is None

        number = self.store.sent(self.job, chat_request.key, highest, owner, fits)
        return None if number is None else Call(number, chat_request, highest)

    def _broken(self, spent: Cost, more: Cost) -> BrokenLimit | None:
        """The first limit that `more` would break; None: there is none."""
        units = (
            ("calls", self.settings.calls, spent.calls, more.calls),
            ("tokens", self.settings.tokens, spent.tokens, more.tokens),
            ("money", self.settings.money, self.money(spent), self.money(more)),
        )
        for unit, limit, spent_units, more_units in units:
            if limit is not None and spent_units + more_units > limit:
                return BrokenLimit(unit, limit, spent_units, more_units)
        return None

    def received(self, call: Call, raw: bytes) -> str:
        """Stores the body that came, then reads it, then notes what it cost. Returns "" for an
        answer, otherwise why it is none; the body is then among the failures."""
        key, new = call.chat_request.key, self.store.received(call.chat_request, raw)
        try:
            answer = read_answer(raw)
        except Unreadable as error:
            reason, cost = str(error), cost_of(call.chat_request, raw, error.tokens)
            if new:
                self.store.rejected(key, reason, call.number, cost)
            else:
                self.store.failed(call.number, key, reason, raw, cost)
            return reason
        counted = (answer.input_tokens, answer.output_tokens)
        self.store.settled(call.number, cost_of(call.chat_request, raw, counted))
        return ""

    def failed(
        self,
        call: Call,
        reason: str,
        raw: str | None = None,
        tokens: tuple[int, int] | None = (0, 0),
    ) -> None:
        """Notes that no answer came. `tokens` read and written: what was billed nevertheless; None:
        nobody knows, so the reservation stays."""
        self.store.failed(
            call.number,
            call.chat_request.key,
            reason,
            raw,
            call.highest if tokens is None else Cost(1, *tokens),
        )

    def missing(self, chat_requests: Iterable[ChatRequest]) -> list[ChatRequest]:
        """The requests that are not stored, each once."""
        by_key = {chat_request.key: chat_request for chat_request in chat_requests}
        return [request for key, request in by_key.items() if self.store.get(key) is None]

    def forecast(self, wanted: int, new: Sequence[ChatRequest]) -> str:
        """One line about what buying the `new` of `wanted` requests may cost."""
        contents = [content for request in new for _, content in request.messages]
        read = int(sum(len(content.encode()) for content in contents) / BYTES_PER_TOKEN)
        written = sum(highest_cost(request).output_tokens for request in new)
        line = (
            f"{wanted:,} requests: {len(new):,} calls (the others are stored, or the same), "
            f"about {read:,} tokens to read and at most {written:,} to write"
        )
        if self.settings.price_in or self.settings.price_out:
            line += f", at most about {self.money(Cost(0, read, written)):,.2f} in money"
        return line
