"""Judges that are models: natural-language inference, and sentence encoders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any

from smallsteps.devices import move_to, resolve_device
from smallsteps.errors import StudentError
from smallsteps.quality.judges import Judge, Judgement, Pair, Similarity
from smallsteps.quality.lexical_judge import LexicalJudge
from smallsteps.students.batching import batches_by_length
from smallsteps.students.pretrained import ModelFiles


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
                f"judge {name}: its weights lack {missing[0]!r}: it was never trained for "
                "natural-language inference. Name a model that was."
            )
        self.model = move_to(model.eval(), where)
        self.batch_tokens = batch_tokens

    def verdicts(self, pairs: Sequence[Pair]) -> list[Judgement]:
        """One verdict for each (premise, hypothesis); pairs are batched by length."""
        import torch

        verdicts: dict[int, Judgement] = {}
        for batch, inputs in _batches(self.tokenizer, self.model, list(pairs), self.batch_tokens):
            with torch.no_grad():
                probabilities = self.model(**inputs).logits.float().softmax(-1).tolist()
            for n, row in zip(batch, probabilities, strict=True):
                verdicts[n] = Judgement(row[self.entails], row[self.contradicts])
        return [verdicts[n] for n in range(len(pairs))]


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
                f"encoder {name}: this is {kind} ({config.model_type}), expected a sentence "
                "encoder such as sentence-transformers/all-MiniLM-L6-v2."
            )
        self.tokenizer = _padding(files.tokenizer(), name, role)
        model, missing = files.model(AutoModel)
        if missing := [key for key in missing if "pooler" not in key]:  # sentences are pooled here
            raise StudentError(
                f"encoder {name}: its weights lack {missing[0]!r}. "
                "Expected a whole sentence encoder."
            )
        self.model = move_to(model.eval(), where)
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

        for batch, inputs in _batches(self.tokenizer, self.model, texts, self.batch_tokens):
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
            f"judge {name}: this is no model of natural-language inference ({config.model_type}): "
            f"its labels are {list(config.id2label.values())}, expected one of entailment and one "
            "of contradiction. Name another model, such as cross-encoder/nli-deberta-v3-base."
        )
    return places[0]


def open_judges(judge: str, encoder: str, device: str = "auto") -> tuple[Judge, Similarity]:
    """The judge and the encoder of these names: `lexical`, or a model of natural-language inference
    and a sentence encoder. Raises StudentError where a model does not exist, or its labels are not
    those of inference."""
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


def _batches(
    tokenizer: Any, model: Any, texts: list[Any], batch_tokens: int
) -> Iterator[tuple[Sequence[int], Any]]:
    """`texts` (or pairs of texts) in batches of like length: their places, and the model's inputs,
    cut where the model reads no further."""
    if not texts:
        return
    longest = getattr(model.config, "max_position_embeddings", 512) - 2
    limit = min(tokenizer.model_max_length, longest)
    rows = tokenizer(texts, truncation=True, max_length=limit)["input_ids"]
    for batch in batches_by_length([(len(row), 0) for row in rows], batch_tokens, fill=True):
        inputs = tokenizer(
            [texts[place] for place in batch],
            truncation=True,
            max_length=limit,
            padding=True,
            return_tensors="pt",
        )
        yield batch, inputs.to(model.device)
