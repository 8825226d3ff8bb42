"""Students continue gold prefixes: is the next step right where all steps before it are?

    arms/<arm>-seed<k>/continuations/parts.jsonl   one Prediction for each gold prefix: the prefix
                                                   and what the student wrote after it; its problem
                                                   id ends in the number of the judged step

A student that writes whole chains reads the prefix as the beginning of its own reply: causal
students with the prompt, encoder-decoders in the decoder. One that writes segments reads it as
segments, cut by the strategy of its arm; where the prefix ends inside a segment, the reply begins
with the rest. So each student reads what it read in training. All prefixes of an arm share their
batches, and a chain ends as soon as its step is decided. The first step has no prefix: it is read
off the chains that the students wrote."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smallsteps.evaluation.steps import NextStep
from smallsteps.experiment.arm import Arm
from smallsteps.experiment.gold import CuttingArm
from smallsteps.experiment.gold_steps import StepChain, given_prefix
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import label_of, place_of
from smallsteps.experiment.stored_data import read_json_lines
from smallsteps.generation.draft import GivenPrefix
from smallsteps.generation.stopwatch import Stopwatch
from smallsteps.records import Prediction, Problem, Segment
from smallsteps.segments.label import segment_chains
from smallsteps.segments.strategies import get_strategy
from smallsteps.students.loading import load
from smallsteps.tasks.files import write_rows

LABEL_FREE = "rouge"
"""The strategy that tells kinds where the arm has none, or needs labels that the data lacks."""


@dataclass(frozen=True)
class Continuation:
    """A gold prefix to be continued."""

    problem: Problem
    """With an id of its own, so that a problem may have several."""
    given: GivenPrefix
    step: NextStep
    """What is judged."""


def on_gold_prefixes(
    lab: Lab, arm: Arm, seed: int, student: Path, chains: Sequence[StepChain]
) -> tuple[list[list[bool]], float]:
    """For each chain whether its second, third, ... step is right after the gold steps before it;
    and the seconds that writing took. Made once, in a stage."""

    def make(folder: Path) -> None:
        label = label_of(arm.name, seed)
        loaded = load(student, device=lab.recipe.student.device, dtype=lab.recipe.evaluation.dtype)
        by_id = {c.problem.id: c for c in _continuations(lab, arm, seed, chains)}
        stopwatch = Stopwatch(loaded.device)
        predictions = (
            lab.job(seed, folder, label)
            .with_local_engine()
            .answers(
                loaded,
                [continuation.problem for continuation in by_id.values()],
                f"{label}, gold prefixes",
                given={name: continuation.given for name, continuation in by_id.items()},
                enough=lambda name, text: by_id[name].step.decided(text),
            )
        )
        seconds = stopwatch.share(len(by_id))
        place = place_of(arm.name, seed)
        signed = (replace(p, seconds=seconds, author=place) for p in predictions)
        write_rows(folder / "parts.jsonl", (prediction.to_row() for prediction in signed))

    folder = lab.run.stage(f"arms/{place_of(arm.name, seed)}/continuations", make)
    rows = [Prediction.from_row(row) for row in read_json_lines(folder / "parts.jsonl")]
    texts = {prediction.problem_id: prediction.text for prediction in rows}
    verdicts = [
        [
            next_step(stepped, place).right(texts[step_id(stepped, place)])
            for place in range(1, len(stepped.steps))
        ]
        for stepped in chains
    ]
    return verdicts, sum(prediction.seconds for prediction in rows)


def step_id(stepped: StepChain, place: int) -> str:
    """Names the continuation in which the step at `place` (from 0) is judged."""
    return f"{stepped.chain.problem.id}/step{place + 1}"


def next_step(stepped: StepChain, place: int) -> NextStep:
    """The step at `place`, after the gold prefix before it."""
    prefix = stepped.chain.rationale.text[: stepped.cuts[place - 1]]
    return NextStep(stepped.steps, place, prefix)


def _continuations(
    lab: Lab, arm: Arm, seed: int, chains: Sequence[StepChain]
) -> Iterator[Continuation]:
    """One for each step but the first of each chain."""
    cuts = _segments(lab, arm, seed, chains)
    for number, stepped in enumerate(chains):
        chain = stepped.chain
        segments = None if cuts is None else cuts[number]
        for place in range(1, len(stepped.steps)):
            yield Continuation(
                replace(chain.problem, id=step_id(stepped, place)),
                given_prefix(chain, stepped.cuts[place - 1], segments),
                next_step(stepped, place),
            )


def _segments(
    lab: Lab, arm: Arm, seed: int, chains: Sequence[StepChain]
) -> list[list[Segment]] | None:
    """The chains cut as the arm cuts its own; None: its student writes whole chains."""
    if not isinstance(arm, CuttingArm):
        return None
    settings = lab.recipe.segmentation
    labelled = all(stepped.chain.rationale.gold for stepped in chains)
    strategy = arm.strategy
    if get_strategy(strategy).needs_gold and not labelled:
        strategy = LABEL_FREE
    return segment_chains(
        [stepped.chain for stepped in chains],
        strategy,
        task=lab.task,
        beta=arm.beta,
        student=arm.scorer(lab, seed) if get_strategy(strategy).needs_student else None,
        reduce=settings.reduce,
        conditioning=settings.conditioning,
    )
