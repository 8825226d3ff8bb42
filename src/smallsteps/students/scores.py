"""Entropy and loss of every token of a text, given its question: what the `ent`, `ent*` and `loss`
segmentations rest on.

One teacher-forced pass over the whole rationale R (AS-ES, Eq. 3), where the authors' code makes one
padded pass for each sub-sentence. Batches are filled by a budget of tokens from rows of similar
length. The vocabulary head runs on real target positions only and a few rows at a time, so that
batch x length x vocabulary never exists in memory: with the 250,112 words of mT5 it would take 8 GB
for 16 rows of 512.

A piece alone given its question (the authors' conditioning) is scored by passing the piece as the
text. The end of sequence is not scored. Not here: from tokens to sub-sentences
(`segments/score.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from smallsteps.students.student import Student
from smallsteps.students.t5 import T5Runner
from smallsteps.students.weights import DTYPES, merged
from smallsteps.tasks.base import Task

BATCH_TOKENS = {"cpu": 2048, "cuda": 32768}
"""Padded tokens, source and target, of one pass: what fits the caches of a CPU, and what fills a
GPU."""

HEAD_BYTES = 32 * 2**20
"""Float32 logits that exist at a time (and two more of that size while they are reduced)."""


class TokenScores(NamedTuple):
    """Per token of one text; nats."""

    entropy: list[float]
    """Of the distribution from which the token would be drawn."""
    loss: list[float]
    """Minus the log-probability of the token."""
    spans: list[tuple[int, int]]
    """Character offsets (start, end) of the token in the text as it was given."""


@dataclass(frozen=True)
class Item:
    """One text to score."""

    source: list[int]
    target: list[int]
    spans: list[tuple[int, int]]

    @property
    def size(self) -> int:
        return len(self.source) + len(self.target)


@torch.inference_mode()
def token_scores(
    student: Student,
    task: Task,
    pairs: Sequence[tuple[str, str]],
    *,
    batch_tokens: int | None = None,
    dtype: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[TokenScores]:
    """Scores of each (rendered question, text), in order; texts are read stripped, spans count in
    what was given.

    `batch_tokens`: padded tokens of one pass; None: what suits the device. dtype `bfloat16`:
    reduced precision (T5 only; others score in their own); sums are float32 in any case. `progress`
    is told the number of pairs done. Raises DataError where a pair is longer than the student
    reads. Puts the model into evaluation mode."""
    student.model.eval()
    items = [_item(student, task, question, text) for question, text in pairs]
    passes = _passes(student, dtype)
    found: dict[int, TokenScores] = {}
    for batch in _batches(items, batch_tokens or BATCH_TOKENS.get(student.device.type, 8192)):
        rows = [items[n] for n in batch]
        states = passes.states(rows)
        entropy, loss = _reduce(states, [t for row in rows for t in row.target], passes.head)
        start = 0
        for n, row in zip(batch, rows, strict=True):
            end = start + len(row.target)
            found[n] = TokenScores(entropy[start:end], loss[start:end], row.spans)
            start = end
        if progress:
            progress(len(found))
    return [found[n] if n in found else TokenScores([], [], []) for n in range(len(items))]


def _item(student: Student, task: Task, question: str, text: str) -> Item:
    source = student.source_ids(task, question)
    target, spans = student.encode_with_spans(text.strip())
    shift = len(text) - len(text.lstrip())
    name = f"question {question[:40]!r}"
    if student.architecture == "causal":
        student.require_room(source, name, new_tokens=len(target))
    else:
        for ids in (source, [*student.target_head, *target]):
            student.require_room(ids, name)
    return Item(source, target, [(start + shift, end + shift) for start, end in spans])


def _batches(items: Sequence[Item], batch_tokens: int) -> Iterator[list[int]]:
    """Places of `items`, by length, in batches whose padded size stays within the budget (one item
    at least)."""
    # targets of about the same length, and among these sources of about the same length
    order = sorted(
        range(len(items)), key=lambda n: (-(len(items[n].target) // 16), -len(items[n].source))
    )
    batch: list[int] = []
    source = target = 0
    for n in order:
        if not items[n].target:
            continue
        wider, longer = max(source, len(items[n].source)), max(target, len(items[n].target))
        if batch and (len(batch) + 1) * (wider + longer) > batch_tokens:
            yield batch
            batch, wider, longer = [], len(items[n].source), len(items[n].target)
        batch.append(n)
        source, target = wider, longer
    if batch:
        yield batch


def _reduce(
    states: Tensor, targets: Sequence[int], head: Callable[[Tensor], Tensor]
) -> tuple[list[float], list[float]]:
    """Entropy and loss at each position. `states`: [positions, d_model]."""
    # results are written into place: small tensors that outlive a chunk would each pin the freed
    # logits behind them,
    # and the heap would grow by a chunk each time
    entropy, loss = torch.empty(len(states)), torch.empty(len(states))
    wanted = torch.tensor(targets, device=states.device)
    start, rows = 0, 1  # the first row tells how large the vocabulary is
    while start < len(states):
        logits = head(states[start : start + rows]).float()
        end = start + len(logits)
        log_p = logits.log_softmax(-1)
        loss[start:end] = -log_p.gather(1, wanted[start:end, None]).squeeze(1)
        found = -torch.linalg.vecdot(torch.exp(log_p, out=logits), log_p)
        if found.isnan().any():
            # a token ruled out has probability 0 and log-probability -inf, whose product should
            # count as 0
            found = -torch.linalg.vecdot(logits, log_p.masked_fill_(log_p.isneginf(), 0.0))
        entropy[start:end] = found
        start, rows = end, max(1, HEAD_BYTES // (4 * logits.shape[-1]))
    return entropy.tolist(), loss.tolist()


class T5Passes:
    """T5 and mT5, on fused weights."""

    def __init__(self, student: Student, dtype: torch.dtype) -> None:
        assert student.start_id is not None
        self.start = student.start_id
        self.runner = T5Runner(merged(student.model), dtype)

    def states(self, rows: Sequence[Item]) -> Tensor:
        keys_values = self.runner.encode([row.source for row in rows])
        return self.runner.decode([[self.start, *row.target[:-1]] for row in rows], keys_values)

    def head(self, states: Tensor) -> Tensor:
        scored: Tensor = self.runner.head(states)
        return scored


class ModulePasses:
    """Any other student, through the modules of transformers."""

    def __init__(self, student: Student) -> None:
        self.student, self.model = student, base_model(student.model)
        self.config = self.model.config.get_text_config()

    def states(self, rows: Sequence[Item]) -> Tensor:
        """States [all real positions, d_model] from which each target token is predicted, rows
        after one another."""
        if self.student.architecture == "causal":
            ids, mask = _padded([[*row.source, *row.target[:-1]] for row in rows], self.student)
            hidden = getattr(self.model, self.model.base_model_prefix)(
                input_ids=ids, attention_mask=mask
            )[0]
            skipped = [len(row.source) - 1 for row in rows]
        else:
            ids, mask = _padded([row.source for row in rows], self.student)
            encoded = self.model.get_encoder()(input_ids=ids, attention_mask=mask)[0]
            head = [self.student.start_id, *self.student.target_head]
            # what lies beyond a row's end needs no mask: nothing before it can see it
            inputs, _ = _padded([[*head, *row.target[:-1]] for row in rows], self.student)
            decoder = self.model.get_decoder()
            hidden = decoder(
                input_ids=inputs, encoder_hidden_states=encoded, encoder_attention_mask=mask
            )[0]
            skipped = [len(head) - 1] * len(rows)
        real = zip(skipped, (len(row.target) for row in rows), strict=True)
        return torch.cat([hidden[n, skip : skip + count] for n, (skip, count) in enumerate(real)])

    def head(self, states: Tensor) -> Tensor:
        """Logits, with what the model classes do after the product."""
        logits: Tensor = self.model.get_output_embeddings()(states)
        bias = getattr(self.model, "final_logits_bias", None)  # BART
        if bias is not None:
            logits = logits + bias
        if scale := getattr(self.config, "logit_scale", None):  # Cohere
            logits = logits * scale
        if scale := getattr(self.config, "logits_scaling", None):  # Granite
            logits = logits / scale
        if cap := getattr(self.config, "final_logit_softcapping", None):  # Gemma 2
            logits = torch.tanh(logits / cap) * cap
        return logits


def _passes(student: Student, dtype: str | None) -> T5Passes | ModulePasses:
    if student.model.config.model_type in ("t5", "mt5"):
        return T5Passes(student, DTYPES[dtype] if dtype else student.dtype)
    return ModulePasses(student)


def base_model(model: Any) -> Any:
    """The model class of transformers, with adapters in place where there are any."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _real(lengths: Sequence[int], device: torch.device) -> Tensor:
    return (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).to(device)


def _padded(rows: Sequence[Sequence[Any]], student: Student) -> tuple[Tensor, Tensor]:
    mask = _real([len(row) for row in rows], student.device)
    ids = torch.full(mask.shape, student.pad_id, device=student.device)
    for n, row in enumerate(rows):
        ids[n, : len(row)] = torch.tensor(row)
    return ids, mask.long()
