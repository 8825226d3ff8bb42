"""A small run folder, as a run of three arms on four problems would leave it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.results import (
    ArmResult,
    CurvePoint,
    MethodResults,
    RateResult,
    Results,
    read_results,
    write_results,
)
from smallsteps.experiment.run_facts import BestStudent, BudgetFacts, DataFacts, Provenance
from smallsteps.experiment.score_results import (
    ComparisonResult,
    FurtherComparison,
    FurtherResult,
    JoinedFurtherResult,
    PaperProtocolResult,
    Point,
    PointComparison,
    PointResult,
    PooledResult,
)
from smallsteps.methods.tailored.results import RoundResult
from smallsteps.records import Grade, Prediction, Problem
from smallsteps.report.page import write_page

Rows = Iterable[dict[str, Any]]
MakeRun = Callable[..., Path]
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


EVIL = "</script><img src=x onerror=\"document.title='hacked'\"><!-- <script>"
"""Text that breaks out of a page that does not escape it."""
FIGURE = Figure(value=50.0, low=45.0, high=55.0)


class Elements(HTMLParser):
    """Every start tag with its attributes, and the text outside script and style."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.inside = ""
        self.data = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = "chain-data" if dict(attrs).get("id") == "chain-data" else tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside == "chain-data":
            self.data += data
        elif self.inside not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words)).replace("−", "-")


def read(folder: Path) -> Elements:
    return Elements(write_page(folder).read_text(encoding="utf-8"))


def assert_no_markup(page: Elements) -> None:
    """No text of the run became an element, an attribute or a script."""
    unsafe = ("img", "iframe", "object", "embed", "link", "base")
    assert not [tag for tag, _ in page.tags if tag in unsafe]
    assert not [attrs for _, attrs in page.tags if any(key.startswith("on") for key in attrs)]
    scripts = [attrs.get("type") for tag, attrs in page.tags if tag == "script"]
    assert scripts == ["application/json", None]


def add_part(folder: Path, method: str, part: MethodResults) -> None:
    """Adds what a method reports to the results of the run."""
    write_results(folder, read_results(folder).model_copy(update={"methods": {method: part}}))


def printed(thing: object, width: int = 80) -> str:
    """What a console of this width shows."""
    console = Console(file=StringIO(), width=width)
    console.print(thing)
    return console.file.getvalue()  # type: ignore[attr-defined]


def arm_result(name: str, value: float, **more: Any) -> ArmResult:
    seed = more.get("seed", 0)
    fields = {
        "name": name,
        "method": "as-es" if name.startswith("ases") else "baselines",
        "seed": seed,
        "task": "numbers",
        "dataset": "test",
        "metric": "accuracy",
        "value": value,
        "low": value - 4.13,
        "high": value + 4.27,
        "n": 500,
        "unparsed": 11,
        "missing": 0,
        "left_out": 0,
        "stopped": {"stop_sign": 489, "end": 0, "limit": 9, "empty": 2},
        "decode": "greedy",
        "signature": f"acc = {value:.1f} | n:500",
        "train_tokens": 1_530_000,
        "passes": 11.25,
        "seconds": 91.0,
        "seconds_per_answer": 0.031,
        "tokens_per_answer": 21.0,
        "student": f"arms/{name}-seed{seed}/student",
        "folder": f"arms/{name}-seed{seed}",
    }
    return ArmResult(**{**fields, **more})


def round_result(**more: Any) -> RoundResult:
    """The untrained student of the arm direct."""
    fields = {
        "arm": "direct",
        "seed": 0,
        "round": 0,
        "exam": 33.25,
        "unfinished": 0.0,
        "unknown": 12.5,
        "validation": FIGURE,
        "test": FIGURE,
        "mistakes": 2,
        "questions": 3,
        "repaired": 0,
        "broken": 0,
        "calls": 0,
        "kept": 0,
        "teacher_tokens": 0,
        "train_tokens": 0,
        "all_tokens": 0,
        "usable": None,
    }
    return RoundResult(**{**fields, **more})


def pooled_result(name: str, value: float, **more: Any) -> PooledResult:
    """An arm over the seeds 0 and 1."""
    single = arm_result(name, value).model_dump(include=set(PooledResult.model_fields))
    return PooledResult(**{**single, "seeds": [0, 1], **more})


def further_result(test_set: str, name: str, value: float, **more: Any) -> FurtherResult:
    row = pooled_result(name, value, task=test_set.partition("/")[0], n=200)
    return FurtherResult(**{**row.model_dump(), "test_set": test_set, "seeds": [0], **more})


