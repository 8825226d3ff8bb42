"""The lexical judge by example."""

from __future__ import annotations

import pytest

from smallsteps.quality.lexical_judge import LexicalJudge, alike, words

JUDGE = LexicalJudge()


def verdict(premise, hypothesis):
    return JUDGE.verdicts([(premise, hypothesis)])[0]


def test_what_is_said_follows_and_what_is_not_said_does_not():
    assert verdict("Ann lives in Rome.", "So Ann lives in Rome.").entailment == 1
    assert verdict("Ann lives in Rome.", "Ann lives in Oslo.").entailment < 0.5
    assert verdict("Ann lives in Rome.", "Ann never lives in Rome.").entailment < 0.2
    assert verdict("Ann lives in Rome.", "").entailment == 0


def test_two_sentences_support_what_leaves_out_the_name_that_links_them():
    both = "Ann lives in Rome. Rome is a town in Italy."
    assert verdict(both, "So Ann lives in Italy.").entailment == 1
    assert verdict(both, "Rome is a town in Ann.").entailment < 0.8, "that joins words, not facts"
    assert (
        verdict(
            "Ann lives in Rome. Oslo is a town in Norway.", "So Ann lives in Norway."
        ).entailment
        < 0.5
    )


def test_a_negation_contradicts_surely_and_another_name_a_little():
    sure = verdict("Ann lives in Rome.", "Ann does not live in Rome.")
    maybe = verdict("Ann lives in Rome.", "Ann lives in Oslo.")
    assert sure.contradiction == 1 and 0 < maybe.contradiction < 0.4
    assert verdict("Ann doesn't live in Rome.", "Ann does not live in Rome.").contradiction == 0
    assert verdict("Tom makes clocks.", "Ann lives in Oslo.").contradiction == 0


def test_names_count_more_than_words_and_likeness_is_between_0_and_1():
    assert alike("Ann lives in Rome.", "Ann works in Rome.") > alike(
        "Ann lives in Rome.", "Tom lives in Oslo."
    )
    assert alike("Ann lives.", "Ann lives.") == pytest.approx(1) and alike("Ann.", "the") == 0
    assert words("He won't go, never.").negated is False, "two negations"
