from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smallsteps.errors import DataError
from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.stories import STYLES, make_chains, story
from smallsteps.teaching.prompts import read_prompt
from smallsteps.teaching.teachers import (
    FileTeacher,
    Lesson,
    PromptedTeacher,
    Solver,
    Taught,
    first_wrong_step,
)

TASK = get_task("stories")
CHAINS = make_chains(60, 3, "hard")


def texts(lessons: list[Lesson]) -> list[str]:
    found = {taught.lesson.id: taught.text for taught in Solver().explain(lessons)}
    return [found[lesson.id] or "" for lesson in lessons]


def test_the_solver_is_always_right_and_has_several_ways_to_say_it() -> None:
    for chain in CHAINS:
        said = texts([Lesson(f"{n}", chain.problem, sample=n) for n in range(STYLES)])
        assert len(set(said)) == STYLES >= 3
        assert all(
            TASK.extract(text, False, chain.problem) == chain.problem.answer for text in said
        )


def test_the_solver_takes_the_first_wrong_step_apart_and_every_equation_holds() -> None:
    expanded = 0
    for chain in CHAINS:
        right = chain.rationale.text
        sums = list(re.finditer(r"\d+ [-+x/] \d+ = (\d+)", right))
        place = len(sums) // 2
        start, end = sums[place].span(1)
        attempt = f"{right[:start]}{int(sums[place][1]) + 1}{right[end:]}"
        text = texts([Lesson("a", chain.problem, attempt)])[0]
        assert TASK.extract(text, False, chain.problem) == chain.problem.answer
        for a, sign, b, c in re.findall(r"(\d+) ([-+x/]) (\d+) = (\d+)", text):
            assert {
                "+": int(a) + int(b),
                "-": int(a) - int(b),
                "x": int(a) * int(b),
                "/": int(a) / int(b),
            }[sign] == int(c)
            assert int(a) * int(c) <= 10_000
        assert sums[place][0] in text, "the step itself is still made"
        expanded += len(re.findall(r"= \d+", text)) > len(sums)
    assert expanded == len(CHAINS), "every step has smaller ones"


def test_what_the_solver_says_to_a_mistake_it_never_says_without_one() -> None:
    for chain in CHAINS:
        plain = set(texts([Lesson(str(n), chain.problem, sample=n) for n in range(STYLES)]))
        right = chain.rationale.text
        closing = right.replace(f"The answer is {chain.problem.answer}.", "The answer is 99.")
        said = texts(
            [
                Lesson(str(n), chain.problem, wrong)
                for n, wrong in enumerate((closing, "No idea.", "Hm."))
            ]
        )
        assert not plain & set(said)
        assert all(
            TASK.extract(text, False, chain.problem) == chain.problem.answer for text in said
        )


def test_the_first_wrong_step_is_found_where_others_are_right() -> None:
    told = story(3, 0, "hard")
    right = "".join(text for _, text in told.pieces())
    assert first_wrong_step(told, right) == len(told.steps)
    equation = told.steps[1].equation
    assert first_wrong_step(told, right.replace(equation, equation + "0")) == 1
    assert first_wrong_step(told, "no idea") == 0
    assert first_wrong_step(told, right.replace(" x ", " * ").replace(" = ", "=")) == len(
        told.steps
    ), "signs and spaces do not matter"


def test_the_solver_knows_its_own_problems_only() -> None:
    problem = CHAINS[0].problem
    for other in (
        Problem("q1", "How many?", "3"),
        Problem(problem.id, problem.question + " Why?", problem.answer),
    ):
        with pytest.raises(DataError, match="knows the bundled word problems only"):
            texts([Lesson("a", other)])


class Scripted:
    """A generator that answers with what it was asked, or as told."""

    def __init__(self, finished: str = "end") -> None:
        self.finished, self.seen = finished, list[Request]()

    def generate(
        self,
        requests: Iterable[Request],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Reply]:
        for request in requests:
            self.seen.append(request)
            yield Reply(
                request.id, request.first_sample, (), "words", self.finished, 9, error="why not"
            )  # type: ignore[arg-type]

    def forecast(self, requests: Iterable[Request], decoding: Decoding) -> str:
        return f"{len(list(requests))} requests"


def prompted(generator: Scripted) -> PromptedTeacher:
    return PromptedTeacher(
        "m", generator, TASK, read_prompt("initial"), read_prompt("feedback"), Decoding()
    )


def test_an_attempt_chooses_the_feedback_prompt_and_the_sample_travels() -> None:
    generator, problem = Scripted(), CHAINS[0].problem
    lessons = [Lesson("a", problem), Lesson("b", problem, "5 + 5 = 11", sample=4)]
    list(prompted(generator).explain(lessons))
    first, second = (str(request.prompt) for request in generator.seen)
    assert "5 + 5 = 11" not in first and "5 + 5 = 11" in second
    assert [request.first_sample for request in generator.seen] == [0, 4]


