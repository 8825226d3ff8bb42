"""Tokens that a student lacks: the markers `<es>` `<as>` `<STOP>`, and characters that its
tokenizer cannot write.

A sentence-piece unigram tokenizer (T5, Flan-T5) turns line breaks into spaces, runs of spaces into
one, and `{ } < \\ ~` into unknown. A student that is to write such text needs a way to. `prepare`
looks at the data, finds the characters that do not survive text → ids → text, and adds one token
for each, and one token `<sp>` for the spaces that such a tokenizer swallows (those beside an added
character, and all of a run of two or more). `CharacterMap` is the reversible rule: text is cut at
these characters, the runs between them are tokenised as ever. Byte-level tokenizers (Qwen, Llama 3)
lose nothing and need nothing.

New rows of the embedding (and of an untied head) start at the mean of the old rows with a little
seeded noise, so that a new token is neither likelier nor stranger than the average one. Nothing
here trains anything."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import torch
from tokenizers import AddedToken

from smallsteps.errors import StudentError
from smallsteps.tasks.base import STOP_TOKEN, Task

if TYPE_CHECKING:
    from smallsteps.students.student import Student

MARKERS = {"ES": "<es>", "AS": "<as>"}
"""Kind → marker token."""

SPACE_TOKEN = "<sp>"
"""Stands for one space that the tokenizer would swallow."""

MOST_CHARACTERS = 64
"""Characters added at most, the most frequent ones; a text that needs more needs another
tokenizer."""


@dataclass(frozen=True)
class CharacterMap:
    """Text ↔ ids through a tokenizer that cannot write `characters`, which have tokens of their
    own."""

    ids: dict[str, int]
    """Character → id of its added token; a space → the id of `<sp>`."""
    pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        inside = re.escape("".join(sorted(c for c in self.ids if c != " ")))
        one = f"[{inside}]" if inside else "(?!)"
        # a space counts as swallowed beside an added character, in a run, and at either end
        pattern = rf"({one}|(?<={one}) +| {{2,}}| +(?={one})|^ +| +$)"
        object.__setattr__(self, "pattern", re.compile(pattern))

    def encode(self, text: str, plain: Callable[[str], list[int]]) -> list[int]:
        """Ids of `text`; `plain` tokenises the runs between added characters."""
        ids: list[int] = []
        for _, piece, own in self.pieces(text):
            ids += plain(piece) if own is None else [own]
        return ids

    def pieces(self, text: str) -> Iterator[tuple[int, str, int | None]]:
        """(start, characters, id of the added token or None) of each run and each added
        character."""
        start = 0
        for place, piece in enumerate(self.pattern.split(text)):
            if place % 2:
                yield from ((start + n, c, self.ids[c]) for n, c in enumerate(piece))
            elif piece:
                yield start, piece, None
            start += len(piece)

    def decode(self, ids: Sequence[int], plain: Callable[[list[int]], str]) -> str:
        """The text back; `plain` decodes the runs between added characters."""
        back = {i: c for c, i in self.ids.items()}
        text = ""
        run: list[int] = []
        for i in ids:
            if i in back:
                text += (plain(run) if run else "") + back[i]
                run = []
            else:
                run.append(i)
        return text + (plain(run) if run else "")


@dataclass(frozen=True)
class RoundTrip:
    """What `check_round_trip` found."""

    texts: int
    """Texts looked at."""
    lost: int
    """Texts that do not come back as they were."""
    characters: tuple[str, ...]
    """The characters to blame, most frequent first; a space where runs of spaces are swallowed."""
    example: tuple[str, str] | None = None
    """(text, what came back) of the first one lost."""


def check_round_trip(student: Student, texts: Iterable[str]) -> RoundTrip:
    """Which texts, and which of their characters, do not survive text → ids → text under `student`.

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
    return all(student.text(student.encode(p)) == p for p in probes)


