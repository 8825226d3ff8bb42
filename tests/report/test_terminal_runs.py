"""Lists of runs in the terminal."""

from __future__ import annotations

from pathlib import Path

from kept_runs import make_kept_run
from smallsteps.experiment.run_list import BestArm, ListedRun
from smallsteps.experiment.so_far import read_so_far
from smallsteps.report.terminal_runs import MOST_ARMS, runs_table, settings_table

from .conftest import printed


def listed(folder: str, **more) -> ListedRun:
    fields = {
        "folder": folder,
        "title": "Pens",
        "state": "finished",
        "why": "",
        "arms": ["direct"],
        "seeds": [0],
        "graded": 1,
        "best": BestArm(name="direct", metric="accuracy", value=41.2, low=38.0, high=44.5),
        "when": "2026-11-27T18:05:09Z",
    }
    return ListedRun(**{**fields, **more})


def test_a_run_has_its_arms_its_best_figure_and_its_day() -> None:
    arms = [f"arm-{n}" for n in range(MOST_ARMS + 2)]
    runs = [listed("runs/a", arms=arms, seeds=[0, 1]), listed("runs/a/b", best=None)]
    text = " ".join(printed(runs_table(runs, Path("runs")), width=160).split())
    for shown in (
        "a/b",
        "Pens",
        "and 2 more",
        "seeds 0, 1",
        "41.2 (38.0–44.5)",
        "2026-11-27",
        "18:05",
    ):
        assert shown in text
    assert "arm-7" not in text and "18:05:09" not in text


def test_why_a_run_is_damaged_stands_in_the_place_of_its_title() -> None:
    run = listed("runs/a", state="damaged", why="run.json: not JSON\x1b[2J", title="")
    text = printed(runs_table([run], Path("runs")))
    assert "damaged" in text and "run.json: not JSON␛[2J" in " ".join(text.split())


def test_settings_are_a_table_where_joined_runs_differ(tmp_path) -> None:
    right = {("direct", 0): [1]}
    folders = [
        make_kept_run(tmp_path / name, right, train={"passes": passes})
        for name, passes in (("a", 2.0), ("b", 3.0))
    ]
    runs = [read_so_far(folder) for folder in folders]
    text = printed(settings_table(runs))
    assert "train.passes" in text and "2.0" in text and "3.0" in text
    assert settings_table(runs[:1]) is None
