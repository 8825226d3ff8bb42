"""The page: everything escaped, figures equal to results.json, whole where parts are missing, alone
on a disk."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from browser_window import click
from smallsteps.experiment.result_record import Figure, ResultRecord
from smallsteps.experiment.results import METHOD_RESULTS, MethodResults, Results, write_results
from smallsteps.experiment.run_facts import BestStudent
from smallsteps.methods.guided.results import GuidedResults, JudgeResult, RefinementResult
from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.quality.aspects import ASPECTS
from smallsteps.records import Grade, Prediction, Problem
from smallsteps.report.guided_section import GAUGES
from smallsteps.report.page import write_page

from .conftest import (
    EVIL,
    FIGURE,
    Elements,
    MakeRun,
    add_part,
    arm_result,
    assert_no_markup,
    comparison,
    further_results,
    plateau_results,
    pooled_result,
    read,
    results,
    results_of,
    round_result,
    trained,
    write_rows,
)
from .test_guided_section import guidance


def test_every_number_of_results_json_stands_on_the_page_as_it_is(make_run: MakeRun) -> None:
    text = read(make_run()).text
    found = results()
    for arm in found.arms:
        assert f"{arm.value:.1f} {arm.low:.1f} to {arm.high:.1f}" in text
    for test in found.comparisons:
        assert f"{test.difference:+.1f} {test.low:+.1f} to {test.high:+.1f}" in text
    for shown in (
        "1.53 M",
        "0.031",
        "< 0.001",
        "59.0",
        "489 stop sign · 9 limit · 2 empty",
        "torch 2.13.0",
        "1000",
    ):
        assert shown in text
    assert "best on validation, reaches 66.4 % on the test set, 8.2 points above direct." in text
    assert found.command in text


@pytest.mark.parametrize(("commands", "taken"), [(1, "1 min 33 s"), (2, "1 min 33 s, by 2")])
def test_the_time_taken_says_of_how_many_commands(
    make_run: MakeRun, commands: int, taken: str
) -> None:
    made = results().provenance
    assert made is not None
    made = made.model_copy(update={"commands": commands})
    text = read(make_run(results(provenance=made))).text
    assert f"time taken {taken}" in text and (" commands" in text) == (commands > 1)


@pytest.mark.parametrize("other", [3e-4, 1e-3])
def test_one_learning_rate_stands_below_the_table_and_several_in_it(
    make_run: MakeRun, other: float
) -> None:
    rates = {"direct": 3e-4, "uni": other}
    arms = [arm_result(name, 50.0, learning_rate=rate) for name, rate in rates.items()]
    text = read(make_run(results_of(*arms))).text
    shared = "Learning rate of all trained arms: 0.0003."
    assert (shared in text) == (other == 3e-4) and ("learning rate" in text) == (other != 3e-4)
    assert f"{other:g}" in text


def test_only_a_difference_whose_interval_excludes_zero_is_marked(make_run: MakeRun) -> None:
    """In a template `row.clear` is the method of a dict, which is always true."""
    page = write_page(make_run()).read_text(encoding="utf-8")
    rows = re.findall(
        r"\+[0-9.]+ to \+[0-9.]+</span>(.*?)</td>|−[0-9.]+ to \+[0-9.]+</span>(.*?)</td>", page
    )
    assert ["✓" in "".join(row) for row in rows] == [True, False]


def test_no_text_of_the_data_becomes_markup(make_run: MakeRun) -> None:
    """The trap: `</script>` in a chain ends the data element, `<!--` swallows the rest, a name
    breaks an attribute."""
    name = "a\"><img src=x onerror='document.title=1'>"
    found = results()
    arm = arm_result(name, 1.0, signature=EVIL, folder="arms/evil", metrics={EVIL: FIGURE})
    found = found.model_copy(
        update={
            "title": EVIL,
            "about": EVIL,
            "command": EVIL,
            "arms": [*found.arms, arm],
            "data": found.data.model_copy(update={"source": EVIL}),
            "best": BestStudent(name=EVIL, seed=0, folder=EVIL, validation=None),
        }
    )
    folder = make_run(found, text=EVIL)
    write_rows(
        folder / "problems.jsonl",
        [{"id": "p0", "question": EVIL, "answer": EVIL, "choices": [EVIL]}],
    )
    page = read(folder)
    assert_no_markup(page)
    data = json.loads(page.data)
    assert data["problems"][0]["q"] == EVIL
    assert data["runs"][0]["cells"][0]["s"] == [["", EVIL]]
    assert data["runs"][3]["name"] == name


def test_the_page_asks_the_network_for_nothing(make_run: MakeRun) -> None:
    page = write_page(make_run()).read_text(encoding="utf-8")
    assert not re.search(r"https?://|url\(|@import|//[a-z]+\.", page)
    assert not [
        a for _, attrs in Elements(page).tags for a in ("src", "action", "data") if a in attrs
    ]
    assert all(
        attrs["href"].startswith("#") for tag, attrs in Elements(page).tags if "href" in attrs
    )  # type: ignore[union-attr]
    assert "default-src 'none'" in page


def test_a_page_of_one_arm_and_nothing_else_is_whole(tmp_path: Path) -> None:
    write_results(tmp_path, results_of(arm_result("direct", 12.5)))
    page = read(tmp_path)
    assert "direct reaches 12.5 % (95 % interval 8.4 to 16.8) on 500 answers." in page.text
    assert [a["id"] for tag, a in page.tags if tag == "section"] == ["results", "provenance"]
    assert "chain-data" not in str(page.tags)


def test_a_run_without_any_arm_says_so(tmp_path: Path) -> None:
    write_results(tmp_path, results_of())
    assert "This run has no graded arm." in read(tmp_path).text


class PenRow(ResultRecord):
    pens: int
    colour: str | None = None


class PenResults(MethodResults):
    """What a method reports that the page knows nothing of."""

    pens_of_arms: list[PenRow]
    glue: str


def test_a_method_without_a_section_of_its_own_is_shown_as_tables_and_facts(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHOD_RESULTS, "pens", PenResults)
    folder = make_run()
    rows = [PenRow(pens=31), PenRow(pens=32, colour="blue")]
    add_part(folder, "pens", PenResults(pens_of_arms=rows, glue="strong"))
    text = read(folder).text
    assert re.search(r"Pens: pens of arms pens colour 31 – 32 blue", text)
    assert re.search(r"Pens: glue strong", text)


def test_a_run_of_arms_of_all_methods_has_one_table_and_the_part_of_each_method(
    make_run: MakeRun,
) -> None:
    untrained = {"train_tokens": None, "passes": None, "seconds": None, "student": None}
    arms = [
        arm_result("direct", 50.0),
        arm_result("tailored-full", 60.0, method="tailored", teacher_tokens=84_200),
        arm_result("guided-standard", 40.0, method="guided", **untrained),
    ]
    parts = {
        "tailored": TailoredResults(teacher="solver", equal="all", rounds=[round_result()]),
        "guided": GuidedResults(reader="r", yields=None, guidance=[], refinement=[], judge=[]),
    }
    names = ["tailored-full", "guided-standard"]
    tests = [comparison(name, "direct", 1.0, -1.0, 3.0) for name in names]
    page = read(make_run(results_of(*arms, comparisons=tests, methods=parts)))
    sections = [attrs["id"] for tag, attrs in page.tags if tag == "section"]
    assert sections[:4] == ["results", "tests", "rounds", "guided"]
    assert page.text.count("84.2 k") == 1 and "guided-standard against direct" in page.text


def test_columns_of_cost_that_no_arm_fills_are_left_out(make_run: MakeRun) -> None:
    """A guided arm trains nothing itself; a run of such arms has no column of passes."""
    untrained = {"train_tokens": None, "passes": None, "seconds": None}
    taught = arm_result("tailored-full", 50.0, teacher_tokens=84_200, passes=None)
    headers = ["training tokens", "training time", "teacher tokens", "time per answer"]
    found = results_of(arm_result("standard", 50.0, **untrained), taught)
    text = read(make_run(found)).text
    assert all(header in text for header in headers) and "84.2 k" in text
    assert " passes " not in text


def test_without_gold_and_with_bleu_the_scores_are_shown_and_nothing_is_called_right(
    make_run: MakeRun,
) -> None:
    further = {
        "rouge_l": Figure(value=44.25, low=43.0, high=45.0),
        "missing_ratio": Figure(value=20.5, low=19.0, high=22.0),
    }
    arm = arm_result("direct", 31.42, metric="bleu", metrics=further)
    folder = make_run(results_of(arm), gold=False)
    grades = folder / "arms/direct-seed0/grades.jsonl"
    rows = [
        json.loads(line) | {"value": 0.1 * i}
        for i, line in enumerate(grades.read_text().splitlines(), start=1)
    ]
    write_rows(grades, rows)
    page = read(folder)
    assert "direct reaches 31.4 BLEU" in page.text
    assert "44.2" in page.text and "20.5" in page.text
    data = json.loads(page.data)
    assert data["binary"] is False
    assert data["gold"] == [None] * 4


def test_several_seeds_show_the_pooled_row_and_each_seed(make_run: MakeRun) -> None:
    names = ("direct", "ases-uni-inter")
    found = results_of(
        *(arm_result(name, 50.0 + seed, seed=seed) for name in names for seed in (0, 1)),
        pooled=[pooled_result(name, 50.55, low=47.11, high=53.99, n=1000) for name in names],
        pooled_comparisons=[comparison(names[1], names[0], 0.0, -1.0, 1.0, seed=None)],
    )
    text = read(make_run(found)).text
    assert "50.5 47.1 to 54.0" in text and "2 seeds" in text and "seed 1" in text
    assert "ases-uni-inter against direct all seeds" in text


def test_the_two_students_of_a_pair_are_two_lines(make_run: MakeRun) -> None:
    """Each half counts its own tokens from nought; one line through both would run backwards."""
    folder = make_run()
    path = next(folder.glob("arms/direct-seed*/curves.jsonl"))
    rows = [
        {"update": u, "tokens": 10 * u, "train_loss": 1.0 / u, "half": half}
        for half in ("ES", "AS")
        for u in (1, 2, 3)
    ]
    write_rows(path, rows)
    words = " ".join(read(folder).words)
    assert "direct ES" in words and "direct AS" in words


def test_segments_whose_kind_nobody_stated_are_judged_and_whole_chains_are_not(
    make_run: MakeRun,
) -> None:
    folder = make_run()
    path = folder / "arms" / "ases-uni-ent-seed0" / "predictions.jsonl"
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]
    for row in rows:
        row["segments"] = [[None, "How many pens,"], [None, "so 12."]]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    runs = {run["name"]: run["cells"][0]["s"] for run in json.loads(read(folder).data)["runs"]}
    assert [kind for kind, _ in runs["ases-uni-ent"]] == ["ES?", "AS?"]
    assert [kind for kind, _ in runs["ases-uni-inter"]] == ["ES", "AS"]
    assert [kind for kind, _ in runs["direct"]] == [""]


def test_token_ends_count_utf16_units_as_the_script_does(make_run: MakeRun) -> None:
    """The trap: an emoji is one character in Python and two in JavaScript; every later token would
    be cut one off."""
    folder = make_run()
    tokens = [{"text": "😀 a", "entropy": 0.5}, {"text": "b", "entropy": 1.0}]
    write_rows(
        folder / "gold.jsonl",
        [{"problem_id": "p0", "segments": [{"kind": "ES", "text": "😀 ab"}], "tokens": tokens}],
    )
    assert json.loads(read(folder).data)["gold"][0]["t"] == [[4, 0.5], [5, 1.0]]


def test_further_samples_are_counted_not_dropped_in_silence(make_run: MakeRun) -> None:
    folder = make_run()
    path = folder / "arms/direct-seed0/predictions.jsonl"
    path.write_text(path.read_text() * 2)
    assert "4 further samples" in read(folder).text


def grow(folder: Path, problems: int, updates: int = 6) -> None:
    """The run with more test problems and updates."""
    shown = [Problem(f"p{i}", f"How many pens in {i}?", "12").to_row() for i in range(problems)]
    write_rows(folder / "problems.jsonl", shown)
    for place in (folder / "arms").iterdir():
        text = "Ann has 3 boxes with 4 pens each, so she has 12 < 13 pens. " * 4
        predictions = [
            Prediction(f"a{i}", f"p{i}", text, ((None, text),), "12", "stop_sign")
            for i in range(problems)
        ]
        write_rows(place / "predictions.jsonl", (p.to_row() for p in predictions))
        write_rows(
            place / "grades.jsonl",
            (Grade(f"g{p.id}", p.id, 1, "12", "12", True).to_row() for p in predictions),
        )
        rows = (
            {"update": u, "train_loss": 1 / u, "metric": 5.0 if u % 100 == 0 else None}
            for u in range(1, updates)
        )
        write_rows(place / "curves.jsonl", rows)


def test_a_page_of_500_problems_stays_below_three_megabytes(make_run: MakeRun) -> None:
    folder = make_run()
    grow(folder, 500, updates=1_000)
    assert write_page(folder).stat().st_size < 3_000_000
    page = read(folder)
    assert len(json.loads(page.data)["problems"]) == 500
    assert "test problems are shown here" not in page.text
    rows, of = re.findall(
        r"The figures behind the curves \((\d+) of (\d+) rows; all are in curves\.jsonl \)",
        page.text,
    )[0]
    assert int(rows) <= 300 < int(of) == 2_997


def test_a_page_of_500_problems_ten_arms_and_three_seeds_stays_below_three_megabytes(
    make_run: MakeRun,
) -> None:
    names = ["direct", *(f"ases-uni-{n}" for n in range(9))]
    validation = [30.0 + n % 7 for n in range(40)]
    arms = [trained(name, 40.0, *validation, seed=seed) for name in names for seed in range(3)]
    pooled = [pooled_result(name, 40.0) for name in names]
    folder = make_run(results_of(*arms, pooled=pooled))
    grow(folder, 500, updates=1_000)
    assert write_page(folder).stat().st_size < 3_000_000


def test_a_page_of_more_problems_shows_some_of_all_and_says_how_many(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smallsteps.report.chains.MOST_BYTES", 100_000)
    folder = make_run()
    grow(folder, 400)
    page = read(folder)
    data = json.loads(page.data)
    places = [problem["n"] for problem in data["problems"]]
    assert f"{len(places)} of 400 test problems are shown here , evenly spread" in page.text
    assert data["of"] == 400
    assert 80 < len(places) < 200
    assert len(page.data) < 130_000
    assert {len(cells) for cells in (data["gold"], *(run["cells"] for run in data["runs"]))} == {
        len(places)
    }
    assert max(b - a for a, b in pairwise(places)) <= 400 // len(places) + 1


def test_one_endless_text_does_not_take_the_page(make_run: MakeRun) -> None:
    folder = make_run(text="7" * 1_000_000)
    assert write_page(folder).stat().st_size < 500_000
    assert "… (990,000 characters more)" in read(folder).data


def shown(browser: Any) -> list[str]:
    script = (
        "return [...document.querySelectorAll('#problems article')].map((node) => node.dataset.id)"
    )
    return list(browser.execute_script(script))


def choose(browser: Any, select: str, text: str) -> None:
    for option in browser.find_elements("css selector", f"{select} option"):
        if option.text == text:
            option.click()


def counts(browser: Any) -> dict[str, int]:
    buttons = browser.find_elements("css selector", "#filters button")
    return {
        b.get_attribute("data-filter"): int(b.find_element("css selector", ".count").text)
        for b in buttons
    }


def test_in_a_browser_filters_change_the_counts_and_what_is_visible(
    make_run: MakeRun, browser: Any
) -> None:
    browser.get(write_page(make_run()).as_uri())
    assert shown(browser) == ["p0", "p1", "p2", "p3"]
    assert counts(browser) == {"all": 4, "wrong": 3, "right": 3, "unfinished": 2, "disagree": 2}
    click(browser, "[data-filter=disagree]")
    assert shown(browser) == ["p1", "p2"]
    assert browser.find_element("id", "status").text == "Problems 1 to 2 of 2 (4 in all)"
    choose(browser, "#arm", "ases-uni-inter")
    assert counts(browser) == {"all": 4, "wrong": 2, "right": 2, "unfinished": 0, "disagree": 2}
    click(browser, "[data-filter=wrong]")
    assert shown(browser) == ["p2", "p3"]
    assert (
        browser.find_element("css selector", "[data-filter=wrong]").get_attribute("aria-pressed")
        == "true"
    )
    choose(browser, "#arm", "direct")
    click(browser, "[data-filter=unfinished]")
    assert shown(browser) == ["p2"]
    assert "unparsed" in browser.find_element("css selector", "#problems").text
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_in_a_browser_a_problem_keeps_its_place_where_not_all_are_shown(
    make_run: MakeRun, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smallsteps.report.chains.MOST_BYTES", 100_000)
    folder = make_run(gold=False)
    grow(folder, 400)
    browser.get(write_page(folder).as_uri())
    count = counts(browser)["all"]
    assert 80 < count < 200
    click(browser, "[data-pager] button:last-child")
    head = browser.find_element("css selector", "article header span").text
    place, of = head.split(" of ")
    assert (of, shown(browser)[0]) == ("400", f"p{int(place) - 1}")
    assert browser.find_element("id", "status").text == f"Problems 21 to 40 of {count}"


def test_in_a_browser_gold_tokens_show_their_entropy_and_join_to_the_chain(
    make_run: MakeRun, browser: Any
) -> None:
    from selenium.webdriver import ActionChains

    browser.get(write_page(make_run()).as_uri())
    tokens = browser.find_elements("css selector", "article:first-child .token")
    chain = "".join(token.get_attribute("textContent") for token in tokens)
    assert chain == "Ann has 3 boxes with 4 pens each, so she has 12 pens. The answer is 12."
    browser.execute_script(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", tokens[3]
    )
    ActionChains(browser).move_to_element(tokens[3]).perform()
    assert browser.find_element("id", "tip").text.split() == ["boxes", "0.300", "nats"]
    click(browser, "#entropy")
    assert "mean 0.35 nats" in browser.find_element("css selector", "article:first-child .es").text
    tags = [
        tag.text
        for tag in browser.find_elements(
            "css selector", "article:first-child .chain:first-child .tag"
        )
    ]
    assert tags == ["ES", "AS", "ES"]  # a cue that needs no colour


def test_in_a_browser_generated_markup_stays_text(make_run: MakeRun, browser: Any) -> None:
    browser.get(write_page(make_run(text=EVIL)).as_uri())
    assert EVIL in browser.find_element("id", "problems").get_attribute("textContent")
    assert browser.find_elements("css selector", "img") == []
    assert browser.title == "Pens · smallsteps"


def test_in_a_browser_search_and_pages_keep_many_problems_apart(
    make_run: MakeRun, browser: Any
) -> None:
    folder = make_run()
    write_rows(
        folder / "problems.jsonl", ({"id": f"p{i}", "question": f"Number {i}?"} for i in range(45))
    )
    browser.get(write_page(folder).as_uri())
    assert len(shown(browser)) == 20
    click(browser, ".pager-row .pager button:last-child")
    assert shown(browser)[0] == "p20"
    browser.find_element("id", "find").send_keys("number 44")
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 5).until(lambda b: shown(b) == ["p44"])
    assert browser.find_element("css selector", "mark").text == "Number 44"


def test_in_a_browser_the_cost_can_be_counted_in_another_way_by_mouse_and_by_keyboard(
    make_run: MakeRun, browser: Any
) -> None:
    from selenium.webdriver.common.keys import Keys

    browser.get(write_page(make_run(plateau_results())).as_uri())

    def shown_costs() -> list[str]:
        nodes = browser.find_elements("css selector", "figure.cost-figure")
        return [node.get_attribute("id") for node in nodes if node.is_displayed()]

    assert shown_costs() == ["cost-tokens"]
    click(browser, "[data-cost=passes]")
    assert shown_costs() == ["cost-passes"]
    assert "up to 8.7 passes" in browser.find_element("id", "cost-passes").text
    browser.find_element("css selector", "[data-cost=seconds]").send_keys(Keys.ENTER)
    assert shown_costs() == ["cost-seconds"]
    pressed = browser.find_elements("css selector", "[data-cost][aria-pressed=true]")
    assert [button.text for button in pressed] == ["seconds"]
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def of_all_methods() -> Results:
    """A run whose tables have all columns that a page can have."""
    names = ("tailored-full", "guided-distilled-masked", "guided-both")
    arms = [*plateau_results().arms, *(arm_result(name, 50.0, teacher_tokens=9) for name in names)]
    aspects = dict.fromkeys(ASPECTS, 0.5)
    gauges: dict[str, float | None] = dict.fromkeys([*GAUGES, "share_task", "share_length"], 22.125)
    costs = {"calls": 736, "kept": 701, "teacher_tokens": 65_700, "usable": 61.8}
    tokens = {"train_tokens": 105_000, "all_tokens": 131_000}
    rounds = [round_result(arm=names[0], round=n, **costs, **tokens) for n in range(3)]
    guided = GuidedResults(
        reader="a reader",
        yields=None,
        guidance=[guidance(name, quality=aspects) for name in names[1:]],
        refinement=[
            RefinementResult(
                arm=names[2],
                seed=0,
                steps=100,
                stopped=None,
                update=0,
                value=50.0,
                start=50.0,
                first=gauges,
                last=gauges,
            )
        ],
        judge=[
            JudgeResult(judge="lexical", aspect=name, perturbation="swap of hops", auc=0.75, n=90)
            for name in ASPECTS
        ],
    )
    tailored = TailoredResults(teacher="solver", equal="anchors", rounds=rounds)
    further = further_results("svamp", "gsm8k/hard", arm="ases-uni-rouge")
    methods = {"tailored": tailored, "guided": guided}
    return plateau_results(arms=arms, methods=methods, **further)


def test_in_a_browser_many_further_test_sets_scroll_beside_their_arms(
    make_run: MakeRun, browser: Any
) -> None:
    """The trap: marks for screen readers have no place of their own and widened the whole page."""
    further = further_results(*(f"svamp/part-{n}" for n in range(9)))
    page = write_page(make_run(results(**further))).as_uri()
    size = {"width": 1440, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get(page)
        script = (
            "const region = document.querySelector('#sets .wide'); region.scrollLeft = 9999;"
            "const page = document.documentElement;"
            "return [page.scrollWidth - page.clientWidth, region.scrollLeft,"
            " region.querySelector('tbody th').getBoundingClientRect().left"
            " - region.getBoundingClientRect().left]"
        )
        wider, scrolled, arm = browser.execute_script(script)
        assert wider <= 0 and scrolled > 100 and arm == 0
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_further_test_sets_have_a_section_with_every_difference(make_run: MakeRun) -> None:
    folder = make_run(results(**further_results("svamp", "gsm8k/hard")))
    page = read(folder)
    text = page.text
    for shown in ("gsm8k/hard 200 questions", "all sets 390 questions", "+6.2", "+3.1 to +9.4"):
        assert shown in text
    assert ("section", "sets") in [(tag, attributes.get("id")) for tag, attributes in page.tags]
    assert "Further results" not in text


@pytest.mark.parametrize("width", [1440, 1100, 390])
def test_in_a_browser_no_table_is_cut_off(make_run: MakeRun, browser: Any, width: int) -> None:
    page = write_page(make_run(of_all_methods())).as_uri()
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        browser.get(page)
        assert browser.execute_script("return window.innerWidth") == width
        script = (
            "document.querySelectorAll('details').forEach((node) => { node.open = true; });"
            "return [document.documentElement, ...document.querySelectorAll('.wide')]"
            ".filter((node) => node.scrollWidth > node.clientWidth + 1)"
            ".map((node) => `${node.getAttribute('aria-label')} ${node.scrollWidth}`)"
        )
        assert len(browser.find_elements("css selector", ".wide")) == 11
        assert browser.execute_script(script) == []
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_in_a_browser_the_labels_of_lines_do_not_overlap_and_stay_inside(
    make_run: MakeRun, browser: Any
) -> None:
    arms = [
        trained(f"ases-dual-ent-{n}", 40.0, 10.0, 40.0 + n / 10, plateau=False) for n in range(12)
    ]
    browser.get(write_page(make_run(results_of(*arms))).as_uri())
    script = (
        "const svg = document.querySelector('.cost-chart.broad').getBoundingClientRect();"
        "return [[svg.left, svg.right, 0], ...[...document.querySelectorAll("
        "'#cost-tokens .broad .end')].map((node) => node.getBoundingClientRect())"
        ".sort((a, b) => a.top - b.top).map((box) => [box.right, box.top, box.bottom])]"
    )
    (left, right, _), *boxes = browser.execute_script(script)
    assert len(boxes) == 12 and left < right
    assert all(end <= right for end, _, _ in boxes)
    assert all(b[1] >= a[2] - 2 for a, b in pairwise(boxes))
