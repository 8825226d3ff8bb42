"""Judges of sentence pairs: does one follow from another, does it contradict it, are the two alike?

One small interface, three implementations: `LexicalJudge` needs no weights and looks at words;
`NliJudge` is any Hugging Face sequence-classification model of natural-language inference;
`EncoderJudge` any sentence encoder. The aspects (`aspects.py`) know the interface alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from smallsteps.devices import resolve_device
from smallsteps.errors import StudentError
from smallsteps.students.batching import batches_by_length
from smallsteps.students.pretrained import ModelFiles
from smallsteps.tasks.base import sentences

Pair = tuple[str, str]
"""(premise, hypothesis), or two sentences to compare."""


class Verdict(NamedTuple):
    """Both in [0, 1]."""

    entailment: float
    contradiction: float


class Judge(Protocol):
    """Natural-language inference."""

    nearest: int
    """How many sentences of a context are worth asking about, those most like the hypothesis
    first."""

    def verdicts(self, pairs: Sequence[Pair]) -> list[Verdict]:
        """One verdict for each (premise, hypothesis)."""
        ...


class Similarity(Protocol):
    """How alike two sentences are."""

    def similarities(self, pairs: Sequence[Pair]) -> list[float]:
        """One figure in [0, 1] for each pair."""
        ...


# ---- words ----

_WORD = re.compile(r"[^\W_]+(?:[.,'’\-][^\W_]+)*")
STOPWORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a an the this that these those it its he him his she her hers they them their we us our you your i me my of in on at by
        for to from with as is are was were be been being am do does did has have had will would can could shall should may might
        must and or but if then so than too also therefore thus hence since because while which who whom whose what where when
        why how there here into over under about after before between during through up down out off very more most some any
        each both all such own same just only said one
        """,
    )
)
NEGATIONS = frozenset(
    re.findall(r"\S+", "not no never none neither nor nobody nothing cannot without")
)


class Words(NamedTuple):
    """What a sentence is made of, for a lexical judge."""

    content: frozenset[str]
    """Stems of words that are neither stopwords nor negations."""
    names: frozenset[str]
    """Those of them that are numbers or written with a capital."""
    negated: bool
    """Whether the number of negations is odd."""


@lru_cache(maxsize=200_000)
def words(sentence: str) -> Words:
    """The words of a sentence.

    >>> sorted(words("Ann doesn't live in Rome's towns.").content), words("Ann doesn't live.").negated
    (['ann', 'liv', 'rom', 'town'], True)
    """
    content, names = set(), set()
    negations = 0
    for match in _WORD.finditer(sentence.replace("’", "'")):
        word = match[0]
        lower = word.lower()
        if lower in NEGATIONS or lower.endswith("n't"):
            negations += 1
            continue
        if lower in STOPWORDS:
            continue
        stem = _stem(lower)
        content.add(stem)
        if word[0].isupper() or word[0].isdigit():
            names.add(stem)
    return Words(frozenset(content), frozenset(names), negations % 2 == 1)