def further_results(*names: str, arm: str = "ases-uni-inter") -> dict[str, Any]:
    """Further test sets of the arms `direct` and `arm`, which is clearly better on the first set
    alone. With several sets, on all together too."""
    arms = ("direct", arm)
    differences = {name: 6.2 if name == names[0] else -0.4 for name in names}
    rows = [
        further_result(name, arm, 30.0 + (arm != "direct") * difference, unparsed=3)
        for name, difference in differences.items()
        for arm in arms
    ]
    of_sets: list[tuple[str | None, float]] = list(differences.items())
    if len(names) > 1:
        of_sets.append((None, 2.5))
    tests = [
        FurtherComparison(
            test_set=name,
            **comparison(arms[1], "direct", value, value - 3.1, value + 3.2, n=200).model_dump(),
        )
        for name, value in of_sets
    ]
    joined = [
        JoinedFurtherResult(
            name=arm, metric="accuracy", value=30.0, low=27.0, high=33.0, n=390, seeds=[0]
        )
        for arm in (arms if len(names) > 1 else ())
    ]
    return {"further_tests": rows, "further_comparisons": tests, "further_joined": joined}


def comparison(
    arm: str, against: str, difference: float, low: float, high: float, **more: Any
) -> ComparisonResult:
    fields = {
        "seed": 0,
        "p_bootstrap": 0.0312,
        "p_mcnemar": 0.0004,
        "only_arm_right": 71,
        "only_against_right": 37,
        "n": 500,
    }
    return ComparisonResult(
        arm=arm,
        against=against,
        difference=difference,
        low=low,
        high=high,
        **{**fields, **more},
    )


def results_of(*arms: ArmResult, **more: Any) -> Results:
    """The results of a run of these arms; nothing else is known of it."""
    fields = {
        "title": "",
        "arms": list(arms),
        "data": DataFacts(source="", task="numbers", train=1, validation=1, test=1, overlap=0),
        "budget": BudgetFacts(until="tokens", tokens=None),
        "best": None,
    }
    return Results(**{**fields, **more})


def results(**more: Any) -> Results:
    """Three arms at one seed, the two of AS-ES compared with direct."""
    return results_of(
        arm_result("direct", 58.23),
        arm_result("ases-uni-inter", 66.41),
        arm_result("ases-uni-ent", 63.87),
        **{
            "title": "Pens",
            "command": "smallsteps compare pens.jsonl --out runs/pens",
            "comparisons": [
                comparison("ases-uni-inter", "direct", 8.18, 2.71, 13.64),
                comparison("ases-uni-ent", "direct", 5.64, -0.32, 11.58),
            ],
            "paper_protocol": [
                PaperProtocolResult(
                    name="direct",
                    seed=0,
                    metric="accuracy",
                    value=59.04,
                    checkpoint="bleu",
                    values={"bleu": 59.04},
                )
            ],
            "data": DataFacts(
                source="pens.jsonl",
                task="numbers",
                train=1000,
                validation=200,
                test=500,
                overlap=0,
                wrong=7,
            ),
            "budget": BudgetFacts(until="tokens", tokens=1_500_000, passes=20.0),
            "best": BestStudent(
                name="ases-uni-inter",
                seed=0,
                folder="arms/ases-uni-inter-seed0/student",
                validation=65.5,
            ),
            "provenance": Provenance(
                versions={"torch": "2.13.0"},
                python="3.11.7",
                commit="b385efb",
                hardware="2 CPU threads",
                threads=None,
                started="2026-11-27T00:00:00Z",
                seconds=93.0,
                recipe="0260b3fa",
            ),
            **more,
        },
    )


def curve(*validation: float | None, tokens: int = 50_000, speed: float = 2e-4) -> list[CurvePoint]:
    """Evaluations of a training, one every `tokens` tokens; 25,000 tokens are a pass."""
    return [
        CurvePoint(
            tokens=tokens * place,
            passes=tokens * place / 25_000,
            seconds=tokens * place * speed,
            evaluation_seconds=2.0 * place,
            validation=value,
            validation_loss=2.0 / place,
        )
        for place, value in enumerate(validation, start=1)
    ]


def untrained(name: str, value: float, **more: Any) -> ArmResult:
    """An arm that trains nothing; on validation it is one point better."""
    nothing = {"train_tokens": None, "passes": None, "seconds": None, "student": None}
    return arm_result(name, value, **{**nothing, "validation": value + 1, **more})


def trained(name: str, value: float, *validation: float, **more: Any) -> ArmResult:
    """An arm with a curve, trained until its plateau."""
    points = curve(*validation)
    fields = {
        "train_tokens": points[-1].tokens,
        "passes": points[-1].passes,
        "seconds": points[-1].seconds,
        "validation": max(validation),
        "curve": points,
        "plateau": True,
        "learning_rate": 1e-3,
    }
    return arm_result(name, value, **{**fields, **more})


