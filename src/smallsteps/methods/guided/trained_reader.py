"""A small reader for machines without model weights: it learns to answer bundled two-hop questions,
and is then frozen.

It learns each kind of input that an arm gives it:

    chain of thought   reasoning and prediction in one go, for every question
    standard           the question alone, for every third question
    guided             the question with a rationale, for the others: a right rationale, its facts
                       without the conclusion, or a spoilt one (a name swapped, a step dropped or
                       negated, another question's rationale)

Its target is always the right answer, so that it learns to read rationales and not to believe them.
None of its questions is in the run. Half of them have shorter contexts, where a small model learns
more easily to look up a fact."""

from __future__ import annotations

import random
from collections.abc import Mapping
from pathlib import Path

from smallsteps import team
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.lab import Lab
from smallsteps.generation.generator import Messages
from smallsteps.methods.guided.config import GuidedSettings
from smallsteps.methods.guided.method import reasoning_of
from smallsteps.methods.guided.reader import MARK
from smallsteps.quality.perturb import PERTURBATIONS
from smallsteps.quality.rated import Rated
from smallsteps.records import Chain, Example, Problem
from smallsteps.students.tokens import prepare
from smallsteps.tasks import facts
from smallsteps.tasks.base import Task
from smallsteps.tasks.sentences import sentences
from smallsteps.tasks.splits import without_overlap
from smallsteps.teaching.prompts import Prompt, read_prompt
from smallsteps.training.checkpoints import COMPLETE

SPOILT = ("swap", "drop", "negate", "other")
"""Perturbations in spite of which the reader must answer right."""

FACTS_ALONE = 0.4
"""Share of the right rationales from which the conclusion is cut."""


def train_reader(lab: Lab, folder: Path) -> None:
    """Trains the reader and leaves its files in `folder`."""
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
    if not team.is_first():
        return
    for path in trained.folder("train_loss").iterdir():
        if path.name != COMPLETE:
            (folder / path.name).write_bytes(path.read_bytes())
    trained.write(folder)


def _chains(lab: Lab, count: int) -> list[Chain]:
    """`count` chains that are not in the run; every second one has a shorter context."""
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
    """The examples of question `number`: chain of thought, and the question alone or with a
    rationale. `noise`: share of spoilt rationales. `neighbour`: another chain, whose rationale may
    replace the right one."""
    problem = chain.problem
    answer = problem.answer or ""
    reasoning = reasoning_of(chain.rationale.text)
    cot = prompts["cot"].render(task, problem)
    examples = [_example(problem, "cot", cot, f"{reasoning} {MARK} {answer}")]
    if number % 3 == 0:
        standard = prompts["standard"].render(task, problem)
        return [*examples, _example(problem, "standard", standard, answer)]
    rationale = _rationale_to_read(chain, neighbour, noise)
    guided = prompts["guided"].render(task, problem, reasoning=rationale)
    return [*examples, _example(problem, "guided", guided, answer)]


def _rationale_to_read(chain: Chain, neighbour: Chain, noise: float) -> str:
    """The chain's reasoning: spoilt, without its conclusion, or as it is."""
    rng = random.Random(f"reading/{chain.problem.id}")
    reasoning = reasoning_of(chain.rationale.text)
    if rng.random() < noise:
        rated = Rated.of(chain.problem, reasoning)
        foreign = Rated.of(neighbour.problem, reasoning_of(neighbour.rationale.text))
        return PERTURBATIONS[rng.choice(SPOILT)](rated, foreign, rng) or reasoning
    if rng.random() < FACTS_ALONE:
        return " ".join(sentences(reasoning)[:-1])
    return reasoning


def _example(problem: Problem, kind: str, messages: Messages, target: str) -> Example:
    question = "\n\n".join(content for _, content in messages)
    return Example(f"{problem.id}/{kind}", problem.id, question, (), target, last=True)
