"""Halves of a dual pair train side by side to the weights they would have alone, and the best pair
is the checkpoint."""

import json
import shutil

import pytest
import yaml
from safetensors.torch import load_file

from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.results import read_results
from smallsteps.experiment.run import run
from smallsteps.methods.as_es import pairs as pairs_module
from smallsteps.students.dual import DualStudent
from smallsteps.training.fit import Training
from tiny_runs import lasting, rows_of, tiny_content, weights

TRAIN = {"budget": 4000, "evaluations": 4}
PLACE = "arms/ases-dual-gold-seed0/training"


def state_of(folder):
    return load_file(folder / "model.safetensors")


def same(one, other):
    return one.keys() == other.keys() and all(one[name].equal(other[name]) for name in one)


def scripted(monkeypatch, figures):
    """The pair's figure at each evaluation, and what the students' weights were then."""
    seen, left = [], list(figures)
    measure = TrainingJob.validation_metric

    def metric(workshop, student):
        if not isinstance(student, DualStudent):
            return measure(workshop, student)
        seen.append(
            [
                {n: p.clone() for n, p in half.model.named_parameters()}
                for half in (student.es, student.as_)
            ]
        )
        return left.pop(0)

    monkeypatch.setattr(TrainingJob, "validation_metric", metric)
    return seen


def test_the_checkpoint_is_the_pair_of_the_best_evaluation(recipe_of, tmp_path, monkeypatch):
    seen = scripted(monkeypatch, [10.0, 40.0, 30.0, 40.0])
    results = run(recipe_of(arms=["ases-dual-gold"], train=TRAIN), tmp_path / "run")
    assert len(seen) == 4, "once an evaluation"
    row = results.arms[0]
    assert row.validation == 40.0 and row.student.endswith("pair-2"), "of equals the earlier"
    for kind, at_best in zip(("es", "as"), seen[1], strict=True):
        saved = state_of(tmp_path / "run" / row.student / kind)
        assert all(saved[name].equal(value) for name, value in at_best.items() if name in saved)
    measured = [
        r
        for r in rows_of(tmp_path / "run" / row.folder / "curves.jsonl")
        if r.get("half") == "pair"
    ]
    assert [r["metric"] for r in measured] == [10.0, 40.0, 30.0, 40.0]
    assert [r["tokens"] for r in measured] == sorted({r["tokens"] for r in measured})
    assert measured[-1]["tokens"] == row.train_tokens
    kept = {path.name for path in (tmp_path / "run" / PLACE).glob("pair-[0-9]")}
    assert kept == {"pair-2"}


def test_each_half_ends_with_the_weights_that_it_has_when_it_trains_alone(
    recipe_of, tmp_path, monkeypatch
):
    recipe = recipe_of(arms=["ases-dual-gold"], train=TRAIN)
    run(recipe, tmp_path / "slices")
    go_on = Training.go_on

    def alone(training, until=None):
        if training.out.name in ("es", "as"):
            training.progress = None
        go_on(training, None if training.update == 0 else until)

    monkeypatch.setattr(Training, "go_on", alone)
    row = {"metric": 1.0, "half": "pair", "pair_seconds": 0.0}
    monkeypatch.setattr(pairs_module, "_measured", lambda *_: dict(row))
    run(recipe, tmp_path / "whole")
    for kind in ("es", "as"):
        one, other = (tmp_path / name / PLACE / kind for name in ("slices", "whole"))
        first, second = (
            json.loads((folder / "result.json").read_text()) for folder in (one, other)
        )
        assert first["selections"] == second["selections"]
        for chosen in first["selections"].values():
            name = f"candidate-{chosen['update']}"
            assert same(state_of(one / name), state_of(other / name))


UNTIL_PLATEAU = {"budget": 8000, "evaluations": 6, "until": "plateau", "patience": 2}


