"""The arms of LM-guided chain of thought in the run folder: rationales and answers, each made once.

    reader/                            `trained` only: the model that learns to read, then frozen
    seed<k>/rationales/<student>-<n>/  rationales for the test questions: greedy (n = 1), or samples
    arms/<arm>-seed<k>/outcomes/       the reader's answers

The students are made in `writers.py`; what arms there are is in `method.py`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import place_of
from smallsteps.experiment.stored_data import read_json_lines
from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding
from smallsteps.methods.guided.choices import (
    by_confidence,
    by_gold,
    by_quality,
    choose_rationales,
)
from smallsteps.methods.guided.config import PREFIX, WRITERS, GuidedSettings, guided_parts
from smallsteps.methods.guided.controls import (
    gold_facts,
    masked_rationales,
    other_rationales,
    random_context,
)
from smallsteps.methods.guided.method import (
    guided_answers,
    student_answers,
    unguided_answers,
    voted_answers,
    write_rationales,
)
from smallsteps.methods.guided.rationales import GuidedAnswer, WrittenRationale
from smallsteps.methods.guided.reader import Reader, nothing_read
from smallsteps.methods.guided.writers import Writers
from smallsteps.quality.rated import Rated, References
from smallsteps.quality.scorer import Scorer
from smallsteps.students.loading import load_student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.files import write_rows

SAMPLED = ("sc", "quality", "confidence", "gold")
"""Ways of using several rationales of each question."""


@dataclass(frozen=True)
class Rationales:
    """A student's rationales for the test questions, and the time that they took."""

    samples: list[list[WrittenRationale]]
    """For each question, in order."""
    seconds: float
    """Per question."""

    @property
    def first(self) -> list[WrittenRationale]:
        """The first of each question; the greedy one where there is one."""
        return [samples[0] for samples in self.samples]


