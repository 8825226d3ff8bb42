"""Model files: the only place that reads configurations, tokenizers and weights from a folder or
from the hub.

Students, teachers, readers, judges and encoders are all loaded here, so that one rule holds for all
of them: no code that comes with a model runs (`auto_map`, kernels named in a configuration), and
nothing is unpickled (safetensors only). `tests/students/test_pretrained.py` checks that no other
module loads a model."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import is_offline_mode
from safetensors import SafetensorError, safe_open

from smallsteps.errors import StudentError, json_fault, similar
from smallsteps.students.gguf_conversion import converted
from smallsteps.students.gguf_header import ENDING, is_gguf
from smallsteps.students.run_student import (
    folders_beside,
    named_students,
    run_student,
    runs_beside,
)
from smallsteps.students.settings import BUNDLED_STUDENTS, SMOLLM2
from smallsteps.students.smollm2 import smollm2_folder

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "spm.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
)
MOVED = {
    "google-t5": "t5-small t5-base t5-large t5-3b t5-11b",
    "openai-community": "gpt2 gpt2-medium gpt2-large gpt2-xl openai-gpt",
    "distilbert": "distilgpt2 distilbert-base-uncased distilbert-base-cased distilroberta-base",
    "google-bert": "bert-base-uncased bert-base-cased bert-large-uncased bert-large-cased",
    "FacebookAI": "roberta-base roberta-large roberta-large-mnli xlm-roberta-base "
    "xlm-roberta-large",
    "albert": "albert-base-v2 albert-large-v2",
}
"""Owner → models that the hub once knew without an owner; people still type those names."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
"""Weights in formats that can run code when they are read."""


def _similar_name(name: str) -> str:
    """The end of a message about a name like that of a student that needs no hub, or about folders
    beside it; else empty."""
    known = (*BUNDLED_STUDENTS, SMOLLM2)
    if meant := similar(name, known):
        return f" Did you mean {meant!r}? Students without a hub: {', '.join(known)}."
    return folders_beside(name)


