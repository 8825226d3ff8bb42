"""Odd chains: chains that cannot be trained on as they are. They are found before the first update
and left out whole.

A chain is odd if a segment carries the stop sign although the chain goes on (the student would
learn to stop early), or if a source or a target is over its limit. Real data have a few of them: 22
of 7,000 GSM8K chains say "the answer is 40" before their end. A few are left out and counted; above
`MAX_ODD_SHARE` something is wrong with the data, the split or the limits, and training is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from smallsteps.errors import TrainingError
from smallsteps.records import Example
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.training.settings import TrainSettings

WHERE = "(compare: --set train.KEY=VALUE; run: train.KEY=VALUE; Python: TrainSettings)"
"""How to set a field of `TrainSettings`."""

MAX_ODD_SHARE = 0.02
"""Share of chains that is left out without an explicit setting."""

Setting = Literal["early_stop", "overlong"]


@dataclass(frozen=True)
class Odd:
    """A chain that cannot be trained on as it is."""

    chain: str
    """Id of its rationale."""
    setting: Setting
    """The field of `TrainSettings` that decides what happens to it."""
    reason: str
    """The example, what was found, what was expected."""
    advice: str
    """What to change."""


def chain_of(example: Example) -> str:
    """Id of the chain that an example was made of, as `segments.examples` names both.

    >>> chain_of(Example("gsm8k-7/0", "gsm8k-7", "?", (), "The answer is 7.", kind="ES"))
    'gsm8k-7'
    """
    if example.kind is None:
        return example.id.removesuffix("/whole")
    return example.id.rpartition("/")[0] or example.id


def odd_chains(
    student: Student, examples: Iterable[Example], task: Task, settings: TrainSettings
) -> list[Odd]:
    """The odd chains among those of `examples`, in their order, each with the first reason."""
    odd_by_chain: dict[str, Odd] = {}
    for example in examples:
        chain = chain_of(example)
        if chain in odd_by_chain:
            continue
        odd = _early_stop(example, chain, task)
        odd = odd or _overlong(student, example, chain, task, settings)
        if odd is not None:
            odd_by_chain[chain] = odd
    return list(odd_by_chain.values())


def _early_stop(example: Example, chain: str, task: Task) -> Odd | None:
    """A segment that ends a chain by its text although more follows."""
    if example.kind is None or example.last or not task.ends_chain(example.target):
        return None
    return Odd(
        chain,
        "early_stop",
        f"example {example.id}: the target carries the stop sign of task {task.name} but is not "
        f"the chain's last segment: {example.target!r}",
        "Correct these chains, or leave them all out by early_stop=drop",
    )


def _overlong(
    student: Student, example: Example, chain: str, task: Task, settings: TrainSettings
) -> Odd | None:
    """A source or a target over a limit. Sources that may be cut count as fitting."""
    causal = student.architecture == "causal"
    cue = example.kind if causal else example.cue
    source = len(student.source_ids(task, example.question, example.prefix, cue))
    target = len(student.target_ids(task, example.target, example.last))
    if settings.target_limit is not None and target > settings.target_limit:
        return Odd(
            chain,
            "overlong",
            f"example {example.id}: target of {target} tokens, "
            f"the limit is {settings.target_limit}",
            "Targets are never cut, since they would lose their end: raise target_limit, or leave "
            "such chains out by overlong=drop",
        )
    if causal:
        source += target  # positions are shared
    limit = source_limit(student, settings)
    if limit is None or source <= limit or settings.overlong == "truncate":
        return None
    what = "sequence" if causal else "source"
    return Odd(
        chain,
        "overlong",
        f"example {example.id}: {what} of {source} tokens, the student reads {limit}",
        "Raise source_limit if the student allows it, or leave such chains out by overlong=drop, "
        "or cut them by overlong=truncate",
    )


def source_limit(student: Student, settings: TrainSettings) -> int | None:
    """Most tokens of a source (causal: of a sequence); None: no limit."""
    limits = (student.max_source_tokens, settings.source_limit)
    return min((limit for limit in limits if limit is not None), default=None)


def refuse_odd(odd: Sequence[Odd], chains: int, settings: TrainSettings) -> None:
    """Raises TrainingError if the settings do not allow to leave out the `odd` ones of `chains`
    chains."""
    for name, policy in (("early_stop", settings.early_stop), ("overlong", settings.overlong)):
        matching = [chain for chain in odd if chain.setting == name]
        few = policy == "few" and len(matching) <= MAX_ODD_SHARE * chains
        if not matching or policy == "drop" or few:
            continue
        limit = ""
        if policy == "few":
            limit = f", more than the {100 * MAX_ODD_SHARE:g} % that are left out by default"
        first = matching[0]
        raise TrainingError(
            f"{first.reason} ({len(matching)} of {chains} chains are like this{limit}). "
            f"{first.advice} {WHERE}."
        )
