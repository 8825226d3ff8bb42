"""The search of a learning rate: which rate is chosen, that it costs the same for every arm, and
that it leaves no trace in the training that follows."""

import json
import math

import pytest
import torch

from smallsteps.errors import DivergenceError, TrainingError
from smallsteps.experiment import search as search_module
from smallsteps.experiment.results import RateResult
from smallsteps.experiment.run import run
from smallsteps.experiment.search import (
    best_rate,
    rate_lines,
    read_rates,
    search_rates,
    starting_weights,
)
from smallsteps.experiment.trained import Trained
from smallsteps.students.lora import LoraSettings, add_lora
from tiny_runs import lasting, rows_of, weights


def result(rate, validation=None, loss=None, diverged=False):
    return RateResult(
        learning_rate=rate,
        validation=validation,
        validation_loss=loss,
        tokens=10,
        seconds=1.0,
        diverged=diverged,
    )


@pytest.mark.parametrize(
    ("rates", "best"),
    [
        ([result(1e-3, 40.0, 1.0), result(1e-2, 41.0, 9.0)], 1e-2),  # the metric decides
        ([result(1e-3, 40.0, 2.0), result(1e-2, 40.0, 1.0)], 1e-2),  # the loss, of equals
        ([result(1e-3, 0.0, 1.0), result(1e-2, 0.0, 1.0)], 1e-3),  # else the first
        ([result(1e-3, None, 2.0), result(1e-2, None, 1.5)], 1e-2),
        ([result(1.0, diverged=True), result(1e-3, 0.0, 5.0)], 1e-3),
    ],
)
def test_the_best_on_validation_is_chosen(rates, best):
    assert best_rate(rates) == best


def trained(rate, value=10.0, loss=1.0):
    rows = [{"update": 1, "validation_loss": loss}]
    return Trained({}, 100, 1.0, 2.0, value, rows, rate)


def test_a_rate_that_diverges_is_passed_over_and_its_cost_counts(tmp_path):
    def train(rate, place):
        if rate == 1.0:
            place.mkdir()
            row = {"update": 3, "tokens": 70, "seconds": 0.5}
            (place / "curves.jsonl").write_text(json.dumps(row) + "\n")
            raise DivergenceError("update 4: the loss is nan.")
        return trained(rate, loss=math.nan if rate == 0.5 else 1.0)

    search_rates([1.0, 0.5, 0.1], train, tmp_path)
    rates = read_rates(tmp_path, "direct, seed 0")
    assert [(row.diverged, row.tokens) for row in rates] == [(True, 70), (True, 100), (False, 100)]
    assert rates[1].validation is None, "a loss that is no number after training diverged too"
    assert rate_lines(rates) == "1 (diverged), 0.5 (diverged), 0.1 (10.0 on validation, loss 1)"
    assert {path.name for path in tmp_path.iterdir()} == {"rates.json"}


def test_where_all_rates_diverge_one_line_says_what_to_type(tmp_path):
    def train(rate, place):
        place.mkdir()
        raise DivergenceError("update 1: the loss is nan.")

    search_rates([100.0, 10.0], train, tmp_path)
    with pytest.raises(
        TrainingError,
        match=r"^direct, seed 0: training diverged at every learning rate \(100, 10\). Name lower "
        r"ones: train.learning_rate=1$",
    ):
        read_rates(tmp_path, "direct, seed 0")


def test_a_search_that_was_killed_repeats_no_rate_that_is_done(tmp_path, monkeypatch):
    tried = []

    def train(rate, place):
        tried.append(rate)
        place.mkdir(exist_ok=True)
        return trained(rate)

    def kill(name):
        if name == "after-rate:1":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(search_module, "fail_point", kill)
        with pytest.raises(KeyboardInterrupt):
            search_rates([1.0, 2.0, 3.0], train, tmp_path)
    assert (tmp_path / "rate-1").is_dir()
    search_rates([1.0, 2.0, 3.0], train, tmp_path)
    assert tried == [1.0, 2.0, 3.0]
    assert {path.name for path in tmp_path.iterdir()} == {"rates.json"}


