"""How a student is driven by plain transformers: a short program for its model card.

It writes what `generation/paths.py` writes, one chain at a time and greedily, without smallsteps:

    whole chains         one call of `generate`
    causal, uni-path     one call a segment: a segment ends in the marker of the next one
    causal, dual-path    the same, two models in turn
    encoder-decoder      one call a segment; the input is the question and the segments so far

`tests/students/test_driving.py` runs each in a process where smallsteps cannot be
imported."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import indent
from typing import Any, Literal, Protocol, runtime_checkable

from smallsteps.errors import DataError
from smallsteps.records import Kind, Problem
from smallsteps.students.characters import MARKERS, SPACE_TOKEN
from smallsteps.students.drive import Drive
from smallsteps.tasks.base import STOP_TOKEN, Task


class SingleModel(Protocol):
    """What a card reads of a `Student`, which itself writes cards."""

    model: Any
    tokenizer: Any
    name: str
    architecture: Literal["encoder-decoder", "causal"]
    end_id: int
    end_ids: frozenset[int]
    source_head: list[int]
    source_tail: list[int]
    max_source_tokens: int | None

    @property
    def drive(self) -> Drive | None: ...

    def encode(self, text: str) -> list[int]: ...

    def source_ids(
        self,
        task: Task,
        question: str,
        prefix: Sequence[tuple[Kind, str]] = (),
        cue: Kind | None = None,
    ) -> list[int]: ...

    def marker(self, kind: Kind) -> int: ...


@runtime_checkable
class ModelPair(Protocol):
    """What a card reads of a `DualStudent`."""

    name: str
    architecture: Literal["encoder-decoder", "causal"]

    @property
    def drive(self) -> Drive | None: ...

    @property
    def es(self) -> SingleModel: ...

    @property
    def as_(self) -> SingleModel: ...


PLACEHOLDER = Problem(
    "question",
    "YOUR QUESTION",
    choices=("FIRST CHOICE", "SECOND CHOICE"),
    context=(("TITLE", ("SENTENCE.",)),),
    meta={"supporting_titles": ["TITLE"]},
)
"""Stands where no question of the user's data is known."""
PROBE = "Ann has 3 boxes of 4 pens. How many? It costs $1,234.50, or 3 x 4 = 12."
"""Text that shows how a tokenizer cuts and frames; nobody reads it."""


def driving_code(
    student: SingleModel | ModelPair, task: Task, example: Problem = PLACEHOLDER
) -> str:
    """The program: Python that reads the student's folder and prints its chain for `example`."""
    first = student.es if isinstance(student, ModelPair) else student
    question = asked(task, example)
    opening = [*_imports(student, task), "", *_loading(student), f"question = {question!r}"]
    if _whole(student):
        return "\n".join([*opening, *_whole_chain(first, task)]) + "\n"
    loop = _causal_loop if first.architecture == "causal" else _encoder_loop
    return "\n".join([*opening, *loop(student, first, task)]) + "\n"


def prompt_frame(student: SingleModel, task: Task, start: bool = False) -> tuple[str, str]:
    """(text before the question, text after it) of all that a causal student reads before it
    writes: worked examples, chat template, and the marker of the first segment.

    start: with the token that opens every text, where no template writes it; else whoever encodes
    the prompt adds it."""
    sentinel = "QUESTION"
    in_segments = student.drive is not None and student.drive.path != "direct"
    cue: Kind | None = "ES" if in_segments else None
    ids = student.source_ids(task, sentinel, cue=cue)
    if not (start or student.tokenizer.chat_template):
        ids = ids[len(student.source_head) :]
    text = student.tokenizer.decode(
        ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
    )
    before, _, after = text.rpartition(sentinel)
    return before, after


def asked(task: Task, example: Problem) -> str:
    """The question as the student reads it, with its context or choices."""
    try:
        return task.render(example)
    except DataError:  # a task that needs more than a question and a context
        return example.question


