"""One static HTML file for a run: results, paired tests, curves, every chain beside its gold chain,
provenance.

The last stop of the pipeline. The page opens from disk: style, script and data are inside it, a
content policy in its head forbids the browser every request, and its script makes text nodes only.
All text is escaped, whoever wrote it. What the page reads is listed in `run.py`.

To add a section: write `section-NAME.html`, add a line to SECTIONS and put what it shows into
`_facts`."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import smallsteps
from smallsteps.disk import write_text
from smallsteps.experiment.results import (
    ArmResult,
    ResultRecord,
    Results,
)
from smallsteps.methods.guided.results import GuidedResults, RefinementResult
from smallsteps.methods.tailored.results import TailoredResults
from smallsteps.records import Problem
from smallsteps.report import charts, figures, formats
from smallsteps.report.chains import chain_browser
from smallsteps.report.run import Arm, Run, read_run
from smallsteps.report.summaries import ArmSummary, arm_names, excludes_zero, summaries
from smallsteps.report.verdict import verdict

Row = Mapping[str, Any]


class Section(NamedTuple):
    """One part of the page: it stands there if the fact of its name is not empty."""

    name: str
    title: str


MOST_LINEAGES = 20
"""Questions of an arm whose rationales are shown."""
MOST_GUIDED = 12
"""Questions of an arm whose rationales and answers are shown."""
MOST_CONTEXT = 2_000
"""Characters of a context that are shown."""
GUIDES = ("untrained", "distilled", "aspects", "task", "both", "raft", "dpo")
"""Arms whose rationales are shown."""
ASPECTS = (
    "factuality",
    "relevance",
    "logicality",
    "consistency",
    "coherence",
    "fluency",
    "naturalness",
    "readability",
)
MOST_FIGURES = 100
"""Rows of one arm and seed in the table behind the curves."""
MOST_MEANS = 25
"""Points of a curve of rewards, which differ from step to step by chance."""
SECTIONS = (
    Section("results", "Results"),
    Section("tests", "Paired tests"),
    Section("sweep", "Sweep"),
    Section("rounds", "Rounds"),
    Section("guided", "Guidance"),
    Section("curves", "Curves"),
    Section("chains", "Chains"),
    Section("further", "Further results"),
    Section("provenance", "Data and provenance"),
)


def write_page(run_folder: Path) -> Path:
    """Write `report.html` into the run folder from what lies in it; the path of the page.

    Raises RunFolderError where results.json is missing or a file is damaged. The page appears whole
    or not at all."""
    run_folder = Path(run_folder)
    page = render(read_run(run_folder))
    path = run_folder / "report.html"
    write_text(path, page)
    return path


def render(run: Run) -> str:
    """The page of a run as one string of HTML."""
    environment = Environment(
        loader=PackageLoader("smallsteps", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=formats.number,
        amount=formats.amount,
        duration=formats.duration,
        p_value=formats.p_value,
        metric_name=formats.metric_name,
        plain=plain,
    )
    facts = _facts(run)
    sections = [section for section in SECTIONS if facts[section.name]]
    script = _inline("page.js")
    return environment.get_template("page.html").render(
        **facts,
        sections=sections,
        style=_inline("page.css"),
        script=script,
        script_digest=_digest(script),
    )


def _facts(run: Run) -> dict[str, Any]:
    """What the templates show, by name; each section's own fact is empty where it has nothing to
    say."""
    results = run.results
    colours = {name: place for place, name in enumerate(arm_names(results))}
    metric = results.arms[0].metric if results.arms else "score"
    chains = chain_browser(run, colours)
    curve_rows = [(arm, row) for arm in run.arms for row in curve_figures(arm.curves)]
    return {
        "title": results.title or run.folder.resolve().name,
        "about": results.about,
        "command": results.command,
        "best": results.best,
        "verdict": verdict(results),
        "version": smallsteps.__version__,
        "metric": metric,
        "swatches": {name: figures.swatch(colour) for name, colour in colours.items()},
        "results": _results(results, colours),
        "extra_metrics": list(dict.fromkeys(name for arm in results.arms for name in arm.metrics)),
        "costs": _costs(results),
        "endings": formats.ENDINGS,
        "paper_protocol": results.paper_protocol,
        "tests": _tests(results, colours),
        "rounds": _rounds(run),
        "guided": _guided(run, colours),
        "sweep": charts.sweeps(results),
        "best_loss": charts.best_loss(run, colours),
        "curves": charts.curves(run, colours, metric),
        "curve_legend": charts.legend(run, colours),
        "curve_rows": curve_rows,
        "curve_rows_of": sum(len(arm.curves) for arm in run.arms),
        "chains": chains,
        "chain_data": _embedded(chains) if chains else "",
        "problems_shown": len(chains["problems"]) if chains else 0,
        "problems_of": len(run.problems),
        "further_samples": sum(arm.further for arm in run.arms),
        "further": _further(results),
        "data": _known(results.data),
        "budget": _known(results.budget),
        "provenance": {
            "smallsteps": smallsteps.__version__,
            **(_known(results.provenance) if results.provenance else {}),
        },
        "signatures": list(dict.fromkeys(arm.signature for arm in results.arms)),
    }


def _known(record: ResultRecord) -> dict[str, Any]:
    """The fields of a record that are not null."""
    return {name: value for name, value in record.model_dump().items() if value is not None}


def _further(results: Results) -> dict[str, Any]:
    """Tables and facts that have no section of their own: further test sets, and what a method
    reports that the page has no section for."""
    shown: dict[str, Any] = {}
    if results.further_tests:
        shown["further test sets"] = [
            {
                "arm": score.name,
                "task": score.task,
                "metric": score.metric,
                "value": score.value,
                "low": score.low,
                "high": score.high,
                "n": score.n,
                "unparsed": score.unparsed,
                "seeds": score.seeds,
            }
            for score in results.further_tests
        ]
    for method, part in results.methods.items():
        if not isinstance(part, TailoredResults | GuidedResults):
            shown |= {f"{method}: {name}": value for name, value in _known(part).items()}
    return shown


def _costs(results: Results) -> dict[str, bool]:
    """Which columns of cost any arm fills; the others are left out."""
    names = ("train_tokens", "passes", "seconds", "teacher_tokens")
    return {name: any(getattr(arm, name) is not None for arm in results.arms) for name in names}


def _results(results: Results, colours: Mapping[str, int]) -> list[dict[str, Any]]:
    """One group per arm: its row over all seeds, the rows of several seeds, bars on one common
    scale."""
    arms = summaries(results)
    rows: list[ArmSummary | ArmResult] = [*results.arms, *arms]
    low = min((min(row.low, row.value) for row in rows), default=0.0)
    high = max((max(row.high, row.value) for row in rows), default=100.0)
    domain = (low, high) if low < high else (low - 1, high + 1)

    def drawn(row: ArmSummary | ArmResult) -> dict[str, Any]:
        bar = figures.interval_bar(row.value, row.low, row.high, domain, colour=colours[row.name])
        return {"arm": row, "bar": bar, "endings_bar": figures.endings_bar(row.stopped)}

    return [
        {
            "row": drawn(arm),
            "seeds": [drawn(single) for single in arm.seeds] if len(arm.seeds) > 1 else [],
            "domain": domain,
        }
        for arm in arms
    ]


def _tests(results: Results, colours: Mapping[str, int]) -> list[dict[str, Any]]:
    """The paired tests, those over all seeds first, each with a bar around zero."""
    tests = [*results.pooled_comparisons, *results.comparisons]
    reach = max((abs(v) for t in tests for v in (t.difference, t.low, t.high)), default=0.0) or 1.0
    rows = []
    for test in tests:
        bar = figures.interval_bar(
            test.difference,
            test.low,
            test.high,
            (-reach, reach),
            colour=colours[test.arm],
            zero=True,
        )
        rows.append({"test": test, "bar": bar, "excludes_zero": excludes_zero(test)})
    return rows


def _rounds(run: Run) -> dict[str, Any]:
    """Tailored learning: the rounds, and for each arm at its first seed the fates of its
    questions."""
    tailored = run.results.methods.get("tailored")
    if not isinstance(tailored, TailoredResults):
        return {}
    first = {arm.name: arm for arm in reversed(run.arms) if arm.fates}
    fates = [_fates(first[name]) for name in arm_names(run.results) if name in first]
    return {"rows": tailored.rounds, "fates": fates, "equal": tailored.equal}


def _fates(arm: Arm) -> dict[str, Any]:
    """How often each course of mistakes over the exams was taken, and some questions with what the
    teacher wrote."""
    patterns = Counter(tuple(row["mistaken"]) for row in arm.fates)
    asked = [row for row in arm.fates if any(one.get("mistake") for one in row["rationales"])]
    # some of every course, so that what did not help is seen beside what did
    courses: dict[tuple[bool, ...], list[Row]] = {}
    for row in asked:
        courses.setdefault(tuple(row["mistaken"]), []).append(row)
    each = max(1, MOST_LINEAGES // max(1, len(courses)))
    shown = [row for own in courses.values() for row in own[:each]][:MOST_LINEAGES]
    return {
        "name": arm.name,
        "seed": arm.seed,
        "patterns": patterns.most_common(),
        "shown": shown,
        "with_feedback": len(asked),
    }


def _guided(run: Run, colours: Mapping[str, int]) -> dict[str, Any]:
    """LM-guided chain of thought: what each arm turned and cost, and what the reader was given, for
    some questions of each arm that a student wrote for."""
    guided = run.results.methods.get("guided")
    if not isinstance(guided, GuidedResults):
        return {}
    problems = {problem.id: problem for problem in run.problems}
    aspects = [
        name for name in ASPECTS if any(name in (row.quality or {}) for row in guided.guidance)
    ]
    first = {arm.name: arm for arm in reversed(run.arms) if arm.guided}
    shown = []
    for name in arm_names(run.results):
        if name not in GUIDES or name not in first:
            continue
        arm = first[name]
        # some of every course, so that what did not help is seen beside what did
        courses: dict[tuple[bool, bool], list[Row]] = {}
        for row in arm.guided:
            courses.setdefault((row["right_without"], row["right"]), []).append(row)
        picked = [
            row for own in courses.values() for row in own[: max(1, MOST_GUIDED // len(courses))]
        ]
        items = [
            {**row, **_asked(problems[row["problem_id"]]), "quality": _aspects(row, aspects)}
            for row in picked
        ]
        shown.append({"name": arm.name, "seed": arm.seed, "count": len(arm.guided), "items": items})
    return {
        "rows": guided.guidance,
        "aspects": aspects,
        "shown": shown,
        "refined": guided.refinement,
        "judge": guided.judge,
        "reader": guided.reader,
        "yields": guided.yields,
        "watched": _watched(guided.refinement),
        "charts": _refinements(run, colours),
    }


WATCHED = (
    ("reward", "reward"),
    ("no_signal", "groups without signal"),
    ("kl", "KL a token"),
    ("entropy", "entropy a token"),
    ("reward_leak", "says the answer"),
    ("reward_copy", "longest copy"),
    ("reward_words", "words"),
)
"""Gauges of a refinement -> how the page names them."""


def _watched(refined: Sequence[RefinementResult]) -> list[tuple[str, str]]:
    """The gauges, and what part each term of the reward has in the variance of the advantages."""
    shares = dict.fromkeys(
        name for row in refined for name in row.last if name.startswith("share_")
    )
    named = [(name, f"{name.removeprefix('share_')}, share") for name in shares]
    return [
        (name, label)
        for name, label in (*WATCHED, *named)
        if any(name in row.last for row in refined)
    ]


def _refinements(run: Run, colours: Mapping[str, int]) -> list[Markup]:
    """Reward, KL and lack of signal over the steps of reinforcement learning."""
    drawn = []
    block = max(1, max((len(arm.refined) for arm in run.arms), default=0) // MOST_MEANS)
    means = f", means of {block} steps" if block > 1 else ""
    for key, label in WATCHED[:3]:
        series = []
        for arm in run.arms:
            points = [
                (row["update"], row[key]) for row in arm.refined if formats.is_number(row.get(key))
            ]
            if points:
                series.append(
                    figures.Series(
                        f"{arm.name}, seed {arm.seed}",
                        colours[arm.name],
                        charts.means(points, block),
                    )
                )
        drawn.append(figures.line_chart(series, "steps", label[0].upper() + label[1:] + means))
    return [chart for chart in drawn if chart]


def _asked(problem: Problem) -> dict[str, Any]:
    context = " ".join(" ".join(own) for _, own in problem.context)
    return {"question": problem.question, "gold": problem.answer, "context": context[:MOST_CONTEXT]}


def _aspects(row: Row, names: Sequence[str]) -> list[tuple[str, Any]]:
    return [(name, (row.get("quality") or {}).get(name)) for name in names]


def curve_figures(rows: Sequence[Row]) -> list[Row]:
    """The rows of a curve for the table behind it, at most `MOST_FIGURES`: evaluations first, then
    updates between them."""
    evaluations = [
        n
        for n, row in enumerate(rows)
        if row.get("validation_loss") is not None or row.get("metric") is not None
    ]
    room = max(0, MOST_FIGURES - len(evaluations))
    picked = {*_spread(evaluations, MOST_FIGURES), *_spread(range(len(rows)), room)}
    return [rows[n] for n in sorted(picked)] if len(rows) > MOST_FIGURES else list(rows)


def _spread(places: Sequence[int], count: int) -> list[int]:
    """At most `count` of the places, evenly spread, the last one among them."""
    if len(places) <= count:
        return list(places)
    return [places[(n + 1) * len(places) // count - 1] for n in range(count)]


def plain(value: Any) -> str:
    """A value of results.json that has no place of its own, as text: 0.25 → "0.25", lists and
    objects on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(v)}" for key, v in value.items())
    if isinstance(value, str) or not isinstance(value, Iterable):
        return "–" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return ", ".join(plain(v) for v in value)


def _embedded(value: Any) -> Markup:
    """JSON that no text in it can leave: inside <script>, only `<` could end the element or open a
    comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text.encode("utf-8", "replace").decode("utf-8"))


def _inline(name: str) -> Markup:
    """One of our own files, as it stands."""
    return Markup(files("smallsteps.report").joinpath(name).read_text(encoding="utf-8"))


def _digest(script: str) -> str:
    """The digest by which the page's content policy knows its one script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode(
        "ascii"
    )
