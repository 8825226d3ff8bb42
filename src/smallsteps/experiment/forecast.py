"""How long a whole run will take: measured on its first updates, refined by each evaluation and
each arm.

All arms cost about the same for a training token (280 to 347 microseconds on the bundled task), and
what each trains on is known before the first one begins. So seconds a token, once measured, give
the training time of the run; evaluations and test answers are added as soon as the first evaluation
has been timed."""

from __future__ import annotations

from collections.abc import Mapping

FIRST_UPDATES = 3
"""Updates after which the first estimate is made; the very first ones are slower."""


class Forecast:
    """Hears of every update and says how much is left."""

    def __init__(
        self,
        tokens: Mapping[str, int],
        evaluations: int,
        answers: float,
        *,
        trials: Mapping[str, int] | None = None,
        at_most: bool = False,
        work: str = "the whole run",
    ) -> None:
        """tokens: label of each model that will be trained, and its training tokens. evaluations:
        of each model. answers: what answering the test problems costs, in evaluations. trials: as
        tokens, of short trainings that are evaluated once and answer nothing. at_most: whether
        trainings may end before these tokens, at their plateau. work: what these trainings are
        together."""
        self.trials = frozenset(trials or {})
        self.tokens = {**tokens, **(trials or {})}
        self.evaluations = evaluations
        self.answers = answers
        self.work = work
        self._bound = "at most " if at_most else ""
        self.seconds_of_tokens: dict[str, tuple[float, float]] = {}
        """Label -> (tokens, seconds) of its training so far."""
        self.evaluated: dict[str, int] = {}
        self.evaluation_seconds: list[float] = []
        self._last: tuple[str, float, float] | None = None
        """(label, clock, training seconds) when it last heard."""
        self._updates = 0
        self._said = 0
        self._first = ""
        """The first estimate."""

    def heard(self, label: str, row: Mapping[str, float | int | None], clock: float) -> str | None:
        """Takes the newest row of a curve, `clock` in seconds. Returns a line to show: the first
        estimate, and the one that first includes evaluations."""
        tokens, seconds = row.get("tokens"), row.get("seconds")
        if not tokens or seconds is None:
            return None
        self.seconds_of_tokens[label] = (tokens, seconds)
        if "train_loss_mean" in row:
            self.evaluated[label] = self.evaluated.get(label, 0) + 1
            # a half's own evaluation is a small part of what its pair's costs (`measured`)
            if self._last is not None and self._last[0] == label and not label.endswith(" half"):
                spent = (clock - self._last[1]) - (seconds - self._last[2])
                self.evaluation_seconds.append(max(0.0, spent))
        self._last = (label, clock, seconds)
        self._updates += 1
        if self._said == 0 and (self._updates >= FIRST_UPDATES or self.evaluation_seconds):
            self._said = 1
            if not self.evaluation_seconds:
                self._first = self._estimate()
                return f"{self._first} of training, evaluations not counted yet"
        if self._said == 1 and self.evaluation_seconds:
            self._said = 2
            estimate = self._estimate()
            if estimate != self._first:  # else it is no news
                return f"{estimate}, evaluations and test answers included"
        return None

    def measured(self, seconds: float) -> None:
        """A dual pair was evaluated."""
        self.evaluation_seconds.append(seconds)

    def finished(self, label: str) -> None:
        """An arm (both halves of a pair) is trained, or was trained by an earlier call."""
        for name in [n for n in self.tokens if n == label or n.startswith(f"{label}, ")]:
            del self.tokens[name]
            self.evaluated.pop(name, None)

    def left(self) -> float | None:
        """Seconds until the last arm has answered; None before the first update."""
        if not self.seconds_of_tokens:
            return None
        trained = sum(tokens for tokens, _ in self.seconds_of_tokens.values())
        rate = sum(seconds for _, seconds in self.seconds_of_tokens.values()) / trained
        to_train = sum(
            max(0.0, tokens - self.seconds_of_tokens.get(label, (0.0, 0.0))[0])
            for label, tokens in self.tokens.items()
        )
        to_measure = sum(
            max(0, 1 - self.evaluated.get(label, 0))
            if label in self.trials
            else max(0, self.evaluations - self.evaluated.get(label, 0)) + self.answers
            for label in self.tokens
        )
        times = self.evaluation_seconds
        return rate * to_train + to_measure * (sum(times) / len(times) if times else 0.0)

    def brief(self) -> str:
        """The rest of the work in a few words, for a progress bar."""
        left = self.left()
        return (
            ""
            if left is None or not self._said
            else f"{self.work.removeprefix('the ')}: {self._bound}{rounded(left)} left"
        )

    def _estimate(self) -> str:
        return f"estimate for {self.work}: {self._bound}about {rounded(self.left() or 0.0)} more"


def rounded(seconds: float) -> str:
    """A duration as an estimate is said.

    >>> rounded(4), rounded(95), rounded(4000), rounded(200_000)
    ('1 min', '2 min', '1 h 7 min', '55 h')
    """
    minutes = max(1, round(seconds / 60))
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h" if hours >= 24 or not rest else f"{hours} h {rest} min"
