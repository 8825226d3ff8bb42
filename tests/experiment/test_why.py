"""Why arms are right or wrong: gold chains are right at every step, a damaged one is not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from smallsteps.evaluation.grade import grade
from smallsteps.evaluation.metrics import bleu
from smallsteps.experiment.gold_steps import with_steps
from smallsteps.experiment.grading import GradedArm
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.outcome import Outcome
from smallsteps.experiment.results import read_results
from smallsteps.experiment.run import run
from smallsteps.experiment.why import explain, first_step, judged_kinds
from smallsteps.records import Chain, Prediction, Problem, Rationale
from smallsteps.tasks.equations import find_equations
from tiny_labs import tiny_lab


class FakeArm:
    method = "baselines"

    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with tiny_lab(tmp_path, data={"difficulty": "medium", "test_count": 8}) as made:
        yield made


def graded(
    lab: Lab, texts: list[str], name: str = "direct", seed: int = 0, **more: Any
) -> GradedArm:
    predictions = [
        Prediction(
            f"{p.id}/p", p.id, text, ((None, text),), lab.task.extract(text, False, p), "end"
        )
        for p, text in zip(lab.data.test, texts, strict=True)
    ]
    outcome = Outcome(predictions, shown=predictions, **more)
    score = grade(predictions, lab.data.test, lab.task, seed=seed)
    return GradedArm(FakeArm(name), seed, outcome, score, {}, {}, None, "")  # type: ignore[arg-type]


def gold_texts(lab: Lab) -> list[str]:
    return [chain.rationale.text for chain in lab.data.gold]


def damaged(text: str, place: int) -> str:
    """The chain with another result in one of its equations; its answer stays."""
    equation = find_equations(text)[place]
    digits = len(str(equation.result))
    return f"{text[: equation.end - digits]}{equation.result + 1}{text[equation.end :]}"


def test_gold_chains_are_right_at_every_step_and_differ_from_gold_nowhere(lab: Lab) -> None:
    why = explain(lab, [graded(lab, gold_texts(lab))])
    assert why is not None and why.exact and why.gold_kinds
    assert (why.gold_chains, why.step_chains, why.without_steps) == (8, 8, 0)
    (arm,) = why.arms
    assert arm.steps and all(step.free_running.value == 100 for step in arm.steps)
    assert all(step.gold_prefix is None for step in arm.steps), "no student was given"
    assert arm.diversity is not None and arm.diversity.right == 8
    assert arm.diversity.differing is not None and arm.diversity.differing.value == 0
    assert arm.diversity.bleu_right is not None
    assert arm.diversity.bleu_right.value == pytest.approx(100)
    assert arm.diversity.bleu_wrong is None and arm.diversity.distinct is None
    for of in ("written", "gold"):
        rows = [row for row in arm.regularity if row.of == of]
        assert sum(row.n for row in rows) == 8 and all(row.accuracy.value == 100 for row in rows)


def test_a_damaged_chain_fails_at_the_damaged_step_alone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smallsteps.evaluation.steps.LEAST_CHAINS", 1)
    texts = gold_texts(lab)
    for place in (0, 1):
        why = explain(lab, [graded(lab, [damaged(texts[0], place), *texts[1:]])])
        assert why is not None
        steps = why.arms[0].steps
        wrong = [round(step.n * (100 - step.free_running.value) / 100) for step in steps]
        assert wrong == [int(step == place) for step in range(len(steps))]
        diversity = why.arms[0].diversity
        assert diversity is not None and diversity.differing is not None
        assert diversity.differing.value == pytest.approx(100 / 8), "its answer is still right"


def test_seeds_are_pooled_and_their_different_chains_counted(lab: Lab) -> None:
    texts = gold_texts(lab)
    other = [*texts[:4], *(text.replace("so ", "thus ") for text in texts[4:])]
    why = explain(lab, [graded(lab, texts), graded(lab, other, seed=1)])
    assert why is not None
    (arm,) = why.arms
    assert arm.seeds == [0, 1] and arm.steps[0].n == 16
    assert arm.diversity is not None and arm.diversity.distinct == pytest.approx(1.5)
    assert arm.diversity.right == 16 and arm.diversity.differing is not None
    assert arm.diversity.differing.value == pytest.approx(25)


def test_bleu_is_apart_for_right_and_wrong_answers(lab: Lab) -> None:
    texts = gold_texts(lab)
    wrong = [f"{text.rpartition('The answer')[0]}The answer is 99." for text in texts[:3]]
    why = explain(lab, [graded(lab, [*wrong, *texts[3:]])])
    assert why is not None
    diversity = why.arms[0].diversity
    assert diversity is not None and diversity.right == 5 and diversity.bleu_wrong is not None
    assert diversity.bleu_wrong.value == pytest.approx(bleu(wrong, texts[:3]))


def test_without_gold_chains_only_what_needs_none_is_measured(lab: Lab) -> None:
    texts = gold_texts(lab)
    lab.data = replace(lab.data, gold=[])
    why = explain(lab, [graded(lab, texts)])
    assert why is not None and (why.gold_chains, why.step_chains) == (0, 0)
    (arm,) = why.arms
    assert arm.steps == [] and arm.diversity is None
    assert {row.of for row in arm.regularity} == {"written"}


def test_wrong_gold_chains_are_no_gold_chains(lab: Lab) -> None:
    texts = gold_texts(lab)
    first, *others = lab.data.gold
    wrong = first._replace(rationale=replace(first.rationale, correct=False))
    lab.data = replace(lab.data, gold=[wrong, *others])
    why = explain(lab, [graded(lab, texts)])
    assert why is not None and why.gold_chains == 7
    diversity = why.arms[0].diversity
    assert diversity is not None and diversity.right == 7


def test_chains_without_equations_are_left_out_and_counted(lab: Lab) -> None:
    texts = gold_texts(lab)
    own = [
        Chain(
            replace(chain.problem, id=f"own{n}"),
            replace(chain.rationale, text="It is 7. The answer is 7.")
            if n < 3
            else chain.rationale,
        )
        for n, chain in enumerate(lab.data.gold)
    ]
    lab.data = replace(lab.data, gold=own, test=[chain.problem for chain in own])
    why = explain(lab, [graded(lab, texts)])
    assert why is not None and not why.exact
    assert (why.gold_chains, why.step_chains, why.without_steps) == (8, 5, 3)


def test_arms_without_chains_of_their_own_are_left_out(lab: Lab) -> None:
    texts = gold_texts(lab)
    silent = graded(lab, texts, "guided-standard", writes_chains=False)
    assert explain(lab, [silent]) is None
    why = explain(lab, [silent, graded(lab, texts)])
    assert why is not None and [arm.name for arm in why.arms] == ["direct"]


def test_chains_of_answers_that_are_not_right_or_wrong_are_not_binned(lab: Lab) -> None:
    texts = gold_texts(lab)
    arms = [graded(lab, texts)]
    lab.data = replace(lab.data, task=replace(lab.task, metric="bleu"))
    why = explain(lab, arms)
    assert why is not None
    assert why.arms[0].diversity is None and why.arms[0].regularity == []


def test_an_empty_chain_has_no_kinds_and_stops_nothing(lab: Lab) -> None:
    texts = ["", *gold_texts(lab)[1:]]
    why = explain(lab, [graded(lab, texts)])
    assert why is not None and why.arms[0].unmeasured == 1
    empty = Chain(Problem("p", "How many?"), Rationale("r", "p", " "))
    assert judged_kinds([empty], lab.task) == [[]]


def test_the_first_step_is_judged_among_the_first_equations_as_later_ones_are(lab: Lab) -> None:
    stepped = with_steps(lab.data.gold[0], "en")
    assert stepped is not None
    text = stepped.chain.rationale.text
    assert first_step(stepped, f"1 + 1 = 2, 1 + 2 = 3, 1 + 3 = 4. {text}")
    assert not first_step(stepped, f"1 + 1 = 2, 1 + 2 = 3, 1 + 3 = 4, 1 + 4 = 5. {text}")


def test_a_run_explains_its_arms_and_finds_the_same_again(recipe_of: Any, tmp_path: Path) -> None:
    recipe = recipe_of(
        arms=["direct", "ases-uni-rouge", "ases-dual-inter", "answer-only"],
        data={"difficulty": "medium"},
        train={"budget": 2000},
        evaluation={"why_problems": 4},
    )
    results = run(recipe, tmp_path / "run")
    why = results.why
    assert why is not None and (why.step_chains, why.why_problems) == (4, 4)
    assert [arm.name for arm in why.arms] == ["direct", "ases-uni-rouge", "ases-dual-inter"]
    for arm in why.arms:
        assert arm.seconds > 0 and all(step.gold_prefix and step.lost for step in arm.steps)
        first = arm.steps[0]
        assert first.gold_prefix is not None
    assert read_results(tmp_path / "run").why == why == run(recipe, tmp_path / "run").why


def test_the_figures_of_a_run_do_not_depend_on_gold_prefixes(
    recipe_of: Any, tmp_path: Path
) -> None:
    shared = {"data": {"test_count": 4}, "train": {"budget": 1000}}
    with_them = run(recipe_of(**shared), tmp_path / "with")
    without = run(recipe_of(**shared, evaluation={"why_problems": 0}), tmp_path / "without")
    assert not (tmp_path / "without/arms/direct-seed0/continuations").exists()
    assert [arm.value for arm in with_them.arms] == [arm.value for arm in without.arms]
    assert without.why is not None and with_them.why is not None
    (free,), (both,) = without.why.arms, with_them.why.arms
    assert [step.free_running for step in free.steps] == [step.free_running for step in both.steps]
    assert all(step.gold_prefix is None for step in free.steps)
