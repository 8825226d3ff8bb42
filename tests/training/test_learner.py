"""One step of updates: the gradient is that of the published losses, in any micro-batches."""

from __future__ import annotations

import itertools

import pytest
import torch

from smallsteps.errors import TrainingError
from smallsteps.generation.generator import Decoding
from smallsteps.methods.guided.roller import Roller
from smallsteps.training.learner import Learner
from smallsteps.training.policy import Policy
from smallsteps.training.rollout_batches import WrittenRow
from smallsteps.training.rollouts import Rollout, batch_of, encode_rollout
from smallsteps.training.settings import ReinforceSettings

PROMPTS = [("a", (5, 6, 7, 1)), ("b", (8, 9, 1)), ("c", (10, 11, 12, 1)), ("d", (13, 1))]
SETTINGS = ReinforceSettings(
    prompts=4, samples=4, kl_limit=1e6, dpo_beta=0.3, max_grad_norm=0.0, warmup_steps=1
)


def rollouts_of(student):
    roll = Roller(PROMPTS, SETTINGS.samples, Decoding(max_new_tokens=6, temperature=1.0, seed=3))
    return roll(student, 0, range(len(PROMPTS)))


def written_of(student, groups):
    """The rollouts as a learner reads them."""
    rollouts = [rollout for group in groups for rollout in group]
    return [WrittenRow(encode_rollout(rollout, student), n) for n, rollout in enumerate(rollouts)]


def share_of_odd(rollout):
    return sum(token % 2 for token in rollout.target) / len(rollout.target)


def descending(student, settings, micro_batch_tokens=4096):
    """A learner that takes plain steps of gradient descent, its student away from the reference."""
    learner = Learner(student, settings, micro_batch_tokens)
    with torch.no_grad():
        next(iter(learner.reference.parameters())).mul_(1.1)
    learner.optimizer = torch.optim.SGD(student.model.parameters(), lr=1.0)
    learner.highest_rates = [1.0]
    return learner


def published_loss(estimator, student, reference, groups):
    """The mean loss of RAFT (per token of the best) or of DPO (per pair)."""
    policy = Policy(student.model.eval())

    def total(model, rollout):
        return model(batch_of([encode_rollout(rollout, student)], student))[0].sum()

    losses, count = [], 0
    for group in groups:
        best, worst = max(group, key=share_of_odd), min(group, key=share_of_odd)
        if estimator == "raft":
            losses.append(-total(policy, best))
            count += len(best.target)
        elif share_of_odd(best) > share_of_odd(worst):
            right, wrong = (total(policy, r) - total(reference, r) for r in (best, worst))
            losses.append(-torch.nn.functional.logsigmoid(SETTINGS.dpo_beta * (right - wrong)))
            count += 1
    return sum(losses) / count


@pytest.mark.parametrize("estimator", ["dpo", "raft"])
@pytest.mark.parametrize("style", ["t5-scaled", "llama"])
def test_the_first_update_of_dpo_and_raft_is_that_of_their_own_losses(tiny, style, estimator):
    """Weights after one step of plain gradient descent, beside autograd of the published losses."""
    ours, theirs = tiny(style), tiny(style)
    learner = descending(ours, SETTINGS.changed(estimator=estimator))
    groups = rollouts_of(ours)
    learner.learn(groups, [[share_of_odd(r) for r in group] for group in groups], step=0)

    published_loss(estimator, theirs, learner.reference, groups).backward()
    before = dict(tiny(style).model.named_parameters())
    difference, size = 0.0, 0.0
    for (name, mine), other in zip(
        ours.model.named_parameters(), theirs.model.parameters(), strict=True
    ):
        wanted = torch.zeros_like(other) if other.grad is None else -other.grad
        difference += float(((mine - before[name] - wanted).detach() ** 2).sum())
        size += float((wanted**2).sum())
    assert size > 0 and (difference / size) ** 0.5 < 1e-3


@pytest.mark.parametrize("estimator", ["rloo", "ppo", "dpo"])
def test_small_micro_batches_give_the_update_of_one_batch(tiny, estimator):
    settings = SETTINGS.changed(estimator=estimator)
    weights, rows = [], []
    for micro_batch_tokens in (100_000, 8):
        student = tiny("t5-scaled")
        groups = rollouts_of(student)
        learner = descending(student, settings, micro_batch_tokens)
        rewards = [[share_of_odd(r) for r in group] for group in groups]
        rows.append(learner.learn(groups, rewards, step=0).row)
        weights.append(torch.cat([p.detach().flatten() for p in student.model.parameters()]))
    assert torch.allclose(*weights, atol=1e-4)
    assert rows[0] == pytest.approx(rows[1], rel=1e-3, abs=1e-5)


def limited(monkeypatch, learner, most, calls=None):
    """Lets memory run out where the learner's policy reads more than `most` padded tokens, or, with
    `calls`, in its calls of these numbers alone."""
    forward, count = Policy.forward, itertools.count(1)

    def held(self, batch):
        if self is not learner.plain:
            return forward(self, batch)
        number = next(count)
        if batch.padded_tokens > most and (calls is None or number in calls):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return forward(self, batch)

    monkeypatch.setattr(Policy, "forward", held)


