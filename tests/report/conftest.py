"""A small run folder, as a run of three arms on four problems would leave it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from smallsteps.records import Grade, Prediction, Problem

Rows = Iterable[dict[str, Any]]
SEGMENTS = [
    ("ES", "Ann has 3 boxes with 4 pens each, "),
    ("AS", "so she has 12 pens. "),
    ("ES", "The answer is 12."),
]
OUTCOMES = {
    # per arm and problem: (graded value, how the chain ended)
    "direct": [(1, "stop_sign"), (0, "stop_sign"), (0, "limit"), (0, "stop_sign")],
    "ases-uni-inter": [(1, "stop_sign"), (1, "stop_sign"), (0, "stop_sign"), (0, "stop_sign")],
    "ases-uni-ent": [(1, "stop_sign"), (1, "stop_sign"), (1, "stop_sign"), (0, "empty")],
}


def write_rows(path: Path, rows: Rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )


def arm_row(name: str, value: float, **more: Any) -> dict[str, Any]:
    row = {
        "name": name,
        "seed": 0,
        "metric": "accuracy",
        "value": value,
        "low": value - 4.13,
        "high": value + 4.27,
    }
    row |= {"n": 500, "unparsed": 11, "train_tokens": 1_530_000, "passes": 11.25, "seconds": 91.0}
    row |= {
        "seconds_per_answer": 0.031,
        "stopped": {"stop_sign": 489, "end": 0, "limit": 9, "empty": 2},
    }
    return {
        **row,
        "student": f"arms/{name}-seed0/student",
        "signature": f"acc = {value:.1f} | n:500",
        **more,
    }


def results() -> dict[str, Any]:
    test = {
        "against": "direct",
        "seed": 0,
        "p_bootstrap": 0.0312,
        "p_mcnemar": 0.0004,
        "right_only": 71,
        "wrong_only": 37,
    }
    return {
        "title": "Pens",
        "command": "smallsteps compare pens.jsonl --out runs/pens",
        "arms": [
            arm_row("direct", 58.23),
            arm_row("ases-uni-inter", 66.41),
            arm_row("ases-uni-ent", 63.87),
        ],
        "comparisons": [
            {"arm": "ases-uni-inter", "difference": 8.18, "low": 2.71, "high": 13.64, **test},
            {"arm": "ases-uni-ent", "difference": 5.64, "low": -0.32, "high": 11.58, **test},
        ],
        "paper_protocol": [{"name": "direct", "metric": "accuracy", "value": 59.04}],
        "data": {"train": 1000, "validation": 200, "test": 500, "overlap": 0, "wrong": 7},
        "provenance": {
            "versions": {"torch": "2.13.0"},
            "commit": "b385efb",
            "seed": 0,
            "hardware": "2 CPU threads",
        },
        "best": {"name": "ases-uni-inter", "folder": "arms/ases-uni-inter-seed0/student"},
    }


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes the run folder; `text` stands in every generated chain, `gold=False`
    leaves gold out."""

    def make(
        found: dict[str, Any] | None = None, *, text: str = "so she has 12 pens.", gold: bool = True
    ) -> Path:
        found = results() if found is None else found
        folder = tmp_path / "run"
        folder.mkdir()
        (folder / "results.json").write_text(json.dumps(found), encoding="utf-8")
        ids = [f"p{i}" for i in range(4)]
        write_rows(
            folder / "problems.jsonl",
            (Problem(i, f"How many pens in {i}?", "12").to_row() for i in ids),
        )
        if gold:
            segments = [{"kind": kind, "text": piece} for kind, piece in SEGMENTS]
            words = [word + " " for _, piece in SEGMENTS for word in piece.split()]
            words[-1] = words[-1].strip()
            tokens = [{"text": word, "entropy": i / 10} for i, word in enumerate(words)]
            write_rows(
                folder / "gold.jsonl",
                ({"problem_id": i, "segments": segments, "tokens": tokens} for i in ids),
            )
        for row in found["arms"]:
            place = folder / "arms" / f"{row['name']}-seed{row['seed']}"
            outcomes = OUTCOMES.get(row["name"], OUTCOMES["direct"])
            predictions, grades = [], []
            for i, (value, stopped) in zip(ids, outcomes, strict=True):
                answer = None if stopped != "stop_sign" else "12" if value else "13"
                kinds = (
                    ((None, text),)
                    if row["name"] == "direct"
                    else (("ES", "Ann has 3 boxes,"), ("AS", text))
                )
                prediction = Prediction(
                    f"{i}-{row['name']}", i, text, kinds, answer, stopped, tokens=21
                )
                predictions.append(prediction.to_row())
                grades.append(
                    Grade(f"g-{i}", prediction.id, value, answer, "12", answer is not None).to_row()
                )
            write_rows(place / "predictions.jsonl", predictions)
            write_rows(place / "grades.jsonl", grades)
            write_rows(
                place / "curves.jsonl",
                (
                    {
                        "update": u,
                        "tokens": 1000 * u,
                        "train_loss": 3 / u,
                        "validation_loss": 4 / u,
                        "metric": 6.0 * u,
                    }
                    for u in range(1, 6)
                ),
            )
        return folder

    return make
