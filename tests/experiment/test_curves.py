"""The evaluations of a training, read off its curves."""

import json

from smallsteps.experiment.curves import curve_points
from smallsteps.experiment.results import CurvePoint
from smallsteps.experiment.run import run


def row(update, half=None, evaluated=True, **figures):
    content = {"update": update, "tokens": 100 * update, "seconds": float(update), **figures}
    if half:
        content["half"] = half
    if evaluated:
        content |= {"passes": update / 2, "evaluation_seconds": 0.5}
    return content


def test_only_updates_that_were_evaluated_are_points():
    rows = [row(1, evaluated=False), row(2, metric=40.0, validation_loss=1.5)]
    assert curve_points(rows) == [
        CurvePoint(
            tokens=200,
            passes=1.0,
            seconds=2.0,
            evaluation_seconds=0.5,
            validation=40.0,
            validation_loss=1.5,
        )
    ]


def test_the_points_of_a_pair_are_its_own_and_not_those_of_its_halves():
    rows = [row(1, "ES", validation_loss=2.0), row(1, "AS"), row(2, "pair", metric=10.0)]
    (point,) = curve_points(rows)
    assert (point.tokens, point.validation, point.validation_loss) == (200, 10.0, None)


def test_every_evaluation_of_a_run_says_what_it_had_cost(recipe_of, tmp_path):
    train = {"budget": 4000, "evaluations": 3}
    results = run(recipe_of(arms=["direct", "ases-dual-gold"], train=train), tmp_path / "run")
    for arm in results.arms:
        assert arm.learning_rate == 1e-3
        assert len(arm.curve) == 3
        for name in ("tokens", "passes", "seconds", "evaluation_seconds"):
            values = [getattr(point, name) for point in arm.curve]
            assert values == sorted(set(values)) and values[0] > 0, f"{arm.name}: {name} grows"
        last = arm.curve[-1]
        assert (last.tokens, round(last.passes, 3)) == (arm.train_tokens, arm.passes)
        assert last.seconds == arm.seconds
        assert arm.validation == max(point.validation for point in arm.curve)
    direct, dual = results.arms
    assert all(point.validation_loss is not None for point in direct.curve)
    rows = [
        json.loads(line)
        for line in (tmp_path / "run" / dual.folder / "curves.jsonl").read_text().splitlines()
    ]
    ends = {half: [r for r in rows if r["half"] == half][-1] for half in ("ES", "AS", "pair")}
    halves = ends["ES"]["evaluation_seconds"] + ends["AS"]["evaluation_seconds"]
    pair = sum(r["pair_seconds"] for r in rows if r["half"] == "pair")
    assert abs(ends["pair"]["evaluation_seconds"] - halves - pair) < 0.01
