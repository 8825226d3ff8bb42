"""Controls hold no reasoning of the student."""

from __future__ import annotations

from fake_readers import GOLD, PROBLEMS, TASK
from smallsteps.methods.guided.controls import (
    MASK,
    gold_facts,
    masked_rationales,
    other_rationales,
    random_context,
)
from smallsteps.methods.guided.rationales import WrittenRationale
from smallsteps.records import Problem
from smallsteps.tasks import get_task


def test_every_question_gets_the_rationale_of_another_one():
    others = other_rationales(GOLD)
    assert all(other != gold for other, gold in zip(others, GOLD, strict=True))
    assert {*others} == {*GOLD}
    assert other_rationales(GOLD, seed=1) != others


def test_masking_leaves_no_answer_and_keeps_the_cost():
    for masked, problem in zip(masked_rationales(PROBLEMS, GOLD, TASK), PROBLEMS, strict=True):
        assert MASK in masked.text and problem.answer not in masked.text
        assert masked.tokens == 30


def test_masking_knows_whole_words_and_aliases():
    problem = Problem("p", "Who?", "Ann Lee", meta={"answer_aliases": ["A. Lee"]})
    rationale = WrittenRationale("It was Ann-Lee, not Annlee; A. Lee wrote it.")
    (masked,) = masked_rationales([problem], [rationale], get_task("2wikimultihopqa"))
    assert masked.text == f"It was {MASK}, not Annlee; {MASK} wrote it."


def test_gold_facts_are_the_rationale_without_its_conclusion():
    for facts, gold in zip(gold_facts(PROBLEMS), GOLD, strict=True):
        assert facts.text and gold.text.startswith(facts.text) and facts.text != gold.text


def test_random_context_is_as_long_as_the_rationale_and_all_from_the_context():
    drawn = random_context(PROBLEMS, GOLD)
    assert drawn == random_context(PROBLEMS, GOLD) != random_context(PROBLEMS, GOLD, seed=1)
    for control, gold, problem in zip(drawn, GOLD, PROBLEMS, strict=True):
        assert abs(len(control.text.split()) - len(gold.text.split())) <= 6
        context = {sentence for _, paragraph in problem.context for sentence in paragraph}
        assert {f"{part}." for part in control.text.rstrip(".").split(". ")} <= context
