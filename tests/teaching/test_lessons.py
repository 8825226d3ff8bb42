"""Lessons for problems, and the word count of teachers without tokens."""

from __future__ import annotations

from smallsteps.records import Problem
from smallsteps.teaching.lessons import Lesson, count_words, lessons_for


def test_each_problem_gets_as_many_lessons_as_samples_with_ids_of_their_own() -> None:
    problems = [Problem("a", "How many?"), Problem("b", "How few?")]
    lessons = lessons_for(problems, samples=2)
    assert [(lesson.id, lesson.problem.id, lesson.sample) for lesson in lessons] == [
        ("a/0", "a", 0),
        ("a/1", "a", 1),
        ("b/0", "b", 0),
        ("b/1", "b", 1),
    ]
    assert all(lesson.attempt is None and not lesson.hint for lesson in lessons)


def test_words_of_question_attempt_and_text_count() -> None:
    problem = Problem("a", "How many pens?")
    assert count_words(Lesson("l", problem), "Two pens.") == 5
    assert count_words(Lesson("l", problem, "So one."), "Two pens.") == 7
