"""One static HTML file for a run: results, paired tests, curves, every chain beside its gold chain,
provenance.

The last stop of the pipeline. The page opens from disk: style, script and data are inside it, a
content policy in its head forbids the browser every request, and its script makes text nodes only.
All text is escaped, whoever wrote it.

**What a run folder holds.** Every file but results.json and every key but `arms` may be missing; the page leaves out
what would stand on it. Values of metrics lie between 0 and 100.

results.json
    `title`, `command` (as typed)
    `arms`: one row per arm and seed: `name`, `seed`, `metric`, `value`, `low`, `high` (95 % interval), `n`, `unparsed`,
        `train_tokens`, `passes`, `seconds` (training), `seconds_per_answer`, `stopped` {stop_sign, end, limit, empty:
        counts}, `metrics` {name: number or {value, low, high}} (further figures), `student` (relative to the run
        folder), `signature`, and `folder`, where curves, predictions and grades lie (relative too;
        `arms/<name>-seed<seed>` unless given)
    `comparisons`: paired tests, `difference` = `arm` minus `against`: `arm`, `against`, `seed`, `difference`, `low`,
        `high`, `p_bootstrap`, `p_mcnemar`, `right_only` (items that only `arm` has right), `wrong_only` (`against`)
    `pooled`: the same over all seeds; rows with `against` are paired tests, rows without are arms
    `paper_protocol`: rows `name`, `seed`, `metric`, `value`, ...
    `data`: names → counts
    `best`: `name`, `seed`, `folder` (none: nothing was trained), `validation` (its figure there), `chosen_on`
        (`validation`)
    `provenance`: `versions` {package: version}, `commit`, `seed`, `hardware`, `started`, `seconds`, ...
    `rounds` (tailored learning): a row for each student, the untrained one first: `arm`, `seed`, `round`, `exam` (right
        chains of all sampled, per cent), `unfinished` (likewise), `validation`, `test` (each with `_low`, `_high`),
        `mistakes` (questions with a finished wrong chain), `questions`, `repaired`, `broken` (questions, against the
        exam before), `calls` (replies asked for to make this student), `kept`, `teacher_tokens`, `train_tokens`
        (of the rationales trained on), `all_tokens` (positives and negatives of the contrast too), `unknown` (per cent
        of the chains that are neither right nor wrong), `usable` (per cent of items with both a right and a wrong rationale)
    `guided` (LM-guided chain of thought): a row an arm and seed: `arm`, `seed`, `turned` {"wrong->right": count, ...} against
        `standard`, `found` {where answers were read off: count}, `small_tokens`, `large_tokens`, `small_seconds`,
        `large_seconds` (means a question), `quality` {aspect: mean}, `correlation`
    any further key is shown as a table (a list of objects) or a list of facts (an object)
arms/<name>-seed<k>/curves.jsonl         rows `update`, `tokens`, `train_loss`, `validation_loss`, `metric`, `seconds`
                                         and, for the two students of a dual pair, `half` (ES, AS; `pair`: both
                                         together, measured as a pair)
arms/<name>-seed<k>/predictions.jsonl    records.Prediction
arms/<name>-seed<k>/grades.jsonl         records.Grade
arms/<name>-seed<k>/fates.jsonl          tailored learning: `question`, `mistaken` [for each exam], `rationales` [{round,
                                         mistake, text, dropped, tokens}] of each training question
arms/<name>-seed<k>/guided.jsonl         guided: `problem_id`, `rationale`, `answer`, `right`, `answer_without`,
                                         `right_without`, `quality` {aspect: value}
problems.jsonl                           records.Problem, the test problems in the order of the page
gold.jsonl                               `problem_id`, `segments` [{kind, text}], optional `tokens` [{text, entropy}],
                                         `cut_by` (the segmentation that cut them)
                                         (nats), whose texts joined are the chain

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
from smallsteps.records import Problem
from smallsteps.report import charts, figures, verdict
from smallsteps.report.chains import chain_browser
from smallsteps.report.run import Arm, Run, read_run

Row = Mapping[str, Any]

KNOWN = {
    "title",
    "command",
    "arms",
    "comparisons",
    "pooled",
    "paper_protocol",
    "rounds",
    "guided",
    "refined",
    "controls",
    "data",
    "provenance",
    "best",
}
"""Keys of results.json that have a place of their own on the page."""


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
        number=verdict.number,
        amount=verdict.amount,
        duration=verdict.duration,
        p_value=verdict.p_value,
        metric_name=verdict.metric_name,
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
    names = verdict.arm_names(results)
    colours = {name: i for i, name in enumerate(names)}
    metric = next((row.get("metric") for row in results.get("arms", ())), None)
    chains = chain_browser(run, colours)
    curve_rows = [(arm, row) for arm in run.arms for row in curve_figures(arm.curves)]
    return {
        "title": str(results.get("title") or run.folder.resolve().name),
        "command": results.get("command"),
        "best": results.get("best"),
        "verdict": verdict.verdict(results),
        "version": smallsteps.__version__,
        "metric": metric,
        "swatches": {name: figures.swatch(colour) for name, colour in colours.items()},
        "results": _results(results, colours),
        "extra_metrics": list(
            dict.fromkeys(
                name for row in results.get("arms", ()) for name in row.get("metrics") or {}
            )
        ),
        "endings": verdict.ENDINGS,
        "paper_protocol": results.get("paper_protocol") or [],
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
        "further": {
            key: value
            for key, value in results.items()
            if key not in KNOWN and value not in (None, [], {}, "")
        },
        "data": results.get("data") or {},
        "provenance": {"smallsteps": smallsteps.__version__, **(results.get("provenance") or {})},
        "signatures": list(
            dict.fromkeys(
                row["signature"] for row in results.get("arms", ()) if row.get("signature")
            )
        ),
    }


def _results(results: Row, colours: Mapping[str, int]) -> list[dict[str, Any]]:
    """One group per arm: its row over all seeds, the rows of several seeds, bars on one common
    scale."""
    groups = []
    ends = [
        v for row in [*results.get("arms", ()), *verdict.summaries(results)] for v in _ends(row)
    ]
    domain = (min(ends), max(ends)) if ends else (0.0, 100.0)
    if domain[0] == domain[1]:
        domain = (domain[0] - 1, domain[1] + 1)
    for row in verdict.summaries(results):
        own = [r for r in results["arms"] if str(r["name"]) == row["name"]]
        seeds = own if len(own) > 1 else []
        groups.append(
            {
                "row": _drawn(row, domain, colours),
                "seeds": [_drawn(r, domain, colours) for r in seeds],
                "domain": domain,
            }
        )
    return groups


def _drawn(row: Row, domain: tuple[float, float], colours: Mapping[str, int]) -> dict[str, Any]:
    colour = colours[str(row["name"])]
    bar = Markup("")
    if ends := _ends(row):
        low, high, value = ends
        bar = figures.interval_bar(value, low, high, domain, colour=colour)
    stopped = row.get("stopped") or {}
    metrics = {
        k: m if isinstance(m, Mapping) else {"value": m}
        for k, m in (row.get("metrics") or {}).items()
    }
    return {
        **row,
        "bar": bar,
        "endings_bar": figures.endings_bar(stopped),
        "stopped": stopped,
        "metrics": metrics,
    }


def _ends(row: Row) -> list[float]:
    """(low, high, value) of a row; where it has no interval the value stands for both ends."""
    value = row.get("value")
    if not verdict.is_number(value):
        return []
    low, high = row.get("low"), row.get("high")
    ends = (end if verdict.is_number(end) else value for end in (low, high))
    return [float(number) for number in (*ends, value) if number is not None]


def _tests(results: Row, colours: Mapping[str, int]) -> list[dict[str, Any]]:
    """The paired tests, those over all seeds first, each with a bar around nought."""
    pooled = [row for row in results.get("pooled", ()) if "against" in row]
    rows = [{**row, "seed": None, "pooled": True} for row in pooled]
    rows += [{"seed": None, **row, "pooled": False} for row in results.get("comparisons", ())]
    reach = max(
        (
            abs(row[k])
            for row in rows
            for k in ("difference", "low", "high")
            if verdict.is_number(row.get(k))
        ),
        default=1.0,
    )
    for row in rows:
        row["excludes_zero"] = verdict.excludes_zero(row)
        row["bar"] = Markup("")
        if row["excludes_zero"] is not None and verdict.is_number(row.get("difference")):
            colour = colours.get(str(row.get("arm")), 0)
            domain = (-(reach or 1.0), reach or 1.0)
            row["bar"] = figures.interval_bar(
                row["difference"], row["low"], row["high"], domain, colour=colour, zero=True
            )
    return rows


def _rounds(run: Run) -> dict[str, Any]:
    """Tailored learning: the rounds, and for each arm at its first seed the fates of its
    questions."""
    rows = run.results.get("rounds") or []
    if not rows:
        return {}
    first = {arm.name: arm for arm in reversed(run.arms) if arm.fates}
    fates = [_fates(first[name]) for name in verdict.arm_names(run.results) if name in first]
    return {"rows": rows, "fates": fates, "equal": (run.results.get("budget") or {}).get("equal")}


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
    rows = run.results.get("guided") or []
    if not rows:
        return {}
    problems = {problem.id: problem for problem in run.problems}
    aspects = [
        name
        for name in ASPECTS
        if any((row.get("quality") or {}).get(name) is not None for row in rows)
    ]
    first = {arm.name: arm for arm in reversed(run.arms) if arm.guided}
    shown = []
    for name in verdict.arm_names(run.results):
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
    refined = run.results.get("refined") or []
    return {
        "rows": rows,
        "aspects": aspects,
        "shown": shown,
        "refined": refined,
        "watched": _watched(refined),
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


def _watched(refined: Sequence[Row]) -> list[tuple[str, str]]:
    """The gauges, and what part each term of the reward has in the variance of the advantages."""
    shares = dict.fromkeys(
        name for row in refined for name in row["last"] if name.startswith("share_")
    )
    named = [(name, f"{name.removeprefix('share_')}, share") for name in shares]
    return [
        (name, label)
        for name, label in (*WATCHED, *named)
        if any(name in row["last"] for row in refined)
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
                (row["update"], row[key]) for row in arm.refined if verdict.is_number(row.get(key))
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
