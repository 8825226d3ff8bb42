"""The reward of a rationale: its quality, and whether the reader answers right with it (Lee et al.
2024).

    paper      sum of factuality, relevance, logicality, consistency, coherence
               + 1[the reader's answer matches exactly]
    balanced   T + 0.5 * mean of the same aspects (ours, the default)
    aspects    0.5 * mean of the aspects alone
    task       T alone

T is the F1 of the reader's answer (1 or 0 where a task's answers have no F1, as numbers). With
`uplift`, which needs the reader's weights, T is how much likelier the rationale makes the gold
answer: log p(a | q, c, r) - log p(a | q, c), clipped to [-2, 2] and scaled to [0, 1]. A rationale
that is empty, unfinished or too long is worth 0, whatever it says. Aspects that need a
context are left out of sum and mean where a question has none. The surface aspects (fluency,
naturalness, readability) are reported and not rewarded: a student raises them cheaply.

Curves show each component and its share of the variance of the advantages. Beside them stand gauges
of reward hacking: how often the rationale says the gold answer, the longest run of words that it
copies from the context, and its length; where a chat model judges, the share of its ratings that
could not be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from smallsteps.errors import RecipeError
from smallsteps.faults import names_faults
from smallsteps.generation.generator import Messages
from smallsteps.methods.guided.config import REWARDED, RewardSettings
from smallsteps.methods.guided.rationales import regroup
from smallsteps.methods.guided.reader import Reader, ReaderQuestion
from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.rated import Rated
from smallsteps.quality.scorer import Quality, Scorer
from smallsteps.records import Problem
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.tasks.multihop import f1, inclusion
from smallsteps.training.policy import target_log_probs
from smallsteps.training.rollouts import Rewarded, Rollout

WATCHED = ("readability", "naturalness", "fluency")
"""Aspects that are reported only."""
UPLIFT = 2.0
"""Largest uplift or loss in nats that counts."""


def rewarded_aspects(item: Rated, quality: Quality) -> dict[str, float]:
    """The rewarded aspects of a rationale; without a context those that need none. One that a chat
    model gave no readable rating is 0: left out, it would pay to write what no judge can rate."""
    return {
        name: quality[name] or 0.0
        for name in REWARDED
        if item.context or ASPECTS[name].needs != "context"
    }


def _measured(quality: Quality, names: Sequence[str]) -> dict[str, float]:
    # a score of 0 counts: left out, it would raise the mean in the curves
    return {name: value for name in names if (value := quality[name]) is not None}


def usefulness(task: Task, problem: Problem, answer: str | None) -> float:
    """T: the best F1 of the reader's answer to a multi-hop question, else 1 for a right answer and
    0 for a wrong one."""
    measure = f1 if "f1" in task.also else task.same
    return max((float(measure(answer, gold)) for gold in task.golds(problem)), default=0.0)


def scaled_uplift(with_rationale: float, without: float) -> float:
    """The gain of a log-probability (nats), clipped to [-2, 2] and scaled to [0, 1].

    >>> scaled_uplift(-1.0, -2.0), scaled_uplift(-1.0, -9.0)
    (0.75, 1.0)
    """
    gain = min(UPLIFT, max(-UPLIFT, with_rationale - without))
    return (gain + UPLIFT) / (2 * UPLIFT)


@dataclass(frozen=True)
class Likelihood:
    """Log-probabilities of answers under a reader whose weights are here."""

    student: Student
    batch_size: int = 32

    def log_probs(self, conversations: Sequence[tuple[Messages, str]]) -> list[float]:
        """Log-probability (nats) of each answer and its end, given as (messages, answer)."""
        student = self.student
        pairs = [
            (student.chat_ids(messages), (*student.encode(answer), student.end_id))
            for messages, answer in conversations
        ]
        return target_log_probs(student, pairs, self.batch_size)


@dataclass(frozen=True)
class Usefulness:
    """How useful a rationale is to the reader."""

    task: float
    """T, between 0 and 1."""
    exact: float
    """1: the reader's answer is a gold answer; else 0."""