def _whole(student: SingleModel | ModelPair) -> bool:
    """Whether one call of `generate` writes the whole chain."""
    if isinstance(student, ModelPair):
        return False
    return student.drive is None or student.drive.path == "direct"


def _imports(student: SingleModel | ModelPair, task: Task) -> list[str]:
    names = sorted([_auto_class(student), tokenizer_class(student)])
    lines = [f"from transformers import {', '.join(names)}"]
    if _whole(student) or (student.architecture != "causal" and task.closing_pattern is None):
        return lines
    return ["import re", "", *lines]


def _auto_class(student: SingleModel | ModelPair) -> str:
    causal = student.architecture == "causal"
    return "AutoModelForCausalLM" if causal else "AutoModelForSeq2SeqLM"


def tokenizer_class(student: SingleModel | ModelPair) -> str:
    """The class of transformers that reads the tokenizer as it was in training. AutoTokenizer would
    replace the pre-tokenizer of some (`pretrained.ModelFiles.tokenizer`)."""
    first = student.es if isinstance(student, ModelPair) else student
    plain = type(first.tokenizer).__name__ in ("TokenizersBackend", "PreTrainedTokenizerFast")
    return "PreTrainedTokenizerFast" if plain else "AutoTokenizer"


def _loading(student: SingleModel | ModelPair) -> list[str]:
    auto, tokenizer = _auto_class(student), tokenizer_class(student)
    if isinstance(student, ModelPair):
        return [
            'folder = "."  # this folder, on disk',
            f'tokenizer = {tokenizer}.from_pretrained(f"{{folder}}/es")',
            f'models = [{auto}.from_pretrained(f"{{folder}}/{{half}}") for half in ("es", "as")]',
        ]
    return [
        'folder = "."  # this folder, or its name on the Hub',
        f"tokenizer = {tokenizer}.from_pretrained(folder)",
        f"model = {auto}.from_pretrained(folder)",
    ]


def _causal_prompt(student: SingleModel) -> list[str]:
    """Lines that set `text`, all but the first marker."""
    if not student.tokenizer.chat_template:
        head = student.tokenizer.decode(student.source_head) if student.source_head else ""
        return [f"text = {head!r} + question + {chr(10)!r}" if head else 'text = question + "\\n"']
    thinking = ", enable_thinking=False" if "enable_thinking" in _template(student) else ""
    messages = '[{"role": "user", "content": question}]'
    lines = []
    if student.drive is not None and student.drive.demonstrations:
        lines = ["messages = []  # worked examples first"]
        for question, rationale in student.drive.demonstrations:
            lines += [
                f'messages.append({{"role": "user", "content": {question!r}}})',
                f'messages.append({{"role": "assistant", "content": {rationale!r}}})',
            ]
        messages = f"messages + {messages}"
    return [
        *lines,
        "text = tokenizer.apply_chat_template(",
        f"    {messages},",
        f"    add_generation_prompt=True, tokenize=False{thinking},",
        ")",
    ]


def _template(student: SingleModel) -> str:
    template = student.tokenizer.chat_template
    return template if isinstance(template, str) else str(template)


def _encoding(student: SingleModel, text: str) -> str:
    """The call that encodes the expression `text` as an encoder reads it."""
    framed = student.tokenizer(PROBE, verbose=False)["input_ids"]
    if framed == [*student.source_head, *student.encode(PROBE), *student.source_tail]:
        return f'tokenizer({text}, return_tensors="pt").input_ids'
    end = student.tokenizer.convert_ids_to_tokens(student.end_id)
    return f'tokenizer({text} + {end!r}, add_special_tokens=False, return_tensors="pt").input_ids'


def _decoding(student: SingleModel, ids: str) -> str:
    """The call that decodes `ids`, without special tokens."""
    text = f"tokenizer.decode({ids}, skip_special_tokens=True)"
    spaces = student.drive is not None and student.drive.spaces
    return f'{text}.replace("{SPACE_TOKEN}", " ")' if spaces else text


