"""Runs a recipe of LM-guided chain of thought: what `lm_guided.py` tells, as stages of one run
folder.

    data/                              questions with contexts
    reader/                            `trained` only: the model that learns to read and is then frozen
    replies/replies.jsonl              M_L's reasoning and predictions for the training questions; held-out/: for validation
    seed<k>/<student>/                 students: distilled, unfiltered, small (fit); aspects, task, both (reinforce)
    seed<k>/rationales/<student>-<n>/  what they wrote for the test questions: greedy (n = 1), samples (n > 1)
    arms/<arm>-seed<k>/                outcomes.jsonl, and predictions.jsonl, grades.jsonl for the page

Every stage is done once; killed anywhere, the same call goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any

from smallsteps.errors import DataError, RecipeError
from smallsteps.evaluation.grade import grade
from smallsteps.experiment.arm import Trained, Workshop
from smallsteps.experiment.data import Questions, load_questions, read_json_lines
from smallsteps.experiment.folder import RunFolder, complete
from smallsteps.experiment.recipe import (
    WRITERS,
    GuidedSettings,
    Recipe,
    guided_parts,
    guided_students,
)
from smallsteps.experiment.reporter import Reporter, Silent
from smallsteps.experiment.results import Results
from smallsteps.generation.access import Access
from smallsteps.generation.budget import Budget
from smallsteps.generation.generator import Decoding
from smallsteps.generation.replies import ReplyStore
from smallsteps.methods.beforehand import check_recipe
from smallsteps.methods.compare import base_student, in_folder
from smallsteps.methods.guided.judging import check_judge, needs_check
from smallsteps.methods.guided.method import (
    Outcome,
    Reasoned,
    Written,
    alone,
    by_confidence,
    by_gold,
    by_quality,
    chosen,
    gold_facts,
    guided,
    lessons,
    masked,
    other,
    random_context,
    reasoned,
    small_alone,
    voted,
    write,
    yields,
)
from smallsteps.methods.guided.open import open_reader
from smallsteps.methods.guided.reader import Asked, Reader, check_task, nothing_read
from smallsteps.methods.guided.reading import train_reader
from smallsteps.methods.guided.reward import Kind, Likelihood, Rewarder, RewardSettings
from smallsteps.methods.guided.rollouts import roller
from smallsteps.methods.guided.summary import Arm, results
from smallsteps.quality.judges import Judge, Similarity
from smallsteps.quality.model_judges import open_judges
from smallsteps.quality.rated import Rated, References
from smallsteps.quality.scorer import Scorer
from smallsteps.records import Chain, Prediction
from smallsteps.segments.examples import build_examples
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import write_rows
from smallsteps.tasks.multihop import supporting_facts
from smallsteps.teaching.prompts import check_prompts
from smallsteps.training.reinforce import Reinforced, read_reinforced, reinforce
from smallsteps.training.settings import ReinforceSettings

REFINED: dict[str, tuple[Kind | None, str | None]] = {
    "aspects": ("aspects", None),
    "task": ("task", None),
    "both": (None, None),
    "raft": (None, "raft"),
    "dpo": (None, "dpo"),
}
"""Arm -> (kind of reward, estimator); None: the recipe's."""


def guide(
    recipe: Recipe,
    out: Path | str,
    reporter: Reporter | None = None,
    command: str = "",
    access: Access | None = None,
) -> Results:
    """Runs the recipe in the folder `out`, or goes on with it; returns its results.

    `access`: base URL and key of the reader, which no recipe and no file names. Raises UserError
    where something cannot be done as asked, before the first call and the first training where that
    can be known."""
    if recipe.guided is None:
        raise RecipeError("this recipe has no section `guided`; smallsteps.compare runs it")
    told = reporter or Silent()
    return in_folder(
        recipe, out, command, told, lambda run: _run(recipe, run, told, access or Access())
    )


