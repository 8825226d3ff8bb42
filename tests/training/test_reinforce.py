"""The loop: a toy reward rises, a killed run ends with the same weights, and runs that lead nowhere
end by name."""

from __future__ import annotations

import pytest
import torch

from smallsteps.errors import RunFolderError
from smallsteps.generation.generator import Decoding
from smallsteps.methods.guided.roller import Roller
from smallsteps.students.loading import load_student
from smallsteps.training.reinforce import (
    PromptOrder,
    evaluated_steps,
    group_figures,
    reinforce,
    term_shares,
)
from smallsteps.training.rollouts import Rewarded, Rollout
from smallsteps.training.settings import ReinforceSettings

PROMPTS = [("a", (5, 6, 7, 1)), ("b", (8, 9, 1)), ("c", (10, 11, 12, 1)), ("d", (13, 1))]
SETTINGS = ReinforceSettings(
    steps=6, prompts=3, samples=4, learning_rate=3e-3, evaluations=3, kl_limit=1e6
)


def roll(samples=4):
    return Roller(PROMPTS, samples, Decoding(max_new_tokens=6, temperature=1.0, seed=3))


def rewards_only(values):
    """Plain figures as rewards."""
    return [[Rewarded(value) for value in group] for group in values]


def share_of_odd(groups, step):
    """A toy: tokens of odd number are worth something."""
    return rewards_only(
        [[sum(t % 2 for t in one.target) / len(one.target) for one in group] for group in groups]
    )


def trained(student, out, settings=SETTINGS, reward=share_of_odd, **more):
    return reinforce(
        student, len(PROMPTS), roll(settings.samples), reward, settings, out, seed=1, **more
    )


ESTIMATORS = ["rloo", "grpo", "ppo", "raft", "dpo"]
LONGER = [
    pytest.param("t5-scaled", name, marks=pytest.mark.slow) for name in ("rloo", "grpo", "raft")
]
"""Their advantages do not know the kind of student; those that default runs leave out."""


@pytest.mark.parametrize(
    ("style", "estimator"),
    [
        *(("llama", name) for name in ESTIMATORS),
        ("t5-scaled", "ppo"),
        ("t5-scaled", "dpo"),
        *LONGER,
    ],
)
def test_a_toy_reward_rises_within_50_steps(tiny, tmp_path, style, estimator):
    settings = ReinforceSettings(
        steps=50,
        prompts=4,
        samples=8,
        estimator=estimator,
        learning_rate=1e-2,
        kl=0.0,
        kl_limit=1e6,
        patience=50,
        evaluations=1,
        epochs=2 if estimator == "ppo" else 1,
    )
    found = trained(tiny(style), tmp_path / "run", settings)
    rewards = [row["reward"] for row in found.curves]
    assert found.steps == 50 and sum(rewards[-5:]) / 5 > 0.9 > 0.7 > rewards[0]
    assert found.curves[0]["ratio_off"] < 1e-5 and found.curves[0]["kl"] < 1e-6
    assert found.curves[0]["engine_gap"] < 1e-4, (
        "the engine draws from the distribution that is trained"
    )
    assert load_student(found.folder).architecture == (
        "encoder-decoder" if style == "t5-scaled" else "causal"
    )


@pytest.mark.parametrize("estimator", ["rloo", "ppo"])
def test_a_killed_run_ends_with_the_same_weights(tiny, tmp_path, estimator):
    settings = SETTINGS.changed(estimator=estimator)
    whole = trained(tiny("t5-scaled"), tmp_path / "whole", settings)

    class Killed(Exception):
        pass

    def stop(step, steps, row):
        if step == 5:
            raise Killed

    with pytest.raises(Killed):
        trained(tiny("t5-scaled"), tmp_path / "cut", settings, progress=stop)
    assert [p.name for p in (tmp_path / "cut").glob("checkpoint-*")] == ["checkpoint-4"]
    again = trained(tiny("t5-scaled"), tmp_path / "cut", settings)
    ours, theirs = (load_student(found.folder).model.state_dict() for found in (whole, again))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    strip = [{k: v for k, v in row.items() if "seconds" not in k} for row in whole.curves]
    assert strip == [{k: v for k, v in row.items() if "seconds" not in k} for row in again.curves]
    assert trained(tiny("t5-scaled"), tmp_path / "cut", settings).best == again.best, (
        "a finished run is read"
    )


def test_the_divergence_holds_the_student_back(tiny, tmp_path):
    settings = SETTINGS.changed(steps=20, learning_rate=1e-2, kl_limit=1e6)
    free = trained(tiny("llama"), tmp_path / "free", settings.changed(kl=0.0)).curves[-1]["kl"]
    held = trained(tiny("llama"), tmp_path / "held", settings.changed(kl=2.0)).curves[-1]["kl"]
    assert held < 0.5 * free


def test_the_best_student_by_the_measure_is_kept(tiny, tmp_path):
    values = iter([1.0, 3.0, 7.0, 5.0])
    found = trained(tiny("t5-scaled"), tmp_path / "run", metric=lambda _: next(values))
    assert (found.best.update, found.best.value) == (4, 7.0) and found.folder.name == "candidate-4"
    assert [row["metric"] for row in found.curves if "metric" in row] == [
        3.0,
        7.0,
        5.0,
    ] and found.start == 1.0


