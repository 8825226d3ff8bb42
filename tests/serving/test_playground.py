"""The playground: its handlers, and the page clicked in a headless Chromium."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

import smallsteps
from browser_window import click
from smallsteps.base_style import base_style
from smallsteps.generation.generator import Decoding
from smallsteps.generation.solve import solve
from smallsteps.records import Problem
from smallsteps.serving.playground import EXAMPLES, example_questions
from smallsteps.serving.served_student import ServedStudent
from smallsteps.tasks import get_task
from smallsteps.teaching.feedback import read_feedback
from tiny_serving import TASK, RunningServer, served, serving, slow, until
from tiny_solving import Tiny

ROOT = Path(smallsteps.__file__).parent
FILES = [ROOT / "serving" / f"playground.{ending}" for ending in ("html", "css", "js")]
QUESTION = "How many pens has Ann?"
EVIL = "<img src=x onerror=alert(1)><b>bold</b> & pens?"


@pytest.fixture
def server(tiny: Tiny, tmp_path: Path) -> Iterator[RunningServer]:
    """Two students: one that writes by segments of two kinds, one that writes whole chains."""
    students = [served(tiny, "t5", "dual"), served(tiny, "llama", "direct")]
    with serving(*students, feedback=tmp_path / "feedback.jsonl") as running:
        yield running


def test_the_page_is_small_and_asks_nobody_else() -> None:
    assert sum(file.stat().st_size for file in FILES) + len(base_style()) < 150_000
    for file in FILES:
        assert not re.search(r"https?://|//[a-z]+\.", file.read_text(encoding="utf-8")), file.name


def test_no_text_becomes_markup() -> None:
    script = FILES[2].read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


def test_the_style_is_that_of_all_pages_with_its_own_rules_behind(server: RunningServer) -> None:
    style = httpx2.get(server.url + "/playground.css").text
    assert style == base_style() + FILES[1].read_text(encoding="utf-8")


def test_the_page_may_run_no_script_but_its_own(server: RunningServer) -> None:
    for path in ("/", "/playground.css", "/playground.js"):
        reply = httpx2.get(server.url + path)
        assert reply.status_code == 200 and reply.headers["x-content-type-options"] == "nosniff"
        policy = reply.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'") and "unsafe" not in policy


def test_questions_of_a_bundled_task_are_offered_once(tiny: Tiny) -> None:
    stories = ServedStudent("s", tiny("t5"), get_task("stories"))
    questions = example_questions([stories, replace(stories, id="t"), served(tiny)])
    assert len(questions) == EXAMPLES and all(question.endswith("?") for question in questions)


def post(server: RunningServer, path: str, body: Any) -> Any:
    return httpx2.post(f"{server.url}/playground/{path}", json=body, timeout=30)


FEEDBACK = {
    "question": QUESTION,
    "rationale": "7.",
    "answer": "7",
    "verdict": "right",
    "edited": None,
    "student": "t5-dual",
}


def test_feedback_is_appended_row_by_row(server: RunningServer, tmp_path: Path) -> None:
    assert post(server, "feedback", FEEDBACK).status_code == 201
    edited = {**FEEDBACK, "verdict": "wrong", "edited": "So 3 + 4 = 7."}
    assert post(server, "feedback", edited).json()["edited"] is True
    rows = read_feedback(tmp_path / "feedback.jsonl")
    assert [row.verdict for row in rows] == ["right", "wrong"]
    assert rows[1].edited == "So 3 + 4 = 7."
    assert rows[0].id == rows[1].id
    same = {**FEEDBACK, "edited": " 7. "}
    assert post(server, "feedback", same).json()["edited"] is False


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"verdict": "maybe"}, 400, "'right' or 'wrong'"),
        ({"student": "nobody"}, 404, "not served here"),
        ({"student": "t5dual"}, 404, "Did you mean 't5-dual'? Served: t5-dual"),
        ({"question": " "}, 400, "field 'question' is empty"),
        ({"rationale": ""}, 400, "field 'rationale' is empty"),
        ({"edited": 7}, 400, "valid string"),
        ({"time": "now"}, 400, "`time` is not known. Leave it out."),
        ({"verdicts": "right"}, 400, "`verdicts` is not known. Did you mean `verdict`?"),
    ],
)
def test_feedback_that_cannot_be_read_later_is_refused(
    server: RunningServer, tmp_path: Path, changes: dict[str, Any], status: int, message: str
) -> None:
    reply = post(server, "feedback", {**FEEDBACK, **changes})
    assert reply.status_code == status and message in reply.json()["error"]["message"]
    assert not (tmp_path / "feedback.jsonl").exists()


def test_feedback_that_cannot_be_written_says_so(tiny: Tiny, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with serving(served(tiny, "t5", "dual"), feedback=tmp_path / "file" / "f.jsonl") as server:
        reply = post(server, "feedback", FEEDBACK)
        assert (
            reply.status_code == 500 and "could not be written" in reply.json()["error"]["message"]
        )


def test_entropies_of_a_reply_are_given_for_each_segment(server: RunningServer) -> None:
    segments = [{"kind": "ES", "text": "Ann has"}, {"kind": "AS", "text": "3 pens"}]
    body = {"model": "t5-dual", "question": QUESTION, "segments": segments}
    scored = post(server, "entropies", body).json()["segments"]
    assert ["".join(text for text, _ in part) for part in scored] == ["Ann has", "3 pens"]
    wrong = {**body, "segments": [{**segments[0], "txt": ""}]}
    message = post(server, "entropies", wrong).json()["error"]["message"]
    assert message == "`segments.0.txt` is not known. Did you mean `text`?"
    body = {**body, "model": "llama-direct", "segments": [{"kind": None, "text": "pens " * 300}]}
    assert "reads 256" in post(server, "entropies", body).json()["error"]["message"]


# ---- in a browser ----


def find(browser: Any, selector: str) -> list[Any]:
    return list(browser.find_elements("css selector", selector))


def texts(browser: Any, selector: str) -> list[str]:
    return [node.get_attribute("textContent") for node in find(browser, selector)]


def open_page(browser: Any, server: RunningServer) -> None:
    browser.get(f"{server.url}/")
    until(lambda: browser.find_element("id", "send").is_enabled())


def ask(browser: Any, question: str) -> None:
    browser.find_element("id", "question").send_keys(question)
    click(browser, "#send")
    until(lambda: browser.find_element("id", "status").text.startswith("Done"))


def complaints(browser: Any) -> list[Any]:
    return [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_in_a_browser_students_answer_side_by_side_in_coloured_segments(
    tiny: Tiny, server: RunningServer, browser: Any
) -> None:
    open_page(browser, server)
    assert texts(browser, "#students label span") == ["t5-dual", "llama-direct"]
    ask(browser, QUESTION)
    pair = served(tiny, "t5", "dual")
    (alone,) = solve(pair.student, [Problem("question", QUESTION)], TASK, pair.settings, Decoding())
    first = ".chain:first-child"
    assert texts(browser, f"{first} .tag") == [kind for kind, _ in alone.segments]
    assert texts(browser, f"{first} .text") == [text for _, text in alone.segments]
    colours = {
        node.get_attribute("class"): node.value_of_css_property("border-left-color")
        for node in find(browser, ".segments li")
    }
    assert len(set(colours.values())) == len(colours) >= 2
    boxes = [node.rect for node in find(browser, ".chain")]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["x"] < boxes[1]["x"]
    assert not complaints(browser)


def test_in_a_browser_a_verdict_and_an_edit_become_a_row(
    server: RunningServer, browser: Any, tmp_path: Path
) -> None:
    open_page(browser, server)
    browser.find_element("css selector", "#students label:last-child input").click()
    ask(browser, QUESTION)
    assert len(find(browser, ".chain")) == 1
    click(browser, ".feedback .no")
    until(lambda: texts(browser, ".saved") == ["Saved as wrong."])
    click(browser, ".feedback [aria-expanded]")
    area = browser.find_element("css selector", ".edit")
    area.clear()
    area.send_keys("So she has 7 pens.")
    assert texts(browser, ".saved") == ["Changed, not saved yet."]
    click(browser, ".feedback .no")
    until(lambda: texts(browser, ".saved") == ["Saved as wrong, with your edit."])
    plain, edited = read_feedback(tmp_path / "feedback.jsonl")
    assert (plain.verdict, plain.edited, plain.student) == ("wrong", None, "t5-dual")
    assert (edited.edited, edited.question) == ("So she has 7 pens.", QUESTION)
    assert edited.rationale == plain.rationale != ""
    assert not complaints(browser)


def test_in_a_browser_entropies_are_shown_by_colour_by_pointer_and_in_words(
    server: RunningServer, browser: Any
) -> None:
    from selenium.webdriver import ActionChains

    open_page(browser, server)
    ask(browser, QUESTION)
    before = texts(browser, ".chain:first-child .text")
    click(browser, "#entropy")
    until(lambda: len(find(browser, ".unsure:not([hidden])")) == 2)
    after = [
        "".join(texts(browser, f".chain:first-child li:nth-child({n + 1}) .token"))
        for n in range(len(before))
    ]
    assert ["".join(text.split()) for text in after] == ["".join(text.split()) for text in before]
    token = find(browser, ".token")[0]
    ActionChains(browser).move_to_element(token).perform()
    value = token.get_attribute("data-entropy")
    assert browser.find_element("id", "tip").text.endswith(f"{value} nats")
    assert texts(browser, ".unsure")[0].startswith("least sure of “")
    click(browser, "#entropy")
    assert texts(browser, ".chain:first-child .text") == before
    assert not complaints(browser)


def test_in_a_browser_markup_stays_text(
    server: RunningServer, browser: Any, tmp_path: Path
) -> None:
    open_page(browser, server)
    ask(browser, EVIL)
    assert texts(browser, ".asked h2") == [EVIL] and not find(browser, "main img, main h2 b")
    click(browser, ".chain:first-child .yes")
    until(lambda: (tmp_path / "feedback.jsonl").exists())
    assert read_feedback(tmp_path / "feedback.jsonl")[0].question == EVIL


def test_in_a_browser_the_keyboard_alone_is_enough(
    server: RunningServer, browser: Any, tmp_path: Path
) -> None:
    from selenium.webdriver.common.keys import Keys

    open_page(browser, server)
    assert browser.switch_to.active_element.get_attribute("id") == "question"
    browser.switch_to.active_element.send_keys(QUESTION, Keys.CONTROL, Keys.ENTER)
    until(lambda: browser.find_element("id", "status").text.startswith("Done"))
    for _ in range(20):
        active = browser.switch_to.active_element
        if active.get_attribute("class") == "yes":
            break
        active.send_keys(Keys.TAB)
    active.send_keys(Keys.SPACE)
    until(lambda: texts(browser, ".saved")[0] == "Saved as right.")
    assert read_feedback(tmp_path / "feedback.jsonl")[0].verdict == "right"


def test_in_a_browser_nothing_is_wider_than_400_pixels(server: RunningServer, browser: Any) -> None:
    size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        open_page(browser, server)
        ask(browser, "x" * 100)
        click(browser, "#entropy")
        click(browser, ".feedback [aria-expanded]")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_in_a_browser_stop_frees_the_slot(tiny: Tiny, tmp_path: Path, browser: Any) -> None:
    student = slow(tiny)
    real = student.halves["ES"].text
    calls: list[int] = []

    def slowly(ids: Any) -> str:
        calls.append(len(ids))
        until(lambda: len(calls) < 3 or released, 30)
        return real(ids)

    released: list[bool] = []
    student.halves["ES"].text = slowly  # type: ignore[method-assign]
    with serving(student, feedback=tmp_path / "f.jsonl") as server:
        open_page(browser, server)
        browser.find_element("id", "question").send_keys("Ann")
        click(browser, "#send")
        until(lambda: texts(browser, ".segments") != [""])
        click(browser, "#stop")
        until(lambda: texts(browser, ".under:not(.unsure)") == ["stopped"])
        released.append(True)
        until(lambda: json.loads(httpx2.get(f"{server.url}/health").text)["running"] == 0)
        assert max(calls) < 100


def test_in_a_browser_a_server_with_a_key_asks_for_it(
    tiny: Tiny, tmp_path: Path, browser: Any
) -> None:
    with serving(served(tiny), key="a key of 16 char", feedback=tmp_path / "f.jsonl") as server:
        browser.get(f"{server.url}/")
        until(lambda: browser.find_element("id", "key").is_displayed())
        browser.find_element("id", "key").send_keys("a key of 16 char\n")
        until(lambda: browser.find_element("id", "send").is_enabled())
        ask(browser, QUESTION)
        assert len(find(browser, ".chain")) == 1


EMPTY_TURN = """
const ask = window.fetch;
const event = (delta, finish, extra) => "data: " + JSON.stringify(
  { choices: [{ index: 0, delta, finish_reason: finish, smallsteps: extra }] }) + "\\n\\n";
