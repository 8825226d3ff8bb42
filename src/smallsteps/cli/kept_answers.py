"""Answers of `smallsteps solve FILE` that survive an interruption: a hidden file beside the output,
which the next call of the same job continues."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any, get_args

from smallsteps import lock
from smallsteps.errors import DataError
from smallsteps.outputs import reason, temporary_folders, writing
from smallsteps.records import Problem, Stopped
from smallsteps.tasks.base import Task


def question_digest(problem: Problem, task: Task) -> str:
    """Names a question by its id and by all that a student reads of it."""
    content = [problem.id, task.render(problem), problem.choices, problem.context]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()


class KeptAnswers:
    """The file: a line that describes the job, then one line for each answer."""

    def __init__(self, path: Path, file: FileIO) -> None:
        self.path, self.file = path, file
        self.rows: dict[str, dict[str, Any]] = {}
        """Digest of a question → its row. Torn and foreign lines are left out."""
        self.replaced = False
        """Whether the file was of another job."""
        self.begun = False
        """Whether `begin` was called."""

    def begin(self, job: Mapping[str, Any]) -> None:
        """Reads the answers of an interrupted call of the same `job`; removes all others."""
        content = self.file.read()
        whole = content.rfind(b"\n") + 1
        entries = [_parsed(line) for line in content[:whole].splitlines()]
        same = bool(entries) and entries[0] == {"job": job}
        self.begun, self.replaced = True, bool(content) and not same
        for entry in entries[1:] if same else ():
            if _is_answer(entry):
                self.rows[entry["question"]] = entry["answer"]
        self.file.truncate(whole if same else 0)  # a torn line must not swallow the next one
        if not same:
            self._write({"job": job})

    def add(self, digest: str, row: Mapping[str, Any]) -> None:
        """Keeps the answer to a question; from now on a kill does not lose it."""
        self.rows[digest] = dict(row)
        self._write({"question": digest, "answer": row})

    def discard(self) -> None:
        """Removes the file."""
        self.path.unlink(missing_ok=True)

    def _write(self, entry: Mapping[str, Any]) -> None:
        """Raises DataError where the disk refuses; the lines before stay."""
        line = json.dumps(entry).encode() + b"\n"
        try:
            while line:  # a disk that is nearly full takes a part of it
                line = line[self.file.write(line) :]
        except OSError as error:
            raise DataError(
                f"{self.path}: could not be written ({reason(error)}). The answers so far are "
                "kept. To continue, run the same command again."
            ) from None


@contextlib.contextmanager
def kept_answers(out: Path) -> Iterator[KeptAnswers]:
    """The kept answers of the output `out`, locked. Raises RunFolderError while another process
    writes the same output."""
    out = out.resolve()
    path, lock_file = out.with_name(f".{out.name}.partial"), out.with_name(f".{out.name}.lock")
    refusal = f"{out}: another process is writing it. Wait for it, or choose another --out."
    with temporary_folders(out.parent), contextlib.ExitStack() as stack:
        with writing(path):
            stack.enter_context(lock.exclusive(lock_file, refusal))
            stack.callback(lock.discard, lock_file)
            file = stack.enter_context(path.open("ab+", buffering=0))
            file.seek(0)
        kept = KeptAnswers(path, file)
        try:
            yield kept
        finally:
            if not kept.rows and (kept.begun or not os.fstat(file.fileno()).st_size):
                kept.discard()


def _parsed(line: bytes) -> Any:
    """The JSON in a line; None where it is something else."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_answer(entry: Any) -> bool:
    """Whether a line of the file is a whole answer that `add` wrote."""
    if not isinstance(entry, dict) or not isinstance(entry.get("question"), str):
        return False
    row = entry.get("answer")
    return (
        isinstance(row, dict)
        and isinstance(row.get("id"), str)
        and isinstance(row.get("text"), str)
        and isinstance(row.get("segments"), list)
        and isinstance(row.get("answer"), str | None)
        and row.get("stopped") in get_args(Stopped)
        and isinstance(row.get("tokens"), int)
    )
