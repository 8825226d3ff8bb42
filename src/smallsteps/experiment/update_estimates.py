"""How many updates each model that learns from chains will make, estimated from some of the chains.

A dry run prints it. Within one budget models differ much: the halves of a dual pair share it, and
answers alone are short. The run itself counts exactly, before its first training (`check.py`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from smallsteps.errors import StudentError, TrainingError
from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.data import RunData
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.method import methods_of
from smallsteps.experiment.method_modules import before_module
from smallsteps.experiment.recipe import Recipe
from smallsteps.records import Chain
from smallsteps.students.settings import BUNDLED_STUDENTS
from smallsteps.students.tokens import prepare
from smallsteps.training.encode import encode

MAX_CHAINS = 200
"""Maximum number of chains that are encoded for each arm."""


def estimated_updates(recipe: Recipe, data: RunData, passes: float, size: int) -> dict[str, int]:
    """Label of each model → its updates of `size` examples. `passes`: those that `direct` makes
    over all training chains within the budget. Where the student is not on this machine, a bundled
    one stands for it: what counts is how the arms' tokens compare with those of `direct`."""
    step = max(1, len(data.train_chains) // MAX_CHAINS)
    chains = [data.train_chains[place] for place in range(0, len(data.train_chains), step)]
    job = _job(recipe, data, chains)
    updates: dict[str, int] = {}
    for name, names in methods_of(recipe).items():
        for arm in before_module(name).chain_arms(recipe, names):
            updates |= _updates_of(arm, job, chains, passes, size, len(data.train_chains))
    return updates


def _updates_of(
    arm: ChainArm,
    job: TrainingJob,
    chains: Sequence[Chain],
    passes: float,
    size: int,
    chain_count: int,
) -> dict[str, int]:
    """Label of each model of the arm → its updates; empty where these chains have no example for
    it."""
    task, train = job.task, job.recipe.train
    whole = arm.selection.whole_report and task.whole_chains
    selected = task.whole_chains(chains) if whole and task.whole_chains else chains
    share_of_chains = min(1.0, (arm.selection.limit or chain_count) / chain_count)
    try:
        parts = arm.parts(job, selected, [])
    except TrainingError:  # the run says it before it trains
        return {}
    updates = {}
    for part in parts:
        rows = [row.tokens for row in encode(part.student, task, part.train)]
        row_count = len(rows) * chain_count / len(chains) * share_of_chains
        in_update = min(size, max(1, round(row_count)))
        if train.until == "passes":
            count = train.passes * row_count / in_update
        else:
            budget = passes * job.pass_tokens(chains)
            if train.budget is None:  # as many passes over fewer chains
                budget *= share_of_chains
            count = part.share * budget / (sum(rows) / len(rows) * in_update)
            count *= chain_count / len(chains)
        updates[part.label(arm.name)] = math.ceil(count)
    return updates


def _job(recipe: Recipe, data: RunData, chains: Sequence[Chain]) -> TrainingJob:
    """A training that builds examples of these chains and is never begun."""
    is_causal = recipe.student.scratch and recipe.student.scratch.architecture == "causal"
    stand_in = BUNDLED_STUDENTS[1 if is_causal else 0]
    job = TrainingJob(
        recipe=recipe,
        task=data.task,
        seed=0,
        out=Path(),
        base_folder=stand_in if recipe.student.scratch else recipe.student.name,
        texts=[text for c in chains for text in (data.task.render(c.problem), c.rationale.text)],
        validation_problems=[],
        budget=None,
    )
    try:
        student = job.base()
    except StudentError:
        job = replace(job, base_folder=stand_in)
        student = job.base()
    ready = prepare(student, data.task, path="uni", cue=not job.causal, texts=job.texts)
    return replace(job, check_student=ready, texts=())