def prepare(
    student: Student,
    task: Task,
    *,
    path: Literal["direct", "uni", "dual"],
    cue: bool = False,
    role: Literal["ES", "AS"] | None = None,
    texts: Iterable[str] = (),
    seed: int = 0,
    max_segments: int | None = None,
    demonstrations: Sequence[tuple[str, str]] = (),
) -> Student:
    """`student` made ready for `task`: tokens added as needed, drive set. Changes the student in
    place and returns it.

    max_segments: how many segments it may write; None: as many as it could before, or as the task
    says. demonstrations: (rendered question, rationale) of worked questions that stand before every
    question; none: those it had before. Raises StudentError for an encoder-decoder, whose encoder
    reads the question alone.

    Markers are added for `cue` and for causal students on segments, `<STOP>` for tasks without a
    closing phrase, and tokens for the characters of `texts` that the tokenizer cannot write (a
    warning says which texts still do not come back)."""
    from smallsteps.students.student import Drive

    names = []
    if path != "direct" and (cue or student.architecture == "causal"):
        names += list(MARKERS.values())
    if task.closing is None:
        names.append(STOP_TOKEN)
    drive = student.drive or Drive(task=task.name)
    limit = None if path == "direct" else max_segments or drive.max_segments
    if demonstrations and student.architecture != "causal":
        raise StudentError(
            f"{student.name}: demonstrations are for causal students, and this is an encoder-decoder. "
            "Set demonstrations to 0, or name a causal student."
        )
    shown = tuple((question, rationale) for question, rationale in demonstrations)
    student.drive = replace(
        drive,
        task=task.name,
        path=path,
        cue=cue,
        role=role,
        max_segments=limit,
        demonstrations=shown or drive.demonstrations,
    )
    add_tokens(student, names, seed=seed)
    texts = list(texts)
    if texts:
        map_characters(student, texts, seed=seed)
    return student


def map_characters(student: Student, texts: Sequence[str], *, seed: int = 0) -> RoundTrip:
    """Adds tokens for the characters of `texts` that `student` cannot write; what is still lost
    comes back and is warned of."""
    found = check_round_trip(student, texts)
    if not found.lost:
        return found
    already = student.drive.characters if student.drive else ()
    new = [c for c in found.characters if c != " "][: MOST_CHARACTERS - len(already)]
    if not new and " " not in found.characters:
        return _warned(found)
    characters = tuple(dict.fromkeys([*already, *new]))
    add_tokens(student, [*new, SPACE_TOKEN], seed=seed)
    assert student.drive is not None
    student.drive = replace(student.drive, characters=characters, spaces=True)
    student.refresh()
    return _warned(check_round_trip(student, texts))


def _warned(found: RoundTrip) -> RoundTrip:
    if found.lost and found.example:
        text, back = found.example
        warnings.warn(
            f"{found.lost} of {found.texts} texts do not come back from this tokenizer as they were, for example "
            f"{text[:60]!r} becomes {back[:60]!r}. Use a student whose tokenizer knows these characters.",
            stacklevel=3,
        )
    return found


def add_tokens(student: Student, names: Sequence[str], *, seed: int = 0) -> list[int]:
    """Ids of `names` as tokens of their own, added where the tokenizer lacks them; embedding rows
    follow."""
    tokenizer, model = student.tokenizer, student.model
    known = tokenizer.get_added_vocab()
    new = [n for n in names if n not in known]
    if new:
        tokenizer.add_tokens(
            [
                AddedToken(n, normalized=False, lstrip=False, rstrip=False, special=False)
                for n in new
            ]
        )
        rows = model.get_input_embeddings().weight.shape[0]
        if len(tokenizer) > rows:
            _resize(model, len(tokenizer))
        _start_rows(model, [tokenizer.convert_tokens_to_ids(n) for n in new], seed)
        student.refresh()
    return [tokenizer.convert_tokens_to_ids(n) for n in names]


def _resize(model: Any, rows: int) -> None:
    """Resizes the tables and leaves an untied head untied: Flan-T5's config says tied, its weights
    are not, and transformers 5 ties them again on every resize, which would throw the trained head
    away."""
    head = model.get_output_embeddings()
    untied = (
        head is not None
        and head.weight.data_ptr() != model.get_input_embeddings().weight.data_ptr()
    )
    old = head.weight.detach().clone() if untied else None
    model.resize_token_embeddings(rows, mean_resizing=False)
    head = model.get_output_embeddings()
    if old is not None and head.weight.data_ptr() == model.get_input_embeddings().weight.data_ptr():
        weight = torch.zeros_like(head.weight.detach())
        weight[: old.shape[0]] = old
        head.weight = torch.nn.Parameter(weight)


def _start_rows(model: Any, rows: list[int], seed: int) -> None:
    """Sets `rows` of the embedding and of an untied head to the mean of the others, plus 1 % noise
    to tell them apart."""
    tables = [model.get_input_embeddings().weight]
    head = model.get_output_embeddings()
    if head is not None and head.weight.data_ptr() != tables[0].data_ptr():
        tables.append(head.weight)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for table in tables:
            old = torch.ones(table.shape[0], dtype=torch.bool)
            old[rows] = False
            kept = table[old.to(table.device)].float()
            mean, spread = kept.mean(0), kept.std(0, correction=0)
            noise = torch.randn(len(rows), table.shape[1], generator=generator).to(mean.device)
            table[rows] = (mean + 0.01 * spread * noise).to(table.dtype)
