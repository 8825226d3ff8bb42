"""A teacher is opened by its settings: the solver, a file of replies, a folder, a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from smallsteps.errors import DataError, RecipeError
from smallsteps.generation.access import Access
from smallsteps.generation.budget import Budget
from smallsteps.generation.chat import LocalChat
from smallsteps.generation.endpoint import Endpoint
from smallsteps.generation.replies import ReplyStore
from smallsteps.tasks import get_task
from smallsteps.teaching.open_teacher import open_teacher
from smallsteps.teaching.prompted import PromptedTeacher
from smallsteps.teaching.reply_file import FileTeacher
from smallsteps.teaching.settings import TeacherSettings
from smallsteps.teaching.story_solver import StorySolver

TASK = get_task("numbers")


@pytest.fixture
def budget(tmp_path: Path) -> Iterator[Budget]:
    store = ReplyStore(tmp_path / "replies.sqlite")
    yield Budget(store, "job")
    store.close()


def opened(budget: Budget, access: Access | None = None, seed: int = 0, **settings: Any) -> Any:
    return open_teacher(
        TeacherSettings(**settings), TASK, budget, access or Access(), device="cpu", seed=seed
    )


def test_solver_is_the_exact_solver(budget: Budget) -> None:
    assert isinstance(opened(budget, name="solver"), StorySolver)


def test_a_file_is_read_at_once_with_the_policy_on_thoughts(budget: Budget, tmp_path: Path) -> None:
    path = tmp_path / "replies.txt"
    path.write_text('{"id": "a", "rationale": "So 7."}\n')
    teacher = opened(budget, name=str(path), thinking="keep")
    assert isinstance(teacher, FileTeacher) and teacher.thinking == "keep"
    with pytest.raises(DataError, match=r"missing\.jsonl"):
        opened(budget, name="missing.jsonl")


def test_a_name_at_a_url_is_a_prompted_model_with_prompts_and_decoding_of_the_settings(
    budget: Budget,
) -> None:
    teacher = opened(
        budget,
        name="m",
        base_url="http://127.0.0.1:1/v1",
        initial="blind",
        temperature=0.5,
        max_new_tokens=9,
        seed=3,
    )
    assert isinstance(teacher, PromptedTeacher) and isinstance(teacher.generator, Endpoint)
    assert (teacher.initial.name, teacher.feedback.name) == ("blind", "feedback")
    decoding = teacher.decoding
    assert (decoding.temperature, decoding.max_new_tokens, decoding.seed) == (0.5, 9, 3)


def test_a_file_of_the_models_name_is_no_teacher_where_a_url_is_named(
    budget: Budget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m").write_text("{}")
    teacher = opened(budget, name="m", base_url="http://127.0.0.1:1/v1")
    assert isinstance(teacher, PromptedTeacher)


def test_a_folder_is_a_local_model(tiny: Any, budget: Budget, tmp_path: Path) -> None:
    tiny("llama").save(tmp_path / "student")
    teacher = opened(budget, name=str(tmp_path / "student"))
    assert isinstance(teacher, PromptedTeacher) and isinstance(teacher.generator, LocalChat)


def test_a_missing_prompt_is_named_before_anything_is_opened(budget: Budget) -> None:
    with pytest.raises(RecipeError, match="Did you mean 'feedback'"):
        opened(budget, name="m", feedback="feedbak")
