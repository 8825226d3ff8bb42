"""The results of a run that is not finished, from the arms that are graded (`kept_arm.py`):
figures, costs and paired tests.

What is made from all arms together comes at the end of a run, and is not there yet: points on the
way to a plateau, why, rounds and guidance."""

from __future__ import annotations

from pathlib import Path

from smallsteps.errors import RunFolderError, UserError
from smallsteps.evaluation.grade import Score
from smallsteps.experiment.best import Candidate, best_on_validation
from smallsteps.experiment.comparisons import compare_arms, compare_further, in_order
from smallsteps.experiment.data import read_facts
from smallsteps.experiment.further import counted_once, read_test_sets
from smallsteps.experiment.kept_arm import KeptArm
from smallsteps.experiment.method_modules import arm_names
from smallsteps.experiment.outcome import place_of
from smallsteps.experiment.ownership import RECIPE
from smallsteps.experiment.recipe import Recipe, load_recipe
from smallsteps.experiment.regrading import TestPart, regraded, regraded_further
from smallsteps.experiment.results import Results
from smallsteps.experiment.run_facts import BestStudent, BudgetFacts, DataFacts


def results_so_far(folder: Path) -> tuple[Results, int]:
    """The results of the arms that are graded, and how many arms the recipe has; each seed counts.

    Raises RunFolderError where the recipe or kept answers are damaged."""
    try:
        recipe = load_recipe(str(folder / RECIPE))
    except UserError as error:
        raise RunFolderError(
            f"{folder / RECIPE}: cannot be read ({error}) Type the run's command again."
        ) from None
    places = [(name, seed) for seed in recipe.seeds for name in arm_names(recipe)]
    kept = [arm for place in places if (arm := _kept(folder, *place)) is not None]
    return _results(folder, recipe, kept), len(places)


def _kept(folder: Path, name: str, seed: int) -> KeptArm | None:
    return KeptArm.read(folder / "arms" / place_of(name, seed) / "page")


def _results(folder: Path, recipe: Recipe, kept: list[KeptArm]) -> Results:
    resamples = recipe.evaluation.bootstrap
    part = TestPart.read(folder)
    sets = read_test_sets(folder, recipe.data.also_test)
    scores: dict[str, dict[int, Score]] = {}
    further: dict[str, dict[str, dict[int, Score]]] = {name: {} for name in sets}
    against: dict[str, list[str]] = {}
    for arm in kept:
        score = regraded(folder, arm.result, part, resamples=resamples)
        scores.setdefault(arm.result.name, {})[arm.result.seed] = score
        of_sets = regraded_further(folder, arm.result, sets, resamples=resamples)
        for test_set, of_set in of_sets.items():
            further[test_set].setdefault(arm.result.name, {})[arm.result.seed] = of_set
        against.setdefault(arm.result.name, arm.against)
    graded = {name: [o for o in others if o in scores] for name, others in against.items()}
    pairs = in_order(graded)
    compared = compare_arms(scores, pairs, resamples=resamples)
    compared_further = compare_further(further, pairs, counted_once(sets), resamples=resamples)
    facts = read_facts(folder / "data", recipe)
    return Results(
        title=recipe.title,
        about=recipe.about,
        arms=[arm.result for arm in kept],
        **vars(compared),
        **vars(compared_further),
        data=DataFacts.model_validate(facts),
        budget=BudgetFacts(
            until=recipe.train.until, tokens=recipe.train.budget, passes=recipe.train.passes
        ),
        best=_best(kept),
    )


def _best(kept: list[KeptArm]) -> BestStudent | None:
    """Of the graded arms, the student that is best on validation."""
    candidates = [
        Candidate(arm.result.name, arm.result.seed, arm.result.validation, arm.result.student)
        for arm in kept
        if arm.usable
    ]
    return best_on_validation(candidates) if candidates else None
