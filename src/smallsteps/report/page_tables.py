"""The tables of the page: results of all arms, paired tests, figures behind the curves, and
everything without a section of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from smallsteps.evaluation.metrics import metric_name
from smallsteps.experiment.result_record import ResultRecord
from smallsteps.experiment.results import ArmResult, Results
from smallsteps.experiment.run_facts import BudgetFacts, DataFacts
from smallsteps.experiment.so_far import RunSoFar
from smallsteps.methods.guided.results import GuidedResults
from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.report import figures
from smallsteps.report.columns import Column, Table
from smallsteps.report.formats import number
from smallsteps.report.run import Row, ShownArm
from smallsteps.report.run_settings import differing_settings, labels
from smallsteps.report.samples import evenly
from smallsteps.report.summaries import ArmSummary, excludes_zero, summaries

MOST_CURVE_ROWS = 100
"""Rows of one arm and seed in the table behind the curves."""
MOST_TABLE_ROWS = 1_000
"""Rows of all arms and seeds in that table, but at least ten of each."""


def result_groups(results: Results, colours: Mapping[str, int]) -> list[dict[str, Any]]:
    """One group per arm: its row over all seeds, the rows of several seeds, bars on one common
    scale."""
    arms = summaries(results)
    rows: list[ArmSummary | ArmResult] = [*results.arms, *arms]
    low = min((min(row.low, row.value) for row in rows), default=0.0)
    high = max((max(row.high, row.value) for row in rows), default=100.0)
    domain = (low, high) if low < high else (low - 1, high + 1)

    def drawn(row: ArmSummary | ArmResult) -> dict[str, Any]:
        bar = figures.interval_bar(row.value, row.low, row.high, domain, colour=colours[row.name])
        return {"arm": row, "bar": bar, "endings_bar": figures.endings_bar(row.stopped)}

    return [
        {
            "row": drawn(arm),
            "seeds": [drawn(single) for single in arm.seeds] if len(arm.seeds) > 1 else [],
            "domain": domain,
        }
        for arm in arms
    ]


def filled_costs(results: Results) -> dict[str, bool]:
    """Which columns of cost any arm fills; the others are left out."""
    names = ("train_tokens", "passes", "seconds", "teacher_tokens", "learning_rate")
    return {name: any(getattr(arm, name) is not None for arm in results.arms) for name in names}


def comparison_rows(results: Results, colours: Mapping[str, int]) -> list[dict[str, Any]]:
    """The paired tests, those over all seeds first, each with a bar around zero."""
    tests = [*results.pooled_comparisons, *results.comparisons]
    reach = max((abs(v) for t in tests for v in (t.difference, t.low, t.high)), default=0.0) or 1.0
    rows = []
    for test in tests:
        bar = figures.interval_bar(
            test.difference,
            test.low,
            test.high,
            (-reach, reach),
            colour=colours[test.arm],
            zero=True,
        )
        rows.append({"test": test, "bar": bar, "excludes_zero": excludes_zero(test)})
    return rows


def curve_rows(rows: Sequence[Row], most: int = MOST_CURVE_ROWS) -> list[Row]:
    """At most `most` rows of a curve: evaluations first, then updates between them."""
    evaluations = [
        n
        for n, row in enumerate(rows)
        if row.get("validation_loss") is not None or row.get("metric") is not None
    ]
    room = max(0, most - len(evaluations))
    picked = {*evenly(evaluations, most), *evenly(range(len(rows)), room)}
    return [rows[n] for n in sorted(picked)] if len(rows) > most else list(rows)


def curve_table(arms: Sequence[ShownArm], metric: str) -> Table:
    """The figures behind the curves; seeds stand in it where there are several."""
    most = min(MOST_CURVE_ROWS, max(10, MOST_TABLE_ROWS // max(1, len(arms))))
    rows = [(arm, row) for arm in arms for row in curve_rows(arm.curves, most)]
    several = len({arm.seed for arm in arms}) > 1
    columns = [
        Column("seed", [str(arm.seed) if several else "" for arm, _ in rows]),
        *(
            Column(name.replace("_", " "), [plain(row.get(name)) for _, row in rows])
            for name in ("update", "tokens")
        ),
        *(
            Column(label, [number(row.get(name), digits) for _, row in rows])
            for name, label, digits in (
                ("train_loss", "training loss", 4),
                ("validation_loss", "validation loss", 4),
                ("metric", metric_name(metric), 1),
                ("seconds", "seconds", 1),
            )
        ),
    ]
    table = Table("Figures of the curves", [arm.name for arm, _ in rows], columns, small=True)
    return table.filled()


def method_facts(results: Results) -> dict[str, Any]:
    """What a method reports that the page has no section for: phrase → value."""
    shown: dict[str, Any] = {}
    for method, part in results.methods.items():
        if not isinstance(part, TailoredResults | GuidedResults):
            shown |= {f"{method}: {name}": value for name, value in known_fields(part).items()}
    return shown


def runs_table(runs: Sequence[RunSoFar]) -> Table:
    """The runs that a page joins: what each learnt from, and who made it."""
    seeds = [dict.fromkeys(arm.seed for arm in run.results.arms) for run in runs]
    made = [run.results.provenance for run in runs]
    columns = [
        Column("folder", [str(run.folder) for run in runs]),
        Column("state", [run.state for run in runs]),
        Column("training data", [run.results.data.source for run in runs]),
        Column("trained on", [f"{run.results.data.train:,}" for run in runs]),
        Column("seeds", [", ".join(map(str, of_run)) for of_run in seeds]),
        Column("started (UTC)", ["–" if p is None else p.started for p in made]),
        Column("hardware", ["–" if p is None else p.hardware for p in made]),
        Column("recipe", ["–" if p is None else p.recipe for p in made]),
    ]
    titles = [run.results.title or run.folder.resolve().name for run in runs]
    return Table("Runs", titles, columns, first_header="Run").filled()


def settings_table(runs: Sequence[RunSoFar]) -> Table | None:
    """The settings in which joined runs differ, with the value in each; None: they are the same."""
    rows = differing_settings(runs)
    if not rows:
        return None
    names = labels([run.folder for run in runs])
    columns = [
        Column(name, [row.values[place] for row in rows]) for place, name in enumerate(names)
    ]
    keys = [row.key for row in rows]
    return Table("Settings that differ", keys, columns, first_header="Setting", small=True)


DATA_PHRASES = {
    "source": "source",
    "task": "task",
    "train": "trained on",
    "validation": "for validation",
    "test": "test problems",
    "overlap": "questions in two parts",
    "chains": "chains read or made",
    "wrong": "left out: their answer is wrong",
    "closed": "ended without stating the answer, a closing sentence was added",
    "contradicting": "of these, chains whose last number is not the answer",
    "odd": "left out: too long, or the answer stated before the end",
    "used": "feedback: rows used",
    "unused": "feedback: rows not used",
    "learnt": "feedback: chains to learn from",
    "rejected": "feedback: chains judged wrong, negatives of tailored learning",
    "new_questions": "feedback: questions added to those trained on",
    "removed": "feedback: training chains left out, as judged wrong",
}
"""Field of the facts on data → what it counts, for the page."""
BUDGET_PHRASES = {
    "until": "training ends by",
    "tokens": "training tokens of an arm, at most",
    "passes": "passes (setting)",
    "update_examples": "examples per update",
    "smallest_plateau": "tokens of the point “small budget”",
    "equal_passes": "passes of the point “equal passes”",
}
"""Field of the facts on the budget → what it is, for the page."""


def data_facts(data: DataFacts) -> dict[str, Any]:
    """What is known of the data: phrase → value. Feedback stands among the others."""
    known = known_fields(data)
    if not data.validation:
        known["validation"] = "none"
    known |= {name: value for name, value in known.pop("feedback", {}).items() if value != {}}
    return {DATA_PHRASES[name]: value for name, value in known.items()}


def budget_facts(budget: BudgetFacts) -> dict[str, Any]:
    """What is known of the budget: phrase → value."""
    return {BUDGET_PHRASES[name]: value for name, value in known_fields(budget).items()}


def known_fields(record: ResultRecord) -> dict[str, Any]:
    """The fields of a record that are not null."""
    return {name: value for name, value in record.model_dump().items() if value is not None}


def plain(value: Any) -> str:
    """Any value of a record as text: 0.25 → "0.25", lists and objects on one line.

    >>> plain({"torch": "2.13.0", "seeds": [0, 1], "commit": None})
    'torch 2.13.0, seeds 0, 1, commit –'
    """
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(item)}" for key, item in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(plain(item) for item in value)
    return str(value)
