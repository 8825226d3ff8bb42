"""Adapters: what trains, and what is saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from smallsteps.errors import StudentError
from smallsteps.students.loading import load_student
from smallsteps.students.lora import LoraSettings, add_lora
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.students.weights import merged
from smallsteps.tasks import get_task

Tiny = Callable[..., Student]
TASK = get_task("gsm8k")
STYLES = ["t5", "t5-scaled", "t5gemma", "t5gemma2", "llama", "qwen"]


def train_a_little(student: Student) -> torch.Tensor:
    """Some steps on one example; its logits afterwards."""
    parameters = [p for p in student.model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(parameters, lr=0.05)
    for _ in range(3):
        out = forward(student)
        labels = torch.tensor([5, 6, 7, student.markers["ES"]], device=student.device)
        torch.nn.functional.cross_entropy(out[0, -4:], labels).backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        return forward(student)


def forward(student: Student) -> torch.Tensor:
    source = student.source_ids(TASK, "Ann has 3 boxes", [("ES", "so")], cue="AS")
    ids, target = (torch.tensor([row], device=student.device) for row in (source, [0, 5, 6, 7]))
    given = {} if student.architecture == "causal" else {"decoder_input_ids": target}
    return student.model(input_ids=ids, **given).logits


@pytest.mark.parametrize("style", STYLES)
def test_adapters_and_added_tokens_survive_merging_and_saving(
    tiny: Tiny, style: str, tmp_path: Path
) -> None:
    student = prepare(tiny(style), TASK, path="uni", cue=True)
    rows = student.model.get_input_embeddings().weight.detach().clone()
    add_lora(student, LoraSettings(rank=4, alpha=8), seed=0)
    trained = train_a_little(student)
    student.save(tmp_path / "m")
    again = load_student(tmp_path / "m", device="cpu")
    with torch.no_grad():
        assert torch.allclose(forward(again), trained, atol=2e-3, rtol=1e-4)
    table = again.model.get_input_embeddings().weight
    marker = student.markers["ES"], student.markers["AS"]
    assert not torch.equal(table[list(marker)], rows[list(marker)]), "rows of added tokens train"
    others = [n for n in range(len(rows)) if n not in marker]
    assert torch.equal(table[others], rows[others]), "the other rows stay frozen"
    assert not any("lora" in name for name, _ in again.model.named_parameters())


def test_few_weights_train_and_merging_leaves_the_model_alone(tiny: Tiny) -> None:
    student = add_lora(tiny("llama"), LoraSettings(rank=2), seed=0)
    share = [p.numel() for p in student.model.parameters() if p.requires_grad]
    assert 0 < sum(share) < 0.2 * sum(p.numel() for p in student.model.parameters())
    assert merged(student.model) is not student.model
    assert any("lora" in name for name, _ in student.model.named_parameters())
    plain = tiny("llama")
    assert merged(plain.model) is plain.model


def test_the_same_seed_gives_the_same_adapters(tiny: Tiny) -> None:
    torch.manual_seed(5)
    one = add_lora(tiny("t5"), LoraSettings(rank=2), seed=1).model.state_dict()
    torch.manual_seed(6)
    other = add_lora(tiny("t5"), LoraSettings(rank=2), seed=1).model.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_target_that_is_no_layer_is_refused(tiny: Tiny) -> None:
    with pytest.raises(StudentError, match=r"LoRA cannot be added.*attentoin"):
        add_lora(tiny("t5"), LoraSettings(targets=("attentoin",)))
