"""Eight aspects of a rationale's quality, each in [0, 1].

The aspects' names are those of LM-guided chain of thought (Lee et al. 2024). The definitions are
ours, as the paper's were not at hand. r_1 ... r_n are the sentences of the rationale without its
closing ("The answer is ..."), c_1 ... c_m those of the context.

    factuality    mean over i of how far r_i is entailed: the most by a c_j, or by the nearest c_j
                  together with the nearest of those that share a name with it
    relevance     half: the share of the question's content words in r; half: mean over i of the
                  similarity of r_i to the question or to a sentence of the context that names link
                  to it, directly or over one other
    logicality    how far r_n follows from the nearest c_j and r_1 ... r_n-1
    consistency   1 - the surest contradiction of an r_i by the context or by an earlier r_j
    coherence     half: mean over i of how r_i goes on from what was said (opens with a known name,
                  concludes at the end, is not repeated; else its similarity to r_i-1);
                  half: 1 - share of repeated 3-grams
    fluency       sigmoid of the mean log-probability of its tokens under a frozen student,
                  standardised; null without a student
    naturalness   capital, full stop, no trace of a prompt, a length that reference rationales
                  have; null without references
    readability   Flesch reading ease / 100, clipped to [0, 1]

Factuality, relevance, logicality and consistency compare a rationale with its context. They are
null where a question has none, as in word problems: measured without it, one name would stand for
two measures.

A chat model can rate the aspects instead (`prompted_judge.py`); all but readability have a prompt.

An aspect is accepted only if it tells rationales from those that are spoilt in the ways named in
its entry (`lowered_by`; `perturb.py`, `sensitivity.py`). To add one, write a function and add one
line to `ASPECTS`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from smallsteps.quality.evidence import Evidence, within_reach
from smallsteps.quality.lexical_judge import words
from smallsteps.quality.rated import Rated, References
from smallsteps.tasks.sentences import sentences

AspectFunction = Callable[[Rated, Evidence], float]
"""(a rationale that is not empty, judged pairs) → its score, 0..1."""


@dataclass(frozen=True)
class Aspect:
    """One aspect of quality."""

    name: str
    measure: AspectFunction
    needs: Literal["nothing", "context", "student", "references"] = "nothing"
    """What its formula needs; without it the score is None. Without a context no judge measures
    it."""
    compares: bool = True
    """Whether the formula looks at pairs of sentences."""
    lowered_by: tuple[str, ...] = ()
    """Names of the perturbations that belong to it: each must lower its score."""


# ---- against the context ----


def factuality(item: Rated, evidence: Evidence) -> float:
    """How far the context supports what is stated."""
    return fmean(
        max((verdict.entailment for verdict in evidence.by_context(item, step)), default=0.0)
        for step in item.steps
    )


def relevance(item: Rated, evidence: Evidence) -> float:
    """Whether it speaks to this question and uses the passages it needs."""
    question = words(KIND_ASKED_FOR.sub(" ", item.question)).content
    rationale = frozenset().union(*(words(step).content for step in item.steps))
    share = len(question & rationale) / len(question) if question else 1.0
    return 0.5 * share + 0.5 * fmean(
        max(evidence.alike(step, other) for other in within_reach(item)) for step in item.steps
    )


KIND_ASKED_FOR = re.compile(r"(?<=which|.what)\s+[a-z]+\b", re.IGNORECASE)
"""`country` of "in which country ...": a rationale names one and need not repeat the word."""


def logicality(item: Rated, evidence: Evidence) -> float:
    """Whether the last step follows from the context and the steps before it."""
    return evidence.verdict(evidence.premise_of_last(item), item.steps[-1]).entailment


def consistency(item: Rated, evidence: Evidence) -> float:
    """Whether nothing contradicts the context or itself."""
    contradictions = [
        verdict.contradiction for step in item.steps for verdict in evidence.by_context(item, step)
    ]
    contradictions += [
        evidence.verdict(earlier, step).contradiction
        for n, step in enumerate(item.steps)
        for earlier in item.steps[:n]
    ]
    return 1 - max(contradictions, default=0.0)


# ---- how steps connect ----


def coherence(item: Rated, evidence: Evidence) -> float:
    """Whether steps connect and nothing is said twice."""
    tokens = " ".join(item.steps).lower().split()
    grams = Counter(zip(tokens, tokens[1:], tokens[2:], strict=False))
    repeated = sum(count - 1 for count in grams.values()) / sum(grams.values()) if grams else 0.0
    connection = fmean(_connection(item, n, evidence) for n in range(len(item.steps)))
    return 0.5 * connection + 0.5 * (1 - repeated)


CONCLUDES = re.compile(
    r"(?:so|therefore|thus|hence|consequently|finally|in conclusion)\b", re.IGNORECASE
)
REFERS = re.compile(
    r"(?:he|she|it|they|this|that|these|those|his|her|its|their|both|the latter|the former)\b",
    re.IGNORECASE,
)


def _connection(item: Rated, n: int, evidence: Evidence) -> float:
    """How a step goes on from the question and the steps before it: what it opens with is known
    there; a conclusion comes last; nothing is repeated."""
    step, before = item.steps[n], item.steps[:n]
    if any(earlier == step for earlier in before):
        return 0.0
    if CONCLUDES.match(step):
        return 1.0 if n and n == len(item.steps) - 1 else 0.5 if n else 0.0
    if REFERS.match(step):
        return float(n > 0)
    names = [word for word in re.findall(r"[^\W_][\w'’-]*", step) if words(word).names]
    known = words(item.question).content.union(*(words(earlier).content for earlier in before))
    if not names or words(names[0]).content & known:
        return 1.0
    return evidence.alike(before[-1], step) if before else 0.5


# ---- how the text reads ----


def fluency(item: Rated, evidence: Evidence) -> float:
    """How likely its tokens are under the student."""
    return evidence.fluency(item)


PROMPT_TRACES = re.compile(
    r"\b(?:question|context|prediction|reasoning|rationale|as an ai|let's think|the hint"
    r"|gold answer)\s*:"
    r"|as an ai\b|let's think step by step|<[a-z_/]+>|\{\{|\}\}",
    re.IGNORECASE,
)


def naturalness(item: Rated, evidence: Evidence) -> float:
    """Whether it looks like the references."""
    assert evidence.references is not None  # `needs` says so
    return natural(item.text, evidence.references)


def natural(text: str, references: References) -> float:
    """The share of checks that a text passes: every sentence begins with a capital or a digit and
    ends in a mark, nothing of a prompt, a length that references have."""
    parts = sentences(text)
    opens = fmean(float(not part.lstrip("\"'“(")[:1].islower()) for part in parts)
    ends = fmean(float(part.rstrip("\"'”)")[-1:] in (".", "!", "?", "…")) for part in parts)
    length = len(text.split())
    fits = 1.0
    if length < references.shortest:
        fits = length / references.shortest
    elif length > references.longest:
        fits = references.longest / length
    return opens * ends * float(not PROMPT_TRACES.search(text)) * fits


def readability(item: Rated, evidence: Evidence) -> float:
    """Whether it is easy to read."""
    return reading_ease(item.text)


def reading_ease(text: str) -> float:
    """Flesch reading ease / 100, clipped.

    >>> reading_ease("The cat sat on the mat."), reading_ease("Notwithstanding considerations.")
    (1.0, 0.0)
    """
    tokens = re.findall(r"[^\W_]+", text)
    if not tokens:
        return 0.0
    per_sentence = len(tokens) / max(1, len(sentences(text)))
    per_word = sum(map(syllables, tokens)) / len(tokens)
    return min(1.0, max(0.0, (206.835 - 1.015 * per_sentence - 84.6 * per_word) / 100))


def syllables(word: str) -> int:
    """Groups of vowels without a silent final e; a number has a syllable per digit.

    >>> syllables("table"), syllables("made"), syllables("1990"), syllables("reasoning")
    (2, 1, 4, 3)
    """
    lower = word.lower()
    if lower.isdigit():
        return len(lower)
    groups = len(re.findall(r"[aeiouy]+", lower))
    silent = lower.endswith("e") and not lower.endswith(("le", "ee")) and groups > 1
    return max(1, groups - silent)


ASPECTS: dict[str, Aspect] = {
    aspect.name: aspect
    for aspect in (
        Aspect("factuality", factuality, "context", lowered_by=("swap", "negate")),
        Aspect("relevance", relevance, "context", lowered_by=("other", "insert")),
        Aspect("logicality", logicality, "context", lowered_by=("drop",)),
        Aspect("consistency", consistency, "context", lowered_by=("negate",)),
        Aspect("coherence", coherence, lowered_by=("repeat", "shuffle")),
        Aspect("fluency", fluency, "student", compares=False, lowered_by=("garble",)),
        Aspect("naturalness", naturalness, "references", compares=False, lowered_by=("garble",)),
        Aspect("readability", readability, compares=False, lowered_by=("bloat",)),
    )
}
"""Every aspect by its name, in the order of tables."""


def aspects_without_context() -> list[str]:
    """Names of the aspects that are measured where a question has no context."""
    return [aspect.name for aspect in ASPECTS.values() if aspect.needs != "context"]
