"""Model cards with the figures of a run: what each student reached, how it was taught, on what, at
what cost.

Figures come last, so the cards are written once `results.json` is there, each whole or not at all;
the same call writes the same cards again. No card holds a path of the user's machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from smallsteps.errors import RunFolderError
from smallsteps.experiment.outcome import place_of
from smallsteps.experiment.ownership import RECIPE, RESULTS
from smallsteps.experiment.recipe import applicable_content
from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.results import ArmResult, Results, read_results
from smallsteps.experiment.score_results import FurtherResult
from smallsteps.faults import names_faults
from smallsteps.publishing.run_of_student import example_question, run_folder_of
from smallsteps.report.arm_texts import arm_text
from smallsteps.report.formats import metric_title, number
from smallsteps.report.summaries import baseline, main_comparisons, summaries
from smallsteps.students.card import (
    HUB_NAME,
    CardContent,
    Origin,
    Section,
    fenced,
    origin_of,
    plain,
    table,
    task_of,
    write_card,
)
from smallsteps.students.loading import outline
from smallsteps.students.settings import BUNDLED

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

FROM_SCRATCH = Origin(None, None, "Trained from scratch: there is no base model.")
GUIDED = "guided"
"""The method whose students write rationales for another model, which answers."""
LEFT_OUT = ("title", "about")
"""Keys of the recipe that the card shows elsewhere."""
_PATH = re.compile(
    r"[/~.]|[A-Za-z]:[\\/]|[^\s/]+(/[^\s/]+){2,}$"
    r"|.*\.(jsonl?|csv|tsv|parquet|arrow|txt|gz|zst|gguf)$"
)


@names_faults
def write_cards(run_folder: Path | str) -> list[Path]:
    """Writes the card of every student of a finished run; returns their paths. Folders that were
    deleted are left out. Raises RunFolderError where the folder is no finished run."""
    run_folder = Path(run_folder)
    results = read_results(run_folder)
    arms: dict[Path, ArmResult] = {}
    for arm in results.arms:
        if arm.student is not None and (run_folder / arm.student).is_dir():
            arms.setdefault(run_folder / arm.student, arm)
    recipe = read_recipe(run_folder) if arms else {}
    paths = []
    for folder, arm in arms.items():
        student, content = outline(folder), run_content(results, recipe, arm)
        content = replace(content, example=example_question(run_folder, task_of(student)))
        paths.append(write_card(folder, student, origin_in(recipe), content))
    return paths


def card_of_run(folder: Path) -> tuple[Origin, CardContent] | None:
    """Origin and content of the card of a student within a run; None: `folder` lies in none. Only
    the student that an arm reports has figures: those of an arm are not those of its other
    checkpoints."""
    folder = folder.resolve()
    run_folder = run_folder_of(folder)
    if run_folder is None:
        return None
    recipe = read_recipe(run_folder)
    results = read_results(run_folder) if (run_folder / RESULTS).is_file() else None
    if results is not None:
        for arm in results.arms:
            if arm.student is not None and (run_folder / arm.student).resolve() == folder:
                return origin_in(recipe), run_content(results, recipe, arm)
    return origin_in(recipe), checkpoint_content(results, recipe, folder, run_folder)


def checkpoint_content(
    results: Results | None, recipe: Mapping[str, Any], folder: Path, run_folder: Path
) -> CardContent:
    """What the card of a student says that no arm of its run reports: where it comes from, and no
    figures. `results`: None where the run has not finished."""
    place = folder.relative_to(run_folder.resolve()).as_posix()
    arms = [] if results is None else results.arms
    arm = next((arm for arm in arms if place.startswith(_place_below_arms(arm))), None)
    title = " ".join(str(recipe.get("title") or "A run of smallsteps").split())
    why = "its run has not finished" if results is None else "validation did not choose it"
    whose = "" if arm is None else f" of the arm `{arm.name}`{_explained(arm)}, seed {arm.seed},"
    what = (
        f"It is a checkpoint{whose} of an experiment that compares ways of teaching: "
        f"{plain(title)} (`{place}` in its run folder). There are no figures of it here: {why}."
    )
    sections: list[Section] = [("Data", _data(results))] if results is not None else []
    return CardContent(
        title=title if arm is None else f"{title}: {arm.name}, another checkpoint",
        what=[what],
        sections=[*sections, ("How it was taught", _taught(recipe, arm))],
        tags=[] if arm is None else [arm.method],
        datasets=hub_datasets(recipe),
    )


def _place_below_arms(arm: ArmResult) -> str:
    """How the places of an arm's own students begin, in the run folder."""
    return f"arms/{place_of(arm.name, arm.seed)}/"


