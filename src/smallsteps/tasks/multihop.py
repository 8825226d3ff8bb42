"""Questions over several paragraphs: HotpotQA, 2WikiMultiHopQA and the bundled two-hop facts.

A row holds `question`, `context` ([[title, [sentence, ...]], ...]), `answer`, and where known
`supporting_facts` ([[title, place of the sentence], ...]) or `supporting_titles`, and
`answer_aliases`. A student reads the question with its context; the tasks whose names end in
`-gold` leave only the paragraphs that support the answer.

Scores are those of the official HotpotQA evaluation (Yang et al. 2018): answers are compared in
lower case without punctuation and articles, by exact match, by F1 over tokens, and (ours) by
whether the gold answer stands in the given one as whole tokens. Where a question has aliases
(2WikiMultiHopQA), the best of them counts."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from smallsteps.errors import DataError
from smallsteps.records import Problem
from smallsteps.tasks.base import Task
from smallsteps.tasks.facts import generate as generate_facts
from smallsteps.tasks.fields import or_column
from smallsteps.tasks.free_text import extract_text

Paragraph = tuple[str, tuple[str, ...]]
"""(title, sentences)"""

_PUNCTUATION = str.maketrans("", "", string.punctuation)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_VERDICTS = ("yes", "no", "noanswer")


# ---- scores ----


def tokens(answer: str) -> list[str]:
    """The words of an answer as the official evaluation compares them.

    >>> tokens("The Mona-Lisa, 1503.")
    ['monalisa', '1503']
    """
    return _ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split()


def exact_match(answer: str | None, gold: str | None) -> bool:
    """Whether two answers are the same words. None and empty equal nothing."""
    return bool(answer) and bool(gold) and tokens(answer or "") == tokens(gold or "")


def f1(answer: str | None, gold: str | None) -> float:
    """F1 over tokens, 0..1. Where one of the two is yes or no, anything but the same word is 0.

    >>> f1("Chief of Protocol", "the Chief of Protocol of the United States")
    0.6666666666666666
    >>> f1("yes, it is", "yes")
    0.0
    """
    if answer is None or gold is None:
        return 0.0
    ours, theirs = tokens(answer), tokens(gold)
    if ours != theirs and any(
        " ".join(answer_tokens) in _VERDICTS for answer_tokens in (ours, theirs)
    ):
        return 0.0
    same = sum((Counter(ours) & Counter(theirs)).values())
    return 2 * same / (len(ours) + len(theirs)) if same else 0.0


def inclusion(answer: str | None, gold: str | None) -> bool:
    """Whether the gold answer stands in the given one, as whole tokens next to each other.

    >>> inclusion("He moved to New York City.", "New York"), inclusion("It is not known.", "no")
    (True, False)
    """
    if answer is None or gold is None:
        return False
    ours, theirs = tokens(answer), tokens(gold)
    return bool(theirs) and any(
        ours[at : at + len(theirs)] == theirs for at in range(len(ours) - len(theirs) + 1)
    )


def aliases(problem: Problem) -> tuple[str, ...]:
    """Further answers that count as right."""
    return _texts(problem, "answer_aliases")


def _texts(problem: Problem, field: str) -> tuple[str, ...]:
    """A field that holds a list of texts; nothing where the row has none. Raises DataError where it
    holds anything else."""
    value = problem.meta.get(field)
    if value is None:
        return ()
    if not isinstance(value, list | tuple) or not all(isinstance(text, str) for text in value):
        raise DataError(
            f"{problem.id}: `{field}` must be a list of texts, got {str(value)[:60]!r}."
        )
    return tuple(value)


# ---- contexts ----


def gold_paragraphs(problem: Problem) -> tuple[Paragraph, ...]:
    """The paragraphs that support the answer, in the order of the context.

    Raises DataError where the row does not say which, or names one that is not there.
    """
    wanted = {title for title, _ in supporting_facts(problem)} or set(
        _texts(problem, "supporting_titles")
    )
    if not wanted:
        raise DataError(
            f"{problem.id}: neither `supporting_facts` nor `supporting_titles`. "
            "Use the task with the whole context."
        )
    if missing := wanted - {title for title, _ in problem.context}:
        raise DataError(
            f"{problem.id}: supporting facts name {sorted(missing)[0]!r}, "
            "and no paragraph has this title."
        )
    return tuple(paragraph for paragraph in problem.context if paragraph[0] in wanted)


def supporting_facts(problem: Problem) -> list[tuple[str, int]]:
    """(title, place of the sentence); nothing where the row has none. Raises DataError on one that
    points nowhere."""
    lengths: dict[str, int] = {}
    for title, sentences in problem.context:
        lengths[title] = max(lengths.get(title, 0), len(sentences))
    checked = []
    facts = problem.meta.get("supporting_facts")
    if facts is None:
        return []
    for fact in facts if isinstance(facts, list | tuple) else [facts]:
        match fact:
            case [str() as title, int() as place] if not isinstance(place, bool):
                checked.append((title, place))
            case _:
                raise DataError(
                    f"{problem.id}: a supporting fact is [title, number of the sentence], "
                    f"got {str(fact)[:60]}."
                )
        if title not in lengths:
            raise DataError(
                f"{problem.id}: supporting facts name {title!r}, and no paragraph has this title."
            )
        if not 0 <= place < lengths[title]:
            raise DataError(
                f"{problem.id}: supporting facts name sentence {place} of {title!r}, "
                f"which has {lengths[title]} (counted "
                "from 0). Correct or remove the fact."
            )
    return checked


def context_text(paragraphs: Sequence[Paragraph]) -> str:
    """Paragraphs as one text: `title: sentences`, one after another."""
    texts = []
    for title, sentences in paragraphs:
        body = " ".join(" ".join(sentences).split())
        texts.append(f"{title}: {body}" if title else body)
    return " ".join(texts)


def read_context(problem: Problem, gold: bool = False) -> str:
    """The paragraphs as a student reads them. Raises DataError where there are none."""
    return context_text(_context(problem, gold))


def render(problem: Problem, gold: bool = False) -> str:
    """The question and its context as a student reads them. Raises DataError where there is no
    context."""
    return f"{problem.question.strip()} Context: {read_context(problem, gold)}"


def read_facts(problem: Problem) -> str:
    """The bundled facts, without titles."""
    return " ".join(" ".join(sentences) for _, sentences in _context(problem, False))


def render_facts(problem: Problem) -> str:
    """The bundled facts: the facts alone, then the question, as the bundled student was pre-trained
    to read them."""
    return f"{read_facts(problem)} {problem.question.strip()}"


def _context(problem: Problem, gold: bool) -> Sequence[Paragraph]:
    if not any(sentence.strip() for _, sentences in problem.context for sentence in sentences):
        raise DataError(
            f"{problem.id}: no context. Add a `context`: a list of [title, [sentence, …]], "
            f"or of texts{or_column(problem.meta, 'context')}."
        )
    return gold_paragraphs(problem) if gold else problem.context


# ---- tasks ----

HOTPOTQA = Task(
    name="hotpotqa",
    render=render,
    context=read_context,
    extract=extract_text,
    same=exact_match,
    accepted=aliases,
    metric="exact_match",
    also=("f1", "inclusion"),
    max_chain_tokens=256,
)
HOTPOTQA_GOLD = replace(
    HOTPOTQA,
    name="hotpotqa-gold",
    render=partial(render, gold=True),
    context=partial(read_context, gold=True),
)
TWOWIKI = replace(HOTPOTQA, name="2wikimultihopqa")
TWOWIKI_GOLD = replace(HOTPOTQA_GOLD, name="2wikimultihopqa-gold")
FACTS = replace(
    HOTPOTQA,
    name="facts",
    render=render_facts,
    context=read_facts,
    max_chain_tokens=96,
    generate=generate_facts,
)
