"""`smallsteps runs`: one row a run, whatever state it is in."""

from __future__ import annotations

import json

from kept_runs import make_kept_run
from smallsteps.cli.main import main

RIGHT = {("base", 0): [2], ("direct", 0): [1, 2, 3]}


def test_the_table_has_path_title_state_arms_seeds_figure_and_time(tmp_path, capsys):
    make_kept_run(tmp_path / "a" / "first", {**RIGHT, ("direct", 1): [1, 2, 3]}, title="pens")
    make_kept_run(tmp_path / "second", RIGHT, finished=False, title="\x1b[31mred")
    assert main(["runs", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    for part in ("a/first", "pens", "finished", "base, direct", "seeds 0, 1", "50.0 (", "stopped"):
        assert part in text, part
    assert "\x1b" not in text and "␛" in text


def test_json_has_every_run_the_latest_first(tmp_path, capsys):
    for name in ("b", "a"):
        make_kept_run(tmp_path / name, RIGHT)
    assert main(["runs", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["folder"] for row in rows} == {str(tmp_path / "a"), str(tmp_path / "b")}
    assert rows[0]["best"] == {**rows[0]["best"], "name": "direct", "value": 50.0}
    assert rows == sorted(rows, key=lambda row: row["when"], reverse=True)


def test_a_folder_without_runs_says_so(tmp_path, capsys):
    assert main(["runs", str(tmp_path)]) == 0
    assert "no runs below" in capsys.readouterr().out


def test_a_folder_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["runs", str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err
