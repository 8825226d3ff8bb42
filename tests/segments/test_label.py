"""Labels: Eq. 1-2 and 5-6 by hand, merging, and the messages for what cannot be labelled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsteps.errors import DataError, RecipeError
from smallsteps.records import Chain, Kind, Problem, Rationale
from smallsteps.segments.label import label_scores, merge, segment_chains
from smallsteps.segments.strategies import Strategy, per_chain
from smallsteps.tasks.base import Task, same_text

from .conftest import PIECES

TASK = Task(
    "plain", render=lambda problem: problem.question, extract=lambda *_: None, same=same_text
)


def kinds(text: str) -> list[str]:
    return text.split()


@pytest.mark.parametrize(
    ("scores", "direction", "beta", "expected"),
    [
        (
            [0.2, 0.9, 0.3, 0.8, 0.1],
            "high",
            1.0,
            "ES AS ES AS ES",
        ),  # the method page's two examples
        ([0.9, 0.8, 0.3, 0.2, 0.1], "high", 1.0, "AS AS ES ES ES"),
        ([0.2, 0.9, 0.3, 0.8, 0.1], "low", 1.0, "AS ES AS ES AS"),
        ([0.2, 0.9, 0.3, 0.8, 0.1], "high", 1.8, "ES AS ES ES ES"),  # threshold 0.828
        ([0.2, 0.9, 0.3, 0.8, 0.1], "low", 0.4, "ES ES ES ES AS"),  # threshold 0.184
        (
            [0.1, 0.1, 0.1],
            "low",
            1.0,
            "ES ES ES",
        ),  # 0.1 < (0.1 + 0.1 + 0.1) / 3 in floating point, which means nothing
        ([0.5], "high", 1.0, "ES"),
        ([0.0, 0.0], "low", 1.0, "ES ES"),
        ([None, 0.1, None, 0.9, None], "high", 1.0, "ES ES ES AS AS"),
        ([None, 0.9, 0.1], "high", 1.0, "AS AS ES"),
        (
            [None, 0.4, 0.6, None],
            "high",
            1.0,
            "ES ES AS AS",
        ),  # the mean is over the two that have a score
        ([None, None], "high", 1.0, "ES ES"),
    ],
)
def test_equations_by_hand(
    scores: list[float | None], direction: str, beta: float, expected: str
) -> None:
    assert label_scores(scores, direction, beta) == kinds(expected)  # type: ignore[arg-type]


def test_the_mean_is_over_the_sub_sentences_of_the_same_chain(task: Task) -> None:
    high, low = [chain_of("a. b. c.", id) for id in ("high", "low")]

    def scores(chain: Chain, pieces: list[str]) -> Sequence[float]:
        return [10, 20, 10] if chain is high else [1, 1, 2]

    segments = segment_chains([high, low], scores, task=task)
    assert [[s.kind for s in row] for row in segments] == [["ES", "AS", "ES"], ["ES", "AS"]]


def chain_of(text: str, id: str = "c", gold: tuple[tuple[Kind, str], ...] = ()) -> Chain:
    return Chain(Problem(id, "How many?", "7"), Rationale(f"{id}/0", id, text, gold=gold))


def test_neighbours_with_one_label_become_one_segment_with_ids_and_mean_score(
    chain: Chain, task: Task
) -> None:
    (segments,) = segment_chains([chain], lambda c, p: [0.9, 0.7, 0.3, 0.2, 0.1], task=task)
    assert [(s.id, s.rationale_id, s.kind, s.text) for s in segments] == [
        ("ann/0/0", "ann/0", "AS", PIECES[0] + PIECES[1]),
        ("ann/0/1", "ann/0", "ES", "".join(PIECES[2:])),
    ]
    assert [s.score for s in segments] == [pytest.approx(0.8), pytest.approx(0.2)]


@pytest.mark.parametrize(
    "strategy", [Strategy("constant", per_chain(lambda c, p: [1.0] * len(p)), "high"), "rouge"]
)
def test_a_normal_region_of_a_report_is_extractive_at_any_beta(
    strategy: str | Strategy, task: Task
) -> None:
    beta = 2.0 if strategy == "rouge" else 0.5
    abnormal = chain_of("How many.")
    normal = abnormal._replace(problem=replace(abnormal.problem, meta={"normal": True}))
    found = segment_chains([abnormal, normal], strategy, task=task, beta=beta)
    assert [segment.kind for (segment,) in found] == ["AS", "ES"]


def test_inter_takes_turns_and_knows_no_beta(chain: Chain, task: Task) -> None:
    (segments,) = segment_chains([chain], "inter", task=task, beta=99)
    assert [s.text for s in segments] == PIECES
    assert [s.kind for s in segments] == kinds("ES AS ES AS ES")
    assert all(s.score is None for s in segments)


def test_what_is_copied_is_extractive(chain: Chain, task: Task) -> None:
    (segments,) = segment_chains([chain], "rouge", task=task)
    assert segments[0].kind == "ES" and segments[0].text == PIECES[0]
    assert segments[1].kind == "AS" and segments[1].text == PIECES[1]


@given(
    st.text(alphabet="ab5 ,.:。，\n", min_size=1).filter(str.strip),
    st.sampled_from(["inter", "bleu", "rouge"]),
)
def test_segments_joined_are_the_rationale_and_neighbours_differ(text: str, strategy: str) -> None:
    (segments,) = segment_chains([chain_of(text)], strategy, task=TASK)
    assert "".join(s.text for s in segments) == text
    assert all(a.kind != b.kind for a, b in pairwise(segments))


def test_a_score_that_could_not_be_measured_takes_the_label_before_it(
    chain: Chain, task: Task
) -> None:
    (segments,) = segment_chains([chain], lambda c, p: [0.1, 0.9, None, 0.1, 0.1], task=task)
    assert [(s.kind, s.score) for s in segments] == [
        ("ES", pytest.approx(0.1)),
        ("AS", pytest.approx(0.9)),
        ("ES", pytest.approx(0.1)),
    ]
    assert segments[1].text == PIECES[1] + PIECES[2]


def test_gold_keeps_the_boundaries_of_people_which_need_no_punctuation(task: Task) -> None:
    gold: tuple[tuple[Kind, str], ...] = (
        ("ES", "Ann has 3 "),
        ("AS", "so she has 4. "),
        ("AS", "It is 7."),
    )
    (segments,) = segment_chains(
        [chain_of("Ann has 3 so she has 4. It is 7.", gold=gold)], "gold", task=task
    )
    assert [(s.kind, s.text) for s in segments] == [
        ("ES", "Ann has 3 "),
        ("AS", "so she has 4. It is 7."),
    ]


@given(st.lists(st.tuples(st.text(min_size=1), st.sampled_from(["ES", "AS"])), min_size=1))
def test_merging_loses_nothing(rows: list[tuple[str, Kind]]) -> None:
    pieces, labels = [text for text, _ in rows], [kind for _, kind in rows]
    segments = merge(chain_of("".join(pieces)), pieces, labels, [None] * len(rows))
    assert "".join(s.text for s in segments) == "".join(pieces)
    assert [s.kind for s in segments] == [
        k for i, k in enumerate(labels) if i == 0 or labels[i - 1] != k
    ]


def test_a_user_s_function_may_give_labels(chain: Chain, task: Task) -> None:
    (segments,) = segment_chains(
        [chain], lambda c, p: ["AS" if "=" in x else "ES" for x in p], task=task
    )
    assert [s.kind for s in segments] == kinds("ES AS ES AS ES")


def test_a_user_s_strategy_may_say_that_low_scores_mean_as(chain: Chain, task: Task) -> None:
    strategy = Strategy("second", per_chain(lambda c, p: [1.0, 0.0, 1.0, 1.0, 1.0]), "low")
    (segments,) = segment_chains([chain], strategy, task=task)
    assert [s.kind for s in segments] == kinds("ES AS ES")


@pytest.mark.parametrize(
    ("strategy", "error", "message"),
    [
        (
            "entropy",
            RecipeError,
            r"no segmentation strategy 'entropy'\..*Did you mean 'ent'\?.*bleu, chunks, ent, ent\*, gold",
        ),
        (
            "ent",
            RecipeError,
            r"'ent' reads a student trained on whole chains, and none was given\. .*--student DIR",
        ),
        ("ent*", RecipeError, r"'ent\*' reads the student before fine-tuning"),
        ("gold", DataError, r'^ann/0: strategy \'gold\' needs labelled segments.*"segments"'),
        (
            lambda c, p: [1.0],
            RecipeError,
            r"ann/0: strategy '<lambda>' returned 1 values for 5 sub-sentences",
        ),
        (
            lambda c, p: ["ES", 1, 2, 3, 4],
            RecipeError,
            r"expected labels 'ES' and 'AS', or finite numbers, not both",
        ),
        (
            lambda c, p: [float("nan")] * 5,
            RecipeError,
            r"expected labels 'ES' and 'AS', or finite numbers",
        ),
        (lambda c, p: ["es"] * 5, RecipeError, r"expected labels 'ES' and 'AS'"),
        (
            Strategy("undirected", per_chain(lambda c, p: [1.0] * 5)),
            RecipeError,
            r"'undirected' gives scores: say whether",
        ),
    ],
)
def test_messages(
    chain: Chain, task: Task, strategy: object, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        segment_chains([chain], strategy, task=task)  # type: ignore[arg-type]


def test_an_empty_rationale_is_refused_by_name(task: Task) -> None:
    with pytest.raises(DataError, match=r"^c/0: the rationale is empty"):
        segment_chains([chain_of(" \n")], "inter", task=task)
