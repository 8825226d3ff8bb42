"""Chains put together again from their examples."""

from __future__ import annotations

from dataclasses import replace

from smallsteps.students.tokens import prepare
from smallsteps.training.encode import chains_of, encode


def test_every_example_is_on_exactly_one_chain_whatever_the_order(chains):
    examples = chains(4)
    mixed = sorted(examples, key=lambda e: e.id[::-1])
    found = chains_of(mixed)
    assert sorted(len(c) for c in found) == [4] * 4
    assert sorted(e.id for c in found for e in c) == sorted(e.id for e in examples)
    assert all([len(e.prefix) for e in c] == [0, 1, 2, 3] for c in found)


def test_two_chains_of_one_problem_that_begin_alike_each_keep_their_own_copy(chains):
    one = chains(1)
    two = [replace(e, id=f"other/{e.id}") for e in one[:2]]
    end = replace(one[2], id="other/2", target="She keeps all.", last=True)
    found = chains_of([*one, *two, end])
    assert sorted(len(c) for c in found) == [3, 4]


def test_a_chain_without_some_of_its_examples_counts_only_the_others(tiny, chains, task):
    student = prepare(tiny("qwen"), task, path="uni")
    examples = chains(1)
    whole = encode(student, task, examples)[0]
    part = encode(student, task, [examples[0], examples[3]])[0]
    assert part.target == whole.target
    lost = sum(encode(student, task, [e])[0].loss_tokens for e in examples[1:3])
    assert part.loss_tokens == whole.loss_tokens - lost


def test_one_row_is_what_the_students_own_renderer_makes_of_the_chain(tiny, chains, task):
    student = prepare(tiny("llama"), task, path="uni")
    for opens in ("ES", "AS"):
        examples = chains(1, opens)
        ids, mask = student.chain_ids(
            task, examples[0].question, [(e.kind, e.target) for e in examples]
        )
        row = encode(student, task, examples)[0]
        assert (list(row.target), list(row.counted)) == (ids, mask)


def test_encoder_decoder_examples_stay_apart(tiny, chains, task):
    assert len(encode(tiny("t5"), task, chains(3))) == 12
