"""The verdict on arms that were trained until their plateau: which of two arms is better at a small
budget, at the plateau and at equal passes, and what answers cost.

The rules:

    which two    the arm that validation chose, and the arm that it was tested against (the
                 baseline); where the baseline itself was chosen, the arm that is best on validation
                 among those tested against it. Controls are never one of the two.
    clear        a point names a winner only where the interval of the paired difference excludes
                 zero: "direct leads by 5.2 points [1.7, 8.7]"
    not clear    else: "no clear difference, +2.2 points [−0.9, +5.3]", first arm minus second
    crossing     only where small budget and plateau have clear winners that differ
    chains       in a sweep over the number of training chains: the outcome at the plateau for each
                 number, in the place of the points
    answers      their time is named where it differs by more than a tenth
    cap          an arm of the two that came to the cap before its plateau is named
    untrained    the best arm that trains nothing is named with its figure, first of all the one
                 that validation chose. Whether it is better or worse than the baseline is said by
                 their paired test alone.
    labels       an arm of the two that is cut by labels of the data is called a ceiling for data
                 without labels
    few          below 100 test problems, the sentence says that intervals are wide

Figures of arms are never compared without their paired test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from smallsteps.evaluation.metrics import metric_name
from smallsteps.experiment.cautions import FEW_TEST_PROBLEMS
from smallsteps.experiment.results import Results
from smallsteps.experiment.score_results import Point, PointComparison
from smallsteps.report.arm_texts import arm_mark
from smallsteps.report.formats import amount, measure, number
from smallsteps.report.points_table import POINTS, validation_of
from smallsteps.report.summaries import (
    ArmSummary,
    Difference,
    better,
    chosen_on_validation,
    difference_between,
    main_comparisons,
    summaries,
    tested_against,
)
from smallsteps.report.sweeps import by_chains, swept

SAME_TIME = 1.5
"""Answers that differ by less than this factor in time are not told apart: on a busy machine the
same command gave 1.1, 1.2 and 1.5."""


def answers_clause(first: ArmSummary, second: ArmSummary) -> str:
    """How long the first arm's answers take beside the second's; empty where about as long."""
    if not (first.seconds_per_answer > 0 and second.seconds_per_answer > 0):
        return ""
    ratio = first.seconds_per_answer / second.seconds_per_answer
    if 1 / SAME_TIME <= ratio <= SAME_TIME:
        return ""
    if ratio > 1:
        return f"An answer of {first.name} takes {number(ratio)} times as long."
    return f"An answer of {second.name} takes {number(1 / ratio)} times as long."


def few_clause(n: int) -> str:
    """A warning where test problems are few; else empty."""
    return f"Only {n} test problems: the intervals are wide." if 0 < n < FEW_TEST_PROBLEMS else ""


def labels_clause(*names: str) -> str:
    """Says which of the arms is cut by labels that the data came with; else empty."""
    cut = [name for name in names if name.startswith("ases-")]
    oracles = [name for name in cut if arm_mark(name, control=False) == "ceiling"]
    if not oracles:
        return ""
    verb = "are" if len(oracles) > 1 else "is"
    return (
        f"{' and '.join(oracles)} {verb} cut by labels of the data: a ceiling for data without "
        "them."
    )


def point_verdict(results: Results) -> tuple[list[str], bool | None] | None:
    """(sentences, whether the difference at the plateau is clear); None where no arm was trained
    until its plateau. The first sentence says which two arms are compared."""
    arms = {arm.name: arm for arm in summaries(results)}
    trained = [name for name in dict.fromkeys(p.name for p in results.points) if name in arms]
    usable = [name for name in trained if not arms[name].control and arms[name].train_tokens]
    if not usable:
        return None
    best = chosen_on_validation(results)
    first = max(usable, key=lambda name: (name == best, validation_of(results, name)))
    second = _other(results, first, usable)
    if second is None:
        sentences, clear = [_alone(results, first)], None
    else:
        sentences, clear = _compared(results, arms[first], arms[second], chosen=first == best)
    pair = [first] if second is None else [first, second]
    sentences += [
        _capped(results, [arms[name] for name in pair]),
        _untrained(results, list(arms.values())),
        labels_clause(*pair),
        few_clause(arms[first].n),
    ]
    return list(filter(None, sentences)), clear


def _compared(
    results: Results, first: ArmSummary, second: ArmSummary, *, chosen: bool
) -> tuple[list[str], bool | None]:
    """(what is said of the two, whether their difference at the plateau is clear)."""
    differences = {
        point: difference
        for point in POINTS
        if (
            difference := difference_between(
                _at(results.point_comparisons, point), first.name, second.name
            )
        )
        is not None
    }
    sentences = [_intro(first, second, chosen=chosen)]
    sentences += _for_each_size(results, first, second) or [
        f"{_title(results, point)}: {_outcome(difference, first.name, second.name, first.metric)}."
        for point, difference in differences.items()
    ]
    if _crosses(differences):
        sentences.append("So it depends on the budget which of the two is better.")
    sentences.append(answers_clause(first, second))
    at_plateau = differences.get("plateau")
    return sentences, None if at_plateau is None else at_plateau.clear


def _for_each_size(results: Results, first: ArmSummary, second: ArmSummary) -> list[str]:
    """In a sweep over the number of training chains, the outcome at the plateau for each number;
    else nothing."""
    families = by_chains(list(dict.fromkeys(point.name for point in results.points)))
    sizes = {name: sizes for sizes in families.values() for name in sizes.values()}
    firsts, others = sizes.get(first.name, {}), sizes.get(second.name, {})
    shared = [size for size in firsts if size in others and size > 0]
    if len(shared) < 2:
        return []
    tests = _at(results.point_comparisons, "plateau")
    sentences = []
    for size in shared:
        difference = difference_between(tests, firsts[size], others[size])
        if difference is not None:
            names = (swept(first.name)[0], swept(second.name)[0])
            sentences.append(f"{size:,.0f} chains: {_outcome(difference, *names, first.metric)}.")
    return sentences


def _at(tests: Sequence[PointComparison], point: Point) -> list[PointComparison]:
    return [test for test in tests if test.point == point]


def _other(results: Results, first: str, usable: Sequence[str]) -> str | None:
    """The arm that `first` is compared with: the one that it was tested against, else the best on
    validation of those that were tested against it."""
    tests = results.point_comparisons
    forward = [test.against for test in tests if test.arm == first]
    rivals = [name for name in (forward or tested_against(tests, first)) if name in usable]
    return max(rivals, key=lambda name: validation_of(results, name), default=None)


def _intro(first: ArmSummary, second: ArmSummary, *, chosen: bool) -> str:
    why = ", best on validation," if chosen else ""
    seeds = f", {len(first.seeds)} seeds" if len(first.seeds) > 1 else ", one seed"
    return (
        f"{first.name}{why} compared with {second.name}: {metric_name(first.metric)} on "
        f"{first.n:,} test problems{seeds}, 95 % intervals in brackets."
    )


def _alone(results: Results, name: str) -> str:
    point = next(
        (p for p in results.points if p.name == name and p.point == "plateau"), results.points[0]
    )
    metric = results.arms[0].metric
    interval = f"[{number(point.low)}, {number(point.high)}]"
    return (
        f"{name}, trained to the plateau ({amount(point.tokens)} tokens), reaches "
        f"{measure(point.value, metric)} {interval} on {point.n:,} test problems."
    )


def _title(results: Results, point: Point) -> str:
    if point == "budget":
        return f"Small budget ({amount(results.budget.smallest_plateau)} training tokens)"
    if point == "passes":
        return f"Equal passes ({number(results.budget.equal_passes)})"
    return "Trained to the plateau"


def _outcome(difference: Difference, first: str, second: str, metric: str) -> str:
    low, high = difference.low, difference.high
    if not difference.clear:
        interval = f"[{number(low, sign=True)}, {number(high, sign=True)}]"
        return f"no clear difference, {number(difference.value, sign=True)} points {interval}"
    if difference.value < 0:
        low, high = -high, -low
    winner = first if better(difference.value, 0.0, metric) else second
    points = number(abs(difference.value))
    return f"{winner} leads by {points} points [{number(low)}, {number(high)}]"


def _crosses(differences: Mapping[Point, Difference]) -> bool:
    """Whether small budget and plateau have clear winners that differ."""
    small, end = differences.get("budget"), differences.get("plateau")
    if small is None or end is None or not (small.clear and end.clear):
        return False
    return (small.value > 0) != (end.value > 0)


def _capped(results: Results, pair: Sequence[ArmSummary]) -> str:
    names = [arm.name for arm in pair if any(seed.plateau is False for seed in arm.seeds)]
    if not names:
        return ""
    cap = results.budget.tokens
    limit = f"the cap of {amount(cap)} tokens" if cap else "the cap"
    return f"{' and '.join(names)} came to {limit} before a plateau: more training may change this."


def _untrained(results: Results, arms: Sequence[ArmSummary]) -> str:
    levels = [arm for arm in arms if not arm.train_tokens and not arm.control]
    if not levels:
        return ""
    level = levels[0]
    for other in levels[1:]:
        level = other if better(other.value, level.value, level.metric) else level
    best = chosen_on_validation(results)
    level = next((arm for arm in levels if arm.name == best), level)
    text = f"Without training, {level.name} reaches {measure(level.value, level.metric)}"
    if level.name == best:
        text = f"No trained arm is better on validation than {level.name}, which reaches "
        text += f"{measure(level.value, level.metric)} without training"
    test = next((t for t in main_comparisons(results) if t.arm == level.name), None)
    if test is None:
        return f"{text}."
    difference = Difference.of(test, level.name)
    if not difference.clear:
        return f"{text}, not clearly different from {test.against}."
    side = "better" if better(difference.value, 0.0, level.metric) else "worse"
    return f"{text}, clearly {side} than {test.against}."
