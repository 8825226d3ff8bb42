"""Strategies: what each entry says of itself, gold labels, and one that is added from outside."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from smallsteps.errors import DataError, RecipeError
from smallsteps.records import Chain, Kind, Problem, Rationale
from smallsteps.segments.label import segment_chains
from smallsteps.segments.strategies import (
    STRATEGIES,
    Scoring,
    Strategy,
    alternate,
    get_strategy,
    gold_kinds,
    needs_trained_scorer,
    per_chain,
    strategies_for_new_chains,
)
from smallsteps.tasks.base import Task

from .conftest import PIECES


def gold_chain(*gold: tuple[Kind, str], text: str | None = None) -> Chain:
    rationale = Rationale("c/0", "c", text or "".join(text for _, text in gold), gold=gold)
    return Chain(Problem("c", "How many?", "7"), rationale)


def test_the_strategies_are_the_paper_s_six_gold_and_a_control() -> None:
    assert list(STRATEGIES) == ["inter", "ent", "ent*", "loss", "bleu", "rouge", "gold", "chunks"]
    assert [name for name, s in STRATEGIES.items() if s.control] == ["chunks"]
    assert [name for name, s in STRATEGIES.items() if not s.reads_beta] == ["inter", "gold"]
    assert all(strategy.name == name for name, strategy in STRATEGIES.items())


def test_each_entry_says_which_student_scores_and_which_scores_mean_as() -> None:
    assert {name: (s.scorer, s.direction) for name, s in STRATEGIES.items()} == {
        "inter": ("none", None),
        "ent": ("trained", "high"),
        "ent*": ("untrained", "high"),
        "loss": ("trained", "high"),
        "bleu": ("none", "low"),
        "rouge": ("none", "low"),
        "gold": ("none", None),
        "chunks": ("none", None),
    }
    assert [name for name, s in STRATEGIES.items() if s.needs_student] == ["ent", "ent*", "loss"]
    assert [name for name, s in STRATEGIES.items() if s.needs_gold] == ["gold"]


def test_an_arm_without_segments_needs_no_scorer() -> None:
    assert [name for name in (None, *STRATEGIES) if needs_trained_scorer(name)] == ["ent", "loss"]


def test_new_chains_are_cut_without_a_student_and_without_gold_labels() -> None:
    assert strategies_for_new_chains() == ["inter", "bleu", "rouge"]


def test_an_added_strategy_is_offered_wherever_names_are(monkeypatch: pytest.MonkeyPatch) -> None:
    first_only = Strategy("first", per_chain(lambda c, p: ["AS"] + ["ES"] * (len(p) - 1)))
    monkeypatch.setitem(STRATEGIES, "first", first_only)
    assert get_strategy("first") is first_only
    assert strategies_for_new_chains() == ["inter", "bleu", "rouge", "first"]
    with pytest.raises(RecipeError, match=r"'frist'\..*Did you mean 'first'"):
        get_strategy("frist")


def test_a_function_becomes_a_strategy_whose_high_scores_mean_as() -> None:
    def length(chain: Chain, pieces: list[str]) -> list[float]:
        return [float(len(piece)) for piece in pieces]

    strategy = get_strategy(length)
    assert (strategy.name, strategy.direction, strategy.scorer) == ("length", "high", "none")


def test_a_function_of_one_chain_cannot_change_the_pieces_of_the_others(
    chain: Chain, task: Task
) -> None:
    def spoil(chain: Chain, pieces: list[str]) -> list[Kind]:
        labels: list[Kind] = ["ES"] * len(pieces)
        pieces.clear()
        return labels

    pieces = [list(PIECES), list(PIECES)]
    per_chain(spoil)([chain, chain], pieces, Scoring(task))
    assert pieces == [PIECES, PIECES]


def test_a_strategy_of_all_chains_reads_the_task(chain: Chain, task: Task) -> None:
    """Students score in batches, so the function gets every chain at once."""

    def in_question(
        chains: Sequence[Chain], pieces: Sequence[list[str]], scoring: Scoring
    ) -> list[list[Kind]]:
        assert scoring.task is task and len(chains) == len(pieces) == 2
        return [["ES" if "Ann" in piece else "AS" for piece in row] for row in pieces]

    rows = segment_chains([chain, chain], Strategy("in-question", in_question), task=task)
    assert [[segment.kind for segment in row] for row in rows] == [["ES", "AS"]] * 2


def test_inter_takes_turns(chain: Chain) -> None:
    assert alternate(chain, PIECES) == ["ES", "AS", "ES", "AS", "ES"]


def test_a_piece_gets_the_gold_label_of_most_of_its_characters() -> None:
    chain = gold_chain(("ES", "Ann has 3 "), ("AS", "so 4. "), ("AS", "It is 7."))
    assert gold_kinds(chain, ["Ann has 3 so 4. ", "It is 7."]) == ["ES", "AS"]
    # white space at the end of a piece has no say: 4 characters of AS against 4 of ES is ES
    tie = gold_chain(("ES", "abcd"), ("AS", "efgh    "))
    assert gold_kinds(tie, ["abcdefgh    "]) == ["ES"]


def test_gold_that_is_not_the_rationale_is_refused() -> None:
    chain = gold_chain(("ES", "a."), ("AS", "b."), text="a. b.")
    message = r"^c/0: the texts of its gold segments joined are not its rationale"
    with pytest.raises(DataError, match=message):
        gold_kinds(chain, ["a. ", "b."])


def test_a_chain_without_gold_labels_is_refused_with_the_way_to_give_them(chain: Chain) -> None:
    with pytest.raises(DataError, match=r"^ann/0: strategy 'gold' needs .* \"segments\": \["):
        gold_kinds(chain, PIECES)
