"""What a run is: one typed, strict value, read from YAML, printed back in full by `--dry-run`.

A recipe names every knob once. Unknown keys are refused with the nearest known one; `key=value` on the command line
(`train.learning_rate=1e-3`) changes a copy before it is checked. The same class serves YAML, Python and the command
line, so that the three cannot disagree. Numbers that the AS-ES paper (Xi et al. 2024) gives stand here as defaults.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from smallsteps.errors import RecipeError, nearest

BUNDLED = "bundled"
"""The student, and the data, that ship in the package."""


class Strict(BaseModel):
    """Frozen; refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Data(Strict):
    """Where chains come from and how they are split."""

    chains: str | list[str] = BUNDLED
    """JSONL (CSV, Parquet, hub:NAME with the extra `hub`) of id, question, rationale, answer; `bundled` makes them."""
    task: str = "numbers"
    """How questions are put and answers graded; see `smallsteps.tasks.TASKS`."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our field name → the file's, where they differ."""
    count: int = Field(1000, ge=10)
    """Bundled data only: training chains."""
    difficulty: Literal["easy", "medium", "hard"] = "medium"
    """Bundled data only."""
    validation_count: int = Field(200, ge=1)
    """Bundled data only: validation chains."""
    test_count: int = Field(500, ge=1)
    """Bundled data only: test problems."""
    validation: str | None = None
    """A file of validation chains; None: a tenth of `chains`."""
    test: str | None = None
    """A file of test problems; None: a tenth of `chains`."""
    also_test: dict[str, str] = Field(default_factory=dict)
    """Further test sets, task name → file, graded beside the main one."""
    limit: int | None = None
    """Read only so many chains."""
    split_seed: int = 0
    """Seed of the 80/10/10 split by question, the same for every arm and training seed."""


class Segmentation(Strict):
    """How chains are cut (Sec. 2 of the method page)."""

    beta: float = Field(1.0, gt=0)
    """Threshold: a sub-sentence is AS where its score passes beta x the chain's mean (Eq. 1, 5; Fig. 3: best near 1)."""
    reduce: Literal["mean", "sum"] = "mean"
    """Over the tokens of a sub-sentence (the authors' code: sum)."""
    conditioning: Literal["rationale", "question"] = "rationale"
    """What a sub-sentence's score is conditioned on: question and earlier chain (Eq. 3), or the question alone (code)."""
    max_segments: int | None = Field(None, ge=1)
    """Segments a student may write; None: as many as the longest training chain has, and a quarter more."""
    folds: int = Field(1, ge=1)
    """`ent`, `loss`: 1 scores chains with the direct student trained on them (paper); k scores each with one that was not."""
    gamma: float = Field(1.0, ge=0)
    """Reports only: normal regions included per report (paper: 1)."""


class Training(Strict):
    """How arms are trained (Sec. 5 of the method page)."""

    budget: int | None = Field(None, ge=1)
    """Training tokens of an arm, source + target without padding; None: what `passes` over the chains cost `direct`."""
    passes: float = Field(20.0, gt=0)
    """Passes over the chains that set the budget where none is given, or that each arm makes with `fair: passes`."""
    fair: Literal["tokens", "passes"] = "tokens"
    """What arms have in common: training tokens, or passes over the chains."""
    learning_rate: float = Field(5e-4, gt=0)
    """Paper: 5e-4 or 1e-3."""
    update_examples: int = Field(64, ge=1)
    """Examples of an update (paper: 64)."""
    micro_batch_tokens: int = Field(4096, ge=64)
    """Padded tokens that pass through the model at once; changes speed and memory, not the result."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_share: float = Field(0.05, ge=0, lt=1)
    """Share of the budget over which the learning rate rises (code: 0.04 to 0.08)."""
    weight_decay: float = Field(0.01, ge=0)
    evaluations: int = Field(10, ge=1)
    """Evaluations, and so candidate checkpoints, of a run."""
    validation_chains: int = Field(500, ge=1)
    """At most so many are used in an evaluation."""
    source_limit: int = Field(512, ge=8)
    """Most tokens of a source."""
    target_limit: int = Field(512, ge=8)
    """Most tokens of a target."""
    overlong: Literal["few", "error", "drop", "truncate"] = "few"
    """Chains over a limit: leave out up to 2 % and count them, refuse any, leave out all, or cut the source at its front."""
    early_stop: Literal["few", "error", "drop"] = "few"
    """Chains with a target that carries the stop sign although the chain goes on."""
    gradient_checkpointing: bool = False
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of training; weights stay float32."""
    report_to: list[str] = Field(default_factory=list)
    """Trackers of transformers' Trainer: wandb, tensorboard, trackio."""


