"""The reader that a run trains: what it learns from, and that none of it is the run's."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from smallsteps.experiment.recipe import make_recipe
from smallsteps.methods.guided.trained_reader import _chains, reader_examples
from smallsteps.tasks import get_task
from smallsteps.tasks.facts import DISTRACTORS, make_chains
from smallsteps.teaching.prompts import read_prompt
from tiny_guided import guided_content

TASK = get_task("facts")
PROMPTS = {"guided": read_prompt("read"), "standard": read_prompt("standard")}
PROMPTS["cot"] = read_prompt("cot")
CHAINS = make_chains(60, 5, 2)


def examples_of(number, noise=0.0):
    """Kind of input → the example, of the question `number`."""
    chain, neighbour = CHAINS[number], CHAINS[number - 1]
    examples = reader_examples(chain, neighbour, PROMPTS, noise, number, TASK)
    return {example.id.rpartition("/")[2]: example for example in examples}


def reasoning_in(example):
    return example.question.split("Reasoning: ")[1].split("\n")[0]


def test_each_question_is_reasoned_about_and_every_third_one_is_read_without_a_rationale():
    kinds = [set(examples_of(number)) for number in range(6)]
    assert kinds == [{"cot", "standard"}, {"cot", "guided"}, {"cot", "guided"}] * 2
    for number in range(6):
        examples, answer = examples_of(number), CHAINS[number].problem.answer
        assert examples["cot"].target.endswith(f"Prediction: {answer}")
        assert "The answer is" not in examples["cot"].target
        if "standard" in examples:
            assert "Reasoning" not in examples["standard"].question


@pytest.mark.parametrize("noise", [0.0, 1.0])
def test_the_answer_is_right_whatever_the_rationale_says(noise):
    """So that the reader learns to read and not to believe."""
    for number, chain in enumerate(CHAINS):
        for kind in {"standard", "guided"} & set(examples_of(number, noise)):
            assert examples_of(number, noise)[kind].target == chain.problem.answer


def test_rationales_are_whole_or_without_their_conclusion_unless_they_are_spoilt():
    whole = without = 0
    for number, chain in enumerate(CHAINS):
        if number % 3 == 0:
            continue
        right = chain.rationale.text.split(" The answer is")[0]
        reasoning = reasoning_in(examples_of(number)["guided"])
        assert right.startswith(reasoning)
        whole += reasoning == right
        without += reasoning != right and "So " not in reasoning
    assert whole + without == 40 and min(whole, without) >= 8, "0.6 and 0.4 of them"
    spoilt = [
        reasoning_in(examples_of(number, noise=1.0)["guided"]) for number in range(60) if number % 3
    ]
    right = [CHAINS[n].rationale.text.split(" The answer is")[0] for n in range(60) if n % 3]
    assert all(a != b for a, b in zip(spoilt, right, strict=True))


def test_no_question_is_the_runs_and_every_second_one_has_a_short_context():
    distractors = DISTRACTORS["medium"]
    first = make_chains(24, 403, distractors)
    part = [chain.problem for chain in first[:5]]
    data = SimpleNamespace(train=part[:3], validation=part[3:4], test=part[4:])
    settings = SimpleNamespace(difficulty="medium", split_seed=3)
    lab = SimpleNamespace(data=data, recipe=SimpleNamespace(data=settings))
    chains = _chains(lab, 12)
    assert len(chains) == 12
    known = {(problem.question, problem.context) for problem in part}
    assert not known & {(chain.problem.question, chain.problem.context) for chain in chains}
    lengths = [len(chain.problem.context) for chain in chains]
    assert set(lengths[1::2]) == {2 + 2 * distractors}
    assert set(lengths[::2]) == {2 + 2 * n for n in range(1, distractors + 1)}


def test_a_run_trains_its_reader_once_and_freezes_it(run_recipe, tmp_path):
    content = guided_content(tmp_path / "replies.sqlite", arms=["guided-standard"])
    content["guided"]["reader"] |= {"name": "trained", "count": 12, "budget": 2000}
    content["student"] = {"name": "bundled"}
    first = run_recipe(make_recipe(content))
    folder = tmp_path / "run/reader"
    weights = (folder / "model.safetensors").read_bytes()
    assert (folder / "config.json").is_file() and (folder / "trained.json").is_file()
    assert first.methods["guided"].reader == "trained" and first.best is None
    assert run_recipe(make_recipe(content)) == first
    assert (folder / "model.safetensors").read_bytes() == weights
