"""What is refused before a run does any work; `--dry-run` refuses the same by the same functions.

`check_recipe` looks at names, files and settings, `rehearse` also at the data. What needs the
student's tokenizer (questions longer than it reads, odd chains) shows in the run, before its first
training.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from smallsteps.devices import check_device
from smallsteps.errors import DataError, RecipeError, StudentError, nearest
from smallsteps.experiment.data import RunData, load_data
from smallsteps.experiment.data_parts import check_bundled, feedback_names
from smallsteps.experiment.engines import check_engine
from smallsteps.experiment.folder import run_folder
from smallsteps.experiment.further import check_name
from smallsteps.experiment.method import methods_of, needs_chains, needs_rationales
from smallsteps.experiment.method_modules import arm_names, before_module
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.sweeps import check_counts, check_task
from smallsteps.generation.access import Access
from smallsteps.generation.chat_models import is_local, served_url
from smallsteps.generation.settings import CallSettings
from smallsteps.students.lora import check_rank
from smallsteps.students.pretrained import ModelFiles
from smallsteps.students.settings import BUNDLED
from smallsteps.tasks import Task, get_task
from smallsteps.tasks.sources import check_exists
from smallsteps.teaching.prompts import read_prompt

MAX_PLACES = 6
"""Maximum number of arms at a seed in the message about one that the recipe does not have."""


def check_recipe(
    recipe: Recipe, access: Access | None = None, *, data_is_there: bool = False
) -> None:
    """Raises UserError, in one line that names the key, where the recipe cannot be run.

    data_is_there: the run folder holds the data already; the files that it came from may be gone.
    """
    check_device(recipe.student.device, "student.device")
    task = _task(recipe.data.task)
    for name in recipe.data.also_test:
        check_name(name)
    if not data_is_there:
        _check_files(recipe)
    causal = _check_student(recipe)
    check_engine("evaluation", recipe.evaluation, causal)
    check_trackers(recipe.train.report_to)
    if "gamma" in recipe.sweep and task.select is None:
        raise RecipeError(
            f"sweep.gamma leaves out normal regions of reports; the task {task.name!r} has none"
        )
    check_task(recipe, task)
    for name, arms in methods_of(recipe).items():
        before_module(name).check(recipe, arms, task, access or Access(), causal)


def check_only(recipe: Recipe, only: Sequence[str]) -> None:
    """Raises RecipeError where the recipe has no such arm at that seed."""
    known = [f"{name}@{seed}" for seed in recipe.seeds for name in arm_names(recipe)]
    for place in only:
        if place not in known:
            raise RecipeError(
                f"--only {place}: the recipe has no such arm at that seed. It has "
                f"{', '.join(known[:MAX_PLACES])}{', ...' if len(known) > MAX_PLACES else ''}."
            )


@contextmanager
def rehearse(recipe: Recipe, access: Access | None = None) -> Iterator[RunData]:
    """`check_recipe`, and reads or makes the data as a run does, for the block. Chains stay on the
    disk, in a temporary folder. Leaves nothing behind."""
    check_recipe(recipe, access)
    with (
        tempfile.TemporaryDirectory(prefix="smallsteps-") as place,
        run_folder(Path(place) / "run", recipe.digest(), recipe.to_yaml()) as run,
    ):
        chains, rationales = needs_chains(recipe), needs_rationales(recipe)
        data = load_data(recipe, run, chains, rationales)
        check_counts(recipe, len(data.train_chains))
        for name, arms in methods_of(recipe).items():
            before_module(name).check_data(recipe, arms, data)
        yield data


def _task(name: str) -> Task:
    try:
        return get_task(name)
    except RecipeError as error:
        raise RecipeError(f"data.task: {error}") from None


def _check_files(recipe: Recipe) -> None:
    data = recipe.data
    chains = [data.chains] if isinstance(data.chains, str) else data.chains
    if chains == [BUNDLED]:
        check_bundled(data)
    named: list[tuple[str, str | None]] = [
        ("data.chains", path) for path in chains if path != BUNDLED or len(chains) > 1
    ]
    named += [("data.validation", data.validation), ("data.test", data.test)]
    named += [("data.feedback", path) for path in feedback_names(data)]
    named += [(f"data.also_test.{name}", path) for name, path in data.also_test.items()]
    for key, path in named:
        if path is None or path.startswith("hub:"):
            continue
        try:
            check_exists(Path(path))
        except DataError as error:
            raise RecipeError(f"{key}: {error} Type {key}=PATH.") from None


def _check_student(recipe: Recipe) -> bool | None:
    """Whether the student is a causal model; None where that is not known without the hub."""
    student = recipe.student
    if student.scratch:
        check_rank(student.lora, student.scratch.d_model)
        return student.scratch.architecture == "causal"
    try:
        files = ModelFiles.locate(student.name)
    except StudentError as error:
        raise StudentError(f"student.name: {error}") from None
    if not Path(files.source).is_dir():
        return None
    config = files.config()
    check_rank(
        student.lora, getattr(config, "d_model", None) or getattr(config, "hidden_size", None)
    )
    return not getattr(config, "is_encoder_decoder", False)


TRACKERS = {
    "azure_ml": "azureml.core",
    "clearml": "clearml",
    "codecarbon": "codecarbon",
    "comet_ml": "comet_ml",
    "dagshub": "dagshub",
    "dvclive": "dvclive",
    "flyte": "flytekit",
    "mlflow": "mlflow",
    "neptune": "neptune",
    "swanlab": "swanlab",
    "tensorboard": "tensorboard",
    "trackio": "trackio",
    "wandb": "wandb",
}
"""Trackers of transformers' Trainer → the module that they need."""


def check_trackers(names: list[str]) -> None:
    """Raises RecipeError where a tracker is not known or not installed."""
    for name in names:
        if name not in TRACKERS:
            raise RecipeError(f"train.report_to: no tracker {name!r}.{nearest(name, TRACKERS)}")
        module = TRACKERS[name]
        top = module.split(".")[0]
        installed = importlib.util.find_spec(top) or (
            name == "tensorboard" and importlib.util.find_spec("tensorboardX")
        )
        if not installed:
            raise RecipeError(
                f"train.report_to: {name} is not installed. Type pip install {top}, or leave it "
                "out."
            )


def check_prompt_files(section: str, settings: CallSettings, keys: Sequence[str]) -> None:
    """Raises RecipeError where a prompt that the section names is not there."""
    for key in keys:
        try:
            read_prompt(getattr(settings, key))
        except RecipeError as error:
            raise RecipeError(f"{section}.{key}: {error}") from None


def check_served(section: str, settings: CallSettings, access: Access) -> None:
    """Raises UserError where a model is neither in a folder nor at a URL."""
    try:
        if is_local(settings):
            ModelFiles.locate(settings.name)
        else:
            served_url(settings, access, section.split(".")[-1])
    except (RecipeError, StudentError) as error:
        raise RecipeError(f"{section}: {error}") from None