class Student(Strict):
    """Who learns."""

    name: str = BUNDLED
    """`bundled`, a folder, or a hub name."""
    lora: int = Field(0, ge=0)
    """Rank of LoRA adapters; 0 trains all weights. The result is merged."""
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Of the loaded weights; training keeps them in float32 whatever they were saved in."""
    dropout: float | None = Field(None, ge=0, lt=1)
    """None: as the model's configuration has it."""
    scratch: dict[str, Any] = Field(default_factory=dict)
    """From scratch instead of `name`: {tokenizer: bytes|characters, vocabulary, d_model, d_kv, heads, d_ff, layers, ...}, the
    words of `students.scratch.ScratchSettings`."""


class Evaluation(Strict):
    """How arms are graded."""

    batch_size: int = Field(128, ge=1)
    dtype: Literal["float32", "bfloat16"] = "float32"
    checkpoint: Literal["metric", "validation_loss", "train_loss", "bleu"] = "metric"
    """Which checkpoint of a run is graded: best task metric on validation (the honest choice)."""
    segment_bleu: bool = False
    """Measure at each evaluation the BLEU of segments written on gold prefixes (the authors' validation figure)."""
    paper_protocol: bool = False
    """Also grade the three checkpoints of the paper on the test set and report the best of them."""
    bootstrap: int = Field(10_000, ge=100)
    """Resamples behind each interval."""
    stop_repetition: bool = False
    """End chains that run in a circle, in all arms alike, exams included."""


