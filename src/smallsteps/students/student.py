"""A student: a Hugging Face model, its tokenizer, and the one way of turning questions and segments
into ids and back.

Training examples and generation prompts are rendered by the same functions here, so that they
cannot drift apart (the authors' scripts joined pieces by a comma in training and by a space in
generation). Section 3 of the AS-ES method page has the layouts:

    encoder-decoder   Q, one space, the earlier segments joined by the task's joiner, </s>   →   the next segment, </s>
    causal            Q <es> S_1 <as> S_2 ... <eos>, ids made piece by piece, never re-tokenised

A trained student is an ordinary Hugging Face folder with one small file beside the weights,
`smallsteps.json`, which holds the `Drive`: how the model is to be driven. A dual-path student is a
folder with `es/`, `as/` and the same file.

Lengths, never pad ids, say what is real: a tokenizer whose pad token is its end token (Qwen, Llama)
needs no special care. Not here: model files (`pretrained.py`), added tokens (`tokens.py`), LoRA
(`lora.py`), scoring (`scores.py`)."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from smallsteps import __version__
from smallsteps.devices import resolve_device
from smallsteps.errors import DataError, StudentError, nearest
from smallsteps.records import Kind
from smallsteps.students.chat_templates import chat_text
from smallsteps.students.pretrained import ModelFiles, no_progress_bars
from smallsteps.students.tokens import MARKERS, SPACE_TOKEN, CharacterMap
from smallsteps.tasks.base import STOP_TOKEN, Task

if TYPE_CHECKING:
    from smallsteps.students.lora import LoraSettings

DRIVE_FILE = "smallsteps.json"

DTYPES = {
    "float32": torch.float32,
    "fp32": torch.float32,
    "bfloat16": torch.bfloat16,
    "bf16": torch.bfloat16,
    "float16": torch.float16,
    "fp16": torch.float16,
}

RELATIVE_POSITIONS = {"t5", "mt5", "umt5", "longt5", "switch_transformers", "pop2piano"}
"""Model types whose positions are relative, so that the config's length is no limit; T5's
activations overflow in fp16."""


MOST_KNOWN = 20_000
"""Texts whose ids a student remembers."""


@dataclass(frozen=True)
class Drive:
    """How a saved student is to be driven; the content of `smallsteps.json`."""

    task: str
    path: Literal["direct", "uni", "dual"] = "direct"
    cue: bool = False
    """Encoder-decoder uni-path with `cue: kind`: a marker closes the input and names the segment to
    come."""
    role: Literal["ES", "AS"] | None = None
    """One half of a dual-path pair: the kind it writes."""
    characters: tuple[str, ...] = ()
    """Characters that have tokens of their own because the tokenizer cannot write them."""
    spaces: bool = False
    """Whether spaces that the tokenizer swallows have the token `<sp>`."""
    max_segments: int | None = None
    """Segments it may write: those of its longest training chain, with room; None: what the task
    says."""
    demonstrations: tuple[tuple[str, str], ...] = ()
    """Causal students: (rendered question, rationale) of worked questions that stand before every
    question."""
    version: int = 1
    smallsteps: str = __version__

    def to_json(self) -> str:
        """The text of the file: UTF-8, one object."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_file(cls, path: Path) -> Drive:
        """Raises StudentError where the file is no drive of a version we know."""
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise StudentError(
                f"{path}: expected one JSON object, got {error}. Save the student again."
            ) from None
        known = {f.name for f in fields(cls)}
        if not isinstance(row, dict) or "task" not in row:
            raise StudentError(
                f"{path}: expected an object with at least 'task'. Save the student again."
            )
        for name in row:
            if name not in known:
                raise StudentError(
                    f"{path}: no field {name!r}.{nearest(name, known)} Saved by a newer smallsteps?"
                )
        pairs = tuple(map(tuple, row.get("demonstrations", ())))
        return cls(
            **{**row, "characters": tuple(row.get("characters", ())), "demonstrations": pairs}
        )


