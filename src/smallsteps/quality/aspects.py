"""Eight aspects of a rationale's quality, each in [0, 1].

The aspects' names are those of LM-guided chain of thought (Lee et al. 2024); the definitions are
ours, as the paper's were not at hand. r_1 ... r_n are the sentences of the rationale without its
closing ("The answer is ..."), c_1 ... c_m those of the context.

    factuality    mean over i of the most that a c_j, or the nearest one and the nearest of those that share a name with it,
                  entails r_i
    relevance     half: the share of the question's content words in r; half: mean over i of the similarity of r_i to the
                  question or to a sentence of the context that names link to it, directly or over one other
    logicality    how far r_n follows from the nearest c_j and r_1 ... r_n-1
    consistency   1 - the surest contradiction of an r_i by the context or by an earlier r_j
    coherence     half: mean over i of how r_i goes on from what was said (opens with a known name, concludes at the end, is
                  not said again; else its similarity to r_i-1); half: 1 - share of repeated 3-grams
    fluency       sigmoid of the mean log-probability of its tokens under a frozen student, standardised; null without one
    naturalness   capital, full stop, no trace of a prompt, a length that reference rationales have; null without them
    readability   Flesch reading ease / 100, clipped to [0, 1]

Factuality, relevance, logicality and consistency compare a rationale with its context. Where a
question has none, as in word problems, they are null: measured without it, one name would stand for
two measures.

Each is measured by judges (`judges.py`) and accepted only if it tells rationales from perturbed
ones (`perturb.py`)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, pstdev

from smallsteps.errors import DataError
from smallsteps.quality.judges import Judge, LexicalJudge, Pair, Similarity, Verdict, words
from smallsteps.records import Problem, Record
from smallsteps.students.student import Student
from smallsteps.tasks.base import ANSWER_IS, Task, sentences

ASPECTS = (
    "factuality",
    "relevance",
    "logicality",
    "consistency",
    "coherence",
    "fluency",
    "naturalness",
    "readability",
)
WITHOUT_CONTEXT = ("coherence", "fluency", "naturalness", "readability")
"""Aspects that are measured where a question has no context."""


@dataclass(frozen=True)
class Quality(Record):
    """The aspects of one rationale; None: what they need was not given."""

    id: str
    factuality: float | None
    relevance: float | None
    logicality: float | None
    consistency: float | None
    coherence: float
    readability: float
    fluency: float | None = None
    naturalness: float | None = None


@dataclass(frozen=True)
class Rated:
    """A rationale to be scored, with what it speaks about."""

    id: str
    question: str
    context: tuple[str, ...]
    """Sentences; nothing where the question has no context."""
    text: str
    rendered: str = ""
    """What a student reads before it writes the rationale; for fluency."""

    @classmethod
    def of(cls, problem: Problem, text: str, task: Task | None = None) -> Rated:
        """Raises DataError where `task` needs a context and the problem has none."""
        found = tuple(
            sentence
            if title.lower() in sentence.lower()
            else f"{title}: {sentence}"  # "He was born ..." of whom?
            for title, own in problem.context
            for paragraph in own
            for sentence in sentences(paragraph)
        )
        return cls(
            problem.id,
            problem.question,
            found,
            text,
            task.render(problem) if task else problem.question,
        )

    @property
    def steps(self) -> list[str]:
        """The sentences of the rationale without the closing."""
        found = sentences(self.text)
        return (
            found[:-1]
            if len(found) > 1 and re.search(ANSWER_IS, found[-1], re.IGNORECASE)
            else found
        )


@dataclass(frozen=True)
class References:
    """Rationales by people or a good teacher: what lengths and likelihoods are measured against."""

    shortest: float
    """Words that 1 % of them have fewer of."""
    longest: float
    """Words that 1 % of them have more of."""
    mean: float = 0.0
    """Of the mean log-probability of their tokens under the student."""
    spread: float = 1.0

    @classmethod
    def of(cls, rationales: Sequence[str], likelihoods: Sequence[float] = ()) -> References:
        """Raises DataError where there are none."""
        if not rationales:
            raise DataError("no reference rationales: the file is empty.")
        lengths = sorted(len(text.split()) for text in rationales)
        mean, spread = (fmean(likelihoods), pstdev(likelihoods)) if likelihoods else (0.0, 0.0)
        return cls(_quantile(lengths, 0.01), _quantile(lengths, 0.99), mean, spread or 1.0)


def _quantile(ordered: Sequence[int], share: float) -> float:
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


BLOCK = 512
"""Rationales whose pairs are judged together."""


@dataclass
class Scorer:
    """Scores rationales by its judges. `student` and `task` are needed for fluency, `references`
    for naturalness."""

    judge: Judge = field(default_factory=LexicalJudge)
    similarity: Similarity = field(default_factory=LexicalJudge)
    references: References | None = None
    student: Student | None = None
    task: Task | None = None

    def score(
        self, items: Sequence[Rated], progress: Callable[[int], None] | None = None
    ) -> list[Quality]:
        """One for each, in order. An empty rationale scores 0 in everything that is measured.
        `progress` is told the number scored so far."""
        written = [item for item in items if item.text.strip()]
        fluent = dict(zip((id(item) for item in written), self._fluencies(written), strict=True))
        unwritten = 0.0 if self.student else None
        scored: list[Quality] = []
        for start in range(0, len(items), BLOCK):
            block = items[start : start + BLOCK]
            pairs = _Pairs(
                self.judge, self.similarity, [item for item in block if item.text.strip()]
            )
            scored += [
                self._quality(item, pairs, fluent.get(id(item), unwritten)) for item in block
            ]
            if progress:
                progress(len(scored))
        return scored

    def _quality(self, item: Rated, pairs: _Pairs, fluency: float | None) -> Quality:
        written = bool(item.text.strip())

        def against_context(measure: Callable[[Rated, _Pairs], float]) -> float | None:
            if not item.context:
                return None
            return measure(item, pairs) if written else 0.0

        natural = None
        if self.references is not None:
            natural = naturalness(item.text, self.references) if written else 0.0
        return Quality(
            item.id,
            factuality=against_context(factuality),
            relevance=against_context(relevance),
            logicality=against_context(logicality),
            consistency=against_context(consistency),
            coherence=coherence(item, pairs) if written else 0.0,
            readability=readability(item.text),
            fluency=fluency,
            naturalness=natural,
        )

    def _fluencies(self, items: Sequence[Rated]) -> list[float | None]:
        if self.student is None:
            return [None] * len(items)
        found = self.likelihoods(items)
        references = self.references or References.of([item.text for item in items], found)
        return [_sigmoid((value - references.mean) / references.spread) for value in found]

    def likelihoods(self, items: Sequence[Rated]) -> list[float]:
        """Mean log-probability (nats) of each rationale's tokens under the student."""
        from smallsteps.students.scores import token_scores

        if self.student is None or self.task is None:
            raise DataError("fluency needs a student and its task.")
        found = token_scores(
            self.student, self.task, [(item.rendered, item.text) for item in items]
        )
        return [-fmean(scores.loss) if len(scores.loss) else 0.0 for scores in found]


