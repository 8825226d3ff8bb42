"""Scores of sub-sentences: how much each looks copied from the question, or how uncertain a student
is about it.

Second step of segmentation (Xi et al. 2024, Eq. 3-6). `bleu` and `rouge` need no model; `ent`,
`ent*` and `loss` ask a student - the fine-tuned direct one for `ent` and `loss`, the pre-trained
one for `ent*`; which it is, the caller decides.

Departures: the authors' code scores every sub-sentence alone as the target given Q and sums its
tokens. Here one teacher-forced pass over the whole chain, which is what Eq. 3 writes, gives every
token, and a sub-sentence takes the mean of its own, found by character offsets
(`conditioning="question"` and `reduce="sum"` give theirs). The paper names no variant of BLEU and
ROUGE; ours are at `bleu_scores` and `rouge_scores`."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

from smallsteps.errors import DataError
from smallsteps.evaluation.overlap import precisions
from smallsteps.records import Chain
from smallsteps.tasks.base import Task
from smallsteps.tasks.languages import LANGUAGES

if TYPE_CHECKING:
    from smallsteps.students.student import Student

Reduce = Literal["mean", "sum"]
Conditioning = Literal["rationale", "question"]
Scores = list[float | None]
"""A score for each sub-sentence of one chain; None where nothing could be measured (no token falls
into it)."""


def bleu_scores(question: str, pieces: Sequence[str], language: str = "en") -> Scores:
    """Sentence BLEU (0..100) of each piece as the *hypothesis* against the question as the
    reference.

    sacrebleu with effective order, exponential smoothing, the tokeniser of the language (`13a` for
    English, `zh` for Chinese)."""
    from sacrebleu.metrics.bleu import BLEU

    # `sentence_score` would count the n-grams of the question once a piece: its square where both
    # are long.
    tokenize = BLEU(tokenize=LANGUAGES[language].tokenizer).tokenizer
    reference = tokenize(question.rstrip()).split()
    known = _ngrams(reference)
    scores: Scores = []
    for piece in pieces:
        words = tokenize(piece.strip()).split()
        right, made = [0] * _ORDER, [0] * _ORDER
        for ngram, count in _ngrams(words).items():
            made[len(ngram) - 1] += count
            right[len(ngram) - 1] += min(count, known[ngram])
        found = BLEU.compute_bleu(
            right, made, len(words), len(reference), smooth_method="exp", effective_order=True
        )
        scores.append(float(found.score))
    return scores


_ORDER = 4
"""Words of the longest n-grams that BLEU counts."""


def _ngrams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    return Counter(
        tuple(words[start : start + n])
        for n in range(1, _ORDER + 1)
        for start in range(len(words) - n + 1)
    )


def rouge_scores(question: str, pieces: Sequence[str], language: str = "en") -> Scores:
    """ROUGE-L precision (0..1) of each piece against the question: the share of its words found
    there, in order."""
    return list(precisions(pieces, question, language))


def certainty_scores(
    chains: Sequence[Chain],
    pieces: Sequence[Sequence[str]],
    task: Task,
    student: Student,
    quantity: Literal["entropy", "loss"],
    *,
    reduce: Reduce = "mean",
    conditioning: Conditioning = "rationale",
    batch_tokens: int | None = None,
) -> list[Scores]:
    """Entropy of the next-token distribution, or loss, of `student` on each sub-sentence, in nats.

    `conditioning="rationale"`: teacher-forced on Q and everything of the chain before the token;
    `"question"`: each sub-sentence alone given Q, as the authors' code does. Raises DataError where
    a score is not finite."""
    from smallsteps.students.scores import token_scores

    if conditioning == "question":
        parts = [[[piece] for piece in own] for own in pieces]
    else:
        parts = [[list(own)] for own in pieces]
    pairs = [
        (task.render(chain.problem), "".join(part))
        for chain, own in zip(chains, parts, strict=True)
        for part in own
    ]
    found = iter(token_scores(student, task, pairs, batch_tokens=batch_tokens))
    scores: list[Scores] = []
    for chain, own in zip(chains, parts, strict=True):
        row: Scores = []
        for part in own:
            tokens = next(found)
            row += reduce_tokens(part, getattr(tokens, quantity), tokens.spans, reduce)
        if any(score is not None and not math.isfinite(score) for score in row):
            raise DataError(
                f"{chain.rationale.id}: the scoring student gives {quantity} {row}, expected finite numbers. Its "
                f"weights may be damaged or its precision too low; score with dtype=float32."
            )
        scores.append(row)
    return scores


def reduce_tokens(
    pieces: Sequence[str],
    values: Sequence[float],
    spans: Sequence[tuple[int, int]],
    reduce: Reduce = "mean",
) -> Scores:
    """Per-token values → one score a piece; `spans` are character offsets (start, end) into the
    joined pieces.

    A token belongs to the piece that holds its first character that is not white space, since
    tokenisers put the space before a word into the word's token. Empty spans (end of sequence)
    count nowhere. A piece without tokens gets None."""
    text, ends = "".join(pieces), list(accumulate(len(piece) for piece in pieces))
    taken: list[list[float]] = [[] for _ in pieces]
    for value, (start, end) in zip(values, spans, strict=True):
        if end <= start or start >= len(text):
            continue
        token = text[start:end]
        first = start + len(token) - len(token.lstrip()) if token.strip() else start
        taken[bisect_right(ends, first)].append(value)
    return [
        (math.fsum(own) / (len(own) if reduce == "mean" else 1)) if own else None for own in taken
    ]
