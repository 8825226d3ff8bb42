"""`smallsteps solve`: answers one question, or a file of them."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.kept_answers import kept_answers, question_digest
from smallsteps.cli.prediction_rows import prediction_of, prediction_row
from smallsteps.cli.progress import Terminal, open_console, say
from smallsteps.config import read_settings
from smallsteps.errors import DataError, RecipeError, counted, nearest
from smallsteps.generation.generator import Decoding, EngineSettings
from smallsteps.generation.server_settings import ServerSettings
from smallsteps.outputs import check_output
from smallsteps.records import Problem, Stopped
from smallsteps.students.run_student import student_place
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import read_problems, write_rows
from smallsteps.tasks.sources import check_exists
from smallsteps.tasks.spoken import task_for
from smallsteps.tasks.tables import HUB

if TYPE_CHECKING:
    from smallsteps.generation.solve import StudentWithTask
    from smallsteps.students.dual import DualStudent
    from smallsteps.students.student import Student

MIN_TO_MEASURE = 32
"""From this number of questions on, the fastest number of CPU threads is measured first."""

AS_TEXT = "To ask it as a question, put a space before it inside the quotes."

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


def names_file(argument: str) -> bool:
    """Whether the argument of `solve` names a file and is not a question.

    It names a file where something of that name exists, where it ends like a data file, or where it
    is one ASCII word with a path separator. A space before it makes it a question.

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


@dataclass(frozen=True)
class SolveOptions:
    """What one question and a file of questions have in common."""

    model: str
    """A folder, a run folder, a GGUF file, a name on the hub, `smollm2` or a bundled student."""
    decoding: Decoding
    compute: Compute
    out: Path | None = None
    """The file for predictions; of a file of questions only."""
    task: str | None = None
    """The task's name, for a model that smallsteps did not train."""
    writing: EngineSettings = field(default_factory=lambda: EngineSettings(batch_size=64))
    """What writes, and how many answers at a time."""
    dtype: str = "float32"

    def decode(self) -> str:
        """How answers are written, for a score's signature."""
        named = "" if self.writing.engine == "local" else f", {self.writing.engine}"
        return f"{self.decoding.describe()}{named}"


def engine_settings(engine: str, command: str | None, url: str | None) -> EngineSettings:
    """What the options say of an engine. Raises RecipeError: an unknown engine, or a server where
    none is asked."""
    if engine not in ("local", "vllm"):
        raise RecipeError(f"--engine {engine}: no such engine.{nearest(engine, ('local', 'vllm'))}")
    given = {"--server-command": command, "--server-url": url}
    named = [flag for flag, value in given.items() if value is not None]
    if named and engine == "local":
        raise RecipeError(f"{named[0]} is of --engine vllm. Add that, or leave {named[0]} out.")
    if len(named) > 1:
        raise RecipeError(f"{' and '.join(named)}: a server is started or runs. Leave one out.")
    values = {"command": command, "base_url": url}
    chosen = {name: value for name, value in values.items() if value is not None}
    server = read_settings(ServerSettings, chosen, "".join(named) or "the server")
    settings = EngineSettings(engine=engine, batch_size=64, server=server)
    if engine == "vllm":
        settings.server.check_installed()
    return settings


def solve_question(question: str, options: SolveOptions) -> None:
    """`smallsteps solve MODEL "question"`: prints segments as they are written, then the answer."""
    options = _of_run(options)
    options.compute.start()
    if options.out is not None:
        raise RecipeError(
            f"--out {options.out}: only for a file of questions, and {question[:60]!r} is no file. "
            "Check its name, or leave --out away to ask it as a question."
        )
    if not question.strip():
        raise DataError(
            'the question is empty. Type it in quotes: smallsteps solve MODEL "How many …?"'
        )
    if any("\ud800" <= letter <= "\udfff" for letter in question):
        raise DataError("the question is not UTF-8. Type it again, or write it into a JSONL file.")
    task = get_task(options.task) if options.task is not None else None
    from smallsteps.generation.solve import load_with_task, solve
    from smallsteps.report.terminal_segments import segment_printer

    loaded = load_with_task(
        options.model, task=task, device=options.compute.device, dtype=options.dtype
    )
    drive = loaded.student.drive
    by_segment = drive is not None and drive.path != "direct"
    task = _as_asked(loaded)
    show = segment_printer(open_console(), question if by_segment else None)
    predictions = solve(
        loaded.student,
        [Problem("question", question.strip())],
        task,
        loaded.settings().changed(**dict(options.writing)),
        options.decoding,
        on_segment=lambda _id, _sample, kind, text: show(kind, text),
    )
    for prediction in predictions:
        answer = f"answer: {prediction.answer}"
        if prediction.answer is None:
            answer = "no answer could be read off"
        ending = f"({prediction.tokens} tokens, stopped by {prediction.stopped})"
        say(f"{answer}   {ending}", style="bold")