class Asked(Strict):
    """A model that is asked, and what may be spent on it."""

    base_url: str | None = None
    """Of an OpenAI-compatible server; None: OPENAI_BASE_URL. The key is OPENAI_API_KEY and stands in no recipe."""
    calls: int | None = Field(None, ge=0)
    """Most calls of the whole run."""
    tokens: int | None = Field(None, ge=0)
    """Most tokens of the whole run, read and written."""
    money: float | None = Field(None, ge=0)
    """Most money of the whole run, in the currency of the prices."""
    price_in: float = Field(0.0, ge=0)
    """Per million tokens read."""
    price_out: float = Field(0.0, ge=0)
    """Per million tokens written."""
    store: str | None = None
    """The SQLite file of paid replies; None: ~/.smallsteps/replies.sqlite, shared by all runs."""
    concurrency: int = Field(16, ge=1)
    """Calls under way at once."""
    timeout: float = Field(120.0, gt=0)
    """Seconds for one call."""
    patience: float = Field(900.0, ge=0)
    """Seconds for which a server may be too busy for every call before the run ends."""
    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Further parameters of each request, as the server wants them; null takes one out that is sent otherwise."""
    thinking: Literal["drop", "keep", "only"] = "drop"
    """What of a reply of a model that thinks is the reply: what follows the thought, thought and reply, or the thought."""

    @field_validator("base_url")
    @classmethod
    def _no_password(cls, url: str | None) -> str | None:
        if url is not None and "@" in url:
            raise ValueError(
                "it carries a user name or a password; take it out, as recipes are written to run folders. A key belongs into "
                "OPENAI_API_KEY"
            )
        return url


COSTS_ONLY = ("concurrency", "timeout", "patience", "calls", "tokens", "money", "price_in", "price_out", "store")
"""Words of it that change neither what is asked nor what is answered."""


class Teacher(Asked):
    """Who explains."""

    name: str = "solver"
    """A model at `base_url`, a folder of a model, a .jsonl file of replies bought elsewhere (`id`, `rationale`, `attempt`), or
    `solver`, the exact solver of the bundled word problems."""
    initial: str = "initial"
    """Prompt for a question: a bundled name or a file."""
    feedback: str = "feedback"
    """Prompt for a question and a wrong rationale."""
    blind: str = "blind"
    """Prompt of the arm `blind`: as `feedback`, without the wrong rationale."""
    temperature: float = Field(0.7, ge=0)
    max_new_tokens: int = Field(512, ge=1)
    retries: int = Field(1, ge=0)
    """How often a question is asked again whose reply had to be dropped."""


class Tailored(Strict):
    """Tailored learning: exams, a teacher, and what is learnt from mistakes (Wang et al. 2023)."""

    rounds: int = Field(3, ge=1)
    """Times the student is trained; it sits the exam before the first and after each."""
    teacher: Teacher = Field(default_factory=Teacher)
    rationales: int = Field(1, ge=1)
    """Rationales asked for each question at the start (T_0); above 1 they can be each other's positives."""
    mistakes: int = Field(1, ge=1)
    """Wrong rationales of a question that the teacher is shown in a round, each in a call of its own."""
    samples: int = Field(4, ge=1)
    """Chains a question in an exam (code: 4)."""
    temperature: float = Field(1.0, gt=0)
    """Of the exam (code: 1)."""
    top_k: int = Field(50, ge=1)
    """Of the exam (code: 50)."""
    collect: Literal["accumulate", "replace"] = "accumulate"
    """Rationales to learn from: those of all rounds, or of the newest alone."""
    cap: int = Field(8, ge=1)
    """`accumulate`: most rationales of a question, the newest first."""
    start: Literal["continue", "restart"] = "continue"
    """Where a round's training begins: at the last round's student (code), or at the untrained one."""
    min_gain: float | None = None
    """Stop where a round brought less on validation, in points; None: never."""
    min_failed: float = Field(1.0, ge=0, le=100)
    """Stop where less than this share of the questions, in per cent, has a sample that is not right."""
    segments: str | None = None
    """None: the student writes whole chains; `inter`, `bleu` or `rouge`: it learns and writes them segment by segment
    (uni-path AS-ES)."""
    contrast: Literal["triplet", "dpo", "orpo", "unlikelihood"] = "triplet"
    """The loss that sets right rationales against the student's wrong ones."""
    contrast_weight: float = Field(0.5, ge=0)
    """Its weight (paper: 0.5; too much hurts)."""
    triplet_margin: float = Field(1.0, ge=0)
    """Paper: 1."""
    triplet_state: Literal["last", "mean"] = "last"
    """What stands for a rationale: the hidden state at its last token (code), or the mean over its tokens."""
    dpo_beta: float = Field(0.1, gt=0)
    prompt_weight: float = Field(0.1, ge=0, le=1)
    """Of a prompt token in the loss of a causal student (code: 0.1); an encoder-decoder has no loss there."""
    normaliser: Literal["weights", "all-tokens"] = "weights"
    """What the loss is divided by: the sum of weights, or (code) the number of tokens that have one."""


class Reader(Asked):
    """The large frozen model that answers."""

    name: str = "trained"
    """A model at `base_url`, a folder of a model, or `trained`: a small one that learns to read bundled facts in this run
    and is then frozen."""
    guided: str = "read"
    """Prompt with a rationale: a bundled name or a file."""
    standard: str = "standard"
    """Prompt without one."""
    cot: str = "cot"
    """Prompt for reasoning and prediction in one go."""
    max_new_tokens: int = Field(32, ge=1)
    """Of an answer."""
    cot_tokens: int = Field(256, ge=1)
    """Of reasoning and prediction."""
    count: int = Field(1500, ge=10)
    """`trained` only: questions it learns from, none of them the run's."""
    budget: int = Field(1_000_000, ge=1)
    """`trained` only: its training tokens."""
    noise: float = Field(0.5, ge=0, le=1)
    """`trained` only: share of the rationales it learns to read that are spoilt, so that it does not believe them all."""


class Reinforce(Strict):
    """The refinement by reinforcement learning."""

    steps: int = Field(100, ge=1)
    prompts: int = Field(16, ge=1)
    """Questions of a step."""
    samples: int = Field(4, ge=1)
    """Rationales of each."""
    estimator: Literal["rloo", "grpo", "ppo"] = "rloo"
    average: Literal["token", "sequence"] = "token"
    epochs: int = Field(1, ge=1)
    """Updates on the same rollouts."""
    temperature: float = Field(1.0, gt=0)
    learning_rate: float = Field(1e-4, gt=0)
    kl: float = Field(0.05, ge=0)
    clip: float = Field(0.2, gt=0, lt=1)
    evaluations: int = Field(4, ge=1)
    patience: int = Field(20, ge=1)
    """Steps in a row without any signal after which it ends."""
    kl_limit: float = Field(1.0, gt=0)
    """Nats a token from the distilled student beyond which it ends."""
    reward: Literal["balanced", "paper"] = "balanced"
    """Of the arm `both`."""
    uplift: bool = False
    """Usefulness is how much likelier the gold answer gets; needs the reader's weights."""
    longest: int = Field(160, ge=1)
    """Words of a rationale beyond which it is worth nothing."""
    dpo_beta: float = Field(0.1, gt=0)
    """Of the arm `dpo`."""


