"""`smallsteps guide`: a small student writes rationales, a large reader answers with them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from smallsteps.cli.cpu_threads import Compute
from smallsteps.cli.environment import access
from smallsteps.cli.guided_answers import Gated, ReaderAnswers
from smallsteps.cli.input_file import InputFile
from smallsteps.cli.progress import Terminal, say
from smallsteps.errors import RecipeError, counted
from smallsteps.experiment.seen_questions import seen_warning
from smallsteps.generation.budget import Budget
from smallsteps.generation.generator import Decoding
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.solve import stored_task
from smallsteps.methods.guided.config import ReaderSettings
from smallsteps.methods.guided.gate import ASPECT, Gate, answers_through_gate, choose
from smallsteps.methods.guided.method import (
    guided_answers,
    unguided_answers,
    write_rationales,
)
from smallsteps.methods.guided.open_reader import open_reader
from smallsteps.methods.guided.rationales import WrittenRationale
from smallsteps.methods.guided.reader import (
    Reader,
    ReaderQuestion,
    check_task,
    nothing_read,
)
from smallsteps.outputs import check_output
from smallsteps.quality.open_scorer import open_scorer
from smallsteps.quality.settings import LEXICAL, JudgeSettings
from smallsteps.records import Problem
from smallsteps.students.loading import load_student
from smallsteps.students.pretrained import ModelFiles
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.tasks.fields import in_line
from smallsteps.tasks.files import at, read_problems, write_rows

DEFAULT_TASK = "hotpotqa"
"""The task of a guide that has none stored."""


@dataclass(frozen=True)
class Guide:
    """The student that writes rationales."""

    name: str
    """Folder or hub name."""
    max_new_tokens: int
    """Maximum length of a rationale."""

    def rationales(
        self, problems: Sequence[Problem], task: Task, device: str
    ) -> list[WrittenRationale]:
        """One rationale per problem, in order."""
        sources = [task.render(problem) for problem in problems]
        student = load_student(self.name, device=device)
        student = prepare(student, task, path="direct", texts=sources)
        decoding = Decoding(max_new_tokens=self.max_new_tokens)
        return [samples[0] for samples in write_rationales(student, problems, task, decoding)]


@dataclass(frozen=True)
class GateOptions:
    """Which rationales the reader is shown."""

    least: float
    """Least factuality, 0..1."""
    judge: JudgeSettings
    """Measures factuality."""


@dataclass(frozen=True)
class GuideOptions:
    """How a file is answered."""

    compare: bool = False
    """Also ask the reader without the rationales."""
    gate: GateOptions | None = None
    """None: every rationale is shown."""
    dry_run: bool = False
    """Print the forecast and stop."""


def guide_file(
    source: InputFile,
    out: Path,
    guide: Guide,
    settings: ReaderSettings,
    options: GuideOptions,
    compute: Compute,
) -> None:
    """Writes one row per question, in order, and prints scores where gold answers are known.

    Raises TeacherError where no reply of the reader could be read."""
    prompts = [settings.guided, settings.standard]
    check_output(out, inputs=[source.path, guide.name, settings.name, *prompts])
    check_output(settings.store_path, "--store", inputs=[source.path, out, *prompts])
    ModelFiles.locate(guide.name, "guide")
    compute.start()
    with Terminal() as reporter:
        task = get_task(source.task_name)
        problems = _read_problems(source, task, reporter)
        with closing(ReplyStore(settings.store_path)) as store:
            budget = Budget(store, str(out.resolve()), settings)
            reader = open_reader(
                settings, task, budget, access(), say=reporter.say, device=compute.device
            ).reader
            gate = _open_gate(options.gate, problems, budget, compute.device, reporter)
            without_rationale = [ReaderQuestion(problem) for problem in problems]
            questions = [ReaderQuestion(problem, "") for problem in problems]
            questions += without_rationale if options.compare else []
            reporter.say(f"reader, without the rationales: {reader.forecast(questions)}")
            if gate is not None and (forecast := gate.forecast(problems)):
                reporter.say(f"judge, without the rationales: {forecast}")
            if options.dry_run:
                return
            rationales = guide.rationales(problems, task, compute.device)
            reporter.say(f"{guide.name} wrote {counted(len(rationales), 'rationale')}")
            gated = None if gate is None else _judge(gate, problems, rationales, reporter)
            reporter.say(f"asking {settings.name}")
            answers = _ask(task, problems, rationales, gated, reader, options.compare)
            spent = budget.spent
    if not any(outcome.answer for outcome in answers.final):
        raise nothing_read(reader, len(problems))
    write_rows(out, answers.rows())
    cost = f"{counted(spent.calls, 'call')}, {counted(spent.tokens, 'token')}"
    say(f"{counted(len(problems), 'answer')} in {out}; {cost}")
    scores = list(answers.score_lines())
    if scores and (warning := seen_warning(guide.name, problems)):
        say(warning)
    for line in (*answers.gate_lines(), *scores):
        say(line)


def open_gate_options(
    least: float | None, judge: JudgeSettings, reader: ReaderSettings
) -> GateOptions | None:
    """The gate of the options; None: there is none. A chat model that judges shares the reader's
    server, store and pace where it names no server of its own.

    Raises RecipeError where a judge is named and has nothing to judge."""
    if least is None:
        if judge.model_fields_set:  # what was typed, a default too
            raise RecipeError(
                f"--judge {judge.name}: has no effect without --min-factuality. Type for example "
                "--min-factuality 0.5."
            )
        return None
    if judge.is_chat:
        judge = judge.changed(
            base_url=judge.base_url or reader.base_url,
            store=reader.store,
            concurrency=reader.concurrency,
            timeout=reader.timeout,
            attempts=reader.attempts,
            patience=reader.patience,
        )
    return GateOptions(least, judge)


def _open_gate(
    options: GateOptions | None,
    problems: Sequence[Problem],
    budget: Budget,
    device: str,
    reporter: Terminal,
) -> Gate | None:
    if options is None:
        return None
    scorer = open_scorer(options.judge, LEXICAL, budget, access(), device, reporter.say)
    scorer.aspects = (ASPECT,)
    gate = Gate(options.least, scorer)
    gate.check(problems)
    return gate


def _judge(
    gate: Gate,
    problems: Sequence[Problem],
    rationales: Sequence[WrittenRationale],
    reporter: Terminal,
) -> Gated:
    total = len(problems)
    factualities = gate.factualities(
        problems, rationales, lambda done: reporter.advance("judging", done, total)
    )
    return Gated(gate.least, factualities, [gate.passes(value) for value in factualities])


def _ask(
    task: Task,
    problems: Sequence[Problem],
    rationales: Sequence[WrittenRationale],
    gated: Gated | None,
    reader: Reader,
    compare: bool,
) -> ReaderAnswers:
    """Asks the reader; with `compare` everything both ways, else each question once."""
    if gated is not None and not compare:
        final = answers_through_gate(problems, rationales, gated.passed, reader)
        return ReaderAnswers(task, problems, rationales, final, None, None, gated)
    guided = guided_answers(problems, rationales, reader)
    alone = unguided_answers(problems, reader) if compare else None
    final = guided
    if gated is not None and alone is not None:
        final = choose(guided, alone, gated.passed, rationales)
    return ReaderAnswers(task, problems, rationales, final, guided, alone, gated)


def task_name_for(guide: str) -> str:
    """The task that the guide was trained for, where it is stored with it; else hotpotqa."""
    stored = stored_task(guide)
    if stored is None:
        return DEFAULT_TASK
    Terminal().say(f"task {stored.name}, as stored with {guide}")
    return stored.name


def _read_problems(source: InputFile, task: Task, reporter: Terminal) -> list[Problem]:
    """The problems of the file. Raises DataError on a row that the task cannot use, before any
    model is loaded."""
    check_task(task)
    problems = read_problems(source.path, task, source.columns, reporter.say)
    for problem in problems:
        with at(f"{source.path} ({in_line(problem.id)})"):
            task.render(problem)  # raises where the context is missing
            task.golds(problem)  # raises where a further answer is no text
    return problems
