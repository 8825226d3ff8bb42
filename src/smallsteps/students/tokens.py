"""Make a student ready for a task: add the tokens that it lacks.

These are the markers `<es>` `<as>`, `<STOP>`, and characters that its tokenizer cannot write.
`prepare` looks at the training texts, finds the characters that do not survive text → ids → text,
and adds one token for each (`characters.py` has the rule). Byte-level tokenizers (Qwen, Llama 3)
lose nothing and need nothing.

New rows of the embedding (and of an untied head) start as an ordinary token's: drawn with the mean
and the spread of the old rows, by seed. Nothing here trains anything.

They must not start at the mean itself, as libraries like to. The logit of such a token is the mean
of all logits, so in a vocabulary of V its probability is at most 1/V whatever the model has learnt,
until the row has moved. At 1e-4 SmolLM2's markers did not within 600,000 tokens: segments ended in
the end of the text instead (docs/log.md, 2026-11-27)."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from tokenizers import AddedToken

from smallsteps.errors import StudentError
from smallsteps.faults import names_faults
from smallsteps.students.characters import MARKERS, SPACE_TOKEN
from smallsteps.students.drive import Drive
from smallsteps.students.student import Student
from smallsteps.tasks import get_task
from smallsteps.tasks.base import STOP_TOKEN, Task

MAX_CHARACTERS = 64
"""Maximum number of added characters, the most frequent ones. A text that needs more needs another
tokenizer."""


@dataclass(frozen=True)
class RoundTrip:
    """Result of `check_round_trip`."""

    texts: int
    """Number of texts checked."""
    lost: int
    """Number of texts that come back changed."""
    characters: tuple[str, ...]
    """The characters that cause it, most frequent first; a space for dropped runs of spaces."""
    example: tuple[str, str] | None = None
    """(text, what came back) of the first changed one."""


def check_round_trip(student: Student, texts: Iterable[str]) -> RoundTrip:
    """Which texts, and which of their characters, do not survive text → ids → text.

    Texts are compared stripped, as targets are. Characters are tried alone between two letters and
    between two spaces."""
    lost: list[tuple[str, str]] = []
    total, counts = 0, Counter[str]()
    for text in texts:
        total += 1
        text = text.strip()
        back = student.text(student.encode(text)).strip()
        if back != text:
            lost.append((text, back))
            counts.update(text)
            counts["  "] += text.count("  ")
    bad = {c for c in counts if len(c) == 1 and c != " " and not _survives(student, c)}
    if counts["  "] and student.text(student.encode("a  b")) != "a  b":
        counts[" "] = counts["  "]
        bad.add(" ")
    ordered = sorted(bad, key=lambda c: (-counts[c], c))
    return RoundTrip(total, len(lost), tuple(ordered), lost[0] if lost else None)


def _survives(student: Student, character: str) -> bool:
    probes = (f"a{character}b", f"a {character} b")
    return all(student.text(student.encode(probe)) == probe for probe in probes)


@names_faults
def prepare(
    student: Student,
    task: Task | str,
    *,
    path: Literal["direct", "uni", "dual"],
    cue: bool = False,
    role: Literal["ES", "AS"] | None = None,
    texts: Iterable[str] = (),
    seed: int = 0,
    max_segments: int | None = None,
    demonstrations: Sequence[tuple[str, str]] = (),
    trained: bool = True,
) -> Student:
    """Make `student` ready for `task`, in place: add tokens, set its drive. Returns it.

    Adds markers for `cue` and for causal students on segments, `<STOP>` for tasks without a closing
    sentence, and tokens for the characters of `texts` that the tokenizer cannot write (a warning
    says which texts still come back changed).

    max_segments: maximum number of segments per chain; None: as before, or what the task says.
    demonstrations: worked examples before every question, as (rendered question, rationale);
    empty: as before. trained: False for a student that stays as it is. Raises StudentError for
    demonstrations of an encoder-decoder, whose encoder reads the question alone."""
    if demonstrations and student.architecture != "causal":
        raise StudentError(
            f"{student.name}: demonstrations are for causal students, and this is an "
            "encoder-decoder. Set demonstrations to 0, or name a causal student."
        )
    task = get_task(task)
    names = []
    if path != "direct" and (cue or student.architecture == "causal"):
        names += list(MARKERS.values())
    if task.closing is None:
        names.append(STOP_TOKEN)
    drive = student.drive or Drive(task=task.name)
    student.drive = replace(
        drive,
        task=task.name,
        path=path,
        cue=cue,
        role=role,
        max_segments=None if path == "direct" else max_segments or drive.max_segments,
        demonstrations=tuple((q, rationale) for q, rationale in demonstrations)
        or drive.demonstrations,
        trained=trained,
    )
    add_tokens(student, names, seed=seed)
    texts = texts if isinstance(texts, Sequence) else list(texts)
    if len(texts):
        map_characters(student, texts, seed=seed)
    return student


def map_characters(student: Student, texts: Sequence[str], *, seed: int = 0) -> RoundTrip:
    """Add tokens for the characters of `texts` that `student` cannot write.

    Returns the round trip afterwards, and warns if it still loses texts."""
    before = check_round_trip(student, texts)
    if not before.lost:
        return before
    mapped = student.drive.characters if student.drive else ()
    new = [c for c in before.characters if c != " "][: MAX_CHARACTERS - len(mapped)]
    if not new and " " not in before.characters:
        _warn_of_lost(before)
        return before
    add_tokens(student, [*new, SPACE_TOKEN], seed=seed)
    if student.drive is None:
        raise StudentError(f"{student.name}: no task is set. Use prepare() first.")
    characters = tuple(dict.fromkeys([*mapped, *new]))
    student.drive = replace(student.drive, characters=characters, spaces=True)
    student.refresh()
    after = check_round_trip(student, texts)
    _warn_of_lost(after)
    return after


def _warn_of_lost(trip: RoundTrip) -> None:
    if trip.lost and trip.example:
        text, back = trip.example
        warnings.warn(
            f"{trip.lost} of {trip.texts} texts do not come back from this tokenizer as they were, "
            f"for example {text[:60]!r} becomes {back[:60]!r}. "
            "Use a student whose tokenizer knows these characters.",
            stacklevel=3,
        )


def add_tokens(student: Student, names: Sequence[str], *, seed: int = 0) -> list[int]:
    """Add `names` as tokens and give them embedding rows; known ones stay. Returns their ids."""
    tokenizer, model = student.tokenizer, student.model
    known = tokenizer.get_added_vocab()
    new = [name for name in names if name not in known]
    if new:
        tokenizer.add_tokens([_plain_token(name) for name in new])
        rows = model.get_input_embeddings().weight.shape[0]
        if len(tokenizer) > rows:
            _resize(model, len(tokenizer))
        start_rows(model, [tokenizer.convert_tokens_to_ids(name) for name in new], seed)
        student.refresh()
    return [tokenizer.convert_tokens_to_ids(name) for name in names]


def _plain_token(name: str) -> AddedToken:
    return AddedToken(name, normalized=False, lstrip=False, rstrip=False, special=False)


def _resize(model: Any, rows: int) -> None:
    """Resize embeddings and head, and leave an untied head untied.

    Flan-T5's config says tied, but its weights are not. transformers 5 ties them on every resize,
    which would lose the trained head."""
    head = model.get_output_embeddings()
    untied = head is not None and not _is_tied(model)
    old = head.weight.detach().clone() if untied else None
    rows_before = model.get_input_embeddings().weight.shape[0]
    model.resize_token_embeddings(rows, mean_resizing=False)
    _set_vocabulary(model.config, rows_before, rows)
    head = model.get_output_embeddings()
    if old is not None and _is_tied(model):
        weight = torch.zeros_like(head.weight.detach())
        weight[: old.shape[0]] = old
        head.weight = torch.nn.Parameter(weight)


def _set_vocabulary(config: Any, before: int, after: int) -> None:
    """State the new number of rows wherever `config` states the old one. transformers changes one
    place; T5Gemma's configuration has one for each stack, and is read again from there."""
    if getattr(config, "vocab_size", None) == before:
        config.vocab_size = after
    for part in config.sub_configs:
        if (inside := getattr(config, part, None)) is not None:
            _set_vocabulary(inside, before, after)


def _is_tied(model: Any) -> bool:
    """Whether embedding and head are the same weights."""
    head, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    return bool(head.weight.data_ptr() == embedding.weight.data_ptr())


def start_rows(model: Any, rows: list[int], seed: int) -> None:
    """Make the tokens `rows` ordinary ones: draw their rows of the embedding, and of an untied
    head, from a normal distribution with the mean and the standard deviation of the other rows,
    number by number."""
    tables = [model.get_input_embeddings().weight]
    head = model.get_output_embeddings()
    if head is not None and not _is_tied(model):
        tables.append(head.weight)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for table in tables:
            old = torch.ones(table.shape[0], dtype=torch.bool)
            old[rows] = False
            kept = table[old.to(table.device)].float()
            mean, spread = kept.mean(0), kept.std(0, correction=0)
            noise = torch.randn(len(rows), table.shape[1], generator=generator).to(mean.device)
            table[rows] = (mean + spread * noise).to(table.dtype)
