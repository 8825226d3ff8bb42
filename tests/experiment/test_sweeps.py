"""Sweeps over the number of training chains: nested subsets, arms by name, budgets by passes."""

import pytest

from scripted_metrics import script
from smallsteps.errors import RecipeError
from smallsteps.experiment.beforehand import check_recipe, rehearse
from smallsteps.experiment.outcome import ChainSelection
from smallsteps.experiment.recipe import load_recipe
from smallsteps.experiment.run import run
from smallsteps.experiment.sweeps import first_chains, limits
from smallsteps.methods.as_es import arms as arms_module
from smallsteps.methods.as_es.arms import as_es_arms
from smallsteps.methods.baselines.arms import baseline_arms
from tiny_labs import tiny_lab
from tiny_runs import rows_of


def test_smaller_subsets_are_in_larger_ones_and_keep_the_order_of_the_data():
    chains = list(range(100))
    ten, thirty = (first_chains(chains, count, seed=0) for count in (10, 30))
    assert len(ten) == 10 and len(thirty) == 30
    assert set(ten) < set(thirty)
    assert ten == sorted(ten) and thirty == sorted(thirty)
    assert ten != chains[:10], "drawn over all of them: files are sorted in some way"
    assert ten == first_chains(chains, 10, seed=0) != first_chains(chains, 10, seed=1)
    assert first_chains(chains, None, seed=0) == first_chains(chains, 100, seed=0) == chains


def test_every_arm_that_learns_from_chains_runs_once_for_each_number():
    changes = ["sweep.data.limit=[250, 1000000]", "sweep.beta=[0.8, 1]"]
    recipe = load_recipe("demo", changes)
    assert limits(recipe) == [250, 1_000_000]
    for name in ("direct", "answer-only", "self-training"):
        names = [arm.name for arm in baseline_arms(recipe, name)]
        assert names == [f"{name}-limit=250", f"{name}-limit=1000000"]
    assert [arm.name for arm in baseline_arms(recipe, "base")] == ["base"]
    arms = as_es_arms(recipe, "ases-uni-ent")
    assert [arm.name for arm in arms] == [
        "ases-uni-ent-beta=0.8-limit=250",
        "ases-uni-ent-beta=0.8-limit=1000000",
        "ases-uni-ent-beta=1-limit=250",
        "ases-uni-ent-beta=1-limit=1000000",
    ]
    assert arms[0].direct().name == "direct-limit=250"


def test_arms_are_compared_with_the_direct_one_of_as_many_chains():
    recipe = load_recipe("demo", ["sweep.data.limit=[250, 500]"])
    names = ["direct-limit=250", "direct-limit=500"]
    for name in ("answer-only", "self-training"):
        small, large = baseline_arms(recipe, name)
        assert small.against(names) == ["direct-limit=250"]
        assert large.against(names) == ["direct-limit=500"]
        assert large.against(names[:1]) == []
    (alone,) = baseline_arms(load_recipe("demo"), "answer-only")
    assert alone.against(["direct"]) == [], "without a sweep the baseline of the recipe"


def test_more_chains_than_there_are_is_one_line_before_any_work(recipe_of, tmp_path):
    recipe = recipe_of(sweep={"data.limit": [8, 25]})
    line = r"^sweep.data.limit: 25 chains, but the training part has 24 chains. Name smaller numb"
    with pytest.raises(RecipeError, match=line):
        run(recipe, tmp_path / "run")
    with pytest.raises(RecipeError, match=line), rehearse(recipe):
        pass


def test_parts_of_reports_are_not_left_out_one_by_one():
    recipe = load_recipe("demo", ["data.task=pet", "sweep.data.limit=[8]"])
    with pytest.raises(RecipeError, match=r"sweep.data.limit leaves out single chains; .*'pet'"):
        check_recipe(recipe, data_is_there=True)


def test_a_lab_gives_an_arm_its_chains_and_its_passes_over_them(tmp_path):
    with tiny_lab(tmp_path, train={"budget": None, "passes": 2.0}) as lab:
        few, all_chains = ChainSelection(limit=8), ChainSelection()
        assert len(lab.train_chains(few)) == 8 and len(lab.train_chains(all_chains)) == 24
        assert lab.validation_chains(few) == lab.validation_chains(all_chains)
        lab.budget, lab.budgets = 6000, {8: 2000}
        assert lab.chain_job(few, 0, tmp_path, "few").budget == 2000
        assert lab.chain_job(all_chains, 0, tmp_path, "all").budget == 6000


FIGURES = {
    f"{arm}-limit={limit}, seed 0": [10.0, 10.0 + limit, 10.0, 10.0]
    for arm in ("direct", "ases-uni-ent")
    for limit in (8, 24)
}


def test_each_arm_is_at_its_own_plateau_for_each_number_of_chains(
    recipe_of, tmp_path, monkeypatch, listener
):
    script(monkeypatch, FIGURES)
    cuts, cut = [], arms_module.AsEsArm.cut

    def spy(arm, lab, seed, folder, chains, scorer):
        cuts.append((arm.name, len(chains), scorer.name))
        return cut(arm, lab, seed, folder, chains, scorer)

    monkeypatch.setattr(arms_module.AsEsArm, "cut", spy)
    recipe = recipe_of(
        arms=["direct", "ases-uni-ent"],
        sweep={"data.limit": [8, 24]},
        train={
            "budget": None,
            "passes": 6,
            "until": "plateau",
            "patience": 2,
            "evaluations": 6,
            "update_examples": 4,
        },
        evaluation={"bootstrap": 100},
    )
    results = run(recipe, tmp_path / "run", listener)
    names = ["direct-limit=8", "direct-limit=24", "ases-uni-ent-limit=8", "ases-uni-ent-limit=24"]
    assert [arm.name for arm in results.arms] == names
    assert all(arm.plateau and len(arm.curve) == 4 for arm in results.arms)
    small, large = (arm for arm in results.arms if arm.method == "baselines")
    assert small.train_tokens < 0.5 * large.train_tokens
    assert small.passes == pytest.approx(large.passes, rel=0.2), "as many passes over fewer chains"
    assert results.budget.tokens > large.train_tokens, "of the largest number"
    # each scorer is the direct student of as many chains
    (few, few_chains, few_scorer), (many, many_chains, many_scorer) = cuts
    assert (few, few_chains, many, many_chains) == (names[2], 8 + 4, names[3], 24 + 4)
    assert "direct-limit8-seed0" in few_scorer and "direct-limit24-seed0" in many_scorer
    assert [(row.point, row.name) for row in results.points] == [("plateau", n) for n in names]
    assert results.budget.smallest_plateau is None
    pairs = {(row.arm, row.against) for row in results.point_comparisons}
    assert (names[2], names[0]) in pairs and (names[3], names[1]) in pairs
    assert (names[3], names[0]) not in pairs
    curves = tmp_path / "run" / small.folder / "curves.jsonl"
    assert rows_of(curves)[-1]["tokens"] == small.train_tokens
    assert any("by the number of chains" in line for line in listener.lines)