def _stem(word: str) -> str:
    """Without a possessive or a regular ending."""
    word = word.removesuffix("'s").removesuffix("'")
    for ending, rest in (
        ("ies", "y"),
        ("sses", "ss"),
        ("ing", ""),
        ("ed", ""),
        ("es", ""),
        ("s", ""),
        ("e", ""),
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            return word[: -len(ending)] + rest
    return word


@lru_cache(maxsize=500_000)
def alike(first: str, second: str) -> float:
    """Cosine of the sets of content words, names counted twice."""
    ours, theirs = words(first), words(second)
    both = _weight(ours.content & theirs.content, ours.names | theirs.names)
    return (
        both / (_weight(ours.content, ours.names) * _weight(theirs.content, theirs.names)) ** 0.5
        if both
        else 0.0
    )


def _weight(content: Iterable[str], names: frozenset[str]) -> float:
    return float(sum(2 if word in names else 1 for word in content))


class LexicalJudge:
    """Judges by words: a hypothesis follows where its premise says all its words, names above all,
    and negates as often.

    A premise of several sentences supports only as far as its sentences belong together: those that
    share no name with the others are read alone. It contradicts where all is said and the negation
    differs, or (less sure) where one name of an otherwise equal statement is another."""

    nearest = 1_000_000

    def verdicts(self, pairs: Sequence[Pair]) -> list[Verdict]:
        return [_verdict(premise, hypothesis) for premise, hypothesis in pairs]

    def similarities(self, pairs: Sequence[Pair]) -> list[float]:
        return [alike(*pair) for pair in pairs]


NAME_SWAPPED = 0.4
"""How sure a lexical judge is of a contradiction that lies in a name alone: "lives in Rome" and
"lives in Italy" may both be true."""


@lru_cache(maxsize=500_000)
def _verdict(premise: str, hypothesis: str) -> Verdict:
    asked = words(hypothesis)
    if not asked.content:
        return Verdict(0.0, 0.0)
    whole = _weight(asked.content, asked.names)
    best = Verdict(0.0, 0.0)
    single, linked = _together(premise)
    # what sentences say together leaves out a name that links them
    joined = (group for group, links in linked if not links <= asked.names)
    for said in (*single, *joined):
        known = asked.content & said.content
        share = _weight(known, asked.names) / whole
        entails, contradicts = share * share, 0.0
        if asked.negated != said.negated:
            entails, contradicts = 0.1 * entails, share * share
        elif share < 1 and known & asked.names and asked.content - asked.names <= said.content:
            contradicts = NAME_SWAPPED * share
        best = Verdict(max(best.entailment, entails), max(best.contradiction, contradicts))
    return best


@lru_cache(maxsize=200_000)
def _together(premise: str) -> tuple[tuple[Words, ...], tuple[tuple[Words, frozenset[str]], ...]]:
    """The sentences of a premise; and those of them that names link, taken as one, with the names
    that do."""
    single = tuple(words(sentence) for sentence in sentences(premise))
    groups: list[tuple[Words, ...]] = []
    for one in single:
        linked = [group for group in groups if any(part.names & one.names for part in group)]
        groups = [group for group in groups if group not in linked]
        groups.append((*(part for group in linked for part in group), one))
    return single, tuple((_joined(group), _links(group)) for group in groups if len(group) > 1)


def _joined(parts: Sequence[Words]) -> Words:
    return Words(
        frozenset().union(*(part.content for part in parts)),
        frozenset().union(*(part.names for part in parts)),
        any(part.negated for part in parts),
    )


def _links(parts: Sequence[Words]) -> frozenset[str]:
    counts = Counter(name for part in parts for name in part.names)
    return frozenset(name for name, count in counts.items() if count > 1)


# ---- models ----


class NliJudge:
    """A Hugging Face model of natural-language inference, by name or folder. Raises StudentError
    where it is none."""

    nearest = 5

    def __init__(self, name: str, device: str = "auto", batch_tokens: int = 4096) -> None:
        from transformers import AutoModelForSequenceClassification

        role = "judge"
        files, config, where = _open(name, device, batch_tokens, role)
        labels = {str(label).lower(): int(place) for place, label in config.id2label.items()}
        self.entails = _label(labels, "entail", name, config)
        self.contradicts = _label(labels, "contradict", name, config)
        self.tokenizer = _padding(files.tokenizer(), name, role)
        model, missing = files.model(AutoModelForSequenceClassification)
        if missing:
            raise StudentError(
                f"judge {name}: its weights lack {missing[0]!r}: it was never trained for natural-language inference. Name "
                "a model that was."
            )
        self.model = model.eval().to(where)
        self.batch_tokens = batch_tokens

    def verdicts(self, pairs: Sequence[Pair]) -> list[Verdict]:
        """Batched by length."""
        import torch

        found: dict[int, Verdict] = {}
        limit = min(
            self.tokenizer.model_max_length,
            getattr(self.model.config, "max_position_embeddings", 512) - 2,
        )
        ids = (
            self.tokenizer(list(pairs), truncation=True, max_length=limit)["input_ids"]
            if pairs
            else []
        )
        for batch in batches_by_length(
            [(len(row), 0) for row in ids], self.batch_tokens, fill=True
        ):
            inputs = self.tokenizer(
                [pairs[n] for n in batch],
                truncation=True,
                max_length=limit,
                padding=True,
                return_tensors="pt",
            ).to(self.model.device)
            with torch.no_grad():
                probabilities = self.model(**inputs).logits.float().softmax(-1).tolist()
            for n, row in zip(batch, probabilities, strict=True):
                found[n] = Verdict(row[self.entails], row[self.contradicts])
        return [found[n] for n in range(len(pairs))]


class EncoderJudge:
    """A sentence encoder, by name or folder: cosine of mean-pooled last hidden states, below 0 as
    0."""

    def __init__(self, name: str, device: str = "auto", batch_tokens: int = 8192) -> None:
        from transformers import AutoModel

        role = "encoder"
        files, config, where = _open(name, device, batch_tokens, role)
        kinds = [str(kind) for kind in getattr(config, "architectures", None) or ()]
        if config.is_encoder_decoder or any(kind.endswith("ForCausalLM") for kind in kinds):
            kind = "an encoder-decoder" if config.is_encoder_decoder else "a causal language model"
            raise StudentError(
                f"encoder {name}: this is {kind} ({config.model_type}), expected a sentence encoder such as "
                "sentence-transformers/all-MiniLM-L6-v2."
            )
        self.tokenizer = _padding(files.tokenizer(), name, role)
        model, missing = files.model(AutoModel)
        if missing := [key for key in missing if "pooler" not in key]:  # sentences are pooled here
            raise StudentError(
                f"encoder {name}: its weights lack {missing[0]!r}. Expected a whole sentence encoder."
            )
        self.model = model.eval().to(where)
        self.batch_tokens = batch_tokens
        self._known: dict[str, Any] = {}

    def similarities(self, pairs: Sequence[Pair]) -> list[float]:
        self._encode(
            [
                text
                for text in dict.fromkeys(text for pair in pairs for text in pair)
                if text not in self._known
            ]
        )
        return [min(1.0, max(0.0, float(self._known[a] @ self._known[b]))) for a, b in pairs]

    def _encode(self, texts: list[str]) -> None:
        import torch
        from torch.nn import functional as F

        limit = min(
            self.tokenizer.model_max_length,
            getattr(self.model.config, "max_position_embeddings", 512) - 2,
        )
        ids = self.tokenizer(texts, truncation=True, max_length=limit)["input_ids"] if texts else []
        for batch in batches_by_length(
            [(len(row), 0) for row in ids], self.batch_tokens, fill=True
        ):
            inputs = self.tokenizer(
                [texts[n] for n in batch],
                truncation=True,
                max_length=limit,
                padding=True,
                return_tensors="pt",
            ).to(self.model.device)
            with torch.no_grad():
                states = self.model(**inputs).last_hidden_state.float()
            mask = inputs["attention_mask"][:, :, None]
            vectors = F.normalize((states * mask).sum(1) / mask.sum(1), dim=-1).cpu()
            self._known.update({texts[n]: vector for n, vector in zip(batch, vectors, strict=True)})


def _open(name: str, device: str, batch_tokens: int, role: str) -> tuple[ModelFiles, Any, str]:
    """(files, configuration, device) of a model, everything checked that can be checked before its
    weights are read."""
    if batch_tokens < 1:
        raise StudentError(f"{role} {name}: batch_tokens is {batch_tokens}, expected at least 1.")
    where = resolve_device(device, "device")
    files = ModelFiles.locate(name, role)
    return files, files.config(), where


def _padding(tokenizer: Any, name: str, role: str) -> Any:
    """`tokenizer`. Raises StudentError where it cannot pad, so that sentences could not be judged
    together."""
    if tokenizer.pad_token_id is None:
        raise StudentError(
            f"{role} {name}: its tokenizer has no padding token. Expected a trained {role}."
        )
    return tokenizer


def _label(labels: dict[str, int], word: str, name: str, config: Any) -> int:
    places = [
        place for label, place in labels.items() if label.startswith(word) or label.endswith(word)
    ]
    if len(places) != 1:
        raise StudentError(
            f"judge {name}: this is no model of natural-language inference ({config.model_type}): its labels are "
            f"{list(config.id2label.values())}, expected one of entailment and one of contradiction. Name another model, "
            "such as cross-encoder/nli-deberta-v3-base."
        )
    return places[0]


def open_judges(judge: str, encoder: str, device: str = "auto") -> tuple[Judge, Similarity]:
    """By name: `lexical`, or a model of natural-language inference, and a sentence encoder. Raises
    StudentError where a model is not there, or its labels are not those of inference."""
    for role, name in (("judge", judge), ("encoder", encoder)):
        if (
            name != "lexical"
            and "/" not in name
            and get_close_matches(name.lower(), ["lexical"], cutoff=0.7)
        ):
            raise StudentError(f"{role} {name}: no such {role}. Did you mean 'lexical'?")
    return (
        LexicalJudge() if judge == "lexical" else NliJudge(judge, device),
        LexicalJudge() if encoder == "lexical" else EncoderJudge(encoder, device),
    )
