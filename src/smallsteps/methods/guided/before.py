"""Checks of LM-guided chain of thought before a run, and its part of the plan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smallsteps.errors import DataError, RecipeError, StudentError
from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.beforehand import check_prompt_files, check_served
from smallsteps.experiment.data import RunData
from smallsteps.experiment.engines import check_engine
from smallsteps.experiment.recipe import Recipe
from smallsteps.generation.access import Access
from smallsteps.generation.chat_models import is_local, served_url
from smallsteps.methods.guided.config import (
    PAID_SAMPLE,
    PREFIX,
    REFINEMENTS,
    REWARDED,
    GuidedSettings,
    guided_parts,
    guided_students,
)
from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.judge_prompts import read_judge_prompts
from smallsteps.quality.settings import ENDPOINT, LEXICAL, LOCAL
from smallsteps.students.pretrained import ModelFiles
from smallsteps.tasks.base import Task
from smallsteps.teaching.prompts import check_prompts

PROMPTS = ("guided", "standard", "cot")


def check(
    recipe: Recipe, names: Sequence[str], task: Task, access: Access, causal: bool | None
) -> None:
    """Raises UserError where judge, encoder or reader cannot be used as the recipe says."""
    settings = recipe.section(GuidedSettings)
    _check_judge(settings, access)
    if set(_students(names)) & REFINEMENTS.keys():
        check_engine("guided.reinforce", settings.reinforce, causal)
    reader = settings.reader
    check_prompt_files("guided.reader", reader, PROMPTS)
    trained = reader.name == "trained"
    if not trained:
        check_served("guided.reader", reader, access)
    weights = trained or is_local(reader)
    needs_weights = settings.reinforce.uplift or any("-confidence" in name for name in names)
    if needs_weights and not weights:
        raise RecipeError(
            "arms that end in -confidence, and guided.reinforce.uplift, need the reader's weights: "
            "name a folder as guided.reader.name, or leave them out."
        )


def _check_judge(settings: GuidedSettings, access: Access) -> None:
    """Raises UserError where judge or encoder cannot be used."""
    judge, encoder = settings.judge, settings.encoder
    if judge.is_chat:
        if encoder != LEXICAL:
            raise RecipeError(
                f"guided.encoder={encoder}: has no effect beside guided.judge.name={judge.name}, "
                "which rates what an encoder would measure. Type guided.encoder=lexical."
            )
        try:
            read_judge_prompts(judge.prompts)
            if judge.name.startswith(LOCAL):
                ModelFiles.locate(judge.model)
            else:
                served_url(judge.changed(name=judge.model), access, "judge")
        except (RecipeError, StudentError) as error:
            raise RecipeError(f"guided.judge: {error}") from None
        return
    for key in ("base_url", "prompts"):
        if (value := getattr(judge, key)) is not None:
            name = "MODEL" if judge.name == LEXICAL else judge.name
            raise RecipeError(
                f"guided.judge.{key}={value}: has no effect beside guided.judge.name={judge.name}. "
                f"For a chat model type guided.judge.name={ENDPOINT}{name}."
            )
    for key, name in (("guided.judge", judge.name), ("guided.encoder", encoder)):
        if name != LEXICAL:
            try:
                ModelFiles.locate(name)
            except StudentError as error:
                raise StudentError(f"{key}: {error}") from None


def check_data(recipe: Recipe, names: Sequence[str], data: RunData) -> None:
    """Raises UserError where the prompts do not fit the data, or a question has no gold answer or
    lacks the rationale that the small model is to learn."""
    data.check_answers()
    settings = recipe.section(GuidedSettings)
    if settings.rationales == "data" and _students(names):
        _check_rationales(data)
    reader = settings.reader
    prompts = [getattr(reader, prompt) for prompt in PROMPTS]
    check_prompts(prompts, data.task, data.train[0])


def _check_rationales(data: RunData) -> None:
    """Raises DataError where a training question has no rationale."""
    bare = [problem.id for problem in data.train if problem.id not in data.train_rationales]
    if bare:
        raise DataError(
            f"guided.rationales=data: {len(bare):,} of {len(data.train):,} training questions have "
            f"no `rationale`, the first is {bare[0]}. Add it to the rows of data.chains, or type "
            "guided.rationales=reader."
        )


def _students(names: Sequence[str]) -> list[str]:
    """The students that these arms train at one seed."""
    return guided_students([name.removeprefix(PREFIX) for name in names])


def variants(recipe: Recipe, names: Sequence[str]) -> list[str]:
    """The arms as they are."""
    return list(names)


def models(recipe: Recipe, names: Sequence[str]) -> int:
    """The students that the arms share."""
    return len(_students(names))


def chain_arms(recipe: Recipe, names: Sequence[str]) -> list[ChainArm]:
    """None: its rationales come from a reader."""
    return []


def plan(recipe: Recipe, names: Sequence[str], questions: int, in_all: int) -> list[str]:
    """The calls that the reader may get. `in_all`: questions of all parts."""
    settings = recipe.section(GuidedSettings)
    kinds = [name.removeprefix(PREFIX) for name in names]
    students, seeds = guided_students(kinds), len(recipe.seeds)
    reinforce, trained = settings.reinforce, settings.reader.name == "trained"
    calls_per_question = sum(settings.samples if _samples_several(kind) else 1 for kind in kinds)
    rewards = reinforce.steps * reinforce.prompts * reinforce.samples
    refined = seeds * sum(name in REFINEMENTS for name in students)
    distilled = seeds * sum(name in ("distilled", "unfiltered") for name in students)
    evaluations = distilled * recipe.train.evaluations + refined * reinforce.evaluations
    from_data = settings.rationales == "data"
    to_learn_from = in_all if students and not from_data else 0
    answers = seeds * calls_per_question * in_all
    total = to_learn_from + answers + refined * rewards + evaluations * in_all
    lines = [
        f"reader{', trained first' if trained else ''}: "
        f"{'no call' if from_data else '1 call'} per training question, "
        f"{calls_per_question:,} per test question and seed, at most {rewards:,} rewards for each "
        f"of {refined} refinements. With {in_all:,} questions in all, at most {total:,} calls, "
        "and a second call where a reply cannot be read",
    ]
    if settings.judge.is_chat:
        rated = sum(_rated(settings, kind) for kind in kinds) * seeds * in_all
        rewarded = seeds * sum(name in QUALITY_REWARDED for name in students) * rewards
        calls = len(REWARDED) * (rated + rewarded)
        lines.append(
            f"judge {settings.judge.name}: {len(REWARDED)} calls per rationale, at most {calls:,} "
            f"with {in_all:,} questions in all; before training {_calls_to_measure():,} to measure "
            "it; a second call where a rating cannot be read"
        )
    return lines


QUALITY_REWARDED = tuple(name for name, (kind, _) in REFINEMENTS.items() if kind != "task")
"""Refined students whose rationales are rated for their reward."""


def _rated(settings: GuidedSettings, kind: str) -> int:
    """Rationales of a question that are rated for an arm."""
    if kind == "standard":
        return 0
    return 1 + (settings.samples if guided_parts(kind)[1] == "quality" else 0)


def _calls_to_measure() -> int:
    """At most, to rate some rationales and their spoilt forms."""
    spoilt = {name for aspect in REWARDED for name in ASPECTS[aspect].lowered_by}
    return PAID_SAMPLE * (1 + len(spoilt)) * len(REWARDED)


def _samples_several(kind: str) -> bool:
    """Whether the arm asks the reader about several rationales of a question."""
    return guided_parts(kind)[1] in ("sc", "gold", "confidence") or kind == "cot-sc"


def next_command(recipe: Recipe, out: Path, student: Path) -> list[str]:
    """The command that lets the student of a run guide its reader."""
    settings = recipe.section(GuidedSettings).reader
    reader = str(out / "reader") if settings.name == "trained" else settings.name
    command = ["smallsteps", "guide", "questions.jsonl", "--guide", str(student)]
    command += ["--reader", reader, "--out", "answers.jsonl"]
    if recipe.data.task != "hotpotqa":
        command += ["--task", recipe.data.task]
    if settings.guided != "read":
        command += ["--prompt", settings.guided]
    if settings.base_url is not None:
        command += ["--base-url", settings.base_url]
    return command
