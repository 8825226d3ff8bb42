"""Texts as models write them for GSM8K, and the verdicts of three ways to read them."""

from __future__ import annotations

from typing import NamedTuple


class Output(NamedTuple):
    """A text, its gold answer, and who counts it as right."""

    name: str
    gold: str
    text: str
    ours: bool
    strict: bool
    flexible: bool
    why: str = ""
    """Why strict-match and we part: a key of `REASONS`; empty: we agree."""


REASONS = {
    "number": "strict-match reads a number only right behind `The answer is `",
    "text": "strict-match compares texts: 26.00 is not 26",
    "capital": "strict-match wants a capital T",
    "stop": "strict-match wants a character behind the number, and else cuts its last digit off",
    "first": "strict-match takes the first closing, we the last sentence",
    "several": "strict-match takes the first of several numbers, where we see no answer",
}
OUTPUTS = [
    Output(
        "plain",
        "18",
        "She has 16 - 3 - 4 = 9 eggs left. 9 x 2 = 18. The answer is 18.",
        True,
        True,
        True,
        "",
    ),
    Output(
        "dollar",
        "18",
        "She makes 9 * 2 = $18 every day. The answer is $18.",
        True,
        False,
        True,
        "number",
    ),
    Output(
        "thousand",
        "70000",
        "The house is worth 80,000 + 50,000 more. The profit is 70,000. The answer is 70,000.",
        True,
        True,
        True,
        "",
    ),
    Output(
        "thousand-dollar",
        "5600",
        "That makes 5,600 dollars. The answer is $5,600.",
        True,
        False,
        True,
        "number",
    ),
    Output("decimal-zero", "26", "13 + 13 = 26. The answer is 26.00.", True, False, False, "text"),
    Output("decimal", "2.5", "Half of 5 is 2.5. The answer is 2.5.", True, True, True, ""),
    Output("negative", "-4", "3 - 7 = -4. The answer is -4.", True, True, True, ""),
    Output(
        "unit",
        "540",
        "3 sprints, 3 times, 60 meters: 540. The answer is 540 meters.",
        True,
        True,
        True,
        "",
    ),
    Output("percent", "25", "10 of 40 is a quarter. The answer is 25%.", True, True, True, ""),
    Output(
        "lower-case", "7", "So 3 + 4 = 7. Therefore the answer is 7.", True, False, True, "capital"
    ),
    Output("newline", "7", "3 + 4 = 7.\nThe answer is 7.", True, True, True, ""),
    Output("bold", "7", "3 + 4 = 7. **The answer is 7.**", True, True, True, ""),
    Output("boxed", "7", "3 + 4 = 7. The answer is $\\boxed{7}$.", True, False, False, "number"),
    Output("emphasis", "7", "3 + 4 = 7. The answer is **7**.", True, False, True, "number"),
    Output("colon", "7", "3 + 4 = 7. The answer is: 7.", True, False, True, "number"),
    Output("no-stop-one-digit", "7", "3 + 4 = 7. The answer is 7", True, False, True, "stop"),
    Output("no-stop-two-digits", "72", "24 + 48 = 72. The answer is 72", True, False, True, "stop"),
    Output("no-stop-newline", "72", "24 + 48 = 72. The answer is 72\n", True, False, True, "stop"),
    Output("hashes", "72", "48 + 24 = 72.\n#### 72", False, False, True, ""),
    Output("final-answer", "72", "48 + 24 = 72. Final Answer: 72", False, False, True, ""),
    Output("none", "72", "48 + 24 = 72 clips in all.", False, False, True, ""),
    Output(
        "none-then-more", "72", "48 + 24 = 72 clips in all, in 2 months.", False, False, False, ""
    ),
    Output("twice", "8", "The answer is 8. The answer is 8.", True, True, True, ""),
    Output(
        "corrected",
        "9",
        "The answer is 8. But wait, 3 x 3 = 9. The answer is 9.",
        True,
        False,
        True,
        "first",
    ),
    Output(
        "uncorrected", "8", "The answer is 8. But wait, that is wrong.", False, True, True, "first"
    ),
    Output(
        "next-question",
        "8",
        "The answer is 8.\n\nQ: What is 3 + 4?\nA: The answer is 7.",
        False,
        True,
        False,
        "first",
    ),
    Output(
        "trailing",
        "8",
        "The answer is 8. I hope this helps with your 3 questions!",
        False,
        True,
        False,
        "first",
    ),
    Output("denied", "5", "The answer is not 5.", False, False, True, ""),
    Output("two", "4", "The answer is 4 or 6.", False, True, False, "several"),
    Output("range", "4", "The answer is 4-6.", False, True, False, "several"),
    Output("fraction", "0.5", "One of two. The answer is 1/2.", True, False, False, "number"),
    Output("words", "7", "The answer is seven.", False, False, False, ""),
    Output("equation", "7", "The answer is 3 + 4 = 7.", True, False, True, "number"),
    Output("time", "3", "The answer is 3:30 p.m.", False, True, False, "several"),
    Output("unknown", "7", "The answer is unknown.", False, False, False, ""),
    Output("empty", "7", "", False, False, False, ""),
    Output("wrong", "18", "16 - 3 = 13. The answer is 13.", False, False, False, ""),
    Output("wrong-gold-inside", "18", "9 x 2 = 18. The answer is 9.", False, False, False, ""),
    Output("approximate", "7", "The answer is about 7.", True, False, True, "number"),
    Output("rounded", "33", "100 / 3 = 33.33. The answer is 33.33.", False, False, False, ""),
    Output("stop-token", "7", "3 + 4 = 7. The answer is 7.<|im_end|>", True, True, True, ""),
]
