"""LM-guided chain of thought (Lee et al., LREC-COLING 2024): the method, from top to bottom.

    M_S, a small model, the only one trained: (question, context) -> rationale
    M_L, a large frozen one:                  (question, context, rationale) -> answer

    1. distil   M_L is asked to reason step by step and to predict; items whose prediction is wrong are dropped;
                M_S learns (question, context) -> reasoning from the rest
    2. refine   M_S is trained by reinforcement learning: reward = quality of the rationale (aspects) + usefulness
                (does M_L answer right with it?)
    3. guide    M_S writes, M_L answers

Arms beside it, all with the same reader, the trained ones at the same cost:

    standard             M_L alone                              small        M_S alone: it writes rationale and answer
    cot, cot-sc          M_L reasons; with self-consistency     untrained    guided by M_S as it was
    unfiltered           guided by M_S distilled from all replies, wrong ones too
    distilled            guided after step 1
    aspects, task, both  guided after step 2, rewarded for quality, for usefulness, for both
    raft, dpo            as `both` with as many rollouts: only the best of n is learnt, or best against worst

Controls that decide whether the claim is real (rationales that hold no reasoning of M_S): `other`
question's rationale, the rationale with its answer `masked`, the `gold` supporting sentences,
`random` sentences of the context as long as the rationale. Rewards are
`smallsteps.methods.guided.reward`, aspects `smallsteps.quality`, the loop
`smallsteps.training.reinforce`."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from time import perf_counter

from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding, EngineSettings, Request
from smallsteps.methods.guided.reader import Answered, Asked, Reader, majority
from smallsteps.methods.guided.reward import Likelihood, rewarded_aspects, usefulness
from smallsteps.quality.rated import Rated
from smallsteps.quality.scorer import Scorer
from smallsteps.records import Chain, Problem, Rationale, Record
from smallsteps.students.student import Student
from smallsteps.tasks.base import ANSWER_IS, Task
from smallsteps.tasks.multihop import supporting_facts, tokens
from smallsteps.tasks.sentences import sentences

MASK = "___"

# ---- 1. distil ----


@dataclass(frozen=True)
class Reasoned(Record):
    """One reply of M_L to a training question."""

    id: str
    problem_id: str
    rationale: str
    """Its reasoning, without prediction and closing."""
    predicted: str | None
    correct: bool
    tokens: int = 0


def reasoned(problems: Sequence[Problem], reader: Reader, cot: Decoding) -> list[Reasoned]:
    """M_L's reasoning and prediction for each problem, in one go; greedy."""
    answers = reader.answers([Asked(problem) for problem in problems], reader.cot, cot)
    return [
        Reasoned(
            f"{problem.id}/cot",
            problem.id,
            reasoning_of(own[0].text),
            own[0].answer,
            any(reader.task.same(own[0].answer, gold) for gold in reader.task.golds(problem)),
            own[0].tokens,
        )
        for problem, own in zip(problems, answers, strict=True)
    ]


def reasoning_of(reply: str) -> str:
    """A reply without what gives its answer away as such: what follows "Prediction:", and a closing
    sentence.

    >>> reasoning_of("Ann lives in Rome. So it is Italy. The answer is Italy. Prediction: Italy")
    'Ann lives in Rome. So it is Italy.'
    """
    body = re.split(r"\bprediction\s*:", reply, flags=re.IGNORECASE)[0]
    said = sentences(body)
    while said and re.search(ANSWER_IS, said[-1], re.IGNORECASE):
        said.pop()
    return " ".join(said)


def lessons(
    replies: Sequence[Reasoned], problems: Sequence[Problem], filtered: bool = True
) -> list[Chain]:
    """What M_S learns: reasoning that led to the right answer; `filtered` False: all that is not
    empty."""
    own = {problem.id: problem for problem in problems}
    return [
        Chain(
            own[one.problem_id],
            Rationale(one.id, one.problem_id, one.rationale, "reader", one.correct),
        )
        for one in replies
        if one.rationale and (one.correct or not filtered)
    ]


def yields(replies: Sequence[Reasoned]) -> dict[str, int]:
    """How many replies there were, how many could be read, were right, and had any reasoning."""
    return {
        "replies": len(replies),
        "parsed": sum(one.predicted is not None for one in replies),
        "right": sum(one.correct for one in replies),
        "kept": sum(one.correct and bool(one.rationale) for one in replies),
    }


# ---- 3. guide ----


@dataclass(frozen=True)
class Written:
    """A rationale of M_S, or one that a control puts in its place."""

    text: str
    tokens: int = 0
    """Read and written by M_S."""
    finished: bool = True


