"""One static HTML file for a run: results, paired tests, curves, every chain beside its gold chain,
provenance.

The last stop of the pipeline. The page opens from disk: style, script and data are inside it, a
content policy in its head forbids the browser every request, and its script makes text nodes only.
All text is escaped, whoever wrote it. What it reads: `experiment.results`,
`experiment.page_files`.

To add a section: write `section-NAME.html`, add a line to SECTIONS and put what it shows into
`_facts`."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import smallsteps
from smallsteps.base_style import base_style
from smallsteps.disk import write_text
from smallsteps.evaluation.metrics import metric_name
from smallsteps.experiment.ownership import PAGE
from smallsteps.experiment.results import Results
from smallsteps.report import charts, figures, formats
from smallsteps.report.arm_texts import arm_mark, arm_text, mark_notes
from smallsteps.report.chains import chain_browser
from smallsteps.report.cost_section import cost_section
from smallsteps.report.further_sets import sets_section
from smallsteps.report.guided_section import guided_section
from smallsteps.report.page_tables import (
    budget_facts,
    comparison_rows,
    curve_table,
    data_facts,
    filled_costs,
    known_fields,
    method_facts,
    plain,
    result_groups,
    runs_table,
    settings_table,
)
from smallsteps.report.points_table import points_section, search_section
from smallsteps.report.run import ShownRun, read_run
from smallsteps.report.run_settings import times_compare
from smallsteps.report.summaries import arm_names, shared_rate
from smallsteps.report.sweeps import arm_colours, sweeps, swept
from smallsteps.report.tailored_section import tailored_section
from smallsteps.report.verdict import verdict
from smallsteps.report.why_section import why_section


class Section(NamedTuple):
    """One part of the page; left out where the fact of its name is empty."""

    name: str
    title: str
    short: str = ""
    """In the list of sections; empty: its title."""

    def titled(self, fact: Any) -> Section:
        """The section with the title that its fact names, if it does."""
        named = isinstance(fact, Mapping) and "title" in fact
        return self._replace(title=fact["title"]) if named else self


SECTIONS = (
    Section("cost", "What each arm brings, and at what cost", "Accuracy and cost"),
    Section("sweep", "Sweep"),
    Section("points", "On the test problems", "Test problems"),
    Section("results", "Results"),
    Section("tests", "Paired tests"),
    Section("sets", "Further test sets"),
    Section("rounds", "Rounds"),
    Section("guided", "Guidance"),
    Section("search", "Learning rates"),
    Section("curves", "Curves"),
    Section("why", "Why"),
    Section("chains", "Chains"),
    Section("further", "Further results"),
    Section("runs", "Runs"),
    Section("provenance", "Data and provenance"),
)


def write_page(run_folder: Path | str) -> Path:
    """Writes `report.html` into the run folder from the files in it; returns its path.

    Raises RunFolderError where the folder holds no run or a file is damaged."""
    return write_page_of(read_run(Path(run_folder)), Path(run_folder) / PAGE)


def write_page_of(run: ShownRun, path: Path) -> Path:
    """Writes the page of a run, or of joined runs, to `path`; returns it."""
    write_text(path, render(run))
    return path


def render(run: ShownRun) -> str:
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
        metric_name=metric_name,
        metric_title=formats.metric_title,
        plain=plain,
        mark=lambda arm: arm_mark(arm.name, arm.control),
    )
    facts = _facts(run)
    sections = [section.titled(facts[section.name]) for section in SECTIONS if facts[section.name]]
    script = _inline("page.js")
    return environment.get_template("page.html").render(
        **facts,
        sections=sections,
        style=Markup(base_style()) + _inline("page.css") + _inline("cost-figure.css"),
        script=script,
        script_digest=_digest(script),
    )


def _facts(run: ShownRun) -> dict[str, Any]:
    """What the templates show, by name; the fact with the name of a section is empty where the
    section has nothing to show."""
    results = run.results
    colours = arm_colours(results)
    metric = results.arms[0].metric if results.arms else "score"
    chains = chain_browser(run, colours)
    return {
        "title": results.title or run.folder.resolve().name,
        "about": results.about,
        "command": results.command,
        "best": results.best,
        "notice": run.notice,
        "verdict": verdict(results, times_compare=times_compare(run.members)),
        "version": smallsteps.__version__,
        "metric": metric,
        "swatches": {name: figures.swatch(colour) for name, colour in colours.items()},
        "cost": cost_section(results),
        "arm_texts": _arm_texts(results),
        "points": points_section(results),
        "search": search_section(results),
        "results": result_groups(results, colours),
        "extra_metrics": list(dict.fromkeys(name for arm in results.arms for name in arm.metrics)),
        "costs": filled_costs(results),
        "shared_rate": shared_rate(results),
        "mark_notes": mark_notes(results.arms),
        "endings": formats.ENDINGS,
        "paper_protocol": results.paper_protocol,
        "tests": comparison_rows(results, colours),
        "rounds": tailored_section(run),
        "guided": guided_section(run, colours),
        "why": why_section(results, colours),
        "sweep": sweeps(results),
        "best_loss": charts.best_loss(run, colours),
        "curves": charts.curves(run, colours, metric),
        "curve_legend": charts.legend(run, colours),
        "curve_table": curve_table(run.arms, metric),
        "curve_rows_of": sum(len(arm.curves) for arm in run.arms),
        "chains": chains,
        "chain_data": _embedded(chains) if chains else "",
        "problems_shown": len(chains["problems"]) if chains else 0,
        "problems_of": len(run.problems),
        "further_samples": sum(arm.further for arm in run.arms),
        "sets": sets_section(results),
        "further": method_facts(results),
        "data_facts": data_facts(results.data),
        "budget": results.budget,
        "budget_facts": budget_facts(results.budget),
        "runs": runs_table(run.members) if run.members else None,
        "settings": settings_table(run.members) if run.members else None,
        "provenance": {} if run.members else _provenance(results),
        "signatures": list(dict.fromkeys(arm.signature for arm in results.arms)),
    }


def _provenance(results: Results) -> dict[str, Any]:
    known = known_fields(results.provenance) if results.provenance else {}
    if results.provenance is not None:
        taken, commands = formats.duration(known.pop("seconds")), known.pop("commands")
        known["time taken"] = taken if commands == 1 else f"{taken}, by {commands} commands"
    return {"smallsteps": smallsteps.__version__, **known}


def _arm_texts(results: Results) -> dict[str, str]:
    """Arm, without the settings of a sweep and its run → what it is."""
    names = dict.fromkeys(swept(name)[0].split("@")[0] for name in arm_names(results))
    return {name: text for name in names if (text := arm_text(name))}


def _embedded(value: Any) -> Markup:
    """JSON that cannot leave its element: inside <script>, only `<` can end the element or open a
    comment."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text.encode("utf-8", "replace").decode("utf-8"))


def _inline(name: str) -> Markup:
    """One of the files of this package, unescaped."""
    return Markup(files("smallsteps.report").joinpath(name).read_text(encoding="utf-8"))


def _digest(script: str) -> str:
    """The digest by which the content policy allows the page's script."""
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"
