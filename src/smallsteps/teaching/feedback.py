"""What a person says about a chain that a student wrote: right or wrong, and how it should read.

The playground of `smallsteps serve` appends one JSON line for each judgement; `data.feedback` of a
recipe reads such files. The interactive setting that the tailored-learning and
LM-guided papers name as future work."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from io import FileIO
from pathlib import Path
from typing import Any, Literal, cast, get_args

from smallsteps.disk import sync_folder
from smallsteps.errors import DataError, nearest
from smallsteps.outputs import writing
from smallsteps.tasks.fields import Row, encodable, in_line, missing, scalar, short, text_field
from smallsteps.tasks.files import at, read_rows

Verdict = Literal["right", "wrong"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """One judgement of one chain. A row of a feedback file has exactly these fields."""

    id: str
    """The id of the question where it comes from a data file; else any name."""
    question: str
    """As in data files: the bare question, not the prompt made of it."""
    rationale: str
    """The chain that was judged, as the student wrote it."""
    answer: str | None
    """The answer that the chain ends on. None: it has no readable one."""
    verdict: Verdict
    edited: str | None
    """The whole chain as it should read, with its final answer. None: not edited."""
    student: str
    """Who wrote the chain: the name or folder of a student, or of a teacher."""
    time: str
    """When it was judged: ISO 8601 with a time zone, in UTC where we write it."""

    def __post_init__(self) -> None:
        """Raises DataError on a field with an invalid value."""
        if self.verdict not in get_args(Verdict):
            raise DataError(f"field 'verdict' must be right or wrong, got {short(self.verdict)}.")
        for name in ("question", "rationale", "student") + ("edited",) * (self.edited is not None):
            text_field({name: getattr(self, name)}, name)
        try:
            zone = datetime.fromisoformat(self.time).tzinfo
        except (ValueError, TypeError):
            zone = None
        if zone is None:
            raise DataError(
                "field 'time' must be a date with time and zone such as 2026-01-31T12:00:00+00:00, "
                f"got {short(self.time)}."
            )

    def to_row(self) -> dict[str, Any]:
        """All fields, in the documented order; null where there is nothing."""
        return {column.name: getattr(self, column.name) for column in fields(self)}

    @classmethod
    def from_row(cls, row: Row) -> Feedback:
        """The judgement of a row. Raises DataError on a field that is unknown, missing or invalid;
        `answer` and `edited` may be missing or null."""
        if "verdict" not in row:
            raise DataError(
                "no row of feedback: it has no 'verdict', which is 'right' or 'wrong'. Name a file "
                "that smallsteps serve or smallsteps review wrote."
            )
        known = [column.name for column in fields(cls)]
        unknown = next((name for name in row if name not in known), None)
        if unknown is not None:
            raise DataError(f"no field of feedback: {in_line(unknown)!r}.{nearest(unknown, known)}")
        identifier = scalar(row, "id")
        if identifier is None:
            raise DataError(missing(row, "id"))
        edited = row.get("edited")
        if edited is not None and not isinstance(edited, str):
            raise DataError(f"field 'edited' must be text or null, got {short(edited)}.")
        return cls(
            id=identifier,
            question=text_field(row, "question"),
            rationale=text_field(row, "rationale"),
            answer=scalar(row, "answer"),
            verdict=cast(Verdict, text_field(row, "verdict")),
            edited=None if edited is None else encodable(edited, "edited"),
            student=text_field(row, "student"),
            time=text_field(row, "time"),
        )


def now() -> str:
    """The time of a judgement made now, in UTC, to the second: `2026-01-31T12:00:00+00:00`."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_feedback(path: str | Path) -> list[Feedback]:
    """The judgements of a file, in its order.

    Raises DataError with file and line on the first row that is none."""
    judgements = []
    for line, row in read_rows(path):
        with at(f"{path}:{line}"):
            judgements.append(Feedback.from_row(row))
    return judgements


def latest(judgements: Sequence[Feedback]) -> list[int]:
    """The places of the judgements that count: of several on the same chain of the same question,
    the last one. Who clicks again corrects himself."""
    by_chain = {
        (" ".join(judgement.question.split()), judgement.rationale.strip()): place
        for place, judgement in enumerate(judgements)
    }
    return list(by_chain.values())


def append_feedback(path: str | Path, judgement: Feedback) -> None:
    """Adds one line to a feedback file and brings it to the disk; makes the file and its folders.

    The line is written at once, so that lines of several writers do not mix. A line that an earlier
    kill cut off stays as it is, and the new one starts below it. Raises DataError where the file
    cannot be written; of a line for which the disk had no room nothing stays."""
    path = Path(path)
    line = (json.dumps(judgement.to_row(), ensure_ascii=False) + "\n").encode("utf-8")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab+", buffering=0) as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                line = line if file.read(1) == b"\n" else b"\n" + line
            _write_whole(file, line)
            os.fsync(file.fileno())
        sync_folder(path.parent)


def _write_whole(file: FileIO, line: bytes) -> None:
    """Appends a line, all of it or nothing. Raises OSError."""
    begun = file.seek(0, os.SEEK_END)
    written = 0
    try:
        while written < len(line):  # a disk that is nearly full takes a part of it
            written += file.write(line[written:])
    except OSError:
        if os.fstat(file.fileno()).st_size == begun + written:  # nobody wrote behind it
            file.truncate(begun)
        raise