def test_a_hint_without_an_attempt_chooses_the_prompt_that_shows_the_answer_and_no_mistake() -> (
    None
):
    generator, problem = Scripted(), CHAINS[0].problem
    list(prompted(generator).explain([Lesson("a", problem, hint=True)]))
    assert generator.seen[0].prompt == read_prompt("blind").render(TASK, problem)
    assert f"answer is: {problem.answer}" in str(generator.seen[0].prompt)


@pytest.mark.parametrize(
    ("finished", "reason"), [("failed", "why not"), ("limit", "cut off after 9 tokens")]
)
def test_what_did_not_come_whole_is_no_rationale(finished: str, reason: str) -> None:
    lesson = Lesson("a", CHAINS[0].problem)
    (taught,) = prompted(Scripted(finished)).explain([lesson])
    assert taught.text is None and taught.reason == reason and taught.lesson is lesson


def test_replies_bought_elsewhere_are_handed_out_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "bought.jsonl"
    file.write_text(
        '{"id": "a", "rationale": "one"}\n{"id": "b", "rationale": "other"}\n{"id": "a", "rationale": "two"}\n'
    )
    teacher, problem = FileTeacher.read(file), Problem("a", "?", "1")
    found: list[Taught] = list(
        teacher.explain([Lesson(str(n), problem, sample=n) for n in range(3)])
    )
    assert [taught.text for taught in found] == ["one", "two", None]
    assert found[2].reason == "bought.jsonl holds 2 replies for it"
    assert found[0].tokens == 2, "words of question and reply"
    (wrong,) = teacher.explain([Lesson("w", problem, "5 + 5 = 11")])
    assert wrong.text is None and "this wrong rationale" in wrong.reason, (
        "what answers the question answers no mistake"
    )
    file.write_text('{"id": "a", "rationale": "no, 10", "attempt": "5 + 5 = 11"}\n')
    (told,) = FileTeacher.read(file).explain([Lesson("w", problem, "5 + 5 = 11")])
    assert told.text == "no, 10"
    file.write_text('{"id": "a"}\n')
    with pytest.raises(DataError, match=r"bought\.jsonl:1: `rationale` is missing"):
        FileTeacher.read(file)


@pytest.mark.parametrize(
    ("rationale", "thinking", "text", "reason"),
    [
        ("<think>9?</think>The answer is 7.", "drop", "The answer is 7.", ""),
        ("<think>9?</think>The answer is 7.", "only", "9?", ""),
        ("<think>9?", "drop", None, "unfinished thought"),
        ("The answer \\ud83d is 7.", "drop", "The answer \N{REPLACEMENT CHARACTER} is 7.", ""),
    ],
)
def test_a_row_of_a_file_is_read_as_a_models_reply_is(
    tmp_path: Path, rationale: str, thinking: Any, text: str | None, reason: str
) -> None:
    (tmp_path / "t.jsonl").write_text(f'{{"id": 5, "rationale": "{rationale}"}}\n')
    (taught,) = FileTeacher.read(tmp_path / "t.jsonl", thinking).explain(
        [Lesson("l", Problem("5", "?"))]
    )
    assert taught.text == text and taught.reason.startswith(reason)


def test_a_row_of_a_file_brings_its_own_answer_and_an_answer_of_another_type_is_one_line(
    tmp_path: Path,
) -> None:
    file = tmp_path / "t.jsonl"
    file.write_text(
        '{"id": "a", "rationale": "So 7.", "answer": 7.0}\n{"id": "b", "rationale": "So 7."}\n'
    )
    lessons = [Lesson(id, Problem(id, "?")) for id in ("a", "b", "c")]
    teacher = FileTeacher.read(file)
    assert [(taught.unprompted, taught.answer) for taught in teacher.explain(lessons)][:2] == [
        (True, "7"),
        (True, None),
    ]
    assert teacher.forecast(lessons) == "file teacher: 2 replies for 2 of 3 questions, 0 calls"
    file.write_text('{"id": "a", "rationale": "So 7.", "answer": [7]}\n')
    with pytest.raises(
        DataError, match=r"t\.jsonl:1: field 'answer' must be text or a number, got a list"
    ):
        FileTeacher.read(file)


@pytest.mark.parametrize("value", ["[1]", "{}", "7", "null", '" "'])
@pytest.mark.parametrize("field", ["id", "rationale", "attempt"])
def test_a_field_of_another_type_is_one_line(tmp_path: Path, field: str, value: str) -> None:
    row = {"id": '"p"', "rationale": '"r"', field: value}
    (tmp_path / "t.jsonl").write_text(
        "{" + ", ".join(f'"{name}": {v}' for name, v in row.items()) + "}\n"
    )
    if (field, value) in (("id", "7"), ("attempt", "null")):
        FileTeacher.read(tmp_path / "t.jsonl")
        return
    with pytest.raises(DataError, match=rf"t\.jsonl:1: `{field}` is missing or no text"):
        FileTeacher.read(tmp_path / "t.jsonl")