@pytest.mark.parametrize("rank", [0, 2])
def test_students_get_their_weights_back_as_they_were(tiny, rank):
    student = tiny("llama")
    student.model.to(torch.bfloat16)
    if rank:
        add_lora(student, LoraSettings(rank=rank, alpha=rank), seed=0)
    before = {name: p.detach().clone() for name, p in student.model.named_parameters()}
    digest = student.weights_digest()
    with starting_weights([student]) as restore:
        for parameter in student.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float() + 1
                parameter.grad = torch.ones_like(parameter)
        student.model.train()
        assert student.weights_digest() != digest
        restore()
    assert student.weights_digest() == digest and not student.model.training
    for name, parameter in student.model.named_parameters():
        assert parameter.dtype == before[name].dtype and torch.equal(parameter, before[name])
        assert parameter.grad is None


# ---- whole runs ----

ARMS = ["direct", "ases-uni-gold", "ases-dual-gold"]
TRAIN = {
    "budget": 4000,
    "update_examples": 2,
    "learning_rate": [1e-5, 1e-2, 100.0],
    "search_share": 0.5,
    "weight_decay": 10,  # at rate 100 each update makes the weights a thousand times larger
}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """(recipe, folder, results) of a run of three arms that search among three rates, one of which
    diverges."""
    from smallsteps.experiment.recipe import make_recipe
    from tiny_runs import tiny_content

    recipe = make_recipe(tiny_content(arms=ARMS, train=TRAIN, seeds=[0, 1]))
    out = tmp_path_factory.mktemp("searched") / "run"
    return recipe, out, run(recipe, out)


def test_every_arm_searches_at_the_same_cost_and_trains_at_what_it_found(searched):
    _, out, results = searched
    for arm in results.arms[:3]:
        assert [row.learning_rate for row in arm.search] == [1e-5, 1e-2, 100.0]
        assert [row.diverged for row in arm.search] == [False, False, True], arm.name
        losses = [row.validation_loss for row in arm.search]
        assert losses[1] < losses[0] and arm.learning_rate == 1e-2, "all figures are 0"
        for row in arm.search[:2]:
            assert row.tokens == pytest.approx(2000, rel=0.25) and row.seconds > 0
        assert 0 < arm.search[2].tokens < 2600, "until the loss was no number"
        rows = rows_of(out / arm.folder / "curves.jsonl")
        assert max(row.get("lr", 0) for row in rows) == pytest.approx(1e-2, rel=0.2)


def test_other_seeds_take_the_rate_of_the_first_and_search_nothing(searched):
    _, out, results = searched
    assert [(arm.seed, arm.learning_rate, arm.search) for arm in results.arms[3:]] == [
        (1, 1e-2, [])
    ] * 3
    found = sorted(path.name for path in (out / "search").iterdir())
    assert found == ["ases-dual-gold", "ases-uni-gold", "direct"]
    assert {path.name for path in out.glob("search/*/*")} == {"rates.json", "manifest.json"}


def test_the_training_after_a_search_is_the_one_of_a_recipe_that_names_the_rate(
    searched, recipe_of, tmp_path
):
    _, out, results = searched
    recipe = recipe_of(arms=ARMS, train={**TRAIN, "learning_rate": 1e-2}, seeds=[0, 1])
    named = run(recipe, tmp_path / "named")
    assert weights(tmp_path / "named") == weights(out)
    for arm, other in zip(results.arms, named.arms, strict=True):
        assert lasting_arm(arm) == lasting_arm(other)


def lasting_arm(arm):
    """Without seconds and the search."""
    return {
        name: value
        for name, value in arm.model_dump(exclude={"search", "curve"}).items()
        if "seconds" not in name
    }


class Killed(BaseException):
    pass


def test_a_run_killed_in_its_search_ends_the_same(searched, tmp_path, monkeypatch):
    recipe, _, whole = searched
    from smallsteps.training.trainer import UpdateTrainer

    step, calls = UpdateTrainer.training_step, []

    def killed(*arguments, **values):
        calls.append(1)
        if len(calls) in (3, 9):
            raise Killed
        return step(*arguments, **values)

    monkeypatch.setattr(UpdateTrainer, "training_step", killed)
    for _ in range(2):
        with pytest.raises(Killed):
            run(recipe, tmp_path / "cut")
    cut = run(recipe, tmp_path / "cut")
    assert lasting(cut) == lasting(whole)


def test_scorers_of_folds_share_one_search(recipe_of, tmp_path):
    recipe = recipe_of(
        arms=["ases-uni-loss"],
        segmentation={"folds": 2},
        train={"budget": 1500, "learning_rate": [1e-4, 1e-3]},
    )
    run(recipe, tmp_path / "run")
    found = sorted(path.name for path in (tmp_path / "run/search").iterdir())
    assert found == ["ases-uni-loss", "direct-folds"]