def _run(recipe: Recipe, run: RunFolder, reporter: Reporter, access: Access) -> Results:
    words = recipe.guided
    assert words is not None
    check_recipe(recipe, access, data_is_there=complete(run.path / "data"))
    questions = load_questions(recipe, run, reporter.say)
    check_questions(questions, recipe.arms, reporter)
    check_prompts(
        (words.reader.guided, words.reader.standard, words.reader.cot),
        questions.task,
        questions.train[0],
    )
    judges = open_judges(words.judge, words.encoder, recipe.student.device)
    own = words.reader
    with closing(ReplyStore(own.store_path)) as store:
        budget = Budget(store, str(run.path.resolve()), own)
        base = base_student(recipe, questions, run)
        folder = None
        if own.name == "trained":
            folder = run.stage(
                "reader",
                lambda place: train_reader(recipe, questions, base, place, reporter),
                keep=True,
            )
        opened = open_reader(
            own,
            questions.task,
            budget,
            access,
            folder,
            reporter.say,
            device=recipe.student.device,
            batch_size=recipe.evaluation.batch_size,
        )
        stages = Stages(
            recipe, run, questions, base, opened.reader, opened.likelihood, judges, reporter
        )
        check = None
        if needs_check(recipe):
            check = check_judge(recipe, run, stages.taught, stages.scorer, reporter)
        arms = [stages.arm(name, seed) for seed in recipe.seeds for name in recipe.arms]
        return results(
            recipe,
            run,
            questions,
            arms,
            reader=stages.reader.name,
            yields=yields(stages.replies) if stages.distils else None,
            judge=check,
        )


def check_questions(questions: Questions, arms: Sequence[str], reporter: Reporter) -> None:
    """What the arms need of the rows is looked for before the first call. Raises RecipeError for a
    task whose answers are not right or wrong, or a control that the rows have nothing for;
    DataError for a row that cannot be read."""
    task = questions.task
    check_task(task)
    everything = (*questions.train, *questions.validation, *questions.test)
    for problem in everything:
        task.render(problem)
        task.golds(problem)
        supporting_facts(problem)
    for arm, there, what in (
        ("gold-facts", supporting_facts, "`supporting_facts`"),
        ("random-context", lambda problem: problem.context, "`context`"),
    ):
        bare = next((problem for problem in questions.test if not there(problem)), None)
        if arm in arms and bare is not None:
            raise RecipeError(
                f"arm {arm!r} needs {what} in every test row, and {bare.id} has none. Add it, or leave the arm out of arms."
            )
    bare_count = sum(not problem.context for problem in everything)
    if bare_count:
        reporter.say(
            f"{bare_count:,} of {len(everything):,} questions have no context: factuality, relevance, logicality and "
            "consistency are null for them, and of the rewarded aspects coherence alone counts"
        )


