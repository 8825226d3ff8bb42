"""LM-guided chain of thought as arms: the reader's answers with each kind of rationale, and what
becomes of them in the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallsteps.errors import RecipeError
from smallsteps.evaluation.grade import Score, grade
from smallsteps.experiment.arm import Arm
from smallsteps.experiment.grading import GradedArm
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import Details, Outcome
from smallsteps.generation.budget import Budget
from smallsteps.generation.replies import ReplyStore
from smallsteps.methods.guided.arm_results import (
    GuidedDetail,
    guidance_result,
    refinement_result,
)
from smallsteps.methods.guided.config import (
    NO_METHOD,
    PREFIX,
    REFINEMENTS,
    REWARDED,
    STANDARD,
    WITHOUT_A_STUDENT,
    GuidedSettings,
    guided_parts,
    guided_students,
)
from smallsteps.methods.guided.judging import (
    JudgeCheck,
    check_judge,
    needs_check,
)
from smallsteps.methods.guided.open_reader import open_reader
from smallsteps.methods.guided.rationales import GuidedAnswer, predictions_of
from smallsteps.methods.guided.reader import check_task
from smallsteps.methods.guided.results import GuidedResults
from smallsteps.methods.guided.stages import GuidedStages
from smallsteps.methods.guided.trained_reader import train_reader
from smallsteps.methods.guided.writers import Writers
from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.open_scorer import open_scorer
from smallsteps.quality.scorer import Scorer
from smallsteps.records import Problem
from smallsteps.tasks.multihop import supporting_facts
from smallsteps.training.reinforce import Reinforced

METHOD = "guided"
DISTILLED = f"{PREFIX}distilled"


@dataclass(frozen=True)
class GuidedArm:
    """One kind of rationale with which the reader answers."""

    name: str
    stages: GuidedStages
    method: str = METHOD

    @property
    def kind(self) -> str:
        """The name without its prefix."""
        return self.name.removeprefix(PREFIX)

    def against(self, names: Sequence[str]) -> list[str]:
        compared = [STANDARD] if STANDARD in names else []
        if DISTILLED in names and self.kind in (*REFINEMENTS, "cot", "small"):
            compared.append(DISTILLED)
        return compared

    def run(self, lab: Lab, seed: int) -> Outcome:
        answers = self.stages.answers(self.kind, seed)
        predictions = predictions_of(answers)
        refined = self.stages.writers.refined(self.kind, seed) if self.kind in REFINEMENTS else None
        quality = self.stages.quality(answers, seed)
        student, validation, cost = self._student(seed)
        return Outcome(
            predictions,
            shown=predictions,
            student=student,
            validation=validation,
            cost=cost,
            writes_chains=False,
            details=lambda score: self._details(lab, seed, answers, quality, refined, score),
            control=self.kind in WITHOUT_A_STUDENT or guided_parts(self.kind)[1] in NO_METHOD,
            handed_out=self._handed_out(),
            detail=GuidedDetail(answers, quality, refined),
        )

    def _student(self, seed: int) -> tuple[Path | None, float | None, dict[str, Any]]:
        """(the folder of the arm's student, its metric on validation, what its training cost)."""
        writer, _ = guided_parts(self.kind)
        if writer == "untrained" or writer not in guided_students([writer]):
            return None, None, {}
        fitted = self.stages.writers.fitted("distilled" if writer in REFINEMENTS else writer, seed)
        folder = Path(self.stages.writers.student(writer, seed))
        if writer in REFINEMENTS:
            # the evaluations are those of the distilled student, and this is another one
            cost = {**fitted.cost, "curve": []}
            return folder, self.stages.writers.refined(writer, seed).best.value, cost
        return folder, fitted.validation, fitted.cost

    def _handed_out(self) -> bool:
        """Of the students that guide, all; the one that answers alone only where none guides."""
        if guided_parts(self.kind)[1] is not None:
            return False
        guides = [
            name
            for name in self.stages.names
            if guided_parts(name)[1] is None and guided_students([name]) and name != "small"
        ]
        return self.kind != "small" or not [g for g in guides if g not in WITHOUT_A_STUDENT]

    def _details(
        self,
        lab: Lab,
        seed: int,
        answers: Sequence[GuidedAnswer],
        quality: Sequence[Mapping[str, Any]] | None,
        refined: Reinforced | None,
        score: Score,
    ) -> Details:
        """Rationales with the answers that the reader gave with and without them."""
        without: list[tuple[str | None, bool | None]] = [(None, None)] * len(answers)
        if "standard" in self.stages.names:
            plain = self.stages.answers("standard", seed)
            plain_grades = grade(predictions_of(plain), lab.data.test, lab.task).grades
            without = [
                (answer.answer, graded.value == 1.0)
                for answer, graded in zip(plain, plain_grades, strict=True)
            ]
        rows = []
        for number, answer in enumerate(answers):
            aspects = None if quality is None else quality[number]
            rows.append(
                {
                    "problem_id": answer.problem_id,
                    "rationale": answer.rationale,
                    "answer": answer.answer,
                    "right": score.grades[number].value == 1.0,
                    "answer_without": without[number][0],
                    "right_without": without[number][1],
                    "quality": aspects and {name: aspects.get(name) for name in ASPECTS},
                }
            )
        details: dict[str, Sequence[Mapping[str, Any]]] = {"guided": rows}
        if refined:
            details["refined"] = refined.curves
        return details


@dataclass
class GuidedRun:
    """The arms of LM-guided chain of thought in one run."""

    lab: Lab
    stages: GuidedStages
    judge: JudgeCheck | None = None

    def arms(self, name: str) -> list[Arm]:
        return [GuidedArm(name, self.stages)]

    def prepare(self) -> None:
        """Where the quality of rationales is rewarded or paid for, the judge is measured first."""
        if needs_check(self.lab.recipe) and self.stages.writers.names:
            self.judge = check_judge(
                self.lab.recipe,
                self.lab.run,
                self.stages.writers.right_chains,
                self.stages.writers.scorer,
                self.lab.reporter,
            )

    def results(self, graded: Sequence[GradedArm]) -> GuidedResults:
        writers = self.stages.writers
        guided = [arm for arm in graded if arm.arm.method == METHOD]
        plain = {arm.seed: arm for arm in guided if arm.name == STANDARD}
        return GuidedResults(
            reader=writers.reader.name,
            rationales=writers.settings.rationales,
            yields=writers.yields,
            guidance=[guidance_result(arm, plain.get(arm.seed)) for arm in guided],
            refinement=[
                refinement_result(arm.name, arm.seed, arm.outcome.detail.refined)
                for arm in guided
                if arm.outcome.detail.refined
            ],
            judge=[] if self.judge is None else self.judge.to_results(),
        )


def open_run(lab: Lab, names: Sequence[str]) -> GuidedRun:
    """The arms of this method in the lab; the reader is opened or trained; no call is made."""
    settings = lab.recipe.section(GuidedSettings)
    kinds = [name.removeprefix(PREFIX) for name in names]
    check_questions(lab, kinds)
    store = lab.resources.enter_context(closing(ReplyStore(settings.reader.store_path)))
    folder = None
    if settings.reader.name == "trained":
        folder = lab.run.stage("reader", lambda place: train_reader(lab, place), keep=True)
    opened = open_reader(
        settings.reader,
        lab.task,
        Budget(store, str(lab.run.path.resolve()), settings.reader),
        lab.access,
        folder,
        lab.reporter.say,
        device=lab.recipe.student.device,
        dtype=lab.recipe.evaluation.dtype,
        batch_size=lab.recipe.evaluation.batch_size,
    )
    judging = open_judging(lab, settings)
    writers = Writers(lab, settings, kinds, opened.reader, opened.likelihood, judging)
    return GuidedRun(lab, GuidedStages(lab, settings, kinds, writers))


def open_judging(lab: Lab, settings: GuidedSettings) -> Scorer:
    """The scorer of the recipe's judge, without references; no call is made. A chat model rates the
    rewarded aspects, within limits of its own."""
    judge, budget = settings.judge, None
    if judge.is_chat:
        store = lab.resources.enter_context(closing(ReplyStore(judge.store_path)))
        budget = Budget(store, f"{lab.run.path.resolve()} (judge)", judge)
    device = lab.recipe.student.device
    return open_scorer(
        judge, settings.encoder, budget, lab.access, device, lab.reporter.say, REWARDED
    )


def check_questions(lab: Lab, kinds: Sequence[str]) -> None:
    """Looks for what the arms need of the rows before the first call.

    Raises RecipeError for a task whose answers are not right or wrong, or a control that the rows
    have nothing for; DataError for a row that cannot be read."""
    data, task = lab.data, lab.task
    check_task(task)
    everything = (*data.train, *data.validation, *data.test)
    for problem in everything:
        task.render(problem)
        task.golds(problem)
        supporting_facts(problem)
    needs: dict[str, tuple[str, Callable[[Problem], object]]] = {
        "gold-facts": ("`supporting_facts`", supporting_facts),
        "random-context": ("`context`", lambda problem: problem.context),
    }
    for kind, (column, of_problem) in needs.items():
        bare = next((problem for problem in data.test if not of_problem(problem)), None)
        if kind in kinds and bare is not None:
            raise RecipeError(
                f"arm {PREFIX + kind!r} needs {column} in every test row, and {bare.id} has none. "
                "Add it, or leave the arm out of arms."
            )
    bare_count = sum(not problem.context for problem in everything)
    if bare_count:
        lab.reporter.say(
            f"{bare_count:,} of {len(everything):,} questions have no context: factuality, "
            "relevance, logicality and consistency are null for them, and of the rewarded aspects "
            "coherence alone counts"
        )