def _whole_chain(student: SingleModel, task: Task) -> list[str]:
    limit = task.max_chain_tokens
    if student.architecture == "causal":
        return [
            *_causal_prompt(student),
            'ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids',
            f"out = model.generate(ids, do_sample=False, max_new_tokens={limit})",
            f"print({_decoding(student, 'out[0, ids.shape[1] :]')})",
        ]
    return [
        f"ids = {_encoding(student, 'question')}",
        f"out = model.generate(ids, do_sample=False, max_new_tokens={limit})",
        f"print({_decoding(student, 'out[0]')})",
    ]


def _has_ended(task: Task, ids: str) -> str:
    """The expression that is true where `segment` ends the chain."""
    if task.closing_pattern is None:
        return f'tokenizer.convert_tokens_to_ids("{STOP_TOKEN}") in {ids}'
    return "re.search(closing, segments[-1], re.IGNORECASE)"


def _closing(task: Task) -> list[str]:
    return [] if task.closing_pattern is None else [f"closing = {task.closing_pattern!r}"]


def _limit(student: SingleModel | ModelPair, task: Task) -> int:
    """Maximum number of segments."""
    drive = student.drive
    return (drive and drive.max_segments) or task.max_segments


def _causal_loop(student: SingleModel | ModelPair, first: SingleModel, task: Task) -> list[str]:
    dual = isinstance(student, ModelPair)
    model = "models[len(segments) % 2]" if dual else "model"
    markers = [first.marker("ES"), first.marker("AS")]
    body = [
        "start = ids.shape[1]",
        f"ids = {model}.generate(",
        f"    ids, do_sample=False, max_new_tokens={task.max_segment_tokens},",
        f"    eos_token_id={sorted(first.end_ids)} + markers,",
        ")",
        f"segment = {_decoding(first, 'ids[0, start:]')}",
        'segments.append(re.sub("<es>|<as>", "", segment).strip())',
        "print(segments[-1])",
        "if ids[0, -1] not in markers or segments[-2:] == ['', '']:".replace("'", '"'),
        "    break",
        f"if {_has_ended(task, 'ids[0, start:]')}:",
        "    break",
    ]
    if dual:
        body.append("ids[0, -1] = markers[len(segments) % 2]  # the other model's turn")
    return [
        *_causal_prompt(first),
        f'text += "{MARKERS["ES"]}"  # a marker opens a segment and ends the one before it',
        f"markers = {markers}  # {MARKERS['ES']} and {MARKERS['AS']}",
        'ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids',
        *_closing(task),
        "segments = []",
        f"while len(segments) < {_limit(student, task)}:",
        indent("\n".join(body), "    "),
    ]


def _encoder_loop(student: SingleModel | ModelPair, first: SingleModel, task: Task) -> list[str]:
    dual = isinstance(student, ModelPair)
    model = "models[len(segments) % 2]" if dual else "model"
    text = 'f"{question} {written}" if written else question'
    cue = not dual and first.drive is not None and first.drive.cue
    body = [
        f"written = {task.joiner!r}.join(filter(None, segments))",
        f"text = {text}",
        *(['text += ("<es>", "<as>")[len(segments) % 2]'] if cue else []),
        f"ids = {_encoding(first, 'text')}",
        f"out = {model}.generate(ids, do_sample=False, max_new_tokens={task.max_segment_tokens})",
        f"segments.append({_decoding(first, 'out[0]')}.strip())",
        "print(segments[-1])",
        f'if out[0, -1] not in {sorted(first.end_ids)} or segments[-2:] == ["", ""]:',
        "    break",
        f"if {_has_ended(task, 'out[0]')}:",
        "    break",
    ]
    return [
        *_closing(task),
        "segments = []",
        f"while len(segments) < {_limit(student, task)}:",
        indent("\n".join(body), "    "),
    ]
