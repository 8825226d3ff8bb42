"""Errors in OpenAI's shape."""

from __future__ import annotations

from smallsteps.serving.api_errors import ApiError, not_written


def test_an_error_has_all_four_fields_and_the_type_of_its_status() -> None:
    error = ApiError(400, "`n` is wrong.", param="n")
    assert error.body() == {
        "error": {
            "message": "`n` is wrong.",
            "type": "invalid_request_error",
            "param": "n",
            "code": None,
        }
    }
    assert ApiError(429, "full").body()["error"]["type"] == "rate_limit_error"
    assert not_written("The row", "f.jsonl").body()["error"]["code"] == "not_written"


def test_a_busy_server_says_when_to_come_back_and_a_missing_key_how_to_send_it() -> None:
    assert ApiError(429, "full").headers() == {"Retry-After": "1"}
    assert ApiError(401, "key").headers() == {"WWW-Authenticate": "Bearer"}
    assert ApiError(400, "bad").headers() == {}
