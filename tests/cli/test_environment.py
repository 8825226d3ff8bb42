"""The base URL and the key come from environment variables."""

from __future__ import annotations

import pytest

from smallsteps.cli.environment import access


@pytest.mark.parametrize(
    ("url", "key", "expected"),
    [
        ("http://a/v1", "sk-1", ("http://a/v1", "sk-1")),
        ("", " ", (None, None)),
        ("http://a/v1", " sk-1\n", ("http://a/v1", "sk-1")),
    ],
    ids=["both", "empty is none", "space around the key"],
)
def test_access(monkeypatch, url, key, expected):
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    monkeypatch.setenv("OPENAI_API_KEY", key)
    assert (access().base_url, access().key) == expected
    assert "sk-1" not in repr(access())


def test_without_variables_there_is_neither(monkeypatch):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert (access().base_url, access().key) == (None, None)
