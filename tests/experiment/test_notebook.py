"""Progress in a notebook: one output that is updated, with the user's texts escaped."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace

import pytest

from smallsteps.experiment.notebook import KEPT, NotebookProgress, default_reporter, in_notebook
from smallsteps.experiment.reporter import Silent


@pytest.fixture
def outputs(monkeypatch):
    """What a front end received: ("display" or "update", content)."""
    received = []

    class Handle:
        def update(self, content, raw):
            assert raw
            received.append(("update", content))

    def display(content, raw, display_id):
        assert raw and display_id is True
        received.append(("display", content))
        return Handle()

    module = ModuleType("IPython.display")
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return received


def test_a_run_has_one_output_and_its_last_state_has_the_lines_and_no_bar(outputs, capsys):
    now = [0.0]
    progress = NotebookProgress(clock=lambda: now[0])
    progress.say("data: 5 chains")
    for done in range(1, 101):
        now[0] += 0.1
        progress.advance("direct", done, 100, f"loss {done}")
    progress.say("direct: acc = 50.0")
    kinds = [kind for kind, _ in outputs]
    assert kinds[0] == "display" and set(kinds[1:]) == {"update"}
    assert 20 <= len(outputs) <= 25, "bars move twice a second"
    assert "direct: 26 % loss 26" in [
        content["text/plain"].split("\n")[-1] for _, content in outputs
    ]
    last = outputs[-1][1]
    assert last["text/plain"] == "data: 5 chains\ndirect: acc = 50.0"
    assert "<progress" not in last["text/html"]
    assert capsys.readouterr() == ("", "")


def test_text_of_users_is_text_and_earlier_lines_unfold(outputs):
    progress = NotebookProgress()
    for number in range(KEPT + 20):
        progress.say(f"<b>{number}</b>")
    progress.advance("<i>x</i>", 1, 0.5 + 1, "<u>")
    html = outputs[-1][1]["text/html"]
    assert f"{KEPT - 6} earlier lines" in html and "&lt;b&gt;1019&lt;/b&gt;" in html
    assert "<b>" not in html and "<i>" not in html and "<u>" not in html


@pytest.mark.parametrize(
    ("shell", "there"),
    [(None, False), (SimpleNamespace(), False), (SimpleNamespace(kernel=object()), True)],
)
def test_only_the_kernel_of_a_notebook_shows_progress_by_itself(monkeypatch, shell, there):
    module = ModuleType("IPython")
    module.get_ipython = lambda: shell
    monkeypatch.setitem(sys.modules, "IPython", module)
    assert in_notebook() is there
    assert isinstance(default_reporter(), NotebookProgress if there else Silent)


def test_a_script_without_ipython_hears_nothing(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert isinstance(default_reporter(), Silent)
