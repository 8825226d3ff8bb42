"""A student's folder for a server that takes new weights while it runs."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file

from smallsteps.generation.served_weights import save_served
from smallsteps.students.loading import load_student
from smallsteps.training.policy import target_log_probs


def test_a_head_that_is_the_embedding_goes_to_a_server_on_a_cpu_as_a_matrix_of_its_own(
    tmp_path: Path,
) -> None:
    """There vLLM renews the embedding alone."""
    student = load_student("bundled-causal", dtype="float32")
    assert student.model.config.tie_word_embeddings
    save_served(student, tmp_path / "once", renewed=False)
    save_served(student, tmp_path / "renewed", renewed=True)
    files = [load_file(tmp_path / name / "model.safetensors") for name in ("once", "renewed")]
    assert "lm_head.weight" not in files[0]
    assert torch.equal(files[1]["lm_head.weight"], files[1]["model.embed_tokens.weight"])
    same, again = (load_student(tmp_path / name) for name in ("once", "renewed"))
    assert not again.model.config.tie_word_embeddings
    pair = [(5, 6, 7), (8, 9)]
    assert target_log_probs(again, [pair]) == target_log_probs(same, [pair])
