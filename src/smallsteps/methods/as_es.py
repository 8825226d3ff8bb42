"""AS-ES learning (Xi et al., Findings of ACL 2024): the method, from top to bottom.

    1. Cut each chain of thought into sub-sentences and score them (Sec. 3.1, Eq. 3-4), label each extractive (ES) or
       abstractive (AS) by its score against beta times the chain's mean (Eq. 1-2, 5-6), merge neighbours.
    2. Make a data set of segments: read the question and every earlier segment, write the next one. D_ES holds the
       extractive ones, D_AS the abstractive ones.
    3. Uni-path (Eq. 9): one model, USM, learns D_ES and D_AS together. Dual-path (Eq. 7-8): ESM learns D_ES, ASM learns
       D_AS, within the same budget.
    4. Answer by writing one segment at a time until the stop sign (Alg. 1 and 2: `smallsteps.generation.solve`).

Departures, each measured or forced, are listed in docs/as-es.md: one scoring pass over the whole chain, merging, a budget
in tokens, an optional cue that tells uni-path which kind comes next, causal students.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from smallsteps.errors import TrainingError
from smallsteps.methods.arm import PAPER_CRITERIA, Part, Trained, Workshop
from smallsteps.recipe import ArmSpec
from smallsteps.records import Chain, Example, Kind, Segment
from smallsteps.segments.examples import build_examples
from smallsteps.segments.label import segment_chains
from smallsteps.students.student import Drive, DualStudent, Student, load, load_student
from smallsteps.students.tokens import prepare

Segments = Sequence[Sequence[Segment]]
"""Of each chain."""
KINDS: tuple[Kind, Kind] = ("ES", "AS")


# ---- 1. segmentation ----


def segment(
    workshop: Workshop, chains: Sequence[Chain], strategy: str, beta: float, scorer: Student | None
) -> list[list[Segment]]:
    """The segments of each chain. `scorer`: the direct student for `ent` and `loss`, the base student for `ent*`."""
    words = workshop.recipe.segmentation
    return segment_chains(
        chains, strategy, task=workshop.task, beta=beta, student=scorer,
        reduce=words.reduce, conditioning=words.conditioning,
    )  # fmt: skip


# ---- 2. data sets ----


def datasets(workshop: Workshop, spec: ArmSpec, chains: Sequence[Chain], segments: Segments) -> list[Example]:
    """D_ES and D_AS in the order of the chains; `Example.kind` parts them. An example each segment: (question, earlier
    segments) → the segment."""
    return build_examples(chains, segments, workshop.task, spec.path, cue=spec.cue, causal=workshop.causal)


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


def as_es_parts(workshop: Workshop, spec: ArmSpec, examples: list[Example], validation: list[Example]) -> list[Part]:
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
    return [replace(half, share=own / sum(tokens)) for half, own in zip(halves, tokens, strict=True)]


def _student(workshop: Workshop, spec: ArmSpec, examples: Sequence[Example], role: Kind | None = None) -> Student:
    """The base student, able to write segments, as many as the chains need."""
    return prepare(
        workshop.base(), workshop.task, path=spec.path, cue=spec.cue, role=role, texts=workshop.texts,
        seed=workshop.seed, max_segments=workshop.segment_limit(examples),
    )  # fmt: skip


def train_uni(workshop: Workshop, part: Part) -> Trained:
    """USM: one model, D_ES and D_AS, the whole budget (Eq. 9)."""
    return workshop.train_one(part.student, part.train, part.validation)


def train_dual(workshop: Workshop, parts: Sequence[Part]) -> Trained:
    """ESM on D_ES (Eq. 7) and ASM on D_AS (Eq. 8), each with its share of the budget.

    Both halves' checkpoints are chosen by the same criterion, which gives as many pairs; which pair answers best is
    measured on validation.
    """
    halves = [
        workshop.train_one(
            part.student, part.train, part.validation, share=part.share, measured=False,
            folder=str(part.kind).lower(),
        )
        for part in parts
    ]  # fmt: skip
    return _paired(workshop, *halves)


def _paired(workshop: Workshop, es: Trained, as_: Trained) -> Trained:
    """The pairs of ESM and ASM, and what both cost together."""
    pairs = {
        criterion: _pair(workshop, es.folders[criterion], as_.folders[criterion], workshop.out / f"pair-{criterion}")
        for criterion in PAPER_CRITERIA
        if criterion in es.folders and criterion in as_.folders
    }
    device = workshop.recipe.student.device
    values = {name: workshop.validation_metric(load(folder, device=device)) for name, folder in pairs.items()}
    best = max(values, key=lambda criterion: values[criterion])
    total = es.train_tokens + as_.train_tokens
    return Trained(
        folders={"metric": pairs[best], **pairs},
        train_tokens=total,
        passes=(es.passes * es.train_tokens + as_.passes * as_.train_tokens) / total,
        seconds=es.seconds + as_.seconds,
        validation=values[best],
        curves=[{**row, "half": kind} for kind, half in zip(KINDS, (es, as_), strict=True) for row in half.curves],
    )


def _pair(workshop: Workshop, es: Path, as_: Path, folder: Path) -> Path:
    """One folder of the two: what `smallsteps.load` takes."""
    one, other = load_student(es, device="cpu"), load_student(as_, device="cpu")
    assert one.drive is not None
    drive = Drive(workshop.task.name, path="dual", max_segments=one.drive.max_segments)
    return DualStudent(one, other, drive).save(folder)
