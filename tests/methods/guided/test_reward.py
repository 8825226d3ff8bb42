"""What a rationale is worth, of what, and how it could cheat."""

from __future__ import annotations

import math

import pytest
import torch

from smallsteps.errors import RecipeError
from smallsteps.generation.generator import Reply
from smallsteps.methods.guided.config import REWARDED, RewardSettings
from smallsteps.methods.guided.reader import Reader, ReaderQuestion
from smallsteps.methods.guided.reward import (
    Likelihood,
    Rewarder,
    longest_copy,
    usefulness,
)
from smallsteps.quality.rated import Rated, References
from smallsteps.quality.scorer import Scorer
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.facts import make_chains
from smallsteps.training.rollouts import Rollout

TASK = get_task("facts")
CHAINS = make_chains(4, 2)
PROBLEMS = {chain.problem.id: chain.problem for chain in CHAINS}
GOLD = [" ".join(Rated.of(c.problem, c.rationale.text).steps) for c in CHAINS]


class Follows:
    """A reader that answers with the last word of the reasoning, or always the same."""

    def __init__(self, answer=None):
        self.calls, self.answer = 0, answer

    def generate(self, requests, decoding, progress=None):
        for request in requests:
            self.calls += 1
            reasoning = request.prompt[-1][1].split("Reasoning: ")[1].split("\n")[0]
            answer = self.answer or reasoning.split()[-1].strip(".")
            yield Reply(request.id, 0, (), answer, "end", 1, read=3)


def rollout(n, text, finished=True):
    return Rollout(CHAINS[n].problem.id, 0, (5,), (6,), text, finished)


def rewarder(kind="balanced", **more):
    return Rewarder(
        PROBLEMS, Scorer(), RewardSettings(reward=kind, **more), Reader("m", Follows(), TASK)
    )


def parts_of(reward):
    return {name: reward.parts[name] for name in REWARDED}


def test_quality_and_usefulness_add_up_as_each_kind_says():
    for kind, wanted in {
        "balanced": lambda parts, task: task + 0.5 * sum(parts.values()) / 5,
        "paper": lambda parts, task: sum(parts.values()) + task,
        "aspects": lambda parts, task: 0.5 * sum(parts.values()) / 5,
        "task": lambda parts, task: task,
    }.items():
        right, wrong = rewarder(kind).rewards(
            [rollout(0, GOLD[0]), rollout(0, "Nobody knows this.")]
        )
        assert right.value == pytest.approx(wanted(parts_of(right), 1.0)), kind
        assert wrong.value == pytest.approx(wanted(parts_of(wrong), 0.0)), kind
        assert right.value > wrong.value


def test_what_is_empty_unfinished_or_too_long_is_worth_nothing_and_costs_no_call():
    model = rewarder(longest=20)
    texts = ["", "  ", "so " * 21]
    rewards = model.rewards(
        [*(rollout(0, text) for text in texts), rollout(0, GOLD[0], finished=False)]
    )
    assert [reward.value for reward in rewards] == [0, 0, 0, 0]
    assert {reward.parts["gated"] for reward in rewards} == {1}
    assert model.reader.generator.calls == 0
    groups = model(
        [[rollout(0, GOLD[0]), rollout(0, "")], [rollout(1, GOLD[1]), rollout(1, GOLD[1])]], 0
    )
    assert [len(group) for group in groups] == [2, 2]
    assert groups[0][1].value == 0 < groups[0][0].value


def test_a_score_of_exactly_0_stays_in_the_curves():
    """Left out, it would raise the mean of those that are left."""
    dense = "Notwithstanding institutional considerations characteristically materialise internationally."
    model = Rewarder(
        PROBLEMS, Scorer(references=References.of(GOLD)), RewardSettings(reward="aspects")
    )
    rewards = model.rewards([rollout(0, dense), rollout(0, GOLD[0].lower())])
    assert rewards[0].parts["readability"] == 0.0
    assert rewards[1].parts["naturalness"] == 0.0
    assert "fluency" not in rewards[0].parts, "not measured: no student"


