"""When a chain ends, and the prediction that it becomes."""

from __future__ import annotations

import pytest

from smallsteps.generation.draft import ChainDraft
from smallsteps.records import Prediction, Problem
from smallsteps.tasks.base import STOP_TOKEN, Task
from tiny_solving import a_task

TASK = a_task(max_segments=4)


def draft(*texts: str, task: Task = TASK) -> ChainDraft:
    chain = ChainDraft(Problem("p", "How many?"), 0)
    for text in texts:
        chain.add(None, text, task, cut=False)
    return chain


def predicted(chain: ChainDraft, samples: int = 1, lenient: bool = False) -> Prediction:
    return chain.prediction(TASK, author="tiny", samples=samples, lenient=lenient, seconds=2.0)


@pytest.mark.parametrize(
    ("texts", "stopped"),
    [
        (("so 12",), None),
        (("so 12", "it is 7"), "stop_sign"),
        (("a", "b", "c", "d"), "limit"),
        (("a", "b", "c", "7"), "stop_sign"),
        (("a", "", "b"), None),
        (("a", "", " "), "empty"),
        (("",), None),
    ],
)
def test_a_chain_ends_with_a_sign_a_limit_or_two_empty_segments(
    texts: tuple[str, ...], stopped: str | None
) -> None:
    assert draft(*texts).stopped == stopped


@pytest.mark.parametrize(
    ("text", "cut", "repeated", "stopped"),
    [
        ("so", True, False, "limit"),
        ("so", False, True, "repetition"),
        ("so", True, True, "repetition"),
        ("7", True, True, "stop_sign"),
    ],
)
def test_the_sign_goes_before_repetition_and_repetition_before_the_limit(
    text: str, cut: bool, repeated: bool, stopped: str
) -> None:
    chain = draft()
    chain.add("ES", text, TASK, cut=cut, repeated=repeated)
    assert chain.stopped == stopped


def test_request_ids_tell_problem_sample_and_segment_apart() -> None:
    chains = [
        draft(),
        draft("so"),
        ChainDraft(Problem("p", "?"), 1),
        ChainDraft(Problem("q", "?"), 0),
    ]
    assert len({chain.request_id() for chain in chains}) == 4
    assert chains[0].request_id() == "p\x000\x000"


def test_a_prefix_gives_segments_without_a_kind_any_kind() -> None:
    chain = ChainDraft(Problem("p", "?"), 0, [(None, "a"), ("AS", "b")])
    assert chain.prefix() == [("ES", "a"), ("AS", "b")]


def test_a_prediction_leaves_out_empty_segments_and_the_stop_token() -> None:
    chain = draft("so 12", "", f"it is 7 {STOP_TOKEN}")
    chain.tokens = 9
    prediction = predicted(chain)
    assert prediction.segments == ((None, "so 12"), (None, "it is 7"))
    assert (prediction.text, prediction.answer) == (TASK.joiner.join(["so 12", "it is 7"]), "7")
    assert (prediction.id, prediction.problem_id) == ("p/prediction", "p")
    assert (prediction.tokens, prediction.seconds, prediction.author) == (9, 2.0, "tiny")


def test_only_one_of_several_samples_has_a_number() -> None:
    chain = ChainDraft(Problem("p", "?"), 3)
    chain.add(None, "7", TASK, cut=False)
    assert predicted(chain, samples=4).id == "p/prediction-3"
    assert predicted(chain).id == "p/prediction"


def test_a_chain_under_way_is_no_prediction() -> None:
    with pytest.raises(AssertionError, match="still being written"):
        predicted(draft("so"))


def test_a_chain_that_has_enough_ends_and_the_stop_sign_comes_first() -> None:
    chain = ChainDraft(Problem("p", "How many?"), 0, enough=lambda text: text.endswith("12 pens"))
    chain.add(None, "so 12", TASK, cut=False)
    assert chain.stopped is None
    chain.add(None, "pens", TASK, cut=False)
    assert chain.stopped == "limit"
    signed = ChainDraft(Problem("p", "How many?"), 0, enough=lambda text: True)
    signed.add(None, "it is 7", TASK, cut=False)
    assert signed.stopped == "stop_sign"


def test_only_the_first_segment_begins_as_given_and_given_segments_count() -> None:
    chain = ChainDraft(Problem("p", "How many?"), 0, [("ES", "Ann has 3"), ("AS", "")], begun="so")
    assert chain.next_kind() == "ES" and chain.prefix() == [("ES", "Ann has 3"), ("AS", "")]
    chain.add("ES", "so 12", TASK, cut=False)
    assert chain.begun == "" and chain.next_kind() == "AS"
    assert chain.text(TASK) == "Ann has 3 so 12"
    chain.add("AS", "left", TASK, cut=False)
    assert chain.stopped == "limit"
