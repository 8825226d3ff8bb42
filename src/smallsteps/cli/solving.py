"""`smallsteps solve`: one question, or a file of them whose answers survive an interruption."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, get_args

from smallsteps import lock
from smallsteps.cli.cpu_threads import set_threads
from smallsteps.cli.prediction_rows import prediction_of
from smallsteps.cli.progress import Terminal, open_console, say
from smallsteps.devices import check_device
from smallsteps.errors import DataError, RecipeError, counted
from smallsteps.outputs import check_output, temporary_folders, writing
from smallsteps.records import Prediction, Problem, Stopped
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import read_problems, write_rows
from smallsteps.tasks.sources import check_exists
from smallsteps.tasks.spoken import task_for
from smallsteps.tasks.tables import HUB

if TYPE_CHECKING:
    from smallsteps.students.dual import DualStudent
    from smallsteps.students.student import Student

DATA_ENDINGS = (
    ".jsonl",
    ".ndjson",
    ".json",
    ".csv",
    ".tsv",
    ".parquet",
    ".arrow",
    ".feather",
    ".txt",
    ".gz",
    ".bz2",
    ".xz",
    ".zst",
    ".zip",
    ".xlsx",
    ".xls",
    ".yaml",
    ".yml",
)
WORTH_MEASURING = 32
"""Questions from which on the fastest number of CPU threads is measured first."""
AS_TEXT = "To ask it as a question, put a space before it inside the quotes."


def names_file(argument: str) -> bool:
    """Whether the argument of `solve` is a file and not a question.

    It is where something of that name exists, where it ends like a data file, or where it has a
    path separator and is one ASCII word. A space before it makes it a question.

    >>> [names_file(text) for text in ("q.tsv", "my questions.jsonl", "runs/x", "hub:a/b:test")]
    [True, True, True, True]
    >>> [names_file(text) for text in (" q.tsv", "How many?", "3/4 of 8 pens?", "半/全")]
    [False, False, False, False]
    """
    if not argument.strip() or argument != argument.strip():
        return False
    with contextlib.suppress(OSError, ValueError):  # too long for a name: a question
        if os.path.lexists(argument):
            return True
    single = len(argument.split()) == 1
    if single and argument.startswith(HUB):
        return True
    if "?" in argument or "\n" in argument or len(argument) > 255:
        return False
    separators = {os.sep, "\\"}
    return argument.lower().endswith(DATA_ENDINGS) or (
        single and argument.isascii() and any(separator in argument for separator in separators)
    )


def solve_question(
    model: str,
    question: str,
    out: Path | None,
    task_name: str | None,
    dtype: str,
    temperature: float,
    seed: int,
    device: str,
    threads: int | None,
) -> None:
    """`smallsteps solve MODEL "question"`: segments as they are written."""
    set_threads(threads)
    check_device(device)
    if out is not None:
        raise RecipeError(
            f"--out {out}: only for a file of questions, and {question[:60]!r} is no file. Check "
            "its name, or leave --out away to ask it as a question."
        )
    if not question.strip():
        raise DataError(
            'the question is empty. Type it in quotes: smallsteps solve MODEL "How many …?"'
        )
    if any("\ud800" <= letter <= "\udfff" for letter in question):
        raise DataError("the question is not UTF-8. Type it again, or write it into a JSONL file.")
    task = get_task(task_name) if task_name is not None else None
    from smallsteps.generation.generator import Decoding
    from smallsteps.generation.solve import load_with_task, solve
    from smallsteps.report.terminal import segment_printer

    decoding = Decoding(temperature=temperature, seed=seed)
    solver = load_with_task(model, task=task, device=device, dtype=dtype)
    student = solver.student
    by_segment = student.drive is not None and student.drive.path != "direct"
    show = segment_printer(open_console(), question if by_segment else None)
    for prediction in solve(
        student,
        [Problem("question", question.strip())],
        solver.task,
        solver.settings(),
        decoding,
        on_segment=lambda _, __, kind, text: show(kind, text),
    ):
        answer = (
            "no answer could be read off"
            if prediction.answer is None
            else f"answer: {prediction.answer}"
        )
        say(
            f"{answer}   ({prediction.tokens} tokens, stopped by {prediction.stopped})",
            style="bold",
        )


def solve_file(
    model: str,
    source: str,
    out: Path | None,
    task_name: str | None,
    batch_size: int,
    dtype: str,
    temperature: float,
    seed: int,
    columns: Mapping[str, str],
    device: str,
    threads: int | None,
) -> None:
    """`smallsteps solve MODEL FILE --out OUT`: one row a question, in order. Answers written before
    an interruption are kept beside OUT, and used again for the same questions, model and
    settings."""
    set_threads(threads)
    check_device(device)
    if not source.startswith(HUB):
        try:
            check_exists(Path(source))
        except DataError as error:
            raise DataError(f"{error} {AS_TEXT}") from None
    if out is None:
        raise RecipeError("name the file for the predictions: --out predictions.jsonl")
    check_output(out, inputs=[source, model])
    task = (
        stored_task(model)
        if task_name is None
        else task_for(task_name, [source], columns, say=Terminal().say)
    )
    # before any weights are loaded
    problems = None if task is None else read_problems(source, task, columns, Terminal().say)
    from smallsteps.cli.fastest import choose
    from smallsteps.generation.generator import Decoding
    from smallsteps.generation.solve import load_with_task, solve
    from smallsteps.students.dual import DualStudent

    decoding = Decoding(temperature=temperature, seed=seed)
    with Terminal() as reporter, answers_beside(out) as kept:
        reporter.say(f"loading {model}")
        solver = load_with_task(model, task=task, device=device, dtype=dtype)
        student, task = solver.student, solver.task
        problems = problems or read_problems(source, task, columns, reporter.say)
        limits = f"{decoding.describe()}, at most {decoding.max_new_tokens} tokens"
        model_facts = {"model": _digest_of(student), "drive": repr(student.drive), "dtype": dtype}
        kept.begin({**model_facts, "task": task.name, "decode": limits, "columns": dict(columns)})
        done = {
            p.id: row
            for p in problems
            if (row := kept.rows.get(question_digest(p, task))) is not None
        }
        if done:
            reporter.say(f"going on: {len(done)} of {len(problems)} are done")
        elif kept.replaced:
            reporter.say(
                "the answers that an interrupted call left are of another job and are not used"
            )
        rest = {problem.id: problem for problem in problems if problem.id not in done}
        reporter.say(f"{counted(len(rest), 'question')} to answer")
        if threads is None and len(rest) >= WORTH_MEASURING:
            half = student.es if isinstance(student, DualStudent) else student
            choose(None, lambda: half)
        for prediction in solve(
            student, list(rest.values()), task, solver.settings(batch_size), decoding
        ):
            row = done[prediction.problem_id] = prediction_row(prediction)
            kept.add(question_digest(rest[prediction.problem_id], task), row)
            reporter.advance("answering", len(done), len(problems))
        write_rows(out, (done[problem.id] for problem in problems))
        kept.discard()
    unparsed = sum(row["answer"] is None for row in done.values())
    say(f"{counted(len(problems), 'answer')} in {out}; no answer could be read off {unparsed}")
    if all(problem.answer is not None for problem in problems) and task.assemble is None:
        from smallsteps.evaluation.grade import grade

        predictions = [prediction_of(done[problem.id], str(out)) for problem in problems]
        dataset = Path(source).stem
        score = grade(
            predictions, problems, task, dataset=dataset, decode=decoding.describe(), seed=seed
        )
        say(score.signature())


def prediction_row(prediction: Prediction) -> dict[str, Any]:
    """The row of `smallsteps solve`."""
    return {
        "id": prediction.problem_id,
        "text": prediction.text,
        "segments": [{"kind": kind, "text": text} for kind, text in prediction.segments],
        "answer": prediction.answer,
        "stopped": prediction.stopped,
        "tokens": prediction.tokens,
    }


def stored_task(model: str) -> Task | None:
    """The task that a student of smallsteps was trained for; None: only loading it can tell."""
    from smallsteps.students.drive import DRIVE_FILE, Drive

    try:
        path = Path(model).expanduser() / DRIVE_FILE
        there = path.is_file()
    except (OSError, ValueError, RuntimeError):  # no possible path
        return None
    return get_task(Drive.from_file(path).task) if there else None


def _digest_of(student: Student | DualStudent) -> str:
    from smallsteps.students.dual import DualStudent

    halves = (student.es, student.as_) if isinstance(student, DualStudent) else (student,)
    return " ".join(half.weights_digest() for half in halves)


def question_digest(problem: Problem, task: Task) -> str:
    """Names a question by its id and by all that a student reads of it."""
    content = [problem.id, task.render(problem), problem.choices, problem.context]
    return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()


class AnswersBeside:
    """The file of answers that an interrupted job left and goes on from: the job, then one answer a
    line."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self.path, self.file = path, file
        self.rows: dict[str, dict[str, Any]] = {}
        """Digest of a question → its row. Lines that are torn or foreign are left out."""
        self.replaced = False
        """Whether the file was of another job."""
        self.begun = False

    def begin(self, job: Mapping[str, Any]) -> None:
        """Reads what an interrupted call left where its job was the same; anything else is thrown
        away."""
        content = self.file.read()
        whole = content.rfind(b"\n") + 1
        entries = [_entry(line) for line in content[:whole].splitlines()]
        same = bool(entries) and entries[0] == {"job": job}
        self.begun, self.replaced = True, bool(content) and not same
        for entry in entries[1:] if same else ():
            if _is_answer(entry):
                self.rows[entry["question"]] = entry["answer"]
        self.file.truncate(whole if same else 0)  # a torn line must not swallow the next one
        if not same:
            self._write({"job": job})

    def add(self, digest: str, row: Mapping[str, Any]) -> None:
        """Keeps the answer to a question; after this a kill does not lose it."""
        self.rows[digest] = dict(row)
        self._write({"question": digest, "answer": row})

    def discard(self) -> None:
        """Removes the file: its answers are no longer needed."""
        self.path.unlink(missing_ok=True)

    def _write(self, entry: Mapping[str, Any]) -> None:
        with writing(self.path):
            self.file.write(json.dumps(entry).encode() + b"\n")
            self.file.flush()


@contextlib.contextmanager
def answers_beside(out: Path) -> Iterator[AnswersBeside]:
    """The kept answers of `out`, locked. Raises RunFolderError while another process answers into
    the same file."""
    out = out.resolve()
    path, lock_file = out.with_name(f".{out.name}.partial"), out.with_name(f".{out.name}.lock")
    refusal = f"{out}: another process is writing it. Wait for it, or choose another --out."
    with temporary_folders(out.parent), contextlib.ExitStack() as stack:
        with writing(path):
            stack.enter_context(lock.exclusive(lock_file, refusal))
            stack.callback(lock.discard, lock_file)
            file = stack.enter_context(path.open("ab+"))
            file.seek(0)
        kept = AnswersBeside(path, file)
        try:
            yield kept
        finally:
            if not kept.rows and (kept.begun or not os.fstat(file.fileno()).st_size):
                kept.discard()


def _entry(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _is_answer(entry: Any) -> bool:
    """Whether a line of the file is an answer that `add` wrote, whole."""
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
