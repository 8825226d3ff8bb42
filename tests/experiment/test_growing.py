"""A run grows by arms and seeds in its folder: what is there is not trained again, and the results
are those of a fresh run of the larger recipe."""

from __future__ import annotations

import pytest
import yaml

from smallsteps.errors import RunFolderError
from smallsteps.experiment import budget
from smallsteps.experiment.growing import growth_of
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.results import read_results
from smallsteps.experiment.run import run
from smallsteps.experiment.so_far import state_of
from tiny_runs import lasting, tiny_content, weights

SHORT = {"budget": 1500}
SMALL = {"arms": ["base", "direct"], "train": SHORT}
LARGE = {"arms": ["ases-uni-rouge", "direct", "base"], "seeds": [0, 1], "train": SHORT}
POINTS = ("grow:forgotten", "grow:unsigned", "grow:run", "before-manifest:plan")


def recipe_file(path, **sections):
    path.write_text(yaml.safe_dump(tiny_content(**sections)))
    return str(path)


def trained_at(out):
    """Training folder → when its weights were written."""
    return {
        path.relative_to(out): path.stat().st_mtime_ns
        for path in out.glob("arms/*/training/**/*.safetensors")
    }


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """A run of the larger recipe from nothing."""
    out = tmp_path_factory.mktemp("fresh") / "run"
    run(make_recipe(tiny_content(**LARGE)), out)
    return out


def assert_same(grown, fresh):
    assert lasting(read_results(grown)) == lasting(read_results(fresh))
    assert weights(grown) == weights(fresh)
    for name in ("plan/plans.json", "check/left-out.json", "gold/gold.jsonl", "recipe.yaml"):
        assert (grown / name).read_bytes() == (fresh / name).read_bytes(), name
    assert state_of(grown) == "finished"


def test_a_finished_run_grows_by_an_arm_and_a_seed_without_training_again(
    fresh, tmp_path, listener
):
    out = tmp_path / "run"
    small = run(make_recipe(tiny_content(**SMALL)), out, command="the first command")
    before = trained_at(out)
    large = make_recipe(tiny_content(**LARGE))
    grown = run(large, out, listener, command="the second command")
    assert_same(out, fresh)
    after = trained_at(out)
    assert before and before.items() <= after.items(), "what was there is as it was"
    assert grown.command == "the second command"
    assert grown.provenance.recipe == large.digest() != small.provenance.recipe
    assert "the run grows by arms ases-uni-rouge; seeds 1; what is there" in str(listener.lines)
    assert run(large, out).command == "the second command", "the folder is its own now"
    with pytest.raises(RunFolderError, match=r"belongs to another recipe \(arms is"):
        run(make_recipe(tiny_content(**SMALL)), out)


def test_run_json_keeps_what_made_the_smaller_run(tmp_path):
    out = tmp_path / "run"
    digests = []
    for seeds in ([0], [0, 1], [0, 1, 2]):
        recipe = make_recipe(tiny_content(arms=["base"], seeds=seeds))
        run(recipe, out)
        digests.append(recipe.digest())
    content = yaml.safe_load((out / "run.json").read_text())
    assert [content["digest"], *(e["digest"] for e in content["earlier"])] == [
        digests[2],
        digests[0],
        digests[1],
    ]
    assert all("hardware" in earlier["provenance"] for earlier in content["earlier"])


def test_a_growing_run_killed_at_every_step_ends_as_a_fresh_one(command, fresh, tmp_path):
    small = recipe_file(tmp_path / "small.yaml", **SMALL)
    large = recipe_file(tmp_path / "large.yaml", **LARGE)
    out = tmp_path / "run"
    end = ("--threads", "1", "--out", str(out))
    assert command("run", small, *end) == 0, command.errors()
    for point in POINTS:
        assert command("run", large, *end, fail_at=point) == -9, f"{point}: {command.errors()}"
        assert state_of(out) in ("finished", "stopped")
    assert command("run", large, *end) == 0, command.errors()
    assert "damaged" not in command.errors()
    assert_same(out, fresh)


@pytest.mark.parametrize("point", ["grow:forgotten", "grow:unsigned"])
def test_killed_before_the_folder_is_the_larger_one_the_smaller_run_still_stands(
    command, tmp_path, point
):
    small = recipe_file(tmp_path / "small.yaml", arms=["base"])
    large = recipe_file(tmp_path / "large.yaml", arms=["base"], seeds=[0, 1])
    out = tmp_path / "run"
    end = ("--threads", "1", "--out", str(out))
    assert command("run", small, *end) == 0, command.errors()
    before = read_results(out)
    assert command("run", large, *end, fail_at=point) == -9, command.errors()
    assert command("run", small, *end) == 0, command.errors()
    assert read_results(out) == before