def write(
    student: Student,
    problems: Sequence[Problem],
    task: Task,
    decoding: Decoding,
    samples: int = 1,
    batch_size: int = 64,
) -> list[list[Written]]:
    """`samples` rationales of M_S for each problem, in order."""
    sources = [student.source_ids(task, task.render(problem)) for problem in problems]
    found: list[dict[int, Written]] = [{} for _ in problems]
    requests = [Request(str(n), source, samples) for n, source in enumerate(sources)]
    engine = open_engine(student, EngineSettings(batch_size=batch_size))
    for reply in engine.generate(requests, decoding):
        n = int(reply.id)
        found[n][reply.sample] = Written(
            reply.text.strip(), len(sources[n]) + reply.tokens, reply.finished == "end"
        )
    return [[own[sample] for sample in range(samples)] for own in found]


@dataclass(frozen=True)
class GuidedAnswer(Record):
    """What an arm answered to one problem, and what it cost."""

    problem_id: str
    answer: str | None
    rationale: str | None
    found: str
    """Where the answer was read off (`reader.Found`)."""
    small_tokens: int
    """Read and written by M_S."""
    large_tokens: int
    """Read and written by M_L."""
    small_seconds: float = 0.0
    large_seconds: float = 0.0


def guided(
    problems: Sequence[Problem], rationales: Sequence[Written], reader: Reader
) -> list[GuidedAnswer]:
    """M_L's answers with these rationales."""
    began = perf_counter()
    asked = [Asked(problem, one.text) for problem, one in zip(problems, rationales, strict=True)]
    answers = [own[0] for own in reader.answers(asked)]
    seconds = (perf_counter() - began) / max(1, len(problems))
    return [
        GuidedAnswer(p.id, a.answer, w.text, a.found, w.tokens, a.tokens, large_seconds=seconds)
        for p, w, a in zip(problems, rationales, answers, strict=True)
    ]


def alone(
    problems: Sequence[Problem], reader: Reader, cot: Decoding | None = None, samples: int = 1
) -> list[GuidedAnswer]:
    """M_L without M_S: standard prompting, or (`cot`) reasoning first; several samples vote."""
    began = perf_counter()
    prompt = None if cot is None else reader.cot
    answers = reader.answers([Asked(problem) for problem in problems], prompt, cot, samples)
    seconds = (perf_counter() - began) / max(1, len(problems))
    votes = [majority(own, reader.task.same) for own in answers]
    return [
        GuidedAnswer(
            p.id,
            a.answer,
            None if cot is None else reasoning_of(a.text),
            a.found,
            0,
            a.tokens,
            large_seconds=seconds,
        )
        for p, a in zip(problems, votes, strict=True)
    ]


def small_alone(
    problems: Sequence[Problem], rationales: Sequence[Written], task: Task
) -> list[GuidedAnswer]:
    """M_S without M_L: a student of whole chains, whose closing says the answer."""
    found = []
    for problem, one in zip(problems, rationales, strict=True):
        answer = task.extract(one.text, True, problem)
        found.append(
            GuidedAnswer(
                problem.id, answer, one.text, "closing" if answer else "none", one.tokens, 0
            )
        )
    return found


def voted(
    problems: Sequence[Problem], samples: Sequence[Sequence[Written]], reader: Reader
) -> list[GuidedAnswer]:
    """Self-consistency over rationales: M_L answers with each, the answers vote."""
    flat = [one for own in samples for one in own]
    repeated = [problem for problem, own in zip(problems, samples, strict=True) for _ in own]
    outcomes = iter(guided(repeated, flat, reader))
    found = []
    for own in samples:
        group = [next(outcomes) for _ in own]
        answers = [
            Answered(one.problem_id, one.answer, "direct", "", one.large_tokens) for one in group
        ]
        won = majority(answers, reader.task.same)
        best = next((one for one in group if one.answer == won.answer), group[0])
        found.append(
            replace(
                best,
                small_tokens=sum(one.small_tokens for one in group),
                large_tokens=sum(one.large_tokens for one in group),
            )
        )
    return found


# ---- choosing one of n ----

Choice = Callable[[Sequence[Problem], Sequence[Sequence[Written]]], list[int]]
"""(problems, n rationales of each) -> which one is taken."""


def by_quality(scorer: Scorer) -> Choice:
    """The best mean of the aspects that are rewarded (the paper: does not reliably help)."""

    def choose(problems: Sequence[Problem], samples: Sequence[Sequence[Written]]) -> list[int]:
        rated = [
            Rated.of(p, one.text) for p, own in zip(problems, samples, strict=True) for one in own
        ]
        values = iter(fmean(rewarded_aspects(quality).values()) for quality in scorer.score(rated))
        return [_best([next(values) for _ in own]) for own in samples]

    return choose


