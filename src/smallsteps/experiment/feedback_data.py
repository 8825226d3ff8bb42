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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from smallsteps.errors import DataError, RecipeError
from smallsteps.experiment.feedback_rows import (
    AGAIN,
    DUPLICATE,
    EDITED,
    INCOMPLETE,
    KNOWN,
    NEW,
    NOTHING_RIGHT,
    RIGHT,
    SPARE,
    WRONG,
    WRONG_IN_DATA,
    FeedbackRows,
    names_in_messages,
    with_reason,
)
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.tasks.base import Task
from smallsteps.tasks.splits import same_words
from smallsteps.teaching.feedback import Feedback, latest, read_feedback
from smallsteps.teaching.filtering import NO_ANSWER, filter_reply
from smallsteps.teaching.lessons import Lesson, TeacherReply

AUTHOR = "feedback"
HELD_OUT = "question of validation or test"
UNCLEAR = "several questions have this text, and none this id"
DISPUTED = "chain that another row says is right"


@dataclass(frozen=True)
class FeedbackChains:
    """The chains that feedback gives to the training part."""

    positives: Sequence[Chain] = ()
    rejected: Sequence[Chain] = ()
    rows: FeedbackRows | None = None
    """What became of the rows of the files; None: no feedback."""

    def lines(self) -> list[str]:
        """What was used of each file, and what was not; empty without feedback."""
        return [] if self.rows is None else self.rows.lines()

    def wrong_texts(self) -> dict[str, list[str]]:
        """Problem id → the texts of its rejected chains."""
        texts: dict[str, list[str]] = defaultdict(list)
        for chain in self.rejected:
            texts[chain.problem.id].append(chain.rationale.text)
        return dict(texts)


@dataclass(frozen=True)
class Judged:
    """What judgements give to the training part, whatever the arms."""

    positives: list[Chain]
    rejected: list[Chain]
    train: list[Chain]
    """The chains of the data without rejected ones, and with the positives that they lack."""
    fates: list[str]
    """What became of each judgement, in their order (`feedback_rows.py`)."""
    removed: int
    """Chains of the data that are left out since a person judged them wrong."""
    known: int
    """Positives that add nothing to the chains of the data."""
    new_questions: int


@dataclass(frozen=True)
class Material:
    """What the data has before feedback."""

    train: Sequence[Problem]
    held_out: Sequence[Problem] = ()
    """The questions of validation and of all test sets."""
    chains: Sequence[Chain] = ()
    """Chains of the training questions; empty where the run has none."""
    one_each: bool = False
    """Whether only the first chain of a question is learnt from."""


def read_feedback_files(
    paths: Sequence[str], task: Task, material: Material
) -> tuple[Judged, dict[str, Any]]:
    """(what feedback files give, what `data.json` says of them: `FeedbackRows.of`).

    Raises UserError on a bad row, or where a file is named twice."""
    if task.prepare is not None:
        raise RecipeError(
            f"data.feedback: the task {task.name!r} makes several questions of a row, and feedback "
            "names one. Take it out"
        )
    twice = next((path for path, count in Counter(paths).items() if count > 1), None)
    if twice is not None:
        raise RecipeError(f"data.feedback: {twice} is named twice. Name it once")
    by_file = [read_feedback(path) for path in paths]
    judgements = [judgement for file in by_file for judgement in file]
    places = latest(judgements)
    judged = judge([judgements[place] for place in places], task, material)
    fates = [AGAIN] * len(judgements)
    for place, fate in zip(places, judged.fates, strict=True):
        fates[place] = fate
    rest = iter(fates)
    files = {
        name: dict(Counter(islice(rest, len(file))))
        for name, file in zip(names_in_messages(paths), by_file, strict=True)
    }
    facts = {
        "files": files,
        "positives": len(judged.positives),
        "rejected": len(judged.rejected),
        "known": judged.known,
        "new_questions": judged.new_questions,
        "removed": judged.removed,
    }
    return judged, facts


def judge(judgements: Sequence[Feedback], task: Task, material: Material) -> Judged:
    """What the judgements give, of which each chain has one."""
    questions = _Questions(material.train, material.held_out)
    positives: dict[tuple[str, str], Chain] = {}
    right: list[dict[str, str | Chain]] = []
    """Of each judgement: `edited` or `right` → its positive, or why it gives none."""
    for number, judgement in enumerate(judgements):
        right.append({})
        for kind, text in _right_texts(judgement):
            reason, problem = questions.find(judgement)
            if reason is None:
                reason, chain = _positive(problem, text, task, f"{AUTHOR}-{number}-{kind}")
            if reason is None:
                questions.add(chain.problem)
                if (
                    positives.setdefault((chain.problem.id, chain.rationale.text), chain)
                    is not chain
                ):
                    reason = DUPLICATE
            right[-1][kind] = chain if reason is None else reason
    wrong = [
        _negative(judgement, f"{AUTHOR}-{number}-wrong", questions, positives)
        for number, judgement in enumerate(judgements)
    ]
    rejected = {
        (chain.problem.id, chain.rationale.text): chain
        for chain in wrong
        if isinstance(chain, Chain)
    }
    train, removed = with_positives(
        material.chains, list(positives.values()), list(rejected.values()), task
    )
    fate_of = _Fates(material, train[: len(material.chains) - removed], task)
    spare = (KNOWN, SPARE)
    return Judged(
        positives=list(positives.values()),
        rejected=list(rejected.values()),
        train=train,
        fates=[fate_of(*outcome) for outcome in zip(right, wrong, strict=True)],
        removed=removed,
        known=sum(fate_of.positive("edited", chain) in spare for chain in positives.values()),
        new_questions=questions.joined,
    )


