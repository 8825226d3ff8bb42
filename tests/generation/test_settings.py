"""Settings of a model that is asked: what is refused before any call."""

from typing import Any

import pytest

from smallsteps.errors import RecipeError
from smallsteps.generation.settings import STORE, CallSettings


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"name": " "}, "name: the model's name is empty"),
        ({"name": "m\ud800"}, r"name: the model's name m\? is not UTF-8"),
        ({"base_url": "localhost:8000"}, r"base_url: the URL 'localhost:8000': expected http://"),
        ({"base_url": "http://h/v1?key=1"}, r"base_url: the URL 'http://h/v1': expected no `\?`"),
        ({"concurrency": 0}, "concurrency: expected a whole number of at least 1, got 0"),
        ({"timeout": float("inf")}, "timeout: expected a number above 0, got inf"),
        ({"attempts": 0}, "attempts: expected a whole number of at least 1"),
        ({"patience": -1}, "patience: expected a number of at least 0"),
        ({"thinking": "all"}, "thinking: expected one of drop, keep, only, got 'all'"),
        ({"extra_body": {"n": 2}}, "extra_body: `n` cannot be set there"),
        ({"money": 5}, "a limit on money needs prices"),
    ],
)
def test_invalid_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=f"^CallSettings: {message}"):
        CallSettings(**{"name": "m", **values})


def test_a_model_has_to_be_named() -> None:
    with pytest.raises(
        RecipeError, match=r"^CallSettings: name: expected text \(not empty\), got none"
    ):
        CallSettings()  # type: ignore[call-arg]


def test_a_url_is_kept_without_spaces_around_it() -> None:
    assert CallSettings(name="m", base_url=" http://h/v1 ").base_url == "http://h/v1"


def test_the_store_is_shared_where_none_is_named() -> None:
    assert CallSettings(name="m").store_path == STORE
    assert CallSettings(name="m", store="~/x").store_path.is_absolute()


def test_what_is_asked_is_no_matter_of_spending() -> None:
    asked = set(CallSettings(name="m").effects())
    assert asked == {"name", "base_url", "extra_body", "thinking"}
