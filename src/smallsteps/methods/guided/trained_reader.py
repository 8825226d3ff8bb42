"""A small reader for machines without weights: it learns to answer bundled two-hop questions, and
is then frozen.

So that no arm asks it for what it has never seen, it learns from three kinds of input: reasoning
and prediction in one go (chain of thought) for every question, and in turn the question alone
(standard prompting) and with a rationale: a right one, the facts of it without the conclusion, or a
spoilt one (a name swapped, a step dropped or negated, another question's rationale), always towards
the right answer, so that it learns to read and not to believe. Its questions are none of the run's,
and half of them have shorter contexts: a small model finds out how to look a fact up where there
are few."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.lab import Lab
from smallsteps.methods.guided.config import GuidedSettings
from smallsteps.methods.guided.method import reasoning_of
from smallsteps.methods.guided.reader import MARK
from smallsteps.quality.perturb import PERTURBATIONS
from smallsteps.quality.rated import Rated
from smallsteps.records import Chain, Example
from smallsteps.students.tokens import prepare
from smallsteps.tasks import facts
from smallsteps.tasks.base import Task
from smallsteps.tasks.sentences import sentences
from smallsteps.tasks.splits import without_overlap
from smallsteps.teaching.prompts import Prompt, read_prompt
from smallsteps.training.checkpoints import COMPLETE

SPOILT = ("swap", "drop", "negate", "other")
"""Perturbations that a reader must be able to see through."""

FACTS_ALONE = 0.4
"""Share of the right rationales that it reads without their conclusion."""


def train_reader(lab: Lab, folder: Path) -> None:
    """Trains the reader in `folder`, which then holds its files."""
    recipe = lab.recipe
    settings = recipe.section(GuidedSettings).reader
    prompts = {name: read_prompt(getattr(settings, name)) for name in ("guided", "standard", "cot")}
    chains = _chains(lab, settings.count)
    examples = [
        example
        for number, chain in enumerate(chains)
        for example in reader_examples(
            chain, chains[number - 1], prompts, settings.noise, number, lab.task
        )
    ]
    job = TrainingJob(
        recipe=recipe,
        task=lab.task,
        seed=0,
        out=folder,
        base_folder=lab.base_folder,
        texts=[example.question for example in examples],
        budget=settings.budget,
        reporter=lab.reporter,
        label="the reader",
        validation_problems=[],
    )
    texts = [text for example in examples for text in (example.question, example.target)]
    student = prepare(job.base(), lab.task, path="direct", texts=texts)
    trained = job.train_one(student, examples, [], measured=False)
    for path in trained.folder("train_loss").iterdir():
        if path.name != COMPLETE:
            (folder / path.name).write_bytes(path.read_bytes())
    trained.write(folder)


def _chains(lab: Lab, count: int) -> list[Chain]:
    """Chains to learn from, none of them the run's; every second one has a shorter context."""
    data, recipe = lab.data, lab.recipe
    distractors, seed = facts.DISTRACTORS[recipe.data.difficulty], 400 + recipe.data.split_seed
    long = without_overlap(
        facts.make_chains(2 * count, seed, distractors),
        [*data.train, *data.validation, *data.test],
    )
    short = [
        facts.make_chains(count, seed + 1000 * (number + 1), number)
        for number in range(1, distractors + 1)
    ]
    return [
        long[number] if number % 2 else short[(number // 2) % distractors][number]
        for number in range(min(count, len(long)))
    ]


def reader_examples(
    chain: Chain,
    neighbour: Chain,
    prompts: Mapping[str, Prompt],
    noise: float,
    number: int,
    task: Task,
) -> list[Example]:
    """What one question is read for: chain of thought, and either nothing or a rationale, right or
    spoilt. `neighbour`: another chain, whose rationale can take its place."""
    problem = chain.problem
    rng = random.Random(f"reading/{problem.id}")
    right = reasoning_of(chain.rationale.text)
    answer = problem.answer or ""
    cot = prompts["cot"].render(task, problem)
    targets = {"cot": (cot, f"{right} {MARK} {answer}")}
    if number % 3 == 0:
        targets["standard"] = prompts["standard"].render(task, problem), answer
    else:
        rationale = right
        if rng.random() < noise:
            rated, foreign = (
                Rated.of(source.problem, reasoning_of(source.rationale.text))
                for source in (chain, neighbour)
            )
            rationale = PERTURBATIONS[rng.choice(SPOILT)](rated, foreign, rng) or right
        elif rng.random() < FACTS_ALONE:
            rationale = " ".join(sentences(right)[:-1])
        targets["guided"] = prompts["guided"].render(task, problem, reasoning=rationale), answer
    return [
        Example(
            f"{problem.id}/{kind}",
            problem.id,
            "\n\n".join(content for _, content in messages),
            (),
            target,
            last=True,
        )
        for kind, (messages, target) in targets.items()
    ]
