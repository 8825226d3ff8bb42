"""Self-training: rounds from the base student, on gold chains and the student's own right ones."""

import json
from dataclasses import replace

import pytest

import smallsteps.methods.baselines.self_training as module
from smallsteps.disk import file_digest
from smallsteps.experiment import sampled
from smallsteps.experiment.check import plan_chain_arms
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.results import read_results
from smallsteps.experiment.run import run
from smallsteps.methods.baselines.own_chains import OwnChains
from smallsteps.methods.baselines.self_training import (
    SelfTrainingArm,
    SelfTrainingRound,
    best_round,
    own_rationales,
    round_results,
)
from tiny_labs import tiny_lab
from tiny_runs import lasting, tiny_content

TRAIN = {"budget": 900, "evaluations": 1, "learning_rate": 1e-3}


def settings(**more):
    return {"arms": ["self-training"], "train": TRAIN, "baselines": {"samples": 2, **more}}


@pytest.fixture
def writes(monkeypatch):
    """`writes(round) -> texts`: what the student writes for each question; who was asked."""
    asked = []

    def install(texts_of_round):
        def ask(student, problems, task, decoding, solving, progress):
            number = decoding.seed % 1000
            asked.append((student.name, number, decoding, solving.samples))
            return [
                OwnChains(p.id, texts_of_round(number, p), right=1, samples=2, tokens=20)
                for p in problems
            ]

        monkeypatch.setattr(module, "sample_own", ask)
        return asked

    return install


def one_new(number, problem):
    return (f"So {number} + 1 = {number + 1}. The answer is {problem.answer}.",)


def test_each_round_is_sampled_by_the_student_before_it_and_trained_from_the_base(
    tmp_path, writes, monkeypatch
):
    asked = writes(one_new)
    trained_on = []
    train_one = module.TrainingJob.train_one

    def spy(job, student, examples, validation, **more):
        trained_on.append((job.label, student.weights_digest(), examples))
        return train_one(job, student, examples, validation, **more)

    monkeypatch.setattr(module.TrainingJob, "train_one", spy)
    with tiny_lab(tmp_path, **settings()) as lab:
        outcome = SelfTrainingArm().run(lab, 0)
        gold = [chain.rationale.text for chain in lab.data.train_chains]
        place = lab.run.path / "arms"
    names = [name for name, *_ in asked]
    assert names[0].startswith(str(place / "direct-seed0/training"))
    assert names[1].startswith(str(place / "self-training-seed0/round-1/training"))
    assert [(d.temperature, d.seed, samples) for _, _, d, samples in asked] == [
        (0.7, 1, 2),
        (0.7, 2, 2),
    ]
    labels = [label for label, *_ in trained_on]
    assert labels == ["direct, seed 0", *(f"self-training, seed 0, round {n}" for n in (1, 2))]
    assert len({digest for _, digest, _ in trained_on}) == 1, "every training begins at the base"
    targets = [[example.target for example in examples] for *_, examples in trained_on]
    assert targets[0] == gold
    assert [len(t) for t in targets] == [24, 48, 72], "gold and own chains, which add up"
    assert all(t[:24] == gold for t in targets)
    assert all(target.startswith("So 1 + 1 = 2.") for target in targets[1][24:])
    rounds = outcome.detail
    chosen = rounds[outcome.cost["round"] - 1].trained
    other = rounds[2 - outcome.cost["round"]].trained
    direct = json.loads((place / "direct-seed0/training/trained.json").read_text())
    assert outcome.cost["train_tokens"] == chosen.train_tokens
    assert outcome.cost["other_tokens"] == direct["train_tokens"] + other.train_tokens
    assert outcome.cost["generated_tokens"] == 2 * 24 * 20
    assert outcome.student.is_relative_to(place / "self-training-seed0")


def test_without_a_new_right_chain_the_rounds_end_and_direct_is_what_was_learnt(tmp_path, writes):
    writes(lambda number, problem: ())
    with tiny_lab(tmp_path, **settings()) as lab:
        outcome = SelfTrainingArm().run(lab, 0)
        line = "self-training, seed 0, round 1: no right chain goes a new way; the rounds end"
        assert line in lab.reporter.lines
        assert outcome.student.is_relative_to(lab.run.path / "arms/direct-seed0")
    assert (outcome.cost["round"], outcome.cost["other_tokens"]) == (0, 0)
    assert outcome.detail == []


def test_a_round_that_brings_nothing_new_is_not_trained_again(tmp_path, writes):
    writes(lambda number, problem: one_new(1, problem))
    with tiny_lab(tmp_path, **settings(rounds=3)) as lab:
        outcome = SelfTrainingArm().run(lab, 0)
        assert not (lab.run.path / "arms/self-training-seed0/round-2/training").exists()
    assert outcome.cost["round"] == 1 and len(outcome.detail) == 1


