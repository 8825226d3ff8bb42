"""How the sequences of an update go through the model.

    Encoded → micro-batches (by length) → tensors

An update (`update_plan.py`) is cut by length into micro-batches. All share one normaliser, so that
the cut changes speed and memory, never the sum."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

from smallsteps.students.batching import batch_overhead, batches_by_length
from smallsteps.students.padding import pad

_ID_BYTES = array("i").itemsize


class Encoded:
    """One sequence as the model reads it. It never changes, and is kept in 4 bytes an id, since
    many sequences of a training are in memory: a tuple takes ten times as much."""

    __slots__ = ("_counted", "_source", "_target", "example_ids")

    def __init__(
        self,
        source: Iterable[int],
        target: Iterable[int],
        counted: Iterable[bool],
        example_ids: tuple[str, ...],
    ) -> None:
        self._source = array("i", source).tobytes()
        self._target = array("i", target).tobytes()
        self._counted = bytes(counted)
        self.example_ids = example_ids
        """The examples it trains: one, or (causal) those of one chain."""

    @property
    def source(self) -> tuple[int, ...]:
        """Encoder ids; empty for causal students."""
        return tuple(array("i", self._source))

    @property
    def target(self) -> tuple[int, ...]:
        """Decoder target with its end; causal: the whole sequence."""
        return tuple(array("i", self._target))

    @property
    def counted(self) -> tuple[bool, ...]:
        """For each target token, whether the loss counts it."""
        return tuple(map(bool, self._counted))

    def to_bytes(self) -> bytes:
        """The row as `from_bytes` reads it."""
        names = [name.encode("utf-8", "surrogatepass") for name in self.example_ids]
        parts = [self._source, self._target, self._counted, *names]
        head = array("i", (len(parts), *map(len, parts)))
        return b"".join((head.tobytes(), *parts))

    @classmethod
    def from_bytes(cls, content: bytes) -> Encoded:
        """The row that `to_bytes` wrote in a process of this machine."""
        (count,) = array("i", content[:_ID_BYTES])
        start = (1 + count) * _ID_BYTES
        parts = []
        for length in array("i", content[_ID_BYTES:start]):
            parts.append(content[start : start + length])
            start += length
        row = cls.__new__(cls)
        row._source, row._target, row._counted, *names = parts
        row.example_ids = tuple(name.decode("utf-8", "surrogatepass") for name in names)
        return row

    def _key(self) -> tuple[bytes, bytes, bytes, tuple[str, ...]]:
        return self._source, self._target, self._counted, self.example_ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Encoded) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        return f"Encoded({self.source}, {self.target}, {self.counted}, {self.example_ids})"

    @property
    def tokens(self) -> int:
        """Training tokens: source + target."""
        return (len(self._source) + len(self._target)) // _ID_BYTES

    @property
    def loss_tokens(self) -> int:
        """Target tokens that the loss counts."""
        return sum(self._counted)

    def weight(self, prompt_weight: float, all_tokens: bool = False) -> float:
        """What the sequence adds to the normaliser of its update: the sum of its tokens' weights,
        or (`all_tokens`) the number of tokens that have one."""
        if self._source or not prompt_weight:
            return self.loss_tokens
        # nothing comes before the first token, so nothing predicts it
        prompt = len(self._counted) - 1 - self.loss_tokens
        return self.loss_tokens + prompt * (1.0 if all_tokens else prompt_weight)


class Lengths(Protocol):
    """Anything with a source and a target: rows, and contrast items."""

    @property
    def source(self) -> Sequence[int]: ...

    @property
    def target(self) -> Sequence[int]: ...


L = TypeVar("L", bound=Lengths)


def share(members: Sequence[L], rank: int, world: int) -> list[L]:
    """What process `rank` of `world` processes takes of an update: rows sorted by length and dealt
    in turn, so that all get about the same."""
    return sorted(members, key=_size)[rank::world]


def _size(row: Lengths) -> tuple[int, int]:
    return len(row.source), len(row.target)


def micro_batches(rows: Sequence[L], limit: int, device_type: str = "cpu") -> list[list[L]]:
    """`rows` in batches by length of at most `limit` padded tokens each (a longer row is alone),
    cut so that a device of this type has them done soonest."""
    sizes = [_size(row) for row in rows]
    batches = batches_by_length(sizes, limit, overhead=batch_overhead(device_type))
    return [[rows[index] for index in batch] for batch in batches]


def level(batches: Sequence[list[L]], count: int, spare: L | None) -> list[tuple[list[L], float]]:
    """`batches`, each with the factor 1, and as many batches of `spare` alone with the factor 0 as
    make `count`: processes that share weights must make equally many passes.

    >>> level([["a", "b"]], 2, "c")
    [(['a', 'b'], 1.0), (['c'], 0.0)]
    """
    missing = count - len(batches)
    spares = [] if spare is None else [([spare], 0.0)] * missing
    return [*((batch, 1.0) for batch in batches), *spares]


class Packed(NamedTuple):
    """Where the rows of a packed sequence are (`packing.py`)."""

    positions: Tensor
    """int64 [1, tokens], from 0 in each row."""
    starts: Tensor
    """int32 [rows + 1]: where each row begins, and where the last one ends."""
    longest: int
    """Tokens of the longest row."""


class Batch(NamedTuple):
    """The tensors of one micro-batch, padded on the right; masks come from lengths, never from the
    padding id."""

    source: Tensor | None
    """int64 [batch, source]; None for causal students."""
    source_mask: Tensor | None
    """int64 [batch, source], 1 on real tokens."""
    inputs: Tensor
    """int64 [batch, target]: what the decoder (causal: the model) reads."""
    inputs_mask: Tensor
    """int64 [batch, target], 1 on real tokens."""
    labels: Tensor
    """int64 [counted]: the tokens to predict, row after row."""
    places: Tensor
    """int64 [counted]: the positions that predict them, counted through all rows of `inputs`."""
    weights: Tensor | None = None
    """float32 [counted]: what each weighs in the loss; None: one each."""
    packed: Packed | None = None
    """None: a row of `inputs` is a row. Else `inputs` is one sequence of all rows."""

    def to(self, device: torch.device) -> Batch:
        """The batch on `device`."""
        return Batch(*(moved(part, device) for part in self))

    @property
    def padded_tokens(self) -> int:
        return self.inputs.numel() + (0 if self.source is None else self.source.numel())


def collate(rows: Sequence[Encoded], start_id: int | None, prompt_weight: float = 0.0) -> Batch:
    """The tensors of `rows`. `start_id`: first decoder input; None for causal students, which read
    their own ids and whose prompt tokens weigh `prompt_weight`."""
    if start_id is None:
        inputs, mask = pad([row.target[:-1] for row in rows])
        labels, _ = pad([row.target[1:] for row in rows])
        counted, _ = pad([row.counted[1:] for row in rows])
        source = source_mask = None
    else:
        inputs, mask = pad([(start_id, *row.target[:-1]) for row in rows])
        labels, _ = pad([row.target for row in rows])
        counted, _ = pad([row.counted for row in rows])
        source, source_mask = pad([row.source for row in rows])
    flags = counted.bool()
    if start_id is None and prompt_weight:
        real = mask.bool()
        weights = torch.where(flags[real], 1.0, prompt_weight)
        return Batch(source, source_mask, inputs, mask, labels[real], _places(real), weights)
    return Batch(source, source_mask, inputs, mask, labels[flags], _places(flags))


def _places(flags: Tensor) -> Tensor:
    """Where `flags` are set, counted row after row, int64."""
    return flags.flatten().nonzero().squeeze(1)


def moved(part: Any, device: torch.device) -> Any:
    """A tensor of a batch, or a tuple of them, on `device`; the copy to a GPU is made while Python
    goes on. What is no tensor stays."""
    if isinstance(part, Tensor):
        pinned = part.pin_memory() if (part.device.type, device.type) == ("cpu", "cuda") else part
        return pinned.to(device, non_blocking=True)
    if isinstance(part, tuple):
        parts = (moved(inner, device) for inner in part)
        return type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)
    return part
