"""Why arms are right or wrong on the page: tables, the sentence, what is missing."""

from __future__ import annotations

from typing import Any

import pytest

from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.results import Results
from smallsteps.experiment.why_results import (
    ArmWhy,
    DiversityResult,
    RegularityResult,
    StepResult,
    WhyResults,
)
from smallsteps.report.why_section import (
    MOST_ARMS,
    missing,
    most_lost,
    shown_arms,
    step_name,
    why_section,
)

from .conftest import (
    EVIL,
    MakeRun,
    arm_result,
    assert_no_markup,
    comparison,
    read,
    results_of,
)

COLOURS = {"direct": 0, "ases-uni-ent": 1}


def figure(value: float, low: float | None = None, high: float | None = None) -> Figure:
    low = value - 3 if low is None else low
    return Figure(value=value, low=low, high=value + 3 if high is None else high)


def step(first: int, last: int, given: float | None, free: float, lost: Any = None) -> StepResult:
    return StepResult(
        first=first,
        last=last,
        n=200,
        gold_prefix=None if given is None else figure(given),
        free_running=figure(free),
        lost=lost,
    )


STEPS = [
    step(1, 1, 95.0, 95.0, figure(0.0, 0.0, 0.0)),
    step(2, 2, 80.25, 70.5, figure(9.75, 2.0, 15.0)),
    step(3, 5, 71.0, 40.0, figure(31.0, 22.5, 39.0)),
]
DIVERSITY = DiversityResult(
    right=120, differing=figure(37.5), bleu_right=figure(88.1), bleu_wrong=None, distinct=2.25
)
BINS = [
    RegularityResult(of="written", low=0.5, high=0.75, n=31, accuracy=figure(12.25)),
    RegularityResult(of="written", low=1.0, high=1.0, n=99, accuracy=figure(61.5)),
    RegularityResult(of="gold", low=1.0, high=1.0, n=130, accuracy=figure(50.0)),
]
DIRECT = ArmWhy(
    name="direct", seeds=[0, 1], steps=STEPS, seconds=4.25, diversity=DIVERSITY, regularity=BINS
)


def why(*arms: ArmWhy, **more: Any) -> WhyResults:
    facts = {
        "gold_chains": 500,
        "step_chains": 200,
        "without_steps": 0,
        "exact": True,
        "why_problems": 200,
        "gold_kinds": True,
        "arms": list(arms or (DIRECT,)),
    }
    return WhyResults(**{**facts, **more})


def results(found: WhyResults | None, *names: str) -> Results:
    arms = [arm_result(name, 50.0) for name in names or ("direct",)]
    return results_of(*arms).model_copy(update={"why": found})


def test_every_figure_stands_on_the_page(make_run: MakeRun) -> None:
    text = read(make_run(results(why()))).text
    for shown in (
        "80.2 77.2 to 83.2",
        "70.5 67.5 to 73.5",
        "+9.8 ✓ excludes zero +2.0 to +15.0",
        "3+",
        "37.5 34.5 to 40.5",
        "88.1 85.1 to 91.1",
        "2.25",
        "12.2 9.2 to 15.2 n = 31",
        "61.5 58.5 to 64.5 n = 99",
        "numbers, sign and result are those that the generator",
        "200 gold chains with steps.",
        "Continuing gold chains took 4.2 s",
    ):
        assert shown in text, shown


def test_columns_that_no_arm_fills_are_left_out(make_run: MakeRun) -> None:
    section = why_section(results(why()), COLOURS)
    assert [(table["of"], table["bins"]) for table in section["regularity"]] == [
        ("written", ["50 to 75 %", "all"]),
        ("gold", ["all"]),
    ]
    assert section["columns"] == {
        "differing": True,
        "bleu_right": True,
        "bleu_wrong": False,
        "distinct": True,
    }
    assert "BLEU of wrong" not in read(make_run(results(why()))).text
    free = DIRECT.model_copy(update={"steps": [step(1, 1, None, 90.0)]})
    section = why_section(results(why(free)), COLOURS)
    assert not section["on_gold"] and len(section["charts"]) == 1


