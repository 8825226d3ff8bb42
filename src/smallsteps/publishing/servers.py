"""Files and commands for servers of one model: Ollama's Modelfile, vLLM's chat template and command
line.

Both get the prompt that the student was trained on, text for text: worked examples, its chat
template, and for segment-wise students the marker `<es>` that opens the first segment, after which
a causal student writes its whole chain in one reply. Decoding is greedy, without the repetition
penalty that Ollama has by default."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from smallsteps.errors import StudentError
from smallsteps.students.card import by_segment, shell_quoted
from smallsteps.students.driving import PROBE, prompt_frame
from smallsteps.students.dual import DualStudent
from smallsteps.students.pretrained import ModelFiles
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task

OLLAMA_TYPES = ("llama", "mistral", "gemma", "gemma2", "phi3", "qwen2")
"""Model types whose safetensors Ollama imports."""
MODELFILE, TEMPLATE = "Modelfile", "prompt.jinja"


def check_server(student: Student | DualStudent, server: str) -> Student:
    """The student as the one causal model that `server` (Ollama, vLLM) can serve. Raises
    StudentError where it cannot."""
    if isinstance(student, DualStudent):
        raise StudentError(
            f"{student.name}: a dual-path pair is two models that write in turn, and {server} "
            "serves one. Use --format hf: its card has a program that calls both."
        )
    if student.architecture != "causal":
        kind = student.model.config.model_type
        raise StudentError(
            f"{student.name}: {server} serves causal models, and this is an encoder-decoder "
            f"({kind}). Use --format hf, or teach a causal student."
        )
    if student.drive is not None and student.drive.role is not None:
        raise StudentError(
            f"{student.name}: one half of a dual-path pair writes no chain by itself. "
            "Export the folder above it with --format hf."
        )
    return student


# ---- Ollama ----


def modelfile(student: Student, task: Task) -> str:
    """The Modelfile beside the weights. Raises StudentError where Ollama does not import this model
    type, or the prompt holds what a Modelfile cannot quote."""
    kind = student.model.config.model_type
    if kind not in OLLAMA_TYPES:
        raise StudentError(
            f"{student.name}: Ollama imports no weights of the type {kind} "
            f"({', '.join(OLLAMA_TYPES)}). Use --format vllm or hf."
        )
    before, after = prompt_frame(student, task)
    if '"""' in before + after:
        raise StudentError(
            f'{student.name}: its prompt holds """, which a Modelfile cannot quote. '
            "Use --format vllm."
        )
    ends = (student.tokenizer.convert_ids_to_tokens(end) for end in sorted(student.end_ids))
    lines = [
        "FROM .",
        f'TEMPLATE """{_go(before)}{{{{ .Prompt }}}}{_go(after)}{{{{ .Response }}}}"""',
        "PARAMETER temperature 0",
        "PARAMETER repeat_penalty 1",
        f"PARAMETER num_predict {reply_tokens(student, task)}",
        *([f"PARAMETER num_ctx {room}"] if (room := student.max_source_tokens) else []),
        *(f"PARAMETER stop {json.dumps(end, ensure_ascii=False)}" for end in ends if end),
    ]
    return "\n".join(lines) + "\n"


def _go(text: str) -> str:
    """Text that a template of Go prints as it is."""
    return text.replace("{{", '{{ "{{" }}')


def ollama_lines(folder: Path, name: str, question: str) -> list[str]:
    """The commands that serve the exported folder with Ollama and ask it one question."""
    place = shlex.quote(str(folder / MODELFILE))
    return [f"ollama create {name} -f {place}", f"ollama run {name} {shell_quoted(question)}"]


# ---- vLLM ----


def vllm_template(student: Student, task: Task) -> str | None:
    """The chat template for vLLM; None: the student's own one is the whole prompt. Like the
    student, it reads the last message alone. Raises StudentError where vLLM would read the text
    with another tokenizer."""
    ids = ModelFiles.locate(student.name).tokenizer_elsewhere()(PROBE, add_special_tokens=False)
    if ids["input_ids"] != student.tokenizer(PROBE, add_special_tokens=False)["input_ids"]:
        raise StudentError(
            f"{student.name}: vLLM reads tokenizers by AutoTokenizer, which cuts text in another "
            "way than this student's. Use --format hf: its card names the right class."
        )
    has_examples = student.drive is not None and bool(student.drive.demonstrations)
    if student.tokenizer.chat_template and not by_segment(student) and not has_examples:
        return None
    before, after = (json.dumps(text) for text in prompt_frame(student, task, start=True))
    return f"{{{{- {before} }}}}{{{{- messages[-1]['content'] }}}}{{{{- {after} }}}}"


def vllm_lines(
    folder: Path, template: Path | None, name: str, student: Student, task: Task, question: str
) -> list[str]:
    """The commands that serve the exported folder with vLLM and ask it one question."""
    serve = ["vllm", "serve", str(folder), "--served-model-name", name]
    if template is not None:
        serve += ["--chat-template", str(template)]
    if student.max_source_tokens is not None:
        serve += ["--max-model-len", str(student.max_source_tokens)]
    body = {
        "model": name,
        "messages": [{"role": "user", "content": question}],
        "temperature": 0,
        "max_tokens": reply_tokens(student, task),
        **({"skip_special_tokens": False} if by_segment(student) else {}),
    }
    ask = ["curl", "http://localhost:8000/v1/chat/completions"]
    ask += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    return [shlex.join(serve), shlex.join(ask)]


def reply_tokens(student: Student, task: Task) -> int:
    """Maximum number of tokens of a reply: a chain, and in segments as many again for its markers
    and for what may follow the closing sentence."""
    return task.max_chain_tokens * (2 if by_segment(student) else 1)
