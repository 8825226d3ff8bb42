"""A student: a Hugging Face model with its tokenizer, and the only place where text becomes ids.

Training examples and generation prompts are rendered by the same functions here, so that they
cannot drift apart. The layouts (AS-ES method page, section 3):

    encoder-decoder   Q, a space, earlier segments joined by the task's joiner, </s> → segment, </s>
    causal            Q <es> S_1 <as> S_2 ... <eos>; ids are made piece by piece, never re-tokenised

Lengths, never pad ids, say which positions are real. So a tokenizer whose pad token is its end
token (Qwen, Llama) needs no special care. Not here: model files (`pretrained.py`), loading
(`loading.py`), added tokens (`tokens.py`), LoRA (`lora.py`), scores (`scores.py`)."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch

from smallsteps.disk import atomic_folder
from smallsteps.errors import DataError, InternalError, StudentError
from smallsteps.faults import names_faults
from smallsteps.records import Kind
from smallsteps.students.card import write_card
from smallsteps.students.characters import MARKERS, SPACE_TOKEN, CharacterMap
from smallsteps.students.chat_templates import chat_text
from smallsteps.students.drive import Drive
from smallsteps.students.saving import write_model
from smallsteps.students.special_ids import (
    find_end_ids,
    find_frame,
    find_number_ids,
    find_start_id,
)
from smallsteps.students.weights import RELATIVE_POSITIONS, weights_digest
from smallsteps.tasks.base import STOP_TOKEN, Task

CACHED_TEXTS = 20_000
"""Number of texts whose ids a student keeps: questions and segments are encoded many times."""


class Student:
    """A model with its tokenizer. Whatever depends on the architecture is decided here."""

    def __init__(
        self, model: Any, tokenizer: Any, drive: Drive | None = None, name: str = "student"
    ) -> None:
        """Raises StudentError if the model names no end of sequence or no first decoder input."""
        self.model = model
        self.tokenizer = tokenizer
        self.drive = drive
        self.name = name
        config = model.config
        self.architecture: Literal["encoder-decoder", "causal"] = (
            "encoder-decoder" if config.is_encoder_decoder else "causal"
        )
        self.end_id, self.end_ids = find_end_ids(model, tokenizer, name)
        self.start_id: int | None = None
        """First decoder input (encoder-decoder only)."""
        if self.architecture == "encoder-decoder":
            self.start_id = find_start_id(model, name)
        self.max_source_tokens: int | None = None
        """Maximum input length in tokens (causal: input and output together); None: no limit,
        because positions are relative."""
        if config.model_type not in RELATIVE_POSITIONS:
            self.max_source_tokens = getattr(
                config.get_text_config(), "max_position_embeddings", None
            )
        self.refresh()

    def refresh(self) -> None:
        """Read the tokenizer again. Call this after adding tokens to it."""
        self._ids_by_text: dict[str, array[int]] = {}
        self._ids_by_question: dict[tuple[Any, str], array[int]] = {}
        self.__dict__.pop("number_ids", None)  # cached
        self.source_head, self.source_tail = find_frame(self.tokenizer)
        # BART-class decoders write <s> first, T5-class ones do not, and T5Gemma's are given it
        self.target_head: list[int] = []
        if self.architecture == "encoder-decoder":
            given = self.source_head == [self.start_id]
            self.target_head = [] if given else self.source_head
            if not self.source_head and self.end_id not in self.source_tail:
                self.source_tail = [*self.source_tail, self.end_id]
        added = self.tokenizer.get_added_vocab()
        kinds: tuple[Kind, Kind] = ("ES", "AS")
        self.markers: dict[Kind, int] = {
            kind: added[MARKERS[kind]] for kind in kinds if MARKERS[kind] in added
        }
        self.stop_id: int | None = added.get(STOP_TOKEN)
        self.characters: CharacterMap | None = None
        if self.drive and (self.drive.characters or self.drive.spaces):
            ids = {character: added[character] for character in self.drive.characters}
            self.characters = CharacterMap(ids | {" ": added[SPACE_TOKEN]})
        hidden = set(self.tokenizer.all_special_ids) | set(self.markers.values())
        self._hidden_ids = hidden - {self.stop_id}

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.model.dtype

    @property
    def pad_id(self) -> int:
        """Fills rows up. It is never compared with, so any id would do."""
        pad = self.tokenizer.pad_token_id
        return self.end_id if pad is None else pad

    @property
    def decoder_start(self) -> int:
        """`start_id` of an encoder-decoder. Raises InternalError for causal students."""
        if self.start_id is None:
            raise InternalError(f"{self.name}: a causal student has no decoder start")
        return self.start_id

    @cached_property
    def number_ids(self) -> frozenset[int]:
        """Ids of all tokens that are numbers."""
        return find_number_ids(self.tokenizer)

    # ---- text → ids ----

    def encode(self, text: str) -> list[int]:
        """Ids of `text` alone: no frame, no end. Characters that the tokenizer cannot write become
        their own tokens."""
        if self.characters:
            return self.characters.encode(text, self._tokenize)
        return self._tokenize(text)

    def _tokenize(self, text: str) -> list[int]:
        ids = self._ids_by_text.get(text)
        if ids is None:
            if len(self._ids_by_text) >= CACHED_TEXTS:
                self._ids_by_text.clear()
            encoding = self.tokenizer(text, add_special_tokens=False, verbose=False)
            ids = array("i", encoding["input_ids"])
            self._ids_by_text[text] = ids
        return list(ids)

    def encode_with_spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """(the ids of `encode`, the (start, end) in `text` of each)."""
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        pieces = self.characters.pieces(text) if self.characters else [(0, text, None)]
        for start, piece, added_id in pieces:
            if added_id is not None:
                ids.append(added_id)
                spans.append((start, start + 1))
                continue
            encoding = self.tokenizer(
                piece, add_special_tokens=False, return_offsets_mapping=True, verbose=False
            )
            ids += encoding["input_ids"]
            spans += [(start + first, start + end) for first, end in encoding["offset_mapping"]]
        return ids, spans

    # ---- ids → text ----

    def text(self, ids: Sequence[int]) -> str:
        """The text of `ids`, not stripped. Special tokens and markers are left out, `<STOP>`
        stays."""
        shown = [int(token) for token in ids if int(token) not in self._hidden_ids]
        if self.characters:
            return self.characters.decode(shown, self._detokenize)
        return self._detokenize(shown)

    def _detokenize(self, ids: list[int]) -> str:
        # the clean-up that some configs ask for would remove the space of "3 ." and "do n't"
        text = self.tokenizer.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return str(text)

    # ---- what is read and written, for training and generation alike ----

    def source_ids(
        self,
        task: Task,
        question: str,
        prefix: Sequence[tuple[Kind, str]] = (),
        cue: Kind | None = None,
    ) -> list[int]:
        """What the student reads before it writes a segment or a whole chain.

        question: as the task renders it. prefix: earlier segments as (kind, text). cue:
        encoder-decoders get the marker of this kind at the end of their input (`cue: kind`);
        causal students the marker of the segment to write. A causal chain that opens with AS has
        an empty ES in its prefix. Without prefix and cue there is no marker (direct).

        Raises StudentError if a marker is needed that was never added."""
        if self.architecture == "encoder-decoder":
            return self._encoder_ids(task, question, prefix, cue)
        if prefix and cue is None:
            cue = "AS" if prefix[-1][0] == "ES" else "ES"
        ids = self._question_ids(question)
        for kind, text in prefix:
            ids += [self.marker(kind), *self.encode(text.strip())]
        return [*ids, self.marker(cue)] if cue else ids

    def _encoder_ids(
        self, task: Task, question: str, prefix: Sequence[tuple[Kind, str]], cue: Kind | None
    ) -> list[int]:
        written = task.joiner.join(text.strip() for _, text in prefix if text.strip())
        text = f"{question} {written}" if written else question
        marker = [self.marker(cue)] if cue else []
        return [*self.source_head, *self.encode(text), *marker, *self.source_tail]

    def target_ids(
        self, task: Task, text: str, last: bool = False, following: Kind | None = None
    ) -> list[int]:
        """What the student is to write: the stripped text and its end.

        last: this target ends the chain, so that tasks without a closing sentence add `<STOP>`.
        following: causal students end a segment in the marker of the next segment's kind; None:
        in end of sequence. Raises StudentError if `<STOP>` or the marker was never added."""
        ids = [*self.target_head, *self.encode(text.strip())]
        if last and task.closing is None:
            if self.stop_id is None:
                raise StudentError(
                    f"{self.name}: task {task.name!r} ends chains in {STOP_TOKEN}, which this "
                    "student lacks. Use prepare()."
                )
            ids.append(self.stop_id)
        return [*ids, self.marker(following) if following else self.end_id]

    def chain_ids(
        self,
        task: Task,
        question: str,
        segments: Sequence[tuple[Kind, str]],
        role: Kind | None = None,
    ) -> tuple[list[int], list[bool]]:
        """Causal students: (ids, whether each is a target) of one row that trains a whole chain.

        All ids after the first marker are targets. role (dual-path): only segments of this kind,
        each with the marker or end that closes it. A chain that opens with AS gets an empty ES
        first."""
        if segments and segments[0][0] == "AS":
            segments = [("ES", ""), *segments]
        ids = self.source_ids(task, question, cue=segments[0][0])
        is_target = [False] * len(ids)
        for place, (kind, text) in enumerate(segments):
            last = place + 1 == len(segments)
            following = None if last else segments[place + 1][0]
            segment_ids = self.target_ids(task, text, last, following)
            ids += segment_ids
            is_target += [role in (None, kind)] * len(segment_ids)
        return ids, is_target

    def _question_ids(self, question: str) -> list[int]:
        """A causal student's prompt: worked examples, never of this very question, then the
        question."""
        demonstrations = self.drive.demonstrations if self.drive else ()
        # rendering a chat template takes longer than encoding, and segments share a question
        key = (demonstrations, question)
        if key not in self._ids_by_question:
            if len(self._ids_by_question) >= CACHED_TEXTS:
                self._ids_by_question.clear()
            ids = self._rendered_ids(demonstrations, question)
            self._ids_by_question[key] = array("i", ids)
        return list(self._ids_by_question[key])

    def _rendered_ids(self, demonstrations: Sequence[tuple[str, str]], question: str) -> list[int]:
        """`_question_ids`, made anew."""
        messages: list[tuple[str, str]] = []
        for example_question, rationale in demonstrations:
            if example_question == question:
                continue
            if self.tokenizer.chat_template:
                messages += [("user", example_question), ("assistant", rationale)]
            else:
                messages.append(("user", f"{example_question}\n{rationale}"))
        return self.chat_ids([*messages, ("user", question)])

    def chat_ids(self, messages: Sequence[tuple[str, str]], thinking: bool = False) -> list[int]:
        """What a model reads before it answers `messages`, given as (role, content).

        Without a chat template the contents follow each other. thinking: for templates that know
        `enable_thinking`. Raises StudentError if the template refuses the messages."""
        contents = "\n\n".join(content for _, content in messages)
        if self.architecture == "encoder-decoder":
            return [*self.source_head, *self.encode(contents), *self.source_tail]
        if self.tokenizer.chat_template:
            return self._tokenize(chat_text(self.tokenizer, messages, self.name, thinking))
        return [*self.source_head, *self.encode(contents + "\n")]

    def marker(self, kind: Kind) -> int:
        """Id of the marker of `kind`. Raises StudentError if it was never added."""
        if kind not in self.markers:
            raise StudentError(
                f"{self.name}: the markers <es> and <as> were never added to this student. "
                "Use prepare() first."
            )
        return self.markers[kind]

    def require_room(
        self, ids: Sequence[int], record: str, *, new_tokens: int = 0, limit: int | None = None
    ) -> None:
        """Raises DataError, which names `record`, if the student cannot read `ids`.

        new_tokens: what it is to write (causal students: counts as well). limit: the recipe's
        `source_limit`, below the model's own limit."""
        needed = len(ids) + (new_tokens if self.architecture == "causal" else 0)
        limits = [n for n in (limit, self.max_source_tokens) if n is not None]
        if not limits or needed <= min(limits):
            return
        remedy = "use a student that reads more"
        if limit is not None and limit == min(limits):
            remedy = "raise source_limit"
        raise DataError(
            f"{record}: needs {needed} tokens, {self.name} reads {min(limits)}. "
            f"Shorten the question or {remedy}."
        )

    # ---- weights ----

    def weights_digest(self) -> str:
        """Fingerprint of the weights (see `weights.weights_digest`)."""
        return weights_digest(self.model)

    @names_faults
    def save(self, folder: Path | str) -> Path:
        """Write a Hugging Face folder with `smallsteps.json` and a model card. It appears whole or
        not at all."""
        with atomic_folder(Path(folder)) as draft:
            write_model(draft, self.model, self.tokenizer, self.drive)
            write_card(draft, self)
        return Path(folder)
