"""What is refused before the first exam, and what a dry run says."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsteps.errors import DataError, RecipeError, TeacherError
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.run import run
from smallsteps.methods.tailored import exam_stages
from smallsteps.methods.tailored.before import models, next_command, plan, variants
from tiny_tailored import sums_recipe, tailored_content, write_json_lines


def test_questions_without_answers_are_no_exam(tmp_path):
    rows = [{"id": str(n), "question": f"{n} + 1?"} for n in range(20)]
    questions = write_json_lines(tmp_path / "q.jsonl", rows)
    recipe = make_recipe(tailored_content(data={"chains": questions, "task": "numbers"}))
    with pytest.raises(DataError, match=r"needs gold answers.*teach"):
        run(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_teacher_who_cannot_be_asked_shows_before_the_first_exam(tmp_path, server, monkeypatch):
    monkeypatch.setattr(exam_stages, "sit", lambda *_, **__: pytest.fail("sat an exam"))
    arms = ["tailored-full"]
    unreachable = sums_recipe(tmp_path, server, arms, base_url="http://127.0.0.1:9/v1")
    with pytest.raises(TeacherError, match="cannot connect to"):
        run(unreachable, tmp_path / "unreachable")
    keyless = sums_recipe(tmp_path, server, arms, base_url="https://somewhere.invalid/v1")
    with pytest.raises(RecipeError, match="OPENAI_API_KEY"):
        run(keyless, tmp_path / "keyless")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"rationales": 2, "teacher": {"temperature": 0}},
            r"tailored\.rationales above 1 needs tailored\.teacher\.temperature above 0",
        ),
        (
            {"teacher": {"name": "nowhere.jsonl"}},
            r"tailored\.teacher\.name: nowhere\.jsonl: no such file",
        ),
        (
            {"teacher": {"name": "pyproject.jsonl", "corrections": "nowhere.jsonl"}},
            r"tailored\.teacher\.name: pyproject\.jsonl: no such file",
        ),
        (
            {"teacher": {"name": "solver", "corrections": "nowhere.jsonl"}},
            r"tailored\.teacher\.corrections: the teacher 'solver' corrects mistakes itself",
        ),
        ({"teacher": {"feedback": "nowhere.txt"}}, r"tailored\.teacher"),
    ],
)
def test_a_teacher_that_cannot_be_used_is_refused_before_the_run_folder(tmp_path, changes, message):
    recipe = make_recipe(tailored_content(tailored=changes))
    with pytest.raises(RecipeError, match=message):
        run(recipe, tmp_path / "run")
    assert not (tmp_path / "run/data").exists()


def test_a_dry_run_counts_the_calls_that_the_teacher_may_get():
    """T_0: 8 questions twice. Feedback: 8 questions, 3 mistakes each, after all rounds but the
    last."""
    settings = {"rounds": 3, "rationales": 2, "mistakes": 3}
    arms = ["tailored-full", "tailored-blind"]
    recipe = make_recipe(tailored_content(arms=arms, tailored=settings))
    (calls,) = plan(recipe, arms, 8, 10)
    assert "at most 16 calls at the start (T_0) and 48 for the feedback of a seed" in calls
    assert "each at most 2 times" in calls
    assert models(recipe, arms) == 6 and variants(recipe, arms) == arms


def test_the_next_command_asks_the_student():
    recipe = make_recipe(tailored_content())
    command = next_command(recipe, Path("runs/a"), Path("runs/a/student"))
    assert command == ["smallsteps", "solve", "runs/a/student", "your question"]
