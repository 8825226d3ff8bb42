"""The choice of tokens."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from smallsteps.generation.generator import Decoding, Request
from smallsteps.generation.sampling import ReplyRow, choose_tokens, new_rows
from tiny_solving import Tiny

LOGITS = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()


def row(name: str, sample: int = 0, seed: int = 0) -> ReplyRow:
    return ReplyRow(Request(name, []), sample, (), 10, frozenset({3}), seed)


def drawn(decoding: Decoding, count: int = 4000) -> list[float]:
    """Shares of the four tokens among draws for as many items."""
    rows = [row(f"item {n}", seed=decoding.seed) for n in range(count)]
    tokens, _ = choose_tokens(LOGITS.expand(count, -1).clone(), rows, decoding)
    return [tokens.count(t) / count for t in range(4)]


def test_draws_follow_the_distribution() -> None:
    assert drawn(Decoding(temperature=1.0)) == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.03)


def test_temperature_sharpens() -> None:
    squared = torch.tensor([0.5, 0.3, 0.15, 0.05]) ** 2
    expected = (squared / squared.sum()).tolist()
    assert drawn(Decoding(temperature=0.5)) == pytest.approx(expected, abs=0.03)


def test_top_k_and_top_p_cut_the_tail_and_keep_the_token_that_crosses() -> None:
    assert drawn(Decoding(temperature=1.0, top_k=2)) == pytest.approx(
        [0.625, 0.375, 0, 0], abs=0.03
    )
    assert drawn(Decoding(temperature=1.0, top_p=0.6)) == pytest.approx(
        [0.625, 0.375, 0, 0], abs=0.03
    )
    assert drawn(Decoding(temperature=1.0, top_p=0.01)) == [1, 0, 0, 0]


def test_a_draw_hangs_on_seed_item_sample_and_place_alone() -> None:
    first = row("a").uniform()
    assert row("a").uniform() == first
    later = row("a")
    later.take(1)
    others = [
        row("b").uniform(),
        row("a", sample=1).uniform(),
        row("a", seed=1).uniform(),
        later.uniform(),
    ]
    assert len({first, *others}) == 5
    assert all(0 < u < 1 for u in [first, *others])


def test_logprobs_are_those_of_the_distribution_drawn_from() -> None:
    rows = [row("a"), row("b")]
    tokens, found = choose_tokens(LOGITS.expand(2, -1).clone(), rows, Decoding(logprobs=True))
    assert tokens == [0, 0] and found == pytest.approx([LOGITS[0].item()] * 2)
    tokens, found = choose_tokens(
        LOGITS.expand(2, -1).clone(), rows, Decoding(temperature=1.0, top_k=2, logprobs=True)
    )
    cut = torch.tensor([0.625, 0.375]).log()
    assert found == pytest.approx([cut[t].item() for t in tokens], abs=1e-6)


def test_a_row_ends_by_end_stop_or_limit() -> None:
    assert row("a").take(3) == "end"
    stopping = ReplyRow(
        Request("a", [], stop=lambda ids: ids[-1] == 2), 0, (), 10, frozenset({3}), 0
    )
    assert [stopping.take(1), stopping.take(2)] == [None, "stop"]
    short = ReplyRow(Request("a", []), 0, (), 2, frozenset({3}), 0)
    assert [short.take(1), short.take(1)] == [None, "limit"]


def test_given_tokens_take_the_place_of_chosen_ones_and_end_nothing() -> None:
    given = ReplyRow(Request("a", [], given=(3, 1)), 0, (), 10, frozenset({3}), 0)
    assert given.take(0, -0.5) is None and given.take(0, -0.5) is None
    assert given.take(2, -0.5) is None and given.written == [3, 1, 2]
    assert given.logprobs == [-0.5], "what was not chosen has no probability"
    assert given.take(3) == "end"


def test_a_causal_student_reads_given_tokens_with_its_prompt(tiny: Tiny) -> None:
    request = Request("a", (5, 6), given=(7, 8))
    (causal,) = new_rows(request, tiny("llama"), Decoding())
    assert (causal.source, causal.written) == ((5, 6, 7, 8), [7, 8])
    (other,) = new_rows(request, tiny("t5"), Decoding())
    assert (other.source, other.written) == ((5, 6), [])


def test_rows_of_one_batch_may_each_have_a_decoding_and_draw_as_they_would_alone() -> None:
    decodings = [None, Decoding(temperature=1.0), Decoding(temperature=1.0, top_k=1, logprobs=True)]
    rows = [row(f"item {n}") for n in range(3)]
    for one, decoding in zip(rows, decodings, strict=True):
        one.request = replace(one.request, decoding=decoding)
    tokens, logprobs = choose_tokens(LOGITS.expand(3, -1).clone(), rows, Decoding())
    alone = [
        choose_tokens(LOGITS[None].clone(), [row(f"item {n}")], decoding or Decoding())[0][0]
        for n, decoding in enumerate(decodings)
    ]
    assert tokens == alone and tokens[0] == tokens[2] == 0
    assert logprobs is not None and logprobs[:2] == [None, None]
    assert logprobs[2] == pytest.approx(0.0)


def test_a_row_may_draw_under_another_name_than_its_own() -> None:
    renamed = ReplyRow(Request("b", [], draws_as="a"), 0, (), 10, frozenset({3}), 0)
    assert renamed.uniform() == row("a").uniform() != row("b").uniform()
