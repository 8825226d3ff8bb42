"""Splits keep a question whole."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsteps.errors import DataError, RecipeError
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.tasks.splits import check_overlap, shared_questions, split_problems, without_overlap


def problems(count: int) -> list[Problem]:
    return [Problem(f"p{i}", f"Question {i}?", "1") for i in range(count)]


def ids(items: list[Problem]) -> set[str]:
    return {item.id for item in items}


def test_shares_and_order() -> None:
    split = split_problems(problems(100), seed=0)
    assert [len(split.train), len(split.validation), len(split.test)] == [80, 10, 10]
    assert split.train == sorted(split.train, key=lambda p: int(p.id[1:]))
    assert str(split) == (
        "train 80 rows (80 questions), validation 10 rows (10 questions), "
        "test 10 rows (10 questions); "
        "questions in two parts: 0"
    )


def test_the_seed_decides() -> None:
    items = problems(50)
    assert split_problems(items, 1) == split_problems(items, 1)
    assert ids(split_problems(items, 1).test) != ids(split_problems(items, 2).test)


@given(
    st.lists(st.tuples(st.integers(0, 12), st.none() | st.integers(0, 6)), min_size=1, max_size=60),
    st.integers(),
)
def test_rows_in_are_rows_out_and_no_question_or_group_is_cut(
    rows: list[tuple[int, int | None]], seed: int
) -> None:
    items = [
        Problem(f"p{i}", f"Q{q}", group=None if g is None else f"g{g}")
        for i, (q, g) in enumerate(rows)
    ]
    try:
        split = split_problems(items, seed)
    except DataError:
        return  # fewer questions than parts
    parts = (split.train, split.validation, split.test)
    assert sorted(p.id for part in parts for p in part) == sorted(ids(items))
    assert split.overlap == 0
    for one in range(3):
        for other in range(one):
            assert not {p.question for p in parts[one]} & {p.question for p in parts[other]}
            assert not {p.group for p in parts[one] if p.group} & {
                p.group for p in parts[other] if p.group
            }
    assert all(parts)


def test_chains_of_one_question_by_several_teachers_stay_together() -> None:
    chains = [
        Chain(
            Problem(f"{i}-{t}", f"  question {i}" if t else f"Question  {i}"),
            Rationale("r", f"{i}-{t}", "So."),
        )
        for i in range(20)
        for t in range(3)
    ]
    split = split_problems(chains, seed=3)
    assert split.groups == (16, 2, 2)
    assert len(split.test) == 6


def test_other_choices_make_another_question() -> None:
    items = [Problem(f"p{i}", "Which one?", choices=("a", str(i))) for i in range(10)]
    assert split_problems(items, 0).groups == (8, 1, 1)


def test_parts_of_reports_are_tied_by_their_report_and_not_by_equal_paragraphs() -> None:
    regions = [Problem(f"r{i}/{k}", "未见异常。", group=f"r{i}") for i in range(10) for k in (1, 2)]
    split = split_problems(regions, 0)
    assert split.groups == (8, 1, 1)
    check_overlap(split.train, split.test)
    with pytest.raises(DataError, match=r"r0/2 \(in training: r0/1\)"):
        check_overlap(regions[:1], regions[1:2])


def test_too_few_questions_and_wrong_shares_are_refused() -> None:
    same = [Problem(f"p{i}", "Question?") for i in range(10)]
    with pytest.raises(
        DataError, match=r"10 rows hold 1 different questions, too few for train, validation, test"
    ):
        split_problems(same, 0)
    with pytest.raises(
        RecipeError, match=r"sum to 1, such as 0\.8 0\.1 0\.1; got \(0\.8, 0\.1, 0\.2\)"
    ):
        split_problems(problems(10), 0, (0.8, 0.1, 0.2))
    assert split_problems(problems(4), 0, (0.5, 0.0, 0.5)).groups == (2, 0, 2)
    assert split_problems(problems(3), 0).groups == (1, 1, 1)


def test_overlap_names_the_ids() -> None:
    train, test = problems(4), [Problem("t", " question 2? "), Problem("u", "Another?")]
    with pytest.raises(
        DataError,
        match=r"1 of 2 test questions stand in the training data as well: t \(in training: p2\)",
    ):
        check_overlap(train, test)
    check_overlap(train, test[1:])
    with pytest.raises(DataError, match=r"and 4 more"):
        check_overlap(problems(9), problems(9))


def test_a_question_about_other_facts_is_another_question() -> None:
    def asked(id: str, town: str, extra: str = "") -> Problem:
        context = (("Ann", (f"Ann lives in {town}.", extra)), ("Rest", ("Nothing.",)))
        return Problem(
            id,
            "Where does Ann live?",
            town,
            context=context,
            meta={"supporting_facts": [["Ann", 0]]},
        )

    rome, again, oslo = asked("1", "Rome"), asked("2", "Rome", "It is warm."), asked("3", "Oslo")
    check_overlap([rome], [oslo])
    with pytest.raises(DataError, match="stand in the training data"):
        check_overlap([rome], [again])
    assert without_overlap([again, oslo, asked("4", "Oslo")], [rome]) == [oslo]


def test_one_question_about_many_letters_is_many_questions() -> None:
    letters = [
        Problem(str(n), "Who pays?", f"name {n}", context=(("", (f"Name {n} pays.", "Yours.")),))
        for n in range(20)
    ]
    parts = split_problems(letters, seed=0)
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [16, 2, 2]
    again = replace(letters[0], id="again", context=(("", ("Yours.", "Name 0 pays.")),))
    with pytest.raises(DataError, match="stand in the training data"):
        check_overlap(letters, [again])


def test_questions_that_are_known_already_are_named_in_their_order() -> None:
    """The trap: white space and case do not make another question."""
    known = [Problem("a", "What is  7 PLUS 2?", "9"), *problems(3)]
    items = [Problem("x", "what is 7 plus 2?", "9"), Problem("y", "New?", "1"), problems(1)[0]]
    assert [item.id for item in shared_questions(items, iter(known))] == ["x", "p0"]
    assert shared_questions(items, []) == [] == shared_questions([], known)