class Guided(Strict):
    """LM-guided chain of thought: a small model writes rationales for a large frozen one (Lee et al. 2024)."""

    reader: Reader = Field(default_factory=Reader)
    reinforce: Reinforce = Field(default_factory=Reinforce)
    samples: int = Field(10, ge=2)
    """Of self-consistency and of choosing one of n (paper: 10)."""
    temperature: float = Field(0.7, gt=0)
    """Of those samples (paper: 0.7)."""
    max_new_tokens: int = Field(96, ge=1)
    """Of a rationale."""
    judge: str = "lexical"
    """Of the aspects: lexical, or a model of natural-language inference."""
    encoder: str = "lexical"
    """Of the aspects: lexical, or a sentence encoder."""
    judge_min_auc: float = Field(0.7, ge=0, le=1)
    """On text that is not bundled the judge is measured before refinement: how often it ranks a rationale of this run above
    a spoilt one. A lexical judge below this ends the run; 0: never."""


class Recipe(Strict):
    """A comparison of arms on one data set by one student."""

    title: str = "comparison"
    about: str = ""
    """What it reproduces or shows, and whether the full run has been made."""
    arms: list[str] = Field(default_factory=lambda: ["direct", "ases-uni-inter", "ases-uni-ent"], min_length=1)
    """`direct`, `direct-report`, or `ases-PATH-STRATEGY`: PATH uni, cue or dual; STRATEGY inter, ent, ent*, loss, bleu, rouge, gold.
    With `tailored`: `full`, and beside it at the same cost `t0-only`, `blind` (feedback without the mistake), `no-contrast`.
    With `guided`: `standard` and any of `guided_arms()`."""
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1)
    """Training seeds."""
    sweep: dict[str, list[float]] = Field(default_factory=dict)
    """Figures: beta or gamma → values; each arm that has the knob is run once a value."""
    data: Data = Field(default_factory=Data)
    student: Student = Field(default_factory=Student)
    segmentation: Segmentation = Field(default_factory=Segmentation)
    train: Training = Field(default_factory=Training)
    evaluation: Evaluation = Field(default_factory=Evaluation)
    tailored: Tailored | None = None
    """Tailored learning instead of a comparison of segmentations; `{}` for its defaults."""
    guided: Guided | None = None
    """LM-guided chain of thought instead; `{}` for its defaults."""

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.tailored is not None and self.guided is not None:
            raise ValueError("a recipe is of one method: tailored or guided, not both")
        for arm in self.arms:
            if self.tailored is not None:
                check_tailored_arm(arm)
            elif self.guided is not None:
                check_guided_arm(arm)
            else:
                parse_arm(arm)
        if self.tailored is not None:
            self._check_tailored(self.tailored)
        if self.guided is not None:
            self._check_guided(self.guided)
        if len(set(self.arms)) != len(self.arms) or len(set(self.seeds)) != len(self.seeds):
            raise ValueError("an arm or a seed is named twice")
        for knob in self.sweep:
            if knob not in ("beta", "gamma"):
                raise ValueError(f"sweep knows beta and gamma, not {knob!r}")
        return self

    def _check_tailored(self, words: Tailored) -> None:
        if "full" not in self.arms:
            raise ValueError("arms of tailored learning are compared at the cost of `full`: name it among them")
        if words.segments not in (None, *UNSCORED):
            raise ValueError(f"tailored.segments: {words.segments!r} is none of {', '.join(UNSCORED)}")
        if self.data.also_test:
            raise ValueError("data.also_test: tailored learning reads one test set")
        if self.train.fair == "passes":
            raise ValueError("arms of tailored learning have training tokens in common: train.fair must be tokens")
        if self.train.budget is None:
            raise ValueError("tailored learning needs train.budget, the training tokens of an arm over all rounds")

    def _check_guided(self, words: Guided) -> None:
        if "standard" not in self.arms:
            raise ValueError("arms of guided chain of thought are compared with `standard`: name it among them")
        if self.data.also_test:
            raise ValueError("data.also_test: guided chain of thought reads one test set")
        if self.train.budget is None:
            raise ValueError("guided chain of thought needs train.budget, the training tokens of the distilled student")
        if words.reader.name == "trained" and self.data.task != "facts":
            raise ValueError("guided.reader.name: `trained` reads the bundled facts only; name a model or a folder")

    def digest(self) -> str:
        """Names the recipe's content: equal digests mean equal runs. Where it runs (device), how fast a teacher is asked
        and what it may cost are left out."""
        content = self.model_dump(mode="json")
        content["student"].pop("device")
        for method, asked in (("tailored", "teacher"), ("guided", "reader")):
            if content[method] is None:
                content.pop(method)
            else:
                words = {k: v for k, v in content[method][asked].items() if k not in COSTS_ONLY}
                if not words["extra_body"]:
                    words.pop("extra_body")  # recipes without it keep the digest that they had before it was there
                if words["thinking"] == "drop":
                    words.pop("thinking")
                content[method][asked] = words
        if content.get("guided"):
            content["guided"].pop("judge_min_auc")  # decides whether a run goes on, not what comes out
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def to_yaml(self) -> str:
        """The resolved recipe, every knob named."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)


class ArmSpec(Strict):
    """An arm's name taken apart."""

    name: str
    path: Literal["direct", "uni", "dual"]
    strategy: str | None = None
    cue: bool = False
    whole_report: bool = False

    @property
    def slug(self) -> str:
        """The name as a folder."""
        return self.name.replace("*", "-star")


