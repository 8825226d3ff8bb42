"""Sub-sentences: exactly the split marks of the method page, and nothing lost."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smallsteps.segments.split import split

MARKS_AND_WORDS = st.text(alphabet="aB1 5.,;:?!，。；：！？、\n\r\t …\u3000", max_size=60)


@given(st.one_of(st.text(max_size=80), MARKS_AND_WORDS))
@example("Well . . . then")
@example(" \n。")
def test_joined_pieces_are_the_text_character_for_character(text: str) -> None:
    pieces = split(text)
    assert "".join(pieces) == text
    assert all(pieces)


@given(MARKS_AND_WORDS)
def test_no_piece_is_white_space_or_marks_alone_unless_the_text_is(text: str) -> None:
    pieces = split(text)
    if len(pieces) > 1:
        assert all(piece.strip(" \t\r\n\u3000.,;:?!，。；：！？") for piece in pieces)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        (
            "Ann has 3 boxes with 4 pens each, so she has 3 x 4 = 12 pens. The answer is 7.",
            [
                "Ann has 3 boxes with 4 pens each, ",
                "so she has 3 x 4 = 12 pens. ",
                "The answer is 7.",
            ],
        ),
        ("a; b: c? d! e", ["a; ", "b: ", "c? ", "d! ", "e"]),
        ("It is 3.5 or 1,000 at 10:30. Yes", ["It is 3.5 or 1,000 at 10:30. ", "Yes"]),
        ("f(x,y) is 3.Then", ["f(x,y) is 3.Then"]),
        ("So... we add. Then", ["So... ", "we add. ", "Then"]),
        ("So . . . we add", ["So . . . ", "we add"]),
        ("Really?! Yes", ["Really?! ", "Yes"]),
        ("Mr. A Mrs. B Ms. C Dr. D St. E No. 5 vs. x etc. and e.g. y i.e. z", None),
        ("from 9 a.m. to 5 p.m. in the U.S. for J. R. Smith", None),
        ("She has none. Dr. No is there. Then", ["She has none. ", "Dr. No is there. ", "Then"]),
        (
            "There is no. Then",
            ["There is no. ", "Then"],
        ),  # `No.` the abbreviation is a capital matter
        ("It was almost. Then", ["It was almost. ", "Then"]),  # ends in `st`, which is no St.
        (
            "1. Ann has 3. 2. Bo has 4.\n3. Sum is 7.",
            ["1. Ann has 3. ", "2. Bo has 4.\n", "3. Sum is 7."],
        ),
        (
            "The total is 12. Then",
            ["The total is 12. ", "Then"],
        ),  # no item number: not at the start of a sentence
        ("Total: 7. Then", ["Total: ", "7. ", "Then"]),
        ("Option B.\nThen", ["Option B.\n", "Then"]),  # a line break always ends a piece
        ("one\r\ntwo\n\n  three", ["one\r\n", "two\n\n  ", "three"]),
        ("\n one", ["\n one"]),
        ("The answer is 7.", ["The answer is 7."]),
        ("", []),
        (" \n", [" \n"]),
        ("...", ["..."]),
    ],
)
def test_english_marks(text: str, pieces: list[str] | None) -> None:
    assert split(text) == (pieces if pieces is not None else [text])


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("小明有3个苹果，又买了5个。一共8个。", ["小明有3个苹果，", "又买了5个。", "一共8个。"]),
        ("10：30到；胸11，12椎体！好？", ["10：30到；", "胸11，12椎体！", "好？"]),
        (
            "比较：  1、胰体肿块，SUVmax：3.5。  2. 肝脏",
            ["比较：  ", "1、胰体肿块，", "SUVmax：", "3.5。  ", "2. 肝脏"],
        ),
        ("好。。。再来", ["好。。。", "再来"]),
        ("好……再来", ["好……再来"]),
    ],
)
def test_chinese_marks(text: str, pieces: list[str]) -> None:
    assert split(text) == pieces


@pytest.mark.parametrize(
    ("language", "text", "pieces"),
    [
        (
            "ja",
            "太郎は3個持っていて、2個食べた。残り1個です。",
            ["太郎は3個持っていて、", "2個食べた。", "残り1個です。"],
        ),
        ("hi", "अन्ना के पास 3 सेब हैं। वह 4 लेती है।", ["अन्ना के पास 3 सेब हैं। ", "वह 4 लेती है।"]),
        ("ar", "لدى آنا 3 تفاحات، واشترت 4؟ نعم.", ["لدى آنا 3 تفاحات، ", "واشترت 4؟ ", "نعم."]),
        ("th", "แอนนามี 3 ผล เธอซื้อเพิ่ม 4 ผล", ["แอนนามี 3 ผล ", "เธอซื้อเพิ่ม 4 ผล"]),
        ("en", "So… we add. Then", ["So… ", "we add. ", "Then"]),
        ("de", "Das sind 3,5 kg. Also 1.500 g.", ["Das sind 3,5 kg. ", "Also 1.500 g."]),
    ],
)
def test_marks_of_other_scripts(language: str, text: str, pieces: list[str]) -> None:
    assert split(text, language) == pieces


def test_long_text_takes_linear_time() -> None:
    start = time.perf_counter()
    split("1. " * 50_000 + "a" * 100_000 + ". " * 50_000 + "\n" * 50_000 + "b" + " " * 50_000 + "x")
    assert time.perf_counter() - start < 5
