"""A language model as teacher: which prompt a lesson gets, and what becomes of the reply."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pytest

from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.teaching.lessons import Lesson
from smallsteps.teaching.prompted import PromptedTeacher
from smallsteps.teaching.prompts import read_prompt

TASK = get_task("numbers")
PROBLEM = Problem("p", "How many pens?", "7")


class Scripted:
    """A generator that ends every reply in the same way, and keeps the requests."""

    def __init__(self, finished: str = "end") -> None:
        self.finished = finished
        self.requests: list[Request] = []

    def generate(
        self,
        requests: Iterable[Request],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Reply]:
        for request in requests:
            self.requests.append(request)
            yield Reply(
                request.id,
                request.first_sample,
                (),
                "words",
                self.finished,  # type: ignore[arg-type]
                tokens=9,
                read=4,
                error="why not",
            )

    def forecast(self, requests: Iterable[Request], decoding: Decoding) -> str:
        return f"{len(list(requests))} requests"


def prompted(generator: Scripted) -> PromptedTeacher:
    return PromptedTeacher(
        "m", generator, TASK, read_prompt("initial"), read_prompt("feedback"), Decoding()
    )


def test_an_attempt_chooses_the_feedback_prompt_and_the_sample_travels() -> None:
    generator = Scripted()
    lessons = [Lesson("a", PROBLEM), Lesson("b", PROBLEM, "5 + 5 = 11", sample=4)]
    list(prompted(generator).explain(lessons))
    first, second = (str(request.prompt) for request in generator.requests)
    assert "5 + 5 = 11" not in first and "5 + 5 = 11" in second
    assert [request.first_sample for request in generator.requests] == [0, 4]


def test_a_hint_without_an_attempt_chooses_the_prompt_that_shows_the_answer_and_no_mistake() -> (
    None
):
    generator = Scripted()
    list(prompted(generator).explain([Lesson("a", PROBLEM, hint=True)]))
    assert generator.requests[0].prompt == read_prompt("blind").render(TASK, PROBLEM)
    assert f"answer is: {PROBLEM.answer}" in str(generator.requests[0].prompt)


@pytest.mark.parametrize(
    ("finished", "reason"), [("failed", "why not"), ("limit", "cut off after 9 tokens")]
)
def test_a_reply_that_failed_or_was_cut_off_is_no_rationale(finished: str, reason: str) -> None:
    lesson = Lesson("a", PROBLEM)
    (reply,) = prompted(Scripted(finished)).explain([lesson])
    assert reply.text is None and reply.reason == reason and reply.lesson is lesson


def test_tokens_are_those_read_and_written() -> None:
    (reply,) = prompted(Scripted()).explain([Lesson("a", PROBLEM)])
    assert (reply.text, reply.tokens) == ("words", 4 + 9)


def test_the_forecast_is_that_of_the_generator_for_all_lessons() -> None:
    lessons = [Lesson("a", PROBLEM), Lesson("b", PROBLEM, "5 + 5 = 11")]
    assert prompted(Scripted()).forecast(lessons) == "2 requests"
