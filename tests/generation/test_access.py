"""Where a model is asked, and which server gets the key."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsteps.errors import RecipeError
from smallsteps.generation.access import Access, Withheld, check_key, check_url, on_this_machine

KEY = "sk-secret"


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@host/v1",
        "https://hunter2@host/v1",
        "user:hunter2@host/v1",
        "http://user:hun/ter2@host:99999/v1",
        "http://user:hunter2@[::1/v1",
    ],
)
def test_a_url_with_a_password_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(
        RecipeError, match=r"the teacher's base URL .* carries a user name or a password"
    ) as raised:
        Access().url_for(url, "teacher")
    assert "hunter2" not in str(raised.value) and "ter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:8000/v1", "expected http://… or https://…"),
        ("api.example.com/v1", "expected http://… or https://…"),
        ("ftp://host/v1", "expected http://… or https://…"),
        ("", "expected http://… or https://…"),
        ("http://host:99999/v1", "is no URL: Port out of range"),
        ("http://host:0/v1", "expected a URL such as"),
        ("http://host:port/v1", "is no URL"),
        ("http://[::1/v1", "is no URL"),
        ("http:///v1", "expected a URL such as"),
        ("http://", "expected a URL such as"),
        ("http://a b/v1", "expected a URL such as"),
        ("http://host/v1\x1b[31m", "expected a URL such as"),
        ("https://host/v1?api-key=hunter2", "no `[?]` and no `#`"),
        ("https://host/v1#hunter2", "no `[?]` and no `#`"),
        ("https://host/v1/chat/completions", r"Write https://host/v1\.$"),
        ("https://host/v1/chat/completions/", r"Write https://host/v1\.$"),
    ],
)
def test_a_url_that_is_none_is_one_message(url: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as raised:
        check_url(url, "--base-url")
    assert "hunter2" not in str(raised.value) and "\x1b" not in str(raised.value)


def test_spaces_around_a_url_do_not_matter() -> None:
    assert check_url(" https://host/v1\n", "OPENAI_BASE_URL") == "https://host/v1"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:1/v1", True),
        ("http://127.9.9.9/v1", True),
        ("http://localhost/v1", True),
        ("http://LOCALHOST:8000/v1", True),
        ("http://[::1]:8000/v1", True),
        ("http://[::ffff:127.0.0.1]/v1", True),
        ("http://0.0.0.0:8000/v1", True),
        ("http://vllm.localhost/v1", True),
        ("http://127.0.0.1.evil.example/v1", False),
        ("http://localhost.evil.example/v1", False),
        ("http://10.0.0.1/v1", False),
        ("http://192.168.0.1/v1", False),
        ("http://[fe80::1]/v1", False),
    ],
)
def test_which_servers_are_on_this_machine(url: str, local: bool) -> None:
    assert on_this_machine(url) is local


def test_the_key_goes_to_its_host_and_to_this_machine() -> None:
    plain, bound = Access(None, KEY), Access("https://api.example.com/v1", KEY)
    assert plain.key_for("https://api.openai.com/v1") == KEY
    assert plain.key_for("https://API.OpenAI.com./v1") == KEY
    assert bound.key_for("https://api.example.com/other") == KEY
    assert bound.key_for("http://127.0.0.1:8000/v1") == KEY


@pytest.mark.parametrize(
    ("access", "url"),
    [
        (Access(None, KEY), "https://api.example.com/v1"),
        (Access("https://api.example.com/v1", KEY), "https://api.openai.com/v1"),
        (Access("https://api.example.com/v1", KEY), "https://example.com/v1"),
        (Access("https://api.example.com/v1", KEY), "https://api.example.com.evil.example/v1"),
        (Access("https://api.example.com/v1", KEY), "https://evil.example/api.example.com/v1"),
        (Access("http://localhost:8000/v1", KEY), "https://api.openai.com/v1"),
    ],
)
def test_the_key_goes_to_no_other_host_and_the_message_says_what_to_type(
    access: Access, url: str
) -> None:
    withheld = access.key_for(url)
    assert isinstance(withheld, Withheld) and KEY not in withheld.reason
    assert (
        f"type: export OPENAI_BASE_URL={url}" in withheld.reason
        and "export OPENAI_API_KEY=none" in withheld.reason
    )


@pytest.mark.parametrize("word", ["none", "NONE", "EMPTY", "-", " none\n"])
def test_a_server_may_need_no_key(word: str) -> None:
    assert Access(None, word).key_for("http://gpu-node:8000/v1") == ""
    assert check_key("", "http://gpu-node:8000/v1") == ""


def test_no_key_is_needed_on_this_machine_alone() -> None:
    assert Access().key_for("http://127.0.0.1:1/v1") == ""
    missing = Access().key_for("https://api.openai.com/v1")
    assert (
        isinstance(missing, Withheld)
        and "set the environment variable OPENAI_API_KEY" in missing.reason
    )


def test_a_key_does_not_cross_a_network_in_plain_http() -> None:
    withheld = check_key(KEY, "http://gpu-node:8000/v1")
    assert isinstance(withheld, Withheld) and "Write https://" in withheld.reason
    assert check_key(KEY, "https://gpu-node:8000/v1") == KEY
    assert check_key(KEY, "http://127.0.0.1:8000/v1") == KEY


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("sk-é1", "U+00E9 as its character 4"),
        ("sk 1", "U+0020"),
        ("sk\n1", "U+000A"),
        ("“sk”", "U+201C"),
    ],
)
def test_a_key_that_cannot_be_sent_is_named_without_repeating_it(key: str, place: str) -> None:
    withheld = check_key(key, "https://host/v1")
    assert (
        isinstance(withheld, Withheld) and place in withheld.reason and key not in withheld.reason
    )
    assert check_key("sk-1\n", "https://host/v1") == "sk-1", (
        "a newline at the end is none of the key's"
    )


def test_a_broken_variable_is_named() -> None:
    with pytest.raises(RecipeError, match=r"^OPENAI_BASE_URL 'nonsense'"):
        Access("nonsense", KEY).url_for(None, "reader")


def test_the_key_shows_in_no_repr() -> None:
    assert KEY not in repr(Access(None, KEY))


@given(st.text(max_size=12), st.sampled_from(["http://", "https://", "", "http://["]))
def test_any_text_is_a_url_or_one_message(text: str, start: str) -> None:
    with suppress(RecipeError):
        check_url(start + text, "--base-url")
    assert isinstance(Access(start + text, KEY).key_for(start + text), str | Withheld)
