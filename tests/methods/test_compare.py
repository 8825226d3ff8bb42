"""The comparison: every arm on the same data and budget, resumable anywhere, the same figures every time."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import yaml

import smallsteps
from smallsteps.errors import RecipeError, RunFolderError
from smallsteps.methods.compare import compare, variants
from smallsteps.recipe import load_recipe
from smallsteps.runs import digests

from .conftest import tiny_content

LASTING = ("arms", "pooled", "comparisons", "paper_protocol", "also", "data", "budget", "best")


def lasting(results):
    """What must repeat exactly: everything but seconds."""
    kept = json.loads(json.dumps({name: results[name] for name in LASTING}))
    for row in kept["arms"]:
        row.pop("seconds"), row.pop("seconds_per_answer")
    return kept


def weights(out):
    found = {}
    for folder in sorted((out / "arms").iterdir()):
        chosen = {name: value for name, value in digests(folder / "training").items() if name.endswith(".safetensors")}
        found[folder.name] = sorted(chosen.values())
    return found


def test_all_paths_of_one_comparison(tiny, tmp_path):
    arms = ["direct", "ases-uni-inter", "ases-uni-ent", "ases-cue-gold", "ases-dual-rouge"]
    results = compare(tiny(arms=arms, evaluation={"paper_protocol": True, "segment_bleu": True}), tmp_path / "run")
    rows = {row["name"]: row for row in results["arms"]}
    assert list(rows) == arms
    budget = results["budget"]["tokens"]
    for row in rows.values():
        assert row["n"] == 6 and 0 <= row["low"] <= row["value"] <= row["high"] <= 100
        # the update that reaches the budget is the last, one for each model
        assert budget <= row["train_tokens"] < 1.5 * budget
        assert (tmp_path / "run" / row["student"]).is_dir()
        predictions = (tmp_path / "run" / row["folder"] / "predictions.jsonl").read_text().split("\n")[:-1]
        assert len(predictions) == 6
    assert rows["ases-uni-ent"]["scorer_tokens"] == rows["direct"]["train_tokens"]
    assert "scorer_tokens" not in rows["ases-uni-inter"]
    assert {row["arm"] for row in results["comparisons"]} == set(arms[1:])
    assert {row["name"] for row in results["paper_protocol"]} == set(arms)
    assert smallsteps.load(str(tmp_path / "run" / results["best"]["folder"]))("How many pens?").problem_id == "question"
    assert (
        smallsteps.load(str(tmp_path / "run" / rows["ases-dual-rouge"]["student"]))("How many pens?").text is not None
    )


def test_seeds_are_pooled_and_passes_can_be_what_is_equal(tiny, tmp_path):
    recipe = tiny(arms=["direct", "ases-uni-gold"], seeds=[0, 1], train={"fair": "passes", "passes": 1.0})
    results = compare(recipe, tmp_path / "run")
    assert [row["seed"] for row in results["arms"]] == [0, 0, 1, 1]
    assert [row["name"] for row in results["pooled"]] == ["direct", "ases-uni-gold"]
    assert {row["seed"] for row in results["comparisons"]} == {0, 1, "pooled"}
    for row in results["arms"]:
        assert row["passes"] == pytest.approx(1.0, abs=0.35)


def test_folds_score_each_chain_by_a_student_that_has_not_seen_it(tiny, tmp_path):
    recipe = tiny(arms=["ases-uni-loss"], segmentation={"folds": 2}, train={"budget": 2000})
    compare(recipe, tmp_path / "run")
    made = {path.name for path in (tmp_path / "run" / "arms").iterdir()}
    assert {"direct-without-fold0-seed0", "direct-without-fold1-seed0"} <= made


def test_a_sweep_runs_each_arm_that_has_the_knob_once_a_value():
    names = [variant.name for variant in variants(load_recipe("as-es/figure-3", ["sweep={beta: [0.8, 1.2]}"]))]
    assert names == [
        "direct",
        "ases-uni-ent-beta=0.8",
        "ases-uni-ent-beta=1.2",
        "ases-dual-ent-beta=0.8",
        "ases-dual-ent-beta=1.2",
    ]


def test_lora_is_merged_into_an_ordinary_folder(tiny, tmp_path):
    results = compare(tiny(arms=["ases-cue-inter"], student={"lora": 2}), tmp_path / "run")
    folder = tmp_path / "run" / results["best"]["folder"]
    assert not list(folder.glob("adapter*"))
    from transformers import AutoModelForSeq2SeqLM

    AutoModelForSeq2SeqLM.from_pretrained(folder)


def test_reports_are_answered_region_by_region_and_graded_whole(tiny, tmp_path):
    rows = [
        {
            "id": f"r{i}",
            "findings": f"脑部放射性分布{i}未见异常。   肺部见结节影{i}，SUVmax：{i}.2。   肝脏{i}放射性分布均匀。",
            "impression": f"1、肺部结节{i}，高代谢。  余躯干未见其他异常代谢征象。",
        }
        for i in range(20)
    ]
    source = tmp_path / "reports.jsonl"
    source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    recipe = tiny(
        arms=["direct", "direct-report", "ases-dual-inter"],
        data={"chains": str(source), "task": "pet"},
        student={
            "scratch": {
                "tokenizer": "characters",
                "vocabulary": 200,
                "d_model": 32,
                "d_kv": 8,
                "heads": 4,
                "d_ff": 32,
                "layers": 1,
            }
        },
        train={"budget": 2000},
    )
    results = compare(recipe, tmp_path / "run")
    for row in results["arms"]:
        assert row["metric"] == "bleu" and row["n"] == 2
        assert set(row["metrics"]) == {"rouge_l", "missing_ratio"}


def test_an_arm_for_reports_is_refused_elsewhere(tiny, tmp_path):
    with pytest.raises(RecipeError, match="direct-report is for reports"):
        compare(tiny(arms=["direct-report"]), tmp_path / "run")


def test_a_finished_run_is_returned_at_once_and_another_recipe_is_refused(tiny, tmp_path):
    first = compare(tiny(), tmp_path / "run")
    began = time.monotonic()
    second = compare(tiny(), tmp_path / "run")
    assert lasting(first) == lasting(second)
    assert time.monotonic() - began < 5
    with pytest.raises(RunFolderError, match="belongs to another recipe"):
        compare(tiny(seeds=[7]), tmp_path / "run")


def run_command(recipe, out, **environment):
    command = [sys.executable, "-m", "smallsteps.cli.main", "run", str(recipe), "--out", str(out), "--threads", "1"]
    return subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )


@pytest.fixture
def uninterrupted(tmp_path):
    recipe = tmp_path / "tiny.yaml"
    content = tiny_content(arms=["direct", "ases-uni-ent"], train={"budget": 3000})
    recipe.write_text(yaml.safe_dump(content))
    whole = tmp_path / "whole"
    process = run_command(recipe, whole)
    error = process.communicate()[1]
    assert process.returncode == 0, error.decode()
    return recipe, whole


def same(whole, other):
    for name in ("results.json", "report.html"):
        assert (other / name).is_file()
    first, second = (lasting(json.loads((p / "results.json").read_text())) for p in (whole, other))
    return first == second and weights(whole) == weights(other)


POINTS = [
    "before-manifest:data",
    "after:data",
    "before-manifest:arms/direct-seed0/training",
    "after:arms/direct-seed0/answers",
    "before-manifest:segments/ent-seed0",
    "before-manifest:arms/ases-uni-ent-seed0/answers",
    "before-manifest:gold",
    "after:results",
]


def test_a_run_killed_in_every_stage_ends_with_the_same_weights_and_figures(uninterrupted, tmp_path):
    recipe, whole = uninterrupted
    out = tmp_path / "cut"
    for point in POINTS:
        process = run_command(recipe, out, SMALLSTEPS_FAIL_AT=point)
        error = process.communicate()[1]
        assert process.returncode == -signal.SIGKILL, f"{point}: {error.decode()[-500:]}"
    process = run_command(recipe, out)
    error = process.communicate()[1]
    assert process.returncode == 0, error.decode()
    assert same(whole, out)


def killed_at_random(uninterrupted, tmp_path, times, seed):
    recipe, whole = uninterrupted
    rng = random.Random(seed)
    out = tmp_path / "killed"
    for _ in range(times):
        process = run_command(recipe, out)
        try:
            process.communicate(timeout=rng.uniform(3.0, 12.0))
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
    process = run_command(recipe, out)
    error = process.communicate()[1]
    assert process.returncode == 0, error.decode()
    assert same(whole, out)


def test_a_run_killed_three_times_at_random_ends_the_same(uninterrupted, tmp_path):
    killed_at_random(uninterrupted, tmp_path, 3, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_killed_twenty_times_at_random_ends_the_same(uninterrupted, tmp_path):
    killed_at_random(uninterrupted, tmp_path, 20, seed=2)