@dataclass
class GuidedStages:
    """Everything from which the arms of this method are made."""

    lab: Lab
    settings: GuidedSettings
    names: Sequence[str]
    """The arms of this run, without prefix."""
    writers: Writers
    _scorers: dict[int, Scorer] = field(default_factory=dict)
    """Seed → scorer with fluency."""

    @property
    def reader(self) -> Reader:
        return self.writers.reader

    # ---- rationales for the test questions ----

    def rationales(self, name: str, seed: int, samples: int = 1) -> Rationales:
        """The rationales of a student for the test questions: greedy, or several samples."""
        place = f"seed{seed}/rationales/{name}-{samples}"
        recipe, problems, task = self.lab.recipe, self.lab.data.test, self.lab.task

        def make(folder: Path) -> None:
            student = load_student(
                self.writers.student(name, seed),
                device=recipe.student.device,
                dtype=recipe.evaluation.dtype,
            )
            student = prepare(student, task, path="direct", texts=self.lab.data.texts)
            decoding = Decoding(
                max_new_tokens=self.settings.max_new_tokens,
                temperature=self.settings.temperature if samples > 1 else 0.0,
                seed=seed,
            )
            writing = recipe.evaluation.writing(recipe.evaluation.batch_size)
            with closing(open_engine(student, writing)) as engine:
                engine.start()
                began = perf_counter()
                written = write_rationales(student, problems, task, decoding, samples, engine)
                seconds = round((perf_counter() - began) / len(problems), 6)
            rows = (
                {
                    "problem_id": problem.id,
                    "seconds": seconds,
                    "rationales": [rationale.to_row() for rationale in rationales],
                }
                for problem, rationales in zip(problems, written, strict=True)
            )
            write_rows(folder / "rationales.jsonl", rows)

        rows = read_json_lines(self.lab.run.stage(place, make) / "rationales.jsonl")
        return Rationales(
            [[WrittenRationale.from_row(part) for part in row["rationales"]] for row in rows],
            rows[0]["seconds"] if rows else 0.0,
        )

    def _rationales_of(self, name: str, seed: int) -> Rationales | None:
        """The rationales that an arm uses, or (`random-context`) is as long as; None: it has no
        student."""
        writer, use = guided_parts("distilled" if name == "random-context" else name)
        if writer != "small" and writer not in WRITERS:
            return None
        return self.rationales(writer, seed, self.settings.samples if use in SAMPLED else 1)

    # ---- answers ----

    def answers(self, name: str, seed: int) -> list[GuidedAnswer]:
        """The answers of the arm `name` (without prefix) to the test questions."""
        # first, so that damage to the rationales shows also where the arm is finished
        rationales = self._rationales_of(name, seed)

        def make(folder: Path) -> None:
            if rationales is None or name == "random-context":
                answers = self._answers_without_student(name, seed, rationales)
            else:
                answers = self._answers_of_student(name, seed, rationales)
            if name != "small" and all(answer.answer is None for answer in answers):
                raise nothing_read(self.reader, len(answers))
            write_rows(folder / "outcomes.jsonl", (answer.to_row() for answer in answers))

        folder = self.lab.run.stage(f"arms/{place_of(PREFIX + name, seed)}/outcomes", make)
        rows = read_json_lines(folder / "outcomes.jsonl")
        return [GuidedAnswer.from_row(row) for row in rows]

    def _answers_without_student(
        self, name: str, seed: int, distilled: Rationales | None
    ) -> list[GuidedAnswer]:
        """The reader's answers alone, or with sentences of the context. `distilled`: rationales of
        which `random-context` takes the length."""
        problems, reader = self.lab.data.test, self.reader
        if name == "standard":
            return unguided_answers(problems, reader)
        if name == "cot":
            return unguided_answers(problems, reader, self.writers.cot)
        if name == "cot-sc":
            sampled = Decoding(
                max_new_tokens=self.settings.reader.cot_tokens,
                temperature=self.settings.temperature,
                seed=seed,
            )
            return unguided_answers(problems, reader, sampled, self.settings.samples)
        if name == "random-context" and distilled is not None:
            drawn = random_context(problems, distilled.first, seed)
            return guided_answers(problems, drawn, reader)
        return guided_answers(problems, gold_facts(problems), reader)

    def _answers_of_student(
        self, name: str, seed: int, rationales: Rationales
    ) -> list[GuidedAnswer]:
        """The answers that rest on a student's rationales, with the seconds that it took."""
        problems = self.lab.data.test
        if name == "small":
            answers = student_answers(problems, rationales.first, self.lab.task)
        elif guided_parts(name)[1] == "sc":
            answers = voted_answers(problems, rationales.samples, self.reader)
        else:
            given = self._given_to_reader(name, seed, rationales)
            answers = guided_answers(problems, given, self.reader)
        return [replace(answer, small_seconds=rationales.seconds) for answer in answers]

    def _given_to_reader(
        self, name: str, seed: int, rationales: Rationales
    ) -> list[WrittenRationale]:
        """One rationale for each question, as the arm chooses or changes it."""
        problems, samples = self.lab.data.test, rationales.samples
        _, use = guided_parts(name)
        if use == "other":
            return other_rationales(rationales.first, seed)
        if use == "masked":
            return masked_rationales(problems, rationales.first, self.lab.task)
        if use == "quality":
            return choose_rationales(problems, samples, by_quality(self.writers.scorer))
        if use == "gold":
            return choose_rationales(problems, samples, by_gold(self.reader))
        if use == "confidence":
            likelihood = self.writers.likelihood
            assert likelihood is not None, "`before.check` refuses such a recipe"
            return choose_rationales(problems, samples, by_confidence(self.reader, likelihood))
        return rationales.first

    # ---- aspects ----

    def scorer_with_fluency(self, seed: int) -> Scorer:
        """The scorer of the tables. Fluency is measured under the distilled student of this seed,
        on a scale set by `Writers.validation_chains`. There is none without that student, or where
        the recipe leaves it out."""
        if "distilled" not in self.writers.names or not self.settings.fluency:
            return self.writers.scorer
        if seed not in self._scorers:
            recipe = self.lab.recipe
            student = load_student(
                self.writers.student("distilled", seed),
                device=recipe.student.device,
                dtype=recipe.evaluation.dtype,
            )
            scorer = replace(self.writers.scorer, student=student)
            items = [
                Rated.of(chain.problem, chain.rationale.text, self.lab.task)
                for chain in self.writers.validation_chains
            ]
            texts = [chain.rationale.text for chain in self.writers.right_chains]
            references = References.of(texts, scorer.likelihoods(items))
            self._scorers[seed] = replace(scorer, references=references)
        return self._scorers[seed]

    def quality(self, answers: Sequence[GuidedAnswer], seed: int) -> list[dict[str, Any]] | None:
        """The aspects of the rationales that the reader got; None: it got none."""
        if any(answer.rationale is None for answer in answers):
            return None
        problems = {problem.id: problem for problem in self.lab.data.test}
        items = [
            Rated.of(problems[answer.problem_id], answer.rationale or "", self.lab.task)
            for answer in answers
        ]
        return [quality.to_row() for quality in self.scorer_with_fluency(seed).score(items)]
