"""A student's own chains: right, finished, with right arithmetic, each another way."""

from types import SimpleNamespace

import pytest

import smallsteps.methods.baselines.own_chains as module
from smallsteps.generation.generator import Decoding
from smallsteps.generation.paths import SolveSettings
from smallsteps.methods.baselines.own_chains import (
    OwnChains,
    add_own,
    arithmetic_holds,
    sample_own,
    way,
)
from smallsteps.records import Chain, Prediction, Problem, Rationale
from smallsteps.tasks import get_task

TASK = get_task("gsm8k")
PROBLEM = Problem("p", "How many?", "7")


def predictions(*written):
    """(text, stopped) of each sample."""
    return [
        Prediction(
            f"p/prediction-{n}", "p", text, (), TASK.extract(text, False, PROBLEM), stopped, 10
        )
        for n, (text, stopped) in enumerate(written)
    ]


@pytest.fixture
def own_of(monkeypatch):
    """What is kept of these samples, which come back in any order."""

    def keep(*written):
        samples = predictions(*written)
        monkeypatch.setattr(module, "solve", lambda *_, **__: iter(reversed(samples)))
        (record,) = sample_own(
            SimpleNamespace(), [PROBLEM], TASK, Decoding(temperature=0.7), SolveSettings()
        )
        return record

    return keep


RIGHT = "So 3 + 4 = 7. The answer is 7."


def test_wrong_unfinished_and_miscalculated_chains_are_dropped_and_all_tokens_count(own_of):
    record = own_of(
        (RIGHT, "stop_sign"),
        ("So 3 + 5 = 8. The answer is 8.", "stop_sign"),
        ("So 2 + 5 = 8, which is 7. The answer is 7.", "stop_sign"),
        ("So 2 + 5 = 7. The answer is 7.", "limit"),
        ("So 7.", "end"),
    )
    assert record == OwnChains("p", (RIGHT,), right=3, samples=5, tokens=50)


def test_of_chains_with_the_same_equations_the_first_sample_stays(own_of):
    other = "4 + 3 = 7. The answer is 7."
    record = own_of(
        (RIGHT, "stop_sign"),
        ("Adding, she has 3 + 4 = 7 pens. The answer is 7.", "stop_sign"),
        (other, "stop_sign"),
    )
    assert record.texts == (RIGHT, other)


def test_more_than_ten_samples_keep_their_order(own_of):
    texts = [f"So {n} + {7 - n} = 7. The answer is 7." for n in range(1, 7)]
    texts += [f"So {n} - {n - 7} = 7. The answer is 7." for n in range(8, 14)]
    record = own_of(*((text, "stop_sign") for text in texts))
    assert record.texts == tuple(texts)


def test_chains_without_equations_differ_by_their_words():
    assert way("It is  blue.") == way("it is blue.") != way("It is green.")
    assert arithmetic_holds("No numbers here.")


def chain(text, problem="p"):
    return Chain(Problem(problem, "?", "7"), Rationale(f"{problem}/r", problem, text))


def test_a_way_that_gold_or_an_earlier_round_went_is_not_new():
    gold = [chain("She has 3 + 4 = 7. The answer is 7.")]
    first = add_own({}, [OwnChains("p", (RIGHT, "1 + 6 = 7. The answer is 7."))], gold, most=10)
    assert first == {"p": ["1 + 6 = 7. The answer is 7."]}
    again = [OwnChains("p", ("Now 1 + 6 = 7. The answer is 7.", "2 + 5 = 7. The answer is 7."))]
    second = add_own(first, again, gold, most=10)
    assert second == {"p": [*first["p"], "2 + 5 = 7. The answer is 7."]}
    assert first == {"p": ["1 + 6 = 7. The answer is 7."]}, "the earlier round is left as it was"


def test_a_question_has_at_most_so_many_chains_the_earlier_ones():
    texts = tuple(f"{n} + {7 - n} = 7. The answer is 7." for n in range(1, 6))
    kept = add_own({"p": [texts[0]]}, [OwnChains("p", texts[1:])], [chain("So.")], most=3)
    assert kept == {"p": list(texts[:3])}


def test_questions_without_a_chain_of_their_own_are_left_out():
    assert add_own({}, [OwnChains("p"), OwnChains("q", (RIGHT,))], [], most=2) == {"q": [RIGHT]}
