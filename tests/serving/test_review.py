"""The review page: its handlers, and the page used by keyboard in a headless Chromium."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import uvicorn

import smallsteps
from smallsteps.errors import DataError
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.segments.agreement import strategy_agreement
from smallsteps.segments.strategies import Scoring
from smallsteps.serving.review import Review, review_application
from smallsteps.serving.server import listening_socket, url_of
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains
from smallsteps.teaching.feedback import read_feedback
from tiny_serving import until

TASK = get_task("numbers")
FOLDER = Path(smallsteps.__file__).parent / "serving"
FILES = [FOLDER / f"review.{ending}" for ending in ("html", "css", "js")]
EVIL = "<b>Bo</b> has 2 cups, <img src=x onerror=alert(1)> so 2 + 2 = 5. The answer is 5."


def chain(id: str, question: str, text: str, answer: str) -> Chain:
    return Chain(Problem(id, question, answer), Rationale(f"{id}/rationale", id, text))


CHAINS = [
    chain(
        "ann",
        "Ann has 3 pens and buys 4. How many?",
        "3 and 4, so 3 + 4 = 7. The answer is 7.",
        "7",
    ),
    chain("bo", "Bo has 2 cups and buys 2. How many?", EVIL, "4"),
]


def review_of(folder: Path) -> Review:
    return Review(CHAINS, TASK, "mine.jsonl", folder / "f.jsonl", folder / "l.jsonl")


@contextmanager
def reviewing(folder: Path) -> Iterator[str]:
    """The address of a page over the chains."""
    application = review_application(review_of(folder), lambda _: None)
    with listening_socket("127.0.0.1", 0) as listening:
        config = uvicorn.Config(application, log_config=None, timeout_graceful_shutdown=1)  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until(lambda: server.started)
        try:
            yield url_of(listening)
        finally:
            server.should_exit = True
            thread.join(30)


def test_the_page_asks_nobody_else_and_no_text_becomes_markup() -> None:
    for file in FILES:
        text = file.read_text(encoding="utf-8")
        assert not re.search(r"https?://|//[a-z]+\.", text), file.name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", text)


def test_judgements_and_labels_are_written_and_a_review_goes_on_where_it_stopped(
    tmp_path: Path,
) -> None:
    with reviewing(tmp_path) as url:
        first = httpx2.get(f"{url}/review/chains/0").json()
        assert first["pieces"] == ["3 and 4, ", "so 3 + 4 = 7. ", "The answer is 7."]
        assert (first["count"], first["kinds"], first["verdict"]) == (2, None, None)
        kinds = {"number": 0, "kinds": ["ES", "AS", "ES"]}
        assert httpx2.post(f"{url}/review/labels", json=kinds).status_code == 201
        again = {"number": 0, "kinds": ["ES", "AS", "AS"]}
        assert httpx2.post(f"{url}/review/labels", json=again).json() == {"labelled": 1}
        wrong = {"number": 1, "verdict": "wrong", "edited": "2 + 2 = 4. The answer is 4."}
        assert httpx2.post(f"{url}/review/feedback", json=wrong).json() == {"edited": True}
        right = {
            "number": 0,
            "verdict": "right",
            "edited": first["pieces"][0] + "so 3 + 4 = 7. The answer is 7. ",
        }
        assert httpx2.post(f"{url}/review/feedback", json=right).json() == {"edited": False}
    bo, ann = read_feedback(tmp_path / "f.jsonl")
    assert (bo.id, bo.verdict, bo.answer, bo.student) == ("bo", "wrong", "5", "mine.jsonl")
    assert bo.rationale == EVIL and bo.edited == "2 + 2 = 4. The answer is 4."
    assert (ann.verdict, ann.edited) == ("right", None)
    with reviewing(tmp_path) as url:
        first, second = (httpx2.get(f"{url}/review/chains/{n}").json() for n in (0, 1))
    assert first["kinds"] == ["ES", "AS", "AS"] and first["verdict"] == "right"
    assert second["edited"] == bo.edited and (second["judged"], second["labelled"]) == (2, 1)
    labelled = read_chains(tmp_path / "l.jsonl", TASK).chains
    assert strategy_agreement(labelled, "inter", Scoring(TASK)).share == pytest.approx(200 / 3)


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("labels", {"number": 0, "kinds": ["ES"]}, 400, "1 label for 3 sub-sentences."),
        ("labels", {"number": 0, "kinds": ["ES", "AS", "??"]}, 400, "'ES' or 'AS'"),
        ("labels", {"number": 9, "kinds": []}, 404, "No chain 9: the file has 2"),
        ("feedback", {"number": 0, "verdict": "maybe", "edited": None}, 400, "'right' or 'wrong'"),
    ],
)
def test_what_cannot_be_written_is_refused(
    tmp_path: Path, path: str, body: Any, status: int, message: str
) -> None:
    with reviewing(tmp_path) as url:
        reply = httpx2.post(f"{url}/review/{path}", json=body)
    assert reply.status_code == status and message in reply.json()["error"]["message"]
    assert not list(tmp_path.iterdir())


def test_a_disk_that_refuses_shows_no_folder_of_this_machine(tmp_path: Path) -> None:
    with reviewing(tmp_path) as url:
        (tmp_path / "l.jsonl").mkdir()
        body = {"number": 0, "kinds": ["ES", "AS", "ES"]}
        reply = httpx2.post(f"{url}/review/labels", json=body)
    message = "What you said could not be written to l.jsonl. Is the disk full?"
    assert (reply.status_code, reply.json()["error"]["message"]) == (500, message)


def test_a_file_that_is_no_review_s_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "l.jsonl").write_text('{"id": "1", "question": "?", "rationale": "r"}\n')
    with pytest.raises(DataError, match=r"l\.jsonl: the row '1' has no labels"):
        review_of(tmp_path)


def test_labels_that_the_file_brings_are_shown(tmp_path: Path) -> None:
    text = CHAINS[0].rationale.text
    gold = Rationale("g", "ann", text, gold=(("ES", text[:9]), ("AS", text[9:])))
    review = Review(
        [Chain(CHAINS[0].problem, gold)], TASK, "m", tmp_path / "f.jsonl", tmp_path / "l.jsonl"
    )
    assert review.kinds(0) == ["ES", "AS", "AS"]


def test_in_a_browser_the_keyboard_judges_edits_and_labels(tmp_path: Path, browser: Any) -> None:
    from selenium.webdriver.common.keys import Keys

    def text_of(id: str) -> str:
        return str(browser.find_element("id", id).get_attribute("textContent"))

    with reviewing(tmp_path) as url:
        browser.get(f"{url}/")
        until(lambda: text_of("question").startswith("Ann"))
        body = browser.find_element("tag name", "body")
        body.send_keys("e")
        body.send_keys("e")
        body.send_keys("k")  # back to the second one, which is relabelled
        body.send_keys("a")
        body.send_keys("e")
        until(lambda: text_of("labels") == "all labelled, saved")
        body.send_keys("r")
        until(lambda: text_of("question").startswith("Bo"))
        assert text_of("status") == "Chain 1 saved as right. p goes back to it."
        body.send_keys("p")  # the way back
        until(lambda: text_of("question").startswith("Ann"))
        assert browser.find_element("id", "right").get_attribute("aria-pressed") == "true"
        body.send_keys("w")  # a person thinks again
        until(lambda: text_of("question").startswith("Bo"))
        body.send_keys("p")
        until(lambda: text_of("question").startswith("Ann"))
        body.send_keys("rr")  # the second r is not meant for the next chain
        until(lambda: text_of("question").startswith("Bo"))
        assert browser.find_element("id", "right").get_attribute("aria-pressed") == "false"
        assert text_of("pieces").count("<img") == 1, "markup stays text"
        assert not browser.find_elements("css selector", "#pieces img, #pieces b")
        body.send_keys("i")
        area = browser.find_element("id", "edited")
        area.send_keys(Keys.CONTROL, "a")
        area.send_keys("2 + 2 = 4. The answer is 4.", Keys.ESCAPE)
        body.send_keys("w")
        until(
            lambda: text_of("saved") == "Saved as wrong, with your edit. That was the last chain."
        )
        assert text_of("progress") == "2 of 2; 2 judged, 1 labelled"
        size = {"width": 400, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        width = browser.execute_script("return document.documentElement.scrollWidth")
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        assert width <= 400
        assert not [e for e in browser.get_log("browser") if e["level"] == "SEVERE"]
    *ann, bo = read_feedback(tmp_path / "f.jsonl")
    assert [said.verdict for said in ann] == ["right", "wrong", "right"]
    assert (bo.verdict, bo.edited) == ("wrong", "2 + 2 = 4. The answer is 4.")
    (labelled,) = read_chains(tmp_path / "l.jsonl", TASK).chains
    assert [kind for kind, _ in labelled.rationale.gold] == ["ES", "AS", "ES"]
