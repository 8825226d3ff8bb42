"""Tailored learning (Wang et al., EMNLP 2023): the method, from top to bottom.

    round 0   N_0 = wrong rationales of the untrained student's exam on its training questions
              T_0 = the teacher's rationales for all of them; those with the right answer are kept
              M_1 = the student trained on T_0, its mistakes N_0 as negatives
    round r   N_r = wrong rationales of M_r's exam
              stop: the rounds are over, hardly a mistake is left, or validation gained too little
              T_r = the teacher's rationales, each for one of N_r and the gold answer; right ones
                    are kept
              M_r+1 = M_r trained on T_0 ... T_r, with N_r as negatives and a fresh optimizer

Beside `full`, arms at the same teacher tokens and training tokens, round by round:

    t0-only       the cost of feedback buys more rationales of T_0's kind instead; no contrast
    blind         the teacher gets the mistaken questions with their answers, but does not see the
                  mistakes
    no-contrast   feedback, but no loss on the mistakes themselves

The loss is `smallsteps.training.contrast_losses`, the exam `exam.py`. Which of the teacher's
replies are kept is decided in `smallsteps.teaching.filtering`. Departures are listed in
docs/tailored.md: rounds accumulate with a cap, there is a stop rule, and students may be
encoder-decoders or AS-ES students. The stages on disk are in `rounds.py`."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from smallsteps.errors import counted
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.trained import Trained
from smallsteps.generation.budget import NOT_ASKED
from smallsteps.methods.tailored.config import TailoredSettings
from smallsteps.methods.tailored.exam import Paper
from smallsteps.records import Chain, Problem, Rationale, Record
from smallsteps.segments.examples import SegmentPath, build_examples
from smallsteps.segments.label import segment_chains
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.base import Task
from smallsteps.teaching.filtering import FilteredReply
from smallsteps.teaching.lessons import Lesson, Teacher
from smallsteps.teaching.teach import Progress, teach
from smallsteps.training.contrast import Contrast, RationaleParts

WITHOUT_CONTRAST = ("t0-only", "no-contrast")


@dataclass(frozen=True)
class RoundReply(Record):
    """The teacher's reply to one lesson of a round, and what it answers."""

    id: str
    problem_id: str
    round: int
    """The exam after which the teacher was asked; 0: T_0."""
    text: str | None
    mistake: str | None = None
    """The wrong rationale that it answers."""
    dropped: str | None = None
    """Why the student does not learn from it; None: the student does."""
    tokens: int = 0
    """Read and written by the teacher."""
    author: str = "teacher"
    sample: int = 0
    """Which of several replies to the same request it is."""


# ---- lessons and replies ----


def first_lessons(problems: Sequence[Problem], settings: TailoredSettings) -> list[Lesson]:
    """T_0: every question, `rationales` times."""
    return [
        Lesson(f"{problem.id}/0.{sample}", problem, sample=sample)
        for problem in problems
        for sample in range(settings.rationales)
    ]


def feedback_lessons(
    problems: Sequence[Problem], papers: Sequence[Paper], round: int, settings: TailoredSettings
) -> list[Lesson]:
    """T_r: each mistaken question with its first wrong rationales."""
    by_id = {problem.id: problem for problem in problems}
    return [
        Lesson(f"{paper.id}/{round}.{number}", by_id[paper.id], attempt, number)
        for paper in papers
        for number, attempt in enumerate(paper.wrong[: settings.mistakes])
    ]


def further_lessons(
    problems: Sequence[Problem],
    replies: Sequence[RoundReply],
    round: int,
    seed: int,
    hint: bool = False,
) -> Iterator[Lesson]:
    """More of T_0's kind without end: all `problems` in a shuffled order, then all once more, each
    time a new sample. `hint`: the teacher is shown the gold answer, as in feedback."""
    samples_taken: Counter[str] = Counter()
    for reply in replies:
        if reply.mistake is None:
            taken = max(samples_taken[reply.problem_id], reply.sample + 1)
            samples_taken[reply.problem_id] = taken
    order = random.Random(f"further/{seed}/{round}").sample(list(problems), len(problems))
    for turn in range(1_000_000):
        for problem in order:
            sample = samples_taken[problem.id] + turn
            yield Lesson(f"{problem.id}/{round}.{turn}", problem, sample=sample, hint=hint)


