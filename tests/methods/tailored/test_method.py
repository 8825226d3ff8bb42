"""Tailored learning: what the teacher is asked, what is learnt, when it stops, and what became of
mistakes."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest

from smallsteps.generation.budget import NOT_ASKED
from smallsteps.methods.tailored.config import TailoredSettings
from smallsteps.methods.tailored.exam import Paper
from smallsteps.methods.tailored.method import (
    RoundMaterial,
    RoundReply,
    ask_teacher,
    ask_teacher_within,
    collected,
    contrasts,
    feedback_lessons,
    first_lessons,
    further_lessons,
    rationale_of,
    stop_reason,
    with_people,
    with_rejected,
)
from smallsteps.records import Chain
from smallsteps.tasks import get_task
from smallsteps.tasks.stories import make_chains
from smallsteps.teaching import lessons as teaching
from smallsteps.teaching.story_solver import StorySolver

TASK = get_task("stories")
SETTINGS = TailoredSettings()
PROBLEMS = [chain.problem for chain in make_chains(6, 5, "easy")]


def settings_with(**changes):
    return TailoredSettings(**{**SETTINGS.model_dump(), **changes})


def reply(id, round, text="The answer is 1.", problem="p", **more):
    return RoundReply(id, problem, round, text, **more)


# ---- what the teacher is asked ----


def test_feedback_is_asked_for_finished_mistakes_and_shows_them():
    papers = [
        Paper(PROBLEMS[0].id, 1, ("wrong", "worse"), 0, 4),
        Paper(PROBLEMS[1].id, 4, (), 0, 4),
    ]
    (lesson,) = feedback_lessons(PROBLEMS, papers, 2, SETTINGS)
    assert (lesson.problem, lesson.attempt) == (PROBLEMS[0], "wrong")
    two = feedback_lessons(PROBLEMS, papers, 2, settings_with(mistakes=3))
    assert [lesson.attempt for lesson in two] == ["wrong", "worse"]
    assert len({lesson.id for lesson in two}) == 2


def test_what_is_asked_again_without_a_mistake_is_a_sample_nobody_asked_for():
    replies = [
        reply(lesson.id, 0, problem=lesson.problem.id, sample=lesson.sample)
        for lesson in first_lessons(PROBLEMS, settings_with(rationales=2))
    ]
    further = further_lessons(PROBLEMS, replies, 1, seed=0)
    first, second = (list(islice(further, len(PROBLEMS))) for _ in range(2))
    assert {lesson.sample for lesson in first} == {2}
    assert {lesson.sample for lesson in second} == {3}
    assert sorted(lesson.problem.id for lesson in first) == sorted(p.id for p in PROBLEMS)
    assert [lesson.problem for lesson in first] != PROBLEMS, "shuffled"


def test_a_reply_that_was_asked_for_again_counts_as_a_sample_too():
    repeated = reply(f"{PROBLEMS[0].id}/0.1~1", 0, problem=PROBLEMS[0].id, sample=3)
    further = further_lessons(PROBLEMS, [repeated], 1, 0, hint=True)
    lessons = {lesson.problem.id: lesson for lesson in islice(further, len(PROBLEMS))}
    assert lessons[PROBLEMS[0].id].sample == 4 and lessons[PROBLEMS[1].id].sample == 0
    assert all(lesson.hint for lesson in lessons.values())


@pytest.mark.parametrize("allowance", [0, 1, 150, 1000])
def test_a_portion_of_teaching_ends_where_its_tokens_are_spent(allowance):
    further = further_lessons(PROBLEMS, [], 1, 0)
    replies = ask_teacher_within(allowance, further, StorySolver(), TASK, 1, len(PROBLEMS))
    spent = [reply.tokens for reply in replies]
    assert sum(spent) >= allowance
    assert sum(spent[:-1]) < max(allowance, 1), "the reply before the last left something to spend"


class Silent:
    """A teacher with nothing to say."""

    name = "silent"

    def __init__(self, reason="no reply"):
        self.lessons = []
        self.reason = reason

    def explain(self, lessons):
        self.lessons += lessons
        yield from (teaching.TeacherReply(lesson, None, self.reason) for lesson in lessons)


@pytest.mark.timeout(60)
def test_a_teacher_with_nothing_to_say_to_any_question_ends_a_portion():
    further = further_lessons(PROBLEMS, [], 1, 0)
    replies = ask_teacher_within(1000, further, Silent(), TASK, 1, len(PROBLEMS))
    assert len(replies) == len(PROBLEMS) and all(reply.dropped for reply in replies)
    refused = Silent(f"{NOT_ASKED}: 5 calls are spent")
    further = further_lessons(PROBLEMS, [], 1, 0)
    assert len(ask_teacher_within(1000, further, refused, TASK, 1, len(PROBLEMS))) == 1


@pytest.mark.timeout(60)
def test_a_file_without_replies_to_some_questions_gives_all_that_it_has_and_then_ends():
    """Trap: the first question of a shuffled order may be one that the file lacks; and what is
    asked for without end must end."""
    solver = StorySolver()
    with_replies = {problem.id for problem in PROBLEMS[1:]}

    class Partial(Silent):
        def explain(self, lessons):
            for lesson in lessons:
                if lesson.problem.id in with_replies and lesson.sample == 0:
                    yield from solver.explain([lesson])
                else:
                    yield teaching.TeacherReply(lesson, None, self.reason)

    for seed in range(4):
        further = further_lessons(PROBLEMS, [], 1, seed)
        replies = ask_teacher_within(100_000, further, Partial(), TASK, 1, len(PROBLEMS))
        kept = [reply.problem_id for reply in replies if reply.dropped is None]
        assert sorted(kept) == sorted(with_replies)


def test_a_dropped_reply_is_asked_for_again_only_where_no_tokens_are_allotted():
    """Within an allowance, what is left pays for other questions."""
    silent = Silent()
    ask_teacher(first_lessons(PROBLEMS[:1], SETTINGS), silent, TASK, 0, retries=2)
    assert len(silent.lessons) == 3
    silent = Silent()
    ask_teacher_within(1000, further_lessons(PROBLEMS, [], 1, 0), silent, TASK, 1, len(PROBLEMS))
    assert len(silent.lessons) == len({lesson.problem.id for lesson in silent.lessons})


# ---- what is learnt ----


def test_rationales_gather_over_rounds_up_to_a_cap_each_text_once():
    replies = [
        reply("a", 0, "x"),
        reply("b", 1, "y"),
        reply("c", 1, "x"),
        reply("d", 2, None, dropped="wrong answer"),
        reply("e", 2, "z"),
        reply("f", 2, "z", problem="q"),
    ]

    def ids(settings):
        return [kept.id for kept in collected(replies, settings)]

    assert ids(SETTINGS) == ["a", "b", "e", "f"]
    assert ids(settings_with(cap=2)) == ["b", "e", "f"]
    assert ids(settings_with(collect="replace")) == ["e", "f"]


@pytest.mark.parametrize("segments", [None, "inter"])
def test_a_contrast_has_other_right_texts_of_its_question_and_its_mistakes(segments):
    problem, other = PROBLEMS[:2]
    texts = [
        "Ann has 3 pens, so she has 3. The answer is 3.",
        "She has 3. The answer is 3.",
        "The answer is 5.",
    ]
    chains = [
        Chain(of, rationale_of(reply(str(n), 0, text, of.id)))
        for n, (of, text) in enumerate(zip([problem, problem, other], texts, strict=True))
    ]
    wrong = {problem.id: ("so 9. The answer is 9.",)}
    by_rationale = contrasts(TASK, RoundMaterial(chains, wrong), segments)
    joined = {
        id: [" ".join(text for _, text in written) for written in contrast.positives]
        for id, contrast in by_rationale.items()
    }
    assert joined == {"0": [texts[1]], "1": [texts[0]], "2": []}
    assert [len(by_rationale[id].negatives) for id in "012"] == [1, 1, 0]
    assert by_rationale["0"].question == TASK.render(problem)
    kinds = {kind for written in by_rationale["0"].positives for kind, _ in written}
    assert kinds == {None} if segments is None else kinds <= {"ES", "AS"}
    assert contrasts(TASK, RoundMaterial(chains, {}), segments) == {}


# ---- when it stops ----


def test_people_s_chains_join_those_of_the_teacher_each_text_once_and_beyond_the_cap():
    gold = make_chains(2, 5, "easy")
    further = gold[0]._replace(rationale=replace(gold[0].rationale, id="f", text="Another way."))
    assert with_people(gold, [further, gold[1]]) == [*gold, further]


def test_chains_that_people_judged_wrong_come_first_among_the_negatives_of_every_round():
    papers = [
        Paper("a", 0, ("guess", "worse"), 0, 4),
        Paper("b", 0, ("other",), 0, 4),
        Paper("c", 4, (), 0, 4),
    ]
    rejected = {"a": ["judged", "guess"], "d": ["only judged"]}
    assert with_rejected(papers, rejected) == {
        "a": ("judged", "guess", "worse"),
        "b": ("other",),
        "d": ("only judged",),
    }
    assert with_rejected(papers, {}) == {"a": ("guess", "worse"), "b": ("other",)}


def test_when_to_stop():
    papers = [Paper("a", 0, ("x",), 0, 4), *(Paper(str(n), 4, (), 0, 4) for n in range(99))]
    unfinished = [Paper("a", 0, (), 4, 4)]
    gain = settings_with(min_gain=1.0)
    assert stop_reason(1, papers, [0, 50], [], SETTINGS) is None
    assert stop_reason(0, unfinished, [0], [], SETTINGS) is None, (
        "a student that finishes no chain makes no mistake, and fails"
    )
    assert stop_reason(3, papers, [0, 50], [], SETTINGS) == "3 rounds are over"
    assert stop_reason(1, papers, [0, 50], [], settings_with(rounds=1)) == "1 round is over"
    few = stop_reason(1, papers, [0, 50], [], settings_with(min_failed=2))
    assert "1.0 % of the questions" in few and "less than 2 %" in few
    assert stop_reason(1, papers, [50, 50], [], gain) is None, (
        "the first student has no student before it"
    )
    assert "gained 0.5 points" in stop_reason(2, papers, [0, 50, 50.5], [], gain)
    unpaid = [reply("a", 0), reply("b", 0, None, dropped="not asked: limit of 5 calls: 5 spent")]
    assert "budget is spent" in stop_reason(1, papers, [0, 50], unpaid, SETTINGS)