def by_confidence(reader: Reader, likelihood: Likelihood) -> Choice:
    """The one with which M_L is surest of its own answer; needs its weights."""

    def choose(problems: Sequence[Problem], samples: Sequence[Sequence[Written]]) -> list[int]:
        asked = [
            Asked(p, one.text) for p, own in zip(problems, samples, strict=True) for one in own
        ]
        answers = [own[0].answer or "" for own in reader.answers(asked)]
        values = iter(
            likelihood.of(
                [(reader.messages(one), a) for one, a in zip(asked, answers, strict=True)]
            )
        )
        return [_best([next(values) for _ in own]) for own in samples]

    return choose


def by_gold(reader: Reader) -> Choice:
    """The one whose answer is best by the gold answer (F1 where the task has one): a ceiling, not a
    method."""

    def choose(problems: Sequence[Problem], samples: Sequence[Sequence[Written]]) -> list[int]:
        asked = [
            Asked(p, one.text) for p, own in zip(problems, samples, strict=True) for one in own
        ]
        answers = iter(own[0].answer for own in reader.answers(asked))
        return [
            _best([usefulness(reader.task, p, next(answers)) for _ in own])
            for p, own in zip(problems, samples, strict=True)
        ]

    return choose


def _best(values: Sequence[float]) -> int:
    return max(range(len(values)), key=lambda n: (values[n], -n))


def chosen(
    problems: Sequence[Problem], samples: Sequence[Sequence[Written]], choice: Choice
) -> list[Written]:
    """One rationale for each problem; all of its samples are paid for."""
    return [
        replace(own[n], tokens=sum(one.tokens for one in own))
        for own, n in zip(samples, choice(problems, samples), strict=True)
    ]


# ---- controls ----


def other(
    problems: Sequence[Problem], rationales: Sequence[Written], seed: int = 0
) -> list[Written]:
    """Each problem gets the rationale of another one."""
    order = random.Random(f"other/{seed}").sample(range(len(rationales)), len(rationales))
    place = {n: order[(at + 1) % len(order)] for at, n in enumerate(order)}
    return [rationales[place[n]] for n in range(len(rationales))]


def masked(problems: Sequence[Problem], rationales: Sequence[Written], task: Task) -> list[Written]:
    """The gold answer is blanked out wherever the rationale says it."""
    return [
        replace(one, text=_without(one.text, task.golds(problem)))
        for problem, one in zip(problems, rationales, strict=True)
    ]


def _without(text: str, golds: Sequence[str]) -> str:
    for gold in sorted(golds, key=len, reverse=True):
        if tokens(gold):
            pattern = r"[\W_]+".join(re.escape(word) for word in re.findall(r"[^\W_]+", gold))
            text = re.sub(rf"(?<![^\W_]){pattern}(?![^\W_])", MASK, text, flags=re.IGNORECASE)
    return text


def gold_facts(problems: Sequence[Problem]) -> list[Written]:
    """The supporting sentences, in the order in which the row names them."""
    found = []
    for problem in problems:
        paragraphs = dict(problem.context)
        found.append(
            Written(
                " ".join(
                    paragraphs[title][place].strip() for title, place in supporting_facts(problem)
                )
            )
        )
    return found


def random_context(
    problems: Sequence[Problem], rationales: Sequence[Written], seed: int = 0
) -> list[Written]:
    """Sentences of the context, drawn until they are as many words as the rationale."""
    found = []
    for problem, one in zip(problems, rationales, strict=True):
        said = [
            sentence.strip() for _, own in problem.context for sentence in own if sentence.strip()
        ]
        chance = random.Random(f"context/{seed}/{problem.id}")
        chance.shuffle(said)
        wanted = len(one.text.split())
        taken: list[str] = []
        for sentence in said:
            if sum(len(t.split()) for t in taken) >= wanted:
                break
            taken.append(sentence)
        found.append(Written(" ".join(taken)))
    return found


# ---- what it brought ----


def turned(before: Sequence[bool], after: Sequence[bool]) -> dict[str, int]:
    """right and wrong without the rationale -> with it: what guidance repaired and what it
    broke."""
    names = {True: "right", False: "wrong"}
    counts = Counter(f"{names[a]}->{names[b]}" for a, b in zip(before, after, strict=True))
    return {
        f"{a}->{b}": counts[f"{a}->{b}"] for a in ("right", "wrong") for b in ("right", "wrong")
    }