def test_a_task_without_f1_is_useful_by_right_and_wrong_and_without_context_by_coherence():
    numbers = get_task("numbers")
    problem = Problem("n", "Ann has 3 boxes of 24 pens. How many pens?", "72")
    assert usefulness(numbers, problem, "72 pens") == 1.0 == usefulness(numbers, problem, "$72.00")
    assert usefulness(numbers, problem, "7") == usefulness(numbers, problem, None) == 0.0
    assert 0 < usefulness(TASK, Problem("m", "Who?", "Ann Lee"), "Ann") < 1, (
        "multi-hop answers have an F1"
    )
    model = Rewarder(
        {"n": problem}, Scorer(), RewardSettings(), Reader("m", Follows("72"), numbers)
    )
    text = "Ann has 3 boxes of 24 pens. So she has 72 pens."
    (reward,) = model.rewards([Rollout("n", 0, (1,), (2,), text, True)])
    assert reward.terms == {
        "coherence": pytest.approx(0.5 * reward.parts["coherence"]),
        "task": 1.0,
    }


class RatesOne:
    """A chat model as the judge: it rates factuality alone readably."""

    aspects = REWARDED

    def __init__(self):
        self.asked = 0

    def rate(self, items, aspects, progress=None):
        self.asked += len(items) * len(aspects)
        return [{name: 0.75 if name == "factuality" else None for name in aspects} for _ in items]


def test_a_rating_that_cannot_be_read_is_worth_nothing_and_is_counted():
    """Left out of the mean, it would pay to write what the judge cannot rate."""
    model = Rewarder(PROBLEMS, Scorer(prompted=RatesOne()), RewardSettings(reward="aspects"))
    (reward,) = model.rewards([rollout(0, GOLD[0])])
    assert reward.value == pytest.approx(0.5 * 0.75 / 5)
    assert reward.parts["unread"] == 0.8 and reward.parts["factuality"] == 0.75
    assert "unread" not in rewarder().rewards([rollout(0, GOLD[0])])[0].parts


def test_a_chat_model_is_not_paid_for_aspects_that_are_not_rewarded():
    judge = RatesOne()
    reader = Reader("m", Follows(), TASK)
    model = Rewarder(PROBLEMS, Scorer(prompted=judge), RewardSettings(reward="task"), reader)
    (reward,) = model.rewards([rollout(0, GOLD[0])])
    assert judge.asked == 0 and reward.terms == {"task": 1.0}
    assert "factuality" not in reward.parts and "readability" in reward.parts


def test_gauges_tell_of_leaks_and_copies():
    answer = CHAINS[0].problem.answer
    leak, copy = rewarder().rewards(
        [rollout(0, f"It is {answer}."), rollout(0, CHAINS[0].problem.context[0][1][0])]
    )
    assert leak.parts["leak"] == 1 and copy.parts["copy"] == 1 and leak.parts["copy"] < 0.5
    assert longest_copy("x y z", CHAINS[0].problem) == 0


def test_an_uplift_is_how_much_likelier_the_answer_gets(tiny):
    student = tiny("t5-scaled")
    likelihood = Likelihood(student)
    messages, answer = (("user", "Ann has 3 pens."),), "3"
    ids = torch.tensor([student.chat_ids(messages)])
    target = torch.tensor([[*student.encode(answer), student.end_id]])
    wanted = -student.model(input_ids=ids, labels=target).loss.item() * target.shape[1]
    assert likelihood.log_probs([(messages, answer)] * 3) == pytest.approx([wanted] * 3, rel=1e-4)

    reader = Reader("m", Follows(), TASK)
    model = Rewarder(
        PROBLEMS, Scorer(), RewardSettings(reward="task", uplift=True), reader, likelihood
    )
    (reward,) = model.rewards([rollout(0, GOLD[0])])
    gains = likelihood.log_probs(
        [
            (reader.messages(ReaderQuestion(CHAINS[0].problem, GOLD[0])), CHAINS[0].problem.answer),
            (reader.messages(ReaderQuestion(CHAINS[0].problem)), CHAINS[0].problem.answer),
        ]
    )
    assert reward.value == pytest.approx((min(2, max(-2, gains[0] - gains[1])) + 2) / 4, abs=1e-5)
    assert 0 <= reward.value <= 1 and math.isfinite(reward.value)


def test_what_cannot_be_rewarded_is_refused():
    with pytest.raises(
        RecipeError,
        match=r"reward: expected one of balanced, .* got 'balance'\. Did you mean 'balanced'",
    ):
        RewardSettings(reward="balance")
    with pytest.raises(RecipeError, match="needs a reader"):
        Rewarder(PROBLEMS, Scorer())
    with pytest.raises(RecipeError, match="needs the reader's weights"):
        rewarder(uplift=True)
    with pytest.raises(RecipeError, match="uplift has no part in 'paper'"):
        RewardSettings(reward="paper", uplift=True)
    assert Rewarder(
        PROBLEMS, Scorer(references=References.of(GOLD)), RewardSettings(reward="aspects")
    ).rewards([rollout(0, GOLD[0])])
