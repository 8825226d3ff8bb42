"""Agreement between raters, and of judges with them."""

from __future__ import annotations

import pytest
from sklearn.metrics import cohen_kappa_score

from smallsteps.quality.rater_agreement import agreements

FIRST = {f"q{n}": 1 + n % 5 for n in range(40)}
NEAR = {id: min(5, rating + (n % 4 == 0)) for n, (id, rating) in enumerate(FIRST.items())}


def test_kappa_is_weighted_and_lies_in_its_interval():
    (agreement,) = agreements({"ann": {"fluency": FIRST}, "ben": {"fluency": NEAR}}, {})
    expected = cohen_kappa_score(list(FIRST.values()), list(NEAR.values()), weights="quadratic")
    assert agreement.kappa == pytest.approx(expected)
    assert agreement.low < agreement.kappa < agreement.high <= 1 and agreement.n == 40
    assert agreement.second_is == "rater" and agreement.rank_correlation > 0.9


def test_every_rater_meets_every_other_and_every_judge_aspect_by_aspect():
    raters = {
        "ann": {"fluency": FIRST, "factuality": FIRST},
        "ben": {"fluency": NEAR},
        "cem": {"fluency": FIRST},
    }
    judges = {"m": {"factuality": FIRST, "fluency": NEAR}, "lexical": {"fluency": FIRST}}
    pairs = [(a.aspect, a.first, a.second, a.second_is) for a in agreements(raters, judges, 10)]
    assert pairs == [
        ("factuality", "ann", "m", "judge"),
        ("fluency", "ann", "ben", "rater"),
        ("fluency", "ann", "cem", "rater"),
        ("fluency", "ben", "cem", "rater"),
        ("fluency", "ann", "m", "judge"),
        ("fluency", "ann", "lexical", "judge"),
        ("fluency", "ben", "m", "judge"),
        ("fluency", "ben", "lexical", "judge"),
        ("fluency", "cem", "m", "judge"),
        ("fluency", "cem", "lexical", "judge"),
    ]


def test_only_what_both_rated_is_compared():
    some = {id: FIRST[id] for id in list(FIRST)[:7]}
    (agreement,) = agreements({"ann": {"fluency": some}}, {"m": {"fluency": FIRST}})
    assert agreement.n == 7 and agreement.kappa == 1
    assert not list(agreements({"ann": {"fluency": {"a": 1}}, "ben": {"fluency": {"b": 1}}}, {}))


def test_a_judge_that_always_says_the_same_earns_nothing_however_often_it_is_right():
    ratings = {f"q{n}": 5 if n else 4 for n in range(20)}
    (agreement,) = agreements(
        {"ann": {"fluency": ratings}}, {"m": {"fluency": dict.fromkeys(ratings, 5)}}
    )
    assert agreement.kappa == 0 and agreement.rank_correlation is None


def test_a_judge_on_another_scale_has_a_rank_correlation_beside_its_low_kappa():
    low = {id: 1 if rating < 3 else 2 for id, rating in FIRST.items()}
    (agreement,) = agreements({"ann": {"fluency": FIRST}}, {"lexical": {"fluency": low}})
    assert agreement.kappa < 0.35 and agreement.rank_correlation > 0.8


def test_a_row_says_what_was_compared():
    (agreement,) = agreements({"ann": {"fluency": FIRST}}, {"m": {"fluency": FIRST}})
    assert agreement.to_row() == {
        "aspect": "fluency",
        "first": "ann",
        "second": "m",
        "second_is": "judge",
        "kappa": 1.0,
        "low": 1.0,
        "high": 1.0,
        "rank_correlation": pytest.approx(1.0),
        "n": 40,
    }
