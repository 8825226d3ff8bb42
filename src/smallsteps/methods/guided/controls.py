"""Controls: texts that hold no reasoning of M_S, put in the place of its rationales. They decide
whether the reader gains from reasoning, or from any text before its answer.

    other            the rationale of another question
    masked           the rationale with its gold answer blanked out
    gold-facts       the supporting sentences that the row names
    random-context   random sentences of the context, as long as the rationale"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from smallsteps.methods.guided.rationales import WrittenRationale
from smallsteps.records import Problem
from smallsteps.tasks.base import Task
from smallsteps.tasks.multihop import supporting_facts, tokens

MASK = "___"


def other_rationales(
    rationales: Sequence[WrittenRationale], seed: int = 0
) -> list[WrittenRationale]:
    """Each question gets the rationale of another one, each rationale once."""
    count = len(rationales)
    order = random.Random(f"other/{seed}").sample(range(count), count)
    donors = dict(zip(order, [*order[1:], *order[:1]], strict=True))
    return [rationales[donors[number]] for number in range(count)]


def masked_rationales(
    problems: Sequence[Problem], rationales: Sequence[WrittenRationale], task: Task
) -> list[WrittenRationale]:
    """The gold answer and its aliases are blanked out wherever the rationale says them."""
    return [
        replace(rationale, text=_mask(rationale.text, task.golds(problem)))
        for problem, rationale in zip(problems, rationales, strict=True)
    ]


def _mask(text: str, golds: Sequence[str]) -> str:
    # the longest first: a short alias may be part of a longer one
    for gold in sorted(golds, key=len, reverse=True):
        if tokens(gold):
            pattern = r"[\W_]+".join(re.escape(word) for word in re.findall(r"[^\W_]+", gold))
            text = re.sub(rf"(?<![^\W_]){pattern}(?![^\W_])", MASK, text, flags=re.IGNORECASE)
    return text


def gold_facts(problems: Sequence[Problem]) -> list[WrittenRationale]:
    """The supporting sentences, in the order in which the row names them."""
    controls = []
    for problem in problems:
        paragraphs = dict(problem.context)
        facts = [paragraphs[title][number].strip() for title, number in supporting_facts(problem)]
        controls.append(WrittenRationale(" ".join(facts)))
    return controls


def random_context(
    problems: Sequence[Problem], rationales: Sequence[WrittenRationale], seed: int = 0
) -> list[WrittenRationale]:
    """Sentences of the context, drawn until they have as many words as the rationale."""
    return [
        WrittenRationale(_drawn(problem, len(rationale.text.split()), seed))
        for problem, rationale in zip(problems, rationales, strict=True)
    ]


def _drawn(problem: Problem, least_words: int, seed: int) -> str:
    """Random sentences of the context with at least so many words together."""
    candidates = [
        sentence.strip()
        for _, paragraph in problem.context
        for sentence in paragraph
        if sentence.strip()
    ]
    random.Random(f"context/{seed}/{problem.id}").shuffle(candidates)
    drawn: list[str] = []
    word_count = 0
    for sentence in candidates:
        if word_count >= least_words:
            break
        drawn.append(sentence)
        word_count += len(sentence.split())
    return " ".join(drawn)
