"""The pieces of LM-guided chain of thought: what is learnt, what the reader gets in each arm,
controls, counts."""

from __future__ import annotations

import pytest

from smallsteps.generation.generator import Decoding, Reply
from smallsteps.methods.guided.method import (
    MASK,
    Reasoned,
    Written,
    alone,
    by_gold,
    by_quality,
    chosen,
    gold_facts,
    guided,
    lessons,
    masked,
    other,
    random_context,
    reasoned,
    reasoning_of,
    small_alone,
    turned,
    voted,
    write,
    yields,
)
from smallsteps.methods.guided.reader import Reader
from smallsteps.quality.rated import Rated
from smallsteps.quality.scorer import Scorer
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.facts import make_chains

TASK = get_task("facts")
CHAINS = make_chains(8, 4)
PROBLEMS = [chain.problem for chain in CHAINS]
GOLD = [Written(" ".join(Rated.of(c.problem, c.rationale.text).steps), 30) for c in CHAINS]


class Model:
    """With a rationale it says its last word; when it is to reason, what it was told to; else
    nothing right."""

    def __init__(self, *reasoning):
        self.reasoning, self.asked = reasoning, []

    def generate(self, requests, decoding, progress=None):
        for request in requests:
            said = request.prompt[-1][1]
            for sample in range(request.samples):
                self.asked.append(said)
                if "Reasoning: " in said:
                    words = said.split("Reasoning: ")[1].split("\n")[0].split()
                    text = words[-1].strip(".") if words else ""
                elif "step by step" in said:
                    text = self.reasoning[(len(self.asked) - 1) % len(self.reasoning)]
                else:
                    text = "Nowhere"
                yield Reply(request.id, sample, (), text, "end", 2, read=10)


def right(outcomes, problems=PROBLEMS):
    return [TASK.same(one.answer, p.answer) for one, p in zip(outcomes, problems, strict=True)]


def test_replies_are_filtered_by_their_answer_and_lose_it():
    answers = [p.answer for p in PROBLEMS[:3]]
    model = Model(
        f"Ann is there. So it is {answers[0]}. The answer is {answers[0]}. Prediction: {answers[0]}",
        "I guess so. Prediction: Atlantis",
        f"Prediction: {answers[2]}",
    )
    replies = reasoned(PROBLEMS[:3], Reader("m", model, TASK), Decoding(max_new_tokens=100))
    assert [one.correct for one in replies] == [True, False, True]
    assert replies[0].rationale == f"Ann is there. So it is {answers[0]}."
    assert yields(replies) == {"replies": 3, "parsed": 3, "right": 2, "kept": 1}
    kept = lessons(replies, PROBLEMS)
    assert [chain.problem.id for chain in kept] == [PROBLEMS[0].id], (
        "an empty rationale teaches nothing"
    )
    assert len(lessons(replies, PROBLEMS, filtered=False)) == 2
    assert all(
        isinstance(one, Reasoned) and Reasoned.from_row(one.to_row()) == one for one in replies
    )


@pytest.mark.parametrize(
    ("reply", "left"),
    [
        ("It is so. It is that. The answer is C.", "It is so. It is that."),
        ("The answer is C.", ""),
        ("The answer is no. But then. Prediction: no", "The answer is no. But then."),
        ("", ""),
    ],
)
def test_the_closing_goes_and_nothing_else(reply, left):
    assert reasoning_of(reply) == left


def test_arms_differ_in_what_the_reader_gets():
    model = Model("Well. Prediction: Atlantis")
    reader = Reader("m", model, TASK)
    with_gold = guided(PROBLEMS, GOLD, reader)
    assert (
        all(right(with_gold))
        and with_gold[0].small_tokens == 30
        and with_gold[0].large_tokens == 12
    )
    assert not any(right(alone(PROBLEMS, reader)))
    cot = alone(PROBLEMS, reader, Decoding(max_new_tokens=50, temperature=0.7), samples=3)
    assert (
        [one.answer for one in cot] == ["Atlantis"] * 8
        and cot[0].large_tokens == 36
        and cot[0].rationale == "Well."
    )
    whole = [Written(chain.rationale.text, 9) for chain in CHAINS]
    assert all(right(small_alone(PROBLEMS, whole, TASK)))
    assert turned(right(alone(PROBLEMS, reader)), right(with_gold)) == {
        "right->right": 0,
        "right->wrong": 0,
        "wrong->right": 8,
        "wrong->wrong": 0,
    }


def test_rationales_vote_and_are_chosen_and_all_are_paid_for():
    reader = Reader("m", Model(), TASK)
    noise = Written("So it is Atlantis.", 10)
    samples = [[noise, gold, replace_text(gold)] for gold in GOLD]
    outcomes = voted(PROBLEMS, samples, reader)
    assert (
        all(right(outcomes)) and outcomes[0].small_tokens == 70 and outcomes[0].large_tokens == 36
    )
    for choice in (by_gold(reader), by_quality(Scorer())):
        picked = chosen(PROBLEMS, samples, choice)
        assert all(one.text != noise.text for one in picked) and picked[0].tokens == 70


def replace_text(gold):
    return Written(gold.text.replace("So ", "Hence "), 30)


def test_controls_hold_what_they_say():
    swapped = other(PROBLEMS, GOLD)
    assert all(a != b for a, b in zip(swapped, GOLD, strict=True)) and {*swapped} == {*GOLD}
    blank = masked(PROBLEMS, GOLD, TASK)
    assert all(
        MASK in one.text and p.answer not in one.text
        for one, p in zip(blank, PROBLEMS, strict=True)
    )
    facts = gold_facts(PROBLEMS)
    assert all(gold.text.startswith(one.text) for one, gold in zip(facts, GOLD, strict=True))
    drawn = random_context(PROBLEMS, GOLD)
    assert drawn == random_context(PROBLEMS, GOLD) != random_context(PROBLEMS, GOLD, seed=1)
    for one, gold, problem in zip(drawn, GOLD, PROBLEMS, strict=True):
        assert abs(len(one.text.split()) - len(gold.text.split())) <= 6
        assert all(
            s + "." in {t for _, own in problem.context for t in own}
            for s in one.text.rstrip(".").split(". ")
        )


def test_masking_knows_whole_words_and_aliases():
    problem = Problem("p", "Who?", "Ann Lee", meta={"answer_aliases": ["A. Lee"]})
    said = Written("It was Ann-Lee, not Annlee; A. Lee wrote it.")
    assert (
        masked([problem], [said], get_task("2wikimultihopqa"))[0].text
        == f"It was {MASK}, not Annlee; {MASK} wrote it."
    )


def test_a_student_writes_samples_that_can_be_told_apart(tiny):
    student = tiny("t5-scaled")
    found = write(
        student, PROBLEMS[:2], TASK, Decoding(max_new_tokens=5, temperature=1.0, seed=1), samples=3
    )
    assert [len(own) for own in found] == [3, 3] and found == write(
        student, PROBLEMS[:2], TASK, Decoding(max_new_tokens=5, temperature=1.0, seed=1), 3
    )
    assert found[0][0].tokens > len(student.source_ids(TASK, TASK.render(PROBLEMS[0])))
