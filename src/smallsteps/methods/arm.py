"""What the arms of a comparison share: how a base student is loaded, trained within the budget, and measured on the way.

An arm is a function `(Workshop, chains, validation chains, ...) -> Trained`. It decides what is learnt; how much, with
what settings and by which measures is the same for all and stands here, so that arms differ in one thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from smallsteps.evaluation.grade import grade
from smallsteps.evaluation.metrics import bleu
from smallsteps.generation.engine import LocalEngine
from smallsteps.generation.generator import Decoding, Request
from smallsteps.generation.solve import Solving, solve
from smallsteps.recipe import Recipe
from smallsteps.records import Example, Prediction, Problem
from smallsteps.runs import Reporter, Silent
from smallsteps.students.lora import LoraSettings, add_lora
from smallsteps.students.student import DualStudent, Student, load_student
from smallsteps.tasks.base import Task
from smallsteps.training.fit import fit
from smallsteps.training.preflight import Preflight
from smallsteps.training.settings import TrainSettings

CRITERIA = ("metric", "validation_loss", "train_loss", "bleu")
PAPER_CRITERIA = ("train_loss", "validation_loss", "bleu")
"""The three checkpoints of the paper (Sec. 4.2), the best of which it reports on the test set."""


@dataclass(frozen=True)
class Trained:
    """What an arm leaves: a student's folder for each criterion by which a checkpoint is chosen, and what it cost."""

    folders: dict[str, Path]
    train_tokens: int
    """Source + target, no padding; a dual pair's two together."""
    passes: float
    """Over the arm's examples, weighted by their tokens."""
    seconds: float
    curves: list[dict[str, Any]]

    def folder(self, criterion: str) -> Path:
        """The student chosen by `criterion`, or by the next best one that was measured."""
        return next(self.folders[name] for name in (criterion, *CRITERIA) if name in self.folders)


@dataclass
class Workshop:
    """Everything an arm needs besides its data."""

    recipe: Recipe
    task: Task
    seed: int
    out: Path
    base_folder: Path | str
    """Where the untrained student lies."""
    texts: Sequence[str]
    """All training text: what the student's tokenizer must be able to write."""
    validation_problems: Sequence[Problem]
    budget: int
    """Training tokens of the arm (`fair: tokens`)."""
    reporter: Reporter = field(default_factory=Silent)
    label: str = "arm"

    def base(self) -> Student:
        """The untrained student, freshly loaded."""
        words = self.recipe.student
        student = load_student(
            self.base_folder, device=words.device, dtype="float32" if words.dtype == "auto" else words.dtype
        )
        if words.dropout is not None:
            set_dropout(student.model, words.dropout)
        return student

    @cached_property
    def causal(self) -> bool:
        """Whether the student is a causal model."""
        return self.base().architecture == "causal"

    def settings(self, share: float = 1.0) -> TrainSettings:
        """The recipe's training words as settings; `share` of the budget for one half of a pair."""
        words = self.recipe.train.model_dump(exclude={"budget", "passes", "fair", "validation_chains", "report_to"})
        amount: dict[str, Any] = {"passes": self.recipe.train.passes}
        if self.recipe.train.fair == "tokens":
            amount = {"budget_tokens": max(1, round(self.budget * share))}
        return TrainSettings(**words, **amount, seed=self.seed, report_to=tuple(self.recipe.train.report_to))

    def train_one(
        self,
        student: Student,
        examples: Sequence[Example],
        validation: Sequence[Example],
        *,
        share: float = 1.0,
        measured: bool = True,
        folder: str = "",
    ) -> Trained:
        """Trains one model within its share of the budget; measures it on validation the way the arm generates."""
        if self.recipe.student.lora:
            add_lora(
                student, LoraSettings(rank=self.recipe.student.lora, alpha=2 * self.recipe.student.lora), seed=self.seed
            )
        label = f"{self.label} {folder}".strip()
        result = fit(
            student, examples, validation, self.settings(share), self.out / folder if folder else self.out,
            task=self.task,
            metric=self.validation_metric if measured else None,
            bleu=(lambda s: self.validation_bleu(s, validation)) if self.recipe.evaluation.segment_bleu else None,
            progress=lambda done, total, row: self.reporter.advance(f"training {label}", done, total, _brief(row)),
            announce=lambda report: self.announce(label, report),
        )  # fmt: skip
        return Trained(result.folders, result.train_tokens, result.passes, result.seconds, result.curves)

    def announce(self, label: str, report: Preflight) -> None:
        """What will be trained on, printed before the first step."""
        self.reporter.say(f"{label}: what is trained on")
        for line in report.lines():
            self.reporter.say(f"  {line}")

    def validation_metric(self, student: Student | DualStudent) -> float:
        """The task's main figure on the validation problems, greedy, generated the way the student's path generates."""
        predictions = self.answers(student, self.validation_problems)
        return grade(predictions, self.validation_problems, self.task).value

    def validation_bleu(self, student: Student, examples: Sequence[Example]) -> float:
        """BLEU of targets written on gold prefixes (the authors' validation figure)."""
        chosen = [example for example in examples if example.target][: self.recipe.train.validation_chains]
        written = self.targets(student, chosen)
        return bleu(written, [example.target for example in chosen], self.task.language)

    def targets(self, student: Student, examples: Sequence[Example]) -> list[str]:
        """What the student writes for each example, given the gold segments before it; greedy."""
        engine = LocalEngine(student, self.recipe.evaluation.batch_size)
        markers = set(student.markers.values())
        requests = [
            Request(
                str(index), student.source_ids(self.task, e.question, e.prefix, e.cue if self.encoder_decoder(student) else e.kind),
                max_new_tokens=self.task.max_segment_tokens if e.kind else self.task.max_chain_tokens,
                stop=(lambda ids: ids[-1] in markers) if markers else None,
            )
            for index, e in enumerate(examples)
        ]  # fmt: skip
        found = {reply.id: reply.text.strip() for reply in engine.generate(requests, Decoding())}
        return [found[request.id] for request in requests]

    @staticmethod
    def encoder_decoder(student: Student) -> bool:
        return student.architecture == "encoder-decoder"

    def answers(
        self,
        student: Student | DualStudent,
        problems: Sequence[Problem],
        label: str | None = None,
    ) -> list[Prediction]:
        """Greedy predictions for `problems`, in their order."""
        found: dict[str, Prediction] = {}
        solving = Solving(batch_size=self.recipe.evaluation.batch_size, source_limit=self.recipe.train.source_limit)
        for prediction in solve(student, problems, self.task, solving, Decoding()):
            found[prediction.problem_id] = prediction
            if label is not None:
                self.reporter.advance(f"answering {label}", len(found), len(problems))
        return [found[problem.id] for problem in problems]


def set_dropout(model: Any, rate: float) -> None:
    """Sets every dropout of a model, those that the configuration names included."""
    import torch

    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = rate
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = rate
    for name in ("dropout_rate", "dropout", "attention_dropout", "hidden_dropout", "activation_dropout"):
        if hasattr(model.config, name):
            setattr(model.config, name, rate)


def _brief(row: Any) -> str:
    loss = row.get("train_loss")
    metric = row.get("metric")
    return (f"loss {loss:.3f}" if loss is not None else "") + (
        f", validation {metric:.1f}" if metric is not None else ""
    )