def test_a_stopped_run_grows_as_well(command, fresh, tmp_path):
    small = recipe_file(tmp_path / "small.yaml", **SMALL)
    large = recipe_file(tmp_path / "large.yaml", **LARGE)
    out = tmp_path / "run"
    end = ("--threads", "1", "--out", str(out))
    stop = "before-manifest:arms/direct-seed0/training"
    assert command("run", small, *end, fail_at=stop) == -9, command.errors()
    assert command("run", large, *end) == 0, command.errors()
    assert_same(out, fresh)


PLATEAU = {"until": "plateau", "patience": 2, "evaluations": 6, "budget": 6000}


def test_points_of_a_grown_run_are_those_of_a_fresh_one(tmp_path, listener):
    """The trap: another arm moves the smallest plateau to a checkpoint that was deleted."""
    small = {"arms": ["direct"], "seeds": [0], "train": PLATEAU}
    large = {"arms": ["direct", "ases-uni-rouge"], "seeds": [0, 1], "train": PLATEAU}
    run(make_recipe(tiny_content(**small)), tmp_path / "grown")
    grown = run(make_recipe(tiny_content(**large)), tmp_path / "grown", listener)
    fresh = run(make_recipe(tiny_content(**large)), tmp_path / "fresh")
    assert lasting(grown) == lasting(fresh)
    assert grown.points and grown.budget.smallest_plateau is not None
    assert "trained again" in "\n".join(listener.lines), "the trap"
    assert weights(tmp_path / "grown") == weights(tmp_path / "fresh")


# ---- what cannot grow ----


def test_arms_that_would_change_the_budget_of_others_are_refused_and_nothing_is_written(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(budget, "_budgets_of_passes", lambda lab, arms: {None: 1000 * len(arms)})
    passes = {"budget": None, "passes": 1.0, "evaluations": 1}
    out = tmp_path / "run"
    run(make_recipe(tiny_content(arms=["direct"], train=passes)), out)
    before = (out / "run.json").read_bytes(), (out / "results.json").read_bytes()
    large = make_recipe(tiny_content(arms=["direct", "answer-only"], train=passes))
    with pytest.raises(RunFolderError, match="would change from 1000 to 2000 training tokens"):
        run(large, out)
    assert before == ((out / "run.json").read_bytes(), (out / "results.json").read_bytes())


@pytest.fixture
def folder(tmp_path):
    """(recipe file, digest) of a run of two arms at seed 0."""
    recipe = make_recipe(tiny_content(arms=["direct", "base"]))
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    return tmp_path / "recipe.yaml", recipe.digest()


@pytest.mark.parametrize(
    "sections",
    [
        {"arms": ["direct"]},
        {"arms": ["direct", "answer-only"]},
        {"arms": ["direct", "base"], "seeds": [1]},
        {"arms": ["direct", "base", "answer-only"], "train": {"budget": 7000}},
        {"arms": ["direct", "base", "answer-only"], "baseline": "base"},
    ],
)
def test_a_recipe_that_takes_something_away_or_changes_it_does_not_grow(sections, folder):
    file, digest = folder
    here = make_recipe(tiny_content(**sections))
    assert growth_of(file, digest, here.to_yaml()) is None


def test_settings_without_effect_may_differ_and_a_new_method_brings_its_section(folder):
    file, digest = folder
    arms = ["direct", "base", "self-training"]
    here = make_recipe(tiny_content(arms=arms, title="larger", student={"device": "cpu"}))
    growth = growth_of(file, digest, here.to_yaml())
    assert growth is not None and str(growth) == "arms self-training"


def test_an_edited_recipe_file_does_not_grow(folder):
    file, _ = folder
    here = make_recipe(tiny_content(arms=["direct", "base"], seeds=[0, 1]))
    assert growth_of(file, "another digest", here.to_yaml()) is None
    file.write_text("[" * 1000)
    assert growth_of(file, "another digest", here.to_yaml()) is None


def test_another_first_seed_is_refused_with_what_to_type(folder):
    file, digest = folder
    here = make_recipe(tiny_content(arms=["direct", "base"], seeds=[2, 0]))
    with pytest.raises(RunFolderError, match=r"begun with seed 0, .* Name it first: seeds=\[0,2\]"):
        growth_of(file, digest, here.to_yaml())


def test_arms_that_need_other_data_are_refused(tmp_path):
    recipe = make_recipe(tiny_content(arms=["base"]))
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    here = make_recipe(tiny_content(arms=["base", "direct"]))
    with pytest.raises(RunFolderError, match="cannot grow by arms direct: arms that learn from ch"):
        growth_of(tmp_path / "recipe.yaml", recipe.digest(), here.to_yaml())
