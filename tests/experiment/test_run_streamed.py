"""A run whose training set does not fit into memory is the run in which it does: records are read
again from the disk, and all weights, answers and figures are the same."""

from __future__ import annotations

from smallsteps import streams
from smallsteps.experiment.run import run
from smallsteps.training import encoded_rows
from tiny_runs import lasting, weights

CAUSAL = {"name": "bundled-causal", "scratch": None}


def assert_same(recipe, tmp_path, monkeypatch, listener):
    kept = run(recipe, tmp_path / "kept", listener)
    monkeypatch.setattr(streams, "KEPT", 5)
    monkeypatch.setattr(encoded_rows, "IN_MEMORY", 500)
    streamed = run(recipe, tmp_path / "streamed", listener)
    assert lasting(kept) == lasting(streamed)
    assert weights(tmp_path / "kept") == weights(tmp_path / "streamed") != {}


def test_encoder_decoder_arms(recipe_of, tmp_path, monkeypatch, listener):
    recipe = recipe_of(
        arms=["direct", "answer-only", "ases-dual-gold", "ases-cue-chunks"],
        train={"budget": 800, "evaluations": 1},
    )
    assert_same(recipe, tmp_path, monkeypatch, listener)


def test_causal_arms_of_some_chains(recipe_of, tmp_path, monkeypatch, listener):
    recipe = recipe_of(
        arms=["direct", "ases-dual-rouge"],
        student=CAUSAL,
        sweep={"data.limit": [7, 15]},
        train={"passes": 1, "budget": None, "evaluations": 1},
    )
    assert_same(recipe, tmp_path, monkeypatch, listener)


def test_chains_that_students_score_and_write(recipe_of, tmp_path, monkeypatch, listener):
    recipe = recipe_of(
        arms=["ases-uni-ent", "self-training"],
        segmentation={"folds": 2},
        train={"budget": 800, "evaluations": 1},
        baselines={"rounds": 1, "samples": 2},
    )
    assert_same(recipe, tmp_path, monkeypatch, listener)
