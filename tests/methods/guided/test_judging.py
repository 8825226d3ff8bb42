"""A judge is believed only where it tells a run's own rationales from spoilt ones."""

from __future__ import annotations

from typing import Any

import pytest

from smallsteps.errors import RecipeError
from smallsteps.experiment.folder import RunFolder
from smallsteps.experiment.recipe import Recipe, make_recipe
from smallsteps.experiment.workers import Workers
from smallsteps.methods.guided.judging import SAMPLE, check_judge, needs_check
from smallsteps.quality.judges import Judgement
from smallsteps.quality.scorer import Scorer
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.tasks.facts import make_chains

FACTS = make_chains(40, 7)


def recipe_of(
    judge: str = "lexical",
    chains: str = "own.jsonl",
    arms: tuple[str, ...] = ("guided-both",),
    **guided: Any,
) -> Recipe:
    content = {
        "arms": ["guided-standard", *arms],
        "data": {"chains": chains, "task": "facts"},
        "train": {"budget": 1000},
        "guided": {"reader": {"name": "m"}, "judge": judge, **guided},
    }
    return make_recipe(content)


def paraphrased(count: int) -> list[Chain]:
    """Right rationales that say in other words what the context says, as people and good readers
    do."""
    chains = []
    for n in range(count):
        context = (
            (
                "",
                (
                    f"The Amber Hall {n} opened its doors in {1900 + n} under mayor Reed.",
                    "It is near the Tagus.",
                ),
            ),
        )
        problem = Problem(f"p{n}", "When did the building begin?", str(1900 + n), context=context)
        text = "That venue began while he governed. Its start was long ago. So everything is explained."
        chains.append(Chain(problem, Rationale(f"p{n}/cot", problem.id, text)))
    return chains


@pytest.fixture
def check(tmp_path, listener):
    def measure(recipe: Recipe, chains: list[Chain], scorer: Scorer | None = None):
        workers = Workers(tmp_path / "run", recipe.digest(), listener)
        folder = RunFolder(tmp_path / "run", recipe.digest(), workers)
        return check_judge(recipe, folder, chains, scorer or Scorer(), listener)

    return measure


def test_a_lexical_judge_passes_where_rationales_repeat_the_words_of_the_context(check, listener):
    measured = check(recipe_of(), FACTS)
    assert measured.rationales == 40 and not measured.weak(0.7)
    assert measured.auc["factuality"]["swap"] > 0.8 < measured.auc["logicality"]["drop"]
    assert (
        "lexical" in listener.lines[0] and "AUC" in listener.lines[0] and len(listener.lines) == 6
    )
    dropped = [row for row in measured.to_results() if row.perturbation == "drop"]
    assert [(row.aspect, row.auc) for row in dropped] == [
        ("logicality", round(measured.auc["logicality"]["drop"], 3))
    ]
    assert {row.judge for row in measured.to_results()} == {"lexical"}


def test_a_lexical_judge_that_fails_is_refused_unless_the_recipe_allows_it(check):
    chains = paraphrased(30)
    with pytest.raises(
        RecipeError,
        match=r"guided\.judge: the lexical judge hardly tells .*0\.\d\d .*at least 0\.7",
    ) as refused:
        check(recipe_of(), chains)
    assert "guided.judge.name=cross-encoder/" in str(
        refused.value
    ) and "guided.judge_min_auc=0" in str(refused.value)
    measured = check(recipe_of(judge_min_auc=0.0), chains)
    assert measured.weak(0.7), "the figures of the run are still there"


def test_a_weak_model_is_reported_and_not_refused(check, listener):
    class Blind:
        nearest = 5

        def verdicts(self, pairs):
            return [Judgement(0.5, 0.5)] * len(pairs)

    measured = check(recipe_of("some/model"), FACTS, Scorer(judge=Blind()))
    assert set(measured.auc["factuality"].values()) == {0.5}
    assert "judge 'some/model' is weak on this text: factuality 0.50 (swap)" in listener.lines[-1]


def test_the_measure_is_made_once_on_a_sample_and_needs_rationales_with_contexts(check, listener):
    bare = [Chain(Problem("b", "Who?", "x"), chain.rationale) for chain in FACTS]
    assert check(recipe_of(), bare) is None and not listener.lines
    assert check(recipe_of(), FACTS[:4]) is None and "only 4 right rationales" in listener.lines[-1]
    many = make_chains(SAMPLE + 20, 8)
    first = check(recipe_of(), many)
    assert first.rationales == SAMPLE and check(recipe_of(), many[:10]) == first, (
        "read from the run folder"
    )


@pytest.mark.parametrize(
    ("chains", "arms", "needed"),
    [
        ("own.jsonl", ("guided-both",), True),
        ("own.jsonl", ("guided-dpo-sc",), True),
        ("own.jsonl", ("guided-task", "guided-distilled"), False),
        ("bundled", ("guided-both",), False),
    ],
)
def test_only_runs_that_reward_quality_on_text_of_their_own_are_checked(chains, arms, needed):
    assert needs_check(recipe_of(chains=chains, arms=arms)) is needed