def _sigmoid(value: float) -> float:
    """1 / (1 + e^-value). Beyond 700 e^value is no float: references that are nearly alike lead
    there."""
    return 1 / (1 + math.exp(-min(700.0, max(-700.0, value))))


# ---- the aspects ----


def factuality(item: Rated, pairs: _Pairs) -> float:
    """How far the context supports what is stated."""
    return fmean(
        max((v.entailment for v in pairs.by_context(item, step)), default=0.0)
        for step in item.steps
    )


def relevance(item: Rated, pairs: _Pairs) -> float:
    """Whether it speaks to this question and uses the passages it needs."""
    asked = words(KIND_ASKED_FOR.sub(" ", item.question)).content
    said = frozenset().union(*(words(step).content for step in item.steps))
    share = len(asked & said) / len(asked) if asked else 1.0
    return 0.5 * share + 0.5 * fmean(
        max(pairs.alike(step, other) for other in within_reach(item)) for step in item.steps
    )


KIND_ASKED_FOR = re.compile(r"(?<=which|.what)\s+[a-z]+\b", re.IGNORECASE)
"""`country` of "in which country ...": a rationale names one and need not repeat the word."""


def within_reach(item: Rated) -> list[str]:
    """The question, the sentences of the context that share a name with it, and those that share
    one with these."""
    reached = [item.question]
    names = words(item.question).names
    for _ in range(2):
        near = [c for c in item.context if words(c).names & names and c not in reached]
        reached += near
        names = names.union(*(words(c).names for c in near))
    return reached


def logicality(item: Rated, pairs: _Pairs) -> float:
    """Whether the last step follows from the context and the steps before it."""
    return pairs.verdict(_premise(item, pairs), item.steps[-1]).entailment


def _premise(item: Rated, pairs: _Pairs) -> str:
    return " ".join([*pairs.nearest(item, item.steps[-1])[:1], *item.steps[:-1]])


def consistency(item: Rated, pairs: _Pairs) -> float:
    """Whether nothing contradicts the context or itself."""
    found = [v.contradiction for step in item.steps for v in pairs.by_context(item, step)]
    found += [
        pairs.verdict(a, b).contradiction for n, b in enumerate(item.steps) for a in item.steps[:n]
    ]
    return 1 - max(found, default=0.0)


def coherence(item: Rated, pairs: _Pairs) -> float:
    """Whether steps connect and nothing is said twice."""
    said = " ".join(item.steps).lower().split()
    grams = Counter(zip(said, said[1:], said[2:], strict=False))
    repeated = sum(count - 1 for count in grams.values()) / sum(grams.values()) if grams else 0.0
    return 0.5 * fmean(_connection(item, n, pairs) for n in range(len(item.steps))) + 0.5 * (
        1 - repeated
    )


