"""The stages of LM-guided chain of thought in the run folder, each made once.

    reader/                            `trained` only: the model that learns to read, then frozen
    replies/replies.jsonl              M_L's reasoning and predictions for the training questions
    held-out/replies.jsonl             the same for the validation questions
    seed<k>/<student>/                 fitted students: small, distilled, unfiltered; refined ones,
                                       with run/curves.jsonl: aspects, task, both, raft, dpo
    seed<k>/rationales/<student>-<n>/  their rationales for the test questions: greedy (n = 1), or
                                       samples
    arms/<arm>-seed<k>/outcomes/       the reader's answers

What students learn, and what arms there are, is in `method.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

from smallsteps.errors import DataError
from smallsteps.evaluation.grade import grade
from smallsteps.experiment.data import read_json_lines
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import label_of, place_of
from smallsteps.experiment.trained import Trained
from smallsteps.generation.generator import Decoding
from smallsteps.methods.guided.choices import (
    by_confidence,
    by_gold,
    by_quality,
    choose_rationales,
)
from smallsteps.methods.guided.config import (
    PREFIX,
    WRITERS,
    GuidedSettings,
    RewardKind,
    RewardSettings,
    guided_parts,
    guided_students,
)
from smallsteps.methods.guided.controls import (
    gold_facts,
    masked_rationales,
    other_rationales,
    random_context,
)
from smallsteps.methods.guided.method import (
    ReaderReply,
    count_replies,
    distillation_chains,
    guided_answers,
    reader_replies,
    student_answers,
    unguided_answers,
    voted_answers,
    write_rationales,
)
from smallsteps.methods.guided.rationales import GuidedAnswer, WrittenRationale, predictions_of
from smallsteps.methods.guided.reader import Reader, ReaderQuestion, nothing_read
from smallsteps.methods.guided.reward import Likelihood, Rewarder
from smallsteps.methods.guided.roller import roller
from smallsteps.quality.judges import Judge, Similarity
from smallsteps.quality.rated import Rated, References
from smallsteps.quality.scorer import Scorer
from smallsteps.records import Chain, Problem
from smallsteps.segments.examples import build_examples
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.files import write_rows
from smallsteps.training.reinforce import Reinforced, read_reinforced, reinforce
from smallsteps.training.settings import ReinforceSettings

REFINED: dict[str, tuple[RewardKind | None, str | None]] = {
    "aspects": ("aspects", None),
    "task": ("task", None),
    "both": (None, None),
    "raft": (None, "raft"),
    "dpo": (None, "dpo"),
}
"""Refined student → (kind of reward, estimator); None: the recipe's."""


