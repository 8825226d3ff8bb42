"""The comparison: does training on segments beat training on whole chains, on this data, at the
same cost?

    data → scorer where a strategy needs one → for each arm and seed: segments → training → answers → grades
         → intervals and paired tests → results.json

Every arm gets the same chains, base student, seeds and budget (training tokens, or passes). The
test part is read once, by the checkpoint that validation chose. Everything lies in stages of one
run folder: killed anywhere, the same call goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from smallsteps.errors import counted
from smallsteps.experiment.data import Material, Questions, load_material
from smallsteps.experiment.fail_points import fail_point
from smallsteps.experiment.folder import RunFolder, complete, run_folder
from smallsteps.experiment.provenance import provenance
from smallsteps.experiment.recipe import Recipe
from smallsteps.experiment.reporter import Reporter, Silent
from smallsteps.experiment.results import (
    FILE_NAME,
    Provenance,
    Results,
    read_results,
    write_results,
)
from smallsteps.methods.as_es.check import check_every_arm, leave_out_odd
from smallsteps.methods.as_es.gold import write_gold
from smallsteps.methods.as_es.results import grade_arm, results
from smallsteps.methods.as_es.stages import Stages
from smallsteps.methods.as_es.variants import check_arms, variants
from smallsteps.methods.beforehand import check_recipe
from smallsteps.students.scratch import ScratchSettings, from_scratch, scratch_settings


def compare(
    recipe: Recipe, out: Path | str, reporter: Reporter | None = None, command: str = ""
) -> Results:
    """Runs the recipe in the folder `out`, or goes on with it; returns its results.

    Raises UserError where something cannot be done as asked, before the first arm is trained where
    that can be known."""
    listener = reporter or Silent()
    return in_folder(recipe, out, command, listener, lambda run: run_stages(recipe, run, listener))


def in_folder(
    recipe: Recipe,
    out: Path | str,
    command: str,
    reporter: Reporter,
    make: Callable[[RunFolder], Results],
) -> Results:
    """The results of the run folder `out`: what `make` returns, and how it came about.

    Raises RunFolderError where the folder holds results that another version wrote."""
    began = time.monotonic()
    with run_folder(Path(out), recipe.digest(), recipe.to_yaml(), reporter) as run:
        earlier = None
        if (run.path / FILE_NAME).exists() and not run.damaged(FILE_NAME):
            earlier = read_results(run.path)
        results = make(run)
        run.name_other_damage()
        if earlier is not None:  # the same call again: the command and machine of the first stay
            origin = {"command": earlier.command, "provenance": earlier.provenance}
        else:
            origin = {
                "command": command,
                "provenance": Provenance(
                    **provenance(),
                    seconds=round(time.monotonic() - began, 1),
                    recipe=recipe.digest(),
                ),
            }
        results = results.model_copy(update=origin)
        run.sign(write_results(run.path, results).name)
        fail_point("after:results")
    return results


def run_stages(recipe: Recipe, run: RunFolder, reporter: Reporter) -> Results:
    """All arms at all seeds, graded and compared."""
    check_recipe(recipe, data_is_there=complete(run.path / "data"))
    material = load_material(recipe, run, reporter.say)
    stages = Stages(recipe, run, material, base_student(recipe, material, run), reporter)
    _say_data(material, reporter)
    _check(stages)
    _set_budget(stages)
    check_every_arm(stages)
    graded = []
    for seed in recipe.seeds:
        for variant in variants(recipe, seed):
            graded.append(grade_arm(stages, variant))
            reporter.say(f"{variant.name}, seed {seed}: {graded[-1].score.signature()}")
    write_gold(stages)
    return results(stages, graded)


def base_student(recipe: Recipe, material: Material | Questions, run: RunFolder) -> Path | str:
    """The untrained student: a name, or the folder of one made from scratch, whose tokenizer knows
    the training text.

    Raises RecipeError for an unknown word of `student.scratch`.
    """
    words = recipe.student.scratch
    if not words:
        return recipe.student.name
    settings = scratch_settings(words)
    base = run.stage("base", lambda folder: _save_scratch(material, settings, folder), fixed=True)
    return base / "student"


def _save_scratch(material: Material | Questions, settings: ScratchSettings, folder: Path) -> None:
    from_scratch(material.texts, settings, seed=0).save(folder / "student")


def _say_data(material: Material, reporter: Reporter) -> None:
    facts = material.facts
    reporter.say(
        f"data: {counted(facts['train'], 'chain')} to train on, {facts['validation']:,} for validation, "
        f"{counted(facts['test'], 'problem')} to test; overlap {facts['overlap']}; "
        f"{counted(facts['wrong'], 'chain')} with a wrong answer left out"
    )


def _check(stages: Stages) -> None:
    """Refuses now what could not be done after hours."""
    everything = variants(stages.recipe)
    causal = stages.workshop(everything[0], stages.run.path).causal
    check_arms(
        stages.recipe, stages.task, causal, [*stages.material.train, *stages.material.validation]
    )
    stages.check_room(everything, stages.test_sets(everything))
    leave_out_odd(stages)
    kept = [chain.problem for chain in stages.validation_chains(everything[0])]
    stages.check_room(everything, [(stages.task, kept)])


def _set_budget(stages: Stages) -> None:
    """Training tokens an arm; none where arms are to make the same passes."""
    words = stages.recipe.train
    if words.fair == "passes":
        stages.reporter.say(f"budget: {words.passes:g} passes over each arm's examples")
        return
    stages.budget = words.budget or stages.tokens_of_direct(variants(stages.recipe)[0])
    source = "" if words.budget else f", what {words.passes:g} passes cost direct"
    stages.reporter.say(
        f"budget: {stages.budget:,} training tokens an arm (source + target, no padding{source})"
    )
