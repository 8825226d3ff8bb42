"""Every arm's examples, built and checked before the first arm trains: nothing is refused after
hours.

    stage check/    left-out.json: odd chains, which every arm leaves out; plans.json: what each arm trains on

All arms leave out the same chains, so that they still differ in one thing. Segments of `ent`,
`ent*` and `loss` are not known before a student has scored the chains; their arms are checked as if
every sub-sentence were a segment, which finds every place where a cut could fall."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from smallsteps.disk import write_json
from smallsteps.errors import StudentError, TrainingError, counted
from smallsteps.experiment.arm import Part, Workshop
from smallsteps.experiment.data import data_task, read_parts
from smallsteps.experiment.forecast import Forecast
from smallsteps.experiment.recipe import Recipe
from smallsteps.methods.as_es.method import as_es_parts, datasets, segment
from smallsteps.methods.as_es.stages import Stages, names_of
from smallsteps.methods.as_es.variants import Variant, variants
from smallsteps.methods.baselines.method import direct_part, direct_tokens
from smallsteps.records import Chain
from smallsteps.segments.strategies import get_strategy, needs_trained_scorer
from smallsteps.tasks.files import read_problems
from smallsteps.training.odd import Odd, odd_chains, refuse_odd
from smallsteps.training.preflight import odd_lines, preflight

FINEST = "inter"
"""Every sub-sentence is a segment."""


def leave_out_odd(stages: Stages) -> None:
    """Names the odd chains of all arms in `stages.left_out`. Raises TrainingError where they are
    too many."""
    folder = stages.run.stage("check", lambda place: _find_odd(stages, place), fixed=True)
    rows = json.loads((folder / "left-out.json").read_text(encoding="utf-8"))
    odd = [Odd(**row["odd"]) for row in rows]
    stages.left_out = frozenset(name for row in rows for name in row["names"])
    stages.odd = len(odd)
    if odd:
        arms = "" if len(stages.recipe.arms) == 1 else ", in every arm"
        for place, line in enumerate(odd_lines(odd)):
            stages.reporter.say(f"{line}{arms}" if place == 0 else line)


def _find_odd(stages: Stages, folder: Path) -> None:
    material = stages.material
    found: dict[str, tuple[Odd, Chain, bool]] = {}
    for variant, workshop in _checked_variants(stages, folder):
        chains = [*stages.train_chains(variant), *stages.validation_chains(variant)]
        parts = _parts(workshop, variant, chains, [])
        by_id = {chain.rationale.id: chain for chain in chains}
        for part in parts:
            settings = workshop.settings(part.share)
            for odd in odd_chains(part.student, part.train, stages.task, settings):
                found.setdefault(odd.chain, (odd, by_id[odd.chain], variant.spec.whole_report))
    every = [odd for odd, _, _ in found.values()]
    settings = stages.workshop(variants(stages.recipe)[0], folder).settings()
    refuse_odd(every, len(material.train) + len(material.validation), settings)
    rows = []
    for odd, chain, whole in found.values():
        own, report = names_of(chain)
        names = [own, report] if whole or chain.problem.group else [own]
        rows.append({"odd": asdict(odd), "names": names})
    write_json(folder / "left-out.json", rows)


def check_every_arm(stages: Stages) -> None:
    """Builds what each arm trains on, checks it, and plans the run. Raises TrainingError that names
    the arm."""
    folder = stages.run.stage("plan", lambda place: _plan(stages, place))
    plans = json.loads((folder / "plans.json").read_text(encoding="utf-8"))
    tokens: dict[str, int] = {}
    for seed in stages.recipe.seeds:
        for variant in variants(stages.recipe, seed):
            for own in [variant, *_scorers(stages, variant)]:
                notes = _notes(stages, own, variant)
                for note in notes:
                    for half, count in plans[own.name]["tokens"].items():
                        label = f"{own.label}{note}"
                        tokens[f"{label}, {half} half" if half else label] = count
    total = sum(tokens.values())
    models = len(tokens)
    stages.reporter.say(
        f"checked before training: {counted(len(plans), 'arm')}, {counted(models, 'model')}, about {total:,} training "
        "tokens in all"
    )
    spread = _spread(plans)
    if stages.recipe.train.fair == "tokens" and spread > MOST_SPREAD:
        stages.reporter.say(
            f"arms differ by {100 * spread:.0f} % in training tokens, because updates are whole: raise the budget, or "
            f"lower train.update_examples (now {stages.recipe.train.update_examples})"
        )
    measured = max(1, len(stages.material.validation[: stages.recipe.train.validation_chains]))
    tests = len(stages.material.test) + sum(len(rows) for _, rows in stages.material.also.values())
    stages.forecast = Forecast(tokens, stages.recipe.train.evaluations, tests / measured)


MOST_SPREAD = 0.05
"""Share by which the tokens of arms may differ without a word."""


def _spread(plans: Mapping[str, Any]) -> float:
    """By how much the dearest arm trains on more tokens than the cheapest, as a share of the
    cheapest."""
    totals = [sum(plan["tokens"].values()) for plan in plans.values()]
    return max(totals) / max(1, min(totals)) - 1


def _plan(stages: Stages, folder: Path) -> None:
    plans: dict[str, Any] = {}
    for variant, workshop in _checked_variants(stages, folder):
        train, validation = stages.train_chains(variant), stages.validation_chains(variant)
        tokens = {}
        for part in _parts(workshop, variant, train, validation):
            settings = workshop.settings(part.share)
            try:
                report = preflight(
                    part.student,
                    part.train,
                    part.validation,
                    settings,
                    stages.task,
                    workshop.seed,
                ).report
            except TrainingError as error:
                raise TrainingError(f"{part.label(variant.name)}: {error}") from None
            tokens[part.kind or ""] = report.planned_tokens
        plans[variant.name] = {"tokens": tokens}
    write_json(folder / "plans.json", plans)


def _checked_variants(stages: Stages, folder: Path) -> Iterator[tuple[Variant, Workshop]]:
    """Each arm at the first seed, and the direct students that score for others, with what they
    work with."""
    everything = variants(stages.recipe)
    named = {v.name: v for v in everything}
    for variant in everything:
        for scorer in _scorers(stages, variant):
            named.setdefault(scorer.name, scorer)
    for place, variant in enumerate(named.values()):
        stages.reporter.advance(
            "checking the examples of each arm", place, len(named), variant.name
        )
        yield variant, stages.workshop(variant, folder)
    stages.reporter.advance("checking the examples of each arm", len(named), len(named))


def _scorers(stages: Stages, variant: Variant) -> list[Variant]:
    return [variant.direct()] if needs_trained_scorer(variant.spec.strategy) else []


def _notes(stages: Stages, own: Variant, variant: Variant) -> Sequence[str]:
    """What the labels of a model's trainings end in: with `folds` a scorer is trained once a
    fold."""
    folds = stages.recipe.segmentation.folds
    if own is variant or folds == 1:
        return [""]
    return [f", without fold {fold}" for fold in range(folds)]


def _parts(
    workshop: Workshop, variant: Variant, train: Sequence[Chain], validation: Sequence[Chain]
) -> list[Part]:
    """What the arm trains; segments that need scores are replaced by the finest ones."""
    strategy = variant.spec.strategy
    if strategy is None:
        return [direct_part(workshop, train, validation)]
    known = not get_strategy(strategy).needs_student
    cut = [
        segment(workshop, chains, strategy if known else FINEST, variant.beta, None)
        for chains in (train, validation)
    ]
    examples, held_out = (
        datasets(workshop, variant.spec, chains, segments)
        for chains, segments in zip((train, validation), cut, strict=True)
    )
    return as_es_parts(workshop, variant.spec, examples, held_out)


def known_beforehand(recipe: Recipe) -> list[str]:
    """What a plan can say without training: chains, and tokens of an arm and of all, as far as data
    and student are at hand."""
    arms, seeds = len(variants(recipe)), len(recipe.seeds)
    sizes: list[str] = []
    budget = recipe.train.budget
    about = ""
    task = data_task(recipe.data)
    train, validation, test, _ = read_parts(recipe.data, task)
    problems = len(test) if recipe.data.test is None else len(read_problems(recipe.data.test, task))
    sizes.append(
        f"sizes: {counted(len(train), 'chain')} to train on, {len(validation):,} for validation, "
        f"{counted(problems, 'problem')} to test"
    )
    if budget is None:
        tokens = _pass_of_direct(recipe, train)
        about = "about "
        budget = round(recipe.train.passes * tokens)
        sizes.append(f"one pass of direct: about {tokens:,} training tokens (source + target)")
        if recipe.train.fair == "passes":
            return [*sizes, "other arms read a chain several times: their passes cost more tokens"]
    return [
        *sizes,
        f"budget: {about}{budget:,} training tokens an arm; {counted(arms, 'arm')} x {counted(seeds, 'seed')}: "
        f"{about}{arms * seeds * budget:,} in all. The run says how long that takes after its first updates.",
    ]


def _pass_of_direct(recipe: Recipe, chains: Sequence[Chain]) -> int:
    """Training tokens of one pass over whole chains; a quarter of the characters where no student
    is at hand."""
    task = data_task(recipe.data)
    texts = [text for c in chains for text in (task.render(c.problem), c.rationale.text)]
    if not recipe.student.scratch:
        workshop = Workshop(recipe, task, 0, Path(), recipe.student.name, texts, [], None)
        with contextlib.suppress(StudentError):
            return direct_tokens(workshop, chains)
    return sum(map(len, texts)) // 4
