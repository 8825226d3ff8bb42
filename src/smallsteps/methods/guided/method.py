"""LM-guided chain of thought (Lee et al., LREC-COLING 2024): the method, from top to bottom.

    M_S  a small model, the only one trained: (question, context) -> rationale
    M_L  a large frozen model, the reader:    (question, context, rationale) -> answer

    1. distil   M_L reasons step by step and predicts. Replies with a wrong prediction are dropped.
                M_S learns (question, context) -> reasoning from the rest. Or the data has
                rationales already, and M_S learns the right ones.
    2. refine   M_S is trained by reinforcement learning. The reward is the quality of a rationale
                (aspects) plus its usefulness: does M_L answer right with it?
    3. guide    M_S writes, M_L answers.

Arms beside it, all with the same reader, the trained ones at the same cost:

    standard             M_L alone
    cot, cot-sc          M_L reasons first; with self-consistency
    small                M_S alone: it writes rationale and answer
    untrained            guided by M_S before training
    unfiltered           guided by M_S distilled from all replies, wrong ones included
    distilled            guided after step 1
    aspects, task, both  guided after step 2, rewarded for quality, for usefulness, for both
    raft, dpo            as `both`, but M_S learns the best of n rollouts, or best against worst

The reward of step 2 is `reward.py`, its loop `smallsteps.training.reinforce`. Choosing one of n
rationales is `choices.py`. The controls, which decide whether M_S contributes any reasoning, are
`controls.py`. The stages on disk are in `writers.py` and `stages.py`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

from smallsteps import team
from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding, Engine, EngineSettings, Request
from smallsteps.methods.guided.rationales import (
    GuidedAnswer,
    WrittenRationale,
    flatten,
    regroup,
)
from smallsteps.methods.guided.reader import Reader, ReaderAnswer, ReaderQuestion, majority
from smallsteps.records import Chain, Problem, Rationale, Record
from smallsteps.students.student import Student
from smallsteps.tasks.base import ANSWER_IS, Task
from smallsteps.tasks.sentences import sentences

# ---- 1. distil ----


@dataclass(frozen=True)
class Reasoning(Record):
    """Reasoning about a training question, M_L's or the data's."""

    id: str
    problem_id: str
    rationale: str
    """The reasoning, without prediction and closing sentence."""
    predicted: str | None
    """The prediction that it led M_L to; None: the reply has no readable answer, or the reasoning
    is the data's."""
    correct: bool
    tokens: int = 0
    """Read and written by M_L."""
    author: str = "reader"
    """`reader` or `data`."""


def reader_reasoning(
    problems: Sequence[Problem], reader: Reader, decoding: Decoding
) -> list[Reasoning]:
    """M_L's reasoning and prediction for each problem, in order. Greedy if `decoding` is."""
    questions = [ReaderQuestion(problem) for problem in problems]
    answers = reader.first_answers(questions, reader.cot, decoding)
    return [
        Reasoning(
            id=f"{problem.id}/cot",
            problem_id=problem.id,
            rationale=reasoning_of(answer.text),
            predicted=answer.answer,
            correct=reader.is_right(answer, problem),
            tokens=answer.tokens,
        )
        for problem, answer in zip(problems, answers, strict=True)
    ]


def data_reasoning(
    problems: Sequence[Problem], rationales: Mapping[str, Rationale]
) -> list[Reasoning]:
    """The data's own reasoning about the problems that have a rationale, in order. `rationales`: by
    problem id. One of which nobody knows that it is wrong counts as right."""
    return [
        Reasoning(
            id=rationale.id,
            problem_id=problem.id,
            rationale=reasoning_of(rationale.text),
            predicted=None,
            correct=rationale.correct is not False,
            author="data",
        )
        for problem in problems
        if (rationale := rationales.get(problem.id))
    ]


def reasoning_of(reply: str) -> str:
    """A reply without its prediction ("Prediction: ...") and without closing sentences that state
    the answer.

    >>> reasoning_of("Ann lives in Rome. So it is Italy. The answer is Italy. Prediction: Italy")
    'Ann lives in Rome. So it is Italy.'
    """
    body = re.split(r"\bprediction\s*:", reply, flags=re.IGNORECASE)[0]
    reasoning = sentences(body)
    while reasoning and re.search(ANSWER_IS, reasoning[-1], re.IGNORECASE):
        reasoning.pop()
    return " ".join(reasoning)


def distillation_chains(
    reasoning: Sequence[Reasoning], problems: Sequence[Problem], filtered: bool = True
) -> list[Chain]:
    """What M_S learns: the reasoning that led to the right answer. `filtered` False: all reasoning
    that is not empty."""
    problems_by_id = {problem.id: problem for problem in problems}
    chains = []
    for item in reasoning:
        if item.rationale and (item.correct or not filtered):
            rationale = Rationale(
                item.id, item.problem_id, item.rationale, item.author, item.correct
            )
            chains.append(Chain(problems_by_id[item.problem_id], rationale))
    return chains


def count_replies(replies: Sequence[Reasoning]) -> dict[str, int]:
    """How many of M_L's replies there are, how many were parsed, were right, and were kept for
    M_S."""
    parsed = sum(reply.predicted is not None for reply in replies)
    return {"replies": len(replies), "parsed": parsed, **_count_right(replies)}


def count_rationales(rationales: Sequence[Reasoning]) -> dict[str, int]:
    """How many rationales the data has, how many of them are right, and were kept for M_S."""
    return {"rationales": len(rationales), **_count_right(rationales)}