@dataclass
class GuidedStages:
    """All that this method's arms are made from."""

    lab: Lab
    settings: GuidedSettings
    names: Sequence[str]
    """Its arms in this run, without prefix."""
    reader: Reader
    likelihood: Likelihood | None
    judges: tuple[Judge, Similarity]
    _seconds: dict[str, float] = field(default_factory=dict)
    """Stage of rationales → seconds for each question."""
    _scorers: dict[int, Scorer] = field(default_factory=dict)

    @cached_property
    def distils(self) -> bool:
        """Whether any arm learns from M_L's replies to the training questions, or is as long as
        what was learnt."""
        return bool(guided_students(self.names))

    @cached_property
    def cot(self) -> Decoding:
        return Decoding(max_new_tokens=self.settings.reader.cot_tokens)

    # ---- M_L's replies to the training questions ----

    @cached_property
    def replies(self) -> list[ReaderReply]:
        """M_L's reasoning about the training questions."""
        problems = self.lab.data.train

        def make(folder: Path) -> None:
            questions = [ReaderQuestion(problem) for problem in problems]
            forecast = self.reader.forecast(questions, self.reader.cot, self.cot)
            self.lab.reporter.say(f"reader, reasoning: {forecast}")
            rows = (reply.to_row() for reply in reader_replies(problems, self.reader, self.cot))
            write_rows(folder / "replies.jsonl", rows)

        folder = self.lab.run.stage("replies", make)
        rows = read_json_lines(folder / "replies.jsonl")
        replies = [ReaderReply.from_row(row) for row in rows]
        counts = ", ".join(f"{count:,} {name}" for name, count in count_replies(replies).items())
        self.lab.reporter.say(f"reasoning of {self.reader.name}: {counts}")
        return replies

    @cached_property
    def right_chains(self) -> list[Chain]:
        """M_L's reasoning that led to the right answer: what `distilled` learns."""
        chains = distillation_chains(self.replies, self.lab.data.train)
        if not chains:
            raise DataError(
                f"not one of {len(self.replies):,} replies of {self.reader.name!r} was right and "
                f"had any reasoning. Look at {self.lab.run.path / 'replies'}, and change the "
                "prompt or the reader."
            )
        return chains

    @cached_property
    def validation_chains(self) -> list[Chain]:
        """M_L's right reasoning about the validation questions; where there is none, what M_S
        learnt."""
        problems = self.lab.validation_problems()

        def make(folder: Path) -> None:
            rows = (reply.to_row() for reply in reader_replies(problems, self.reader, self.cot))
            write_rows(folder / "replies.jsonl", rows)

        rows = read_json_lines(self.lab.run.stage("held-out", make) / "replies.jsonl")
        replies = [ReaderReply.from_row(row) for row in rows]
        return distillation_chains(replies, problems) or self.right_chains

    # ---- students ----

    def student(self, name: str, seed: int) -> Path | str:
        """The folder of M_S as an arm uses it."""
        if name == "untrained":
            return self.lab.base_folder
        if name in REFINED:
            return self.refined(name, seed).folder
        return self.fitted(name, seed).folder("metric")

    def fitted(self, name: str, seed: int) -> Trained:
        """A student of M_L's reasoning: right reasoning (`distilled`), all of it (`unfiltered`), or
        right reasoning with its answer (`small`).

        The checkpoint is the one whose arm answers most validation questions right: by the reader's
        answers, for `small` by its own."""
        task = self.lab.task
        if name == "unfiltered":
            chains = distillation_chains(self.replies, self.lab.data.train, filtered=False)
        elif name == "small":
            chains = [_closed(chain, task.close) for chain in self.right_chains]
        else:
            chains = self.right_chains

        def make(folder: Path) -> Trained:
            job = self.lab.job(seed, folder, label_of(PREFIX + name, seed))
            texts = [*job.texts, *(chain.rationale.text for chain in chains)]
            student = prepare(job.base(), task, path="direct", texts=texts)
            causal = student.architecture == "causal"
            examples = build_examples(chains, [], task, "direct", causal=causal)
            metric = job.validation_metric if name == "small" else self._usefulness
            return job.train_one(student, examples, [], metric=metric)

        return self.lab.train_once(f"seed{seed}/{name}", label_of(PREFIX + name, seed), make)

    def refined(self, name: str, seed: int) -> Reinforced:
        """The distilled student, refined by reinforcement learning."""
        refinement, lab = self.settings.reinforce, self.lab
        kind, estimator = REFINED[name]
        kind = kind or refinement.reward
        settings: ReinforceSettings = refinement
        if estimator:
            settings = refinement.changed(estimator=estimator, epochs=1)
        distilled = self.student("distilled", seed)
        label = label_of(PREFIX + name, seed)

        def make(folder: Path) -> None:
            student = load_student(distilled, device=lab.recipe.student.device, dtype="float32")
            problems = {problem.id: problem for problem in lab.data.train}
            prompts = [
                (problem.id, student.source_ids(lab.task, lab.task.render(problem)))
                for problem in lab.data.train
            ]
            decoding = Decoding(
                max_new_tokens=self.settings.max_new_tokens,
                temperature=refinement.temperature,
                seed=seed,
            )
            rewarder = Rewarder(
                problems,
                self.scorer,
                RewardSettings(
                    reward=kind,
                    uplift=refinement.uplift and kind != "aspects",
                    longest=refinement.longest,
                ),
                self.reader,
                self.likelihood,
            )
            reinforce(
                student,
                len(prompts),
                roller(prompts, refinement.samples, decoding, lab.recipe.evaluation.batch_size),
                rewarder,
                settings,
                folder / "run",
                metric=self._usefulness,
                progress=lambda done, total, row: lab.reporter.advance(
                    f"reinforcing {label}", done, total, f"reward {row.get('reward', 0.0):.3f}"
                ),
                digest=f"{name}/{kind}",
                seed=seed,
                micro_batch_tokens=lab.recipe.train.micro_batch_tokens,
                say=lab.reporter.say,
            )

        folder = lab.run.stage(f"seed{seed}/{name}", make, keep=True)
        result = read_reinforced(folder / "run")
        if result.stopped:
            lab.reporter.say(f"{label}: ended after step {result.steps}: {result.stopped}")
        return result

    def _usefulness(self, student: Student) -> float:
        """Validation, the same for every student that guides: per cent of the questions that M_L
        answers right with its greedy rationales."""
        problems, task = self.lab.validation_problems(), self.lab.task
        decoding = Decoding(max_new_tokens=self.settings.max_new_tokens)
        batch_size = self.lab.recipe.evaluation.batch_size
        samples = write_rationales(student, problems, task, decoding, batch_size=batch_size)
        answers = guided_answers(problems, [greedy for greedy, *_ in samples], self.reader)
        return grade(predictions_of(answers), problems, task).value

    # ---- aspects ----

    @cached_property
    def scorer(self) -> Scorer:
        """Aspects against M_L's own right reasoning; without fluency, which is not rewarded."""
        judge, similarity = self.judges
        references = None
        if self.distils:
            references = References.of([chain.rationale.text for chain in self.right_chains])
        return Scorer(judge=judge, similarity=similarity, references=references, task=self.lab.task)

    def scorer_with_fluency(self, seed: int) -> Scorer:
        """The scorer of the tables: fluency under the distilled student of this seed, on a scale
        set by `validation_chains`. Without fluency where no arm has that student."""
        if "distilled" not in guided_students(self.names):
            return self.scorer
        if seed not in self._scorers:
            recipe = self.lab.recipe
            student = load_student(
                self.student("distilled", seed),
                device=recipe.student.device,
                dtype=recipe.evaluation.dtype,
            )
            scorer = replace(self.scorer, student=student)
            items = [
                Rated.of(chain.problem, chain.rationale.text, self.lab.task)
                for chain in self.validation_chains
            ]
            texts = [chain.rationale.text for chain in self.right_chains]
            references = References.of(texts, scorer.likelihoods(items))
            self._scorers[seed] = replace(scorer, references=references)
        return self._scorers[seed]

    def quality(self, answers: Sequence[GuidedAnswer], seed: int) -> list[dict[str, Any]] | None:
        """The aspects of what the reader was given; None where it was given nothing."""
        if any(answer.rationale is None for answer in answers):
            return None
        problems = {problem.id: problem for problem in self.lab.data.test}
        items = [
            Rated.of(problems[answer.problem_id], answer.rationale or "", self.lab.task)
            for answer in answers
        ]
        return [quality.to_row() for quality in self.scorer_with_fluency(seed).score(items)]

    # ---- rationales for the test questions ----

    def rationales(self, name: str, seed: int, samples: int = 1) -> list[list[WrittenRationale]]:
        """What a student wrote for the test questions: greedy, or several samples."""
        place = f"seed{seed}/rationales/{name}-{samples}"
        recipe, problems, task = self.lab.recipe, self.lab.data.test, self.lab.task

        def make(folder: Path) -> None:
            student = load_student(
                self.student(name, seed),
                device=recipe.student.device,
                dtype=recipe.evaluation.dtype,
            )
            student = prepare(student, task, path="direct", texts=self.lab.data.texts)
            temperature = self.settings.temperature if samples > 1 else 0.0
            decoding = Decoding(
                max_new_tokens=self.settings.max_new_tokens, temperature=temperature, seed=seed
            )
            began = perf_counter()
            written = write_rationales(
                student, problems, task, decoding, samples, recipe.evaluation.batch_size
            )
            seconds = round((perf_counter() - began) / len(problems), 6)
            rows = (
                {
                    "problem_id": problem.id,
                    "seconds": seconds,
                    "written": [[text.text, text.tokens, text.finished] for text in texts],
                }
                for problem, texts in zip(problems, written, strict=True)
            )
            write_rows(folder / "rationales.jsonl", rows)

        rows = read_json_lines(self.lab.run.stage(place, make) / "rationales.jsonl")
        self._seconds[place] = rows[0]["seconds"] if rows else 0.0
        return [[WrittenRationale(*text) for text in row["written"]] for row in rows]

    # ---- answers ----

    def answers(self, name: str, seed: int) -> list[GuidedAnswer]:
        """The answers of the arm `name` (without prefix) to the test questions."""

        def make(folder: Path) -> None:
            answers, small_seconds = self._answers(name, seed)
            if name != "small" and all(answer.answer is None for answer in answers):
                raise nothing_read(self.reader, len(answers))
            timed = (replace(answer, small_seconds=small_seconds) for answer in answers)
            write_rows(folder / "outcomes.jsonl", (answer.to_row() for answer in timed))

        self._rationales_of(name, seed)  # first: damage shows also where the arm is finished
        folder = self.lab.run.stage(f"arms/{place_of(PREFIX + name, seed)}/outcomes", make)
        rows = read_json_lines(folder / "outcomes.jsonl")
        return [GuidedAnswer.from_row(row) for row in rows]

    def _answers(self, name: str, seed: int) -> tuple[list[GuidedAnswer], float]:
        """Answers, and the seconds that M_S took for each."""
        problems, reader = self.lab.data.test, self.reader
        cot_tokens, temperature = self.settings.reader.cot_tokens, self.settings.temperature
        sampled = Decoding(max_new_tokens=cot_tokens, temperature=temperature, seed=seed)
        without_student: dict[str, Callable[[], list[GuidedAnswer]]] = {
            "standard": lambda: unguided_answers(problems, reader),
            "cot": lambda: unguided_answers(problems, reader, self.cot),
            "cot-sc": lambda: unguided_answers(problems, reader, sampled, self.settings.samples),
            "gold-facts": lambda: guided_answers(problems, gold_facts(problems), reader),
            "random-context": lambda: guided_answers(problems, self._random_context(seed), reader),
        }
        if name in without_student:
            return without_student[name](), 0.0
        if name == "small":
            answers = student_answers(problems, self._greedy("small", seed), self.lab.task)
            return answers, self._seconds[f"seed{seed}/rationales/small-1"]
        writer, how = guided_parts(name)
        written = self._rationales_of(name, seed)
        seconds = self._seconds[f"seed{seed}/rationales/{writer}-{self._samples(how)}"]
        return self._guided_by(written, how, seed), seconds

    def _random_context(self, seed: int) -> list[WrittenRationale]:
        return random_context(self.lab.data.test, self._greedy("distilled", seed), seed)

    def _rationales_of(self, name: str, seed: int) -> list[list[WrittenRationale]]:
        """The rationales that an arm rests on; empty for arms without a student."""
        writer, how = guided_parts("distilled" if name == "random-context" else name)
        if writer == "small" or writer in WRITERS:
            return self.rationales(writer, seed, self._samples(how))
        return []

    def _samples(self, how: str | None) -> int:
        return self.settings.samples if how in ("sc", "quality", "confidence", "gold") else 1

    def _greedy(self, name: str, seed: int) -> list[WrittenRationale]:
        return [greedy for greedy, *_ in self.rationales(name, seed)]

    def _guided_by(
        self, written: Sequence[Sequence[WrittenRationale]], how: str | None, seed: int
    ) -> list[GuidedAnswer]:
        """M_L's answers with the rationales as `how` turns or chooses them."""
        problems, reader = self.lab.data.test, self.reader
        first = [samples[0] for samples in written]
        if how == "sc":
            return voted_answers(problems, written, reader)
        if how == "other":
            return guided_answers(problems, other_rationales(first, seed), reader)
        if how == "masked":
            return guided_answers(
                problems, masked_rationales(problems, first, self.lab.task), reader
            )
        if how == "quality":
            return guided_answers(
                problems, choose_rationales(problems, written, by_quality(self.scorer)), reader
            )
        if how == "gold":
            return guided_answers(
                problems, choose_rationales(problems, written, by_gold(reader)), reader
            )
        if how == "confidence":
            assert self.likelihood is not None
            choice = by_confidence(reader, self.likelihood)
            return guided_answers(problems, choose_rationales(problems, written, choice), reader)
        return guided_answers(problems, first, reader)


def _closed(chain: Chain, close: Callable[[str, str | None, Problem], str]) -> Chain:
    """The chain with a closing sentence that names its answer."""
    text = close(chain.rationale.text, chain.problem.answer, chain.problem)
    return Chain(chain.problem, replace(chain.rationale, text=text))
