"""What a run is: one typed, strict value, read from YAML, printed back in full by `--dry-run`.

A recipe names every knob once. Unknown keys are refused with the nearest known one; `key=value` on
the command line (`train.learning_rate=1e-3`) changes a copy before it is checked. The same class
serves YAML, Python and the command line, so that the three cannot disagree. Numbers that the AS-ES
paper (Xi et al. 2024) gives stand here as defaults."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator

from smallsteps.config import (
    LARGEST_COUNT,
    Count,
    Name,
    NotNegative,
    Positive,
    Seed,
    Settings,
    Temperature,
    apply_changes,
    read_content,
    read_settings,
)
from smallsteps.errors import RecipeError, nearest
from smallsteps.experiment.method import method_of, methods, methods_of, needs_chains
from smallsteps.generation.settings import SPENDING_ONLY, CallSettings
from smallsteps.teaching.settings import TeacherSettings
from smallsteps.training.settings import ContrastSettings, ReinforceSettings, TrainSettings

BUNDLED = "bundled"
"""The student, and the data, that ship in the package."""


class Data(Settings):
    """Where chains come from and how they are split."""

    chains: Name | Annotated[list[Name], Field(min_length=1)] = BUNDLED
    """JSONL (CSV, Parquet, hub:NAME with the extra `hub`) of id, question, rationale, answer;
    `bundled` makes them."""
    task: Name = "numbers"
    """How questions are put and answers graded; see `smallsteps.tasks.TASKS`."""
    language: str | None = None
    """The language of the chains: a code of `smallsteps.tasks.languages` (zh, de, …). None: the
    task's, else guessed."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our field name → the file's, where they differ."""
    count: int = Field(1000, ge=10, le=1_000_000)
    """Bundled data only: training chains."""
    difficulty: Literal["easy", "medium", "hard"] = "medium"
    """Bundled data only."""
    validation_count: Count = 200
    """Bundled data only: validation chains."""
    test_count: Count = 500
    """Bundled data only: test problems."""
    validation: Name | None = None
    """A file of validation chains; None: a tenth of `chains`."""
    test: Name | None = None
    """A file of test problems; None: a tenth of `chains`."""
    also_test: dict[str, Name] = Field(default_factory=dict)
    """Further test sets, task name → file, graded beside the main one."""
    limit: int | None = Field(None, ge=1, examples=[1000])
    """Read only so many chains."""
    split_seed: Seed = 0
    """Seed of the 80/10/10 split by question, the same for every arm and training seed."""


class Segmentation(Settings):
    """How chains are cut (Sec. 2 of the method page)."""

    beta: Positive = 1.0
    """Threshold: a sub-sentence is AS where its score passes beta x the chain's mean (Eq. 1, 5;
    Fig. 3: best near 1)."""
    reduce: Literal["mean", "sum"] = "mean"
    """Over the tokens of a sub-sentence (the authors' code: sum)."""
    conditioning: Literal["rationale", "question"] = "rationale"
    """What a sub-sentence's score is conditioned on: question and earlier chain (Eq. 3), or the
    question alone (code)."""
    max_segments: int | None = Field(None, ge=1, le=1_000_000, examples=[20])
    """Segments a student may write; None: as many as the longest training chain has, and a quarter
    more."""
    folds: int = Field(1, ge=1, le=1000)
    """`ent`, `loss`: 1 scores chains with the direct student trained on them (paper); k scores each
    with one that was not."""
    gamma: NotNegative = 1.0
    """Reports only: normal regions included per report (paper: 1)."""


class Student(Settings):
    """Who learns."""

    name: Name = BUNDLED
    """`bundled`, a folder, or a hub name."""
    lora: int = Field(0, ge=0, le=100_000)
    """Rank of LoRA adapters; 0 trains all weights. The result is merged."""
    device: Name = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the loaded weights; training keeps them in float32 whatever they were saved in."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """None: as the model's configuration has it."""
    scratch: dict[str, Any] = Field(default_factory=dict)
    """From scratch instead of `name`: {tokenizer: bytes|characters, vocabulary, d_model, d_kv,
    heads, d_ff, layers, ...}, the words of `students.scratch.ScratchSettings`."""


class Evaluation(Settings):
    """How arms are graded."""

    batch_size: Count = 128
    dtype: Literal["float32", "bfloat16"] = "float32"
    checkpoint: Literal["metric", "validation_loss", "train_loss", "bleu"] = "metric"
    """Which checkpoint of a run is graded: best task metric on validation (the honest choice)."""
    segment_bleu: bool = False
    """Measure at each evaluation the BLEU of segments written on gold prefixes (the authors'
    validation figure)."""
    paper_protocol: bool = False
    """Also grade the three checkpoints of the paper on the test set and report the best of them."""
    bootstrap: int = Field(10_000, ge=100, le=10_000_000)
    """Resamples behind each interval."""
    stop_repetition: bool = False
    """End chains that run in a circle, in all arms alike, exams included."""


class TailoredSettings(ContrastSettings):
    """Tailored learning: exams, a teacher, and what is learnt from mistakes (Wang et al. 2023)."""

    rounds: int = Field(3, ge=1, le=1000)
    """Times the student is trained; it sits the exam before the first and after each."""
    teacher: TeacherSettings = Field(default_factory=TeacherSettings)
    rationales: int = Field(1, ge=1, le=1000)
    """Rationales asked for each question at the start (T_0); above 1 they can be each other's
    positives."""
    mistakes: int = Field(1, ge=1, le=1000)
    """Wrong rationales of a question that the teacher is shown in a round, each in a call of its
    own."""
    samples: int = Field(4, ge=1, le=1000)
    """Chains a question in an exam (code: 4)."""
    temperature: Temperature = 1.0
    """Of the exam (code: 1)."""
    top_k: Count = 50
    """Of the exam (code: 50)."""
    collect: Literal["accumulate", "replace"] = "accumulate"
    """Rationales to learn from: those of all rounds, or of the newest alone."""
    cap: int = Field(8, ge=1, le=1000)
    """`accumulate`: most rationales of a question, the newest first."""
    start: Literal["continue", "restart"] = "continue"
    """Where a round's training begins: at the last round's student (code), or at the untrained
    one."""
    min_gain: float | None = Field(None, ge=-100, le=100, examples=[0.5])
    """Stop where a round brought less on validation, in points; None: never."""
    min_failed: float = Field(1.0, ge=0, le=100)
    """Stop where less than this share of the questions, in per cent, has a sample that is not
    right."""
    segments: str | None = None
    """None: the student writes whole chains; `inter`, `bleu` or `rouge`: it learns and writes them
    segment by segment (uni-path AS-ES)."""
    demonstrations: int = Field(0, ge=0, le=32)
    """Causal students: worked training questions, fixed by the seed, that stand before every
    question in training, exam and test. They weigh `prompt_weight`."""
    equal: Literal["anchors", "all"] = "anchors"
    """What training tokens arms have in common: those of the rationales trained on, or all that go
    through the model, positives and negatives of the contrast included."""


class ReaderSettings(CallSettings):
    """The large frozen model that answers."""

    name: Name = "trained"
    """A model at `base_url`, a folder of a model, or `trained`: a small one that learns to read
    bundled facts in this run and is then frozen."""
    guided: Name = "read"
    """Prompt with a rationale: a bundled name or a file."""
    standard: Name = "standard"
    """Prompt without one."""
    cot: Name = "cot"
    """Prompt for reasoning and prediction in one go."""
    max_new_tokens: Count = 32
    """Of an answer."""
    cot_tokens: Count = 256
    """Of reasoning and prediction."""
    count: int = Field(1500, ge=10, le=1_000_000)
    """`trained` only: questions it learns from, none of them the run's."""
    budget: int = Field(1_000_000, ge=1, le=LARGEST_COUNT)
    """`trained` only: its training tokens."""
    noise: float = Field(0.5, ge=0, le=1)
    """`trained` only: share of the rationales it learns to read that are spoilt, so that it does
    not believe them all."""


class RefinementSettings(ReinforceSettings):
    """The refinement of the distilled student by reinforcement learning."""

    temperature: Temperature = 1.0
    """Of the rollouts."""
    reward: Literal["balanced", "paper"] = "balanced"
    """Reward of the arm `both`."""
    uplift: bool = False
    """Usefulness is the uplift of the gold answer's likelihood instead of the F1 of the reader's
    answer; needs the reader's weights."""
    longest: Count = 160
    """Words of a rationale beyond which it is worth nothing."""


class GuidedSettings(Settings):
    """LM-guided chain of thought: a small model writes rationales for a large frozen one (Lee et
    al. 2024)."""

    reader: ReaderSettings = Field(default_factory=ReaderSettings)
    reinforce: RefinementSettings = Field(default_factory=RefinementSettings)
    samples: int = Field(10, ge=2, le=1000)
    """Of self-consistency and of choosing one of n (paper: 10)."""
    temperature: Temperature = 0.7
    """Of those samples (paper: 0.7)."""
    max_new_tokens: Count = 96
    """Of a rationale."""
    judge: Name = "lexical"
    """Of the aspects: lexical, or a model of natural-language inference."""
    encoder: Name = "lexical"
    """Of the aspects: lexical, or a sentence encoder."""
    judge_min_auc: float = Field(0.7, ge=0, le=1)
    """On text that is not bundled the judge is measured before refinement: how often it ranks a
    rationale of this run above a spoilt one. A lexical judge below this ends the run; 0: never."""


class Recipe(Settings):
    """A comparison of arms on one data set by one student."""

    title: str = "comparison"
    about: str = ""
    """What it reproduces or shows, and whether the full run has been made."""
    arms: list[str] = Field(
        default_factory=lambda: ["direct", "ases-uni-inter", "ases-uni-ent"], min_length=1
    )
    """Ways of teaching to compare, of one method or of several: `direct`, `direct-report`;
    `ases-PATH-STRATEGY` (PATH uni, cue or dual; STRATEGY inter, ent, ent*, loss, bleu, rouge, gold);
    `tailored-full`, `tailored-t0-only`, ...; `guided-standard`, `guided-distilled`, ..."""
    baseline: str | None = None
    """The arm that the others are compared with. None: the first of direct, tailored-full and
    guided-standard in `arms`, else the first arm."""
    seeds: list[Seed] = Field(default_factory=lambda: [0], min_length=1, max_length=1000)
    """Training seeds."""
    sweep: dict[str, Annotated[list[NotNegative], Field(min_length=1)]] = Field(
        default_factory=dict, examples=["{beta: [0.8, 1.0, 1.2]}"]
    )
    """Figures: beta or gamma → values; each arm that has the knob is run once a value."""
    data: Data = Field(default_factory=Data)
    student: Student = Field(default_factory=Student)
    segmentation: Segmentation = Field(default_factory=Segmentation)
    train: TrainSettings = Field(default_factory=TrainSettings)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    tailored: TailoredSettings | None = None
    """Tailored learning; read by arms `tailored-...`."""
    guided: GuidedSettings | None = None
    """LM-guided chain of thought; read by arms `guided-...`."""

    @model_validator(mode="before")
    @classmethod
    def _default_sections(cls, content: Any) -> Any:
        """A method whose arms are named gets its section, with defaults where it is left out."""
        if not isinstance(content, dict) or not isinstance(content.get("arms"), list):
            return content
        content = dict(content)
        for arm in content["arms"]:
            method = method_of(arm) if isinstance(arm, str) else None
            if method and method.section and content.get(method.section) is None:
                content[method.section] = {}
        return content

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        named: dict[str, list[Any]] = {"arms": self.arms, "seeds": self.seeds}
        for key, values in named.items():
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise ValueError(f"{key}: {twice} is named twice")
        if self.baseline is not None and self.baseline not in self.arms:
            raise ValueError(f"baseline: {self.baseline!r} is none of the arms")
        self._check_sweep()
        arms = methods_of(self)
        for name, method in methods().items():
            if name in arms:
                method.check(self, arms[name])
            elif method.section in ("tailored", "guided") and getattr(self, method.section):
                raise ValueError(
                    f"{method.section}: no arm reads this section. Name one, such as "
                    f"{method.baseline}, or take the section out"
                )
        return self

    def _check_sweep(self) -> None:
        for knob, values in self.sweep.items():
            if knob not in ("beta", "gamma"):
                raise ValueError(f"sweep knows beta and gamma, not {knob!r}")
            if knob == "beta" and not all(values):
                raise ValueError("sweep.beta: expected numbers above 0, got 0")
            names = [f"{value:g}" for value in values]  # as they stand in the names of arms
            twice = next((name for name in names if names.count(name) > 1), None)
            if twice is not None:
                raise ValueError(f"sweep.{knob}: {twice} is named twice")
        if self.sweep and not needs_chains(self):
            raise ValueError("sweep: only AS-ES arms have one; leave it out")

    def digest(self) -> str:
        """Names the recipe's content: equal digests mean equal runs. Where it runs (device), how
        fast a teacher is asked and what it may cost are left out."""
        content = self.model_dump(mode="json")
        content["student"].pop("device")
        for section, model in (("tailored", "teacher"), ("guided", "reader")):
            if content[section] is None:
                content.pop(section)
            else:
                for key in SPENDING_ONLY:
                    content[section][model].pop(key)
        if "guided" in content:
            content["guided"].pop("judge_min_auc")  # decides whether a run goes on, nothing else
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def to_yaml(self) -> str:
        """The resolved recipe, every knob named."""
        return yaml.safe_dump(
            self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110
        )


def load_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """The recipe of a YAML file or of a bundled name (`demo`, `as-es/gsm8k`), with `key=value`
    changes.

    Raises RecipeError: no such recipe, broken YAML, an unknown or ill-typed key.
    """
    content = recipe_content(name)
    apply_changes(content, changes)
    return make_recipe(content, name)


def recipe_content(name: str) -> dict[str, Any]:
    """The content of a recipe's YAML, unchecked. Raises RecipeError: no such recipe, or no YAML
    mapping."""
    return read_content(_recipe_path(name), name)


def make_recipe(content: dict[str, Any], origin: str = "recipe") -> Recipe:
    """A recipe from a mapping. Raises RecipeError in one line: the key, what was expected, what
    came."""
    return read_settings(Recipe, content, origin)


def recipe_names() -> list[str]:
    """The bundled recipes."""
    root = resources.files("smallsteps") / "recipes"
    with resources.as_file(root) as folder:
        return sorted(str(p.relative_to(folder).with_suffix("")) for p in folder.rglob("*.yaml"))


def _recipe_path(name: str) -> Path:
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            what = " (it is a folder)" if path.is_dir() else ""
            name_alone = str(path.with_suffix(""))
            raise RecipeError(
                f"no recipe file {name}{what}. Bundled recipes go by name.{nearest(name_alone, recipe_names())}"
            )
        return path
    if name not in recipe_names():
        raise RecipeError(
            f"no recipe {name!r}.{nearest(name, recipe_names())} Your own is a path that ends in .yaml"
        )
    with resources.as_file(resources.files("smallsteps") / "recipes") as folder:
        return folder / f"{name}.yaml"