def test_the_sentence_names_where_most_is_lost_and_is_no_stronger_than_the_intervals() -> None:
    assert most_lost(why()) == (
        "Errors accumulate most in direct: step 3+ is right in 71.0 % of chains after gold steps, "
        "and in 40.0 % after the student's own: 31.0 points [22.5, 39.0] are lost to earlier errors."
    )
    unclear = DIRECT.model_copy(
        update={"steps": [step(2, 2, 80.0, 60.0, figure(20.0, -1.0, 41.0))]}
    )
    assert most_lost(why(unclear)).startswith("Errors do not accumulate measurably")
    unmeasured = DIRECT.model_copy(update={"steps": [step(1, 1, None, 90.0)]})
    assert most_lost(why(unmeasured)) == ""


@pytest.mark.parametrize(("first", "last", "name"), [(1, 1, "1"), (5, 8, "5+"), (3, 4, "3+")])
def test_pooled_steps_are_marked(first: int, last: int, name: str) -> None:
    assert step_name(step(first, last, 50.0, 50.0)) == name


def test_one_line_says_what_is_missing_and_why() -> None:
    assert missing(results(why()), why()) == ""
    bare = ArmWhy(name="direct", seeds=[0], regularity=BINS[:2])
    nothing = why(bare, gold_chains=0, step_chains=0)
    assert missing(results(nothing), nothing) == (
        "Not shown: steps and diversity (the test problems have no gold chains)."
    )
    texts = why(bare, step_chains=0, without_steps=500)
    assert "steps (no gold chain states an equation)" in missing(results(texts), texts)
    free = DIRECT.model_copy(update={"steps": [step(1, 1, None, 90.0)]})
    off = why(free, why_problems=0)
    assert "(evaluation.why_problems is 0)" in missing(results(off), off)
    base = why(DIRECT, free.model_copy(update={"name": "base"}))
    assert missing(results(base, "direct", "base", "answer-only"), base) == (
        "Not shown: accuracy on gold prefixes of base (no student was trained); answer-only (they "
        "write no chains of their own)."
    )
    graded = why(ArmWhy(name="direct", seeds=[0], steps=STEPS))
    assert "answers of this task are not right or wrong" in missing(results(graded), graded)


def test_a_run_of_which_nothing_was_measured_has_no_section(make_run: MakeRun) -> None:
    nothing = why(ArmWhy(name="direct", seeds=[0]), gold_chains=0, step_chains=0)
    assert why_section(results(nothing), COLOURS) == {} == why_section(results(None), COLOURS)
    assert not [a for _, a in read(make_run(results(nothing))).tags if a.get("id") == "why"]


def test_names_of_arms_become_no_markup(make_run: MakeRun) -> None:
    evil = DIRECT.model_copy(update={"name": EVIL})
    assert_no_markup(read(make_run(results(why(evil), EVIL))))


def test_of_very_many_arms_the_baseline_and_the_best_are_shown(make_run: MakeRun) -> None:
    names = ["direct", *(f"ases-uni-ent-beta={n}" for n in range(1, MOST_ARMS + 3))]
    arms = [arm_result(name, float(place)) for place, name in enumerate(names)]
    tests = [comparison(name, "direct", 1.0, 0.5, 1.5) for name in names[1:]]
    found = why(*(DIRECT.model_copy(update={"name": name}) for name in names))
    many = results_of(*arms).model_copy(update={"why": found, "comparisons": tests})
    kept = [arm.name for arm in shown_arms(many, found)]
    assert kept == ["direct", *names[-(MOST_ARMS - 1) :]]
    text = read(make_run(many)).text
    assert f"{len(names) - MOST_ARMS} more stand in results.json" in text
