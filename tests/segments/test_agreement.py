"""Agreement with people: kappa by hand, intervals over chains, shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from smallsteps.errors import DataError, RecipeError
from smallsteps.records import Chain, Kind, Segment
from smallsteps.segments.agreement import (
    SegmentTally,
    compare_kinds,
    piece_kinds,
    strategy_agreement,
)
from smallsteps.segments.label import segment_chains
from smallsteps.segments.strategies import Scoring
from smallsteps.tasks.base import Task

from .conftest import PIECES


def tally(chains: Sequence[Chain], segments: Sequence[Sequence[Segment]]) -> SegmentTally:
    found = SegmentTally()
    for pair in zip(chains, segments, strict=True):
        found.add(*pair)
    return found


def labels(text: str) -> list[list[Kind]]:
    return [["AS" if letter == "A" else "ES" for letter in chain] for chain in text.split()]


def test_kappa_by_hand() -> None:
    # 20 both AS, 5 + 10 differ, 15 both ES of 50: observed 0.7, chance 0.5, kappa 0.4 (the textbook
    # table)
    found = compare_kinds(
        labels("A" * 20 + "A" * 5 + "E" * 10 + "E" * 15),
        labels("A" * 20 + "E" * 5 + "A" * 10 + "E" * 15),
    )
    assert found.kappa == pytest.approx(0.4)
    assert found.share == pytest.approx(70.0)
    assert (found.n, found.chains) == (50, 1)
    assert (found.abstractive, found.gold_abstractive) == (pytest.approx(50.0), pytest.approx(60.0))


def test_always_the_commoner_label_agrees_often_and_earns_no_kappa() -> None:
    found = compare_kinds(labels("EEEE EEEE"), labels("EEEA EEEE"))
    assert found.share == pytest.approx(87.5)
    assert found.kappa == 0.0
    assert (
        compare_kinds(labels("EE"), labels("EE")).kappa == 0.0
    )  # one label only: chance explains all, no NaN


def test_the_interval_resamples_chains_and_not_sub_sentences() -> None:
    whole = compare_kinds(labels("AAAAEEEE EEEEAAAA " * 10), labels("AAAAEEEE AAAAEEEE " * 10))
    apart = compare_kinds(labels("A E A E E E A A " * 20), labels("A E A E A A E E " * 20))
    assert whole.share == apart.share == 50.0
    width, narrow = (r.share_interval[1] - r.share_interval[0] for r in (whole, apart))
    assert width > 1.8 * narrow


def test_the_same_seed_gives_the_same_interval_and_another_another() -> None:
    pair = labels("AE EA AA EE AE " * 4), labels("AE EE AA EA EE " * 4)
    assert compare_kinds(*pair, seed=1) == compare_kinds(*pair, seed=1)
    assert (
        compare_kinds(*pair, seed=1).kappa_interval != compare_kinds(*pair, seed=2).kappa_interval
    )


def test_different_numbers_of_labels_are_refused() -> None:
    with pytest.raises(DataError, match=r"Chain 0: 2 labels beside 3 gold labels"):
        compare_kinds(labels("AE"), labels("AEA"))
    with pytest.raises(DataError, match="no labels to compare"):
        compare_kinds([], [])


def test_gold_agreement_is_by_sub_sentence_though_segments_are_merged(
    chain: Chain, task: Task
) -> None:
    gold = tuple(zip(("ES", "AS", "ES", "AS", "ES"), PIECES, strict=True))
    chain = chain._replace(rationale=replace(chain.rationale, gold=gold))
    segments = segment_chains([chain], lambda c, p: [0.1, 0.9, 0.9, 0.9, 0.1], task=task)
    assert piece_kinds(segments[0], PIECES) == ["ES", "AS", "AS", "AS", "ES"]
    found = tally([chain], segments).gold_agreement()
    assert found is not None and found.share == pytest.approx(80.0) and found.n == 5
    assert str(found).startswith("agreement = 80.0 [80.0, 80.0] | kappa = 0.62")


def test_without_gold_labels_there_is_no_agreement(chain: Chain, task: Task) -> None:
    found = tally([chain], segment_chains([chain], "inter", task=task))
    assert found.chains == 1 and found.gold_agreement() is None


def test_shares(chain: Chain, task: Task) -> None:
    chains = [chain, chain]
    segments = segment_chains(chains, lambda c, p: [0.9, 0.8, 0.3, 0.2, 0.1], task=task)
    found = tally(chains, segments).shares()
    assert (found.chains, found.segments, found.segments_per_chain) == (2, 4, 2.0)
    assert (found.extractive, found.abstractive, found.opens_abstractive) == (50.0, 50.0, 100.0)
    assert found.abstractive_characters == pytest.approx(
        100 * len("".join(PIECES[:2])) / len("".join(PIECES))
    )
    with pytest.raises(DataError, match="no segments to describe"):
        SegmentTally().shares()


def labelled(chain: Chain, *segments: tuple[Kind, str]) -> Chain:
    return chain._replace(rationale=replace(chain.rationale, gold=segments))


def test_the_command_and_the_segments_of_a_strategy_agree_alike(chain: Chain, task: Task) -> None:
    gold = zip(("ES", "AS", "ES", "AS", "ES"), PIECES, strict=True)
    chains = [labelled(chain, *gold)]
    for strategy in ("inter", "rouge", "bleu", "chunks"):
        segments = segment_chains(chains, strategy, task=task)
        found = tally(chains, segments).gold_agreement()
        assert strategy_agreement(chains, strategy, Scoring(task)) == found


def test_sub_sentences_are_compared_unless_people_labelled_larger_pieces(
    chain: Chain, task: Task
) -> None:
    chains = [labelled(chain, ("ES", PIECES[0]), ("AS", "".join(PIECES[1:])))]
    by_piece = strategy_agreement(chains, "inter", Scoring(task))
    whole = strategy_agreement(chains, "inter", Scoring(task), whole_segments=True)
    assert (by_piece.n, by_piece.share) == (5, pytest.approx(60.0))  # EAEAE against EAAAA
    assert (whole.n, whole.share) == (2, 100.0)


def test_chains_without_labels_are_left_out_and_gold_agrees_with_nothing_but_itself(
    chain: Chain, task: Task
) -> None:
    gold = zip(("ES", "AS", "ES", "AS", "ES"), PIECES, strict=True)
    chains = [chain, labelled(chain, *gold)]
    assert strategy_agreement(chains, "inter", Scoring(task)).chains == 1
    with pytest.raises(DataError, match="no row has labels to compare with"):
        strategy_agreement([chain], "inter", Scoring(task))
    with pytest.raises(RecipeError, match="'gold' is what the others are compared with"):
        strategy_agreement(chains, "gold", Scoring(task))
