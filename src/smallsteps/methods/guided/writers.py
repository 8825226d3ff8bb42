"""M_S, the small model, in the run folder: what it learns from, and its students, each made once.

    replies/replies.jsonl     M_L's reasoning and predictions for the training questions; not where
                              M_S learns from the rationales of the data
    held-out/replies.jsonl    the same for the validation questions
    seed<k>/<student>/        fitted students: small, distilled, unfiltered; refined ones, with
                              run/curves.jsonl: aspects, task, both, raft, dpo

How replies become chains is in `method.py`; what students do for the arms is in `stages.py`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from smallsteps.errors import DataError
from smallsteps.evaluation.grade import grade
from smallsteps.experiment.engines import logging_server
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import label_of
from smallsteps.experiment.stored_data import read_json_lines
from smallsteps.experiment.trained import Trained
from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding, EngineSettings
from smallsteps.methods.guided.config import (
    PREFIX,
    REFINEMENTS,
    GuidedSettings,
    RewardSettings,
    guided_students,
)
from smallsteps.methods.guided.method import (
    Reasoning,
    count_rationales,
    count_replies,
    data_reasoning,
    distillation_chains,
    guided_answers,
    reader_reasoning,
    write_rationales,
)
from smallsteps.methods.guided.rationales import predictions_of
from smallsteps.methods.guided.reader import Reader, ReaderQuestion
from smallsteps.methods.guided.reward import Likelihood, Rewarder
from smallsteps.methods.guided.roller import Roller
from smallsteps.quality.rated import References
from smallsteps.quality.scorer import Scorer
from smallsteps.records import Chain, Problem
from smallsteps.segments.examples import build_examples
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.files import write_rows
from smallsteps.training.reinforce import Reinforced, read_reinforced, reinforce
from smallsteps.training.settings import ReinforceSettings


@dataclass
class Writers:
    """The students that write rationales, and the reasoning that they learn from."""

    lab: Lab
    settings: GuidedSettings
    kinds: Sequence[str]
    """The arms of this run, without prefix."""
    reader: Reader
    likelihood: Likelihood | None
    """None: the reader's weights are not here."""
    judging: Scorer
    """Measures aspects, as the recipe's judge does."""

    @cached_property
    def names(self) -> list[str]:
        """The students that the arms need. Empty: no arm learns from reasoning about the training
        questions, or needs the length of such rationales."""
        return guided_students(self.kinds)

    @cached_property
    def cot(self) -> Decoding:
        """Greedy decoding of reasoning and prediction."""
        return Decoding(max_new_tokens=self.settings.reader.cot_tokens)

    # ---- reasoning about the training questions ----

    @property
    def _from_data(self) -> bool:
        """Whether M_S learns from the rationales of the data."""
        return self.settings.rationales == "data"

    @cached_property
    def reasoning(self) -> list[Reasoning]:
        """The reasoning about the training questions, right or wrong: M_L's or the data's."""
        problems = self.lab.data.train
        if self._from_data:
            reasoning = data_reasoning(problems, self.lab.data.train_rationales)
        else:
            reasoning = self._reader_reasoning("replies", problems)
        author = "the data" if self._from_data else self.reader.name
        counts = ", ".join(f"{count:,} {name}" for name, count in self._count(reasoning).items())
        self.lab.reporter.say(f"reasoning of {author}: {counts}")
        return reasoning

    def _reader_reasoning(self, stage: str, problems: Sequence[Problem]) -> list[Reasoning]:
        """M_L's reasoning about the problems, made once in the stage."""

        def make(folder: Path) -> None:
            questions = [ReaderQuestion(problem) for problem in problems]
            forecast = self.reader.forecast(questions, self.reader.cot, self.cot)
            self.lab.reporter.say(f"reader, reasoning: {forecast}")
            rows = (item.to_row() for item in reader_reasoning(problems, self.reader, self.cot))
            write_rows(folder / "replies.jsonl", rows)

        folder = self.lab.run.stage(stage, make)
        return [Reasoning.from_row(row) for row in read_json_lines(folder / "replies.jsonl")]

    def _count(self, reasoning: Sequence[Reasoning]) -> dict[str, int]:
        return (count_rationales if self._from_data else count_replies)(reasoning)

    @property
    def yields(self) -> dict[str, int] | None:
        """What came of the reasoning; None: no student was distilled."""
        return self._count(self.reasoning) if self.names else None

    @cached_property
    def right_chains(self) -> list[Chain]:
        """The reasoning that led to the right answer: what `distilled` learns."""
        chains = distillation_chains(self.reasoning, self.lab.data.train)
        if not chains and self._from_data:
            raise DataError(
                f"not one of {len(self.reasoning):,} rationales of data.chains is right and has "
                "any reasoning before its closing. Correct `predicted` and `answer`, or type "
                "guided.rationales=reader."
            )
        if not chains:
            raise DataError(
                f"not one of {len(self.reasoning):,} replies of {self.reader.name!r} was right and "
                f"had any reasoning. Look at {self.lab.run.path / 'replies'}, and change the "
                "prompt or the reader."
            )
        return chains

    @cached_property
    def validation_chains(self) -> list[Chain]:
        """Right reasoning about the validation questions; where there is none, what M_S learnt."""
        problems = self.lab.validation_problems()
        if self._from_data:
            reasoning = data_reasoning(problems, self.lab.data.validation_rationales)
        else:
            reasoning = self._reader_reasoning("held-out", problems)
        return distillation_chains(reasoning, problems) or self.right_chains

    # ---- students ----

    def student(self, name: str, seed: int) -> Path | str:
        """The folder of M_S as an arm uses it."""
        if name == "untrained":
            return self.lab.base_folder
        if name in REFINEMENTS:
            return self.refined(name, seed).folder
        return self.fitted(name, seed).folder("metric")

    def fitted(self, name: str, seed: int) -> Trained:
        """A student of the reasoning: right reasoning (`distilled`), all of it (`unfiltered`), or
        right reasoning with its answer (`small`).

        The checkpoint is the one whose arm answers most validation questions right: by the reader's
        answers, for `small` by its own."""
        task = self.lab.task
        if name == "unfiltered":
            chains = distillation_chains(self.reasoning, self.lab.data.train, filtered=False)
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
        kind, estimator = REFINEMENTS[name]
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
            writing = refinement.writing(lab.recipe.evaluation.batch_size)
            writing = writing.changed(server=logging_server(writing.server, lab.run.path))
            with closing(Roller(prompts, refinement.samples, decoding, writing)) as roll:
                reinforce(
                    student,
                    len(prompts),
                    roll,
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
        settings = EngineSettings(batch_size=self.lab.recipe.evaluation.batch_size)
        engine = open_engine(student, settings)
        samples = write_rationales(student, problems, task, decoding, engine=engine)
        answers = guided_answers(problems, [greedy for greedy, *_ in samples], self.reader)
        return grade(predictions_of(answers), problems, task).value

    # ---- aspects ----

    @cached_property
    def scorer(self) -> Scorer:
        """Aspects against the right reasoning; without fluency, which is not rewarded."""
        references = None
        if self.names:
            references = References.of([chain.rationale.text for chain in self.right_chains])
        return replace(self.judging, references=references, task=self.lab.task)


def _closed(chain: Chain, close: Callable[[str, str | None, Problem], str]) -> Chain:
    """The chain with a closing sentence that names its answer."""
    text = close(chain.rationale.text, chain.problem.answer, chain.problem)
    return Chain(chain.problem, replace(chain.rationale, text=text))
