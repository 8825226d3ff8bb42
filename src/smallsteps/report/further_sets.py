"""The table of further test sets: each arm on each set, and on all of them together, beside its
paired difference from the baseline. Page, terminal and the formats for other programs read the same
rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smallsteps.experiment.results import Results
from smallsteps.experiment.score_results import (
    FurtherComparison,
    FurtherResult,
    JoinedFurtherResult,
)
from smallsteps.report.summaries import arm_names, baseline, main_comparisons

TOGETHER = "all sets"
"""The title of the questions of all sets."""
UNTESTED = (
    "no paired tests yet: an older smallsteps wrote these results; the run's command, typed again, "
    "adds them"
)


@dataclass(frozen=True)
class TestSet:
    """One column of the table."""

    __test__ = False  # for pytest: no class of tests

    name: str | None
    """In `data.also_test`; None: the questions of all sets."""
    metric: str
    n: int
    """Questions."""

    @property
    def title(self) -> str:
        return TOGETHER if self.name is None else self.name


@dataclass(frozen=True)
class SetCell:
    """An arm on one set, over all seeds."""

    value: float
    low: float
    high: float
    unparsed: int | None
    """Answers of all seeds; None: on all sets."""
    against: FurtherComparison | None
    """Its paired test; None: it is the baseline, or was not tested."""


@dataclass(frozen=True)
class SetRow:
    """An arm on all sets."""

    name: str
    seeds: Sequence[int]
    control: bool
    cells: Mapping[str | None, SetCell]
    """By the name of the set, without those that the arm has no figure for."""

    @property
    def against(self) -> str | None:
        """The arm that its differences are from; None: it was not tested."""
        return next((cell.against.against for cell in self.cells.values() if cell.against), None)


def further_names(results: Results) -> list[str]:
    """The further test sets in the order of the recipe."""
    return list(dict.fromkeys(row.test_set for row in results.further_tests))


def set_columns(results: Results) -> list[TestSet]:
    """The columns: each set, then all of them where they were joined."""
    first = {row.test_set: row for row in reversed(results.further_tests)}
    sets = [TestSet(name, first[name].metric, first[name].n) for name in further_names(results)]
    joined = results.further_joined[:1]
    return sets + [TestSet(None, row.metric, row.n) for row in joined]


def set_rows(results: Results) -> list[SetRow]:
    """One row an arm, in the order of the results; empty where there are no further test sets."""
    controls = {arm.name for arm in results.arms if arm.control}
    figures: list[FurtherResult | JoinedFurtherResult] = [
        *results.further_tests,
        *results.further_joined,
    ]
    tests = _main_tests(results)
    rows = []
    for name in arm_names(results):
        mine = [figure for figure in figures if figure.name == name]
        cells: dict[str | None, SetCell] = {}
        for figure in mine:
            of_set = figure if isinstance(figure, FurtherResult) else None
            test_set = None if of_set is None else of_set.test_set
            cells[test_set] = SetCell(
                value=figure.value,
                low=figure.low,
                high=figure.high,
                unparsed=None if of_set is None else of_set.unparsed,
                against=tests.get((name, test_set)),
            )
        if mine:
            rows.append(SetRow(name, mine[0].seeds, name in controls, cells))
    return rows


def _main_tests(results: Results) -> dict[tuple[str, str | None], FurtherComparison]:
    """(arm, set) → its test against the baseline, or the first one where there is none."""
    base = baseline(results)
    main: dict[tuple[str, str | None], FurtherComparison] = {}
    for test in results.further_comparisons:
        place = (test.arm, test.test_set)
        if place not in main or (test.against == base and main[place].against != base):
            main[place] = test
    return main


def untested(results: Results) -> str:
    """Why no arms are compared on further test sets though they are on the main one; empty: they
    are."""
    old = results.further_tests and main_comparisons(results) and not results.further_comparisons
    return UNTESTED if old else ""


def sets_section(results: Results) -> dict[str, Any]:
    """What `section-sets.html` shows; empty where there are no further test sets."""
    rows = set_rows(results)
    if not rows:
        return {}
    columns = set_columns(results)
    return {
        "columns": columns,
        "alike": len({column.metric for column in columns}) == 1,
        "rows": rows,
        "untested": untested(results),
        "baselines": list(dict.fromkeys(row.against for row in rows if row.against)),
        "unparsed": sum(cell.unparsed or 0 for row in rows for cell in row.cells.values()),
    }