def ask_teacher(
    lessons: Sequence[Lesson],
    teacher: Teacher,
    task: Task,
    round: int,
    retries: int,
    progress: Progress | None = None,
) -> list[RoundReply]:
    """All replies to the lessons, kept and dropped. A lesson whose reply is dropped is repeated at
    most `retries` times."""
    filtered = teach(lessons, teacher, task, retries, progress)
    return [_reply(reply, round, teacher.name) for reply in filtered]


def ask_teacher_within(
    allowance: int,
    lessons: Iterator[Lesson],
    teacher: Teacher,
    task: Task,
    round: int,
    turn: int,
) -> list[RoundReply]:
    """Replies to as many lessons as `allowance` teacher tokens pay for.

    Lessons go to the teacher in portions, each as large as the remaining tokens pay for at the
    price of the dearest reply so far; the last portion may go over. A lesson whose reply is dropped
    is not repeated: the remaining tokens pay for others. A teacher that has nothing to say to
    `turn` lessons in a row, as many as there are questions, has nothing left: a file of replies
    ends."""
    replies: list[RoundReply] = []
    if allowance <= 0:
        return replies
    portion = 1
    while True:
        batch = list(islice(lessons, portion))
        if not batch:
            return replies
        replies += ask_teacher(batch, teacher, task, round, retries=0)
        spent = sum(reply.tokens for reply in replies)
        silent = sum(1 for _ in takewhile(lambda reply: not reply.tokens, reversed(replies)))
        refused = (replies[-1].dropped or "").startswith(NOT_ASKED)
        if spent >= allowance or silent >= turn or refused:
            return replies
        dearest = max(reply.tokens for reply in replies)
        portion = max(1, (allowance - spent) // dearest) if dearest else 1


def _reply(filtered: FilteredReply, round: int, author: str) -> RoundReply:
    lesson = filtered.lesson
    return RoundReply(
        id=lesson.id,
        problem_id=lesson.problem.id,
        round=round,
        text=filtered.rationale,
        mistake=lesson.attempt,
        dropped=filtered.dropped,
        tokens=filtered.tokens,
        author=author,
        sample=lesson.sample,
    )


# ---- what the student learns ----


def collected(replies: Sequence[RoundReply], settings: TailoredSettings) -> list[RoundReply]:
    """The replies to learn from: right ones of all rounds (or of the newest), each text of a
    question once, the newest `cap` of each question; in the order in which they came."""
    newest = max((reply.round for reply in replies), default=0)
    by_problem: dict[str, dict[str, RoundReply]] = defaultdict(dict)
    for reply in replies:
        counts = settings.collect == "accumulate" or reply.round == newest
        if reply.dropped is None and reply.text and counts:
            by_problem[reply.problem_id].setdefault(reply.text, reply)
    kept = {
        reply.id
        for by_text in by_problem.values()
        for reply in list(by_text.values())[-settings.cap :]
    }
    return [reply for reply in replies if reply.id in kept]


def rationale_of(reply: RoundReply) -> Rationale:
    """The reply as a record of the kind that chains are made of."""
    assert reply.text is not None
    return Rationale(reply.id, reply.problem_id, reply.text, reply.author, True)


@dataclass(frozen=True)
class RoundMaterial:
    """What a round's training is made from."""

    chains: list[Chain]
    negatives: Mapping[str, Sequence[str]]
    """Problem id → wrong rationales of the newest exam and of feedback; empty: no contrast."""


def with_people(chains: Sequence[Chain], positives: Sequence[Chain]) -> list[Chain]:
    """The chains of a round with those that people edited or judged right, each text of a question
    once. No cap and no round takes the latter out."""
    known = {(chain.problem.id, chain.rationale.text) for chain in chains}
    further = [
        chain for chain in positives if (chain.problem.id, chain.rationale.text) not in known
    ]
    return [*chains, *further]


def with_rejected(
    papers: Sequence[Paper], rejected: Mapping[str, Sequence[str]]
) -> dict[str, Sequence[str]]:
    """Problem id → its negatives: chains that people judged wrong, in every round, and the wrong
    ones of the newest exam."""
    negatives: dict[str, Sequence[str]] = {id: tuple(texts) for id, texts in rejected.items()}
    for paper in papers:
        if paper.wrong:
            negatives[paper.id] = tuple(dict.fromkeys((*negatives.get(paper.id, ()), *paper.wrong)))
    return negatives


def train(
    job: TrainingJob,
    student: Student,
    material: RoundMaterial,
    settings: TailoredSettings,
    share: float,
    demonstrations: Sequence[tuple[str, str]] = (),
) -> Trained:
    """One round's training, with a fresh optimizer and this round's `share` of the tokens.

    `demonstrations`: (question, rationale) of worked training questions that stand before every
    question."""
    strategy = settings.segments
    path: SegmentPath = "uni" if strategy else "direct"
    texts = [*job.texts, *(chain.rationale.text for chain in material.chains)]
    segments = segment_chains(material.chains, strategy, task=job.task) if strategy else []
    causal = student.architecture == "causal"
    examples = build_examples(material.chains, segments, job.task, path, causal=causal)
    student = prepare(
        student,
        job.task,
        path=path,
        texts=texts,
        seed=job.seed,
        max_segments=job.segment_limit(examples) if strategy else None,
        demonstrations=demonstrations,
    )
    by_rationale = contrasts(job.task, material, strategy)
    by_example: dict[str, Contrast] = {}
    for example in examples:
        # a rationale is compared where it ends: in its whole text, or in its last segment
        rationale_id = example.id.rpartition("/")[0]
        if example.last and rationale_id in by_rationale:
            by_example[example.id] = by_rationale[rationale_id]
    return job.train_one(
        student, examples, [], share=share, contrasts=by_example, contrast_settings=settings
    )


def contrasts(task: Task, material: RoundMaterial, strategy: str | None) -> dict[str, Contrast]:
    """Rationale id → the other right rationales of its question (positives) and the student's
    wrong ones (negatives). An item without positives or without negatives has no triplet loss."""
    if not material.negatives:
        return {}
    chains_by_problem: dict[str, list[Chain]] = defaultdict(list)
    for chain in material.chains:
        chains_by_problem[chain.problem.id].append(chain)
    by_rationale: dict[str, Contrast] = {}
    for problem_id, chains in chains_by_problem.items():
        problem = chains[0].problem
        right = [chain.rationale.text for chain in chains]
        wrong = material.negatives.get(problem_id, ())
        written = _as_written(problem, [*right, *wrong], task, strategy)
        negatives = tuple(written[text] for text in wrong)
        for chain in chains:
            positives = tuple(written[text] for text in right if text != chain.rationale.text)
            by_rationale[chain.rationale.id] = Contrast(task.render(problem), positives, negatives)
    return by_rationale


def _as_written(
    problem: Problem, texts: Sequence[str], task: Task, strategy: str | None
) -> dict[str, RationaleParts]:
    """Each text as the student writes it: whole, or cut into segments."""
    if strategy is None:
        return {text: ((None, text),) for text in texts}
    chains = [
        Chain(problem, Rationale(f"{problem.id}/{number}", problem.id, text))
        for number, text in enumerate(texts)
    ]
    cuts = segment_chains(chains, strategy, task=task)
    return {
        text: tuple((segment.kind, segment.text.strip()) for segment in segments)
        for text, segments in zip(texts, cuts, strict=True)
    }


# ---- when to stop ----


def stop_reason(
    round: int,
    papers: Sequence[Paper],
    validation: Sequence[float],
    replies: Sequence[RoundReply],
    settings: TailoredSettings,
) -> str | None:
    """Why no further round is trained; None: continue. `validation`: the metric of every student so
    far, the untrained student first. `replies`: of the rounds before this one."""
    if round >= settings.rounds:
        verb = "is" if settings.rounds == 1 else "are"
        return f"{counted(settings.rounds, 'round')} {verb} over"
    if any((reply.dropped or "").startswith(NOT_ASKED) for reply in replies):
        return "the teacher's budget is spent"
    failed = 100 * sum(paper.right < paper.samples for paper in papers) / max(1, len(papers))
    if failed < settings.min_failed:
        return (
            f"{failed:.1f} % of the questions are not answered right each time, less than "
            f"{settings.min_failed:g} %"
        )
    if settings.min_gain is not None and round > 1:
        gain = validation[-1] - validation[-2]
        if gain < settings.min_gain:
            return f"validation gained {gain:.1f} points, less than {settings.min_gain:g}"
    return None
