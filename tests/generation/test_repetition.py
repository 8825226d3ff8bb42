"""Replies that run in a circle: what counts as one, and how each writer ends it."""

from __future__ import annotations

import json
import timeit
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from smallsteps.generation import causal, encoder_decoder
from smallsteps.generation.paths import SolveSettings
from smallsteps.generation.repetition import (
    COUNTED_TOKENS,
    COUNTED_TURNS,
    LONGEST_PERIOD,
    REPEATED_TOKENS,
    repeats,
)
from smallsteps.generation.solve import solve
from smallsteps.records import Problem
from smallsteps.students.drive import Drive
from smallsteps.students.dual import DualStudent
from smallsteps.students.special_ids import find_number_ids
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

PROBLEM = Problem("p", "How many pens has Ann?", answer="7")


def a_task(**limits: int) -> Task:
    return Task(
        name="tiny",
        render=lambda problem: problem.question,
        extract=lambda text, lenient, problem: "7" if "7" in text else None,
        same=lambda a, b: a == b,
        closing_pattern="7",
        **limits,
    )


@pytest.mark.parametrize("period", [1, 2, 5, 21, 22, 40, LONGEST_PERIOD])
def test_a_block_counts_once_it_was_written_three_times_over_at_least_64_tokens(period):
    block = list(range(period))
    enough = max(REPEATED_TOKENS, 3 * period)
    looped = (block * enough)[:enough]
    assert repeats([7000, *looped])
    assert not repeats(looped[1:])


def test_a_longer_block_and_a_block_whose_words_change_are_no_loop():
    assert not repeats(list(range(LONGEST_PERIOD + 1)) * 5)
    assert not repeats([token for step in range(80) for token in (1, 2, 3, 100 + step)], {1})


NUMBERS = frozenset(range(100, 200))


def counting(period: int, turns: int) -> list[int]:
    """A block of `period` words with three numbers that differ from turn to turn."""
    words = list(range(period))
    ids = []
    for turn in range(turns):
        # a number may have one digit or two, so turns differ in length
        ids += [*words[:1], 100 + turn, *([110 + turn] if turn % 3 else []), *words[1:], 150 + turn]
    return ids


