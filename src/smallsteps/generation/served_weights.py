"""A student's weights as a folder for a server that takes new ones while it runs."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file, save_file

from smallsteps.disk import read_object, write_json
from smallsteps.students.student import Student

HEAD = "lm_head.weight"
FILE = "model.safetensors"


def save_served(student: Student, folder: Path, renewed: bool) -> None:
    """Writes the student, adapters merged. renewed: the server will be given its weights anew. On a
    CPU vLLM keeps a copy of an LM head that is the embedding, and renews the embedding alone; there
    it gets the head as a matrix of its own."""
    student.save(folder)
    config = read_object(folder / "config.json")
    if not renewed or student.device.type != "cpu" or not config.get("tie_word_embeddings"):
        return
    weights = load_file(folder / FILE)
    head = student.model.get_output_embeddings().weight
    save_file({**weights, HEAD: head.detach().clone()}, folder / FILE, {"format": "pt"})
    write_json(folder / "config.json", {**config, "tie_word_embeddings": False})
