"""Check and show what will be trained on, before the first update.

Silent mistakes of fine-tuning are caught here: targets without their end, empty loss masks, sources
longer than the student reads, chains that carry their stop sign in the middle, text that the
tokenizer garbles, validation problems that are trained on. Certain mistakes are refused with a
TrainingError that says what to do; the rest is counted and printed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from smallsteps.errors import TrainingError
from smallsteps.records import Example
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.training.batches import Encoded, Plan, micro_batches, plan_updates
from smallsteps.training.encode import encode
from smallsteps.training.memory import most_tokens
from smallsteps.training.odd import WHERE, Odd, chain_of, odd_chains, refuse_odd, source_limit
from smallsteps.training.settings import TrainSettings

SHOWN = 3
"""Examples that are printed decoded."""
MAX_GARBLED_SHARE = 0.05
"""Share of targets that may come back changed from the tokenizer; above it, training is refused."""


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
    train: tuple[Encoded, ...]
    validation: tuple[Encoded, ...]
    plan: Plan


def preflight(
    student: Student,
    train: Sequence[Example],
    validation: Sequence[Example],
    settings: TrainSettings,
    task: Task,
    seed: int = 0,
) -> Checked:
    """Encode both sets, refuse what cannot be trained on, and plan the updates. Raises
    TrainingError."""
    if not train:
        raise TrainingError(
            "no training examples: the set is empty. "
            "Check the split sizes and the `correct` fields of the data."
        )
    _refuse_overlap(train, validation)
    odd = odd_chains(student, [*train, *validation], task, settings)
    refuse_odd(odd, len({chain_of(e) for e in (*train, *validation)}), settings)
    left_out = {chain.chain for chain in odd}
    kept = [e for e in train if chain_of(e) not in left_out]
    if not kept:
        raise TrainingError(
            f"no training example is left: all {len(left_out):,} chains are left out, the first "
            f"because of {odd[0].reason}. Raise source_limit and target_limit, or set "
            f"overlong=truncate {WHERE}."
        )
    rows, truncated = _cut(encode(student, task, kept), settings, student)
    kept_validation = [e for e in validation if chain_of(e) not in left_out]
    validation_rows, _ = _cut(encode(student, task, kept_validation), settings, student)
    _refuse_bad_masks(student, validation_rows)
    empty = _refuse_bad_masks(student, rows)
    garbled = _garbled(student, task, kept)
    plan = plan_updates([row.tokens for row in rows], settings, seed)
    counted = sum(row.loss_tokens for row in rows)
    lengths = [len(e.prefix) + 1 for e in kept if e.kind is not None and e.last]
    limit = (student.drive.max_segments if student.drive else None) or task.max_segments
    report = Preflight(
        examples=len(kept),
        sequences=len(rows),
        validation=len(kept_validation),
        validation_left_out=len(validation) - len(kept_validation),
        updates=plan.updates,
        planned_tokens=plan.total_tokens,
        at_most=settings.until == "plateau",
        passes=plan.passes,
        source_tokens=sum(row.tokens for row in rows) - counted,
        target_tokens=counted,
        padding_share=(
            0.0 if settings.packing else _padding(rows, plan, settings, student.device.type)
        ),
        truncated=truncated,
        odd=tuple(odd),
        empty_targets=empty,
        garbled=garbled,
        out_of_reach=_out_of_reach(student, task, kept),
        most_segments=max(lengths, default=0),
        segment_limit=limit,
        beyond=sum(length > limit for length in lengths),
        shown=tuple(_shown(student, row) for row in rows[:SHOWN]),
    )
    return Checked(report, tuple(rows), tuple(validation_rows), plan)


def _refuse_overlap(train: Sequence[Example], validation: Sequence[Example]) -> None:
    both = sorted({e.problem_id for e in train} & {e.problem_id for e in validation})
    if both:
        raise TrainingError(
            f"{len(both)} problems are in training and validation alike (first: {both[0]}). "
            "Split by question: all chains of a problem go to one side."
        )


def _out_of_reach(student: Student, task: Task, examples: Sequence[Example]) -> int:
    """Targets that generation would cut: whole chains and segments have limits of their own."""
    limits = {True: task.max_segment_tokens, False: task.max_chain_tokens}
    return sum(
        len(student.target_ids(task, e.target, e.last)) > limits[e.kind is not None]
        for e in examples
    )


def _cut(
    rows: Sequence[Encoded], settings: TrainSettings, student: Student
) -> tuple[list[Encoded], int]:
    """Rows whose source is over the limit lose its front: the newest words and the closing mark
    stay."""
    limit = source_limit(student, settings)
    out, cut = [], 0
    for row in rows:
        if limit is None:
            out.append(row)
        elif student.architecture == "encoder-decoder" and len(row.source) > limit:
            source = row.source[-limit:]
            out.append(Encoded(source, row.target, row.counted, row.example_ids))
            cut += 1
        elif student.architecture == "causal" and len(row.target) > limit:
            first = row.counted.index(True) if True in row.counted else 0
            over = min(len(row.target) - limit, max(first - 1, 0))
            target, counted = row.target[over:], row.counted[over:]
            out.append(Encoded((), target, counted, row.example_ids))
            cut += over > 0
        else:
            out.append(row)
    return out, cut


def _refuse_bad_masks(student: Student, rows: Sequence[Encoded]) -> int:
    """Every row must count at least one token and its last one, and (encoder-decoder) end in the
    end id. Returns empty targets."""
    empty = 0
    for row in rows:
        name = row.example_ids[0]
        if not any(row.counted):
            raise TrainingError(
                f"example {name}: the loss counts none of its {len(row.target)} target tokens. "
                "Check its target."
            )
        if not row.counted[-1]:
            raise TrainingError(
                f"example {name}: the end of its target is not in the loss. "
                "Check the student's target_ids."
            )
        if student.architecture == "encoder-decoder" and row.target[-1] != student.end_id:
            raise TrainingError(
                f"example {name}: its target ends in id {row.target[-1]}, not in end-of-sequence "
                f"({student.end_id}), so the student would never learn to stop. "
                "Check the tokenizer's eos_token."
            )
        empty += row.loss_tokens == 1
    return empty


def _garbled(student: Student, task: Task, examples: Sequence[Example]) -> int:
    """How many targets come back changed (white space apart). Raises TrainingError above
    `MAX_GARBLED_SHARE`."""
    changed: list[tuple[Example, str]] = []
    for text, example in {e.target: e for e in examples}.items():
        ids = student.target_ids(task, text, False)
        back = student.text([i for i in ids if i != student.end_id])
        if back.split() != text.split():
            changed.append((example, back))
    counts = Counter(e.target for e in examples)
    total = sum(counts[example.target] for example, _ in changed)
    if total > MAX_GARBLED_SHARE * len(examples):
        example, back = changed[0]
        raise TrainingError(
            f"example {example.id}: the tokenizer turns {example.target!r} into {back!r}; it "
            f"changes {total} of {len(examples)} targets. "
            "Use a student whose tokenizer knows this text."
        )
    return total


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