@pytest.mark.parametrize("period", [4, 22, 30, LONGEST_PERIOD])
def test_counting_on_is_a_loop_once_160_words_were_written_in_six_turns(period):
    turns = max(COUNTED_TURNS, -(-COUNTED_TOKENS // period))
    assert repeats(counting(period, turns), NUMBERS)
    assert not repeats(counting(period, turns - 1), NUMBERS)
    assert not repeats(counting(period, turns)), "without knowing the numbers"


def test_looking_at_a_long_reply_costs_little():
    ids = [n * n % 977 for n in range(512)]
    best = min(
        timeit.timeit(lambda: repeats(ids, NUMBERS), number=10) / 10  # seconds
        for _ in range(5)
    )
    assert best < 0.002, "a look at every eighth token; a token takes several milliseconds"


def bpe(texts: list[str], single_digits: bool) -> Tokenizer:
    """A tokenizer like SmolLM2's (digits one by one) or GPT-2's, trained on the texts."""
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = (
        pre_tokenizers.Sequence([digits, byte_level]) if single_digits else byte_level
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        texts[::4],
        trainers.BpeTrainer(vocab_size=8000, initial_alphabet=alphabet, show_progress=False),
    )
    return tokenizer


def gold_chains() -> list[str]:
    """The chains of people and large models, those known as wrong left out."""
    names = [
        *(f"gsm8k/{part}" for part in ("train", "test")),
        *(f"gsm8k_cot_{model}/train" for model in ("llama3_70b", "gemini15_flash")),
        "svamp_cot_gpt4o/train",
        *(f"strategyqa/{part}" for part in ("train", "dev")),
        *(f"strategyqa_cot_gpt4o/{part}" for part in ("train", "dev")),
        *(f"pet/{part}" for part in ("val", "test")),
    ]
    texts = []
    for name in names:
        with (DATA / f"{name}.jsonl").open(encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        texts += [
            row.get("rationale") or row["impression"] for row in rows if row.get("correct", True)
        ]
    bundled = get_task("stories").generate
    assert bundled is not None
    return texts + [chain.rationale.text for chain in bundled(2000, 0, "hard")]


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not beside the repository")
@pytest.mark.parametrize("single_digits", [True, False])
def test_no_gold_chain_is_ever_ended(single_digits):
    texts = gold_chains()
    assert len(texts) > 20_000
    tokenizer = bpe(texts, single_digits)
    numbers = find_number_ids(tokenizer)
    assert len(numbers) >= 10
    cut = [
        text
        for text, encoding in zip(texts, tokenizer.encode_batch(texts), strict=True)
        if any(repeats(encoding.ids[:end], numbers) for end in range(8, len(encoding.ids) + 8, 8))
    ]
    assert cut == []


def test_a_reply_that_left_its_loop_is_no_loop():
    assert not repeats([1, 2, 3] * 40 + [9])


def _circling(monkeypatch, words):
    """Every row writes `words` over and over, whatever the model says."""

    def choose_tokens(logits, rows, decoding):
        return [words[len(row.written) % len(words)] for row in rows], None

    monkeypatch.setattr(causal, "choose_tokens", choose_tokens)
    monkeypatch.setattr(encoder_decoder, "choose_tokens", choose_tokens)


@pytest.mark.parametrize("style", ["t5", "bart", "llama"])
def test_a_whole_chain_in_a_circle_ends_early_only_where_asked(tiny, monkeypatch, style):
    student = tiny(style)
    task = a_task(max_chain_tokens=100)
    words = student.encode("Ann has boxes")
    _circling(monkeypatch, words)
    chain = {
        on: next(iter(solve(student, [PROBLEM], task, SolveSettings(stop_repetition=on), None)))
        for on in (False, True)
    }
    assert (chain[False].stopped, chain[True].stopped) == ("limit", "repetition")
    assert REPEATED_TOKENS <= chain[True].tokens <= REPEATED_TOKENS + 8 + len(words)
    assert chain[False].text.startswith(chain[True].text)


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_a_chain_that_writes_the_same_segment_again_and_again_ends(tiny, monkeypatch, style):
    task = a_task(max_segments=60, max_segment_tokens=12)
    student = prepare(tiny(style), task, path="uni")
    end = student.marker("ES") if style == "llama" else student.end_id
    _circling(monkeypatch, [*student.encode("Ann has boxes"), end])
    (plain,) = solve(student, [PROBLEM], task, SolveSettings(), None)
    (ended,) = solve(student, [PROBLEM], task, SolveSettings(stop_repetition=True), None)
    assert (plain.stopped, ended.stopped) == ("limit", "repetition")
    assert ended.tokens < plain.tokens


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_halves_that_repeat_each_other_end(tiny, monkeypatch, style):
    task = a_task(max_segments=60, max_segment_tokens=12)
    halves = [
        prepare(tiny(style, seed), task, path="dual", role=role)
        for seed, role in enumerate(("ES", "AS"))
    ]
    dual = DualStudent(*halves, Drive(task=task.name, path="dual"))
    end = halves[0].marker("AS") if style == "llama" else halves[0].end_id
    _circling(monkeypatch, [*halves[0].encode("Ann has boxes"), end])
    (plain,) = solve(dual, [PROBLEM], task, SolveSettings(), None)
    (ended,) = solve(dual, [PROBLEM], task, SolveSettings(stop_repetition=True), None)
    assert (plain.stopped, ended.stopped) == ("limit", "repetition")
    assert ended.tokens < plain.tokens


def test_models_that_smallsteps_did_not_train_are_ended_and_read_leniently_by_default(tiny):
    from smallsteps.generation.solve import StudentWithTask

    untrained = StudentWithTask(tiny("t5"), a_task()).settings()
    assert untrained.stop_repetition and untrained.lenient
    trained = prepare(tiny("t5"), a_task(), path="direct")
    settings = StudentWithTask(trained, a_task()).settings()
    assert not settings.stop_repetition and not settings.lenient