def _explained(arm: ArmResult) -> str:
    text = arm_text(arm.name)
    return f" ({text})" if text else ""


def read_recipe(run_folder: Path) -> dict[str, Any]:
    """The recipe of a run as it was written down. Raises RunFolderError where it is damaged."""
    path = run_folder / RECIPE
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        content = None
    if not isinstance(content, dict):
        raise RunFolderError(f"{path}: damaged. Type the run's command again, it writes it anew.")
    return content


def origin_in(recipe: Mapping[str, Any]) -> Origin:
    """Where the student of a recipe came from."""
    student = recipe.get("student") or {}
    if student.get("scratch"):
        return FROM_SCRATCH
    return origin_of(str(student.get("name", BUNDLED)))


def run_content(results: Results, recipe: Mapping[str, Any], arm: ArmResult) -> CardContent:
    """What the card of an arm's student says of its run."""
    title = f"{' '.join(results.title.split())}: {arm.name}"
    sections: list[Section] = [
        ("Results", _results(results, arm)),
        ("Data", _data(results)),
        ("How it was taught", _taught(recipe, arm)),
        ("Cost", [_cost(results, arm)]),
    ]
    return CardContent(
        title=title,
        what=_what(results, arm),
        sections=sections,
        tags=[arm.method, *(["lora"] if (recipe.get("student") or {}).get("lora") else [])],
        datasets=hub_datasets(recipe),
        figures=eval_results(results, arm, recipe),
    )


def hub_datasets(recipe: Mapping[str, Any]) -> list[str]:
    """The data sets of a recipe that lie on the Hub."""
    chains = (recipe.get("data") or {}).get("chains") or []
    sources = [chains] if isinstance(chains, str) else list(chains)
    names = [
        source.split(":")[1].partition("@")[0] for source in sources if source.startswith("hub:")
    ]
    return [name for name in names if HUB_NAME.fullmatch(name)]


def eval_results(results: Results, arm: ArmResult, recipe: Mapping[str, Any]) -> list[EvalResult]:
    """The arm's figures on the test problems, as the Hub's model index has them. The interval and
    the counts are arguments of the metric."""
    from huggingface_hub import EvalResult

    hub = hub_datasets(recipe)
    source = " ".join(results.data.source.split())

    def row(
        dataset: str, name: str, metric: str, figure: Figure, counts: dict[str, int]
    ) -> EvalResult:
        return EvalResult(
            task_type="text-generation",
            task_name="Reasoning" if arm.method != GUIDED else "Reasoning, with a frozen reader",
            dataset_type=dataset,
            dataset_name=name,
            dataset_split="test",
            metric_type=metric,
            metric_value=round(figure.value, 2),
            metric_name=(
                f"{metric_title(metric)}, 95 % interval {_interval(figure)}, n = {counts['n']}"
            ),
            metric_args={
                "confidence": 0.95,
                "low": round(figure.low, 2),
                "high": round(figure.high, 2),
                **counts,
            },
        )

    main, counts = hub[0] if hub else arm.task, {"n": arm.n, "unparsed": arm.unparsed}
    return [
        *(
            row(main, f"{arm.task} ({source})", metric, figure, counts)
            for metric, figure in {arm.metric: arm.figure, **arm.metrics}.items()
        ),
        *(
            row(test.task, test.test_set, test.metric, figure, {"n": test.n})
            for test, figure in further_figures(results, arm)
        ),
    ]


def further_figures(results: Results, arm: ArmResult) -> list[tuple[FurtherResult, Figure]]:
    """The arm's figures on further test sets, beside those of all its seeds."""
    return [
        (test, arm.further[test.test_set])
        for test in results.further_tests
        if test.name == arm.name and test.test_set in arm.further
    ]


def _interval(figure: Any) -> str:
    return f"{number(figure.low)} to {number(figure.high)}"


def _what(results: Results, arm: ArmResult) -> list[str]:
    lines = [
        f"It is the arm `{arm.name}`{_explained(arm)} of an experiment that compares ways of "
        "teaching: "
        f"{plain(results.title)}. Seed {arm.seed}."
    ]
    if arm.method == GUIDED:
        lines.append(
            "It writes **rationales**, with which a large frozen model (the reader) answers. The "
            "figures below are the reader's with these rationales, not this model's alone."
        )
    best = results.best
    if best is not None and best.folder == arm.student:
        lines.append("Of all arms of the experiment, validation chose this one.")
    return lines


