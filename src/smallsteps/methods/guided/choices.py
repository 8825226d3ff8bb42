"""Choosing one of n rationales: by their quality, by the reader's confidence, or by the gold
answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

from smallsteps.methods.guided.rationales import WrittenRationale, flatten, regroup
from smallsteps.methods.guided.reader import Reader, ReaderQuestion
from smallsteps.methods.guided.reward import Likelihood, rewarded_aspects, usefulness
from smallsteps.quality.rated import Rated
from smallsteps.quality.scorer import Scorer
from smallsteps.records import Problem

RateRationales = Callable[[Sequence[Problem], Sequence[WrittenRationale]], Sequence[float]]
"""(problems, a rationale for each) → a value for each; the highest of a question is chosen."""


def choose_rationales(
    problems: Sequence[Problem],
    samples: Sequence[Sequence[WrittenRationale]],
    rate: RateRationales,
) -> list[WrittenRationale]:
    """The best rationale of each problem, the first of equals. All of its samples are paid for."""
    values = rate(*flatten(problems, samples))
    chosen = []
    for rationales, rated in zip(samples, regroup(values, samples), strict=True):
        best = rationales[rated.index(max(rated))]
        chosen.append(replace(best, tokens=sum(rationale.tokens for rationale in rationales)))
    return chosen


def by_quality(scorer: Scorer) -> RateRationales:
    """The mean of the rewarded aspects (the paper: choosing by it does not reliably help)."""

    def rate(
        problems: Sequence[Problem], rationales: Sequence[WrittenRationale]
    ) -> Sequence[float]:
        rated = [
            Rated.of(problem, rationale.text)
            for problem, rationale in zip(problems, rationales, strict=True)
        ]
        return [
            fmean(rewarded_aspects(item, quality).values())
            for item, quality in zip(rated, scorer.score(rated), strict=True)
        ]

    return rate


def by_confidence(reader: Reader, likelihood: Likelihood) -> RateRationales:
    """The log-probability of M_L's own answer after the rationale; needs M_L's weights."""

    def rate(
        problems: Sequence[Problem], rationales: Sequence[WrittenRationale]
    ) -> Sequence[float]:
        questions = _questions(problems, rationales)
        answers = reader.first_answers(questions)
        return likelihood.log_probs(
            [
                (reader.messages(question), answer.answer or "")
                for question, answer in zip(questions, answers, strict=True)
            ]
        )

    return rate


def by_gold(reader: Reader) -> RateRationales:
    """The usefulness of M_L's answer by the gold answer: a ceiling, not a method."""

    def rate(
        problems: Sequence[Problem], rationales: Sequence[WrittenRationale]
    ) -> Sequence[float]:
        answers = reader.first_answers(_questions(problems, rationales))
        return [
            usefulness(reader.task, problem, answer.answer)
            for problem, answer in zip(problems, answers, strict=True)
        ]

    return rate


def _questions(
    problems: Sequence[Problem], rationales: Sequence[WrittenRationale]
) -> list[ReaderQuestion]:
    return [
        ReaderQuestion(problem, rationale.text)
        for problem, rationale in zip(problems, rationales, strict=True)
    ]
