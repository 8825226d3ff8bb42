"""A student's weights as a folder for a server that takes new ones while it runs."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file, save_file

from smallsteps.students.student import Student

HEAD = "lm_head.weight"
FILE = "model.safetensors"


def save_served(student: Student, folder: Path, renewed: bool) -> None:
    """Writes the student, adapters merged. renewed: the server will be given its weights anew. On a
    CPU vLLM keeps a copy of an LM head that is the embedding, and renews the embedding alone; there
    it gets the head as a matrix of its own."""
    student.save(folder)
    file = folder / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    if not renewed or student.device.type != "cpu" or not config.get("tie_word_embeddings"):
        return
    weights = load_file(folder / FILE)
    head = student.model.get_output_embeddings().weight
    save_file({**weights, HEAD: head.detach().clone()}, folder / FILE, {"format": "pt"})
    file.write_text(json.dumps({**config, "tie_word_embeddings": False}), encoding="utf-8")
