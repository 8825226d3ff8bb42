"""The first section of the page: a switch for the cost, a list of arms, the leads in words."""

from __future__ import annotations

from smallsteps.report.cost_curves import cost_figures
from smallsteps.report.cost_section import cost_section, leads_text

from .conftest import (
    MakeRun,
    plateau_results,
    pooled_result,
    read,
    results,
    results_of,
    trained,
)


def test_the_figure_is_the_first_section_and_its_list_goes_from_the_highest_line_down(
    make_run: MakeRun,
) -> None:
    page = read(make_run(plateau_results()))
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert sections[:3] == ["cost", "points", "results"]
    first = cost_section(plateau_results())["figures"][0]
    names = ["ases-uni-rouge", "direct", "answer-only", "base"]
    assert [arm["name"] for arm in first["arms"]] == names
    assert "base up to 50 k tokens, direct up to 217 k tokens, then ases-uni-rouge." in page.text
    assert "Level across the picture: base, not trained." in page.text


def test_without_a_script_the_figure_over_tokens_is_shown_and_the_others_are_hidden(
    make_run: MakeRun,
) -> None:
    page = read(make_run(plateau_results()))
    shown = {
        attrs["id"]: "hidden" in attrs
        for tag, attrs in page.tags
        if tag == "figure" and "id" in attrs
    }
    assert shown == {"cost-tokens": False, "cost-seconds": True, "cost-passes": True}
    (switch,) = [attrs for _, attrs in page.tags if attrs.get("id") == "cost-switch"]
    assert "hidden" in switch


def test_an_arm_at_the_cap_is_named_with_what_that_means(make_run: MakeRun) -> None:
    found = results_of(trained("direct", 40.0, 1.0, 2.0, plateau=False))
    assert "direct came to the cap of tokens before a plateau" in read(make_run(found)).text


def test_one_arm_has_no_lead_and_one_that_always_leads_is_the_highest_everywhere() -> None:
    (alone, *_) = cost_figures(results_of(trained("direct", 4.0, 1.0, 2.0)))
    assert leads_text(alone) == ""
    two = results_of(trained("direct", 4.0, 5.0, 6.0), trained("uni", 4.0, 1.0, 2.0))
    assert leads_text(cost_figures(two)[0]) == "direct everywhere"


def test_a_run_without_curves_has_no_such_section(make_run: MakeRun) -> None:
    assert cost_section(results()) == {}
    page = read(make_run())
    assert "cost" not in [attrs.get("id") for tag, attrs in page.tags if tag == "section"]


def test_seeds_that_differ_between_arms_are_not_called_the_mean_of_all() -> None:
    """The trap of joined runs: one arm has three seeds, another one."""
    arms = [trained("direct", 40.0, 30.0, 38.0, seed=seed) for seed in (0, 1)]
    pooled = [pooled_result("direct", 40.0)]
    section = cost_section(results_of(*arms, pooled=pooled))
    assert (section["seeds"], section["seeds_differ"]) == (2, False)
    more = results_of(*arms, trained("uni", 40.0, 30.0, 38.0), pooled=pooled)
    assert cost_section(more)["seeds_differ"]
