"""What the terminal shows of a run: tables of results and rounds, and chains coloured by ES and AS,
at once or while they are written.

Colour never stands alone: each segment starts with its tag, [ES] or [AS], so that a log file or a
colour-blind reader loses nothing. Generated text cannot move the cursor or change colours: its
control characters are shown, not obeyed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smallsteps.evaluation.metrics import metric_name
from smallsteps.evaluation.overlap import judged_kind
from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.results import ArmResult, Results
from smallsteps.experiment.run_list import BestArm, ListedRun
from smallsteps.experiment.score_results import ComparisonResult, Point
from smallsteps.experiment.so_far import RunSoFar
from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.records import Kind, Segment, Stopped
from smallsteps.report.arm_texts import arm_mark, mark_notes
from smallsteps.report.formats import amount, duration, number, p_value
from smallsteps.report.points_table import PointRow, point_rows, point_titles
from smallsteps.report.run_settings import differing_settings, labels
from smallsteps.report.summaries import (
    ArmSummary,
    baseline,
    excludes_zero,
    main_comparisons,
    shared_rate,
    summaries,
)
from smallsteps.report.visible import visible

MOST_ARMS = 6
"""Arms of a run that a list of runs names."""
STYLES: dict[Kind | None, str] = {"ES": "cyan", "AS": "yellow", None: ""}
SHORT_ENDINGS: dict[Stopped, str] = {
    "stop_sign": "stop",
    "end": "end",
    "limit": "limit",
    "empty": "empty",
    "repetition": "loop",
}


def tables(results: Results) -> list[Table]:
    """All tables of a run: those of its methods, the results, and those at three points."""
    tailored = results.methods.get("tailored")
    rounds = [rounds_table(tailored)] if isinstance(tailored, TailoredResults) else []
    points = [points_table(results)] if results.points else []
    return [*rounds, results_table(results), *points]


def results_table(results: Results) -> Table:
    """The results of a run: one row for each arm, and with several seeds a grey row for each below
    it.

    The column "against" holds the paired difference from the baseline with its interval and
    McNemar's p (the bootstrap's where there is none); * where the interval excludes zero. Columns
    that no arm fills are left out."""
    base = baseline(results)
    arms = summaries(results)
    trained = any(arm.train_tokens is not None for arm in arms)
    rate = shared_rate(results)
    rates = any(arm.learning_rate is not None for arm in arms) and rate is None
    table = _table(results.title or "Results")
    table.caption_justify = "left"
    table.add_column("arm", overflow="fold", min_width=8)
    metric = metric_name(arms[0].metric) if arms else "score"
    table.add_column(Text(f"{metric}\n95 %"), justify="right")
    if base is not None:
        table.add_column(Text(f"against\n{visible(base)}".replace("@", "\n@")), justify="right")
    table.add_column("un-\nparsed", justify="right")
    table.add_column("chains\nended")
    if trained:
        header = "tokens\npasses\nrate" if rates else "tokens\npasses"
        table.add_column(header, justify="right")
    table.add_column("per\nanswer", justify="right")

    def add_row(
        name: Text, row: ArmSummary | ArmResult, tests: Iterable[ComparisonResult], style: str = ""
    ) -> None:
        cells = [f"{number(row.value)}\n{number(row.low)}–{number(row.high)}"]
        if base is not None:
            cells.append(_difference(tests, row.name, base))
        cells += [f"{row.unparsed}\nof {row.n}", _endings(row)]
        if trained:
            passes = "" if row.passes is None else f"\n{number(row.passes)} ×"
            chosen = f"\n{row.learning_rate:g}" if rates and row.learning_rate else ""
            cells.append(amount(row.train_tokens) + passes + chosen)
        cells.append(duration(row.seconds_per_answer))
        table.add_row(name, *map(Text, cells), style=style)

    for arm in arms:
        table.add_section()
        name = visible(arm.name).replace("@", "\n@")  # the run of an arm, where runs are joined
        mark = arm_mark(arm.name, arm.control)
        header_cell = Text.assemble((name, "bold"), f"\n{mark}" if mark else "")
        add_row(header_cell, arm, main_comparisons(results))
        for single in arm.seeds if len(arm.seeds) > 1 else ():
            tests = [test for test in results.comparisons if test.seed == single.seed]
            add_row(Text(f"  seed {single.seed}"), single, tests, style="bright_black")
    notes = ["* the 95 % interval of the paired difference excludes zero"] if base else []
    notes += mark_notes(arms)
    notes += [f"learning rate of all trained arms: {rate:g}"] if rate is not None else []
    table.caption = Text("\n".join(notes)) if notes else None
    return table


def points_table(results: Results) -> Table:
    """Arms that were trained until their plateau, at each point: the figure with its interval, the
    paired difference from the baseline with its interval, and the tokens of the checkpoint."""
    titles = point_titles(results)
    rows = point_rows(results)
    tested = any(row.against for row in rows)
    table = _table("On the test problems")
    table.add_column("arm", overflow="fold", min_width=8)
    for title in titles.values():
        name, _, cost = title.partition(", ")
        table.add_column(Text("\n".join(filter(None, (name, cost)))), justify="right")
    table.add_column("per\nanswer", justify="right")
    for row in rows:
        table.add_section()
        cells = [_point(row, point) for point in titles]
        mark = arm_mark(row.name, row.control)
        table.add_row(
            Text.assemble((visible(row.name), "bold"), f"\n{mark}" if mark else ""),
            *map(Text, cells),
            Text(duration(row.seconds_per_answer)),
        )
    notes = []
    if tested:
        against = list(dict.fromkeys(row.against for row in rows if row.against))
        names = visible(against[0]) if len(against) == 1 else "the arm of as many chains"
        notes.append(f"below: difference from {names}; * its 95 % interval excludes zero")
    if any(row.unreached for row in rows):
        notes.append("no plateau: training came to its cap before")
    notes += mark_notes(rows)
    table.caption = Text("\n".join(notes)) if notes else None
    table.caption_justify = "left"
    return table


def _point(row: PointRow, point: Point) -> str:
    """The lines of one cell; empty where the arm has no figure at this point."""
    cell = row.cells.get(point)
    if cell is None:
        return ""
    lines = [f"{number(cell.value)} ({number(cell.low)}–{number(cell.high)})"]
    if cell.against is not None:
        test = cell.against
        star = "*" if excludes_zero(test) else ""
        lines.append(f"{number(test.difference, sign=True)}{star}")
        lines.append(f"{number(test.low, sign=True)} to {number(test.high, sign=True)}")
    tokens = "not trained" if cell.tokens is None else f"{amount(cell.tokens)} tokens"
    lines.append(tokens)
    if point == "plateau" and row.unreached:
        lines.append("no plateau")
    return "\n".join(lines)


def settings_table(runs: Sequence[RunSoFar]) -> Table | None:
    """The settings in which joined runs differ; None: they are the same, or it is one run."""
    rows = differing_settings(runs)
    if not rows:
        return None
    table = _table("Settings that differ")
    table.add_column("setting", overflow="fold")
    for name in labels([run.folder for run in runs]):
        table.add_column(Text(visible(name)), overflow="fold")
    for row in rows:
        table.add_row(Text(row.key), *(Text(visible(value)) for value in row.values))
    return table


def runs_table(runs: Sequence[ListedRun], folder: Path) -> Table:
    """The runs below a folder: where they lie and what they are called, how far they are, their
    arms and seeds, the best figure with its interval, and when they last wrote something."""
    table = _table("")
    table.title = None
    table.add_column("run\ntitle", overflow="fold", min_width=12)
    table.add_column("state")
    table.add_column("arms\nseeds", overflow="fold")
    table.add_column("best\n95 %", overflow="fold")
    table.add_column("when\n(UTC)")
    for run in runs:
        table.add_section()
        path = Path(run.folder)
        name = path.name if path == folder else path.relative_to(folder).as_posix()
        seeds = f"seeds {', '.join(map(str, run.seeds))}" if len(run.seeds) > 1 else ""
        cells = [run.state, _few(run.arms, seeds), _best(run.best), _moment(run.when)]
        about = run.why or run.title
        table.add_row(
            Text.assemble((visible(name), "bold"), "\n" if about else "", visible(about)),
            *(Text(visible(cell)) for cell in cells),
            style="" if run.state == "finished" else "yellow",
        )
    return table


def _few(arms: Sequence[str], seeds: str) -> str:
    shown = [*arms[:MOST_ARMS], *([f"and {len(arms) - MOST_ARMS} more"] * (len(arms) > MOST_ARMS))]
    return "\n".join(filter(None, [", ".join(shown), seeds]))


def _best(best: BestArm | None) -> str:
    if best is None:
        return "–"
    return f"{best.name}\n{number(best.value)} ({number(best.low)}–{number(best.high)})"


def _moment(when: str) -> str:
    """Day and minute of a moment, on two lines."""
    day, _, time = when.partition("T")
    return f"{day}\n{time[:5]}"


def rounds_table(tailored: TailoredResults) -> Table:
    """The rounds of tailored learning: for each arm and seed a row for each student, the untrained
    one first."""
    table = _table("Rounds")
    table.add_column("arm", overflow="fold", min_width=8)
    for header in (
        "round",
        "exam\n%",
        "validation\n%",
        "test\n%",
        "mis-\ntakes",
        "repaired\nbroken",
        "taught\ntokens",
    ):
        table.add_column(header, justify="right")
    for row in tailored.rounds:
        first = row.round == 0
        if first:
            table.add_section()
        taught = f"{row.kept} of {row.calls}\n{amount(row.teacher_tokens)}" if row.calls else "–"
        table.add_row(
            Text(visible(f"{row.arm}\nseed {row.seed}") if first else "", style="bold"),
            str(row.round),
            number(row.exam),
            _interval(row.validation),
            _interval(row.test),
            str(row.mistakes),
            "–" if first else f"{row.repaired}\n{row.broken}",
            taught,
        )
    return table


def _table(title: str) -> Table:
    return Table(
        title=Text(visible(title), style="bold"),
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )


def _interval(figure: Figure) -> str:
    return f"{number(figure.value)}\n{number(figure.low)}–{number(figure.high)}"


def _endings(row: ArmSummary | ArmResult) -> str:
    """How the chains ended, one kind a line."""
    lines = [
        f"{short} {row.stopped[kind]}"
        for kind, short in SHORT_ENDINGS.items()
        if row.stopped.get(kind)
    ]
    return "\n".join(lines) or "–"


def _difference(tests: Iterable[ComparisonResult], arm: str, base: str) -> str:
    """The paired difference of an arm from the baseline; an en dash where it was not tested."""
    test = next((test for test in tests if (test.arm, test.against) == (arm, base)), None)
    if test is None:
        return "–"
    p = p_value(test.p_bootstrap if test.p_mcnemar is None else test.p_mcnemar)
    return (
        f"{number(test.difference, sign=True)}{'*' if excludes_zero(test) else ''}\n"
        f"{number(test.low, sign=True)} to {number(test.high, sign=True)}\n"
        f"p {p if p.startswith('<') else f'= {p}'}"
    )


def coloured(segments: Iterable[Segment | tuple[Kind | None, str]]) -> Text:
    """A chain as one line of text, each segment after its tag, ES cyan and AS yellow; a whole chain
    (None) has no tag.

    >>> coloured([("ES", "Ann has 3 boxes, "), ("AS", "so 12 pens.")]).plain
    '[ES] Ann has 3 boxes, [AS] so 12 pens.'
    """
    text = Text()
    for segment in segments:
        kind, written = (segment.kind, segment.text) if isinstance(segment, Segment) else segment
        if text.plain and not text.plain[-1].isspace():
            text.append(" ")
        text.append_text(_tagged(kind, written))
    text.rstrip()
    return text


def segment_printer(
    console: Console, question: str | None = None
) -> Callable[[Kind | None, str], None]:
    """A function for `solve` that prints each segment on its own line as soon as it is written.

    With `question`, a segment whose kind the student did not state is judged by its words and
    tagged [ES?] or [AS?]."""

    def show(kind: Kind | None, text: str) -> None:
        judged = kind is None and question is not None and bool(text.strip())
        if judged and question is not None:
            kind = judged_kind(question, text)
        console.print(_tagged(kind, text.strip(), judged), soft_wrap=True)

    return show


def _tagged(kind: Kind | None, text: str, judged: bool = False) -> Text:
    line = Text()
    if kind is not None:
        line.append(f"[{kind}?]" if judged else f"[{kind}]", style=f"bold {STYLES[kind]}").append(
            " "
        )
    return line.append(visible(text), style=STYLES[kind])
