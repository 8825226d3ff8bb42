"""Scores of sub-sentences: how much each looks copied from the question, or how uncertain a student
is about it.

Second step of segmentation (Xi et al. 2024, Eq. 3-6). BLEU and ROUGE-L need no model; entropy and
loss come from a student (`strategies.py` says which).

Departures: the authors' code scores each sub-sentence alone, as the target given Q, and sums over
its tokens. Ours makes one teacher-forced pass over the whole chain, as Eq. 3 says, and takes the
mean over the tokens of a sub-sentence, found by character offsets. `conditioning="question"` and
`reduce="sum"` give the authors' scores. The paper names no variant of BLEU and ROUGE; ours are
described at `bleu_scores` and `rouge_scores`."""

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
        bleu = BLEU.compute_bleu(
            right, made, len(words), len(reference), smooth_method="exp", effective_order=True
        )
        scores.append(float(bleu.score))
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

    texts: list[list[str]] = []  # each scored in one pass, as the pieces that it is made of
    chain_of_text: list[int] = []
    for index, chain_pieces in enumerate(pieces):
        alone = [[piece] for piece in chain_pieces]
        chain_texts = alone if conditioning == "question" else [list(chain_pieces)]
        texts += chain_texts
        chain_of_text += [index] * len(chain_texts)
    questions = [task.render(chain.problem) for chain in chains]
    pairs = [
        (questions[index], "".join(text)) for index, text in zip(chain_of_text, texts, strict=True)
    ]
    scores: list[Scores] = [[] for _ in chains]
    token_rows = token_scores(student, task, pairs, batch_tokens=batch_tokens)
    for index, text, tokens in zip(chain_of_text, texts, token_rows, strict=True):
        values = tokens.entropy if quantity == "entropy" else tokens.loss
        scores[index] += reduce_tokens(text, values, tokens.spans, reduce)
    for chain, row in zip(chains, scores, strict=True):
        if any(score is not None and not math.isfinite(score) for score in row):
            raise DataError(
                f"{chain.rationale.id}: the scoring student gives {quantity} {row}, expected "
                "finite numbers. Its weights may be damaged or its precision too low; "
                "score with dtype=float32."
            )
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
    values_of_pieces: list[list[float]] = [[] for _ in pieces]
    for value, (start, end) in zip(values, spans, strict=True):
        if end <= start or start >= len(text):
            continue
        token = text[start:end]
        first = start + len(token) - len(token.lstrip()) if token.strip() else start
        values_of_pieces[bisect_right(ends, first)].append(value)
    scores: Scores = []
    for piece_values in values_of_pieces:
        count = len(piece_values) if reduce == "mean" else 1
        scores.append(math.fsum(piece_values) / count if piece_values else None)
    return scores
