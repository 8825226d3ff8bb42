"""LM-guided chain of thought: what the student learns, and what the reader gets in each arm."""

from __future__ import annotations

from contextlib import closing

import pytest

from fake_readers import CHAINS, GOLD, PROBLEMS, TASK, LastWordModel
from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding, EngineSettings
from smallsteps.generation.server_settings import ServerSettings
from smallsteps.methods.guided.method import (
    Reasoning,
    count_rationales,
    count_replies,
    data_reasoning,
    distillation_chains,
    guided_answers,
    reader_reasoning,
    reasoning_of,
    student_answers,
    turned,
    unguided_answers,
    voted_answers,
    write_rationales,
)
from smallsteps.methods.guided.rationales import WrittenRationale
from smallsteps.methods.guided.reader import Reader
from smallsteps.records import Rationale
from token_server import answering


def right(answers):
    return [
        TASK.same(answer.answer, problem.answer)
        for answer, problem in zip(answers, PROBLEMS, strict=True)
    ]


# ---- distil ----


def replies_to_three_problems():
    golds = [problem.answer for problem in PROBLEMS[:3]]
    model = LastWordModel(
        f"Ann is there. So it is {golds[0]}. The answer is {golds[0]}. Prediction: {golds[0]}",
        "I guess so. Prediction: Atlantis",
        f"Prediction: {golds[2]}",
    )
    decoding = Decoding(max_new_tokens=100)
    return reader_reasoning(PROBLEMS[:3], Reader("m", model, TASK), decoding)


def test_replies_are_filtered_by_their_answer_and_lose_it():
    replies = replies_to_three_problems()
    assert [reply.correct for reply in replies] == [True, False, True]
    assert replies[0].rationale == f"Ann is there. So it is {PROBLEMS[0].answer}."
    assert count_replies(replies) == {"replies": 3, "parsed": 3, "right": 2, "kept": 1}
    kept = distillation_chains(replies, PROBLEMS)
    assert [chain.problem.id for chain in kept] == [PROBLEMS[0].id], "an empty one teaches nothing"


def test_without_the_filter_wrong_reasoning_is_learnt_too():
    chains = distillation_chains(replies_to_three_problems(), PROBLEMS, filtered=False)
    assert [chain.rationale.correct for chain in chains] == [True, False]


def test_rationales_of_the_data_are_learnt_without_their_closing_unless_they_are_wrong():
    ids = [problem.id for problem in PROBLEMS[:4]]
    texts = ("Ann is there. The answer is Rome.", "I guess.", "The answer is Rome.")
    rationales = {
        ids[0]: Rationale("a", ids[0], texts[0]),
        ids[1]: Rationale("b", ids[1], texts[1], correct=False),
        ids[2]: Rationale("c", ids[2], texts[2], correct=True),
    }
    reasoning = data_reasoning(PROBLEMS[:4], rationales)
    assert [item.rationale for item in reasoning] == ["Ann is there.", "I guess.", ""]
    assert [item.correct for item in reasoning] == [True, False, True], "unknown counts as right"
    assert count_rationales(reasoning) == {"rationales": 3, "right": 2, "kept": 1}
    (chain,) = distillation_chains(reasoning, PROBLEMS)
    assert chain.problem == PROBLEMS[0] and chain.rationale.author == "data"
    everything = distillation_chains(reasoning, PROBLEMS, filtered=False)
    assert [chain.problem.id for chain in everything] == ids[:2]


def test_a_reply_comes_back_from_its_row():
    for reply in replies_to_three_problems():
        assert Reasoning.from_row(reply.to_row()) == reply


@pytest.mark.parametrize(
    ("reply", "reasoning"),
    [
        ("It is so. It is that. The answer is C.", "It is so. It is that."),
        ("The answer is C.", ""),
        ("The answer is no. But then. Prediction: no", "The answer is no. But then."),
        ("", ""),
    ],
)
def test_the_closing_goes_and_nothing_else(reply, reasoning):
    assert reasoning_of(reply) == reasoning


# ---- guide ----


def test_the_reader_answers_with_the_rationale_and_both_models_are_paid_for():
    answers = guided_answers(PROBLEMS, GOLD, Reader("m", LastWordModel(), TASK))
    assert all(right(answers))
    assert answers[0].rationale == GOLD[0].text
    assert (answers[0].small_tokens, answers[0].large_tokens) == (30, 12)


def test_the_reader_alone_gets_no_rationale():
    answers = unguided_answers(PROBLEMS, Reader("m", LastWordModel(), TASK))
    assert not any(right(answers))
    assert answers[0].rationale is None and answers[0].small_tokens == 0


def test_samples_of_reasoning_vote_and_all_are_paid_for():
    reader = Reader("m", LastWordModel("Well. Prediction: Atlantis"), TASK)
    sampled = Decoding(max_new_tokens=50, temperature=0.7)
    answers = unguided_answers(PROBLEMS, reader, sampled, samples=3)
    assert [answer.answer for answer in answers] == ["Atlantis"] * 8
    assert answers[0].large_tokens == 36 and answers[0].rationale == "Well."


def test_the_student_alone_answers_by_its_closing():
    chains = [WrittenRationale(chain.rationale.text, 9) for chain in CHAINS]
    answers = student_answers(PROBLEMS, chains, TASK)
    assert all(right(answers))
    assert {answer.read_from for answer in answers} == {"closing"}
    assert {answer.large_tokens for answer in answers} == {0}


def test_answers_with_several_rationales_vote_and_all_are_paid_for():
    noise = WrittenRationale("So it is Atlantis.", 10)
    samples = [
        [noise, gold, WrittenRationale(gold.text.replace("So ", "Hence "), 30)] for gold in GOLD
    ]
    answers = voted_answers(PROBLEMS, samples, Reader("m", LastWordModel(), TASK))
    assert all(right(answers))
    assert answers[0].small_tokens == 70 and answers[0].large_tokens == 36
    assert answers[0].rationale == GOLD[0].text, "the first that agrees with the vote"


def test_what_guidance_repaired_and_broke_is_counted():
    before, after = [True, True, False, False, False], [True, False, True, True, False]
    assert turned(before, after) == {
        "right->right": 1,
        "right->wrong": 1,
        "wrong->right": 2,
        "wrong->wrong": 1,
    }


def test_a_student_writes_samples_that_can_be_told_apart(tiny):
    student = tiny("t5-scaled")
    sampled = Decoding(max_new_tokens=5, temperature=1.0, seed=1)
    samples = write_rationales(student, PROBLEMS[:2], TASK, sampled, samples=3)
    assert [len(rationales) for rationales in samples] == [3, 3]
    assert len({rationale.text for rationale in samples[0]}) > 1
    assert samples == write_rationales(student, PROBLEMS[:2], TASK, sampled, samples=3)
    read = len(student.source_ids(TASK, TASK.render(PROBLEMS[0])))
    assert samples[0][0].tokens > read, "what it reads is counted too"


def test_a_server_writes_the_same_rationales(tiny, server):
    student = tiny("llama")
    server.answer = answering(student.model)
    settings = EngineSettings(engine="vllm", server=ServerSettings(base_url=server.url))
    greedy = Decoding(max_new_tokens=12)
    with closing(open_engine(student, settings)) as engine:
        written = write_rationales(student, PROBLEMS, TASK, greedy, engine=engine)
    assert written == write_rationales(student, PROBLEMS, TASK, greedy) and server.calls
