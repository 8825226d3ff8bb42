"""A set of examples as the student reads it, and what a pass over it shows: sources that are cut,
masks that count nothing, targets that the tokenizer garbles."""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from smallsteps import streams
from smallsteps.errors import TrainingError
from smallsteps.records import Example
from smallsteps.streams import hash64
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.training.batches import Encoded
from smallsteps.training.encode import by_question, encode
from smallsteps.training.encoded_rows import EncodedRows
from smallsteps.training.odd import Odd, chain_of, odd_chains, source_limit
from smallsteps.training.settings import TrainSettings

MAX_GARBLED_SHARE = 0.05
"""Share of targets that may come back changed from the tokenizer; above it, training is refused."""


@dataclass
class EncodedSet:
    """Examples as the student reads them, without those of odd chains."""

    rows: EncodedRows
    targets: Targets
    odd: list[Odd] = field(default_factory=list)
    """Chains that are left out."""
    chains: int = 0
    """All of them, the odd ones included."""
    truncated: int = 0
    """Sources cut at their front."""
    empty: int = 0
    """Targets that are just the end."""


def encoded_set(
    student: Student, examples: Collection[Example], settings: TrainSettings, task: Task
) -> EncodedSet:
    """The examples, read and encoded once. Raises TrainingError."""
    encoded = EncodedSet(EncodedRows(), Targets(student, task))
    keys = array("Q")
    for group in _groups(examples):
        odd = odd_chains(student, group, task, settings)
        left_out = {chain.chain for chain in odd}
        kept = [example for example in group if chain_of(example) not in left_out]
        for example in kept:
            encoded.targets.look(example)
        for whole in encode(student, task, kept):
            row = _cut(whole, settings, student)
            encoded.truncated += row is not whole
            _refuse_bad_mask(student, row)
            encoded.empty += row.loss_tokens == 1
            encoded.rows.add(row)
        encoded.odd += odd
        keys.extend(hash64(chain) for chain in {chain_of(example) for example in group})
    encoded.chains = len(np.unique(np.frombuffer(keys, dtype=np.uint64)))
    return encoded


def _groups(examples: Collection[Example]) -> Iterable[list[Example]]:
    """All examples, where they are few or a sequence: those of a chain may stand apart. Of many,
    those of a question that follow one another."""
    if isinstance(examples, Sequence) or len(examples) <= streams.KEPT:
        return [list(examples)]
    return by_question(examples)


def _cut(row: Encoded, settings: TrainSettings, student: Student) -> Encoded:
    """The row, or one without the front of a source that is over the limit: the newest words and
    the closing mark stay."""
    limit = source_limit(student, settings)
    if limit is None:
        return row
    if student.architecture == "encoder-decoder" and len(row.source) > limit:
        return Encoded(row.source[-limit:], row.target, row.counted, row.example_ids)
    if student.architecture == "causal" and len(row.target) > limit:
        first = row.counted.index(True) if True in row.counted else 0
        over = min(len(row.target) - limit, max(first - 1, 0))
        if over > 0:
            return Encoded((), row.target[over:], row.counted[over:], row.example_ids)
    return row


def _refuse_bad_mask(student: Student, row: Encoded) -> None:
    """A row must count at least one token and its last one, and (encoder-decoder) end in the end
    id."""
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


class Targets:
    """What a pass over examples shows of their targets."""

    def __init__(self, student: Student, task: Task) -> None:
        self._student, self._task = student, task
        self.examples = 0
        self.garbled = 0
        """Targets that come back changed from the tokenizer, white space apart."""
        self._first_garbled: tuple[Example, str] | None = None
        """With what comes back."""
        self.out_of_reach = 0
        """Targets that generation would cut: whole chains and segments have limits of their
        own."""
        self.most_segments = 0
        self.segment_limit = (student.drive.max_segments if student.drive else None) or (
            task.max_segments
        )
        self.beyond = 0
        """Chains of more segments than that."""
        self._back = lru_cache(maxsize=10_000)(self._text_back)

    def look(self, example: Example) -> None:
        """Counts an example."""
        self.examples += 1
        back = self._back(example.target)
        if back.split() != example.target.split():
            self.garbled += 1
            self._first_garbled = self._first_garbled or (example, back)
        task, whole = self._task, example.kind is None
        limit = task.max_chain_tokens if whole else task.max_segment_tokens
        ids = self._student.target_ids(task, example.target, example.last)
        self.out_of_reach += len(ids) > limit
        if example.last and not whole:
            segments = len(example.prefix) + 1
            self.most_segments = max(self.most_segments, segments)
            self.beyond += segments > self.segment_limit

    def _text_back(self, text: str) -> str:
        student = self._student
        ids = student.target_ids(self._task, text, False)
        return student.text([i for i in ids if i != student.end_id])

    def refuse_garbled(self) -> None:
        """Raises TrainingError where more than `MAX_GARBLED_SHARE` of the targets are garbled."""
        if self._first_garbled and self.garbled > MAX_GARBLED_SHARE * self.examples:
            example, back = self._first_garbled
            raise TrainingError(
                f"example {example.id}: the tokenizer turns {example.target!r} into {back!r}; it "
                f"changes {self.garbled} of {self.examples} targets. "
                "Use a student whose tokenizer knows this text."
            )