def with_positives(
    chains: Sequence[Chain], positives: Sequence[Chain], rejected: Sequence[Chain], task: Task
) -> tuple[list[Chain], int]:
    """(the chains of the data without rejected ones, and with the positives that they lack; how
    many were left out since a person judged them wrong)."""
    # a question may stand in several rows: what was judged is its chain, whichever row has it
    wrong = {key for chain in rejected for key in _keys(chain, task)}
    kept = [chain for chain in chains if _key(chain) not in wrong]
    known = {_key(chain) for chain in kept}
    further = [chain for chain in positives if _key(chain) not in known]
    return [*kept, *further], len(chains) - len(kept)


def new_problems(train: Sequence[Problem], positives: Sequence[Chain]) -> list[Problem]:
    """The questions of positives that are not in the training part, each once."""
    known = {problem.id for problem in train}
    fresh = {chain.problem.id: chain.problem for chain in positives}
    return [problem for id, problem in fresh.items() if id not in known]


class _Fates:
    """What becomes of a judgement, in one phrase."""

    def __init__(self, material: Material, kept: Sequence[Chain], task: Task) -> None:
        """kept: the chains of the data that no person judged wrong."""
        self._task = task
        self._questions = {problem.id for problem in material.train}
        self._data = {_key(chain) for chain in material.chains}
        self._kept = {_key(chain) for chain in kept}
        self._with_chain = {chain.problem.id for chain in kept if material.one_each}

    def __call__(self, right: Mapping[str, str | Chain], wrong: str | Chain | None) -> str:
        """right: `edited` or `right` → its positive, or why it gives none. wrong: the negative, or
        why it gives none; None: nothing was judged wrong."""
        fates = [
            outcome if isinstance(outcome, str) else self.positive(kind, outcome)
            for kind, outcome in right.items()
        ]
        used = next((fate for fate in fates if fate in (EDITED, RIGHT, NEW)), None)
        if used is not None:
            return used
        if isinstance(wrong, Chain):
            in_data = not self._data.isdisjoint(_keys(wrong, self._task))
            return with_reason(WRONG_IN_DATA if in_data else WRONG, next(iter(fates), None))
        return next((fate for fate in fates if fate in (KNOWN, SPARE)), None) or next(
            iter(fates), wrong or NO_ANSWER
        )

    def positive(self, kind: str, chain: Chain) -> str:
        """What becomes of a positive, `edited` or `right`."""
        if _key(chain) in self._kept:
            return KNOWN
        if chain.problem.id in self._with_chain:
            return SPARE
        if chain.problem.id not in self._questions:
            return NEW
        return EDITED if kind == "edited" else RIGHT


def _key(chain: Chain) -> tuple[str, str]:
    return same_words(chain.problem.question), chain.rationale.text.strip()


def _keys(chain: Chain, task: Task) -> set[tuple[str, str]]:
    """The key of a chain as it stands, and as reading a data file would have closed it."""
    question, text = _key(chain)
    return {(question, text), (question, _closed(chain, task))}


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


def _negative(
    judgement: Feedback,
    name: str,
    questions: _Questions,
    positives: Mapping[tuple[str, str], Chain],
) -> str | Chain | None:
    """The chain that is judged wrong, or why it is no negative; None: it is judged right."""
    if judgement.verdict == "right":
        return None
    reason, problem = questions.find(judgement)
    if reason is None and questions.is_new(problem):
        reason = NOTHING_RIGHT
    text = judgement.rationale.strip()
    if reason is None and (problem.id, text) in positives:
        reason = DISPUTED
    if reason is not None:
        return reason
    wrong = Rationale(f"{problem.id}/{name}", problem.id, text)
    return Chain(problem, replace(wrong, author=judgement.student, correct=False))


def _closed(chain: Chain, task: Task) -> str:
    """A rejected chain as reading a data file would have closed it."""
    try:
        return task.close(chain.rationale.text, chain.problem.answer, chain.problem)
    except DataError:
        return chain.rationale.text


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
