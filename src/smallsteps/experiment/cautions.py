"""What a plan warns of before anything is trained: few updates, few test and validation problems.

A warning is one line for the whole run: what is small, what that means, and what to type."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from smallsteps.errors import counted
from smallsteps.evaluation.metrics import METRICS
from smallsteps.evaluation.significance import wilson_interval
from smallsteps.tasks.base import Task
from smallsteps.training.settings import SMALLEST_UPDATE, TrainSettings, suited_update

ENOUGH_UPDATES = 100
"""Updates below which a run warns. Measured: `direct` of the bundled students on 300 chains answers
nothing after 15 updates, one problem in twenty after 30, and most from 75 to 100 on, at 8 and at 16
examples per update alike (docs/training.md)."""
AIM = 1.05 * ENOUGH_UPDATES
"""Updates at which advice aims: a dry run estimates them from some of the chains."""
FEW_TEST_PROBLEMS = 100
"""Test problems below which intervals are called wide."""
FEW_VALIDATION_PROBLEMS = 30
"""Validation problems below which a run warns: they choose checkpoints and the best student."""


def typed(key: str, value: object, command: str) -> str:
    """How a key of the recipe is set on the command line that started the run (empty: Python).

    >>> typed("train.budget", 9000, "smallsteps compare a.jsonl"), typed("train.budget", 9000, "")
    ('--budget 9000', 'train.budget=9000')
    """
    if command.split()[1:2] != ["compare"]:
        return f"{key}={value}"
    if key in ("train.budget", "train.passes"):
        return f"--{key.removeprefix('train.')} {value}"
    return f"--set {key}={value}"


def few_chains(count: int, train: TrainSettings, noun: str = "chain") -> str:
    """A warning where there are fewer chains (or questions) to train on than examples in an update;
    else empty."""
    size = train.update_examples or SMALLEST_UPDATE
    if count >= size:
        return ""
    all_of_them = "the one there is" if count == 1 else "all of them"
    return (
        f"few {noun}s: {counted(count, noun)} to train on, fewer than the {size} examples of an "
        f"update. Every update repeats {all_of_them}, and a student learns by heart. Give more "
        f"{noun}s: some hundreds are a beginning"
    )


def few_updates(
    updates: Mapping[str, int],
    update_examples: int,
    train: TrainSettings,
    command: str,
    sequences: Callable[[], float],
) -> str:
    """A warning where a model makes few updates of `update_examples` examples; else empty.
    `updates`: label of each model → its updates. `sequences`: returns what `direct` reads in all
    its passes, which decides the size of updates where the recipe leaves it open; called only where
    there is a warning."""
    fewest = min(updates.values(), default=ENOUGH_UPDATES)
    if fewest >= ENOUGH_UPDATES:
        return ""
    advice = []
    smaller = update_examples
    while smaller > SMALLEST_UPDATE and fewest * update_examples / smaller < ENOUGH_UPDATES:
        smaller = max(SMALLEST_UPDATE, smaller // 2)
    if smaller < update_examples:
        gained = round(fewest * update_examples / smaller)
        size = typed("train.update_examples", smaller, command)
        advice.append(f"{size} (about {gained})")
    key, value = "passes", train.passes
    if train.budget is not None and train.until != "passes":
        key, value = "budget", train.budget
    more = _rounded_up(value * AIM / max(1, fewest))
    longer = typed(f"train.{key}", more, command)
    grows = suited_update(sequences() * more / value) > max(update_examples, SMALLEST_UPDATE)
    if grows and train.update_examples is None:
        # with so many sequences updates would become larger, and fewer again
        longer += f" {typed('train.update_examples', update_examples, command)}"
    advice.append(longer)
    return (
        f"few updates: a model makes {update_span(updates, update_examples)}. Fewer than "
        f"{ENOUGH_UPDATES} teach little: all arms may end near 0. For more, type "
        f"{' or '.join(advice)}"
    )


def update_span(updates: Mapping[str, int], update_examples: int) -> str:
    """Fewest and most updates of a model, with the names of these models.

    >>> update_span({"direct": 30, "ases-dual-rouge, AS half": 9}, 8)
    '9 (ases-dual-rouge, AS half) to 30 (direct) of 8 examples'
    >>> update_span({"direct": 30}, 8)
    '30 (direct) of 8 examples'
    """
    first, last = min(updates, key=updates.__getitem__), max(updates, key=updates.__getitem__)
    names = [first] if updates[first] == updates[last] else [first, last]
    span = " to ".join(f"{updates[name]:,} ({name})" for name in names)
    return f"{span} of {counted(update_examples, 'example')}"


def _rounded_up(number: float) -> int:
    """Two digits and noughts, not below `number`.

    >>> _rounded_up(61.2), _rounded_up(666_667)
    (62, 670000)
    """
    unit: int = 10 ** max(0, math.floor(math.log10(number)) - 1)
    return math.ceil(number / unit) * unit


def few_problems(test: int, validation: int, task: Task, command: str, bundled: bool) -> str:
    """A warning where test or validation problems are few, with the width of their intervals; else
    empty. A part without problems is no matter here. `bundled`: numbers decide how many there are,
    not files."""
    parts, advice = [], []
    if 0 < test < FEW_TEST_PROBLEMS:
        parts.append(f"{_width(test, task)}{counted(test, 'test problem')}")
        key, value = ("test_count", 300) if bundled else ("test", "FILE")
        advice.append(typed(f"data.{key}", value, command))
    if 0 < validation < FEW_VALIDATION_PROBLEMS:
        parts.append(
            f"{_width(validation, task)}{validation} for validation, which choose the best student"
        )
        key, value = ("validation_count", 150) if bundled else ("validation", "FILE")
        advice.append(typed(f"data.{key}", value, command))
    if not parts:
        return ""
    what = "a figure of 50 % has the 95 % interval " if _is_share(task) else "wide intervals over "
    more = "" if bundled else ", or give more data"
    return f"few problems: {what}{'; '.join(parts)}. For more, type {' '.join(advice)}{more}"


def _is_share(task: Task) -> bool:
    """Whether the task's figure is a share of right answers."""
    return task.metric in METRICS and METRICS[task.metric].binary


def _width(n: int, task: Task) -> str:
    """How sure a share over `n` problems is; empty for other figures."""
    if not _is_share(task):
        return ""
    low, high = wilson_interval(n / 2, n)
    return f"{100 * low:.0f} to {100 * high:.0f} over "