TAILORED_ARMS = ("full", "t0-only", "blind", "no-contrast")
GUIDED_ARMS = (
    "standard", "cot", "cot-sc", "small", "untrained", "unfiltered", "distilled", "aspects", "task", "both", "raft", "dpo",
)  # fmt: skip
WRITERS = ("untrained", "unfiltered", "distilled", "aspects", "task", "both", "raft", "dpo")
"""Arms whose rationales can also vote (`-sc`), be chosen from (`-quality`, `-confidence`, `-gold`), or be controlled
(`-other`, `-masked`)."""
FURTHER = ("sc", "quality", "confidence", "gold", "other", "masked")
WITHOUT_A_STUDENT = ("gold-facts", "random-context")
"""Controls that need no student; as long as the distilled student's rationales."""


REFINED_ARMS = ("aspects", "task", "both", "raft", "dpo")
"""Writers that begin as the distilled student and are refined by reinforcement learning."""
NO_METHOD = ("gold", "other", "masked")
"""Further arms that are ceilings or controls."""


def guided_parts(arm: str) -> tuple[str, str | None]:
    """A guided arm's name taken apart.

    >>> guided_parts("distilled-sc"), guided_parts("both"), guided_parts("gold-facts")
    (('distilled', 'sc'), ('both', None), ('gold-facts', None))
    """
    writer, _, how = arm.partition("-")
    return (writer, how or None) if writer in WRITERS else (arm, None)


def guided_students(arms: Sequence[str]) -> list[str]:
    """The students that have to be trained for these arms, at one seed.

    >>> guided_students(["standard", "cot", "both-sc", "small"])
    ['small', 'distilled', 'both']
    """
    writers = {guided_parts(arm)[0] for arm in arms}
    if writers & {*REFINED_ARMS, "random-context"}:
        writers.add("distilled")
    return [name for name in ("small", "unfiltered", "distilled", *REFINED_ARMS) if name in writers]


def guided_arms() -> list[str]:
    """All arms of LM-guided chain of thought, controls included."""
    return [*GUIDED_ARMS, *(f"{arm}-{how}" for arm in WRITERS for how in FURTHER), *WITHOUT_A_STUDENT]


def check_guided_arm(name: str) -> None:
    """Raises ValueError with the nearest arm."""
    if name not in guided_arms():
        raise ValueError(f"unknown arm {name!r} of guided chain of thought.{nearest(name, guided_arms())}")


UNSCORED = ("inter", "bleu", "rouge")
"""Segmentations that need no student's scores: any new rationale can be cut by them."""


def check_tailored_arm(name: str) -> None:
    """Raises ValueError with the nearest arm."""
    if name not in TAILORED_ARMS:
        raise ValueError(f"unknown arm {name!r} of tailored learning.{nearest(name, TAILORED_ARMS)}")


