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
from pathlib import Path

from smallsteps.experiment.arm import Workshop
from smallsteps.experiment.data import Questions
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.reporter import Reporter
from smallsteps.methods.guided.method import reasoning_of
from smallsteps.methods.guided.reader import MARK
from smallsteps.quality.perturb import PERTURBATIONS
from smallsteps.quality.rated import Rated
from smallsteps.records import Chain, Example
from smallsteps.students.tokens import prepare
from smallsteps.tasks import facts
from smallsteps.tasks.sentences import sentences
from smallsteps.tasks.splits import without_overlap
from smallsteps.teaching.prompts import Prompt, read_prompt
from smallsteps.training.checkpoints import COMPLETE

SPOILT = ("swap", "drop", "negate", "other")
"""Perturbations that a reader must be able to see through."""

FACTS_ALONE = 0.4
"""Share of the right rationales that it reads without their conclusion."""


def train_reader(
    recipe: Recipe, questions: Questions, base: Path | str, folder: Path, reporter: Reporter
) -> None:
    """Trains it in `folder`, whose own files it is."""
    assert recipe.guided is not None
    words = recipe.guided.reader
    most, seed = facts.DISTRACTORS[recipe.data.difficulty], 400 + recipe.data.split_seed
    drawn = without_overlap(
        facts.make_chains(2 * words.count, seed, most),
        [*questions.train, *questions.validation, *questions.test],
    )
    short = [facts.make_chains(words.count, seed + 1000 * (n + 1), n) for n in range(1, most + 1)]
    chains = [
        drawn[n] if n % 2 else short[(n // 2) % most][n]
        for n in range(min(words.count, len(drawn)))
    ]
    task = questions.task
    prompts = {name: read_prompt(getattr(words, name)) for name in ("guided", "standard", "cot")}
    examples = [
        example
        for n, chain in enumerate(chains)
        for example in read(chain, chains[n - 1], prompts, words.noise, n, questions)
    ]
    shop = Workshop(
        recipe=recipe,
        task=task,
        seed=0,
        out=folder,
        base_folder=base,
        texts=[e.question for e in examples],
        budget=words.budget,
        reporter=reporter,
        label="the reader",
        validation_problems=[],
    )
    student = prepare(
        shop.base(),
        task,
        path="direct",
        texts=[text for e in examples for text in (e.question, e.target)],
    )
    trained = shop.train_one(student, examples, [], measured=False)
    best = trained.folder("train_loss")
    for path in best.iterdir():  # the reader lies in the folder itself
        if path.name != COMPLETE:
            (folder / path.name).write_bytes(path.read_bytes())
    trained.write(folder)


def read(
    chain: Chain,
    other: Chain,
    prompts: dict[str, Prompt],
    noise: float,
    number: int,
    questions: Questions,
) -> list[Example]:
    """What one question is read for: chain of thought, and either nothing or a rationale, right or
    spoilt."""
    task, problem = questions.task, chain.problem
    chance = random.Random(f"reading/{problem.id}")
    right = reasoning_of(chain.rationale.text)
    answer = problem.answer or ""
    targets = {"cot": (prompts["cot"].render(task, problem), f"{right} {MARK} {answer}")}
    if number % 3 == 0:
        targets["standard"] = prompts["standard"].render(task, problem), answer
    else:
        said = right
        if chance.random() < noise:
            rated, foreign = (
                Rated.of(one.problem, reasoning_of(one.rationale.text)) for one in (chain, other)
            )
            said = PERTURBATIONS[chance.choice(SPOILT)](rated, foreign, chance) or right
        elif chance.random() < FACTS_ALONE:
            said = " ".join(sentences(right)[:-1])
        targets["guided"] = prompts["guided"].render(task, problem, reasoning=said), answer
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
