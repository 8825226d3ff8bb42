"""Arms at three points of their way to the plateau: which checkpoint stands for an arm, who sets
the points, and that a killed run ends with the same figures and without orphans."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from scripted_metrics import script
from smallsteps.experiment import folder as folder_module
from smallsteps.experiment.grading import GradedArm
from smallsteps.experiment.outcome import ChainSelection, Outcome
from smallsteps.experiment.points import reached_by, smallest_plateau
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.run import run
from smallsteps.experiment.trained import BestSoFar
from tiny_runs import lasting, rows_of, tiny_content


def best(tokens, passes=1.0, update=100, folder="c", value=1.0):
    return BestSoFar(folder, value, tokens, tokens - update, passes, tokens / 10)


TRAIL = [best(1000, 1.0), best(2000, 2.0), best(3000, 3.0)]


@pytest.mark.parametrize(
    ("point", "limit", "tokens"),
    [
        ("plateau", float("inf"), 3000),
        ("budget", 2000, 2000),
        ("budget", 1950, 2000),  # the update that reaches the budget belongs to it
        ("budget", 1900, 1000),  # this one began where the budget was spent
        ("budget", 2999, 3000),
        ("budget", 500, 1000),  # before the first evaluation nothing is known
        ("passes", 2.0, 2000),
        ("passes", 2.9, 2000),
        ("passes", 0.5, 1000),
    ],
)
def test_an_arm_stands_at_a_point_with_the_best_that_it_had_reached(point, limit, tokens):
    assert reached_by(TRAIL, point, limit).tokens == tokens


class ChainArmOf:
    """An arm that trains on chains."""

    def __init__(self, limit=None):
        self.name, self.selection = "arm", ChainSelection()

    def parts(self, job, train, validation):
        return []

    def trainings(self, recipe, seed):
        return [(self, "arm, seed 0")]


def seeds(*plateaus, arm=None, **outcome):
    """An arm at several seeds, each with (tokens, passes) at its plateau."""
    return [
        GradedArm(
            arm or ChainArmOf(),
            seed,
            Outcome([], [], trail=[best(10, 0.1), best(*plateau)], **outcome),
            *(None, {}, {}, None, ""),
        )
        for seed, plateau in enumerate(plateaus)
    ]


def test_the_points_are_the_smallest_mean_over_the_seeds_of_an_arm():
    arms = {
        "direct": seeds((2000, 4.0), (4000, 8.0)),
        "ases": seeds((3500, 2.0), (3500, 3.0)),
    }
    assert smallest_plateau(arms) == (3000, 2.5)


def test_controls_answers_alone_and_arms_without_chains_set_no_point():
    small = (100, 0.1)
    arms = {
        "direct": seeds((2000, 4.0)),
        "control": seeds(small, control=True),
        "answer-only": seeds(small, writes_chains=False),
        "guided": seeds(small, arm=SimpleNamespace(name="guided")),
    }
    assert smallest_plateau(arms) == (2000, 4.0)
    del arms["direct"]
    assert smallest_plateau(arms) == (None, None)


# ---- whole runs ----

FIGURES = {
    "direct, seed 0": [10.0, 20.0, 40.0, 30.0, 40.0],
    "ases-uni-gold, seed 0": [5.0, 20.0, 30.0, 50.0, 40.0, 40.0],
    "ases-dual-gold, seed 0": [28.0, 30.0, 20.0, 35.0, 35.0, 35.0],
}
TRAIN = {"budget": 9000, "evaluations": 6, "until": "plateau", "patience": 2}
ARMS = ["direct", "ases-uni-gold", "ases-dual-gold"]


@pytest.fixture(scope="module")
def recipe():
    sections = {"data": {"count": 48}, "evaluation": {"bootstrap": 100}}
    return make_recipe(tiny_content(arms=ARMS, train=TRAIN, **sections))


@pytest.fixture(scope="module")
def whole(recipe, tmp_path_factory):
    """(folder, results) of the run that nothing disturbs. Nobody writes into it."""
    out = tmp_path_factory.mktemp("whole") / "run"
    with pytest.MonkeyPatch.context() as patch:
        script(patch, FIGURES)
        return out, run(recipe, out)


def folders(out):
    """Checkpoints and pairs that are left, by arm."""
    return {
        arm: sorted(p.name for p in (out / f"arms/{arm}-seed0/training").glob("[cp]*-[0-9]*"))
        for arm in ARMS
    }


def test_each_point_is_graded_with_the_checkpoint_that_was_best_by_then(whole):
    out, results = whole
    arms = {arm.name: arm for arm in results.arms}
    assert {name: arm.plateau for name, arm in arms.items()} == dict.fromkeys(ARMS, True)
    assert [len(arms[name].curve) for name in ARMS] == [5, 6, 6]
    points = {(row.point, row.name): row for row in results.points}
    assert len(points) == len(results.points) == 9
    at = {name: [point.tokens for point in arms[name].curve] for name in ARMS}
    tokens = {key: row.tokens for key, row in points.items()}
    assert results.budget.smallest_plateau == at["direct"][2]
    assert [tokens["budget", name] for name in ARMS] == [
        at["direct"][2],
        at["ases-uni-gold"][2],
        at["ases-dual-gold"][1],  # better than its third
    ]
    assert [tokens["plateau", name] for name in ARMS] == [
        at["direct"][2],
        at["ases-uni-gold"][3],
        at["ases-dual-gold"][3],
    ]
    for name, arm in arms.items():
        row = points["plateau", name]
        assert (row.value, row.low, row.high, row.n) == (arm.value, arm.low, arm.high, 6)
        chosen = next(point for point in arm.curve if point.tokens == row.tokens)
        assert row.seconds == chosen.seconds
    fewest = min(points["plateau", name].passes for name in ARMS)
    assert results.budget.equal_passes == pytest.approx(fewest, abs=1e-3)
    assert all(points["passes", name].passes <= fewest + 1e-3 for name in ARMS[1:])
    assert [(row.point, row.arm, row.against) for row in results.point_comparisons] == [
        (point, arm, "direct")
        for point in ("budget", "plateau", "passes")
        for arm in ("ases-uni-gold", "ases-dual-gold")
    ]
    for row in results.point_comparisons:
        one, other = points[row.point, row.arm], points[row.point, row.against]
        assert row.difference == pytest.approx(one.value - other.value) and row.n == 6
    answers = out / "arms/ases-uni-gold-seed0"
    assert len(rows_of(next(answers.glob("answers-candidate-*")) / "parts.jsonl")) == 6


def test_several_seeds_are_pooled_and_a_point_is_a_mean_over_them(recipe_of, tmp_path, monkeypatch):
    script(
        monkeypatch,
        {
            "direct, seed 0": [10.0, 40.0, 30.0, 40.0],
            "direct, seed 1": [10.0, 20.0, 30.0, 40.0, 30.0, 30.0],
            "ases-uni-gold, seed 0": [5.0, 20.0, 30.0, 40.0, 50.0, 50.0],
            "ases-uni-gold, seed 1": [5.0, 20.0, 30.0, 40.0, 50.0, 50.0],
        },
    )
    recipe = recipe_of(arms=ARMS[:2], train=TRAIN, seeds=[0, 1], evaluation={"bootstrap": 100})
    results = run(recipe, tmp_path / "run")
    first, _, second, _ = (  # direct and ases, seed by seed
        [point.tokens for point in arm.curve] for arm in results.arms
    )
    mean = (first[1] + second[3]) / 2
    assert results.budget.smallest_plateau == pytest.approx(mean, abs=1)
    points = {(row.point, row.name): row for row in results.points}
    assert points["plateau", "direct"].tokens == pytest.approx(mean, abs=0.1)
    # at the third evaluation: the first seed was best before, the second one goes on later
    assert points["budget", "direct"].tokens == pytest.approx((first[1] + second[2]) / 2, abs=0.1)
    assert {row.n for row in results.points} == {6}
    (row,) = [row for row in results.point_comparisons if row.point == "plateau"]
    (pooled,) = results.pooled_comparisons
    assert (row.difference, row.low, row.high, row.seed) == (
        pooled.difference,
        pooled.low,
        pooled.high,
        None,
    )


def test_without_a_plateau_there_are_no_points(recipe_of, tmp_path):
    results = run(recipe_of(), tmp_path / "run")
    assert (results.points, results.point_comparisons) == ([], [])
    assert (results.budget.smallest_plateau, results.arms[0].plateau) == (None, None)


class Killed(BaseException):
    pass


@pytest.mark.parametrize(
    "point",
    [
        "after:arms/direct-seed0/training",
        "before-manifest:arms/ases-uni-gold-seed0/answers",
        "discard:arms/direct-seed0/training",
        "discard:arms/ases-dual-gold-seed0/training",
    ],
)
def test_a_run_killed_around_its_points_ends_the_same_and_leaves_no_orphan(
    recipe, whole, tmp_path, monkeypatch, listener, point
):
    script(monkeypatch, FIGURES)
    undisturbed, results = whole

    def killed(name):
        if name == point:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(folder_module, "fail_point", killed)
        with pytest.raises(Killed):
            run(recipe, tmp_path / "cut")
    cut = run(recipe, tmp_path / "cut", listener)
    assert lasting(cut) == lasting(results)
    assert folders(tmp_path / "cut") == folders(undisturbed)
    assert not [line for line in listener.lines if "damaged" in line]
    again = run(recipe, tmp_path / "cut", listener)
    assert again == cut and not [line for line in listener.lines if "damaged" in line]


def test_only_checkpoints_that_answered_or_were_chosen_are_left(whole):
    out, _ = whole
    left = folders(out)
    for arm in ARMS:
        stage = out / f"arms/{arm}-seed0"
        trained = json.loads((stage / "training/trained.json").read_text())
        best = {Path(row["folder"]).name for row in trained["trail"]}
        answered = {path.name.removeprefix("answers-") for path in stage.glob("answers-*")}
        chosen = set(trained["folders"].values())
        pairs = {name for name in chosen if name.startswith("pair-") and not name[-1].isdigit()}
        assert set(left[arm]) == answered | chosen - pairs
        assert best - set(left[arm]), f"{arm}: a checkpoint that was best for a while is gone"


def test_damage_after_the_points_is_repaired_from_what_is_left(
    recipe, whole, tmp_path, monkeypatch, listener
):
    """The checkpoints that were deleted are not missed: what answers at a point is still there."""
    script(monkeypatch, FIGURES)
    undisturbed, results = whole
    shutil.copytree(undisturbed, tmp_path / "run")
    for name in ("direct", "ases-dual-gold"):
        (tmp_path / f"run/arms/{name}-seed0/training/trained.json").write_text("{}")
    answers = next((tmp_path / "run/arms/ases-uni-gold-seed0").glob("answers-*"))
    (answers / "parts.jsonl").write_text("")
    again = run(recipe, tmp_path / "run", listener)
    assert lasting(again) == lasting(results)
    assert any("trained.json: damaged" in line for line in listener.lines)
    assert not any("starts again" in line for line in listener.lines), "nothing is trained twice"
