"""AS-ES learning (Xi et al., Findings of ACL 2024): the method, from top to bottom.

    1. Cut each chain of thought into sub-sentences and score them (Sec. 3.1, Eq. 3-4), label each extractive (ES) or
       abstractive (AS) by its score against beta times the chain's mean (Eq. 1-2, 5-6), merge neighbours.
    2. Make a data set of segments: read the question and every earlier segment, write the next one. D_ES holds the
       extractive ones, D_AS the abstractive ones.
    3. Uni-path (Eq. 9): one model, USM, learns D_ES and D_AS together. Dual-path (Eq. 7-8): ESM learns D_ES, ASM learns
       D_AS, within the same budget.
    4. Answer by writing one segment at a time until the stop sign (Alg. 1 and 2: `smallsteps.generation.solve`).

Departures, each measured or forced, are listed in docs/as-es.md: one scoring pass over the whole
chain, merging, a budget in tokens, an optional cue that tells uni-path which kind comes next,
causal students."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smallsteps.errors import TrainingError
from smallsteps.experiment.arm import Part, Trained, Workshop
from smallsteps.experiment.recipe import ArmSpec
from smallsteps.methods.as_es.pairs import train_side_by_side
from smallsteps.records import Chain, Example, Kind, Segment
from smallsteps.segments.examples import build_examples
from smallsteps.segments.label import segment_chains
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare

Segments = Sequence[Sequence[Segment]]
"""Of each chain."""
KINDS: tuple[Kind, Kind] = ("ES", "AS")


# ---- 1. segmentation ----


def segment(
    workshop: Workshop, chains: Sequence[Chain], strategy: str, beta: float, scorer: Student | None
) -> list[list[Segment]]:
    """The segments of each chain. `scorer`: the direct student for `ent` and `loss`, the base
    student for `ent*`."""
    words = workshop.recipe.segmentation
    return segment_chains(
        chains,
        strategy,
        task=workshop.task,
        beta=beta,
        student=scorer,
        reduce=words.reduce,
        conditioning=words.conditioning,
    )


# ---- 2. data sets ----


def datasets(
    workshop: Workshop, spec: ArmSpec, chains: Sequence[Chain], segments: Segments
) -> list[Example]:
    """D_ES and D_AS in the order of the chains; `Example.kind` parts them. An example each segment:
    (question, earlier segments) → the segment."""
    return build_examples(
        chains, segments, workshop.task, spec.path, cue=spec.cue, causal=workshop.causal
    )


def of_kind(examples: Sequence[Example], kind: Kind) -> list[Example]:
    """D_ES or D_AS."""
    return [example for example in examples if example.kind == kind]


# ---- 3. training ----


def train_as_es(
    workshop: Workshop,
    spec: ArmSpec,
    train: tuple[Sequence[Chain], Segments],
    validation: tuple[Sequence[Chain], Segments],
) -> Trained:
    """The arm `spec`, uni-path or dual-path, on chains and their segments."""
    examples, held_out = datasets(workshop, spec, *train), datasets(workshop, spec, *validation)
    parts = as_es_parts(workshop, spec, examples, held_out)
    if spec.path == "dual":
        return train_dual(workshop, parts)
    return train_uni(workshop, parts[0])


def as_es_parts(
    workshop: Workshop, spec: ArmSpec, examples: list[Example], validation: list[Example]
) -> list[Part]:
    """The models of the arm with what each learns from: USM, or ESM and ASM.

    The halves of a pair share the budget as their data share all tokens (about half each).
    """
    if spec.path != "dual":
        return [Part(_student(workshop, spec, examples), examples, validation)]
    halves = []
    for kind in KINDS:
        data = of_kind(examples, kind)
        if not data:
            raise TrainingError(
                f"{workshop.label}: no segment is {kind}, so one half of the pair has nothing to learn. "
                "Change segmentation.beta, or choose another strategy or a uni-path arm."
            )
        student = _student(workshop, spec, examples, kind)
        halves.append(Part(student, data, of_kind(validation, kind), kind=kind))
    tokens = [workshop.tokens(half.student, half.train) for half in halves]
    return [
        replace(half, share=own / sum(tokens)) for half, own in zip(halves, tokens, strict=True)
    ]


def _student(
    workshop: Workshop, spec: ArmSpec, examples: Sequence[Example], role: Kind | None = None
) -> Student:
    """The base student, able to write segments, as many as the chains need."""
    return prepare(
        workshop.base(),
        workshop.task,
        path=spec.path,
        cue=spec.cue,
        role=role,
        texts=workshop.texts,
        seed=workshop.seed,
        max_segments=workshop.segment_limit(examples),
    )


def train_uni(workshop: Workshop, part: Part) -> Trained:
    """USM: one model, D_ES and D_AS, the whole budget (Eq. 9)."""
    return workshop.train_one(part.student, part.train, part.validation)


def train_dual(workshop: Workshop, parts: Sequence[Part]) -> Trained:
    """ESM on D_ES (Eq. 7) and ASM on D_AS (Eq. 8), each with its share of the budget, side by side
    (the paper trains one after the other and names that as its limitation).

    At every evaluation the two answer together; the checkpoint is the pair that answers best.
    """
    return train_side_by_side(workshop, parts)
