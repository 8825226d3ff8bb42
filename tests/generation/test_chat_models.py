"""A model in a folder or at a URL is opened by its settings, whoever asks it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from smallsteps.errors import RecipeError
from smallsteps.generation.access import Access
from smallsteps.generation.budget import Budget
from smallsteps.generation.chat import LocalChat
from smallsteps.generation.chat_models import is_local, open_chat, served_url
from smallsteps.generation.endpoint import Endpoint
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.settings import CallSettings
from tiny_gguf import write_gguf


@pytest.fixture
def budget(tmp_path: Path) -> Iterator[Budget]:
    store = ReplyStore(tmp_path / "replies.sqlite")
    yield Budget(store, "job")
    store.close()


def test_a_name_at_a_url_is_an_endpoint_with_the_key_of_its_host(budget: Budget) -> None:
    access = Access("https://models.example/v1", "sk-0123456789")
    chat = open_chat(CallSettings(name="m", concurrency=3), budget, access, "teacher")
    assert isinstance(chat, Endpoint)
    assert (chat.server.model, chat.server.base_url) == ("m", "https://models.example/v1")
    assert chat.server.key() == "sk-0123456789" and chat.server.settings.concurrency == 3


def test_a_folder_is_a_local_model(tiny: Any, budget: Budget, tmp_path: Path) -> None:
    tiny("llama").save(tmp_path / "student")
    settings = CallSettings(name=str(tmp_path / "student"), thinking="keep")
    chat = open_chat(settings, budget, Access(), "reader", device="cpu")
    assert isinstance(chat, LocalChat) and chat.thinking == "keep"
    assert is_local(settings)
    at_a_url = settings.changed(base_url="https://models.example/v1")
    assert not is_local(at_a_url) and isinstance(
        open_chat(at_a_url, budget, Access(), "reader"), Endpoint
    )


def test_a_local_model_has_the_dtype_that_is_named(
    tiny: Any, budget: Budget, tmp_path: Path
) -> None:
    tiny("llama").save(tmp_path / "student")
    settings = CallSettings(name=str(tmp_path / "student"))
    for dtype, expected in (("auto", torch.float32), ("bfloat16", torch.bfloat16)):
        chat = open_chat(settings, budget, Access(), "reader", device="cpu", dtype=dtype)
        assert isinstance(chat, LocalChat) and chat.student.dtype == expected


def test_a_gguf_file_and_smollm2_are_local_models(
    budget: Budget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLSTEPS_CACHE", str(tmp_path / "cache"))
    settings = CallSettings(name=str(write_gguf(tmp_path / "tiny.gguf")))
    chat = open_chat(settings, budget, Access(), "teacher", device="cpu")
    assert isinstance(chat, LocalChat) and chat.student.name == settings.name
    assert is_local(CallSettings(name="smollm2"))
    served = CallSettings(name="smollm2", base_url="http://localhost:11434/v1")
    assert not is_local(served), "servers have models of this name as well"
    assert not is_local(CallSettings(name="trained"))


def test_a_folder_of_this_run_comes_before_the_name(
    tiny: Any, budget: Budget, tmp_path: Path
) -> None:
    tiny("llama").save(tmp_path / "student")
    settings = CallSettings(name="trained")
    chat = open_chat(
        settings, budget, Access(), "reader", device="cpu", folder=tmp_path / "student"
    )
    assert isinstance(chat, LocalChat)


def test_a_run_that_is_not_there_names_the_near_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/first").mkdir(parents=True)
    (tmp_path / "runs/first/run.json").write_text("{}")
    message = r"^the reader runs/frist: no such file or folder\. Did you mean runs/first\?"
    with pytest.raises(RecipeError, match=message):
        served_url(CallSettings(name="runs/frist"), Access(), "reader")


def test_a_path_where_nothing_is_reaches_no_server_of_strangers() -> None:
    settings = CallSettings(name="./nothing-here")
    with pytest.raises(RecipeError, match=r"^the reader \./nothing-here: no such file or folder"):
        served_url(settings, Access(), "reader")
    own = Access("http://127.0.0.1:1/v1")
    assert served_url(settings, own, "reader") == "http://127.0.0.1:1/v1"
