"""The plan of a recipe, as a dry run prints it: arms, models, data, sizes, and the calls that it
may send."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from smallsteps.errors import StudentError, counted
from smallsteps.experiment.cautions import few_chains, few_problems, few_updates, update_span
from smallsteps.experiment.data import RunData
from smallsteps.experiment.data_parts import data_task, feedback_names
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.method import methods_of, needs_chains
from smallsteps.experiment.method_modules import before_module
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.sweeps import limits
from smallsteps.experiment.update_estimates import estimated_updates
from smallsteps.students.settings import BUNDLED
from smallsteps.tasks.files import iter_problems
from smallsteps.training.settings import suited_update


def plan_lines(recipe: Recipe, data: RunData | None = None, command: str = "") -> list[str]:
    """What a run of the recipe does, with its sizes. `data`: what the run will read, as `rehearse`
    gives it; None: its files are not there. `command`: as typed, whose options warnings name;
    empty: Python."""
    scratch = recipe.student.scratch
    sizes = scratch.model_dump(exclude_unset=True) if scratch else None
    student = f"from scratch {sizes}" if sizes else recipe.student.name
    arms = methods_of(recipe)
    data_lines = _data_lines(recipe, arms, data, command)
    return [*_arm_lines(recipe, arms), *data_lines, f"student: {student}"]


def _arm_lines(recipe: Recipe, arms: Mapping[str, Sequence[str]]) -> list[str]:
    variants: dict[str, list[str]] = {}
    models = 0
    for name, names in arms.items():
        before = before_module(name)
        models += before.models(recipe, names)
        for arm in names:
            variants[arm] = before.variants(recipe, [arm])
    named = [variant for arm in recipe.arms for variant in variants[arm]]
    return [
        f"arms ({len(named)}): {', '.join(named)}",
        f"seeds: {', '.join(map(str, recipe.seeds))}",
        f"models trained: {len(recipe.seeds) * models}",
    ]


def _data_lines(
    recipe: Recipe, arms: Mapping[str, Sequence[str]], run_data: RunData | None, command: str
) -> list[str]:
    data, from_chains = recipe.data, needs_chains(recipe)
    chains = [data.chains] if isinstance(data.chains, str) else data.chains
    is_bundled = BUNDLED in chains
    lines = []
    further = [*data.also_test.values(), *feedback_names(data)]
    for path in [*chains, data.validation, data.test, *further]:
        if path is not None and path != BUNDLED:
            is_there = path.startswith("hub:") or Path(path).is_file()
            lines.append(f"data: {path}{'' if is_there else '  (missing: set data.chains=PATH)'}")
    if is_bundled and not from_chains:
        counts = f"{data.count} + {data.validation_count} + {data.test_count}"
        lines.append(f"data: {counts} bundled problems")
    if not is_bundled and all(Path(path).is_file() for path in chains):
        data_task(data, lines.append)
    if run_data is not None and from_chains:
        lines += chain_sizes(recipe, run_data, command)
    if not is_bundled and all(Path(path).is_file() for path in chains):
        questions = _count_questions(recipe, chains)
        others = [path for path in (data.validation, data.test) if path and Path(path).is_file()]
        in_all = questions + _count_questions(recipe, others)
        if not from_chains:
            lines.append(_question_line(recipe, questions, in_all))
            if run_data is not None:
                caution = few_chains(len(run_data.train), recipe.train, "question")
                lines += filter(None, [caution])
        for name, names in arms.items():
            lines += before_module(name).plan(recipe, names, questions, in_all)
    return lines


def _question_line(recipe: Recipe, questions: int, in_all: int) -> str:
    """How many questions the run has, where no arm learns from the chains of its files."""
    line = f"sizes: {counted(in_all, 'question')}"
    missing = [name for name in ("validation", "test") if getattr(recipe.data, name) is None]
    if not missing:
        return f"{line}, {questions:,} of them to train on"
    return f"{line}; those of {' and '.join(missing)} are taken from data.chains"


def _count_questions(recipe: Recipe, paths: Sequence[str]) -> int:
    task = data_task(recipe.data)
    return sum(1 for path in paths for _ in iter_problems(path, task, recipe.data.columns))


def chain_sizes(recipe: Recipe, data: RunData, command: str = "") -> list[str]:
    """Numbers of chains, and training tokens of an arm and of all, as far as the student is on this
    machine; what is small is warned of."""
    chains, validation, test = (
        len(part) for part in (data.train_chains, data.validation_chains, data.test)
    )
    sizes = [
        f"sizes: {counted(chains, 'chain')} to train on, {validation:,} for validation, "
        f"{counted(test, 'problem')} to test"
    ]
    bundled = recipe.data.chains == BUNDLED
    cautions = [
        few_chains(chains, recipe.train),
        few_problems(test, validation, data.task, command, bundled),
    ]
    sizes += filter(None, cautions)
    tokens = tokens_of_a_pass(recipe, data)
    budget, about = recipe.train.budget, ""
    sizes += _update_lines(recipe, data, tokens, command)
    if budget is None:
        about = "about "
        budget = round(recipe.train.passes * tokens)
        sizes.append(f"one pass of direct: about {tokens:,} training tokens (source + target)")
        if recipe.train.until == "passes":
            return [*sizes, "other arms read a chain several times: their passes cost more tokens"]
    return [*sizes, *_budget_lines(recipe, budget, about, chains)]


def _update_lines(recipe: Recipe, data: RunData, tokens: int, command: str) -> list[str]:
    """How many updates the arms make that learn from chains, and a warning where they are few.
    `tokens`: of one pass of `direct`."""
    train, passes, chains = recipe.train, recipe.train.passes, len(data.train_chains)
    if train.budget is not None and train.until != "passes":
        passes = train.budget / max(1, tokens)
    sequences = passes * chains
    size = min(chains, train.update_examples or suited_update(sequences))
    updates = estimated_updates(recipe, data, passes, size)
    if not updates:
        return []
    most = "at most about" if train.until == "plateau" else "about"
    line = f"updates: {most} {update_span(updates, size)}"
    warning = few_updates(updates, size, train, command, lambda: sequences)
    return [line, *filter(None, [warning])]


def _budget_lines(recipe: Recipe, budget: int, about: str, chains: int) -> list[str]:
    """What each arm may cost, and all of them. `budget`: of an arm that learns from all
    `chains`."""
    train, most, mean = recipe.train, budget, float(budget)
    lines, of_chains = [], ""
    swept = limits(recipe)
    if swept and train.budget is None:  # as many passes over fewer chains
        most = round(budget * max(swept) / chains)
        mean = budget * sum(swept) / len(swept) / chains
        of_chains = f" with {max(swept):,} chains"
    if train.until == "plateau":
        about = "at most "
        patience = counted(train.patience, "evaluation")
        lines.append(
            f"every arm trains until its plateau: {patience} in a row without a gain on validation"
        )
    arms, seeds, rates = _count_trained(recipe), len(recipe.seeds), len(train.rates)
    if rates > 1:
        tokens = round(arms * rates * train.search_share * mean)
        lines.append(
            f"learning rate: the best of {rates} on validation, searched for each arm at the first "
            f"seed; {100 * train.search_share:g} % of the budget each: about {tokens:,} tokens more"
        )
    in_all = round(arms * seeds * mean)
    lines.append(
        f"budget: {about}{most:,} training tokens an arm{of_chains}; "
        f"{counted(arms, 'trained arm')} x {counted(seeds, 'seed')}: {about}{in_all:,} in all. The "
        "run says how long that takes after its first updates."
    )
    return lines


def _count_trained(recipe: Recipe) -> int:
    """Arms that train a model, once for each value of a sweep."""
    count = 0
    for name, names in methods_of(recipe).items():
        before = before_module(name)
        trained = [arm for arm in names if before.models(recipe, [arm])]
        count += len(before.variants(recipe, trained))
    return count


def tokens_of_a_pass(recipe: Recipe, data: RunData) -> int:
    """Training tokens of one pass over whole chains; a quarter of the characters where no student
    is on this machine."""
    if not recipe.student.scratch:
        job = TrainingJob(
            recipe=recipe,
            task=data.task,
            seed=0,
            out=Path(),
            base_folder=recipe.student.name,
            texts=data.texts,
            validation_problems=[],
            budget=None,
        )
        with contextlib.suppress(StudentError):
            return job.pass_tokens(data.train_chains)
    return sum(map(len, data.texts)) // 4