def solve_file(source: str, columns: Mapping[str, str], options: SolveOptions) -> None:
    """`smallsteps solve MODEL FILE --out OUT`: writes one row for each question, in order.

    Answers written before an interruption are kept beside OUT and used again for the same
    questions, model and settings."""
    options = _of_run(options)
    options.compute.start()
    if not source.startswith(HUB):
        try:
            check_exists(Path(source))
        except DataError as error:
            raise DataError(f"{error} {AS_TEXT}") from None
    out, decoding = options.out, options.decoding
    if out is None:
        raise RecipeError("name the file for the predictions: --out predictions.jsonl")
    check_output(out, inputs=[source, options.model])
    task = _task_before_loading(source, columns, options)
    # before any weights are loaded
    problems = None if task is None else read_problems(source, task, columns, Terminal().say)
    from smallsteps.generation.solve import load_with_task, solve

    with Terminal() as reporter, kept_answers(out) as kept:
        reporter.say(f"loading {options.model}")
        loaded = load_with_task(
            options.model, task=task, device=options.compute.device, dtype=options.dtype
        )
        student, task = loaded.student, _as_asked(loaded)
        problems = problems or read_problems(source, task, columns, reporter.say)
        kept.begin(
            {
                "model": _digest_of(student),
                "drive": repr(student.drive),
                "dtype": options.dtype,
                "task": task.name,
                "decode": f"{options.decode()}, at most {decoding.max_new_tokens} tokens",
                "columns": dict(columns),
            }
        )
        rows = {}
        digests = {problem.id: question_digest(problem, task) for problem in problems}
        for problem in problems:
            if (row := kept.rows.get(digests[problem.id])) is not None:
                rows[problem.id] = row
        if rows:
            reporter.say(f"continuing: {len(rows)} of {len(problems)} questions are answered")
        elif kept.replaced:
            reporter.say(
                "the answers that an interrupted call left are of another job and are not used"
            )
        unanswered = [problem for problem in problems if problem.id not in rows]
        reporter.say(f"{counted(len(unanswered), 'question')} to answer")
        measures = options.compute.threads is None and options.writing.engine == "local"
        if measures and len(unanswered) >= MIN_TO_MEASURE:
            _choose_threads(student)
        settings = loaded.settings().changed(**dict(options.writing))
        for prediction in solve(student, unanswered, task, settings, decoding):
            row = rows[prediction.problem_id] = prediction_row(prediction)
            kept.add(digests[prediction.problem_id], row)
            reporter.advance("answering", len(rows), len(problems))
        write_rows(out, (rows[problem.id] for problem in problems))
        kept.discard()
    unparsed = sum(row["answer"] is None for row in rows.values())
    say(f"{counted(len(problems), 'answer')} in {out}; no answer could be read off {unparsed}")
    if early := early_endings(row["stopped"] for row in rows.values()):
        say(early)
    if all(problem.answer is not None for problem in problems) and task.assemble is None:
        from smallsteps.evaluation.grade import grade
        from smallsteps.experiment.seen_questions import seen_warning

        score = grade(
            [prediction_of(rows[problem.id], str(out)) for problem in problems],
            problems,
            task,
            dataset=Path(source).stem,
            decode=options.decode(),
            seed=decoding.seed,
        )
        if warning := seen_warning(options.model, problems):
            say(warning)
        say(score.signature())


def _of_run(options: SolveOptions) -> SolveOptions:
    """The options with the best student where the model is a run folder."""
    return replace(options, model=student_place(options.model, Terminal().say))


def early_endings(endings: Iterable[Stopped]) -> str:
    """What the user is told of chains that did not end by themselves; empty where all did.

    >>> early_endings(["end", "repetition", "repetition", "limit"])
    'ended early: 2 that repeated themselves, 1 at the limit of tokens or segments'
    """
    counts = Counter(endings)
    reasons: dict[Stopped, str] = {
        "repetition": "that repeated themselves",
        "limit": "at the limit of tokens or segments",
    }
    parts = [f"{counts[kind]} {reason}" for kind, reason in reasons.items() if counts[kind]]
    return f"ended early: {', '.join(parts)}" if parts else ""


def _task_before_loading(
    source: str, columns: Mapping[str, str], options: SolveOptions
) -> Task | None:
    """The task, where it is known before the weights are loaded."""
    if options.task is not None:
        return task_for(options.task, [source], columns, say=Terminal().say)
    from smallsteps.generation.solve import stored_task

    return stored_task(options.model)


def _as_asked(loaded: StudentWithTask) -> Task:
    """The task as its questions are put: a model that follows instructions and was never trained
    for the task is told to think step by step and how to close."""
    from smallsteps.students.dual import DualStudent
    from smallsteps.teaching.zero_shot import follows_instructions, zero_shot

    student = loaded.student
    if isinstance(student, DualStudent) or student.drive or not follows_instructions(student):
        return loaded.task
    return zero_shot(loaded.task)


def _choose_threads(student: Student | DualStudent) -> None:
    """Measures and sets the fastest number of CPU threads."""
    from smallsteps.cli.fastest import choose_threads
    from smallsteps.students.dual import DualStudent

    half = student.es if isinstance(student, DualStudent) else student
    choose_threads(None, lambda: half)


def _digest_of(student: Student | DualStudent) -> str:
    """A digest of the weights, of both halves of a pair."""
    from smallsteps.students.dual import DualStudent

    halves = (student.es, student.as_) if isinstance(student, DualStudent) else (student,)
    return " ".join(half.weights_digest() for half in halves)
