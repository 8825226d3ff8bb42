"""Records of `results.json`: the data and the budget of a run, its best student, and what a reader
needs to repeat it."""

from __future__ import annotations

from typing import Literal

from smallsteps.experiment.result_record import ResultRecord


class FeedbackFacts(ResultRecord):
    """What people said of chains, and what the run made of it. Every row of the files stands in one
    count of `used` or `unused`."""

    used: dict[str, int]
    """What became of the rows that were used → how many."""
    unused: dict[str, int]
    """Why the other rows were not used → how many."""
    learnt: int
    """Chains to learn from: edited, or judged right."""
    rejected: int
    """Chains judged wrong that are negatives of tailored learning."""
    new_questions: int
    """Questions that joined the training part."""
    removed: int
    """Training chains left out because a person judged them wrong."""


class DataFacts(ResultRecord):
    """The data of the run, and what was left out of it."""

    source: str
    task: str
    train: int
    validation: int
    test: int
    overlap: int
    """Questions that stand in two parts: 0, or the run is refused."""
    chains: int | None = None
    """Chains read or made; null where the data has questions only."""
    wrong: int | None = None
    """Chains left out because their answer is wrong."""
    closed: int | None = None
    """Chains that got a closing sentence."""
    contradicting: int | None = None
    """Of these, chains whose last number is not the answer."""
    odd: int | None = None
    """Chains left out because they cannot be trained on as they are."""
    feedback: FeedbackFacts | None = None
    """Of `data.feedback`; null: the recipe names none."""


class BudgetFacts(ResultRecord):
    """What every trained arm may cost."""

    until: Literal["tokens", "passes", "plateau"]
    """When the training of an arm ended."""
    tokens: int | None
    """Training tokens of an arm, or (`plateau`) the most it may take; null: each arm makes `passes`
    over its examples."""
    passes: float | None = None
    """The setting `train.passes`."""
    update_examples: int | None = None
    """Examples per update; null: each training decided."""
    smallest_plateau: int | None = None
    """Tokens of the point `budget`; null: no arm was trained until its plateau."""
    equal_passes: float | None = None
    """Passes of the point `passes`; null as above."""


class BestStudent(ResultRecord):
    """The student that the run hands out, chosen on validation."""

    name: str
    """Its arm."""
    seed: int
    folder: str | None
    """Relative to the run folder; null: the student that the recipe names, before training."""
    validation: float | None
    """Its metric on the validation problems; null: not measured."""


class ThreadsResult(ResultRecord):
    """CPU threads."""

    training: int
    decoding: int


class Provenance(ResultRecord):
    """What a reader needs to repeat the run."""

    versions: dict[str, str | None]
    """Package → version."""
    python: str
    commit: str | None
    hardware: str
    threads: ThreadsResult | None
    started: str
    """UTC, ISO 8601."""
    seconds: float
    """Of all commands that have worked on the run, up to its end."""
    commands: int = 1
    """How many these were; more than one where the run was continued or has grown."""
    recipe: str
    """Digest of the recipe."""
