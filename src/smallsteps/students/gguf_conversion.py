"""A GGUF file → an ordinary Hugging Face folder in the user's cache, once for each file.

transformers reads the configuration and unpacks the weights; they are written in bfloat16, without
the mark of a quantised model (which `save_pretrained` refuses), with the file's chat template and
every end token that it names. The folder is named by the digest of the file, so that a renamed file
is not converted again. No network, no code of the model: GGUF holds numbers and strings only."""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from smallsteps.disk import file_digest, write_json
from smallsteps.errors import StudentError
from smallsteps.students.gguf_header import GgufHeader, read_header
from smallsteps.students.gguf_tokenizer import read_gguf_tokenizer
from smallsteps.students.model_cache import made_once, model_folder

RELEASE = 1
"""Part of the folder's name; a higher number converts every file again."""

SOURCE_FILE = "gguf.json"
"""Beside the weights: name and digest of the file that they come from."""


def converted(path: Path, label: str) -> Path:
    """The folder of the model in a GGUF file, converted at the first call.

    label: its name in messages. Raises StudentError where the file is no GGUF file, is cut off,
    holds a part of a model or no tokenizer, or where transformers cannot read its architecture."""
    header = read_header(path, label)
    digest = _digest(path.resolve(), path.stat().st_size, path.stat().st_mtime_ns)

    def make(draft: Path) -> None:
        check_file(path, header, label)
        print(f"{label}: converting it once, for the cache {draft.parent}", file=sys.stderr)
        _convert(path, header, draft, label)
        write_json(draft / SOURCE_FILE, {"file": path.name, "sha256": digest})

    return made_once(folder_of(digest), make, label)


def folder_of(digest: str) -> Path:
    """Where the model of a file with this SHA-256 lies, or will."""
    return model_folder(f"gguf-{digest[:16]}-{RELEASE}")


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    """Digest of a file; read once in a process, as long as size and time of change are the same."""
    return file_digest(path)


def _convert(path: Path, header: GgufHeader, folder: Path, label: str) -> None:
    """Writes the model and its tokenizer to `folder`."""
    with _quiet():
        config = _read("architecture", header, label, lambda: _config(path, header))
        tokenizer = _read("tokenizer", header, label, lambda: read_gguf_tokenizer(path, label))
        model, missing = _read("architecture", header, label, lambda: _model(path, config))
        if missing:
            raise StudentError(f"{label}: the file lacks weights, such as {missing[:3]}.")
        model.generation_config = _generation_config(config, header)
        with _no_bars():
            model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


# ---- checks ----


def check_file(path: Path, header: GgufHeader, label: str) -> None:
    """Raises StudentError where the file cannot become a student, before anything is unpacked."""
    metadata = header.metadata
    if importlib.util.find_spec("gguf") is None:
        raise StudentError(
            f"{label}: reading GGUF files needs the package gguf. Type: pip install gguf"
        )
    if metadata.get("general.type", "model") != "model":
        raise StudentError(
            f"{label}: expected a whole model, got {metadata['general.type']!r}. Name the GGUF "
            "file of the model itself."
        )
    if metadata.get("split.count", 1) > 1:
        raise StudentError(
            f"{label}: one of {metadata['split.count']} parts. Join them first, with llama.cpp: "
            "llama-gguf-split --merge FIRST_PART WHOLE.gguf"
        )
    if not metadata.get("tokenizer.ggml.tokens"):
        raise StudentError(
            f"{label}: the file has no tokenizer (tokenizer.ggml.tokens). Name a GGUF file that "
            "was made with the model's tokenizer."
        )
    try:
        whole = header.size(block_sizes())
    except KeyError as kind:
        raise StudentError(
            f"{label}: its weights have type {kind}, which the installed gguf does not know. "
            "Type: pip install --upgrade gguf"
        ) from None
    size = path.stat().st_size
    if size < whole:
        raise StudentError(
            f"{label}: the file is cut off: expected {whole:,} bytes, got {size:,}. Download it "
            "again."
        )


def block_sizes() -> dict[int, tuple[int, int]]:
    """ggml's number of a type → (elements of a block, bytes of a block)."""
    from gguf.constants import GGML_QUANT_SIZES

    return {int(kind): sizes for kind, sizes in GGML_QUANT_SIZES.items()}


# ---- reading, by transformers ----


def _read(what: str, header: GgufHeader, label: str, read: Callable[[], Any]) -> Any:
    """What `read` returns. Raises StudentError where transformers cannot read this part."""
    try:
        return read()
    except StudentError:
        raise
    except Exception as error:  # transformers raises anything for a file that it does not know
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".")
        raise StudentError(
            f"{label}: transformers cannot read the {what} of this GGUF file "
            f"({header.architecture}): {reason}. Name the model's folder in Hugging Face's format."
        ) from None


def _config(path: Path, header: GgufHeader) -> Any:
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(path.parent, gguf_file=path.name, trust_remote_code=False)
    # of an id that the file does not state, the configuration's class would state another model's
    for name, key in (("bos", "bos"), ("eos", "eos"), ("pad", "padding")):
        stated = header.metadata.get(f"tokenizer.ggml.{key}_token_id")
        if getattr(config, f"{name}_token_id", None) != stated and stated is None:
            setattr(config, f"{name}_token_id", None)
    return config


def _model(path: Path, config: Any) -> tuple[Any, list[str]]:
    """(the model in bfloat16, names of weights that the file lacks)."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM
    from transformers.utils import quantization_config

    # newer releases may keep the weights packed, which cannot be trained
    unpack = getattr(quantization_config, "GgufConfig", None)
    options = {} if unpack is None else {"quantization_config": unpack(dequantize=True)}
    auto: Any = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with _no_bars():
        model, info = auto.from_pretrained(
            path.parent,
            gguf_file=path.name,
            config=config,
            dtype=torch.bfloat16,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    vars(model.config).pop("quantization_config", None)
    return model, sorted(info["missing_keys"])


def _generation_config(config: Any, header: GgufHeader) -> Any:
    """With every end token that the file names: chat models also end a turn."""
    from transformers import GenerationConfig

    made = GenerationConfig.from_model_config(config)
    turn = header.metadata.get("tokenizer.ggml.eot_token_id")
    if turn is not None and made.eos_token_id is not None:
        ends = made.eos_token_id if isinstance(made.eos_token_id, list) else [made.eos_token_id]
        if turn not in ends:
            made.eos_token_id = [*ends, turn]
    return made


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No advice on packed weights from transformers."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _no_bars() -> contextlib.AbstractContextManager[Any]:
    """No progress bars: one of those of transformers obeys no setting."""
    return contextlib.redirect_stderr(io.StringIO())
