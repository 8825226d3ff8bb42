"""The public names."""

import json

import pytest

import smallsteps
from smallsteps.errors import UserError


def test_the_public_names_are_these():
    assert smallsteps.__all__ == sorted(
        smallsteps.__all__, key=lambda name: (name[0].islower(), name)
    )
    assert set(smallsteps.__all__) == set(smallsteps._WHERE)
    assert {"read", "segment", "build", "fit", "solve", "grade", "load", "run"} <= set(
        smallsteps.__all__
    )


@pytest.mark.parametrize("name", smallsteps.__all__)
def test_every_public_name_is_there(name):
    assert getattr(smallsteps, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        smallsteps.nonsense  # noqa: B018


def test_every_stage_takes_the_name_of_a_task(tmp_path):
    task = smallsteps.get_task("numbers")
    file = tmp_path / "chains.jsonl"
    rationale = "Ann has 2 apples. She buys 3. So she has 5."
    file.write_text(
        json.dumps({"id": "a", "question": "How many?", "rationale": rationale, "answer": "5"})
    )
    by_name, by_task = smallsteps.read(file, "numbers"), smallsteps.read(file, task)
    assert by_name == by_task
    assert smallsteps.read_problems(file, "numbers") == smallsteps.read_problems(file, task)
    chains = by_name.chains
    problems = [chain.problem for chain in chains]
    segments = smallsteps.segment(chains, "inter", task="numbers")
    assert segments == smallsteps.segment(chains, "inter", task=task)
    examples = smallsteps.build(chains, segments, "numbers", "uni")
    assert examples == smallsteps.build(chains, segments, task, "uni")
    student = smallsteps.prepare(smallsteps.load_student("bundled"), "numbers", path="uni")
    settings = smallsteps.TrainSettings(passes=1)
    result = smallsteps.fit(student, examples, [], settings, tmp_path / "out", task="numbers")
    folder = result.folder("train_loss")
    assert smallsteps.load(folder, task="numbers").task == task
    decoding = smallsteps.Decoding(max_new_tokens=3)
    (prediction,) = smallsteps.solve(student, problems, "numbers", decoding=decoding)
    score = smallsteps.grade([prediction], problems, "numbers")
    assert score == smallsteps.grade([prediction], problems, task)


def test_an_unknown_task_gives_the_nearest_name_and_no_attribute_error():
    with pytest.raises(UserError, match=r"no task 'nubmers'\. Did you mean 'numbers'\?"):
        smallsteps.read("chains.jsonl", "nubmers")


def test_run_takes_the_name_of_a_recipe(tmp_path):
    with pytest.raises(UserError, match=r"no recipe 'dmeo'\. Did you mean 'demo'\?"):
        smallsteps.run("dmeo", tmp_path / "out")
