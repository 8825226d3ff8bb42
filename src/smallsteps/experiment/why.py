"""Why arms are right or wrong, from their chains: how errors accumulate over the steps, how right
chains differ from gold, and whether regular chains are right more often (Xi et al. 2024, Sec. 4.3,
5 and Appendix B).

Runs after all arms are graded and changes none of their figures. Only arms that write chains of
their own count. What costs time, continuing gold prefixes, is a stage of each arm and seed
(`continuing.py`); all else is read off the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from smallsteps.evaluation.diversity import Diversity, GradedChain, diversity
from smallsteps.evaluation.metrics import get_metric
from smallsteps.evaluation.regularity import Bin, accuracy_by_regularity, regularity
from smallsteps.evaluation.shares import Share
from smallsteps.evaluation.steps import NEXT_EQUATIONS, StepAccuracy, step_accuracies
from smallsteps.experiment.continuing import LABEL_FREE, on_gold_prefixes
from smallsteps.experiment.gold_steps import StepChain, step_chains
from smallsteps.experiment.grading import GradedArm, by_arm
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.why_results import (
    ArmWhy,
    DiversityResult,
    RegularityResult,
    StepResult,
    WhyResults,
)
from smallsteps.records import Chain, Kind, Rationale
from smallsteps.segments.label import label_pieces
from smallsteps.segments.split import split
from smallsteps.segments.strategies import Scoring
from smallsteps.tasks.base import Task
from smallsteps.tasks.equations import find_equations


@dataclass(frozen=True)
class WrittenChains:
    """The chains of an arm at one seed, in the order of the test problems."""

    texts: dict[str, str]
    """Problem id → chain."""
    values: dict[str, float]
    """Problem id → grade, 0 to 1."""

    @classmethod
    def of(cls, graded: GradedArm) -> WrittenChains:
        score = graded.score
        grades = zip(score.problem_ids, score.grades, strict=True)
        return cls(
            {prediction.problem_id: prediction.text for prediction in graded.outcome.shown},
            {name: verdict.value for name, verdict in grades},
        )


@dataclass(frozen=True)
class GoldSide:
    """The gold chains of the test set, and what is measured on them once for all arms."""

    chains: dict[str, Chain]
    """Problem id → its gold chain, right ones only."""
    stepped: list[StepChain]
    """The chains on which steps are measured."""
    without_steps: int
    regularities: dict[str, float | None]
    """Problem id → regularity of its gold chain."""
    labelled: bool
    """Whether kinds are labels of the data."""


def explain(lab: Lab, graded: Sequence[GradedArm]) -> WhyResults | None:
    """Why the arms are right or wrong; None: none writes chains."""
    writing = {
        name: by_seed
        for name, by_seed in by_arm(graded).items()
        if all(graded_arm.outcome.writes_chains for graded_arm in by_seed)
    }
    if not writing:
        return None
    gold = gold_side(lab)
    return WhyResults(
        gold_chains=len(gold.chains),
        step_chains=len(gold.stepped),
        without_steps=gold.without_steps,
        exact=all(stepped.steps.exact for stepped in gold.stepped) and bool(gold.stepped),
        why_problems=lab.recipe.evaluation.why_problems,
        gold_kinds=gold.labelled,
        arms=lab.run.workers.taking(writing.items(), lambda item: _explain_arm(lab, *item, gold)),
    )


def gold_side(lab: Lab) -> GoldSide:
    """The right gold chains of the test set, with their steps and regularities."""
    task = lab.task
    chains: dict[str, Chain] = {}
    for chain in lab.data.gold:
        if chain.rationale.correct is not False:
            chains.setdefault(chain.problem.id, chain)
    most = lab.recipe.evaluation.why_problems or len(chains)
    stepped, without = step_chains(list(chains.values()), task.language, most)
    labelled = bool(chains) and all(chain.rationale.gold for chain in chains.values())
    if labelled:
        kinds = [[kind for kind, _ in chain.rationale.gold] for chain in chains.values()]
    else:
        kinds = judged_kinds(list(chains.values()), task)
    regularities = {
        name: regularity(chain_kinds) for name, chain_kinds in zip(chains, kinds, strict=True)
    }
    return GoldSide(chains, stepped, without, regularities, labelled)


def judged_kinds(chains: Sequence[Chain], task: Task) -> list[list[Kind]]:
    """The kind of each sub-sentence of each chain, told without labels; an empty chain has none."""
    pieces = [split(chain.rationale.text, task.language) for chain in chains]
    filled = [n for n, chain_pieces in enumerate(pieces) if "".join(chain_pieces).strip()]
    kinds: list[list[Kind]] = [[] for _ in chains]
    judged, _ = label_pieces(
        [chains[n] for n in filled], [pieces[n] for n in filled], LABEL_FREE, Scoring(task)
    )
    for n, chain_kinds in zip(filled, judged, strict=True):
        kinds[n] = chain_kinds
    return kinds


def _explain_arm(lab: Lab, name: str, by_seed: Sequence[GradedArm], gold: GoldSide) -> ArmWhy:
    steps, seconds = _steps(lab, by_seed, gold)
    binary = get_metric(lab.task.metric).binary
    written = [WrittenChains.of(graded) for graded in by_seed]
    regular, unmeasured = _regularity(lab, written, gold) if binary else ([], 0)
    return ArmWhy(
        name=name,
        seeds=[graded.seed for graded in by_seed],
        steps=steps,
        seconds=round(seconds, 2),
        diversity=_diversity(lab, written, gold) if binary and gold.chains else None,
        regularity=regular,
        unmeasured=unmeasured,
    )


# ---- error accumulation ----


def _steps(
    lab: Lab, by_seed: Sequence[GradedArm], gold: GoldSide
) -> tuple[list[StepResult], float]:
    """The accuracy of each step, and the seconds that continuing gold prefixes took."""
    if not gold.stepped:
        return [], 0.0
    free, given, seconds = [], [], 0.0
    for graded in by_seed:
        texts = {p.problem_id: p.text for p in graded.outcome.predictions}
        free.append([s.steps.right(texts.get(s.chain.problem.id, "")) for s in gold.stepped])
        student = graded.outcome.student
        if student is None or not lab.recipe.evaluation.why_problems:
            continue
        later, took = on_gold_prefixes(lab, graded.arm, graded.seed, student, gold.stepped)
        seconds += took
        first = [first_step(s, texts.get(s.chain.problem.id, "")) for s in gold.stepped]
        given.append([[begun, *rest] for begun, rest in zip(first, later, strict=True)])
    table = step_accuracies(free, given if len(given) == len(free) else None)
    return [_step_result(row) for row in table], seconds


def first_step(stepped: StepChain, text: str) -> bool:
    """Whether the first step is right in a chain that the student wrote from the question on."""
    equations = find_equations(text)[:NEXT_EQUATIONS]
    return any(stepped.steps.is_step(equation, 0) for equation in equations)


def _step_result(row: StepAccuracy) -> StepResult:
    return StepResult(
        first=row.first,
        last=row.last,
        n=row.n,
        gold_prefix=_figure(row.gold_prefix),
        free_running=_known(row.free_running),
        lost=_figure(row.lost),
    )


# ---- diversity ----


def _diversity(lab: Lab, written: Sequence[WrittenChains], gold: GoldSide) -> DiversityResult:
    def graded_chain(chains: WrittenChains, name: str) -> GradedChain:
        known = gold.chains.get(name)
        text = known.rationale.text if known else None
        return GradedChain(chains.texts.get(name, ""), text, chains.values[name] == 1)

    result: Diversity = diversity(
        [[graded_chain(chains, name) for name in chains.values] for chains in written],
        lab.task.language,
    )
    return DiversityResult(
        right=result.right,
        differing=_figure(result.differing),
        bleu_right=_figure(result.bleu_right),
        bleu_wrong=_figure(result.bleu_wrong),
        distinct=result.distinct,
    )


# ---- regularity ----


def _regularity(
    lab: Lab, written: Sequence[WrittenChains], gold: GoldSide
) -> tuple[list[RegularityResult], int]:
    """Accuracy by the regularity of the written and of the gold chains; and how many written
    chains have none."""
    problems = {problem.id: problem for problem in lab.data.test}
    regularities: list[list[float | None]] = []
    for chains in written:
        texts = [
            Chain(problems[name], Rationale(f"{name}/written", name, chains.texts.get(name, "")))
            for name in chains.values
        ]
        regularities.append([regularity(kinds) for kinds in judged_kinds(texts, lab.task)])
    values = [list(chains.values.values()) for chains in written]
    of_gold = [[gold.regularities.get(name) for name in chains.values] for chains in written]
    bins = [
        *(
            _regularity_result("written", row)
            for row in accuracy_by_regularity(regularities, values)
        ),
        *(_regularity_result("gold", row) for row in accuracy_by_regularity(of_gold, values)),
    ]
    return bins, sum(value is None for by_seed in regularities for value in by_seed)


def _regularity_result(of: Literal["written", "gold"], row: Bin) -> RegularityResult:
    return RegularityResult(
        of=of, low=row.low, high=row.high, n=row.accuracy.n, accuracy=_known(row.accuracy)
    )


def _known(share: Share) -> Figure:
    return Figure(value=share.value, low=share.low, high=share.high)


def _figure(share: Share | None) -> Figure | None:
    return None if share is None else _known(share)
