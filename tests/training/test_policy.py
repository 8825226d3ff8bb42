"""Advantages and the policy loss: sums to zero, ratio 1 and KL 0 at the start, no padding, and
TRL's loss on the same batch."""

from __future__ import annotations

import math

import pytest
import torch

from smallsteps.training.estimators import grpo, token_weights
from smallsteps.training.policy import Policy, Tokens, policy_loss, target_log_probs
from smallsteps.training.rollouts import Rollout, batch_of, encode_rollout

STUDENTS = ["t5", "t5-scaled", "bart", "t5gemma", "t5gemma2", "llama", "qwen"]


def rollout(n, source, target, **more):
    return Rollout(f"p{n}", 0, tuple(source), tuple(target), "x", True, **more)


def batch_of_rollouts(rollouts, student):
    return batch_of([encode_rollout(rollout, student) for rollout in rollouts], student)


ROLLOUTS = [
    rollout(0, (5, 6, 7, 1), (9, 10, 1)),
    rollout(1, (5, 1), (12, 13, 14, 15, 16, 1)),
    rollout(2, (8, 8, 1), (20,)),
]


def known(
    policy, student, rollouts, advantages, average="token", old_shift=0.0, reference_shift=0.0
):
    with torch.no_grad():
        logprobs, _ = policy(batch_of_rollouts(rollouts, student))
    lengths = [len(one.target) for one in rollouts]
    spread = torch.cat([torch.full((n,), a) for n, a in zip(lengths, advantages, strict=True)])
    weights = token_weights(torch.tensor(lengths), average)
    spread, weights = spread.to(logprobs), weights.to(logprobs)
    return Tokens(
        logprobs + old_shift,
        logprobs + reference_shift,
        spread,
        weights,
        torch.zeros_like(logprobs),
    )


@pytest.mark.parametrize("style", STUDENTS)
def test_before_the_first_update_the_ratio_is_1_and_the_divergence_0(tiny, style):
    student = tiny(style)
    policy = Policy(student.model.double().eval())
    tokens = known(policy, student, ROLLOUTS, [1.0, -0.5, -0.5])
    logprobs, values = policy(batch_of_rollouts(ROLLOUTS, student))
    sums = policy_loss(logprobs, tokens, clip=0.2, kl=0.05)
    assert values is None and max(float(sums.ratio), float(sums.kl), float(sums.clipped)) < 1e-9
    assert sums.loss.item() == pytest.approx(-(3 * 1.0 - 6 * 0.5 - 1 * 0.5) / 10, abs=1e-6)


@pytest.mark.parametrize("style", STUDENTS)
def test_log_probabilities_are_those_of_the_model_and_padding_changes_none(tiny, style):
    student = tiny(style)
    policy = Policy(student.model.double().eval())
    with torch.no_grad():
        together, _ = policy(batch_of_rollouts(ROLLOUTS, student))
        alone = torch.cat([policy(batch_of_rollouts([one], student))[0] for one in ROLLOUTS])
        assert torch.allclose(together, alone, atol=1e-5)
        one = ROLLOUTS[1]
        if student.start_id is not None:
            logits = student.model(
                input_ids=torch.tensor([one.source]),
                decoder_input_ids=torch.tensor([[student.start_id, *one.target[:-1]]]),
            ).logits[0]
        else:
            logits = student.model(torch.tensor([[*one.source, *one.target]])).logits[
                0, len(one.source) - 1 : -1
            ]
        wanted = logits.log_softmax(-1).gather(1, torch.tensor(one.target)[:, None])[:, 0]
    assert torch.allclose(together[3:9], wanted, atol=1e-5), "position t predicts label t"
    assert encode_rollout(one, student).loss_tokens == len(one.target)


def test_a_ratio_that_has_gone_too_far_is_clipped_and_stops_moving():
    logprobs = torch.tensor([math.log(1.5), math.log(0.5), math.log(1.5)], requires_grad=True)
    old = torch.zeros(3)
    tokens = Tokens(
        old, logprobs.detach(), torch.tensor([1.0, -1.0, -1.0]), torch.full((3,), 1 / 3), old
    )
    sums = policy_loss(logprobs, tokens, clip=0.2, kl=0.0)
    assert sums.loss.item() == pytest.approx((-1.2 + 0.8 + 1.5) / 3) and sums.clipped == 2
    sums.loss.backward()
    assert logprobs.grad.tolist() == pytest.approx([0, 0, 0.5])


def test_divergence_is_never_negative_and_pulls_back():
    logprobs = torch.tensor([-1.0, -2.0], requires_grad=True)
    tokens = Tokens(
        logprobs.detach(),
        torch.tensor([-2.0, -1.0]),
        torch.zeros(2),
        torch.tensor([0.5, 0.5]),
        torch.zeros(2),
    )
    sums = policy_loss(logprobs, tokens, clip=0.2, kl=1.0)
    assert sums.kl.item() == pytest.approx((math.exp(-1) + 1 - 1) + (math.e - 1 - 1))
    sums.loss.backward()
    assert logprobs.grad[0] > 0 > logprobs.grad[1], (
        "gradient descent lowers the first and raises the second"
    )


