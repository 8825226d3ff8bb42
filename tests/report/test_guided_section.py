"""LM-guided chain of thought on the page: what arms changed, refinement, rationales with answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smallsteps.methods.guided.results import (
    GuidanceResult,
    GuidedResults,
    JudgeResult,
    RefinementResult,
)
from smallsteps.records import Problem
from smallsteps.report.guided_section import MOST_CONTEXT, MOST_QUESTIONS, guided_section
from smallsteps.report.run import read_run

from .conftest import (
    EVIL,
    MakeRun,
    add_part,
    arm_result,
    assert_no_markup,
    read,
    results_of,
    write_rows,
)

COLOURS = {"standard": 0, "distilled": 1, "both": 2, "distilled-sc": 3}


def guidance(arm: str, **more: Any) -> GuidanceResult:
    fields = {
        "arm": arm,
        "seed": 0,
        "turned": {"wrong->right": 17, "right->wrong": 3, "right->right": 5, "wrong->wrong": 2},
        "read_from": {"prediction": 27},
        "small_tokens": 41.5,
        "large_tokens": 88.25,
        "small_seconds": 0.0,
        "large_seconds": 0.002,
        "quality": {"factuality": 0.5, "readability": 0.875},
        "correlation": -0.25,
    }
    return GuidanceResult(**{**fields, **more})


def question(n: int, **more: Any) -> dict[str, Any]:
    row = {
        "problem_id": f"p{n % 4}",
        "rationale": f"Ann lives in street {n}.",
        "answer": "Italy",
        "right": True,
        "answer_without": None,
        "right_without": False,
        "quality": {"factuality": 0.5, "readability": None},
    }
    return {**row, **more}


def guided(make_run: MakeRun, text: str = "no-signal after step 2") -> Path:
    """A run of three guided arms; `both` was refined for fifty steps."""
    names = list(COLOURS)
    folder = make_run(results_of(*(arm_result(n, 50.0, method="guided") for n in names)))
    refinement = RefinementResult(
        arm="both",
        seed=0,
        steps=50,
        stopped=text,
        update=0,
        value=50.0,
        start=50.0,
        first={"reward": 0.125, "share_task": 0.25},
        last={"reward": 0.5, "share_task": 0.75},
    )
    part = GuidedResults(
        reader=text,
        yields={"replies": 1_200, "kept": 900},
        guidance=[guidance("standard", quality=None, correlation=None), guidance("both")],
        refinement=[refinement],
        judge=[JudgeResult(judge=text, aspect="coherence", perturbation="swap", auc=0.75, n=9)],
    )
    add_part(folder, "guided", part)
    for name in names[1:]:
        rows = [question(n, rationale=text) for n in range(30)]
        rows.append(question(30, right=False, right_without=True))
        write_rows(folder / f"arms/{name}-seed0/guided.jsonl", rows)
    steps = [{"update": n, "reward": n / 50, "kl": None} for n in range(1, 51)]
    write_rows(folder / "arms/both-seed0/refined.jsonl", steps)
    context = (("Ann", ("x" * 3_000,)),)
    problems = (Problem(f"p{n}", text, "Italy", context=context).to_row() for n in range(4))
    write_rows(folder / "problems.jsonl", problems)
    return folder


def test_the_page_shows_what_the_guidance_changed_what_it_cost_and_how_it_was_refined(
    make_run: MakeRun,
) -> None:
    text = read(guided(make_run)).text
    for shown in (
        "standard seed 0 17 3 5 2 41.5 88.2 0.000 0.002 both seed 0 17 3 5 2 41.5 88.2 0.000 0.002",
        "factuality readability quality and right answers both seed 0 0.50 0.88 -0.25",
        "Replies of the reader to the training questions: 1,200 replies, 900 kept.",
        "coherence swap no-signal after step 2 0.75 9",
        "both seed 0 50 the distilled student 0.125 → 0.500 0.250 → 0.750",
        "both, seed 0, ended early: no-signal after step 2",
        "task, share",
        "Without it: no answer. With it: Italy. Gold: Italy.",
    ):
        assert shown in text


def test_the_page_says_that_rationales_came_from_the_data(make_run: MakeRun) -> None:
    folder = make_run(results_of(arm_result("standard", 50.0, method="guided")))
    part = GuidedResults(
        reader="r",
        rationales="data",
        yields={"rationales": 1_200, "right": 900},
        guidance=[],
        refinement=[],
        judge=[],
    )
    add_part(folder, "guided", part)
    line = "Rationales that the data has for the training questions: 1,200 rationales, 900 right."
    assert line in read(folder).text


def test_what_models_wrote_stays_text(make_run: MakeRun) -> None:
    assert_no_markup(read(guided(make_run, text=EVIL)))


def test_rationales_of_one_student_are_shown_and_rare_outcomes_beside_frequent_ones(
    make_run: MakeRun,
) -> None:
    section = guided_section(read_run(guided(make_run)), COLOURS)
    assert [arm["name"] for arm in section["shown"]] == ["distilled", "both"]
    (arm, _) = section["shown"]
    assert arm["count"] == 31 and len(arm["items"]) <= MOST_QUESTIONS
    assert (True, False) in {(item["right_without"], item["right"]) for item in arm["items"]}
    assert {len(item["context"]) for item in arm["items"]} == {MOST_CONTEXT}
    assert arm["items"][0]["quality"] == [("factuality", 0.5), ("readability", None)]


def test_gauges_that_nobody_measured_have_neither_column_nor_chart(make_run: MakeRun) -> None:
    section = guided_section(read_run(guided(make_run)), COLOURS)
    labels = [column.label for column in section["refinement"].columns]
    assert labels == ["steps", "kept", "reward", "task, share"]
    (chart,) = section["charts"]
    assert "Reward, means of 2 steps" in chart and "both, seed 0" in chart


def test_a_run_without_guided_arms_has_no_such_section(make_run: MakeRun) -> None:
    assert guided_section(read_run(make_run()), {}) == {}
