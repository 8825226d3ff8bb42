"""Servers read the very prompt that the student was trained on."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from smallsteps.errors import StudentError
from smallsteps.publishing.servers import (
    check_server,
    modelfile,
    ollama_lines,
    reply_tokens,
    vllm_lines,
    vllm_template,
)
from smallsteps.students.drive import Drive
from smallsteps.students.dual import DualStudent
from smallsteps.students.loading import outline
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task

Tiny = Callable[..., Student]
TASK = get_task("svamp")
QUESTION = "Ann has 3 {{ boxes }}. How many?"


def ready(tiny: Tiny, folder: Path, style: str, path: str, **more: object) -> Student:
    student = outline(prepare(tiny(style), TASK, path=path, **more).save(folder))
    assert isinstance(student, Student)
    return student


def prompt_ids(student: Student) -> list[int]:
    """What the student reads before it writes."""
    cue = "ES" if student.drive and student.drive.path != "direct" else None
    return student.source_ids(TASK, QUESTION, cue=cue)


def go_printed(text: str) -> str:
    """What Go's template prints of a Modelfile's TEMPLATE for our question."""
    template = re.search(r'TEMPLATE """(.*?)"""', text, re.DOTALL)
    assert template
    holes = {"{{ .Prompt }}": QUESTION, "{{ .Response }}": "", '{{ "{{" }}': "{{"}
    return re.sub(r"\{\{ [^}]*? \}\}", lambda hole: holes[hole[0]], template[1])


@pytest.mark.parametrize("path", ["direct", "uni"])
@pytest.mark.parametrize("style", ["llama", "qwen"])
def test_ollama_and_vllm_are_given_the_prompt_of_training(
    tiny: Tiny, tmp_path: Path, style: str, path: str
) -> None:
    student = ready(tiny, tmp_path / "a", style, path)
    printed = go_printed(modelfile(student, TASK))
    ids = prompt_ids(student)
    head = [] if student.tokenizer.chat_template else student.source_head
    encode = student.tokenizer
    assert head + encode(printed, add_special_tokens=False)["input_ids"] == ids
    if style == "qwen":  # its tokenizer is made by hand, and AutoTokenizer takes Qwen2's own
        return
    template = vllm_template(student, TASK)
    assert template is not None
    messages = [{"role": "user", "content": QUESTION}]
    text = ImmutableSandboxedEnvironment().from_string(template).render(messages=messages)
    assert encode(text, add_special_tokens=False)["input_ids"] == ids


def test_worked_examples_stand_in_the_prompt(tiny: Tiny, tmp_path: Path) -> None:
    shots = [("2 + 2?", "It is {{4}}.")]
    student = ready(tiny, tmp_path / "a", "llama", "direct", demonstrations=shots)
    printed = go_printed(modelfile(student, TASK))
    ids = student.tokenizer(printed, add_special_tokens=False)["input_ids"]
    assert student.source_head + ids == prompt_ids(student)
    assert "{{4}}" in str(vllm_template(student, TASK)).replace("\\", "")


def test_the_modelfile_ends_replies_and_decodes_greedily(tiny: Tiny, tmp_path: Path) -> None:
    lines = modelfile(ready(tiny, tmp_path / "a", "llama", "direct"), TASK).splitlines()
    assert lines[0] == "FROM ."
    assert {
        "PARAMETER temperature 0",
        "PARAMETER repeat_penalty 1",
        "PARAMETER num_predict 320",
        "PARAMETER num_ctx 256",
        'PARAMETER stop "</s>"',
    } <= set(lines)


def test_a_student_in_segments_gets_room_for_markers(tiny: Tiny, tmp_path: Path) -> None:
    assert reply_tokens(ready(tiny, tmp_path / "a", "llama", "uni"), TASK) == 640
    assert reply_tokens(ready(tiny, tmp_path / "b", "llama", "direct"), TASK) == 320


def test_a_tokenizer_that_vllm_would_read_in_another_way_is_refused(
    tiny: Tiny, tmp_path: Path
) -> None:
    student = ready(tiny, tmp_path / "a", "qwen", "direct")
    with pytest.raises(StudentError, match=r"vLLM reads tokenizers by AutoTokenizer.*--format hf"):
        vllm_template(student, TASK)


def test_what_a_server_of_one_model_cannot_serve_is_one_line(tiny: Tiny, tmp_path: Path) -> None:
    halves = [prepare(tiny("llama"), TASK, path="dual", role=kind) for kind in ("ES", "AS")]
    pair = DualStudent(*halves, Drive(task="svamp", path="dual"), name="pair")
    with pytest.raises(StudentError, match=r"pair: a dual-path pair is two models.*--format hf"):
        check_server(pair, "Ollama")
    with pytest.raises(StudentError, match=r"one half of a dual-path pair writes no chain"):
        check_server(halves[0], "vLLM")
    t5 = prepare(tiny("t5"), TASK, path="direct")
    with pytest.raises(StudentError, match=r"Ollama serves causal models.*encoder-decoder \(t5\)"):
        check_server(t5, "Ollama")
    assert check_server(prepare(tiny("llama"), TASK, path="direct"), "vLLM").name == "tiny-llama"


def test_model_types_and_prompts_that_ollama_cannot_take_are_named(
    tiny: Tiny, tmp_path: Path
) -> None:
    student = ready(tiny, tmp_path / "a", "llama", "direct")
    student.model.config.model_type = "gpt2"
    with pytest.raises(StudentError, match=r"imports no weights of the type gpt2 \(llama, "):
        modelfile(student, TASK)
    quoted = [("2?", '"""')]
    student = ready(tiny, tmp_path / "b", "llama", "direct", demonstrations=quoted)
    with pytest.raises(StudentError, match=r'holds """, which a Modelfile cannot quote'):
        modelfile(student, TASK)


def test_commands_can_be_pasted_whatever_the_folder_is_called(tiny: Tiny, tmp_path: Path) -> None:
    folder = tmp_path / "it's mine"
    student = ready(tiny, tmp_path / "a", "llama", "uni")
    serve, ask = vllm_lines(folder, folder / "prompt.jinja", "mine", student, TASK, "How many?")
    assert "'\"'\"'" in serve and "--chat-template" in serve and "--max-model-len 256" in serve
    body = json.loads(ask[ask.index("{") : ask.rindex("}") + 1])
    assert body["messages"] == [{"role": "user", "content": "How many?"}]
    assert body["temperature"] == 0 and body["skip_special_tokens"] is False
    create, run = ollama_lines(folder, "mine", "It's $5?")
    assert create.startswith("ollama create mine -f '")
    assert shlex.split(run) == ["ollama", "run", "mine", "It's $5?"]