@pytest.mark.parametrize("average", ["token", "sequence"])
def test_micro_batches_add_up_to_the_whole(tiny, average):
    student = tiny("t5")
    policy = Policy(student.model.double().eval())
    tokens = known(policy, student, ROLLOUTS, [1.0, -0.5, 0.3], average, 0.1, -0.2)
    whole = policy_loss(policy(batch_of_rollouts(ROLLOUTS, student))[0], tokens, clip=0.2, kl=0.1)
    total, at = 0.0, 0
    for one in ROLLOUTS:
        part = slice(at, at := at + len(one.target))
        own = Tokens(*(values[part] for values in tokens))
        total += policy_loss(
            policy(batch_of_rollouts([one], student))[0], own, clip=0.2, kl=0.1
        ).loss.item()
    assert total == pytest.approx(whole.loss.item(), rel=1e-9)


def test_a_value_head_reads_the_student_and_leaves_it_alone(tiny):
    student = tiny("t5")
    policy = Policy(student.model.eval(), with_values=True)
    logprobs, values = policy(batch_of_rollouts(ROLLOUTS, student))
    assert values.shape == logprobs.shape and not values.any(), "it begins at 0"
    (values - 1).pow(2).sum().backward()
    assert policy.value.bias.grad.abs().sum() > 0
    assert all(p.grad is None or not p.grad.any() for p in student.model.parameters())


@pytest.mark.filterwarnings("ignore")  # TRL's own
@pytest.mark.parametrize(("average", "loss_type"), [("token", "dapo"), ("sequence", "grpo")])
def test_the_loss_is_that_of_trl_on_the_same_batch(tiny, tmp_path, average, loss_type):
    """TRL's GRPOTrainer with beta 0.05, scale_rewards "group", epsilon 0.2, its KL not weighed by
    the ratio."""
    trl = pytest.importorskip("trl", reason="trl is not installed")
    datasets = pytest.importorskip("datasets")
    student = tiny("llama")
    student.model.config._name_or_path = str(
        student.save(tmp_path / "student")
    )  # TRL reads its reference from there
    rewards = torch.tensor([[1.0, 0.0, 0.25, 0.0]])
    written = [(9, 10, 11, 1), (12, 1), (13, 14, 15, 16, 17, 1), (20, 21, 1)]
    rollouts = [rollout(0, (5, 6, 7), target) for target in written]
    arguments = trl.GRPOConfig(
        output_dir=str(tmp_path),
        loss_type=loss_type,
        beta=0.05,
        epsilon=0.2,
        scale_rewards="group",
        num_generations=4,
        per_device_train_batch_size=4,
        max_completion_length=8,
        report_to=[],
        use_cpu=True,
        bf16=False,
        fp16=False,
        disable_dropout=True,
        use_bias_correction_kl=False,
    )
    trainer = trl.GRPOTrainer(
        model=student.model,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        args=arguments,
        train_dataset=datasets.Dataset.from_list([{"prompt": "x"}] * 4),
        processing_class=student.tokenizer,
    )
    student.model.eval()
    policy = Policy(student.model)
    tokens = known(
        policy,
        student,
        rollouts,
        grpo(rewards)[0].tolist(),
        average,
        old_shift=0.05,
        reference_shift=0.3,
    )
    ours = policy_loss(policy(batch_of_rollouts(rollouts, student))[0], tokens, clip=0.2, kl=0.05)

    width = max(map(len, written))

    def laid_out(values):
        rows = torch.zeros(4, width)
        for row, part in zip(rows, values.split([len(w) for w in written]), strict=True):
            row[: len(part)] = part
        return rows

    mask = torch.tensor([[1] * len(w) + [0] * (width - len(w)) for w in written])
    trainer.current_gradient_accumulation_steps = 1
    inputs = {
        "prompt_ids": torch.tensor([[5, 6, 7]] * 4),
        "prompt_mask": torch.ones(4, 3, dtype=torch.long),
        "completion_ids": torch.tensor([[*w, *([0] * (width - len(w)))] for w in written]),
        "completion_mask": mask,
        "advantages": grpo(rewards)[0],
        "old_per_token_logps": laid_out(tokens.old),
        "ref_per_token_logps": laid_out(tokens.reference),
        "num_items_in_batch": mask.sum(),
    }
    student.model.train()
    theirs = trainer._compute_loss(student.model, inputs)
    assert ours.loss.item() == pytest.approx(float(theirs), rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_log_probabilities_of_targets_are_the_sums_over_their_tokens(tiny, style):
    student = tiny(style)
    pairs = [(rollout.source, rollout.target) for rollout in ROLLOUTS]
    with torch.no_grad():
        logprobs, _ = Policy(student.model.eval())(batch_of_rollouts(ROLLOUTS, student))
    sums = [float(part.sum()) for part in logprobs.split([3, 6, 1])]
    assert target_log_probs(student, pairs) == pytest.approx(sums, rel=1e-5)
    assert target_log_probs(student, pairs, batch_size=1) == pytest.approx(sums, rel=1e-5)
    assert target_log_probs(student, []) == []
