"""A recipe with arms of all methods: one student, one data set, one test set, one table."""

from __future__ import annotations

import pytest

from smallsteps.errors import RecipeError
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.results import read_results
from smallsteps.experiment.run import run
from smallsteps.generation.access import Access
from smallsteps.report.page import write_page
from smallsteps.report.terminal import tables
from tiny_guided import KEY, mixed_content
from tiny_runs import lasting, rows_of, weights

ARMS = ["direct", "ases-uni-rouge", "tailored-full", "guided-standard", "guided-distilled"]


@pytest.fixture
def recipe(tmp_path, server):
    return make_recipe(mixed_content(tmp_path, server, arms=ARMS))


def test_arms_of_all_methods_run_in_one_recipe(recipe, tmp_path, listener):
    out = tmp_path / "run"
    results = run(recipe, out, listener, access=Access(None, KEY))
    assert [arm.name for arm in results.arms] == ARMS
    assert [arm.method for arm in results.arms] == [
        "baselines",
        "as-es",
        "tailored",
        "guided",
        "guided",
    ]
    problems = [row["id"] for row in rows_of(out / "problems.jsonl")]
    assert len(problems) == 6
    for arm in results.arms:
        predictions = rows_of(out / arm.folder / "predictions.jsonl")
        assert [row["problem_id"] for row in predictions] == problems, "one test set for all"
        assert (arm.metric, arm.n, arm.task) == ("exact_match", 6, "facts")
    trained = {arm.name: arm.train_tokens for arm in results.arms}
    assert trained.pop("guided-standard") is None, "nobody is trained for it"
    assert all(2500 < tokens < 4000 for tokens in trained.values()), "one budget for all"


def test_each_arm_is_compared_with_the_baseline_and_with_its_methods_own(recipe, tmp_path):
    results = run(recipe, tmp_path / "run", access=Access(None, KEY))
    assert {(test.arm, test.against) for test in results.comparisons} == {
        ("ases-uni-rouge", "direct"),
        ("tailored-full", "direct"),
        ("guided-standard", "direct"),
        ("guided-distilled", "direct"),
        ("guided-distilled", "guided-standard"),
    }
    values = {arm.name: arm.value for arm in results.arms}
    for test in results.comparisons:
        gap = values[test.arm] - values[test.against]
        assert test.difference == pytest.approx(gap)
    assert results.methods.keys() == {"tailored", "guided"}
    assert read_results(tmp_path / "run") == results
    page = write_page(tmp_path / "run").read_text()
    assert all(arm in page for arm in ARMS)
    assert len(tables(results)) == 2, "one of all arms, one of the rounds"


def test_an_arm_learns_the_same_beside_others_as_alone(recipe, tmp_path, server):
    run(recipe, tmp_path / "mixed", access=Access(None, KEY))
    content = mixed_content(tmp_path, server, arms=ARMS)
    content |= {"arms": ["direct", "ases-uni-rouge"], "tailored": None, "guided": None}
    run(make_recipe(content), tmp_path / "alone")
    mixed, alone = weights(tmp_path / "mixed"), weights(tmp_path / "alone")
    for arm in ("direct-seed0", "ases-uni-rouge-seed0"):
        assert mixed[arm] == alone[arm] != []


def test_a_run_of_several_methods_grows_by_arms_of_each(tmp_path, server, listener):
    """The trap: rows of a guided page name the answers of `guided-standard`, which comes later."""
    content = mixed_content(tmp_path, server, arms=ARMS)
    first = ["direct", "tailored-full", "guided-distilled"]
    access = Access(None, KEY)
    run(make_recipe({**content, "arms": first}), tmp_path / "grown", access=access)
    grown = run(make_recipe(content), tmp_path / "grown", listener, access=access)
    fresh = run(make_recipe(content), tmp_path / "fresh", access=access)
    assert lasting(grown) == lasting(fresh)
    assert "grows by arms ases-uni-rouge, guided-standard" in str(listener.lines)
    pages = [tmp_path / name / "arms/guided-distilled-seed0/page" for name in ("grown", "fresh")]
    assert rows_of(pages[0] / "guided.jsonl") == rows_of(pages[1] / "guided.jsonl")


def test_a_recipe_names_its_baseline(tmp_path, server):
    content = mixed_content(tmp_path, server, arms=ARMS) | {"baseline": "ases-uni-rouge"}
    assert make_recipe(content).baseline == "ases-uni-rouge"
    with pytest.raises(RecipeError, match="baseline: 'tailored-blind' is none of the arms"):
        make_recipe(content | {"baseline": "tailored-blind"})


def test_a_guided_arm_needs_no_standard_beside_another_baseline(tmp_path, server):
    content = mixed_content(tmp_path, server, arms=ARMS)
    recipe = make_recipe(content | {"arms": ["direct", "guided-distilled"], "tailored": None})
    results = run(recipe, tmp_path / "run", access=Access(None, KEY))
    (guidance,) = results.methods["guided"].guidance
    assert guidance.arm == "guided-distilled" and guidance.turned is None
    (test,) = results.comparisons
    assert (test.arm, test.against) == ("guided-distilled", "direct")


@pytest.mark.parametrize(
    ("old", "new"),
    [("full", "tailored-full"), ("distilled-sc", "guided-distilled-sc"), ("cot", "guided-cot")],
)
def test_an_old_name_is_refused_with_the_new_one(old, new):
    with pytest.raises(RecipeError, match=f"the arm '{old}' is called '{new}' now"):
        make_recipe({"arms": ["direct", old]})


def test_a_section_that_no_arm_reads_is_refused():
    with pytest.raises(RecipeError, match=r"tailored: no arm reads this section.*tailored-full"):
        make_recipe({"arms": ["direct"], "tailored": {}})
