"""AS-ES learning (Xi et al., Findings of ACL 2024): the method, from top to bottom.

    1. Cut each chain of thought into sub-sentences and score them (Sec. 3.1, Eq. 3-4), label each extractive (ES) or
       abstractive (AS) by its score against beta times the chain's mean (Eq. 1-2, 5-6), merge neighbours.
    2. Make a data set of segments: read the question and every earlier segment, write the next one.
       D_ES holds the extractive ones, D_AS the abstractive ones.
    3. Uni-path (Eq. 9): one model learns D_ES and D_AS together. Dual-path (Eq. 7-8): ESM learns D_ES, ASM learns D_AS,
       within the same budget.
    4. Answer by writing one segment at a time until the stop sign (Alg. 1 and 2; `smallsteps.generation`).

Departures, each measured or forced, are listed in docs/as-es.md: one scoring pass over the whole chain, merging, a budget
in tokens, an optional cue that tells uni-path which kind comes next.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from smallsteps.methods.arm import PAPER_CRITERIA, Trained, Workshop
from smallsteps.recipe import ArmSpec
from smallsteps.records import Chain, Example, Kind, Segment
from smallsteps.segments.examples import build_examples
from smallsteps.segments.label import segment_chains
from smallsteps.students.student import Drive, DualStudent, Student, load_student
from smallsteps.students.tokens import prepare
from smallsteps.training.encode import encode

Segments = list[list[Segment]]
KINDS: tuple[Kind, Kind] = ("ES", "AS")


# ---- 1. segmentation ----


def segment(
    workshop: Workshop, chains: Sequence[Chain], strategy: str, scorer: Student | None, beta: float
) -> Segments:
    """The segments of each chain. `scorer`: the direct student for `ent` and `loss`, the base student for `ent*`."""
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


def segment_by_folds(
    workshop: Workshop, folds: Sequence[Sequence[Chain]], strategy: str, scorers: Sequence[Student], beta: float
) -> dict[str, list[Segment]]:
    """Rationale id → segments, where fold i is scored by scorer i, which was trained on the other folds."""
    found: dict[str, list[Segment]] = {}
    for chains, scorer in zip(folds, scorers, strict=True):
        cut = segment(workshop, chains, strategy, scorer, beta)
        found.update({chain.rationale.id: own for chain, own in zip(chains, cut, strict=True)})
    return found


# ---- 2. data sets ----


def datasets(workshop: Workshop, spec: ArmSpec, chains: Sequence[Chain], segments: Segments) -> list[Example]:
    """D_ES and D_AS in the order of the chains; `Example.kind` parts them."""
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
    """The arm `spec`: uni-path or dual-path on the given segments."""
    examples = datasets(workshop, spec, *train)
    held_out = datasets(workshop, spec, *validation)
    return (
        train_dual(workshop, examples, held_out)
        if spec.path == "dual"
        else train_uni(workshop, spec, examples, held_out)
    )


def train_uni(workshop: Workshop, spec: ArmSpec, examples: list[Example], validation: list[Example]) -> Trained:
    """USM: one model, both kinds, the whole budget (Eq. 9)."""
    student = prepare(
        workshop.base(), workshop.task, path="uni", cue=spec.cue, texts=workshop.texts, seed=workshop.seed
    )
    return workshop.train_one(student, examples, validation)


def train_dual(workshop: Workshop, examples: list[Example], validation: list[Example]) -> Trained:
    """ESM and ASM (Eq. 7-8), each with the budget's share that its data have of all tokens (about half each).

    Checkpoints are paired by the same criterion; which pair answers best is measured on validation.
    """
    tokens = {kind: _tokens(workshop, of_kind(examples, kind)) for kind in KINDS}
    halves: dict[Kind, Trained] = {}
    for kind in KINDS:
        student = prepare(
            workshop.base(), workshop.task, path="dual", role=kind, texts=workshop.texts, seed=workshop.seed
        )
        halves[kind] = workshop.train_one(
            student, of_kind(examples, kind), of_kind(validation, kind),
            share=tokens[kind] / sum(tokens.values()), measured=False, folder=kind.lower(),
        )  # fmt: skip
    es, as_ = halves["ES"], halves["AS"]
    pairs = {
        criterion: _pair(workshop, es.folders[criterion], as_.folders[criterion], workshop.out / f"pair-{criterion}")
        for criterion in PAPER_CRITERIA
        if criterion in es.folders and criterion in as_.folders
    }
    best = max(pairs, key=lambda criterion: workshop.validation_metric(_load_pair(workshop, pairs[criterion])))
    total = es.train_tokens + as_.train_tokens
    return Trained(
        folders={"metric": pairs[best], **pairs},
        train_tokens=total,
        passes=(es.passes * es.train_tokens + as_.passes * as_.train_tokens) / total,
        seconds=es.seconds + as_.seconds,
        curves=[{**row, "half": kind} for kind in KINDS for row in halves[kind].curves],
    )


def _tokens(workshop: Workshop, examples: Sequence[Example]) -> int:
    student = prepare(workshop.base(), workshop.task, path="dual", role="ES", texts=workshop.texts, seed=workshop.seed)
    return count_tokens(student, workshop, examples)


def count_tokens(student: Student, workshop: Workshop, examples: Sequence[Example]) -> int:
    """Training tokens of one pass: source + target, no padding."""
    return sum(row.tokens for row in encode(student, workshop.task, examples))


def _pair(workshop: Workshop, es: Path, as_: Path, folder: Path) -> Path:
    one, other = load_student(es, device="cpu"), load_student(as_, device="cpu")
    return DualStudent(one, other, Drive(workshop.task.name, path="dual")).save(folder)


def _load_pair(workshop: Workshop, folder: Path) -> DualStudent:
    device = workshop.recipe.student.device
    es, as_ = (load_student(folder / half, device=device) for half in ("es", "as"))
    return DualStudent(es, as_, Drive(workshop.task.name, path="dual"))
