"""The loop: a toy reward rises, a killed run ends with the same weights, and runs that lead nowhere
end by name."""

from __future__ import annotations

import pytest
import torch

from smallsteps.errors import RunFolderError
from smallsteps.generation.generator import Decoding
from smallsteps.methods.guided.rollouts import roller
from smallsteps.students.loading import load_student
from smallsteps.training.policy import Policy, batch_of
from smallsteps.training.reinforce import Rewarded, _Loop, reinforce, shares
from smallsteps.training.settings import ReinforceSettings

PROMPTS = [("a", (5, 6, 7, 1)), ("b", (8, 9, 1)), ("c", (10, 11, 12, 1)), ("d", (13, 1))]
SETTINGS = ReinforceSettings(
    steps=6, prompts=3, samples=4, learning_rate=3e-3, evaluations=3, kl_limit=1e6
)


def roll(samples=4):
    return roller(PROMPTS, samples, Decoding(6, temperature=1.0, seed=3))


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


@pytest.mark.parametrize("estimator", ["rloo", "grpo", "ppo", "raft", "dpo"])
@pytest.mark.parametrize("style", ["t5-scaled", "llama"])
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
    found = shares(terms)
    assert (
        set(found) == {"a", "b"}
        and sum(found.values()) == pytest.approx(1)
        and found["a"] > found["b"]
    )
    assert shares([[{"a": 1.0}, {"a": 1.0}]]) == {"a": 0.0}, "no variance"
    assert shares([[{"a": 1.0}]]) == shares([[{}, {}]]) == {}


@pytest.mark.parametrize("style", ["t5-scaled", "llama"])
def test_the_first_update_of_dpo_and_raft_is_that_of_their_own_losses(tiny, tmp_path, style):
    """Weights after one step of plain gradient descent, beside autograd of the published losses."""
    for estimator in ("dpo", "raft"):
        settings = SETTINGS.changed(
            steps=1, estimator=estimator, evaluations=1, dpo_beta=0.3, max_grad_norm=0.0
        )
        ours, theirs, seen = tiny(style), tiny(style), []

        def keep(groups, step, seen=seen):
            seen += groups
            return share_of_odd(groups, step)

        (tmp_path / estimator).mkdir()
        loop = _Loop(
            ours, len(PROMPTS), roll(), keep, settings, tmp_path / estimator, None, None, 1, 4096
        )
        with torch.no_grad():  # the student has moved on from its reference already
            next(iter(loop.reference.parameters())).mul_(1.1)
        loop.optimizer = torch.optim.SGD(ours.model.parameters(), lr=1.0)
        loop.rates = [1.0]
        loop.settings = settings.changed(warmup_steps=1)
        loop._step()

        policy, reference = Policy(theirs.model.eval()), Policy(loop.reference)
        losses = []
        for group in seen:
            values = [one.value for one in share_of_odd([group], 0)[0]]
            best, worst = (group[values.index(pick(values))] for pick in (max, min))
            if estimator == "raft":
                losses.append((-policy(batch_of([best], theirs))[0].sum(), len(best.target)))
            elif max(values) > min(values):
                apart = [
                    policy(batch_of([one], theirs))[0].sum()
                    - reference(batch_of([one], theirs))[0].sum()
                    for one in (best, worst)
                ]
                losses.append((-torch.nn.functional.logsigmoid(0.3 * (apart[0] - apart[1])), 1))
        loss = sum(loss for loss, _ in losses) / sum(count for _, count in losses)
        loss.backward()
        before = dict(tiny(style).model.named_parameters())
        off, whole = 0.0, 0.0
        for (name, mine), own in zip(
            ours.model.named_parameters(), theirs.model.parameters(), strict=True
        ):
            wanted = torch.zeros_like(own) if own.grad is None else -own.grad
            off += float(((mine - before[name] - wanted).detach() ** 2).sum())
            whole += float((wanted**2).sum())
        assert whole > 0 and (off / whole) ** 0.5 < 1e-3, estimator
