"""The runner: every arm at every seed, on one student, one data set and one test set.

    data -> base student -> checks and plan -> for each seed and arm: train, answer, grade
         -> intervals and paired tests -> points on the way to the plateau -> results.json

All arms share the lab. The test part is read once, by the student that validation chose. Everything
lies in stages of one run folder: killed anywhere, the same call continues. Several processes that
run one recipe in one folder share the arms: each takes what no other is making. The processes of
one launch (`team.py`) make each arm together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from smallsteps import team
from smallsteps.devices import resolve_device
from smallsteps.errors import RunFolderError, counted
from smallsteps.experiment.arm import Arm, ChainArm, MethodRun
from smallsteps.experiment.beforehand import check_only, check_recipe
from smallsteps.experiment.budget import budgets_of, set_budget
from smallsteps.experiment.cautions import few_chains, few_problems
from smallsteps.experiment.check import check_chain_arms, plan_chain_arms
from smallsteps.experiment.comparisons import compare_arms, compare_further
from smallsteps.experiment.data import RunData, load_data
from smallsteps.experiment.engines import logging_answers
from smallsteps.experiment.fail_points import fail_point
from smallsteps.experiment.folder import RunFolder, complete, run_folder
from smallsteps.experiment.further import counted_once
from smallsteps.experiment.gold import write_gold
from smallsteps.experiment.grading import (
    GradedArm,
    arm_result,
    best_student,
    by_arm,
    compared_pairs,
    further_scores,
    grade_arm,
)
from smallsteps.experiment.growing import OTHER_OUT, Growth
from smallsteps.experiment.lab import BASE_STUDENT, Lab
from smallsteps.experiment.method import (
    baseline_of,
    method_of,
    methods_of,
    needs_chains,
    needs_rationales,
)
from smallsteps.experiment.method_modules import arms_module, before_module
from smallsteps.experiment.notebook import default_reporter
from smallsteps.experiment.outcome import place_of
from smallsteps.experiment.page_files import pages_with_details
from smallsteps.experiment.points import GradedPoints, grade_points
from smallsteps.experiment.provenance import provenance
from smallsteps.experiment.recipe import Recipe, load_recipe, of_launch
from smallsteps.experiment.reporter import Reporter, Silent
from smallsteps.experiment.results import FILE_NAME, Results, read_results, write_results
from smallsteps.experiment.run_facts import BudgetFacts, DataFacts, Provenance
from smallsteps.experiment.sweeps import check_counts
from smallsteps.experiment.time_taken import TimeTaken
from smallsteps.experiment.why import explain
from smallsteps.experiment.why_results import WhyResults
from smallsteps.faults import names_faults
from smallsteps.generation.access import Access
from smallsteps.students.settings import BUNDLED
from smallsteps.tasks.files import contradictions


@names_faults
def run(
    recipe: Recipe | str,
    out: Path | str,
    reporter: Reporter | None = None,
    command: str = "",
    access: Access | None = None,
    only: Sequence[str] = (),
) -> Results:
    """Runs a recipe, or the one of that name or file, in the folder `out`, or continues it; returns
    what `results.json` holds. Several processes may do so at the same time (`workers.py`); those of
    one launch (`torchrun`, `accelerate launch`) make each arm together, and all get the results.

    `reporter` receives progress updates; without one, a notebook shows them below the cell.
    `access`: base URL and key of served models, which no recipe and no file names. `only`:
    `ARM@SEED` of the arms that this process makes; where others still lack their grades, the
    results so far come back, and nothing is compared. Raises UserError where something cannot be
    done as the recipe says, before the first training and the first paid call where that can be
    known."""
    recipe = of_launch(load_recipe(recipe) if isinstance(recipe, str) else recipe)
    check_only(recipe, only)
    team.join(resolve_device(recipe.student.device, "student.device"))
    with team.losses():
        return _run(recipe, Path(out), reporter, command, access or Access(), only)


def _run(
    recipe: Recipe,
    out: Path,
    reporter: Reporter | None,
    command: str,
    access: Access,
    only: Sequence[str],
) -> Results:
    listener = TimeTaken((reporter or default_reporter()) if team.is_first() else Silent())
    with run_folder(out, recipe.digest(), recipe.to_yaml(), listener) as folder:
        earlier = team.from_first(lambda: _read_earlier(folder))  # refused before any work
        known = earlier.provenance if earlier is not None else None
        if team.is_first():
            listener.begin(folder.path, 0.0 if known is None else known.seconds)
        results = _run_arms(recipe, folder, listener, access, command, only)
        team.from_first(folder.name_other_damage)
    # here, because it loads what a finished run does not need
    from smallsteps.experiment.unfinished import results_so_far

    return results or results_so_far(out)[0]


def _run_arms(
    recipe: Recipe,
    folder: RunFolder,
    listener: TimeTaken,
    access: Access,
    command: str,
    only: Sequence[str],
) -> Results | None:
    """All arms at all seeds, graded and compared; None: `only` some, and others lack grades."""
    check_recipe(recipe, access, data_is_there=complete(folder.path / "data"))
    recipe = logging_answers(recipe, folder.path)
    data = load_data(recipe, folder, needs_chains(recipe), needs_rationales(recipe), listener.say)
    student = base_student(recipe, data, folder)
    lab = Lab(recipe, folder, data, student, listener, access, command=command)
    check_counts(recipe, len(data.train_chains))
    with lab.resources:
        _say_data(lab)
        for name, names in methods_of(recipe).items():
            before_module(name).check_data(recipe, names, data)
        runs = {
            name: arms_module(name).open_run(lab, names)
            for name, names in methods_of(recipe).items()
        }
        arms = [arm for name in recipe.arms for arm in runs[method_of(name).name].arms(name)]
        chain_arms = [arm for arm in arms if isinstance(arm, ChainArm)]
        if chain_arms:
            check_chain_arms(lab, chain_arms)
        set_budget(lab, chain_arms)
        if folder.growth is not None:
            _grow(lab, runs, folder.growth)
        if chain_arms:
            plan_chain_arms(lab, chain_arms, only)
            lab.check_student = None
        for method_run in runs.values():
            method_run.prepare()
        baseline = runs[method_of(baseline_of(recipe)).name].arms(baseline_of(recipe))[0].name
        pairs = compared_pairs(arms, baseline)

        def grade(place: tuple[Arm, int]) -> GradedArm:
            return grade_arm(lab, *place, pairs)

        places = [(arm, seed) for seed in recipe.seeds for arm in arms]
        if only:
            chosen = [place for place in places if f"{place[0].name}@{place[1]}" in only]
            folder.workers.taking(chosen, grade)
            missing = [place for place in places if not _is_graded(folder, *place)]
            if missing:
                return None
        graded = folder.workers.taking(places, grade)
        write_gold(lab, arms)
        why = explain(lab, graded)
        points = grade_points(lab, graded, pairs)
        results = _results(lab, runs, graded, pairs, why, points)

        def write() -> Results:
            with folder.workers.making(FILE_NAME):
                lab.discard_checkpoints(points.answered)
                return _written(lab, listener, results)

        return team.from_first(write)


def _is_graded(folder: RunFolder, arm: Arm, seed: int) -> bool:
    return complete(folder.path / "arms" / place_of(arm.name, seed) / "page")


def _read_earlier(folder: RunFolder) -> Results | None:
    """`_earlier_results`, while no other process writes them."""
    with folder.workers.making(FILE_NAME):
        return _earlier_results(folder)


def _earlier_results(folder: RunFolder) -> Results | None:
    """The results that the folder holds already, perhaps those of a smaller recipe; None: none, or
    damaged ones (reported and deleted). Raises RunFolderError where another version wrote them."""
    path = folder.path / FILE_NAME
    if path.exists() and folder.damaged(FILE_NAME):
        path.unlink()
    return read_results(folder.path) if path.exists() else None


def _written(lab: Lab, listener: TimeTaken, results: Results) -> Results:
    """The results as `results.json` holds them. The same call again, or another process that ends
    later, leaves the command and the provenance of the first."""
    earlier, digest = _earlier_results(lab.run), lab.recipe.digest()
    known = None if earlier is None else earlier.provenance
    if earlier is not None and (known is None or known.recipe == digest):
        fields = {"command": earlier.command, "provenance": known}
    else:
        seconds, commands = listener.finish()
        facts = Provenance(**provenance(), seconds=seconds, commands=commands, recipe=digest)
        fields = {"command": lab.command, "provenance": facts}
    results = results.model_copy(update=fields)
    lab.run.sign(write_results(lab.run.path, results).name)
    fail_point("after:results")
    return results


def base_student(recipe: Recipe, data: RunData, folder: RunFolder) -> Path | str:
    """The untrained student: a name, or the folder of one made from scratch, whose tokenizer knows
    the training text."""
    settings = recipe.student.scratch
    if settings is None:
        return recipe.student.name

    def make(place: Path) -> None:
        from smallsteps.students.scratch import from_scratch  # loads transformers' models

        from_scratch(data.texts, settings, seed=0).save(place / BASE_STUDENT.name)

    folder_of_stage = folder.stage(BASE_STUDENT.parent.name, make, fixed=True, alone=True)
    return folder_of_stage / BASE_STUDENT.name


def _say_data(lab: Lab) -> None:
    _say_sizes(lab)
    data, bundled = lab.data, lab.recipe.data.chains == BUNDLED
    noun = "chain" if data.train_chains else "question"
    cautions = [
        few_chains(len(data.train_chains or data.train), lab.recipe.train, noun),
        few_problems(len(data.test), len(data.validation), lab.task, lab.command, bundled),
    ]
    for caution in filter(None, cautions):
        lab.reporter.say(caution)


def _say_sizes(lab: Lab) -> None:
    facts = lab.data.facts
    for line in lab.data.feedback.lines():
        lab.reporter.say(line)
    if lab.data.train_chains:
        count = facts.get("contradicting", 0)
        contradicting = f"; {contradictions(count)}" if count else ""
        lab.reporter.say(
            f"data: {counted(facts['train'], 'chain')} to train on, {facts['validation']:,} for "
            f"validation, {counted(facts['test'], 'problem')} to test; overlap {facts['overlap']}; "
            f"{counted(facts['wrong'], 'chain')} with a wrong answer left out{contradicting}"
        )
        return
    lab.reporter.say(
        f"data: {facts['train']:,} questions to learn from, {facts['validation']:,} for "
        f"validation, {facts['test']:,} to test; overlap {facts['overlap']}"
    )


def _grow(lab: Lab, runs: Mapping[str, MethodRun], growth: Growth) -> None:
    """Makes the folder that of the larger recipe, if its arms get the same budget as before."""
    before = [arm for name in growth.smaller.arms for arm in runs[method_of(name).name].arms(name)]
    chain_arms = [arm for arm in before if isinstance(arm, ChainArm)]
    budget, budgets = budgets_of(lab, chain_arms)
    same = budgets.items() <= lab.budgets.items() and len(chain_arms) == len(before)
    if not same and (budget, budgets) != (lab.budget, lab.budgets):
        raise RunFolderError(
            f"{lab.run.path} cannot grow by {growth}: the budget of the arms there would change "
            f"from {budget} to {lab.budget} training tokens. {OTHER_OUT} train.budget=TOKENS gives "
            "every arm a fixed one."
        )
    lab.reporter.say(f"the run grows by {growth}; what is there is not trained again")
    lab.run.grow(lab.recipe.to_yaml(), ["plan", "gold", *pages_with_details(lab.run.path)])


def _results(
    lab: Lab,
    runs: dict[str, MethodRun],
    graded: Sequence[GradedArm],
    pairs: Sequence[tuple[str, str]],
    why: WhyResults | None,
    points: GradedPoints,
) -> Results:
    recipe = lab.recipe
    scores = {
        name: {graded_arm.seed: graded_arm.score for graded_arm in by_seed}
        for name, by_seed in by_arm(graded).items()
    }
    compared = compare_arms(scores, pairs, resamples=recipe.evaluation.bootstrap)
    further = compare_further(
        further_scores(lab, graded),
        pairs,
        counted_once(lab.data.further),
        resamples=recipe.evaluation.bootstrap,
    )
    parts = {name: method_run.results(graded) for name, method_run in runs.items()}
    facts = lab.data.facts | ({"odd": lab.odd} if lab.data.train_chains else {})
    return Results(
        title=recipe.title,
        about=recipe.about,
        arms=[arm_result(lab, graded_arm) for graded_arm in graded],
        **vars(compared),
        **vars(further),
        paper_protocol=[graded_arm.paper for graded_arm in graded if graded_arm.paper],
        why=why,
        data=DataFacts.model_validate(facts),
        points=points.results,
        point_comparisons=points.comparisons,
        budget=BudgetFacts(
            until=recipe.train.until,
            tokens=lab.budget,
            passes=recipe.train.passes,
            update_examples=lab.update_examples or recipe.train.update_examples,
            smallest_plateau=points.smallest_plateau,
            equal_passes=points.equal_passes,
        ),
        best=best_student(lab, graded),
        methods={name: part for name, part in parts.items() if part is not None},
    )