@pytest.mark.parametrize(
    "figures", [[7.0, 3.0, 5.0, 6.0], [7.0, 7.0, 7.0, 7.0]], ids=["worse", "no better"]
)
def test_the_student_before_the_first_step_is_kept_where_no_step_brought_more(
    tiny, tmp_path, figures
):
    values = iter(figures)
    found = trained(tiny("t5-scaled"), tmp_path / "run", metric=lambda _: next(values))
    assert (found.best.update, found.best.value, found.start) == (0, 7.0, 7.0)
    before, kept = (
        tiny("t5-scaled").model.state_dict(),
        load_student(found.folder).model.state_dict(),
    )
    assert all(torch.equal(before[name], kept[name]) for name in before)
    assert [row["update"] for row in found.curves] == [1, 2, 3, 4, 5, 6], "curves are of steps"


def test_a_run_killed_in_its_first_steps_does_not_measure_the_start_again(tiny, tmp_path):
    measured = []

    def metric(student):
        measured.append(student)
        return float(len(measured))

    def stop(step, steps, row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tiny("t5-scaled"), tmp_path / "cut", metric=metric, progress=stop)
    found = trained(tiny("t5-scaled"), tmp_path / "cut", metric=metric)
    assert len(measured) == 4 and found.start == 1.0 and found.best.update == 6


def test_rewards_that_are_all_equal_end_the_run_by_name(tiny, tmp_path):
    def equal(groups, step):
        return rewards_only([[1.0 for _ in group] for group in groups])

    found = trained(
        tiny("t5-scaled"), tmp_path / "run", SETTINGS.changed(steps=30, patience=4), equal
    )
    assert (
        found.steps == 4
        and found.stopped.startswith("no-signal")
        and found.curves[-1]["no_signal"] == 1
    )
    assert load_student(found.folder), "the state is saved"


def test_a_student_that_runs_away_is_stopped(tiny, tmp_path):
    settings = SETTINGS.changed(steps=50, learning_rate=0.1, kl=0.0, kl_limit=0.05)
    found = trained(tiny("llama"), tmp_path / "run", settings)
    assert found.stopped.startswith("kl:") and found.steps < 50
    settings = SETTINGS.changed(steps=5)

    def broken(groups, step):
        return rewards_only([[float("nan") for _ in group] for group in groups])

    assert trained(tiny("llama"), tmp_path / "nan", settings, broken).stopped.startswith("diverged")


def test_a_folder_of_another_run_is_refused(tiny, tmp_path):
    trained(tiny("t5-scaled"), tmp_path / "run", SETTINGS.changed(steps=1))
    with pytest.raises(RunFolderError, match="other settings"):
        trained(tiny("t5-scaled"), tmp_path / "run", SETTINGS.changed(steps=2))


def test_shares_of_the_variance_of_advantages_sum_to_one():
    terms = [
        [{"a": 1.0, "b": 0.1}, {"a": 0.0, "b": 0.05}, {"a": 1.0, "b": 0.45}],
        [{"a": 0.0}, {"a": 1.0}, {"a": 0.0}],
    ]
    found = term_shares(terms)
    assert (
        set(found) == {"a", "b"}
        and sum(found.values()) == pytest.approx(1)
        and found["a"] > found["b"]
    )
    assert term_shares([[{"a": 1.0}, {"a": 1.0}]]) == {"a": 0.0}, "no variance"
    assert term_shares([[{"a": 1.0}]]) == term_shares([[{}, {}]]) == {}


def test_every_pass_reads_each_prompt_once_in_an_order_of_its_own():
    order = PromptOrder(prompts=5, per_step=2, seed=3)
    read = [number for step in range(10) for number in order.of_step(step)]
    assert all(sorted(read[turn : turn + 5]) == [0, 1, 2, 3, 4] for turn in range(0, 20, 5))
    assert read[:5] != read[5:10]
    assert sorted(PromptOrder(3, 8, 0).of_step(0)) == [0, 1, 2], "no prompt twice in a step"


def test_measurements_lie_at_equal_shares_of_the_steps():
    assert evaluated_steps(6, 3) == {2, 4, 6} and evaluated_steps(2, 5) == {0, 1, 2}


def test_figures_of_a_step_are_means_over_its_rollouts():
    groups = [
        [
            Rollout("a", n, (5,), (6,) * length, "x", finished)
            for n, (length, finished) in enumerate(g)
        ]
        for g in ([(1, True), (3, False)], [(2, True), (2, True)])
    ]
    rewarded = [
        [Rewarded(1.0, {"leak": 1.0}), Rewarded(0.0, {"leak": 0.0})],
        [Rewarded(0.5), Rewarded(0.5)],
    ]
    assert group_figures(groups, rewarded) == {
        "reward": 0.5,
        "no_signal": 0.5,
        "length": 2.0,
        "unfinished": 0.25,
        "reward_leak": 0.5,
    }
