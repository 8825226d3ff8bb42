"""Further test sets: names that can be told apart, questions and answers that stay with the run."""

from __future__ import annotations

import shutil

import pytest

from smallsteps.errors import DataError, RecipeError, RunFolderError
from smallsteps.experiment.folder import run_folder
from smallsteps.experiment.further import (
    check_name,
    counted_once,
    file_name,
    grade_answers,
    read_answers,
    read_test_sets,
    same_questions,
    store_answers,
    store_test_sets,
)
from smallsteps.records import Prediction, Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.files import write_rows


def write_set(path, *numbers):
    rows = (
        {"id": f"m{n}", "question": f"What is {n} plus 2?", "answer": str(n + 2)} for n in numbers
    )
    write_rows(path, rows)
    return str(path)


def stored(tmp_path, also_test, learnt=(), say=None):
    with run_folder(tmp_path / "run", "digest", "title: x\n") as run:
        return store_test_sets(also_test, run, learnt, say)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gsm9k", "data.also_test: no task 'gsm9k'. Did you mean 'gsm8k'?"),
        ("gsm9k/hard", "data.also_test: no task 'gsm9k'. Did you mean 'gsm8k'?"),
        ("gsm8k/", "'gsm8k/' is no name of a test set. .* such as gsm8k/hard."),
        ("gsm8k/../x", "'gsm8k/../x' is no name of a test set"),
        ("gsm8k/a b", "'gsm8k/a b' is no name of a test set"),
        ("/hard", "'/hard' is no name|no task ''"),
    ],
)
def test_a_name_that_is_none_is_refused_with_what_to_type(name, message):
    with pytest.raises(RecipeError, match=message):
        check_name(name)


def test_several_sets_of_one_task_have_files_of_their_own():
    """The trap: `hotpotqa/gold` and the task `hotpotqa-gold` would share a stage."""
    names = ["hotpotqa", "hotpotqa/gold", "hotpotqa-gold"]
    for name in names:
        check_name(name)
    assert len({file_name(name) for name in names}) == 3


def test_a_set_stays_with_the_run_when_its_file_is_gone(tmp_path):
    file = write_set(tmp_path / "more.jsonl", 1, 2)
    also = {"multiarith": file, "multiarith/b": file}
    sets = stored(tmp_path, also)
    (tmp_path / "more.jsonl").unlink()
    assert stored(tmp_path, also) == sets == read_test_sets(tmp_path / "run", also)
    assert [(task.name, len(problems)) for task, problems in sets.values()] == [
        ("multiarith", 2)
    ] * 2


def test_a_set_keeps_the_language_that_was_guessed(tmp_path):
    rows = [
        {"question": f"小明有{n}支铅笔，又买了2支。现在有多少支？", "answer": str(n + 2)}
        for n in (3, 4)
    ]
    write_rows(tmp_path / "zh.jsonl", rows)
    said: list[str] = []
    also = {"numbers": str(tmp_path / "zh.jsonl")}
    assert stored(tmp_path, also, say=said.append)["numbers"][0].name == "numbers-zh"
    assert read_test_sets(tmp_path / "run", also)["numbers"][0].name == "numbers-zh"
    assert len(said) == 1 and "guessed" in said[0]


def test_questions_that_are_trained_on_are_counted_and_said(tmp_path):
    file = write_set(tmp_path / "more.jsonl", 1, 2, 3)
    said: list[str] = []
    learnt = [Problem("t", "what is 2  plus 2?", "4")]
    stored(tmp_path, {"multiarith": file}, learnt, said.append)
    assert said == [
        "data.also_test.multiarith: 1 of 3 questions stand in the training part too, so that its "
        "figure is too high"
    ]


def test_an_empty_or_missing_file_is_named_by_its_key(tmp_path):
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(DataError, match=r"data.also_test.svamp: .*empty.jsonl"):
        stored(tmp_path, {"svamp": str(tmp_path / "empty.jsonl")})
    with pytest.raises(DataError, match=r"data.also_test.svamp/b: .*no such file"):
        stored(tmp_path, {"svamp/b": str(tmp_path / "no.jsonl")})


def test_a_run_of_an_older_version_has_no_sets_and_a_damaged_one_is_named(tmp_path):
    also = {"multiarith": write_set(tmp_path / "more.jsonl", 1)}
    stored(tmp_path, also)
    assert read_test_sets(tmp_path / "other", also) == {}
    (tmp_path / "run/further/multiarith/problems.jsonl").write_text("{")
    with pytest.raises(RunFolderError, match=r"multiarith: damaged .*Type the run's command again"):
        read_test_sets(tmp_path / "run", also)


def test_the_order_of_questions_makes_no_other_set():
    task, questions = get_task("multiarith"), [Problem(f"m{n}", f"{n}?", "1") for n in range(3)]
    assert same_questions((task, questions), (task, questions[::-1]))
    assert not same_questions((task, questions), (task, questions[1:]))
    assert not same_questions((task, questions), (get_task("svamp"), questions))


def test_a_question_of_two_sets_counts_in_the_first(tmp_path):
    task = get_task("multiarith")
    first = [Problem("a", "What is 1 plus 2?", "3"), Problem("b", "what is 1  plus 2?", "3")]
    second = [Problem("a", "What is 4 plus 2?", "6"), Problem("c", "What is 1 plus 2?", "3")]
    assert counted_once({"x": (task, first), "y": (task, second)}) == {"x": {"a"}, "y": {"a"}}


def test_answers_are_kept_graded_and_missing_ones_named(tmp_path):
    also = {"multiarith/b": write_set(tmp_path / "more.jsonl", 1, 2)}
    answers = {
        "multiarith/b": [
            Prediction(f"p{n}", f"m{n}", "3", ((None, "3"),), "3", "stop_sign") for n in (1, 2)
        ]
    }
    with run_folder(tmp_path / "run", "digest", "title: x\n") as run:
        sets = store_test_sets(also, run, (), None)
        store_answers(run, "direct-seed0", answers)
        store_answers(run, "other-seed0", {})
    assert not (tmp_path / "run/arms/other-seed0").exists()
    read = {"multiarith/b": read_answers(tmp_path / "run", "direct-seed0", "multiarith/b")}
    assert read == answers
    score = grade_answers(read, sets, decode="greedy", seed=0, resamples=100)["multiarith/b"]
    assert (score.value, score.task, score.dataset) == (50.0, "multiarith", "b")
    shutil.rmtree(tmp_path / "run/arms")
    with pytest.raises(RunFolderError, match=r"multiarith.b.jsonl: missing or damaged"):
        read_answers(tmp_path / "run", "direct-seed0", "multiarith/b")