def test_a_pair_ends_where_its_own_figure_does_not_rise_any_more(recipe_of, tmp_path, monkeypatch):
    """The halves' losses may go on falling; no half ends alone."""
    scripted(monkeypatch, [10.0, 40.0, 30.0, 40.0, 99.0, 99.0])
    recipe = recipe_of(arms=["ases-dual-gold"], train=UNTIL_PLATEAU)
    (arm,) = run(recipe, tmp_path / "run").arms
    assert arm.plateau is True and arm.validation == 40.0
    assert [point.validation for point in arm.curve] == [10.0, 40.0, 30.0, 40.0]
    rows = rows_of(tmp_path / "run" / arm.folder / "curves.jsonl")
    halves = [[row for row in rows if row["half"] == half][-1] for half in ("ES", "AS")]
    assert sum(row["tokens"] for row in halves) == arm.train_tokens == arm.curve[-1].tokens
    assert 0.6 < arm.train_tokens / 8000 < 0.9, "four of six evaluations"
    assert arm.curve[-1].seconds == arm.seconds
    for kind in ("es", "as"):
        result = json.loads((tmp_path / "run" / PLACE / kind / "result.json").read_text())
        assert (result["plateau"], result["trail"]) == (None, []), "the pair decides"


def test_a_pair_killed_around_its_plateau_ends_the_same(recipe_of, tmp_path, monkeypatch):
    recipe = recipe_of(arms=["ases-dual-gold"], train=UNTIL_PLATEAU)
    figures = [10.0, 40.0, 30.0, 40.0, 99.0, 99.0]
    with monkeypatch.context() as patch:
        scripted(patch, figures)
        whole = run(recipe, tmp_path / "whole")

    class Killed(BaseException):
        pass

    for at in ("before-pair:2", "before-pair:4", "after-pair:4"):

        def killed(name, at=at):
            if name == at:
                raise Killed

        with monkeypatch.context() as patch:
            log = tmp_path / "cut" / PLACE / "pairs.json"
            seen = len(json.loads(log.read_text())["rows"]) if log.exists() else 0
            scripted(patch, figures[seen:])
            patch.setattr(pairs_module, "fail_point", killed)
            with pytest.raises(Killed):
                run(recipe, tmp_path / "cut")
    with monkeypatch.context() as patch:
        scripted(patch, [])
        cut = run(recipe, tmp_path / "cut")
    assert lasting(cut) == lasting(whole)
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")


POINTS = [
    "before-pair:1",
    "after-pair:1",
    "before-pair:4",
    "after-pair:4",
    f"before-manifest:{PLACE}",
]


def test_a_pair_killed_between_its_slices_ends_the_same(command, tmp_path):
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(yaml.safe_dump(tiny_content(arms=["ases-dual-gold"], train=TRAIN)))
    arguments = ("run", str(recipe), "--threads", "1", "--out")
    assert command(*arguments, str(tmp_path / "whole")) == 0, command.errors()
    for point in POINTS:
        assert command(*arguments, str(tmp_path / "cut"), fail_at=point) == -9, (
            f"{point}: {command.errors()}"
        )
    assert command(*arguments, str(tmp_path / "cut")) == 0, command.errors()
    whole, cut = (tmp_path / name for name in ("whole", "cut"))
    assert weights(whole) == weights(cut)
    first, second = (lasting(read_results(path)) for path in (whole, cut))
    assert first == second


@pytest.mark.parametrize("what", ["log", "weights", "half"])
def test_damage_between_two_calls_starts_the_pair_again(
    recipe_of, listener, tmp_path, monkeypatch, what
):
    recipe = recipe_of(arms=["ases-dual-gold"], train=TRAIN)
    run(recipe, tmp_path / "whole")

    class Killed(BaseException):
        pass

    def killed(name):
        if name == "after-pair:3":
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(pairs_module, "fail_point", killed)
        with pytest.raises(Killed):
            run(recipe, tmp_path / "cut")
    place = tmp_path / "cut" / PLACE
    if what == "log":
        (place / "pairs.json").write_text("{")
    elif what == "weights":
        best = next(place.glob("pair-[0-9]"))
        (best / "es" / "model.safetensors").write_bytes(b"nothing")
    else:
        shutil.rmtree(place / "as")
    run(recipe, tmp_path / "cut", listener)
    assert weights(tmp_path / "whole") == weights(tmp_path / "cut")
    restarted = any("the training of this pair starts again" in line for line in listener.lines)
    assert restarted == (what != "half"), (
        "a lost half is trained again, the other one and the figures stay"
    )
