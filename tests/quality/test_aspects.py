"""Each aspect by example."""

from __future__ import annotations

import pytest

from smallsteps.quality.aspects import ASPECTS, aspects_without_context, reading_ease, syllables
from smallsteps.quality.scorer import Scorer

from .conftest import GOOD, scored


def test_all_is_well_with_a_gold_chain():
    best = scored(GOOD)
    assert best["factuality"] == best["logicality"] == 1
    assert best["consistency"] > 0.7 and best["coherence"] > 0.9
    assert best["relevance"] > 0.9 and best["readability"] > 0.7 and best["fluency"] is None
    assert all(0 <= score <= 1 for score in best.scores.values() if score is not None)


def test_what_an_aspect_needs_stands_in_its_entry():
    assert aspects_without_context() == ["coherence", "fluency", "naturalness", "readability"]
    needs = {name: aspect.needs for name, aspect in ASPECTS.items()}
    assert needs["fluency"] == "student" and needs["naturalness"] == "references"


def test_a_step_that_is_said_twice_lowers_coherence():
    assert (
        scored(GOOD)["coherence"]
        > scored(GOOD.replace(" So", " Ann lives in Rome. So"))["coherence"]
    )


def test_a_conclusion_belongs_at_the_end():
    first = "So Ann lives in Rome. Rome is a town in Italy."
    last = "Ann lives in Rome. So Rome is a town in Italy."
    assert scored(first)["coherence"] < scored(last)["coherence"]


def test_without_references_there_is_no_naturalness_and_traces_of_a_prompt_spoil_it():
    assert scored(GOOD, Scorer())["naturalness"] is None
    assert scored(GOOD)["naturalness"] == 1
    assert scored("Question: where? " + GOOD)["naturalness"] == 0
    assert scored(GOOD.lower())["naturalness"] == 0
    assert 0 < scored(GOOD * 3)["naturalness"] < 0.7
    assert 0 < scored("Italy.")["naturalness"] < 0.2


def test_readability_falls_with_long_sentences_and_words():
    assert reading_ease("The cat sat. The dog ran.") > reading_ease(
        "The director of the cinema considered the proposal."
    )
    assert reading_ease("...") == 0


@pytest.mark.parametrize(("word", "count"), [("a", 1), ("the", 1), ("free", 1), ("table", 2)])
def test_a_silent_e_is_no_syllable_but_every_word_has_one(word, count):
    assert syllables(word) == count
