"""What every task reads out of what students and teachers write: kinds of faults met in the field,
with siblings.

`same` compares with the wanted answer, so that "1000" and "1000.0" are equal; None must be None.
`both` modes where the answer does not depend on the rule; teachers' other closings are read by the
lenient rule alone."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallsteps.records import Problem
from smallsteps.tasks import TASKS, get_task

ANIMALS = ("bank", "zoo", "river", "school", "not living")
CASES = Path(__file__).resolve().parents[3] / "shared" / "cases" / "answers.jsonl"


def check(
    task_name: str, text: str, wanted: str | None, lenient: bool, choices: tuple[str, ...] = ()
) -> None:
    task = get_task(task_name)
    answer = task.extract(text, lenient, Problem("q", "?", choices=choices))
    assert answer is None if wanted is None else task.same(answer, wanted), (
        text,
        answer,
        wanted,
        lenient,
    )


@pytest.mark.data
@pytest.mark.skipif(not CASES.is_file(), reason="the cases are not beside the repository")
def test_the_shared_cases() -> None:
    rows = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    assert len(rows) >= 61
    for row in rows:
        for lenient in (True,) if "lenient" in row["kind"] else (False, True):
            check(row["task"], row["text"], row["answer"], lenient, tuple(row.get("choices", ())))


@pytest.mark.parametrize("task", ["gsm8k", "numbers"])
@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    "said",
    [
        "not 12",
        "definitely not 12",
        "never 12",
        "more than 12",
        "no more than 12",
        "at least 12",
        "at most 12 pens",
        "fewer than 12",
        "over 12",
        "up to 12",
        "12 or more",
        "12+",
        "12 at most",
        "> 12",
        "x ≥ 12",
        "≠ 12",
        "neither 12 nor 13",
        "either 12 or 13",
        "12 or 13 pens",
        "12 pens or 13 pens",
        "12, or perhaps 13",
        "x = 12 or x = 13",
        "about 12 to 13",
        "from 12 to 13",
        "between 12 and 13",
        "anything but 12",
        "far from 12",
        "other than 12",
        "unlikely to be 12",
        "a minimum of 12",
        "not 12, not 13",
        "$12 or $13",
    ],
)
def test_what_is_denied_bounded_or_left_open_is_no_answer(
    said: str, lenient: bool, task: str
) -> None:
    check(task, f"So she has 9. The answer is {said}.", None, lenient)


@pytest.mark.parametrize(
    "text",
    [
        "The answer isn't 12.",
        "The answer isn’t 12.",
        "The answer cannot be 12.",
        "The answer can't be 12.",
    ],
)
def test_a_closing_that_denies_is_not_read_leniently_either(text: str) -> None:
    check("gsm8k", text, None, False)
    check("gsm8k", text, None, True)
    assert not get_task("gsm8k").ends_chain(text)


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    "said", ["12 and 13", "12, 13", "12, 13, and 14", "12-13", "12–13", "3 x 4", "12 ± 1", "(3, 5)"]
)
def test_several_values_are_no_number(said: str, lenient: bool) -> None:
    check("gsm8k", f"The answer is {said}.", None, lenient)


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("12, not 13", "12"),
        ("12 and not 13", "12"),
        ("12 (not 13)", "12"),
        ("12 rather than 13", "12"),
        ("12 instead of 13", "12"),
        ("not 12 but 13", "13"),
        ("not 12, but 13", "13"),
        ("not 12, it is 13", "13"),
        ("about 12", "12"),
        ("approximately 12 pens", "12"),
        ("0.5, or 1/2", "0.5"),
        ("120 minutes, or 2 hours", "120"),
        ("12 or so", "12"),
        ("12, which is 3 more than 9", "12"),
        ("12 dollars per day for 7 days", "12"),
        ("12 pens in 2 bags", "12"),
        ("12, since 12 is less than 13", "12"),
        ("2 x 6 = 12", "12"),
        ("12 because 13 is not possible", "12"),
        ("negative 12", "-12"),
        ("- 12", "-12"),
    ],
)
def test_an_answer_set_against_another_is_read(said: str, answer: str, lenient: bool) -> None:
    check("gsm8k", f"The answer is {said}.", answer, lenient)


NUMERALS = [
    # LaTeX
    (r"$\tfrac{3}{4}$", "0.75"),
    (r"$\frac 34$", "0.75"),
    (r"$\frac{3}4$", "0.75"),
    (r"$1\tfrac12$", "1.5"),
    (r"$\boxed{\frac{3}{4}}$", "0.75"),
    (r"\(\frac{3}{4}\)", "0.75"),
    (r"$\left(\frac{3}{4}\right)$", "0.75"),
    (r"$\frac{-3}{4}$", "-0.75"),
    (r"$\frac{3}{-4}$", "-0.75"),
    (r"$-2\frac{1}{2}$", "-2.5"),
    (r"$\frac{1{,}000}{4}$", "250"),
    (r"$\frac{3}{4}\text{ cups}$", "0.75"),
    (r"$\mathbf{12}$", "12"),
    (r"\text{12 pens}", "12"),
    (r"$12\%$", "12"),
    (r"\$12", "12"),
    (r"$12^\circ$", "12"),
    (r"$x = 12$", "12"),
    (r"$\frac{x}{2}$", None),
    (r"$2\sqrt{3}$", None),
    (r"$2\pi$", None),
    (r"$\frac{3+1}{2}$", None),
    # thousands
    ("1\u2009000", "1000"),
    ("1\u00a0000\u00a0000", "1000000"),
    ("12 345 678", "12345678"),
    ("1’000", "1000"),
    ("1'000.50", "1000.5"),
    ("1_000_000", "1000000"),
    ("1,00,000", "100000"),
    (r"10\;000", "10000"),
    (r"10\ 000", "10000"),
    (r"10,\!000", "10000"),
    ("1.234.567", "1234567"),
    ("$1,234,567.89", "1234567.89"),
    # decimal commas
    ("12,5", None),
    ("-0,5", None),
    ("1 234,5", None),
    ("1'234,5", None),
    ("1,000,00", None),
    ("0,125", None),
    ("12,50 euros", None),
    ("1,2,3", None),
    ("1.2.3", None),
    ("3,5 × 10^3", None),
    # powers and magnitudes
    ("3 x 10^3", "3000"),
    ("3*10^-2", "0.03"),
    ("3 · 10³", "3000"),
    ("3×10⁻²", "0.03"),
    ("10^6", "1000000"),
    ("2**5", "32"),
    ("2^{10}", "1024"),
    ("1.5e3", "1500"),
    ("1E+3", "1000"),
    ("2.5 billion", "2500000000"),
    ("1 trillion", "1000000000000"),
    ("3 hundred", "300"),
    ("5 hundred thousand", "500000"),
    ("3 thousand", "3000"),
    ("1.2K", "1200"),
    ("4M", "4000000"),
    ("$4m", "4000000"),
    ("2bn", "2000000000"),
    ("2 dozens", "24"),
    ("7 miles", "7"),
    ("5 km", "5"),
    ("5 kg", "5"),
    ("12 cm²", "12"),
    ("12 m^2", "12"),
    ("5 m", "5"),
    ("3万", "30000"),
    ("2^0.5", None),
    ("5 hundredths", None),
    # digits of other scripts
    ("۴۲", "42"),
    ("४२", "42"),
    ("๔๒", "42"),
    ("၄၂", "42"),
    ("𝟒𝟐", "42"),
    ("−４２", "-42"),
    ("١٬٢٣٤٫٥", "1234.5"),
    ("2½", "2.5"),
    ("4 ⅜", "4.375"),
    ("5 and a half", "5.5"),
    ("2 and 1/2", "2.5"),
    # decoration
    ("**12**", "12"),
    ("`12`", "12"),
    ("__12__", "12"),
    ("12**", "12"),
    ("<b>12</b>", "12"),
    ("₹12", "12"),
    ("£12.50", "12.5"),
]


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(("said", "answer"), NUMERALS)
def test_numbers_as_people_write_them(said: str, answer: str | None, lenient: bool) -> None:
    check("gsm8k", f"The answer is {said}.", answer, lenient)


def test_words_beside_numbers_are_set_apart_in_own_data_too() -> None:
    check("numbers", "The answer is 5, not 6.", "5", False)
    check("numbers", "The answer is not 5 but 6.", "6", False)
    for words in (
        "not guilty",
        "red or blue",
        "between Monday and Friday",
        "12; 4",
        "4 and 6",
        "2024-05-06",
        "3-2",
    ):
        assert get_task("numbers").extract(f"The answer is {words}.", False, None) == words


def test_a_dozen_counts_one_where_the_question_asks_for_dozens() -> None:
    asked = Problem("q", "How many dozens of eggs does she eat in 4 weeks?")
    assert get_task("gsm8k").extract("The answer is 7 dozen.", False, asked) == "7"
    assert get_task("gsm8k").extract("So 84 / 12 = 7 dozen eggs.", True, asked) == "7"
    assert (
        get_task("gsm8k").extract("The answer is 7 dozen.", False, Problem("q", "How many eggs?"))
        == "84"
    )


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("**B**", "zoo"),
        ("**B.** zoo", "zoo"),
        ("**B) zoo**", "zoo"),
        ("(B) - zoo", "zoo"),
        ("B – zoo", "zoo"),
        (r"\boxed{\text{B}}", "zoo"),
        (r"$\boxed{B}$", "zoo"),
        (r"\textbf{(B)}", "zoo"),
        ("{B}", "zoo"),
        ("[b]", "zoo"),
        ("'B'", "zoo"),
        ('"B"', "zoo"),
        ("“B”", "zoo"),
        ("`B`", "zoo"),
        ("_B_", "zoo"),
        ("（Ｂ）", "zoo"),
        ("B:", "zoo"),
        ("B", "zoo"),
        ("b)", "zoo"),
        ("option B", "zoo"),
        ("Option (B)", "zoo"),
        ("B because a bank is dead", "zoo"),
        ("B, as a bank is dead", "zoo"),
        ("(B), not (A)", "zoo"),
        ("zoo, not the bank", "zoo"),
        ("the zoo", "zoo"),
        ("zoo rather than bank", "zoo"),
        ("not living", "not living"),
        ("not a bank but a zoo", "zoo"),
        ("not B", None),
        ("not a zoo", None),
        ("not (B)", None),
        ("neither A nor B", None),
        ("anything but the zoo", None),
        ("A or B", None),
        ("(A) or (B)", None),
        ("either bank or zoo", None),
        ("B/C", None),
        ("A and B", None),
        ("(A) zoo", None),
        ("never the zoo", None),
        ("B, C", None),
        ("A, B or C", None),
        ("B!", "zoo"),
        ("(B", "zoo"),
        ("most likely B", "zoo"),
        ("clearly **B**", "zoo"),
        ("not (B), it is (C)", "river"),
        ("*B*", "zoo"),
        ("anything other than the zoo", None),
        ("A zoo", "zoo"),
        ("A", "bank"),
        ("**zoo**", "zoo"),
        (r"\boxed{zoo}", "zoo"),
    ],
)
def test_option_letters_in_any_dress(said: str, answer: str | None, lenient: bool) -> None:
    check("commonsenseqa", f"The answer is {said}.", answer, lenient, ANIMALS)


@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("no, because dogs walk", "no"),
        ("no — dogs walk", "no"),
        ("no - dogs walk", "no"),
        ("no as dogs walk", "no"),
        ("no, dogs walk", "no"),
        ("no; dogs walk", "no"),
        ("no (dogs walk)", "no"),
        ("no but they swim", "no"),
        ("no they walk", "no"),
        ("yes – dogs bark", "yes"),
        ("yes they bark", "yes"),
        ("**No**, dogs walk", "no"),
        (r"\boxed{\text{No}}", "no"),
        ("'yes'", "yes"),
        ("True", "yes"),
        ("False", "no"),
        ("**False**", "no"),
        ("not false", "yes"),
        ("not necessarily true", "no"),
        ("never true", "no"),
        ("untrue", "no"),
        ("not yes", "no"),
        ("definitely not", "no"),
        ("far from true", "no"),
        ("yes, not no", "yes"),
        ("yes or no", None),
        ("either yes or no", None),
        ("neither yes nor no", None),
        ("no such thing", None),
        ("not known", None),
        ("no or yes", None),
        ("no and yes", None),
        ("_no_", "no"),
        ("not likely", "no"),
        ("no–they walk", "no"),
    ],
)
def test_yes_and_no_with_what_stands_around_them(
    said: str, answer: str | None, lenient: bool
) -> None:
    check("strategyqa", f"The answer is {said}.", answer, lenient)


@pytest.mark.parametrize(
    "text",
    [
        "So 40 + 32 pens.\n#### 72",
        "#### 72\n\nLet me know if you have 5 more questions.",
        "Thus $\\boxed{72}$ pens, of 80.",
        "Hence \\boxed{72 \\text{ pens}}.",
        "\\[ \\boxed{\\frac{144}{2}} \\]",
        "**Final Answer:** 72",
        "### Final Answer\n72 pens",
        "**Final Answer:**\n\n72\n",
        "The final answer is 72. I hope that is 1 step closer.",
        "Answer: 72 pens",
        "The answer: **72**",
        "<answer>72</answer>",
        "答案为：72。",
        "答案：72",
        "La réponse est 72.",
        "Die Antwort lautet 72.",
        "La respuesta es 72.",
        "Ответ: 72",
        "答えは72です。",
        "정답은 72입니다.",
        "She has 40 and 32, so 72.",
    ],
)
def test_other_closings_are_read_leniently(text: str) -> None:
    check("gsm8k", text, "72", True)


@pytest.mark.parametrize("text", ["#### 72", "\\boxed{72}", "Answer: 72", "答案是72。", "So 72."])
def test_other_closings_are_not_read_strictly(text: str) -> None:
    check("gsm8k", text, None, False)


@pytest.mark.parametrize(
    "text", ["Answer - 72", "So she has 76 dollars - 4 dollars, which equals 72.", "480 minus 72"]
)
def test_a_dash_between_words_is_no_sign(text: str) -> None:
    check("gsm8k", text, "72", True)


def test_a_chain_behind_a_mark_is_no_answer() -> None:
    check("gsm8k", "Answer: Tom has 3 pens. He buys 4. So he has 7 pens.", "7", True)


@pytest.mark.parametrize(
    ("task", "text", "answer"),
    [
        ("strategyqa", "Final Answer: **No**", "no"),
        ("commonsenseqa", "Final Answer: **(B)**. A bank is dead.", "zoo"),
        ("text", "Some words.\n**Answer:** Rome", "Rome"),
        ("hotpotqa", "Ann lives there. \\boxed{\\text{Rome}}", "Rome"),
        ("strategyqa", "#### False", "no"),
    ],
)
def test_other_closings_serve_every_task(task: str, text: str, answer: str) -> None:
    check(task, text, answer, True, ANIMALS)


@pytest.mark.parametrize("task", ["gsm8k", "numbers", "text", "hotpotqa", "facts", "stories"])
@pytest.mark.parametrize("lenient", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "<think>The answer is 9. No.</think>\nThe answer is 7.",
        "<thinking>9?</thinking>The answer is 7.",
        "The answer is 9? No.</think>The answer is 7.",
        "<think>a</think>So. <think>The answer is 9.</think> The answer is 7.",
        "The answer is 7.<|im_end|>\n<|im_start|>user\nThe answer is 9.",
        "The answer is 7.</s></s>",
        "The answer is 7.<|endoftext|>The answer is 9.",
        "<s> The answer is 7. </s><pad><pad>",
        "The answer is 7.<end_of_turn>",
        "The answer is 7. [/INST]",
        "The answer is **7**.\n```",
    ],
)
def test_thoughts_and_control_tokens_are_no_part_of_an_answer(
    text: str, lenient: bool, task: str
) -> None:
    check(task, text, "7", lenient)


@pytest.mark.parametrize("task", ["gsm8k", "numbers", "text", "strategyqa", "commonsenseqa"])
@pytest.mark.parametrize(
    "text", ["<think>maybe the answer is 9", "<thinking>yes (a) 9.", "<think>The answer is 9.\n"]
)
def test_an_unfinished_thought_holds_no_answer(text: str, task: str) -> None:
    check(task, text, None, False, ANIMALS)
    check(task, text, None, True, ANIMALS)


PIECES = [
    "The answer is ",
    "not ",
    "5",
    "1,0",
    "\\frac{",
    "}",
    "\\boxed{",
    "or ",
    "=",
    "^",
    "#### ",
    "<think>",
    "</s>",
    "B",
    "½",
    "٤",
    "½²",
    "e9",
    ".",
    "\n",
    " ",
    "-",
    "/",
    "×10^",
    "$",
    "答案是",
    "million",
    "yes",
    "(",
    "{",
    "⁻",
    "\ud800",
]


@settings(max_examples=60, deadline=None)
@given(
    st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=20).map("".join)), st.booleans()
)
def test_no_text_breaks_extraction(text: str, lenient: bool) -> None:
    problem = Problem("q", "How many dozen?", choices=ANIMALS)
    for name in (
        "gsm8k",
        "numbers",
        "commonsenseqa",
        "strategyqa",
        "text",
        "hotpotqa",
        "pet",
        "gsm8k-de",
        "text-ja",
    ):
        task = get_task(name)
        answer = task.extract(text, lenient, problem)
        task.same(answer, text)
        task.ends_chain(text, problem)


@pytest.mark.parametrize("task", ["gsm8k", "numbers", "commonsenseqa", "strategyqa", "text"])
def test_extraction_takes_linear_time(task: str) -> None:
    """20,000 characters of each piece take a fraction of a second, not the square of it."""
    problem = Problem("q", "?", choices=ANIMALS)
    more = (
        "5 ",
        "a. ",
        "1 000 ",
        "minus ",
        "answer ",
        "1/",
        "\\text{",
        "- ",
        "The answer is 5. ",
        "not 5, ",
    )
    slow = {}
    for piece in (*PIECES, *more):
        text = piece * (10_000 // len(piece))
        start = time.perf_counter()
        for lenient in (False, True):
            TASKS[task].extract(text, lenient, problem)
            TASKS[task].extract(f"The answer is {text}", lenient, problem)
        slow[piece] = time.perf_counter() - start
    assert max(slow.values()) < 1.5, max(slow, key=lambda piece: slow[piece])