def test_an_own_chain_that_is_too_long_is_left_out_and_counted(tmp_path, writes):
    def texts(number, problem):
        long = "and so on, " * 400 if problem.id.endswith("-3") else ""
        return (f"So {long}{number} + 1 = {number + 1}. The answer is {problem.answer}.",)

    writes(texts)
    with tiny_lab(tmp_path, **settings(rounds=1)) as lab:
        SelfTrainingArm().run(lab, 0)
        line = "self-training, seed 0, round 1: 24 gold chains and 23 of its own"
        assert line in lab.reporter.lines


def test_the_round_is_chosen_on_validation_the_earlier_of_two_alike(tmp_path, writes):
    writes(one_new)
    with tiny_lab(tmp_path, **settings()) as lab:
        trained = SelfTrainingArm().run(lab, 0).detail[0].trained
    rounds = [
        SelfTrainingRound(n, replace(trained, validation=value), [], n)
        for n, value in ((1, 20.0), (2, 30.0), (3, 30.0), (4, None))
    ]
    assert best_round(rounds).number == 2 and best_round([]) is None


def test_what_is_reported_of_a_round(tmp_path, writes):
    writes(one_new)
    with tiny_lab(tmp_path, **settings(rounds=1)) as lab:
        rounds = SelfTrainingArm().run(lab, 0).detail
    (row,) = round_results("self-training", 0, rounds)
    assert row.arm == "self-training"
    assert (row.round, row.right, row.own_chains, row.generated_tokens) == (1, 50.0, 24, 480)
    assert row.train_tokens == rounds[0].trained.train_tokens


def test_own_chains_belong_to_their_problems_and_have_ids_of_their_own(tmp_path):
    with tiny_lab(tmp_path) as lab:
        gold = lab.data.train_chains
    ids = [gold[1].problem.id, gold[0].problem.id]
    own = own_rationales({ids[0]: ["a", "b"], ids[1]: ["c"]}, gold)
    assert [chain.rationale.text for chain in own] == ["c", "a", "b"]
    assert all(chain.rationale.problem_id == chain.problem.id for chain in own)
    assert len({chain.rationale.id for chain in [*own, *gold]}) == 27


def test_the_forecast_knows_direct_and_every_round(tmp_path):
    with tiny_lab(tmp_path, **settings(rounds=3)) as lab:
        plan_chain_arms(lab, [SelfTrainingArm()])
        assert sorted(lab.forecast.tokens) == [
            "direct, seed 0",
            *(f"self-training, seed 0, round {n}" for n in (1, 2, 3)),
        ]
        SelfTrainingArm()._skip(lab, 0, [2, 3])
        assert sorted(lab.forecast.tokens) == ["direct, seed 0", "self-training, seed 0, round 1"]


FAIL_POINTS = [
    "before-manifest:arms/self-training-seed0/round-1/chains/block-001",
    "after:arms/self-training-seed0/round-1/chains/block-001",
    "before-manifest:arms/self-training-seed0/round-1/training",
    "after:arms/self-training-seed0/round-1/training",
    "before-manifest:arms/self-training-seed0/answers",
]


def test_a_run_killed_in_any_stage_ends_as_an_undisturbed_one(tmp_path, writes, monkeypatch):
    """Stages are left as a kill leaves them: everything after them is gone, their manifest too."""
    writes(one_new)
    monkeypatch.setattr(sampled, "BLOCK", 12)
    recipe = recipe_with(rounds=2)
    whole = run(recipe, tmp_path / "whole")

    class Killed(BaseException):
        pass

    def killing(name):
        def fail(point):
            if point == name:
                raise Killed

        return fail

    for place in FAIL_POINTS:
        out = tmp_path / place.replace("/", "-").replace(":", "-")
        with monkeypatch.context() as patch:
            patch.setattr("smallsteps.experiment.folder.fail_point", killing(place))
            with pytest.raises(Killed):
                run(recipe, out)
        assert lasting(run(recipe, out)) == lasting(whole), place
        assert weights_below(out) == weights_below(tmp_path / "whole"), place
        assert len(weights_below(out)) == 3, "direct and two rounds"
    assert read_results(out).methods["baselines"] == whole.methods["baselines"]


def recipe_with(**baselines):
    return make_recipe(tiny_content(**settings(**baselines)))


def weights_below(out):
    """Digests of all students' weights in a run folder, by their place."""
    return {
        path.relative_to(out).as_posix(): file_digest(path)
        for path in sorted(out.glob("arms/**/candidate-*/*.safetensors"))
    }
