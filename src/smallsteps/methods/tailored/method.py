"""Tailored learning (Wang et al., EMNLP 2023): the method, from top to bottom.

    round 0   N_0 = wrong rationales of the untrained student's exam on its training questions
              T_0 = the teacher's rationales for all of them; those whose answer is right are kept
              M_1 = the student trained on T_0, its mistakes N_0 as negatives
    round r   N_r = wrong rationales of M_r's exam
              stop where the rounds are over, hardly a mistake is left, or validation gained too little
              T_r = the teacher's rationales, each for one of N_r and the gold answer; right ones are kept
              M_r+1 = M_r trained on T_0 ... T_r, with N_r as negatives and a fresh optimizer

Beside `full`, arms at the same teacher tokens and training tokens, round by round:

    t0-only       what feedback would cost buys more rationales of T_0's kind, for all questions in turn; no contrast
    blind         the teacher is asked about the mistaken questions with their answers, but does not see the mistakes
    no-contrast   feedback, but no loss on the mistakes themselves

The loss is `smallsteps.training.contrast_losses`, the exam `smallsteps.methods.tailored.exam`, what is
kept `smallsteps.teaching.filtering`. Departures are listed in docs/tailored.md: rounds accumulate with
a cap, there is a stop rule, students may be encoder-decoders, and AS-ES students too. What lies
where on disk stands in `rounds.py`."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from smallsteps.errors import counted
from smallsteps.experiment.arm import Trained, Workshop
from smallsteps.experiment.recipe import TailoredSettings
from smallsteps.generation.budget import NOT_ASKED
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
class Bought(Record):
    """One reply of the teacher with its lineage."""

    id: str
    problem_id: str
    round: int
    """The exam before which it did not exist: 0 for T_0."""
    text: str | None
    mistake: str | None = None
    """The wrong rationale that it answers."""
    dropped: str | None = None
    """Why it is not learnt from."""
    tokens: int = 0
    """That the teacher read and wrote for it."""
    author: str = "teacher"
    sample: int = 0
    """Which of several replies to the same it was."""


# ---- what the teacher is asked ----


def first_lessons(problems: Sequence[Problem], words: TailoredSettings) -> list[Lesson]:
    """T_0: every question, `rationales` times."""
    return [Lesson(f"{p.id}/0.{n}", p, sample=n) for p in problems for n in range(words.rationales)]


def feedback_lessons(
    problems: Sequence[Problem], papers: Sequence[Paper], round: int, words: TailoredSettings
) -> list[Lesson]:
    """T_r: each mistaken question with its first wrong rationales."""
    own = {problem.id: problem for problem in problems}
    return [
        Lesson(f"{paper.id}/{round}.{place}", own[paper.id], attempt, place)
        for paper in papers
        for place, attempt in enumerate(paper.wrong[: words.mistakes])
    ]


def further_lessons(
    problems: Sequence[Problem], bought: Sequence[Bought], round: int, seed: int, hint: bool = False
) -> Iterator[Lesson]:
    """More of T_0's kind without end: all `problems` in a shuffled order, then all once more, each
    time a sample that was not asked for in T_0 or since. `hint`: the teacher is shown the gold
    answer, as in feedback."""
    asked: Counter[str] = Counter()
    for one in bought:
        if one.mistake is None:
            asked[one.problem_id] = max(asked[one.problem_id], one.sample + 1)
    order = random.Random(f"further/{seed}/{round}").sample(list(problems), len(problems))
    for turn in range(1_000_000):
        for problem in order:
            yield Lesson(
                f"{problem.id}/{round}.{turn}", problem, sample=asked[problem.id] + turn, hint=hint
            )


def taught(
    lessons: Sequence[Lesson],
    teacher: Teacher,
    task: Task,
    words: TailoredSettings,
    round: int,
    progress: Progress | None = None,
    retries: int | None = None,
) -> list[Bought]:
    """All replies to the lessons, kept and dropped. `retries`: None, as the recipe says."""
    found = teach(
        lessons, teacher, task, words.teacher.retries if retries is None else retries, progress
    )
    return [_bought(one, round, teacher.name) for one in found]


def taught_up_to(
    allowance: int,
    lessons: Iterator[Lesson],
    teacher: Teacher,
    task: Task,
    words: TailoredSettings,
    round: int,
) -> list[Bought]:
    """Replies to as many lessons as `allowance` tokens buy: by portions, each as large as the
    tokens left pay for at the price of the dearest reply so far, until they are spent; the last may
    go over. A reply that is dropped is not asked for again: what is left buys others."""
    found: list[Bought] = []
    if allowance <= 0:
        return found
    portion = 1
    while True:
        lot = [lesson for _, lesson in zip(range(portion), lessons, strict=False)]
        found += taught(lot, teacher, task, words, round, retries=0) if lot else []
        spent = sum(one.tokens for one in found)
        if spent >= allowance or not lot or not spent:
            return found
        portion = max(1, (allowance - spent) // max(one.tokens for one in found))


def _bought(one: FilteredReply, round: int, author: str) -> Bought:
    lesson = one.lesson
    return Bought(
        lesson.id,
        lesson.problem.id,
        round,
        one.rationale,
        lesson.attempt,
        one.dropped,
        one.tokens,
        author,
        lesson.sample,
    )


# ---- what the student learns ----


def collected(bought: Sequence[Bought], words: TailoredSettings) -> list[Bought]:
    """The rationales to learn from: right ones of all rounds (or of the newest), each text of a
    question once, the newest `cap` of each question; in the order in which they were bought."""
    newest = max((one.round for one in bought), default=0)
    by_problem: dict[str, dict[str, Bought]] = defaultdict(dict)
    for one in bought:
        if (
            one.dropped is None
            and one.text
            and (words.collect == "accumulate" or one.round == newest)
        ):
            by_problem[one.problem_id].setdefault(one.text, one)
    kept = {one.id for own in by_problem.values() for one in list(own.values())[-words.cap :]}
    return [one for one in bought if one.id in kept]


def rationale_of(one: Bought) -> Rationale:
    """As a record of the kind that chains are made of."""
    assert one.text is not None
    return Rationale(one.id, one.problem_id, one.text, one.author, True)


@dataclass(frozen=True)
class Lessons:
    """What a round's training is made from."""

    chains: list[Chain]
    negatives: Mapping[str, Sequence[str]]
    """Problem id → wrong rationales of the newest exam; none: no contrast."""