@dataclass
class Rewarder:
    """Rewards rollouts; `smallsteps.training.reinforce` calls it with the groups of a step.

    `reader` is needed for all kinds but `aspects`, `likelihood` for the uplift."""

    problems: Mapping[str, Problem]
    scorer: Scorer
    settings: RewardSettings = field(default_factory=RewardSettings)
    reader: Reader | None = None
    likelihood: Likelihood | None = None
    _without_rationale: dict[str, float] = field(default_factory=dict, repr=False)
    """Problem id → log-probability of its gold answer without a rationale."""

    def __post_init__(self) -> None:
        if self.reader is None and self.settings.reward != "aspects":
            raise RecipeError(f"reward {self.settings.reward!r} needs a reader.")
        if self.settings.uplift and self.likelihood is None:
            raise RecipeError(
                "reward: uplift needs the reader's weights: name a folder as the reader, or leave "
                "uplift out."
            )

    def __call__(self, groups: Sequence[Sequence[Rollout]], step: int) -> list[list[Rewarded]]:
        rollouts = [rollout for group in groups for rollout in group]
        return regroup(self.rewards(rollouts), groups)

    @names_faults
    def rewards(self, rollouts: Sequence[Rollout]) -> list[Rewarded]:
        """The reward of each rollout with its parts, in order."""
        places = [place for place, rollout in enumerate(rollouts) if self._passes(rollout)]
        passed = [rollouts[place] for place in places]
        rated = [Rated.of(self.problems[rollout.prompt], rollout.text) for rollout in passed]
        scorer = self.scorer if self._rates else replace(self.scorer, aspects=WATCHED)
        qualities = scorer.score(rated)
        rewards = [Rewarded(0.0, {"gated": 1.0, **self._gauges(rollout)}) for rollout in rollouts]
        for place, item, quality, useful in zip(
            places, rated, qualities, self._useful(passed), strict=True
        ):
            rewards[place] = self._reward(rollouts[place], item, quality, useful)
        return rewards

    @property
    def _rates(self) -> bool:
        """Whether aspects are measured: a chat model is paid for those that are rewarded only."""
        return self.scorer.prompted is None or self.settings.reward != "task"

    def _passes(self, rollout: Rollout) -> bool:
        """Whether a rollout can be worth anything."""
        words = rollout.text.split()
        return rollout.finished and 0 < len(words) <= self.settings.longest

    def _useful(self, rollouts: Sequence[Rollout]) -> list[Usefulness]:
        reader = self.reader
        if reader is None or self.settings.reward == "aspects":
            return [Usefulness(0.0, 0.0)] * len(rollouts)
        questions = [
            ReaderQuestion(self.problems[rollout.prompt], rollout.text) for rollout in rollouts
        ]
        answers = reader.first_answers(questions)
        if self.likelihood is not None and self.settings.uplift:
            values = self._uplifts(questions, reader, self.likelihood)
        else:
            values = [
                usefulness(reader.task, question.problem, answer.answer)
                for question, answer in zip(questions, answers, strict=True)
            ]
        return [
            Usefulness(value, float(reader.is_right(answer, question.problem)))
            for question, answer, value in zip(questions, answers, values, strict=True)
        ]

    def _uplifts(
        self, questions: Sequence[ReaderQuestion], reader: Reader, likelihood: Likelihood
    ) -> list[float]:
        """Of each question with its rationale; without one each problem is measured once."""
        problems = {question.problem.id: question.problem for question in questions}
        new = [
            ReaderQuestion(problem)
            for id, problem in problems.items()
            if id not in self._without_rationale
        ]
        for question, value in zip(new, likelihood.log_probs(_with_gold(new, reader)), strict=True):
            self._without_rationale[question.problem.id] = value
        with_rationale = likelihood.log_probs(_with_gold(questions, reader))
        return [
            scaled_uplift(value, self._without_rationale[question.problem.id])
            for question, value in zip(questions, with_rationale, strict=True)
        ]

    def _reward(
        self, rollout: Rollout, item: Rated, quality: Quality, useful: Usefulness
    ) -> Rewarded:
        kind = self.settings.reward
        aspects = rewarded_aspects(item, quality) if self._rates else {}
        terms = {}
        if kind != "task":
            weight = 1.0 if kind == "paper" else 0.5 / len(aspects)
            terms = {name: weight * value for name, value in aspects.items()}
        parts = dict(aspects)
        if self.scorer.prompted is not None and aspects:
            parts["unread"] = sum(quality[name] is None for name in aspects) / len(aspects)
        if kind != "aspects":
            terms["task"] = useful.exact if kind == "paper" else useful.task
            parts |= {"task": useful.task, "exact": useful.exact}
        parts |= {**_measured(quality, WATCHED), "gated": 0.0, **self._gauges(rollout)}
        return Rewarded(sum(terms.values()), parts, terms)

    def _gauges(self, rollout: Rollout) -> dict[str, float]:
        problem = self.problems[rollout.prompt]
        word_count = len(rollout.text.split())
        leaks = any(inclusion(rollout.text, gold) for gold in self._golds(problem))
        return {
            "leak": float(leaks),
            "copy": longest_copy(rollout.text, problem) / word_count if word_count else 0.0,
            "words": float(word_count),
        }

    def _golds(self, problem: Problem) -> list[str]:
        """The gold answer, and its aliases where the reader's task knows them."""
        aliases = () if self.reader is None else self.reader.task.golds(problem)[1:]
        return [gold for gold in (problem.answer, *aliases) if gold]


def _with_gold(questions: Sequence[ReaderQuestion], reader: Reader) -> list[tuple[Messages, str]]:
    """(messages, gold answer) of each question."""
    return [(reader.messages(question), question.problem.answer or "") for question in questions]


def longest_copy(text: str, problem: Problem) -> int:
    """Words of the longest run in `text` that stands in the context letter by letter."""
    context = " ".join(sentence for _, paragraph in problem.context for sentence in paragraph)
    context_words = context.split()
    longest = 0
    # run_ending_at[n]: length of the common run that ends at context word n - 1
    run_ending_at = [0] * (len(context_words) + 1)
    for word in text.split():
        extended = [0] * (len(context_words) + 1)
        for place, context_word in enumerate(context_words, 1):
            if word == context_word:
                extended[place] = run_ending_at[place - 1] + 1
                longest = max(longest, extended[place])
        run_ending_at = extended
    return longest
