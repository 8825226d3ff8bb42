"""What is known of a served model, and the key that shows nowhere."""

from __future__ import annotations

import pytest

from smallsteps.errors import RecipeError
from smallsteps.generation.access import OPENAI, Withheld
from smallsteps.generation.model_server import ModelServer
from smallsteps.generation.settings import CallSettings

URL = "https://host/v1"


def server(key: str | Withheld | None, url: str | None = URL) -> ModelServer:
    return ModelServer(CallSettings(name="m", base_url=url), key, lambda line: None)


def test_without_a_url_openai_is_asked() -> None:
    assert server("sk-1", url=None).base_url == OPENAI


def test_a_missing_or_withheld_key_is_an_error_only_when_it_is_needed() -> None:
    with pytest.raises(RecipeError, match=f"no key for {URL}: set the environment variable"):
        server(None).key()
    with pytest.raises(RecipeError, match="because"):
        server(Withheld("because")).key()
    assert server("").key() == "", "a server that needs no key"


def test_a_key_that_cannot_be_sent_is_refused() -> None:
    with pytest.raises(RecipeError, match="U\\+00A0 as its character 3"):
        server("sk\u00a0x").key()


def test_the_key_is_cut_out_of_messages_and_bodies() -> None:
    named = server("sk-12345678")
    assert named.clean("no such key:\n sk-12345678!") == "no such key: [key]!"
    assert named.without_key(b'{"key": "sk-12345678"}') == b'{"key": "[key]"}'


@pytest.mark.parametrize("key", ["token", "12345678", "password", "sk-1", ""])
def test_a_key_that_may_stand_in_a_reply_by_chance_is_left_there(key: str) -> None:
    text = f"So it is {key}."
    assert (
        server(key).clean(text) == text and server(key).without_key(text.encode()) == text.encode()
    )
