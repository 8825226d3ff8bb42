"""The plan of a recipe, as `--dry-run` prints it: arms, models, data and the calls that it may
send."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smallsteps.experiment.recipe import (
    BUNDLED,
    REFINED_ARMS,
    GuidedSettings,
    Recipe,
    TailoredSettings,
    guided_parts,
    guided_students,
)


def plan_lines(recipe: Recipe) -> list[str]:
    """What a run of the recipe does, with sizes where its files are on this machine."""
    scratch = recipe.student.scratch
    student = f"from scratch {scratch}" if scratch else recipe.student.name
    return [*_arm_lines(recipe), *_data_lines(recipe), f"student: {student}"]


def _arm_lines(recipe: Recipe) -> list[str]:
    from smallsteps.methods.as_es.variants import variants

    reader = ""
    if recipe.guided is not None:
        arms = recipe.arms
        models = len(guided_students(arms))
        reader = " and the reader" if recipe.guided.reader.name == "trained" else ""
    elif recipe.tailored is not None:
        arms = recipe.arms
        models = recipe.tailored.rounds * len(arms)
    else:
        arms = [variant.name for variant in variants(recipe)]
        models = sum(2 if "-dual-" in arm else 1 for arm in arms)
    return [
        f"arms ({len(arms)}): {', '.join(arms)}",
        f"seeds: {', '.join(map(str, recipe.seeds))}",
        f"models trained: {len(recipe.seeds) * models}{reader}",
    ]


def _data_lines(recipe: Recipe) -> list[str]:
    from smallsteps.experiment.data import data_task

    data = recipe.data
    chains = [data.chains] if isinstance(data.chains, str) else data.chains
    compares_segmentations = recipe.tailored is None and recipe.guided is None
    is_bundled = BUNDLED in chains
    lines = []
    for path in [*chains, data.validation, data.test, *data.also_test.values()]:
        if path is not None and path != BUNDLED:
            is_there = path.startswith("hub:") or Path(path).is_file()
            lines.append(f"data: {path}{'' if is_there else '  (missing: set data.chains=PATH)'}")
    if is_bundled and not compares_segmentations:
        counts = f"{data.count} + {data.validation_count} + {data.test_count}"
        lines.append(f"data: {counts} bundled problems")
    if not is_bundled and all(Path(path).is_file() for path in chains):
        data_task(data, lines.append)
    needed = list(chains)
    if compares_segmentations:
        needed += [path for path in (data.validation, data.test) if path]
    is_complete = all(path == BUNDLED or Path(path).is_file() for path in needed)
    if is_complete and (compares_segmentations or not is_bundled):
        lines += _size_lines(recipe, chains)
    return lines


def _size_lines(recipe: Recipe, chains: Sequence[str]) -> list[str]:
    if recipe.guided is not None:
        further = [path for path in (recipe.data.validation, recipe.data.test) if path]
        questions = _count_questions(
            recipe, [*chains, *(path for path in further if Path(path).is_file())]
        )
        return [f"sizes: {questions:,} questions", _reader_calls(recipe, recipe.guided, questions)]
    if recipe.tailored is not None:
        return _teacher_calls(recipe.tailored, _count_questions(recipe, chains))
    from smallsteps.methods.as_es.check import known_beforehand

    return known_beforehand(recipe)


def _count_questions(recipe: Recipe, paths: Sequence[str]) -> int:
    from smallsteps.experiment.data import data_task
    from smallsteps.tasks.files import read_problems

    task = data_task(recipe.data)
    return sum(len(read_problems(path, task, recipe.data.columns)) for path in paths)


def _teacher_calls(tailored: TailoredSettings, questions: int) -> list[str]:
    first = questions * tailored.rationales
    feedback = questions * tailored.mistakes * (tailored.rounds - 1)
    return [
        f"sizes: {questions:,} questions; validation and test questions are taken from them where "
        "the recipe names no files",
        f"teacher: at most {first:,} calls at the start (T_0) and {feedback:,} for the feedback of "
        f"a seed, each at most {1 + tailored.teacher.retries} times; other arms may spend as much "
        "as `full`",
    ]


def _reader_calls(recipe: Recipe, guided: GuidedSettings, questions: int) -> str:
    students, seeds = guided_students(recipe.arms), len(recipe.seeds)
    reinforce = guided.reinforce
    calls_per_question = sum(guided.samples if _samples_several(arm) else 1 for arm in recipe.arms)
    rewards = reinforce.steps * reinforce.prompts * reinforce.samples
    refined = seeds * sum(name in REFINED_ARMS for name in students)
    distilled = seeds * sum(name in ("distilled", "unfiltered") for name in students)
    evaluations = distilled * recipe.train.evaluations + refined * reinforce.evaluations
    to_learn_from = questions if students else 0
    total = (
        to_learn_from
        + seeds * calls_per_question * questions
        + refined * rewards
        + evaluations * questions
    )
    return (
        f"reader: 1 call per training question, {calls_per_question:,} per test question and seed, "
        f"at most {rewards:,} rewards for each of {refined} refinements. With {questions:,} "
        f"questions in all, at most {total:,} calls, and a second call where a reply cannot be read"
    )


def _samples_several(arm: str) -> bool:
    """Whether the arm asks the reader about several rationales of a question."""
    return guided_parts(arm)[1] in ("sc", "gold", "confidence") or arm == "cot-sc"