def point(
    point: Point, name: str, value: float, tokens: float = 100_000, n: int = 500
) -> PointResult:
    return PointResult(
        point=point,
        name=name,
        value=value,
        low=value - 4.13,
        high=value + 4.27,
        n=n,
        tokens=tokens,
        passes=tokens / 25_000,
        seconds=tokens * 2e-4,
    )


def point_comparison(
    point: Point, arm: str, difference: float, reach: float, against: str = "direct", **more: Any
) -> PointComparison:
    """arm minus against, with an interval that reaches as far on both sides."""
    test = comparison(arm, against, difference, difference - reach, difference + reach, **more)
    return PointComparison(**{**test.model_dump(), "point": point})


def plateau_results(**more: Any) -> Results:
    """Whole chains against segments, each trained until its plateau, beside the untrained student:
    whole chains lead at the small budget, segments at the end."""
    arms = [
        untrained("base", 12.4),
        trained("answer-only", 19.8, 8.0, 15.0, 19.0, 18.0, 20.0, 19.5, 20.0),
        trained(
            "direct", 39.2, 14.0, 31.0, 36.0, 38.0, 38.0, 37.0, 36.0, 38.0, seconds_per_answer=0.02
        ),
        trained("ases-uni-rouge", 41.4, 6.0, 18.0, 30.0, 37.0, 40.0, 42.0, 43.0, 42.0, 41.0, 42.0),
    ]
    search = [
        RateResult(
            learning_rate=5e-4, validation=12.0, validation_loss=1.2, tokens=40_000, seconds=8
        ),
        RateResult(
            learning_rate=1e-3, validation=15.0, validation_loss=1.1, tokens=40_000, seconds=8
        ),
        RateResult(
            learning_rate=1e-2,
            validation=None,
            validation_loss=None,
            tokens=8_000,
            seconds=2,
            diverged=True,
        ),
    ]
    arms = [
        arm if arm.name == "base" else arm.model_copy(update={"search": search}) for arm in arms
    ]
    points = [
        point("budget", "direct", 39.2, 200_000),
        point("budget", "answer-only", 18.0, 150_000),
        point("budget", "ases-uni-rouge", 34.0, 200_000),
        point("plateau", "direct", 39.2, 200_000),
        point("plateau", "answer-only", 19.8, 250_000),
        point("plateau", "ases-uni-rouge", 41.4, 350_000),
        point("passes", "direct", 39.2, 200_000),
        point("passes", "answer-only", 19.0, 150_000),
        point("passes", "ases-uni-rouge", 36.0, 200_000),
    ]
    tests = [
        point_comparison("budget", "answer-only", -21.2, 4.0),
        point_comparison("budget", "ases-uni-rouge", -5.2, 3.5),
        point_comparison("plateau", "answer-only", -19.4, 4.0),
        point_comparison("plateau", "ases-uni-rouge", 2.2, 3.1),
        point_comparison("passes", "answer-only", -20.2, 4.0),
        point_comparison("passes", "ases-uni-rouge", -3.2, 3.4),
    ]
    return results(
        **{
            "title": "Pens until the plateau",
            "arms": arms,
            "comparisons": [
                comparison("base", "direct", -26.8, -31.0, -22.0),
                comparison("answer-only", "direct", -19.4, -23.4, -15.4),
                comparison("ases-uni-rouge", "direct", 2.2, -0.9, 5.3),
            ],
            "points": points,
            "point_comparisons": tests,
            "paper_protocol": [],
            "budget": BudgetFacts(
                until="plateau",
                tokens=500_000,
                passes=20.0,
                smallest_plateau=200_000,
                equal_passes=8.0,
            ),
            "best": BestStudent(
                name="ases-uni-rouge",
                seed=0,
                folder="arms/ases-uni-rouge-seed0/student",
                validation=43.0,
            ),
            **more,
        }
    )


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes the run folder; `text` stands in every generated chain, `gold=False`
    leaves gold out."""

    def make(
        found: Results | None = None, *, text: str = "so she has 12 pens.", gold: bool = True
    ) -> Path:
        found = results() if found is None else found
        folder = tmp_path / "run"
        folder.mkdir()
        write_results(folder, found)
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
        for arm in found.arms:
            place = folder / arm.folder
            outcomes = OUTCOMES.get(arm.name, OUTCOMES["direct"])
            predictions, grades = [], []
            for i, (value, stopped) in zip(ids, outcomes, strict=True):
                answer = None if stopped != "stop_sign" else "12" if value else "13"
                kinds = (
                    ((None, text),)
                    if arm.name == "direct"
                    else (("ES", "Ann has 3 boxes,"), ("AS", text))
                )
                prediction = Prediction(
                    f"{i}-{arm.name}", i, text, kinds, answer, stopped, tokens=21
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
