"""Page and table appear whatever part of an arm is missing: a run that has trained for hours must
be seen."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from smallsteps.report.page import write_page
from smallsteps.report.terminal import results_table

from .conftest import arm_row, results


def whole() -> dict[str, Any]:
    """A run of two arms at two seeds with all that a comparison writes."""
    found = results()
    more = {
        "metrics": {"bleu": {"value": 31.0, "low": 30.0, "high": 32.0}},
        "validation": 50.0,
        "beta": 1.0,
    }
    found["arms"] = [
        arm_row(name, 50.0 + seed, **more) | {"seed": seed}
        for name in ("direct", "ases-dual-ent")
        for seed in (0, 1)
    ]
    test = {
        key: found["comparisons"][0][key]
        for key in ("difference", "low", "high", "p_bootstrap", "p_mcnemar")
    }
    found["comparisons"] = [
        {"arm": "ases-dual-ent", "against": "direct", "seed": s, **test} for s in (0, 1)
    ]
    found["pooled"] = [
        {
            "name": "direct",
            "metric": "accuracy",
            "value": 50.5,
            "low": 46.0,
            "high": 55.0,
            "n": 1000,
            "unparsed": 2,
        },
        {
            "name": "ases-dual-ent",
            "metric": "accuracy",
            "value": 51.5,
            "low": 47.0,
            "high": 56.0,
            "n": 1000,
        },
        {"arm": "ases-dual-ent", "against": "direct", **test},
    ]
    found["paper_protocol"] = [{"name": "direct", "seed": 0, "metric": "accuracy", "value": 59.04}]
    found["best"] = {
        "name": "direct",
        "seed": 0,
        "folder": "f",
        "validation": 50.0,
        "chosen_on": "validation",
    }
    return found


def losses() -> list[tuple[str, int, str]]:
    """(list of results.json, row, key) of all that may be missing."""
    found = whole()
    rows = [
        (part, place, key)
        for part in ("arms", "comparisons", "pooled", "paper_protocol")
        for place in (0, -1)
        for key in found[part][place]
    ]
    kept = {("arms", "name"), ("pooled", "name"), ("pooled", "arm"), ("comparisons", "arm")}
    return [row for row in dict.fromkeys(rows) if (row[0], row[2]) not in kept]


def shown(found: dict[str, Any], folder: Path) -> str:
    """The page and the table as text."""
    (folder / "results.json").write_text(json.dumps(found), encoding="utf-8")
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(results_table(found))
    return write_page(folder).read_text(encoding="utf-8") + console.export_text()


@pytest.mark.parametrize("value", ["missing", None])
def test_any_figure_of_any_row_may_be_missing(make_run, value):
    folder = make_run(whole())
    for part, place, key in losses():
        found = whole()
        if value == "missing":
            del found[part][place][key]
        else:
            found[part][place][key] = None
        text = shown(found, folder)
        assert text.count("ases-dual-ent") > 2, f"{part}[{place}].{key}"


def test_any_list_may_be_missing_and_best_may_be_a_name_alone(make_run):
    folder = make_run(whole())
    for key in set(whole()) - {"arms"}:
        found = whole()
        del found[key]
        assert "ases-dual-ent" in shown(found, folder)
    found = whole()
    found["best"] = {"name": "direct"}
    assert "ases-dual-ent" in shown(found, folder)


def test_any_file_of_an_arm_may_be_missing_and_any_key_of_its_curves(make_run):
    folder = make_run(whole())
    place = folder / "arms/ases-dual-ent-seed1"
    for name in ("predictions.jsonl", "grades.jsonl", "curves.jsonl"):
        text = (place / name).read_text()
        (place / name).unlink()
        assert "ases-dual-ent" in shown(whole(), folder), name
        (place / name).write_text(text)
    rows = [json.loads(line) for line in (place / "curves.jsonl").read_text().splitlines()]
    for key in rows[0]:
        for value in (None, "missing"):
            changed = [{**row, "half": "ES", "seconds": 1.0} for row in rows]
            if value is None:
                changed[1][key] = None
            else:
                del changed[1][key]
            (place / "curves.jsonl").write_text("".join(json.dumps(row) + "\n" for row in changed))
            assert "ases-dual-ent" in shown(whole(), folder), key
