"""AS-ES learning (Xi et al., Findings of ACL 2024): the method, from top to bottom.

    1. Cut each chain of thought into sub-sentences and score them (Sec. 3.1, Eq. 3-4). Label each
       extractive (ES) or abstractive (AS): compare its score with beta times the chain's mean
       (Eq. 1-2, 5-6). Merge neighbours of the same kind.
    2. Make a data set of segments: read the question and every earlier segment, write the next
       segment. D_ES holds the extractive segments, D_AS the abstractive ones.
    3. Uni-path (Eq. 9): one model, USM, learns D_ES and D_AS together. Dual-path (Eq. 7-8): ESM
       learns D_ES and ASM learns D_AS, within the same budget.
    4. Answer: write segment after segment until the stop sign (Alg. 1 and 2:
       `smallsteps.generation.solve`).

Departures, each measured or forced, are listed in docs/as-es.md: one scoring pass over the whole
chain, merging, a budget in tokens, an optional cue that tells uni-path which kind comes next,
causal students."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from smallsteps.errors import TrainingError
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.trained import Part, Trained
from smallsteps.methods.as_es.config import ArmSpec
from smallsteps.methods.as_es.pairs import train_side_by_side
from smallsteps.records import KINDS, Chain, Example, Kind, Segment
from smallsteps.segments.cuts import Cuts
from smallsteps.segments.examples import iter_examples
from smallsteps.segments.label import segment_chains
from smallsteps.streams import Stream
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare

# ---- 1. segmentation ----


def segment(
    job: TrainingJob, chains: Sequence[Chain], strategy: str, beta: float, scorer: Student | None
) -> list[list[Segment]]:
    """The segments of each chain. `scorer`: the direct student for `ent` and `loss`, the base
    student for `ent*`."""
    settings = job.recipe.segmentation
    return segment_chains(
        chains,
        strategy,
        task=job.task,
        beta=beta,
        student=scorer,
        reduce=settings.reduce,
        conditioning=settings.conditioning,
    )


# ---- 2. data sets ----


def datasets(
    job: TrainingJob, spec: ArmSpec, chains: Iterable[Chain], cuts: Cuts
) -> Stream[Example]:
    """D_ES and D_AS in the order of the chains; `Example.kind` tells them apart. One example for
    each segment: (question, earlier segments) → the segment."""

    def examples() -> Iterator[Example]:
        segments = (cuts.of(chain) for chain in chains)
        return iter_examples(chains, segments, job.task, spec.path, cue=spec.cue, causal=job.causal)

    return Stream(examples)


def of_kind(examples: Iterable[Example], kind: Kind) -> Stream[Example]:
    """D_ES or D_AS."""
    return Stream(lambda: (example for example in examples if example.kind == kind))


# ---- 3. training ----


def train_as_es(
    job: TrainingJob,
    spec: ArmSpec,
    train: Sequence[Chain],
    validation: Sequence[Chain],
    cuts: Cuts,
) -> Trained:
    """The arm `spec`, uni-path or dual-path, on chains and their segments."""
    examples = datasets(job, spec, train, cuts)
    validation_examples = datasets(job, spec, validation, cuts)
    parts = as_es_parts(job, spec, examples, validation_examples)
    if spec.path == "dual":
        return train_dual(job, parts)
    return train_uni(job, parts[0])


def as_es_parts(
    job: TrainingJob, spec: ArmSpec, examples: Stream[Example], validation: Stream[Example]
) -> list[Part]:
    """The models of the arm with what each learns from: USM, or ESM and ASM.

    The halves of a pair share the budget as their data share all tokens (about half each).
    """
    if spec.path != "dual":
        return [Part(_student(job, spec, examples), examples, validation)]
    halves = []
    for kind in KINDS:
        examples_of_kind = of_kind(examples, kind)
        if not examples_of_kind:
            raise TrainingError(
                f"{job.label}: no segment is {kind}, so one half of the pair has nothing to learn. "
                "Change segmentation.beta, or choose another strategy or a uni-path arm."
            )
        student = _student(job, spec, examples, kind)
        halves.append(Part(student, examples_of_kind, of_kind(validation, kind), kind=kind))
    tokens = [job.tokens(half.student, half.train) for half in halves]
    total = sum(tokens)
    return [replace(half, share=count / total) for half, count in zip(halves, tokens, strict=True)]


def _student(
    job: TrainingJob, spec: ArmSpec, examples: Iterable[Example], role: Kind | None = None
) -> Student:
    """The base student, prepared to write as many segments as the chains need."""
    return prepare(
        job.base(),
        job.task,
        path=spec.path,
        cue=spec.cue,
        role=role,
        texts=job.texts,
        seed=job.seed,
        max_segments=job.segment_limit(examples),
    )


def train_uni(job: TrainingJob, part: Part) -> Trained:
    """USM: one model, D_ES and D_AS, the whole budget (Eq. 9)."""
    return job.train_one(part.student, part.train, part.validation)


def train_dual(job: TrainingJob, parts: Sequence[Part]) -> Trained:
    """ESM on D_ES (Eq. 7) and ASM on D_AS (Eq. 8), each with its share of the budget, side by side
    (the paper trains one after the other and names that as its limitation).

    At every evaluation the two answer together; the checkpoint is the pair that answers best.
    """
    return train_side_by_side(job, parts)
