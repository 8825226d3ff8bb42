from __future__ import annotations

from pathlib import Path

import pytest

from smallsteps.errors import DataError, RecipeError
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.teaching.prompts import BUNDLED_PROMPTS, parse_prompt, read_prompt

PROBLEM = Problem("p", "How many pens?", "7")


@pytest.mark.parametrize("name", ["initial", "feedback", "blind"])
def test_a_bundled_prompt_shows_what_it_should_and_no_more(name: str) -> None:
    messages = read_prompt(name).render(get_task("gsm8k"), PROBLEM, "5 + 5 = 11")
    assert [role for role, _ in messages] == ["system", "user"]
    user = messages[1][1]
    assert "How many pens?" in user and "The answer is …." in user and "{" not in user
    assert ("5 + 5 = 11" in user) == (name == "feedback"), "only feedback shows the mistake"
    assert ("answer is: 7" in user) == (name != "initial"), "the first lesson has no hint"


@pytest.mark.parametrize("name", ["standard", "cot", "read"])
def test_a_readers_prompt_shows_question_and_reasoning_and_never_the_answer(name: str) -> None:
    said = read_prompt(name).render(get_task("gsm8k"), PROBLEM, reasoning="5 + 1 = 6")[-1][1]
    assert (
        "How many pens?" in said and "7" not in said and ("5 + 1 = 6" in said) == (name == "read")
    )
    assert said.endswith("Prediction:") == (name != "cot")
    short = read_prompt(f"{name}-short").render(get_task("gsm8k"), PROBLEM, reasoning="5 + 1 = 6")[
        -1
    ][1]
    assert (
        len(short) < len(said)
        and short.startswith("How many pens?")
        and short.endswith(":") == (name != "cot")
    )
    assert {"initial", "feedback", "blind", "zero-shot", "standard", "cot", "read"} == {
        name.removesuffix("-short") for name in BUNDLED_PROMPTS
    }


def test_choices_are_part_of_the_question() -> None:
    problem = Problem("p", "Where?", "park", choices=("park", "lake"))
    assert "lake" in read_prompt("initial").render(get_task("commonsenseqa"), problem)[1][1]


def test_braces_in_a_question_are_not_filled_in() -> None:
    problem = Problem("p", "What is {{ answer }} in {% raw %}?", "7")
    assert (
        "What is {{ answer }} in {% raw %}?"
        in read_prompt("initial").render(get_task("gsm8k"), problem)[1][1]
    )


def test_a_prompt_that_needs_what_is_not_there_names_the_problem() -> None:
    with pytest.raises(DataError, match=r"prompt feedback, problem p: 'attempt' is undefined"):
        read_prompt("feedback").render(get_task("gsm8k"), PROBLEM)
    with pytest.raises(DataError, match="'answer' is undefined"):
        read_prompt("blind").render(get_task("gsm8k"), Problem("p", "?"))


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text(
        "[user]\nQ: {{ question }}\n[assistant]\nHm.\n[user]\nGo on.\n"
    )
    assert read_prompt(str(tmp_path / "mine.txt")).render(get_task("gsm8k"), PROBLEM) == (
        ("user", "Q: How many pens?"),
        ("assistant", "Hm."),
        ("user", "Go on."),
    )


@pytest.mark.parametrize(
    ("task", "context"),
    [
        ("hotpotqa", "Ann: She wrote. Bob: He did not."),
        ("hotpotqa-gold", "Ann: She wrote."),
        ("facts", "She wrote. He did not."),
    ],
)
def test_a_prompt_that_names_the_context_gets_the_question_without_it(
    task: str, context: str
) -> None:
    paragraphs = (("Ann", ("She wrote.",)), ("Bob", ("He did not.",)))
    meta = {"supporting_facts": [["Ann", 0]]}
    problem = Problem("p", "Who wrote? ", "Ann", context=paragraphs, meta=meta)
    text = "[system]\nC: {{ context }}\n[user]\nQ: {{ question }}"
    assert parse_prompt("mine.txt", text).render(get_task(task), problem) == (
        ("system", f"C: {context}"),
        ("user", "Q: Who wrote?"),
    )
    whole = parse_prompt("mine.txt", "[user]\n{{ question }}").render(get_task(task), problem)
    assert whole == (("user", get_task(task).render(problem)),)
    assert context in whole[0][1]


def test_a_prompt_that_names_the_context_of_a_task_without_one_is_refused() -> None:
    prompt = parse_prompt("mine.txt", "[user]\n{{ context }} {{ question }}")
    with pytest.raises(DataError, match=r"'context' is undefined .* `context` needs a task whose"):
        prompt.render(get_task("gsm8k"), PROBLEM)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Q: {{ question }}", "begin each message with a line"),
        ("words\n[user]\nQ", "begin each message with a line"),
        ("[user]\nQ\n[system]\nS", r"last message is \[system\]"),
        ("[user]\n{{ question", "unexpected end of template"),
    ],
)
def test_a_file_that_is_no_prompt(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_prompt("mine.txt", text)


def test_a_misspelt_prompt_gets_the_nearest_name() -> None:
    with pytest.raises(RecipeError, match="Did you mean 'feedback'"):
        read_prompt("feedbak")


def test_a_prompt_file_cannot_reach_into_python() -> None:
    prompt = parse_prompt("mine.txt", "[user]\n{{ question.__class__.__mro__ }}")
    with pytest.raises(DataError, match="unsafe"):
        prompt.render(get_task("gsm8k"), PROBLEM)


def test_a_fault_of_a_prompt_file_names_the_file_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("[system]\nBe brief.\n\n[user]\n\nQ: {{ question }}\n{{ 1 / 0 }}\n")
    with pytest.raises(DataError, match=r"problem p: division by zero \(.*mine\.txt:7\)"):
        read_prompt(str(path)).render(get_task("gsm8k"), PROBLEM)
    path.write_text("[user]\nQ: {{ question }}\n{{ questoin }}\n")
    with pytest.raises(
        RecipeError,
        match=r"mine\.txt:3: 'questoin' is undefined\. A prompt may name question, context, answer",
    ):
        read_prompt(str(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[user]\n\xff\xfe", "not UTF-8"),
        ("[user]\nQ".encode("utf-16"), "not UTF-8"),
        (b"[user]\n" + b"x" * 1_000_001, "larger than 1,000,000 bytes"),
        (b"", "begin each message with a line"),
    ],
)
def test_a_file_that_cannot_be_a_prompt_is_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "mine.txt").write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        read_prompt(str(tmp_path / "mine.txt"))


def test_a_byte_order_mark_is_no_part_of_a_prompt(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_bytes("\ufeff[user]\nQ: {{ question }}".encode())
    assert (
        read_prompt(str(tmp_path / "mine.txt")).render(get_task("gsm8k"), PROBLEM)[0][1]
        == "Q: How many pens?"
    )


@pytest.mark.parametrize("name", ["x" * 300, "folder", "a\0b", ""])
def test_a_name_that_is_no_file_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(RecipeError, match=r"^prompt "):
        read_prompt(str(tmp_path) if name == "folder" else name)


@pytest.mark.parametrize(
    "body", ["", "{# a remark #}", "{% if attempt is defined %}{{ attempt }}{% endif %}"]
)
def test_a_prompt_that_asks_nothing_is_refused(body: str) -> None:
    prompt = parse_prompt("mine.txt", f"[system]\nBe brief.\n[user]\n{body}\n")
    with pytest.raises(DataError, match=r"prompt mine\.txt, problem p: its last message is empty"):
        prompt.render(get_task("gsm8k"), PROBLEM)
