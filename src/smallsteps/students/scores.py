"""Entropy and loss of every token of a text given its question: the basis of the `ent`, `ent*` and
`loss` segmentations.

One teacher-forced pass over the whole rationale R (AS-ES, Eq. 3); the authors' code makes one
padded pass for each sub-sentence. Batches hold rows of similar length, and the vocabulary head runs
on target positions only, a slice at a time (`lm_head.py`).

To score a piece alone given its question (the authors' conditioning), pass the piece as the text.
The end of sequence is not scored. Not here: from tokens to sub-sentences (`segments/score.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from smallsteps.students.batching import batches_by_length
from smallsteps.students.lm_head import head_slices, vocabulary_of
from smallsteps.students.padding import pad
from smallsteps.students.student import Student
from smallsteps.students.t5 import T5Runner
from smallsteps.students.weights import DTYPES, base_model, merged
from smallsteps.tasks.base import Task

BATCH_TOKENS = {"cpu": 2048, "cuda": 32768}
"""Padded tokens per pass, source and target: what fits the caches of a CPU, what fills a GPU."""

OTHER_BATCH_TOKENS = 8192
"""The same on other devices."""

SCORED_LOGITS = 2**23
"""Maximum number of logits at a time: 32 MiB in float32, and twice that while they are reduced."""


class TokenScores(NamedTuple):
    """Scores of the tokens of one text, in nats."""

    entropy: list[float]
    """Of the distribution that predicts the token."""
    loss: list[float]
    """Minus the log-probability of the token."""
    spans: list[tuple[int, int]]
    """(start, end) of the token, in characters of the text as given."""


@dataclass(frozen=True)
class ScoredText:
    """One question and text in ids."""

    source: list[int]
    target: list[int]
    spans: list[tuple[int, int]]

    @property
    def size(self) -> tuple[int, int]:
        """(source tokens, target tokens)."""
        return len(self.source), len(self.target)


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
    """Scores of each (rendered question, text), in order. Texts are scored stripped; spans count
    in the text as given.

    batch_tokens: padded tokens per pass; None: what suits the device. dtype: `bfloat16` scores a T5
    in reduced precision (other models use their own); sums are float32 in any case. progress:
    receives the number of scored pairs. Puts the model into evaluation mode. Raises DataError if a
    pair is longer than the student reads."""
    student.model.eval()
    texts = [_encode(student, task, question, text) for question, text in pairs]
    passes = _passes(student, dtype)
    limit = batch_tokens or BATCH_TOKENS.get(student.device.type, OTHER_BATCH_TOKENS)
    scores = [TokenScores([], [], []) for _ in texts]
    scored = [index for index, text in enumerate(texts) if text.target]
    sizes = [texts[index].size for index in scored]
    done = 0
    for batch in batches_by_length(sizes, limit, fill=True, key=_scoring_order):
        rows = [texts[scored[place]] for place in batch]
        states = passes.states(rows)
        targets = [token for row in rows for token in row.target]
        entropy, loss = _reduce(states, targets, passes.head, passes.vocabulary)
        start = 0
        for place, row in zip(batch, rows, strict=True):
            end = start + len(row.target)
            scores[scored[place]] = TokenScores(entropy[start:end], loss[start:end], row.spans)
            start = end
        done += len(batch)
        if progress:
            progress(done)
    return scores


def _encode(student: Student, task: Task, question: str, text: str) -> ScoredText:
    """Raises DataError if the student cannot read that much."""
    source = student.source_ids(task, question)
    target, spans = student.encode_with_spans(text.strip())
    shift = len(text) - len(text.lstrip())
    record = f"question {question[:40]!r}"
    if student.architecture == "causal":
        student.require_room(source, record, new_tokens=len(target))
    else:
        student.require_room(source, record)
        student.require_room([*student.target_head, *target], record)
    return ScoredText(source, target, [(start + shift, end + shift) for start, end in spans])


def _scoring_order(size: tuple[int, int]) -> tuple[int, int]:
    """Long targets first, those of about the same length together; among these by source."""
    source, target = size
    return -(target // 16), -source


def _reduce(
    states: Tensor, targets: Sequence[int], head: Callable[[Tensor], Tensor], vocabulary: int
) -> tuple[list[float], list[float]]:
    """(entropy, loss) at each position. states: [positions, d_model]; targets: one id each."""
    # results are written into place: small tensors that outlive a slice would each keep the freed
    # logits behind them, and the heap would grow by a slice each time
    entropy, loss = torch.empty(len(states)), torch.empty(len(states))
    labels = torch.tensor(targets, device=states.device)
    for part in head_slices(len(states), vocabulary, SCORED_LOGITS):
        logits = head(states[part]).float()
        log_p = logits.log_softmax(-1)
        loss[part] = -log_p.gather(1, labels[part, None]).squeeze(1)
        part_entropy = -torch.linalg.vecdot(torch.exp(log_p, out=logits), log_p)
        if part_entropy.isnan().any():
            # a token that is ruled out has probability 0 and log-probability -inf; their product
            # counts as 0
            part_entropy = -torch.linalg.vecdot(logits, log_p.masked_fill_(log_p.isneginf(), 0.0))
        entropy[part] = part_entropy
    return entropy.tolist(), loss.tolist()


class T5Passes:
    """Passes of T5 and mT5, on fused weights."""

    def __init__(self, student: Student, dtype: torch.dtype) -> None:
        self.start_id = student.decoder_start
        model = merged(student.model)
        self.runner = T5Runner(model, dtype)
        self.vocabulary = vocabulary_of(model.get_output_embeddings())

    def states(self, rows: Sequence[ScoredText]) -> Tensor:
        """States [all targets, d_model] that predict each target token, row after row."""
        keys_values = self.runner.encode([row.source for row in rows])
        inputs = [[self.start_id, *row.target[:-1]] for row in rows]
        return self.runner.decode(inputs, keys_values)

    def head(self, states: Tensor) -> Tensor:
        """Logits [positions, vocabulary]."""
        return self.runner.head(states)


class ModulePasses:
    """Passes of any other student, through the modules of transformers."""

    def __init__(self, student: Student) -> None:
        self.student, self.model = student, base_model(student.model)
        self.config = self.model.config.get_text_config()
        self.vocabulary = vocabulary_of(self.model.get_output_embeddings())

    def states(self, rows: Sequence[ScoredText]) -> Tensor:
        """States [all targets, d_model] that predict each target token, row after row."""
        if self.student.architecture == "causal":
            hidden = self._causal(rows)
            firsts = [len(row.source) - 1 for row in rows]
        else:
            hidden = self._encoder_decoder(rows)
            firsts = [len(self.student.target_head)] * len(rows)
        return torch.cat(
            [
                states[first : first + len(row.target)]
                for states, first, row in zip(hidden, firsts, rows, strict=True)
            ]
        )

    def _causal(self, rows: Sequence[ScoredText]) -> Tensor:
        """[rows, positions, d_model] of source and target in one sequence."""
        ids, mask = self._pad([[*row.source, *row.target[:-1]] for row in rows])
        backbone = getattr(self.model, self.model.base_model_prefix)
        hidden: Tensor = backbone(input_ids=ids, attention_mask=mask)[0]
        return hidden

    def _encoder_decoder(self, rows: Sequence[ScoredText]) -> Tensor:
        """[rows, positions, d_model] of the decoder."""
        ids, mask = self._pad([row.source for row in rows])
        encoded = self.model.get_encoder()(input_ids=ids, attention_mask=mask)[0]
        opening = [self.student.decoder_start, *self.student.target_head]
        # no mask for padding: real positions come before it and cannot see it
        inputs, _ = self._pad([[*opening, *row.target[:-1]] for row in rows])
        hidden: Tensor = self.model.get_decoder()(
            input_ids=inputs, encoder_hidden_states=encoded, encoder_attention_mask=mask
        )[0]
        return hidden

    def _pad(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        ids, mask = pad(rows, self.student.pad_id)
        return ids.to(self.student.device), mask.to(self.student.device)

    def head(self, states: Tensor) -> Tensor:
        """Logits [positions, vocabulary], with what the model classes do after the product."""
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