def train(
    workshop: Workshop,
    student: Student,
    lessons: Lessons,
    share: float,
    demonstrations: Sequence[tuple[str, str]] = (),
) -> Trained:
    """One round's training, with a fresh optimizer and this round's `share` of the tokens.
    `demonstrations`: (question, rationale) of worked training questions that stand before every
    question."""
    words = workshop.recipe.tailored
    assert words is not None
    path: SegmentPath = "uni" if words.segments else "direct"
    texts = [*workshop.texts, *(chain.rationale.text for chain in lessons.chains)]
    cut = (
        segment_chains(lessons.chains, words.segments, task=workshop.task) if words.segments else []
    )
    causal = student.architecture == "causal"
    examples = build_examples(lessons.chains, cut, workshop.task, path, causal=causal)
    limit = workshop.segment_limit(examples) if words.segments else None
    student = prepare(
        student,
        workshop.task,
        path=path,
        texts=texts,
        seed=workshop.seed,
        max_segments=limit,
        demonstrations=demonstrations,
    )
    against = contrasts(workshop.task, lessons, words.segments)
    # a rationale is compared where it ends: in its whole text, or in its last segment
    ends = {example.id: example.id.rpartition("/")[0] for example in examples if example.last}
    found = {
        id: against[rationale_id] for id, rationale_id in ends.items() if rationale_id in against
    }
    return workshop.train_one(student, examples, [], share=share, contrasts=found)


def contrasts(task: Task, lessons: Lessons, segments: str | None) -> dict[str, Contrast]:
    """Rationale id → the other right rationales of its question and the student's wrong ones. An
    item that lacks one of the two is not usable, and its triplet loss is left out."""
    if not lessons.negatives:
        return {}
    problems = {chain.problem.id: chain.problem for chain in lessons.chains}
    right: dict[str, list[str]] = defaultdict(list)
    for chain in lessons.chains:
        right[chain.problem.id].append(chain.rationale.text)
    written = {
        id: _as_written(problems[id], [*right[id], *lessons.negatives.get(id, ())], task, segments)
        for id in problems
    }
    return {
        chain.rationale.id: Contrast(
            task.render(chain.problem),
            tuple(own[text] for text in right[chain.problem.id] if text != chain.rationale.text),
            tuple(own[text] for text in lessons.negatives.get(chain.problem.id, ())),
        )
        for chain in lessons.chains
        for own in [written[chain.problem.id]]
    }


def _as_written(
    problem: Problem, texts: Sequence[str], task: Task, segments: str | None
) -> dict[str, RationaleParts]:
    """Each text as the student writes it: whole, or cut into segments."""
    if segments is None:
        return {text: ((None, text),) for text in texts}
    chains = [
        Chain(problem, Rationale(f"{problem.id}/{n}", problem.id, text))
        for n, text in enumerate(texts)
    ]
    cut = segment_chains(chains, segments, task=task)
    return {
        text: tuple((s.kind, s.text.strip()) for s in own)
        for text, own in zip(texts, cut, strict=True)
    }


# ---- when to stop ----


def stop_reason(
    round: int,
    papers: Sequence[Paper],
    validation: Sequence[float],
    bought: Sequence[Bought],
    words: TailoredSettings,
) -> str | None:
    """Why no further round is trained; None: go on. `validation`: the figure of every student so
    far, the untrained one first. `bought`: before this round."""
    if round >= words.rounds:
        return f"{counted(words.rounds, 'round')} {'is' if words.rounds == 1 else 'are'} over"
    if any((one.dropped or "").startswith(NOT_ASKED) for one in bought):
        return "the teacher's budget is spent"
    failed = 100 * sum(paper.right < paper.samples for paper in papers) / max(1, len(papers))
    if failed < words.min_failed:
        return f"{failed:.1f} % of the questions are not answered right each time, less than {words.min_failed:g} %"
    if (
        words.min_gain is not None
        and round > 1
        and validation[-1] - validation[-2] < words.min_gain
    ):
        return f"validation gained {validation[-1] - validation[-2]:.1f} points, less than {words.min_gain:g}"
    return None


def fate(before: Sequence[Paper], after: Sequence[Paper]) -> tuple[int, int]:
    """(repaired, broken): questions with a mistake in the exam before and none now, and the other
    way round."""
    had = {paper.id: paper.mistaken for paper in before}
    repaired = sum(had[paper.id] and not paper.mistaken for paper in after)
    return repaired, sum(not had[paper.id] and paper.mistaken for paper in after)