STRATEGY_NAMES = ("inter", "ent", "ent*", "loss", "bleu", "rouge", "gold")


def parse_arm(name: str) -> ArmSpec:
    """`ases-uni-ent` → its parts. Raises ValueError with the nearest arm."""
    if name == "direct":
        return ArmSpec(name=name, path="direct")
    if name == "direct-report":
        return ArmSpec(name=name, path="direct", whole_report=True)
    known = [f"ases-{path}-{strategy}" for path in ("uni", "cue", "dual") for strategy in STRATEGY_NAMES]
    if name not in known:
        raise ValueError(f"unknown arm {name!r}.{nearest(name, ['direct', 'direct-report', *known])}")
    _, path, strategy = name.split("-", 2)
    return ArmSpec(name=name, path="dual" if path == "dual" else "uni", strategy=strategy, cue=path == "cue")


def load_recipe(name: str, changes: Sequence[str] = ()) -> Recipe:
    """The recipe of a YAML file or of a bundled name (`demo`, `as-es/gsm8k`), with `key=value` changes.

    Raises RecipeError: no such recipe, broken YAML, an unknown or ill-typed key.
    """
    content = recipe_content(name)
    apply_changes(content, changes)
    return make_recipe(content, name)


def recipe_content(name: str) -> dict[str, Any]:
    """What the YAML of a recipe says, unchecked. Raises RecipeError: no such recipe, or no YAML mapping."""
    text, origin = _recipe_text(name)
    try:
        content = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise RecipeError(f"{origin}: not YAML: {error}") from None
    if not isinstance(content, dict):
        raise RecipeError(f"{origin}: expected `key: value` lines, found a {type(content).__name__}")
    return content


def apply_changes(content: dict[str, Any], changes: Sequence[str]) -> None:
    """Sets each `key.of.section=value` (value as YAML) in place."""
    for change in changes:
        _change(content, change)


def make_recipe(content: dict[str, Any], origin: str = "recipe") -> Recipe:
    """A recipe from a mapping. Raises RecipeError that names the key, its place and the nearest known key."""
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        lines = []
        for problem in error.errors():
            where = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                lines.append(f"unknown key {where!r}.{nearest(str(problem['loc'][-1]), _keys_beside(problem['loc']))}")
            else:
                lines.append(
                    f"{where or 'recipe'}: {problem['msg'].removeprefix('Value error, ')} (found {problem['input']!r:.80})"
                )
        raise RecipeError(_without_passwords(f"{origin}: " + "\n".join(lines))) from None


def _without_passwords(text: str) -> str:
    """`text` without the user names and passwords of URLs in it."""
    return re.sub(r"//\S*@", "//…@", text)


def recipe_names() -> list[str]:
    """The bundled recipes."""
    root = resources.files("smallsteps") / "recipes"
    with resources.as_file(root) as folder:
        return sorted(str(p.relative_to(folder).with_suffix("")) for p in folder.rglob("*.yaml"))


def _recipe_text(name: str) -> tuple[str, str]:
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise RecipeError(f"no recipe file {name}. The bundled ones are run by name: {', '.join(recipe_names())}.")
        return path.read_text(encoding="utf-8"), name
    if name not in recipe_names():
        raise RecipeError(f"no recipe {name!r}.{nearest(name, recipe_names())} An own one is given as a path: my.yaml")
    return (resources.files("smallsteps") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8"), name


def _change(content: dict[str, Any], change: str) -> None:
    key, found, value = change.partition("=")
    if not found or not key:
        raise RecipeError(f"expected key=value, found {change!r}; for example train.learning_rate=1e-3")
    *path, last = key.split(".")
    place = content
    for part in path:
        place = place.setdefault(part, {})
        if not isinstance(place, dict):
            raise RecipeError(f"{change!r}: {part!r} is a value, it holds no key {last!r}")
    parsed = yaml.safe_load(value)
    # YAML 1.1 reads 1e-3 as text.
    place[last] = float(parsed) if isinstance(parsed, str) and _is_number(parsed) else parsed


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    model: Any = Recipe
    for part in location[:-1]:
        found = model.model_fields[str(part)].annotation
        model = next((one for one in get_args(found) if one is not type(None)), found)
    return list(model.model_fields)