def learnt(learner, groups, steps=2):
    """The weights after some steps, and the rows of the steps."""
    rewards = [[share_of_odd(r) for r in group] for group in groups]
    rows = [learner.learn(groups, rewards, step).row for step in range(steps)]
    weights = [p.detach().flatten() for p in learner.student.model.parameters()]
    return torch.cat(weights), rows


@pytest.mark.parametrize("style", ["t5-scaled", "llama"])
def test_out_of_memory_halves_the_micro_batches_and_loses_nothing(tiny, monkeypatch, style):
    """The weights are those of a learner that had the smaller micro-batches from the start, bit by
    bit: memory runs out where the first step reads its rollouts."""
    found = []
    for tokens in (240, 120, 60):
        student = tiny(style)
        groups = rollouts_of(student)
        learner = Learner(student, SETTINGS.changed(epochs=2), tokens)
        with monkeypatch.context() as patch:
            limited(patch, learner, 60)
            weights, rows = learnt(learner, groups)
        assert learner.size.tokens == 60
        smaller = [row.pop("micro_batch_tokens", None) for row in rows]
        assert smaller == [None if tokens == 60 else 60, None]
        found.append((weights, rows))
    for weights, rows in found[:2]:
        assert torch.equal(weights, found[2][0]) and rows == found[2][1]


@pytest.mark.parametrize(
    ("estimator", "update"), [("rloo", 0), ("rloo", 1), ("ppo", 0), ("ppo", 1), ("dpo", 0)]
)
def test_memory_that_runs_out_in_an_update_gives_the_same_gradient(
    tiny, monkeypatch, estimator, update
):
    """Also in a later update of a step, whose student is no longer the one that was read, and when
    some of the gradient is there already."""
    settings = SETTINGS.changed(estimator=estimator, epochs=update + 1)
    found = []
    for fails in (True, False):
        student = tiny("t5-scaled")
        groups = rollouts_of(student)
        learner = descending(student, settings, 100 if fails else 50)
        learner.highest_rates = [0.01]
        with torch.no_grad():
            rewards = [[share_of_odd(r) for r in group] for group in groups]
            passes = len(learner._read([*written_of(student, groups)]))
        assert passes > 1
        with monkeypatch.context() as patch:
            if fails:  # in the last pass of the update
                limited(patch, learner, 0, {passes * (update + 2)})
            row = learner.learn(groups, rewards, step=0).row
        assert row.pop("micro_batch_tokens", 50) == 50
        found.append((torch.cat([p.detach().flatten() for p in student.model.parameters()]), row))
    (mine, row), (theirs, wanted) = found
    assert torch.allclose(mine, theirs, atol=1e-5)
    assert row == pytest.approx(wanted, rel=1e-3, abs=1e-5)


def test_out_of_memory_with_one_rollout_says_what_to_do(tiny, monkeypatch):
    learner = Learner(student := tiny("t5-scaled"), SETTINGS, 100)
    limited(monkeypatch, learner, 0)
    with pytest.raises(
        TrainingError, match=r"a single sequence of \d+ tokens\. Let it write less \(max_new_tokens"
    ):
        learnt(learner, rollouts_of(student))


def test_rollouts_without_a_token_are_left_out(tiny):
    student = tiny("t5-scaled")
    written = Rollout("a", 0, (5, 6, 1), (9, 1), "x", True)
    empty = Rollout("a", 1, (5, 6, 1), (), "", False)
    learned = Learner(student, SETTINGS, 4096).learn([[written, empty]], [[1.0, 0.0]], step=0)
    assert learned.stopped is None and learned.row["loss"] == pytest.approx(-1.0, abs=1e-3)


def test_the_value_head_learns_the_rewards(tiny):
    student = tiny("t5-scaled")
    settings = SETTINGS.changed(estimator="ppo", value_learning_rate=0.05, epochs=2)
    learner = Learner(student, settings, 4096)
    groups = rollouts_of(student)
    rewards = [[1.0] * len(group) for group in groups]
    errors = [learner.learn(groups, rewards, step).row["value_error"] for step in range(8)]
    assert errors[-1] < 0.5 * errors[0]


def test_the_learning_rate_rises_over_the_warm_up(tiny):
    student = tiny("t5-scaled")
    learner = Learner(student, SETTINGS.changed(warmup_steps=4, learning_rate=1e-3), 4096)
    rates = []
    for step in range(6):
        learner._apply(step)
        rates.append(learner.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3, 1e-3])


def test_a_loss_that_is_no_number_ends_by_name_before_the_weights_change(tiny):
    student = tiny("llama")
    before = student.weights_digest()
    groups = rollouts_of(student)
    rewards = [[float("nan")] * len(group) for group in groups]
    learned = Learner(student, SETTINGS, 4096).learn(groups, rewards, step=0)
    assert learned.stopped is not None and learned.stopped.startswith("diverged: the loss is nan")
    assert student.weights_digest() == before
