"""The reward of a rationale: its quality, and whether the reader answers right with it (Lee et al.
2024).

    paper      sum of factuality, relevance, logicality, consistency, coherence + 1[the reader's answer matches exactly]
    balanced   T + 0.5 * mean of the same aspects (ours, the default)
    aspects    0.5 * mean of the aspects alone
    task       T alone

T is the F1 of the reader's answer (1 or 0 where a task's answers have no F1, as numbers), or
(`uplift`, where the reader's weights are here) how much likelier the rationale makes the gold
answer: log p(a | q, c, r) - log p(a | q, c), clipped to [-2, 2] and scaled to [0, 1]. A rationale
that is empty, unfinished or over-long is worth 0, whatever it says. Aspects that need a context are
left out of sum and mean where a question has none. The surface aspects (fluency, naturalness,
readability) are for looking at, not for reward: they are cheaply bought.

Curves show each component and its share of the variance of the advantages. Gauges of reward hacking
beside it: how often the rationale says the gold answer, the longest run of words it copies from the
context, and its length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smallsteps.errors import RecipeError
from smallsteps.methods.guided.config import RewardSettings
from smallsteps.methods.guided.reader import Answered, Asked, Reader
from smallsteps.quality.rated import Rated
from smallsteps.quality.scorer import Quality, Scorer
from smallsteps.records import Problem
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.tasks.multihop import f1, inclusion
from smallsteps.training.policy import target_log_probs
from smallsteps.training.rollouts import Rewarded, Rollout

REWARDED = ("factuality", "relevance", "logicality", "consistency", "coherence")
"""Aspects that are worth something; the other three are watched."""
WATCHED = ("readability", "naturalness", "fluency")
UPLIFT = 2.0
"""Nats, either way, beyond which an uplift counts no more."""


def rewarded_aspects(quality: Quality) -> dict[str, float]:
    """The aspects that are worth something, as far as they were measured; coherence always is."""
    return {name: value for name in REWARDED if (value := quality[name]) is not None}


def usefulness(task: Task, problem: Problem, answer: str | None) -> float:
    """T: the best F1 of the reader's answer to a multi-hop question, else 1 for a right answer and
    0 for a wrong one."""
    measure = f1 if "f1" in task.also else task.same
    return max((float(measure(answer, gold)) for gold in task.golds(problem)), default=0.0)


@dataclass(frozen=True)
class Likelihood:
    """How likely a reader whose weights are here finds an answer."""

    student: Student
    batch: int = 32

    def of(self, asked: Sequence[tuple[Sequence[tuple[str, str]], str]]) -> list[float]:
        """Log-probability (nats) of each answer and its end after its messages."""
        student = self.student
        pairs = [
            (student.chat_ids(messages), (*student.encode(answer), student.end_id))
            for messages, answer in asked
        ]
        return target_log_probs(student, pairs, self.batch)


@dataclass
class Rewarder:
    """Rewards rollouts; `smallsteps.training.reinforce` calls it with the groups of a step.

    `reader` is needed for all kinds but `aspects`, `likelihood` for the uplift.
    """

    problems: Mapping[str, Problem]
    scorer: Scorer
    settings: RewardSettings = field(default_factory=RewardSettings)
    reader: Reader | None = None
    likelihood: Likelihood | None = None
    _bare: dict[str, float] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if self.reader is None and self.settings.reward != "aspects":
            raise RecipeError(f"reward {self.settings.reward!r} needs a reader.")
        if self.settings.uplift and self.likelihood is None:
            raise RecipeError(
                "reward: uplift needs the reader's weights: name a folder as the reader, or leave uplift out."
            )

    def __call__(self, groups: Sequence[Sequence[Rollout]], step: int) -> list[list[Rewarded]]:
        flat = [one for group in groups for one in group]
        rewarded = iter(self.rewards(flat))
        return [[next(rewarded) for _ in group] for group in groups]

    def rewards(self, rollouts: Sequence[Rollout]) -> list[Rewarded]:
        """One for each, with its parts."""
        open_ones = [one for one in rollouts if self._passes(one)]
        rated = [Rated.of(self.problems[one.prompt], one.text) for one in open_ones]
        quality = self.scorer.score(rated)
        useful = self._useful(open_ones)
        found = {
            id(one): self._sum(one, own, *task)
            for one, own, task in zip(open_ones, quality, useful, strict=True)
        }
        return [
            found.get(id(one)) or Rewarded(0.0, {"gated": 1.0, **self._gauges(one)})
            for one in rollouts
        ]

    def _passes(self, one: Rollout) -> bool:
        return (
            one.finished
            and bool(one.text.strip())
            and len(one.text.split()) <= self.settings.longest
        )

    def _useful(self, rollouts: Sequence[Rollout]) -> list[tuple[float, float]]:
        """(T, exact match) of each."""
        if self.settings.reward == "aspects" or self.reader is None:
            return [(0.0, 0.0)] * len(rollouts)
        asked = [Asked(self.problems[one.prompt], one.text) for one in rollouts]
        answers = [own[0] for own in self.reader.answers(asked)]
        exact = [float(self._exact(answer)) for answer in answers]
        if not self.settings.uplift:
            problems = [self.problems[rollout.prompt] for rollout in rollouts]
            useful = [
                usefulness(self.reader.task, problem, answer.answer)
                for problem, answer in zip(problems, answers, strict=True)
            ]
            return list(zip(useful, exact, strict=True))
        return list(zip(self._uplifts(asked), exact, strict=True))

    def _golds(self, id: str) -> tuple[str, ...]:
        assert self.reader is not None
        return self.reader.task.golds(self.problems[id])

    def _exact(self, answer: Answered) -> bool:
        assert self.reader is not None
        return any(
            self.reader.task.same(answer.answer, gold) for gold in self._golds(answer.problem_id)
        )

    def _uplifts(self, asked: Sequence[Asked]) -> list[float]:
        assert self.reader is not None and self.likelihood is not None
        reader = self.reader
        new = [
            one
            for one in {a.problem.id: Asked(a.problem) for a in asked}.values()
            if one.problem.id not in self._bare
        ]
        for one, value in zip(
            new, self.likelihood.of([self._scored(reader, one) for one in new]), strict=True
        ):
            self._bare[one.problem.id] = value
        with_it = self.likelihood.of([self._scored(reader, one) for one in asked])
        gains = (
            value - self._bare[one.problem.id] for value, one in zip(with_it, asked, strict=True)
        )
        return [(min(UPLIFT, max(-UPLIFT, gain)) + UPLIFT) / (2 * UPLIFT) for gain in gains]

    @staticmethod
    def _scored(reader: Reader, one: Asked) -> tuple[Sequence[tuple[str, str]], str]:
        return reader.messages(one), one.problem.answer or ""

    def _sum(self, one: Rollout, quality: Quality, useful: float, exact: float) -> Rewarded:
        aspects = rewarded_aspects(quality)
        kind = self.settings.reward
        weight = {"paper": 1.0, "task": 0.0}.get(kind, 0.5 / len(aspects))
        terms = {name: weight * value for name, value in aspects.items() if weight}
        if kind != "aspects":
            terms["task"] = exact if kind == "paper" else useful
        # a score of 0 counts: left out, it would raise the mean in the curves
        watched = {name: value for name in WATCHED if (value := quality[name]) is not None}
        used = {} if kind == "aspects" else {"task": useful, "exact": exact}
        return Rewarded(
            sum(terms.values()),
            {**aspects, **used, **watched, "gated": 0.0, **self._gauges(one)},
            terms,
        )

    def _gauges(self, one: Rollout) -> dict[str, float]:
        problem = self.problems[one.prompt]
        said = one.text.split()
        return {
            "leak": float(
                any(
                    inclusion(one.text, gold)
                    for gold in (problem.answer, *self._aliases(problem))
                    if gold
                )
            ),
            "copy": copied(one.text, problem) / len(said) if said else 0.0,
            "words": float(len(said)),
        }

    def _aliases(self, problem: Problem) -> tuple[str, ...]:
        return () if self.reader is None else self.reader.task.golds(problem)[1:]


def copied(text: str, problem: Problem) -> int:
    """Words of the longest run that stands in the context letter by letter."""
    said = text.split()
    context = " ".join(sentence for _, own in problem.context for sentence in own).split()
    longest = 0
    row = [0] * (len(context) + 1)
    for word in said:
        fresh = [0] * (len(context) + 1)
        for place, other in enumerate(context, 1):
            if word == other:
                fresh[place] = row[place - 1] + 1
                longest = max(longest, fresh[place])
        row = fresh
    return longest
