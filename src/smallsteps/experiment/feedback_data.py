"""What people said of students' chains (`data.feedback`), as data of a run.

    edited, or judged right   a further right chain of its question (positive)
    judged wrong              a rejected chain of its question (negative); where the training part
                              has this very chain, it is left out there

A positive passes the same filter as a teacher's reply: its final answer must be the gold one.
Questions of validation and test are never trained on. A question that the data does not have joins
the training part where a right chain of it is there; its answer is that chain's. Which arms learn
from what: chains from positives, the contrast of tailored learning from both."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from smallsteps.errors import DataError, RecipeError, counted
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.tasks.base import Task
from smallsteps.tasks.splits import same_words
from smallsteps.teaching.feedback import Feedback, latest, read_feedback
from smallsteps.teaching.filtering import NO_ANSWER, filter_reply
from smallsteps.teaching.lessons import Lesson, TeacherReply

AUTHOR = "feedback"
HELD_OUT = "question of validation or test"
UNCLEAR = "several questions have this text, and none this id"
INCOMPLETE = "new question without its context or choices"
NOTHING_RIGHT = "new question without a right chain"


@dataclass(frozen=True)
class FeedbackChains:
    """The chains that feedback gives to the training part."""

    positives: Sequence[Chain] = ()
    rejected: Sequence[Chain] = ()
    counts: Mapping[str, Any] = field(default_factory=dict)
    """The fields of `FeedbackFacts` in `results.json`; empty: no feedback."""

    def right_chains(self) -> dict[str, list[Chain]]:
        """Problem id → its positives."""
        return _by_problem(self.positives)

    def wrong_texts(self) -> dict[str, list[str]]:
        """Problem id → the texts of its rejected chains."""
        return {
            id: [chain.rationale.text for chain in chains]
            for id, chains in _by_problem(self.rejected).items()
        }


def read_feedback_files(
    paths: Sequence[str], task: Task, train: Sequence[Problem], held_out: Sequence[Problem]
) -> FeedbackChains:
    """The chains of feedback files for the training questions `train`. `held_out`: the questions of
    validation and of all test sets.

    Raises DataError on a bad row, and where nothing in the files can be used."""
    if task.prepare is not None:
        raise RecipeError(
            f"data.feedback: the task {task.name!r} makes several questions of a row, and feedback "
            "names one. Take it out"
        )
    judgements = latest(judgement for path in paths for judgement in read_feedback(path))
    chains = feedback_chains(judgements, task, train, held_out)
    if not chains.positives and not chains.rejected:
        names = ", ".join(Path(path).name for path in paths)
        raise DataError(
            f"data.feedback: {names}: of {counted(len(judgements), 'judgement')} none can be used "
            f"for the task {task.name!r} with these data ({_reasons(chains.counts)}). Name the "
            "task and the data that the judged questions come from, or take the file out."
        )
    return chains


def feedback_chains(
    judgements: Sequence[Feedback],
    task: Task,
    train: Sequence[Problem],
    held_out: Sequence[Problem],
) -> FeedbackChains:
    """What the judgements give, and counts of what was left out and why."""
    questions = _Questions(train, held_out)
    left_out: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    positives: dict[tuple[str, str], Chain] = {}
    for number, judgement in enumerate(judgements):
        for kind, text in _right_texts(judgement):
            reason, problem = questions.find(judgement)
            if reason is None:
                reason, chain = _positive(problem, text, task, f"{AUTHOR}-{number}-{kind}")
            if reason is not None:
                left_out[reason] += 1
                continue
            questions.add(chain.problem)
            if positives.setdefault((chain.problem.id, chain.rationale.text), chain) is chain:
                counts[kind] += 1
    rejected: dict[tuple[str, str], Chain] = {}
    for number, judgement in enumerate(judgements):
        if judgement.verdict == "right":
            continue
        reason, problem = questions.find(judgement)
        if reason is None and questions.is_new(problem):
            reason = NOTHING_RIGHT
        text = judgement.rationale.strip()
        if reason is not None:
            if judgement.edited is None:  # else it was counted with the edited chain
                left_out[reason] += 1
        elif (problem.id, text) not in positives:
            wrong = Rationale(f"{problem.id}/{AUTHOR}-{number}-wrong", problem.id, text)
            wrong = replace(wrong, author=judgement.student, correct=False)
            rejected[problem.id, text] = Chain(problem, wrong)
    held = left_out.pop(HELD_OUT, 0)
    return FeedbackChains(
        list(positives.values()),
        list(rejected.values()),
        {
            "judgements": len(judgements),
            "edited": counts["edited"],
            "right": counts["right"],
            "rejected": len(rejected),
            "new_questions": questions.joined,
            "held_out": held,
            "left_out": dict(left_out.most_common()),
        },
    )


def with_positives(
    train: Sequence[Chain], feedback: FeedbackChains, task: Task
) -> tuple[list[Chain], int]:
    """(the training chains without rejected ones, and with the positives that they lack; how many
    were left out since a person judged them wrong)."""
    # a question may stand in several rows: what was judged is its chain, whichever row has it
    wrong = {
        (same_words(chain.problem.question), text)
        for chain in feedback.rejected
        for text in (chain.rationale.text, _closed(chain, task))
    }

    def key(chain: Chain) -> tuple[str, str]:
        return same_words(chain.problem.question), chain.rationale.text.strip()

    kept = [chain for chain in train if key(chain) not in wrong]
    known = {key(chain) for chain in kept}
    further = [chain for chain in feedback.positives if key(chain) not in known]
    return [*kept, *further], len(train) - len(kept)


def new_problems(train: Sequence[Problem], feedback: FeedbackChains) -> list[Problem]:
    """The questions of positives that are not in the training part, each once."""
    known = {problem.id for problem in train}
    fresh = {chain.problem.id: chain.problem for chain in feedback.positives}
    return [problem for id, problem in fresh.items() if id not in known]


def feedback_line(counts: Mapping[str, Any]) -> str:
    """One line on what was used, and what was not."""
    used = [
        f"{counted(counts['edited'], 'edited chain')} and {counts['right']:,} judged right to "
        "learn from",
        f"{counts['rejected']:,} rejected (negatives of tailored arms)",
    ]
    if counts["new_questions"]:
        used.append(f"{counted(counts['new_questions'], 'new question')}")
    if counts.get("removed"):
        used.append(f"{counted(counts['removed'], 'training chain')} judged wrong left out")
    reasons = _reasons(counts)
    return f"feedback: {counted(counts['judgements'], 'judgement')}: {', '.join(used)}" + (
        f"; not used: {reasons}" if reasons else ""
    )


def _reasons(counts: Mapping[str, Any]) -> str:
    reasons = {HELD_OUT: counts["held_out"], **counts["left_out"]}
    return ", ".join(f"{reason} ({count:,})" for reason, count in reasons.items() if count)


def _right_texts(judgement: Feedback) -> Iterator[tuple[str, str]]:
    """(`edited` or `right`, text) of the chains that a judgement says are right."""
    if judgement.edited is not None:
        yield "edited", judgement.edited
    if judgement.verdict == "right" and judgement.rationale != judgement.edited:
        yield "right", judgement.rationale


def _positive(problem: Problem, text: str, task: Task, name: str) -> tuple[str | None, Chain]:
    """(why the chain is not learnt from, or None; the chain). The problem of a new question gets
    the answer of its chain."""
    reply = TeacherReply(Lesson(problem.id, problem), text, unprompted=True, answer=problem.answer)
    filtered = filter_reply(reply, task)
    reason = filtered.dropped
    if reason is None and problem.answer is None:
        reason, problem = _with_answer(problem, filtered.predicted, task)
    rationale = Rationale(
        f"{problem.id}/{name}", problem.id, filtered.rationale or text, AUTHOR, True
    )
    return (None if reason is None else reason.split(":")[0]), Chain(problem, rationale)


def _with_answer(problem: Problem, answer: str | None, task: Task) -> tuple[str | None, Problem]:
    """(why a new question has no gold answer, or None; the question with it)."""
    if answer is None:
        return NO_ANSWER, problem
    answered = replace(problem, answer=answer)
    try:
        return None, replace(answered, answer=task.gold(answered))
    except DataError:
        return NO_ANSWER, problem


def _closed(chain: Chain, task: Task) -> str:
    """A rejected chain as reading a data file would have closed it."""
    try:
        return task.close(chain.rationale.text, chain.problem.answer, chain.problem)
    except DataError:
        return chain.rationale.text


def _by_problem(chains: Iterable[Chain]) -> dict[str, list[Chain]]:
    by_id: dict[str, list[Chain]] = defaultdict(list)
    for chain in chains:
        by_id[chain.problem.id].append(chain)
    return dict(by_id)


class _Questions:
    """Which question a judgement is about."""

    def __init__(self, train: Sequence[Problem], held_out: Sequence[Problem]) -> None:
        self._by_id = {problem.id: problem for problem in train}
        self._by_text: dict[str, list[Problem]] = defaultdict(list)
        for problem in self._by_id.values():
            self._by_text[same_words(problem.question)].append(problem)
        self._held_out = {same_words(problem.question) for problem in held_out}
        self._needs_more = any(problem.context or problem.choices for problem in train)
        self._taken = {*self._by_id, *(problem.id for problem in held_out)}
        self.joined = 0
        """New questions that joined the training part."""

    def find(self, judgement: Feedback) -> tuple[str | None, Problem]:
        """(why the question cannot be learnt from, or None; the training question that is judged,
        or a new one, which is not known yet)."""
        text = same_words(judgement.question)
        new = Problem(self._free_id(judgement.id), judgement.question.strip())
        named = self._by_id.get(judgement.id)
        if named is not None and same_words(named.question) == text:
            return None, named
        if text in self._held_out:
            return HELD_OUT, new
        candidates = self._by_text.get(text, [])
        if not candidates:
            return (INCOMPLETE if self._needs_more else None), new
        if any(other.context != candidates[0].context for other in candidates):
            return UNCLEAR, candidates[0]
        return None, candidates[0]

    def is_new(self, problem: Problem) -> bool:
        return problem.id not in self._by_id

    def add(self, problem: Problem) -> None:
        """Takes a new question into the training part."""
        if problem.id not in self._by_id:
            self._by_id[problem.id] = problem
            self._by_text[same_words(problem.question)].append(problem)
            self._taken.add(problem.id)
            self.joined += 1

    def _free_id(self, id: str) -> str:
        while id in self._taken:
            id = f"{id}-{AUTHOR}"
        return id
