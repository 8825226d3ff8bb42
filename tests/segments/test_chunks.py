"""The control `chunks`: as many segments as `rouge` makes, cut without meaning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsteps.records import Chain, Problem, Rationale, Segment
from smallsteps.segments.chunks import chunks
from smallsteps.segments.label import segment_chains
from smallsteps.tasks import get_task
from smallsteps.tasks.stories import make_chains

GSM8K = get_task("gsm8k")


def chain_of(text):
    return Chain(Problem("p", "How many pens?", "7"), Rationale("r", "p", text))


def counted(count):
    """So many segments; only their number and kinds count."""
    kinds = ["AS", "ES"] * count
    return [Segment(f"x/{n}", "r", kinds[n], "") for n in range(count)]


def test_the_cuts_fall_at_equal_lengths_in_words():
    chain = chain_of("a b c d e f g h i j. The answer is 7.")  # 14 words, 4 of them the closing
    cut = chunks(chain, counted(4), GSM8K)
    assert [part.text for part in cut] == ["a b c d ", "e f g ", "h i j. ", "The answer is 7."]
    assert [part.id for part in cut] == ["r/0", "r/1", "r/2", "r/3"]
    assert [part.kind for part in cut] == ["AS", "ES", "AS", "ES"], "as the other strategy's"


def test_chinese_is_cut_in_characters():
    task = get_task("gsm8k-zh")
    chain = Chain(Problem("p", "几支？", "7"), Rationale("r", "p", "三加四等于七。答案是7。"))
    assert [c.text for c in chunks(chain, counted(3), task)] == ["三加四等", "于七。", "答案是7。"]


def test_the_closing_stays_whole_and_fewer_pieces_come_of_too_few_words():
    chain = chain_of("So 7. The answer is 7.")
    cut = chunks(chain, counted(5), GSM8K)
    assert [part.text for part in cut] == ["So ", "7. ", "The answer is 7."]
    assert len(chunks(chain_of("The answer is 7."), counted(3), GSM8K)) == 1


@given(st.text(alphabet="ab .\n7", min_size=1), st.integers(1, 9), st.booleans())
def test_joined_chunks_are_the_chain_and_the_last_one_stops(text, count, closed):
    if closed:
        text = GSM8K.close(text, "7")
    if not text.strip():
        return
    chain = chain_of(text)
    cut = chunks(chain, counted(count), GSM8K)
    assert "".join(part.text for part in cut) == text
    assert 1 <= len(cut) <= count and all(part.text.strip() for part in cut)
    if GSM8K.ends_chain(text, chain.problem):
        assert GSM8K.ends_chain(cut[-1].text.strip(), chain.problem)


@pytest.mark.parametrize("beta", [0.6, 1.0, 1.4])
def test_number_and_kinds_are_those_of_rouge_at_any_beta(beta):
    task, chains = get_task("stories"), make_chains(60, seed=3, difficulty="medium")
    rouge = segment_chains(chains, "rouge", task=task, beta=beta)
    cut = segment_chains(chains, "chunks", task=task, beta=beta)
    for as_rouge, as_chunks in zip(rouge, cut, strict=True):
        assert [part.kind for part in as_chunks] == [part.kind for part in as_rouge]
    moved = sum(
        [part.text for part in one] != [part.text for part in other]
        for one, other in zip(rouge, cut, strict=True)
        if len(one) > 1
    )
    assert moved > 50, "the places of the cuts are others"


def test_lengths_differ_by_a_word_at_most_before_the_closing():
    task, chains = get_task("stories"), make_chains(40, seed=4, difficulty="hard")
    for cut in segment_chains(chains, "chunks", task=task):
        lengths = [len(part.text.split()) for part in cut[:-1]]
        assert not lengths or max(lengths) - min(lengths) <= 1