CONCLUDES = re.compile(
    r"(?:so|therefore|thus|hence|consequently|finally|in conclusion)\b", re.IGNORECASE
)
REFERS = re.compile(
    r"(?:he|she|it|they|this|that|these|those|his|her|its|their|both|the latter|the former)\b",
    re.IGNORECASE,
)


def _connection(item: Rated, n: int, pairs: _Pairs) -> float:
    """How a step goes on from the question and the steps before it: what it opens with is known
    there; a conclusion comes last; nothing is said again."""
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
    return pairs.alike(before[-1], step) if before else 0.5


PROMPT_TRACES = re.compile(
    r"\b(?:question|context|prediction|reasoning|rationale|as an ai|let's think|the hint|gold answer)\s*:|as an ai\b|"
    r"let's think step by step|<[a-z_/]+>|\{\{|\}\}",
    re.IGNORECASE,
)


def naturalness(text: str, references: References) -> float:
    """The share of checks that it passes: every sentence begins with a capital or a digit and ends
    in a mark, nothing of a prompt, a length that references have."""
    found = sentences(text)
    opens = fmean(float(not sentence.lstrip("\"'“(")[:1].islower()) for sentence in found)
    ends = fmean(float(sentence.rstrip("\"'”)")[-1:] in (".", "!", "?", "…")) for sentence in found)
    length = len(text.split())
    fits = 1.0
    if length < references.shortest:
        fits = length / references.shortest
    elif length > references.longest:
        fits = references.longest / length
    return opens * ends * float(not PROMPT_TRACES.search(text)) * fits


def readability(text: str) -> float:
    """Flesch reading ease / 100, clipped.

    >>> readability("The cat sat on the mat."), readability("Notwithstanding institutional considerations.")
    (1.0, 0.0)
    """
    said = re.findall(r"[^\W_]+", text)
    if not said:
        return 0.0
    per_sentence = len(said) / max(1, len(sentences(text)))
    per_word = sum(map(syllables, said)) / len(said)
    return min(1.0, max(0.0, (206.835 - 1.015 * per_sentence - 84.6 * per_word) / 100))


def syllables(word: str) -> int:
    """Groups of vowels, a silent final e left out; numbers count a syllable a digit.

    >>> syllables("table"), syllables("made"), syllables("1990"), syllables("reasoning")
    (2, 1, 4, 3)
    """
    lower = word.lower()
    if lower.isdigit():
        return len(lower)
    groups = len(re.findall(r"[aeiouy]+", lower))
    silent = lower.endswith("e") and not lower.endswith(("le", "ee")) and groups > 1
    return max(1, groups - silent)


# ---- pairs, judged together ----


class _Pairs:
    """All pairs that some items ask about, judged in few calls: a model sees them in batches by
    length."""

    def __init__(self, judge: Judge, similarity: Similarity, items: Sequence[Rated]) -> None:
        self.judge, self.similarity = judge, similarity
        wanted: dict[Pair, None] = {}
        for item in items:
            others = [*item.context, *within_reach(item)] if item.context else []
            for step in item.steps:
                wanted |= dict.fromkeys((step, other) for other in others)
            wanted |= dict.fromkeys(pairwise(item.steps))
        self._alike = dict(zip(wanted, similarity.similarities(list(wanted)), strict=True))
        asked_for: dict[Pair, None] = {}
        for item in (item for item in items if item.context):
            for n, step in enumerate(item.steps):
                asked_for |= dict.fromkeys(
                    (premise, step) for premise in self._premises(item, step)
                )
                asked_for |= dict.fromkeys((earlier, step) for earlier in item.steps[:n])
            asked_for[_premise(item, self), item.steps[-1]] = None
        self._verdicts = dict(zip(asked_for, judge.verdicts(list(asked_for)), strict=True))

    def alike(self, first: str, second: str) -> float:
        return self._alike[first, second]

    def nearest(self, item: Rated, step: str) -> list[str]:
        """The context, the sentences most like the step first."""
        return sorted(item.context, key=lambda c: -self._alike[step, c])

    def _premises(self, item: Rated, step: str) -> list[str]:
        near = self.nearest(item, step)
        first = words(near[0]).names
        linked = next((c for c in near[1:] if words(c).names & first), None)
        return [*near[: self.judge.nearest], *([] if linked is None else [f"{near[0]} {linked}"])]

    def by_context(self, item: Rated, step: str) -> list[Verdict]:
        """The verdicts of the context on a step: sentence by sentence, and two that belong
        together."""
        return [self._verdicts[premise, step] for premise in self._premises(item, step)]

    def verdict(self, premise: str, hypothesis: str) -> Verdict:
        return self._verdicts[premise, hypothesis]