def _count_right(reasoning: Sequence[Reasoning]) -> dict[str, int]:
    return {
        "right": sum(item.correct for item in reasoning),
        "kept": sum(item.correct and bool(item.rationale) for item in reasoning),
    }


# ---- 3. guide ----


def write_rationales(
    student: Student,
    problems: Sequence[Problem],
    task: Task,
    decoding: Decoding,
    samples: int = 1,
    engine: Engine | None = None,
) -> list[list[WrittenRationale]]:
    """`samples` rationales of M_S for each problem, in order. The processes of a launch share the
    problems. engine: what writes; None: this process, 64 at a time."""
    engine = engine or open_engine(student, EngineSettings(batch_size=64))
    sources = [student.source_ids(task, task.render(problem)) for problem in problems]

    def write(numbers: Sequence[int]) -> list[list[WrittenRationale]]:
        requests = [Request(str(number), sources[number], samples) for number in numbers]
        written: dict[int, dict[int, WrittenRationale]] = {number: {} for number in numbers}
        for reply in engine.generate(requests, decoding):
            number = int(reply.id)
            written[number][reply.sample] = WrittenRationale(
                reply.text.strip(), len(sources[number]) + reply.tokens, reply.finished == "end"
            )
        return [[of_one[sample] for sample in range(samples)] for of_one in written.values()]

    return team.share_out(range(len(problems)), write)


def guided_answers(
    problems: Sequence[Problem], rationales: Sequence[WrittenRationale], reader: Reader
) -> list[GuidedAnswer]:
    """M_L's answers with these rationales, one per problem."""
    began = perf_counter()
    questions = [
        ReaderQuestion(problem, rationale.text)
        for problem, rationale in zip(problems, rationales, strict=True)
    ]
    answers = reader.first_answers(questions)
    seconds = (perf_counter() - began) / max(1, len(problems))
    return [
        GuidedAnswer(
            problem_id=problem.id,
            answer=answer.answer,
            rationale=rationale.text,
            read_from=answer.read_from,
            small_tokens=rationale.tokens,
            large_tokens=answer.tokens,
            large_seconds=seconds,
        )
        for problem, rationale, answer in zip(problems, rationales, answers, strict=True)
    ]


def unguided_answers(
    problems: Sequence[Problem], reader: Reader, cot: Decoding | None = None, samples: int = 1
) -> list[GuidedAnswer]:
    """M_L without M_S: standard prompting, or (`cot`) reasoning first. Several samples vote."""
    began = perf_counter()
    prompt = None if cot is None else reader.cot
    questions = [ReaderQuestion(problem) for problem in problems]
    answers_by_problem = reader.answers(questions, prompt, cot, samples)
    seconds = (perf_counter() - began) / max(1, len(problems))
    guided = []
    for problem, answers in zip(problems, answers_by_problem, strict=True):
        winner = majority(answers, reader.task.same)
        guided.append(
            GuidedAnswer(
                problem_id=problem.id,
                answer=winner.answer,
                rationale=None if cot is None else reasoning_of(winner.text),
                read_from=winner.read_from,
                small_tokens=0,
                large_tokens=winner.tokens,
                large_seconds=seconds,
            )
        )
    return guided


def student_answers(
    problems: Sequence[Problem], rationales: Sequence[WrittenRationale], task: Task
) -> list[GuidedAnswer]:
    """M_S without M_L: the answers that its whole chains end in."""
    guided = []
    for problem, rationale in zip(problems, rationales, strict=True):
        answer = task.extract(rationale.text, True, problem)
        guided.append(
            GuidedAnswer(
                problem_id=problem.id,
                answer=answer,
                rationale=rationale.text,
                read_from="closing" if answer else "none",
                small_tokens=rationale.tokens,
                large_tokens=0,
            )
        )
    return guided


def voted_answers(
    problems: Sequence[Problem],
    samples: Sequence[Sequence[WrittenRationale]],
    reader: Reader,
) -> list[GuidedAnswer]:
    """Self-consistency over rationales: M_L answers with each sample, and the answers vote. All
    samples are paid for."""
    answers = guided_answers(*flatten(problems, samples), reader)
    return [_vote(group, reader) for group in regroup(answers, samples)]


def _vote(group: Sequence[GuidedAnswer], reader: Reader) -> GuidedAnswer:
    """The first answer of `group` that agrees with the majority, at the cost of the whole group."""
    ballots = [
        ReaderAnswer(answer.problem_id, answer.answer, "direct", "", answer.large_tokens)
        for answer in group
    ]
    winner = majority(ballots, reader.task.same)
    chosen = next((answer for answer in group if answer.answer == winner.answer), group[0])
    return replace(
        chosen,
        small_tokens=sum(answer.small_tokens for answer in group),
        large_tokens=sum(answer.large_tokens for answer in group),
    )


# ---- what guidance changed ----


def turned(before: Sequence[bool], after: Sequence[bool]) -> dict[str, int]:
    """Questions that were right or wrong without the rationale (`before`) and are with it
    (`after`): `wrong->right` is what guidance repaired, `right->wrong` what it broke."""
    names = {True: "right", False: "wrong"}
    counts = Counter(f"{names[was]}->{names[now]}" for was, now in zip(before, after, strict=True))
    changes = [f"{was}->{now}" for was in ("right", "wrong") for now in ("right", "wrong")]
    return {change: counts[change] for change in changes}
