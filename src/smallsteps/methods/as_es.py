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
from pathlib import Path

from smallsteps.errors import TrainingError
from smallsteps.methods.arm import PAPER_CRITERIA, Trained, Workshop
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
    if spec.path == "dual":
        return train_dual(workshop, examples, held_out)
    return train_uni(workshop, examples, held_out, cue=spec.cue)


def train_uni(workshop: Workshop, examples: list[Example], validation: list[Example], *, cue: bool = False) -> Trained:
    """USM: one model, D_ES and D_AS, the whole budget (Eq. 9)."""
    student = prepare(workshop.base(), workshop.task, path="uni", cue=cue, texts=workshop.texts, seed=workshop.seed)
    return workshop.train_one(student, examples, validation)


def train_dual(workshop: Workshop, examples: list[Example], validation: list[Example]) -> Trained:
    """ESM on D_ES (Eq. 7) and ASM on D_AS (Eq. 8), each with the share of the budget that its data have of all tokens
    (about half).

    Both halves' checkpoints are chosen by the same criterion, which gives as many pairs; which pair answers best is
    measured on validation.
    """
    students = {kind: _half(workshop, kind) for kind in KINDS}
    data = {kind: of_kind(examples, kind) for kind in KINDS}
    for kind in KINDS:
        if not data[kind]:
            raise TrainingError(
                f"{workshop.label}: no segment is {kind}, so one half of the pair has nothing to learn. "
                "Change segmentation.beta, or choose another strategy or a uni-path arm."
            )
    tokens = {kind: workshop.tokens(students[kind], data[kind]) for kind in KINDS}
    halves = {
        kind: workshop.train_one(
            students[kind], data[kind], of_kind(validation, kind),
            share=tokens[kind] / sum(tokens.values()), measured=False, folder=kind.lower(),
        )
        for kind in KINDS
    }  # fmt: skip
    return _paired(workshop, halves["ES"], halves["AS"])


def _half(workshop: Workshop, kind: Kind) -> Student:
    return prepare(workshop.base(), workshop.task, path="dual", role=kind, texts=workshop.texts, seed=workshop.seed)


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
    return DualStudent(one, other, Drive(workshop.task.name, path="dual")).save(folder)