class Student:
    """A model with its tokenizer; everything that depends on the architecture of either is decided
    here."""

    def __init__(
        self, model: Any, tokenizer: Any, drive: Drive | None = None, name: str = "student"
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.drive = drive
        self.name = name
        self.architecture: Literal["encoder-decoder", "causal"] = (
            "encoder-decoder" if model.config.is_encoder_decoder else "causal"
        )
        self.end_id, self.end_ids = _ends(model, tokenizer, name)
        config = model.config
        self.start_id: int | None = None
        """First decoder input (encoder-decoder only)."""
        if self.architecture == "encoder-decoder":
            start = getattr(model.generation_config, "decoder_start_token_id", None)
            start = getattr(config, "decoder_start_token_id", None) if start is None else start
            self.start_id = config.pad_token_id if start is None else start
            if self.start_id is None:
                raise StudentError(
                    f"{name}: config.json names no decoder_start_token_id. Add it to the model's config."
                )
        self.max_source_tokens: int | None = None
        """Longest input in tokens (causal: input and output together); None: relative positions, no
        hard limit."""
        if config.model_type not in RELATIVE_POSITIONS:
            self.max_source_tokens = getattr(
                config.get_text_config(), "max_position_embeddings", None
            )
        self.refresh()

    def refresh(self) -> None:
        """Reads the tokenizer again; to be called after tokens were added to it."""
        tokenizer = self.tokenizer
        self._known: dict[str, tuple[int, ...]] = {}
        """Text → ids, of what was encoded last: questions and segments are encoded again and
        again."""
        bare, framed = self._plain("a"), tokenizer("a", verbose=False)["input_ids"]
        self.source_head, self.source_tail = _frame(bare, framed)
        # BART-class decoders write <s> first, T5-class ones do not
        self.target_head: list[int] = (
            self.source_head if self.architecture == "encoder-decoder" else []
        )
        if self.architecture == "encoder-decoder" and self.end_id not in self.source_tail:
            self.source_tail = [*self.source_tail, self.end_id]
        added = tokenizer.get_added_vocab()
        names: list[tuple[Kind, str]] = [("ES", MARKERS["ES"]), ("AS", MARKERS["AS"])]
        self.markers: dict[Kind, int] = {kind: added[name] for kind, name in names if name in added}
        self.stop_id: int | None = added.get(STOP_TOKEN)
        self.characters: CharacterMap | None = None
        if self.drive and (self.drive.characters or self.drive.spaces):
            ids = {c: added[c] for c in self.drive.characters}
            self.characters = CharacterMap(ids | {" ": added[SPACE_TOKEN]})
        self._silent = (set(tokenizer.all_special_ids) | set(self.markers.values())) - {
            self.stop_id
        }

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    @property
    def pad_id(self) -> int:
        """Fills rows up; never compared with, so that any id serves."""
        pad = self.tokenizer.pad_token_id
        return self.end_id if pad is None else pad

    # text ↔ ids

    def encode(self, text: str) -> list[int]:
        """Ids of bare text: no frame, no end; characters the tokenizer cannot write go through
        their own tokens."""
        return self.characters.encode(text, self._plain) if self.characters else self._plain(text)

    def _plain(self, text: str) -> list[int]:
        ids = self._known.get(text)
        if ids is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            ids = tuple(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])
            self._known[text] = ids
        return list(ids)

    def encode_with_spans(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids of `encode` and the (start, end) of the characters that each stands for."""
        ids: list[int] = []
        spans: list[tuple[int, int]] = []
        for start, piece, own in (
            self.characters.pieces(text) if self.characters else [(0, text, None)]
        ):
            if own is not None:
                ids.append(own)
                spans.append((start, start + 1))
                continue
            found = self.tokenizer(
                piece, add_special_tokens=False, return_offsets_mapping=True, verbose=False
            )
            ids += found["input_ids"]
            spans += [(start + a, start + b) for a, b in found["offset_mapping"]]
        return ids, spans

    def text(self, ids: Sequence[int]) -> str:
        """The text that `ids` spell, not stripped. Specials and markers are left out, `<STOP>`
        stays."""
        kept = [int(i) for i in ids if int(i) not in self._silent]
        return self.characters.decode(kept, self._spell) if self.characters else self._spell(kept)

    def _spell(self, ids: list[int]) -> str:
        # the clean-up that some configs ask for would eat the space of "3 ." and "do n't"
        return str(
            self.tokenizer.decode(
                ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
            )
        )

    def source_ids(
        self,
        task: Task,
        question: str,
        prefix: Sequence[tuple[Kind, str]] = (),
        cue: Kind | None = None,
    ) -> list[int]:
        """What the student reads before it writes, for training and generation alike.

        `question` is rendered by the task. Encoder-decoder: `cue` appends the marker of `cue:
        kind`. Causal: `prefix` holds the earlier segments (an empty first ES where the chain opens
        with AS) and `cue` names the segment to come; without `cue` and without `prefix` no marker
        is set (direct). Raises StudentError where a marker is needed that was never added."""
        if self.architecture == "encoder-decoder":
            written = task.joiner.join(text.strip() for _, text in prefix if text.strip())
            text = f"{question} {written}" if written else question
            marker = [self.marker(cue)] if cue else []
            return [*self.source_head, *self.encode(text), *marker, *self.source_tail]
        if prefix and cue is None:
            cue = "AS" if prefix[-1][0] == "ES" else "ES"
        ids = self._question_ids(question)
        for kind, text in prefix:
            ids += [self.marker(kind), *self.encode(text.strip())]
        return [*ids, self.marker(cue)] if cue else ids

    def target_ids(
        self, task: Task, text: str, last: bool = False, following: Kind | None = None
    ) -> list[int]:
        """What the student is to write: stripped text, `<STOP>` where the task ends so and this is
        the last, and the end.

        Causal: `following` is the kind of the next segment, whose marker ends this one; None: end
        of sequence."""
        ids = [*self.target_head, *self.encode(text.strip())]
        if last and task.closing is None:
            if self.stop_id is None:
                raise StudentError(
                    f"{self.name}: task {task.name!r} ends in {STOP_TOKEN}, which this student lacks. Use prepare()."
                )
            ids.append(self.stop_id)
        return [*ids, self.marker(following) if following else self.end_id]

    def chain_ids(
        self,
        task: Task,
        question: str,
        segments: Sequence[tuple[Kind, str]],
        own: Kind | None = None,
    ) -> tuple[list[int], list[bool]]:
        """Causal: one row that trains every (prefix → segment) example of a chain: ids, and which
        of them are targets.

        Everything after the first marker is a target; with `own` (dual-path) only that kind's
        segments and the marker or end that closes them. A chain that opens with AS gets an empty ES
        first."""
        if segments and segments[0][0] == "AS":
            segments = [("ES", ""), *segments]
        ids = self.source_ids(task, question, cue=segments[0][0])
        mask = [False] * len(ids)
        for place, (kind, text) in enumerate(segments):
            last = place + 1 == len(segments)
            piece = self.target_ids(task, text, last, None if last else segments[place + 1][0])
            ids += piece
            mask += [own is None or own == kind] * len(piece)
        return ids, mask

    def _question_ids(self, question: str) -> list[int]:
        """A causal student's prompt: its demonstrations, but never the one of this very question,
        then the question."""
        shown = (
            [] if self.drive is None else [d for d in self.drive.demonstrations if d[0] != question]
        )
        if self.tokenizer.chat_template:
            turns = [
                turn for asked, said in shown for turn in (("user", asked), ("assistant", said))
            ]
            return self.chat_ids([*turns, ("user", question)])
        return self.chat_ids(
            [*(("user", f"{asked}\n{said}") for asked, said in shown), ("user", question)]
        )

    def chat_ids(self, messages: Sequence[tuple[str, str]], thinking: bool = False) -> list[int]:
        """What a model reads before it answers `messages`, (role, content) in order: by its chat
        template, or, where it has none, the contents one after another. `thinking`: for templates
        that know `enable_thinking`.

        Raises StudentError where the template takes the messages in no form.
        """
        if self.architecture == "encoder-decoder":
            return [
                *self.source_head,
                *self.encode("\n\n".join(content for _, content in messages)),
                *self.source_tail,
            ]
        if self.tokenizer.chat_template:
            return self._plain(chat_text(self.tokenizer, messages, self.name, thinking))
        return [
            *self.source_head,
            *self.encode("\n\n".join(content for _, content in messages) + "\n"),
        ]

    def weights_digest(self) -> str:
        """Tells students with other weights apart: SHA-256 over 64 numbers of every tensor and its
        shape."""
        parts = hashlib.sha256()
        for name, value in self.model.named_parameters():
            flat = value.detach().reshape(-1)
            sample = flat[:: max(1, flat.numel() // 64)].float().cpu().numpy()
            parts.update(f"{name} {tuple(value.shape)}".encode() + sample.tobytes())
        return parts.hexdigest()

    def marker(self, kind: Kind) -> int:
        """Id of the marker of `kind`. Raises StudentError where it was never added."""
        if kind not in self.markers:
            raise StudentError(
                f"{self.name}: the markers <es> and <as> were never added to this student. Use prepare() first."
            )
        return self.markers[kind]

    def require_room(
        self, ids: Sequence[int], record: str, *, new_tokens: int = 0, limit: int | None = None
    ) -> None:
        """Raises DataError naming `record` where `ids` (causal: and `new_tokens`) are longer than
        the student reads.

        `limit`: the recipe's `source_limit`; the hard limit of absolute positions holds in any
        case."""
        needed = len(ids) + (new_tokens if self.architecture == "causal" else 0)
        limits = [n for n in (limit, self.max_source_tokens) if n is not None]
        if limits and needed > min(limits):
            way = (
                "raise source_limit"
                if limit is not None and min(limits) == limit
                else "take a student that reads more"
            )
            raise DataError(
                f"{record}: needs {needed} tokens, {self.name} reads {min(limits)}. Shorten the question or {way}."
            )

    # on disk

    def save(self, folder: Path | str) -> Path:
        """Writes an ordinary Hugging Face folder with `smallsteps.json`; it appears whole or not at
        all."""
        return _replace_folder(Path(folder), self._write)

    def _write(self, folder: Path) -> None:
        from smallsteps.students.lora import merged

        with no_progress_bars():
            merged(self.model).save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        if self.drive:
            (folder / DRIVE_FILE).write_text(self.drive.to_json(), encoding="utf-8")


class DualStudent:
    """Dual-path: one student for extractive, one for abstractive segments."""

    architecture: Literal["encoder-decoder", "causal"]

    def __init__(self, es: Student, as_: Student, drive: Drive, name: str = "student") -> None:
        self.es, self.as_, self.drive, self.name = es, as_, drive, name
        self.architecture = es.architecture

    def half(self, kind: Kind) -> Student:
        """The student that writes segments of `kind`."""
        return self.es if kind == "ES" else self.as_

    def save(self, folder: Path | str) -> Path:
        """`es/` and `as/` are ordinary folders; the drive lies beside them."""
        return _replace_folder(Path(folder), self._write)

    def _write(self, folder: Path) -> None:
        for name, half in (("es", self.es), ("as", self.as_)):
            (folder / name).mkdir()
            half._write(folder / name)
        (folder / DRIVE_FILE).write_text(self.drive.to_json(), encoding="utf-8")


def _replace_folder(folder: Path, write: Any) -> Path:
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        write(fresh)
        fresh.chmod(0o755)
        for path in fresh.rglob("*"):  # weights are written readable by their owner alone
            path.chmod(0o755 if path.is_dir() else 0o644)
        if folder.exists():
            old = fresh.with_name(fresh.name + "-old")
            folder.rename(old)
            fresh.rename(folder)
            shutil.rmtree(old)
        else:
            fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def load(
    name_or_folder: str | Path, *, device: str = "auto", dtype: str = "auto"
) -> Student | DualStudent:
    """A student or a dual-path pair from a folder, a hub name, or `bundled`. Raises StudentError as
    `load_student`."""
    folder = Path(name_or_folder)
    try:
        pair = (
            (folder / "es").is_dir()
            and (folder / "as").is_dir()
            and (folder / DRIVE_FILE).is_file()
        )
    except (OSError, ValueError):  # no possible path: `load_student` says so
        pair = False
    if pair:
        es, as_ = (load_student(folder / half, device=device, dtype=dtype) for half in ("es", "as"))
        return DualStudent(es, as_, Drive.from_file(folder / DRIVE_FILE), name=str(name_or_folder))
    return load_student(name_or_folder, device=device, dtype=dtype)


def load_student(
    name_or_folder: str | Path,
    *,
    device: str = "auto",
    dtype: str = "auto",
    lora: LoraSettings | None = None,
    seed: int = 0,
) -> Student:
    """A student from a folder, a hub name, or `bundled`.

    device `auto`: CUDA where there is one, else the CPU. dtype `auto`: float32 (what training
    needs; `bfloat16` answers faster). Only safetensors are read and no remote code runs. Raises
    StudentError where there is no such folder, no tokenizer in it, a hub name cannot be fetched,
    weights are missing, or fp16 is asked of a T5."""
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    name = str(name_or_folder)
    files = ModelFiles.locate(name)
    where = resolve_device(device, "device")
    if dtype != "auto" and dtype not in DTYPES:
        raise StudentError(f"dtype {dtype!r} is not known.{nearest(dtype, [*DTYPES, 'auto'])}")
    torch_dtype = DTYPES.get(dtype, torch.float32)
    config = files.config()
    if torch_dtype is torch.float16 and config.model_type in RELATIVE_POSITIONS:
        raise StudentError(
            f"{name}: fp16 is refused for T5-class models, whose activations overflow its range (65,504) and "
            "turn into NaN. Use dtype bf16 or fp32."
        )
    tokenizer = files.tokenizer()
    auto: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model, missing = files.model(auto, torch_dtype)
    if missing:
        raise StudentError(
            f"{name}: the weights lack {missing[:3]}. Expected a whole language model."
        )
    model.to(where).eval()
    drive_file = Path(files.source) / DRIVE_FILE
    student = Student(
        model, tokenizer, Drive.from_file(drive_file) if drive_file.is_file() else None, name=name
    )
    if lora is not None:
        from smallsteps.students.lora import add_lora

        add_lora(student, lora, seed=seed)
    return student


def _ends(model: Any, tokenizer: Any, name: str) -> tuple[int, frozenset[int]]:
    """The id that targets end in, and all ids at which generation stops."""
    ends: list[int] = []
    for source in (
        tokenizer.eos_token_id,
        getattr(model.generation_config, "eos_token_id", None),
        model.config.eos_token_id,
    ):
        ends += source if isinstance(source, list) else [] if source is None else [source]
    if not ends:
        raise StudentError(
            f"{name}: neither tokenizer nor config names an end-of-sequence token. Set tokenizer.eos_token."
        )
    return ends[0], frozenset(ends)


def _frame(bare: list[int], framed: list[int]) -> tuple[list[int], list[int]]:
    """What a tokenizer puts before and after a text."""
    for start in range(len(framed) - len(bare) + 1):
        if framed[start : start + len(bare)] == bare:
            return framed[:start], framed[start + len(bare) :]
    return [], []