@dataclass(frozen=True)
class ModelFiles:
    """The files of one model, in a folder or on the hub. Every method raises StudentError if a file
    cannot be read, with the reason."""

    label: str
    """Its name in messages."""
    source: str
    """A folder, or a hub name."""

    @classmethod
    def locate(cls, name: str | Path, role: str = "") -> ModelFiles:
        """The files of `name`: a folder, a run folder (its best student), a GGUF file, a hub name
        (owner/model), `smollm2` or a bundled student. role: stands before the name in messages.
        GGUF files, that of `smollm2` too, are converted at the first call.

        Raises StudentError if the folder is missing, is no model folder, or has only pickled
        weights, if its run has no trained student, and if a GGUF file cannot be converted."""
        name = str(name)
        label = f"{role} {name}".strip()
        if name in BUNDLED_STUDENTS:
            return cls(label, str(Path(__file__).parent / name))
        if name == SMOLLM2:
            return cls(label, str(smollm2_folder(label)))
        if not name.strip():
            raise StudentError(
                f"{role or 'model'}: no name given. "
                "Name a folder, or a model on the hub (owner/model)."
            )
        try:
            folder = Path(name).expanduser()
            is_folder, exists = folder.is_dir(), folder.exists()
        except (
            OSError,
            ValueError,
            RuntimeError,
        ):  # a name that is too long, holds a zero byte, or ~nobody
            raise StudentError(f"{label}: not a possible path. Check the name.") from None
        if is_folder:
            if best := run_student(name, role):
                return cls.locate(best.folder, role)
            _check_folder(label, folder)
            return cls(label, str(folder))
        if exists and is_gguf(folder):
            return cls(label, str(converted(folder, label)))
        if exists:
            raise StudentError(
                f"{label}: expected a model folder, a GGUF file or a hub name, got another file."
            )
        if owner := next((owner for owner, names in MOVED.items() if name in names.split()), None):
            raise StudentError(
                f"{label}: no such folder, and the hub knows this model as {owner}/{name}. Type "
                "that name."
            )
        if "/" in name and runs_beside(name):
            raise StudentError(f"{label}: no such folder.{folders_beside(name)}")
        if name.startswith((".", "/", "~")) or name.count("/") != 1 or not all(name.split("/")):
            raise StudentError(
                f"{label}: no such folder or file, and not a hub name (owner/model). Check the "
                f"path.{_similar_name(name)}"
            )
        return cls(label, name)

    def config(self) -> Any:
        """The configuration."""
        from transformers import AutoConfig

        try:
            config = AutoConfig.from_pretrained(self.source, trust_remote_code=False)
        except Exception as error:  # transformers raises anything for a bad file
            raise self._unreadable("config.json", error) from None
        # `owner/kernel` here makes transformers fetch code from the hub and run it
        attention = getattr(config, "_attn_implementation", None)
        if isinstance(attention, str) and "/" in attention:
            raise StudentError(
                f"{self.label}: its config.json asks for code from the hub (attention kernel "
                f"{attention!r}), which smallsteps does not run. Remove the attention setting from "
                "config.json, or name another model."
            )
        return config

    def tokenizer(self) -> Any:
        """The tokenizer."""
        from transformers import AutoTokenizer, PreTrainedTokenizerFast

        try:
            loader = (
                PreTrainedTokenizerFast
                if _declares_plain_tokenizer(Path(self.source))
                else AutoTokenizer
            )
            return loader.from_pretrained(self.source, trust_remote_code=False)
        except Exception as error:
            raise self._unreadable("a tokenizer (tokenizer.json)", error) from None

    def tokenizer_elsewhere(self) -> Any:
        """The tokenizer as other programs read it, by AutoTokenizer alone."""
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(self.source, trust_remote_code=False)
        except Exception as error:
            raise self._unreadable("a tokenizer (tokenizer.json)", error) from None

    def model(self, auto: Any, dtype: torch.dtype = torch.float32) -> tuple[Any, list[str]]:
        """(the model on the CPU, names of weights that its files lack). auto: a class of
        transformers, such as `AutoModel`."""
        try:
            with no_progress_bars(), by_every_process():
                model, info = auto.from_pretrained(
                    self.source,
                    dtype=dtype,
                    use_safetensors=True,
                    trust_remote_code=False,
                    output_loading_info=True,
                )
        except Exception as error:
            raise self._unreadable("weights (model.safetensors)", error) from None
        return model, sorted(info["missing_keys"])

    def empty_model(self, auto: Any) -> Any:
        """The model without its weights, on the device `meta`: its sizes, and how it generates."""
        from transformers import GenerationConfig

        with torch.device("meta"):
            model = auto.from_config(self.config(), trust_remote_code=False)
        if (Path(self.source) / "generation_config.json").is_file():
            try:
                model.generation_config = GenerationConfig.from_pretrained(
                    self.source, trust_remote_code=False
                )
            except Exception as error:
                raise self._unreadable("generation_config.json", error) from None
        return model

    def _unreadable(self, what: str, error: Exception) -> StudentError:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if "custom code" in first or "trust_remote_code" in str(error):
            return StudentError(
                f"{self.label}: this model needs Python code that comes with it (`auto_map` in "
                "config.json), which smallsteps never runs. Name a model whose architecture is "
                "part of transformers."
            )
        folder = Path(self.source)
        if folder.is_dir():
            if damaged := _damaged_file(folder):
                return StudentError(
                    f"{self.label}: {damaged}. Copy or fetch the folder again, or name another one."
                )
            return StudentError(
                f"{self.label}: {what} could not be read ({first.rstrip('.')}). "
                "Fetch the folder again, or name another one."
            )
        return StudentError(
            f"{self.label}: no such folder, and {what} could not be fetched from the hub "
            f"({_hub_reason(first)}). Check the name.{_similar_name(self.source)}"
        )