const segments = [{ kind: "ES", text: "" }, { kind: "AS", text: "7." }];
const reply = event({ content: "7." }, null, { segment: 1, kind: "AS" })
  + event({}, "stop", { segments, answer: "7", stopped: "stop_sign" }) + "data: [DONE]\\n\\n";
window.fetch = async (path, options) =>
  path.includes("completions") ? new Response(reply) : ask(path, options);
"""


def test_in_a_browser_a_turn_in_which_a_student_wrote_nothing_is_not_shown(
    server: RunningServer, browser: Any
) -> None:
    open_page(browser, server)
    browser.execute_script(EMPTY_TURN)
    ask(browser, QUESTION)
    first = ".chain:first-child"
    assert texts(browser, f"{first} .tag") == ["AS"] and texts(browser, f"{first} .text") == ["7."]


def test_in_a_browser_a_student_that_cannot_answer_says_why_and_the_others_answer(
    server: RunningServer, browser: Any
) -> None:
    open_page(browser, server)
    browser.find_element("id", "question").send_keys("x" * 300)
    click(browser, "#send")
    until(lambda: browser.find_element("id", "status").text == "1 of 2 could not answer.")
    assert "reads 256" in texts(browser, ".chain:last-child .under.bad")[0]
    assert len(find(browser, ".chain:first-child .feedback")) == 1
