"""Runs a recipe of tailored learning: data → base student → for each seed and arm its rounds →
results.json.

T_0 is bought before the first exam, so that a teacher who cannot be asked shows before any work.
`full` comes first at each seed: the other arms keep to its number of rounds and to what its teacher
cost."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from smallsteps.errors import RecipeError
from smallsteps.experiment.data import Questions, load_questions
from smallsteps.experiment.folder import RunFolder, complete
from smallsteps.experiment.page_files import GoldChain, write_test_set
from smallsteps.experiment.recipe import Recipe, TailoredSettings
from smallsteps.experiment.reporter import Reporter, Silent
from smallsteps.experiment.results import Results
from smallsteps.generation.access import Access
from smallsteps.generation.budget import Budget
from smallsteps.generation.replies import ReplyStore
from smallsteps.methods.beforehand import check_recipe
from smallsteps.methods.compare import base_student, in_folder
from smallsteps.methods.tailored.rounds import Rounds
from smallsteps.methods.tailored.summary import ArmRounds, results
from smallsteps.teaching.lessons import Teacher
from smallsteps.teaching.open import open_teacher
from smallsteps.teaching.prompts import check_prompts


def tailor(
    recipe: Recipe,
    out: Path | str,
    reporter: Reporter | None = None,
    command: str = "",
    access: Access | None = None,
) -> Results:
    """Runs the recipe in the folder `out`, or goes on with it; returns its results.

    `access`: base URL and key of the teacher, which no recipe and no file names. Raises UserError
    where something cannot be done as asked, before the first call and the first training where that
    can be known."""
    if recipe.tailored is None:
        raise RecipeError("this recipe has no section `tailored`; smallsteps.compare runs it")
    told = reporter or Silent()
    return in_folder(
        recipe, out, command, told, lambda run: run_rounds(recipe, run, told, access or Access())
    )


def run_rounds(recipe: Recipe, run: RunFolder, reporter: Reporter, access: Access) -> Results:
    """All arms at all seeds."""
    words = recipe.tailored
    assert words is not None
    check_recipe(recipe, access, data_is_there=complete(run.path / "data"))
    questions = load_questions(recipe, run, reporter.say)
    facts = questions.facts
    reporter.say(
        f"data: {facts['train']:,} questions to learn from, {facts['validation']:,} for validation, {facts['test']:,} to test; "
        f"overlap {facts['overlap']}"
    )
    with closing(ReplyStore(words.teacher.store_path)) as store:
        teacher = _teacher(recipe, words, questions, store, run, access, reporter)
        rounds = Rounds(
            recipe, run, questions, base_student(recipe, questions, run), teacher, reporter
        )
        rounds.check_student()
        rounds.ask_first()
        arms: list[ArmRounds] = []
        for seed in recipe.seeds:
            full = list(rounds.of_arm("full", seed))
            for name in recipe.arms:
                own = full if name == "full" else list(rounds.of_arm(name, seed, full))
                arms.append(ArmRounds(name, seed, own))
    _write_gold(run, questions)
    return results(rounds, arms)


def _teacher(
    recipe: Recipe,
    words: TailoredSettings,
    questions: Questions,
    store: ReplyStore,
    run: RunFolder,
    access: Access,
    reporter: Reporter,
) -> Teacher:
    """The teacher, opened."""
    own = words.teacher
    budget = Budget(store, str(run.path.resolve()), own)
    check_prompts((own.initial, own.feedback, own.blind), questions.task, questions.train[0])
    return open_teacher(
        own, questions.task, budget, access, reporter.say, device=recipe.student.device
    )


def _write_gold(run: RunFolder, questions: Questions) -> None:
    """Test problems and gold chains where the page looks for them."""
    gold = [
        GoldChain(chain.problem.id, chain.rationale.gold or (("ES", chain.rationale.text),))
        for chain in questions.gold
    ]
    write_test_set(run.path, questions.test, gold)