def _results(results: Results, arm: ArmResult) -> list[str]:
    figures = {arm.metric: arm.figure, **arm.metrics}
    rows = [
        [f"{metric_title(name)}, test", number(figure.value), _interval(figure), f"{arm.n:,}"]
        for name, figure in figures.items()
    ]
    rows += [
        [
            f"{metric_title(test.metric)}, {plain(test.test_set)}",
            number(figure.value),
            _interval(figure),
            f"{test.n:,}",
        ]
        for test, figure in further_figures(results, arm)
    ]
    if arm.validation is not None:
        rows.append([f"{metric_title(arm.metric)}, validation", number(arm.validation), "–", "–"])
    mine = table(["figure", "value", "95 % interval", "problems"], rows)
    base = baseline(results)
    others = [
        [
            summary.name,
            number(summary.value),
            f"{number(summary.low)} to {number(summary.high)}",
            str(len(summary.seeds)),
            "–" if summary.train_tokens is None else f"{summary.train_tokens:,.0f}",
            _against(results, summary.name, base),
        ]
        for summary in summaries(results)
    ]
    head = ["arm", metric_title(arm.metric), "95 % interval", "seeds", "tokens trained on"]
    head.append(f"difference from {base}, 95 % interval" if base else "difference")
    return [
        mine,
        f"No answer could be read off {arm.unparsed} of {arm.n:,}; these count as wrong.",
        fenced(arm.signature),
        "All arms of the experiment, on the same test problems:",
        table(head, others),
    ]


def _against(results: Results, name: str, base: str | None) -> str:
    """The paired difference of an arm from the baseline; an en dash where it was not tested."""
    tests = main_comparisons(results)
    test = next((test for test in tests if (test.arm, test.against) == (name, base)), None)
    if test is None:
        return "–"
    low, high = (number(value, sign=True) for value in (test.low, test.high))
    return f"{number(test.difference, sign=True)} ({low} to {high})"


def _data(results: Results) -> list[str]:
    data = results.data
    rows = [
        ["source", data.source],
        ["task", data.task],
        ["trained on", f"{data.train:,}"],
        ["validation", f"{data.validation:,}"],
        ["test", f"{data.test:,}"],
        ["questions in two parts", str(data.overlap)],
    ]
    if data.wrong:
        rows.append(["left out: wrong answer", f"{data.wrong:,}"])
    if data.odd:
        rows.append(["left out: cannot be trained on", f"{data.odd:,}"])
    return [table(["data", "count"], rows)]


def _taught(recipe: Mapping[str, Any], arm: ArmResult | None) -> list[str]:
    shown = {key: value for key, value in applicable_content(recipe).items() if key not in LEFT_OUT}
    text = yaml.safe_dump(public(shown), sort_keys=False, allow_unicode=True, width=100)
    lines = []
    if arm is not None and arm.learning_rate is not None:
        lines.append(f"Learning rate {arm.learning_rate:g}.")
    return [
        *lines,
        "The recipe of the experiment, in which files stand with their names alone:",
        fenced(text, "yaml"),
    ]


def public(value: Any) -> Any:
    """Content of a recipe without what is empty, and without the folders of the user's machine.

    >>> public({"chains": "/home/me/a.jsonl", "test": None, "name": "owner/model"})
    {'chains': 'a.jsonl', 'name': 'owner/model'}
    >>> public("runs/first/arms/direct-seed0/training/candidate-40")
    'candidate-40'
    """
    if isinstance(value, Mapping):
        return {key: public(item) for key, item in value.items() if item not in (None, {}, [])}
    if isinstance(value, list):
        return [public(item) for item in value]
    if isinstance(value, str) and not value.startswith("hub:") and _PATH.match(value):
        return re.split(r"[/\\]", value.rstrip("/\\"))[-1]
    return value


def _cost(results: Results, arm: ArmResult) -> str:
    counts: list[tuple[str, float | None, str]] = [
        ("tokens trained on (source + target)", arm.train_tokens, ",.0f"),
        ("tokens of the scorer of the segmentation", arm.scorer_tokens, ",.0f"),
        ("tokens of earlier trainings", arm.other_tokens, ",.0f"),
        ("tokens that students wrote for it", arm.generated_tokens, ",.0f"),
        ("passes over its examples", arm.passes, ",.2f"),
        ("seconds of training", arm.seconds, ",.0f"),
        ("replies of a teacher", arm.teacher_calls, ",.0f"),
        ("tokens of these replies", arm.teacher_tokens, ",.0f"),
        ("tokens of an answer", arm.tokens_per_answer, ",.1f"),
        ("seconds of an answer", arm.seconds_per_answer, ",.3f"),
    ]
    rows = [[what, f"{value:{form}}"] for what, value, form in counts if value is not None]
    if results.provenance is not None:
        rows.append(["hardware", results.provenance.hardware])
        rows += [
            [name, version]
            for name, version in results.provenance.versions.items()
            if version and name in ("smallsteps", "torch", "transformers")
        ]
    return table(["cost", "value"], rows)
