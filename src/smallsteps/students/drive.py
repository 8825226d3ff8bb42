"""How a saved student is used: the small file `smallsteps.json` beside its weights.

A trained student is an ordinary Hugging Face folder with this one file more. A dual-path student is
a folder with `es/`, `as/` and the same file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal

from smallsteps import __version__
from smallsteps.errors import StudentError, json_fault, nearest

DRIVE_FILE = "smallsteps.json"


@dataclass(frozen=True)
class Drive:
    """Everything that generation must know about a student besides its weights and tokenizer."""

    task: str
    path: Literal["direct", "uni", "dual"] = "direct"
    """How it answers: the whole chain at once, segment by segment, or as one half of a pair."""
    cue: bool = False
    """Encoder-decoder, uni-path, `cue: kind`: a marker ends the input and names the next kind."""
    role: Literal["ES", "AS"] | None = None
    """Half of a dual-path pair: the kind of segment that it writes."""
    characters: tuple[str, ...] = ()
    """Characters with tokens of their own, because the tokenizer cannot write them."""
    spaces: bool = False
    """Whether spaces that the tokenizer drops are written as the token `<sp>`."""
    max_segments: int | None = None
    """Maximum number of segments per chain (longest training chain, with room); None: the task's
    maximum."""
    demonstrations: tuple[tuple[str, str], ...] = ()
    """Causal students: worked examples before every question, as (rendered question, rationale)."""
    trained: bool = True
    """False: the weights are those before training, and only the drive is ours. Such a student is
    asked and read like a model that smallsteps did not train."""
    version: int = 1
    smallsteps: str = __version__

    def to_json(self) -> str:
        """The content of the file: one JSON object, UTF-8."""
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"

    @classmethod
    def from_file(cls, path: Path) -> Drive:
        """The drive in `path`. Raises StudentError if it is damaged or has unknown fields."""
        try:
            row = json.loads(path.read_text(encoding="utf-8"))
        except (ValueError, RecursionError) as error:
            fault = json_fault(error) if isinstance(error, json.JSONDecodeError) else "not UTF-8"
            raise StudentError(
                f"{path}: expected one JSON object ({fault}). Copy the student's folder again."
            ) from None
        known = {f.name for f in fields(cls)}
        if not isinstance(row, dict) or "task" not in row:
            raise StudentError(
                f"{path}: expected an object with at least 'task'. Save the student again."
            )
        for name in row:
            if name not in known:
                raise StudentError(
                    f"{path}: no field {name!r}.{nearest(name, known)} Saved by a newer smallsteps?"
                )
        row["characters"] = tuple(row.get("characters", ()))
        row["demonstrations"] = tuple(tuple(pair) for pair in row.get("demonstrations", ()))
        return cls(**row)