def _hub_reason(first: str) -> str:
    """Why the hub gave nothing, in a few words. first: the first line of transformers' message."""
    if is_offline_mode():
        return "HF_HUB_OFFLINE is set"
    if "couldn't connect" in first:
        return "no connection"
    if "is not a valid model identifier" in first:
        return "it has no such model, or a private one"
    return first.rstrip(".")


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer of a folder that holds nothing else."""
    return ModelFiles(str(folder), str(folder)).tokenizer()


def _check_folder(label: str, folder: Path) -> None:
    if (folder / "es").is_dir() and (folder / "as").is_dir():
        raise StudentError(
            f"{label}: a dual-path pair. Give one of its halves, {folder}/es or {folder}/as."
        )
    if not (folder / "config.json").is_file():
        if gguf := sorted(folder.glob(f"*{ENDING}")):
            raise StudentError(f"{label}: a folder with a GGUF file. Name the file: {gguf[0]}")
        students = named_students(folder)
        named = f" Did you mean {students}?" if students else ""
        raise StudentError(
            f"{label}: expected a Hugging Face model folder, but it has no config.json.{named}"
        )
    if (folder / "adapter_config.json").is_file():
        raise StudentError(
            f"{label}: holds an adapter (adapter_config.json), whose base model would be fetched "
            "from elsewhere. Merge the two with PEFT's merge_and_unload, save the result, and name "
            "its folder."
        )
    if not any((folder / name).is_file() for name in TOKENIZER_FILES):
        raise StudentError(
            f"{label}: the folder has no tokenizer (tokenizer.json). Save the tokenizer of the "
            "model it came from into it: "
            f"AutoTokenizer.from_pretrained(BASE).save_pretrained({str(folder)!r})"
        )
    pickled = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
    if pickled and not any(folder.glob("*.safetensors")):
        convert = (
            f"from transformers import {_architecture(folder)} as M; "
            f"M.from_pretrained({str(folder)!r}).save_pretrained({str(folder)!r})"
        )
        raise StudentError(
            f"{label}: its weights are pickled ({pickled[0]!r}), and reading a pickle can run "
            "code. Only safetensors are read. If you trust the file, convert it once: "
            f"python -c {shlex.quote(convert)}"
        )


def _damaged_file(folder: Path) -> str | None:
    """What is wrong with the first file of a model folder that is cut off or damaged; None: none
    is."""
    for path in sorted(folder.glob("*.json")):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            return f"{path.name} is cut off or damaged ({json_fault(error)})"
        except (ValueError, RecursionError):
            return f"{path.name} is damaged"
        except OSError as error:
            return f"{path.name} cannot be read ({error.strerror})"
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt"):
                pass
        except (SafetensorError, OSError):
            return f"{path.name} is cut off or damaged ({path.stat().st_size:,} bytes)"
    return None


def _architecture(folder: Path) -> str:
    """The class that config.json names."""
    try:
        (name,) = json.loads((folder / "config.json").read_text(encoding="utf-8"))["architectures"]
    except (OSError, ValueError, KeyError, TypeError):
        return "AutoModel"
    return name if isinstance(name, str) and name.isidentifier() else "AutoModel"


def _declares_plain_tokenizer(folder: Path) -> bool:
    """Whether tokenizer.json holds the folder's whole tokenizer. For Qwen2 and other types,
    AutoTokenizer replaces its pre-tokenizer by that of its own class, which cuts digits apart."""
    path = folder / "tokenizer_config.json"
    if not (folder / "tokenizer.json").is_file():
        return False
    if not path.is_file():
        return False
    declared = json.loads(path.read_text(encoding="utf-8")).get("tokenizer_class")
    return declared in ("TokenizersBackend", "PreTrainedTokenizerFast")


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Turn off the progress bars of loading and saving: they would break our own ones."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


@contextmanager
def by_every_process() -> Iterator[None]:
    """Every process of a launch reads a model's weights. With `fsdp_cpu_ram_efficient_loading` of
    accelerate's config transformers would let the first one read them, and leave the others with
    weights that are not there."""
    name = "FSDP_CPU_RAM_EFFICIENT_LOADING"
    before = os.environ.pop(name, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[name] = before