@dataclass
class Stages:
    """The run folder and all that its arms are made from."""

    recipe: Recipe
    run: RunFolder
    questions: Questions
    base_folder: Path | str
    reader: Reader
    likelihood: Likelihood | None
    judges: tuple[Judge, Similarity]
    reporter: Reporter
    _seconds: dict[str, float] = field(default_factory=dict)
    _scorers: dict[int, Scorer] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        return self.questions.task

    @cached_property
    def words(self) -> GuidedSettings:
        assert self.recipe.guided is not None
        return self.recipe.guided

    @cached_property
    def distils(self) -> bool:
        """Whether any arm learns from M_L's replies to the training questions, or is as long as
        what was learnt."""
        return bool(guided_students(self.recipe.arms))

    @cached_property
    def cot(self) -> Decoding:
        return Decoding(self.words.reader.cot_tokens)

    # ---- what M_L says to the training questions ----

    @cached_property
    def replies(self) -> list[Reasoned]:
        def make(folder: Path) -> None:
            asked = [Asked(problem) for problem in self.questions.train]
            self.reporter.say(
                f"reader, reasoning: {self.reader.forecast(asked, self.reader.cot, self.cot)}"
            )
            found = reasoned(self.questions.train, self.reader, self.cot)
            write_rows(folder / "replies.jsonl", (one.to_row() for one in found))

        folder = self.run.stage("replies", make)
        found = [Reasoned.from_row(row) for row in read_json_lines(folder / "replies.jsonl")]
        told = ", ".join(f"{count:,} {name}" for name, count in yields(found).items())
        self.reporter.say(f"reasoning of {self.reader.name}: {told}")
        return found

    @cached_property
    def taught(self) -> list[Chain]:
        found = lessons(self.replies, self.questions.train)
        if not found:
            raise DataError(
                f"not one of {len(self.replies):,} replies of {self.reader.name!r} was right and had any reasoning. Look at "
                f"{self.run.path / 'replies'}, and change the prompt or the reader."
            )
        return found

    # ---- students ----

    def student(self, name: str, seed: int) -> Path | str:
        """The folder of M_S as an arm uses it."""
        if name == "untrained":
            return self.base_folder
        if name in REFINED:
            return self._refined(name, seed).folder
        return self._fitted(name, seed).folder("metric")

    def _fitted(self, name: str, seed: int) -> Trained:
        """distilled: right reasoning; unfiltered: all of it; small: right reasoning with its
        answer. The checkpoint is the one whose arm answers most validation questions right: the
        reader's answers, of `small` its own."""
        if name == "unfiltered":
            chains = lessons(self.replies, self.questions.train, filtered=False)
        else:
            chains = self.taught
        if name == "small":
            chains = [
                Chain(
                    c.problem,
                    replace(
                        c.rationale,
                        text=self.task.close(c.rationale.text, c.problem.answer, c.problem),
                    ),
                )
                for c in chains
            ]

        def make(folder: Path) -> None:
            shop = self._workshop(folder, seed, f"{name}, seed {seed}")
            student = prepare(
                shop.base(),
                self.task,
                path="direct",
                texts=[*shop.texts, *(c.rationale.text for c in chains)],
            )
            examples = build_examples(
                chains, [], self.task, "direct", causal=student.architecture == "causal"
            )
            metric = shop.validation_metric if name == "small" else self._useful
            shop.train_one(student, examples, [], metric=metric).write(folder)

        return Trained.read(self.run.stage(f"seed{seed}/{name}", make, keep=True))

    def _refined(self, name: str, seed: int) -> Reinforced:
        words = self.words.reinforce
        kind, estimator = REFINED[name]
        kind = kind or words.reward
        settings: ReinforceSettings = words
        if estimator:
            settings = words.changed(estimator=estimator, epochs=1)
        distilled = self.student("distilled", seed)

        def make(folder: Path) -> None:
            student = load_student(distilled, device=self.recipe.student.device, dtype="float32")
            own = {problem.id: problem for problem in self.questions.train}
            prompts = [
                (problem.id, student.source_ids(self.task, self.task.render(problem)))
                for problem in self.questions.train
            ]
            decoding = Decoding(self.words.max_new_tokens, words.temperature, seed=seed)
            rewarder = Rewarder(
                own,
                self.scorer,
                RewardSettings(kind, words.uplift and kind != "aspects", words.longest),
                self.reader,
                self.likelihood,
            )
            reinforce(
                student,
                len(prompts),
                roller(prompts, words.samples, decoding, self.recipe.evaluation.batch_size),
                rewarder,
                settings,
                folder / "run",
                metric=self._useful,
                progress=lambda done, total, row: self.reporter.advance(
                    f"reinforcing {name}, seed {seed}",
                    done,
                    total,
                    f"reward {row.get('reward', 0.0):.3f}",
                ),
                digest=f"{name}/{kind}",
                say=self.reporter.say,
                seed=seed,
                micro_batch_tokens=self.recipe.train.micro_batch_tokens,
            )

        folder = self.run.stage(f"seed{seed}/{name}", make, keep=True)
        done = read_reinforced(folder / "run")
        if done.stopped:
            self.reporter.say(f"{name}, seed {seed}: ended after step {done.steps}: {done.stopped}")
        return done

    def _useful(self, student: Student) -> float:
        """Validation, the same for every student that guides: per cent of the questions that M_L
        answers right with its greedy rationales."""
        problems = self.questions.validation[: self.recipe.train.validation_chains]
        decoding, batch_size = (
            Decoding(self.words.max_new_tokens),
            self.recipe.evaluation.batch_size,
        )
        own = [
            one[0] for one in write(student, problems, self.task, decoding, batch_size=batch_size)
        ]
        predictions = predictions_of(guided(problems, own, self.reader))
        return grade(predictions, problems, self.task).value

    @cached_property
    def scorer(self) -> Scorer:
        """Aspects against M_L's own right reasoning; without fluency, which is not rewarded."""
        judge, similarity = self.judges
        return Scorer(
            judge=judge,
            similarity=similarity,
            references=References.of([chain.rationale.text for chain in self.taught])
            if self.distils
            else None,
            task=self.task,
        )

    @cached_property
    def held_out(self) -> list[Chain]:
        """M_L's right reasoning about the validation questions; where there is none, what M_S
        learnt."""

        def make(folder: Path) -> None:
            write_rows(
                folder / "replies.jsonl",
                (one.to_row() for one in reasoned(problems, self.reader, self.cot)),
            )

        problems = self.questions.validation[: self.recipe.train.validation_chains]
        rows = read_json_lines(self.run.stage("held-out", make) / "replies.jsonl")
        return lessons([Reasoned.from_row(row) for row in rows], problems) or self.taught

    def _fluent(self, seed: int) -> Scorer:
        """The scorer of the tables: fluency under the distilled student of this seed, on a scale
        set by `held_out`. Without fluency where no arm has that student."""
        if "distilled" not in guided_students(self.recipe.arms):
            return self.scorer
        if seed not in self._scorers:
            device = self.recipe.student.device
            student = load_student(
                self.student("distilled", seed), device=device, dtype=self.recipe.evaluation.dtype
            )
            own = replace(self.scorer, student=student)
            items = [
                Rated.of(chain.problem, chain.rationale.text, self.task) for chain in self.held_out
            ]
            references = References.of(
                [chain.rationale.text for chain in self.taught], own.likelihoods(items)
            )
            self._scorers[seed] = replace(own, references=references)
        return self._scorers[seed]

    def _workshop(self, out: Path, seed: int, label: str) -> Workshop:
        return Workshop(
            recipe=self.recipe,
            task=self.task,
            seed=seed,
            out=out,
            base_folder=self.base_folder,
            texts=self.questions.texts,
            budget=self.recipe.train.budget,
            reporter=self.reporter,
            label=label,
            validation_problems=self.questions.validation[: self.recipe.train.validation_chains],
        )

    # ---- rationales on the test questions ----

    def rationales(self, name: str, seed: int, samples: int = 1) -> list[list[Written]]:
        """What a student wrote for the test questions: greedy, or several samples."""
        place = f"seed{seed}/rationales/{name}-{samples}"

        def make(folder: Path) -> None:
            student = load_student(
                self.student(name, seed),
                device=self.recipe.student.device,
                dtype=self.recipe.evaluation.dtype,
            )
            student = prepare(student, self.task, path="direct", texts=self.questions.texts)
            decoding = Decoding(
                self.words.max_new_tokens, self.words.temperature if samples > 1 else 0.0, seed=seed
            )
            began = perf_counter()
            found = write(
                student,
                self.questions.test,
                self.task,
                decoding,
                samples,
                self.recipe.evaluation.batch_size,
            )
            seconds = (perf_counter() - began) / len(self.questions.test)
            write_rows(
                folder / "rationales.jsonl",
                (
                    {
                        "problem_id": p.id,
                        "seconds": round(seconds, 6),
                        "written": [[w.text, w.tokens, w.finished] for w in own],
                    }
                    for p, own in zip(self.questions.test, found, strict=True)
                ),
            )

        rows = read_json_lines(self.run.stage(place, make) / "rationales.jsonl")
        self._seconds[place] = rows[0]["seconds"] if rows else 0.0
        return [[Written(*one) for one in row["written"]] for row in rows]

    # ---- arms ----

    def arm(self, name: str, seed: int) -> Arm:
        """The arm's outcomes on the test questions, graded."""
        place = f"arms/{name}-seed{seed}"

        def make(folder: Path) -> None:
            outcomes, small_seconds = self._outcomes(name, seed)
            if name != "small" and all(one.answer is None for one in outcomes):
                raise nothing_read(self.reader, len(outcomes))
            write_rows(
                folder / "outcomes.jsonl",
                (replace(o, small_seconds=small_seconds).to_row() for o in outcomes),
            )

        self._written(name, seed)  # first, so that damage shows also where the arm is done
        folder = self.run.stage(f"{place}/outcomes", make)
        outcomes = [Outcome.from_row(row) for row in read_json_lines(folder / "outcomes.jsonl")]
        scores = {
            metric: grade(
                predictions_of(outcomes),
                self.questions.test,
                self.task,
                dataset="test",
                seed=seed,
                metric=metric,
                resamples=self.recipe.evaluation.bootstrap,
            )
            for metric in (self.task.metric, *self.task.also)
        }
        self.reporter.say(f"{name}, seed {seed}: {scores[self.task.metric].signature()}")
        student, validation = self._student_of(name, seed)
        return Arm(
            name,
            seed,
            place,
            outcomes,
            scores,
            self._quality(outcomes, seed),
            student,
            validation,
            self._refined(name, seed) if name in REFINED else None,
        )

    def _student_of(self, name: str, seed: int) -> tuple[str | None, float | None]:
        """(the folder of the arm's student within the run's, its figure on validation)."""
        writer, _ = guided_parts(name)
        if writer == "untrained" or writer not in guided_students([writer]):
            return None, None
        folder = Path(self.student(writer, seed)).relative_to(self.run.path).as_posix()
        if writer in REFINED:
            return folder, self._refined(writer, seed).best.value
        return folder, self._fitted(writer, seed).validation

    def _outcomes(self, name: str, seed: int) -> tuple[list[Outcome], float]:
        problems, reader = self.questions.test, self.reader
        sampled = Decoding(self.words.reader.cot_tokens, self.words.temperature, seed=seed)
        plain: dict[str, Callable[[], list[Outcome]]] = {
            "standard": lambda: alone(problems, reader),
            "cot": lambda: alone(problems, reader, self.cot),
            "cot-sc": lambda: alone(problems, reader, sampled, self.words.samples),
            "gold-facts": lambda: guided(problems, gold_facts(problems), reader),
            "random-context": lambda: guided(
                problems, random_context(problems, self._greedy("distilled", seed), seed), reader
            ),
        }
        if name in plain:
            return plain[name](), 0.0
        if name == "small":
            return small_alone(problems, self._greedy("small", seed), self.task), self._seconds[
                f"seed{seed}/rationales/small-1"
            ]
        writer, how = guided_parts(name)
        written = self._written(name, seed)
        seconds = self._seconds[f"seed{seed}/rationales/{writer}-{self._samples(how)}"]
        return self._guided_by(written, how, seed), seconds

    def _written(self, name: str, seed: int) -> list[list[Written]]:
        """The rationales that an arm rests on; none for arms without a student."""
        writer, how = guided_parts("distilled" if name == "random-context" else name)
        if writer == "small" or writer in WRITERS:
            return self.rationales(writer, seed, self._samples(how))
        return []

    def _samples(self, how: str | None) -> int:
        return self.words.samples if how in ("sc", "quality", "confidence", "gold") else 1

    def _greedy(self, name: str, seed: int) -> list[Written]:
        return [own[0] for own in self.rationales(name, seed)]

    def _guided_by(
        self, written: Sequence[Sequence[Written]], how: str | None, seed: int
    ) -> list[Outcome]:
        problems, reader = self.questions.test, self.reader
        first = [own[0] for own in written]
        if how == "sc":
            return voted(problems, written, reader)
        if how == "other":
            return guided(problems, other(problems, first, seed), reader)
        if how == "masked":
            return guided(problems, masked(problems, first, self.task), reader)
        if how == "quality":
            return guided(problems, chosen(problems, written, by_quality(self.scorer)), reader)
        if how == "gold":
            return guided(problems, chosen(problems, written, by_gold(reader)), reader)
        if how == "confidence":
            assert self.likelihood is not None
            return guided(
                problems, chosen(problems, written, by_confidence(reader, self.likelihood)), reader
            )
        return guided(problems, first, reader)

    def _quality(self, outcomes: Sequence[Outcome], seed: int) -> list[dict[str, Any]] | None:
        """The aspects of what the reader was given; None where it was given nothing."""
        if any(one.rationale is None for one in outcomes):
            return None
        own = {problem.id: problem for problem in self.questions.test}
        rated = [Rated.of(own[one.problem_id], one.rationale or "", self.task) for one in outcomes]
        return [quality.to_row() for quality in self._fluent(seed).score(rated)]


def predictions_of(outcomes: Sequence[Outcome]) -> list[Prediction]:
    """Outcomes as `grade` reads them."""
    return [
        Prediction(
            f"{one.problem_id}/answer",
            one.problem_id,
            one.rationale or "",
            ((None, one.rationale or ""),),
            one.answer,
            "end",
            one.small_tokens + one.large_tokens,
            one.small_seconds + one.large_seconds,
        )
        for one in outcomes
    ]
