"""Check and show what will be trained on, before the first update.

Silent mistakes of fine-tuning are caught here: targets without their end, empty loss masks, sources
longer than the student reads, chains that carry their stop sign in the middle, text that the
tokenizer garbles, validation problems that are trained on. Certain mistakes are refused with a
TrainingError that says what to do; the rest is counted and printed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from smallsteps.errors import TrainingError
from smallsteps.records import Example
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.training.batches import Encoded, micro_batches
from smallsteps.training.encoded_rows import EncodedRows
from smallsteps.training.encoded_set import encoded_set
from smallsteps.training.memory import most_tokens
from smallsteps.training.odd import WHERE, Odd, refuse_odd
from smallsteps.training.settings import TrainSettings
from smallsteps.training.update_plan import Plan, plan_updates

SHOWN = 3
"""Examples that are printed decoded."""


@dataclass(frozen=True)
class Preflight:
    """Figures of one training set."""

    examples: int
    sequences: int
    """Rows that the model reads: examples, or chains of causal students."""
    validation: int
    validation_left_out: int
    """Validation examples of chains left out."""
    updates: int
    planned_tokens: int
    """Training tokens of the whole run."""
    at_most: bool
    """Whether training may end before, at its plateau."""
    passes: float
    source_tokens: int
    """In one pass; causal: tokens that the loss does not count."""
    target_tokens: int
    """In one pass; causal: tokens that the loss counts."""
    padding_share: float
    """Share of padding in the micro-batches of the first updates."""
    truncated: int
    """Sources cut at their front."""
    odd: tuple[Odd, ...]
    """Chains left out whole, training and validation: over a limit, or with a stop sign before
    their end."""
    empty_targets: int
    """Targets that are just the end (a chain that opens with AS, for the ES model)."""
    garbled: int
    """Targets that come back changed from the tokenizer."""
    out_of_reach: int
    """Targets longer than the task lets the student write."""
    most_segments: int
    """Of a chain; 0: chains are whole."""
    segment_limit: int
    """Segments that the student may write."""
    beyond: int
    """Chains of more segments than that."""
    shown: tuple[tuple[str, str, str], ...]
    """(example ids, source, counted target) as the student reads them, decoded with all marks."""

    def lines(self) -> list[str]:
        """The report as lines of plain text."""
        plan = "plan: at most" if self.at_most else "plan:"
        out = [
            f"training on {self.examples:,} examples in {self.sequences:,} sequences; "
            f"validation {self.validation:,} examples ({self.validation_left_out:,} left out)",
            f"one pass: {self.source_tokens:,} source and {self.target_tokens:,} target tokens, "
            f"{100 * self.padding_share:.1f} % padding in micro-batches",
            f"{plan} {self.updates:,} updates, {self.planned_tokens:,} training tokens, "
            f"{self.passes:.2f} passes",
            f"end of sequence is in the loss of every target; {self.truncated:,} sources cut, "
            f"{self.empty_targets:,} empty targets, {self.garbled:,} targets changed by the "
            f"tokenizer, {self.out_of_reach:,} longer than the student may write",
            *self._segment_lines(),
            *odd_lines(self.odd),
        ]
        for ids, source, target in self.shown:
            out += [f"  {ids}", f"    reads   {source!r}", f"    writes  {target!r}"]
        return out

    def _segment_lines(self) -> list[str]:
        if not self.most_segments:
            return []
        return [
            f"segments: at most {self.most_segments} in a chain, the student may write "
            f"{self.segment_limit}; {self.beyond:,} chains have more"
        ]


@dataclass(frozen=True)
class Checked:
    """The result of `preflight`: what `fit` trains on."""

    report: Preflight
    train: EncodedRows
    validation: EncodedRows
    plan: Plan


def preflight(
    student: Student,
    train: Collection[Example],
    validation: Collection[Example],
    settings: TrainSettings,
    task: Task,
    seed: int = 0,
) -> Checked:
    """Encode both sets, refuse what cannot be trained on, and plan the updates. The sets are read
    several times, and need not be in memory. Raises TrainingError."""
    if not train:
        raise TrainingError(
            "no training examples: the set is empty. "
            "Check the split sizes and the `correct` fields of the data."
        )
    _refuse_overlap(train, validation)
    of_validation = encoded_set(student, validation, settings, task)
    of_train = encoded_set(student, train, settings, task)
    odd = [*of_train.odd, *of_validation.odd]
    refuse_odd(odd, of_train.chains + of_validation.chains, settings)
    if not of_train.targets.examples:
        raise TrainingError(
            f"no training example is left: all {len(odd):,} chains are left out, the first "
            f"because of {odd[0].reason}. Raise source_limit and target_limit, or set "
            f"overlong=truncate {WHERE}."
        )
    of_train.targets.refuse_garbled()
    rows, targets = of_train.rows, of_train.targets
    plan = plan_updates(rows.tokens, settings, seed)
    report = Preflight(
        examples=targets.examples,
        sequences=len(rows),
        validation=of_validation.targets.examples,
        validation_left_out=len(validation) - of_validation.targets.examples,
        updates=plan.updates,
        planned_tokens=plan.total_tokens,
        at_most=settings.until == "plateau",
        passes=plan.passes,
        source_tokens=sum(rows.tokens) - rows.loss_tokens,
        target_tokens=rows.loss_tokens,
        padding_share=(
            0.0 if settings.packing else _padding(rows, plan, settings, student.device.type)
        ),
        truncated=of_train.truncated,
        odd=tuple(odd),
        empty_targets=of_train.empty,
        garbled=targets.garbled,
        out_of_reach=targets.out_of_reach,
        most_segments=targets.most_segments,
        segment_limit=targets.segment_limit,
        beyond=targets.beyond,
        shown=tuple(_shown(student, row) for row in rows[:SHOWN]),
    )
    return Checked(report, rows, of_validation.rows, plan)


def _refuse_overlap(train: Iterable[Example], validation: Iterable[Example]) -> None:
    held_out = {example.problem_id for example in validation}
    both = {e.problem_id for e in train if e.problem_id in held_out} if held_out else set()
    if both:
        raise TrainingError(
            f"{len(both)} problems are in training and validation alike (first: {min(both)}). "
            "Split by question: all chains of a problem go to one side."
        )


def odd_lines(odd: Sequence[Odd]) -> list[str]:
    """How many chains are left out, and the first of them."""
    if not odd:
        return ["chains left out: 0"]
    early = sum(chain.setting == "early_stop" for chain in odd)
    return [
        f"chains left out: {len(odd):,} ({early:,} with a stop sign before their end, "
        f"{len(odd) - early:,} over a limit)",
        *(f"  {chain.reason}" for chain in odd[:SHOWN]),
        *(["  ..."] if len(odd) > SHOWN else []),
    ]


def _padding(
    rows: Sequence[Encoded], plan: Plan, settings: TrainSettings, device_type: str
) -> float:
    """Share of padding over the first updates, as one process cuts them."""
    real = padded = 0
    for update in range(min(plan.updates, 4)):
        members = [rows[i] for i in plan.members(update)]
        at_once = settings.micro_batch_tokens or most_tokens(device_type)
        for batch in micro_batches(members, at_once, device_type):
            sources = max(len(row.source) for row in batch)
            padded += len(batch) * (sources + max(len(row.target) for row in batch))
            real += sum(row.tokens for row in batch)
    return 1 - real / padded


def _shown(student: Student, row: Encoded) -> tuple[str, str, str]:
    """(ids, what is read, what is written) decoded with every special token visible."""
    decode = student.tokenizer.decode
    read = [token for token, counts in zip(row.target, row.counted, strict=True) if not counts]
    written = [token for token, counts in zip(row.target, row.counted, strict=True) if counts]
    return (
        ", ".join(row.example_ids),
        str(decode([*row.source, *read], skip_special_tokens=False)),
        str(decode(written, skip_special_tokens=False)),
    )
