"""Errors as OpenAI's interface has them: `{"error": {"message", "type", "param", "code"}}`."""

from __future__ import annotations

from typing import Any

TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    503: "server_error",
}
"""HTTP status → type of the error; of all others `invalid_request_error`."""


def not_written(what: str, name: str) -> ApiError:
    """The disk refuses `what`. `name`: of the file, without its folder."""
    message = f"{what} could not be written to {name}. Is the disk full?"
    return ApiError(500, message, code="not_written")


class ApiError(Exception):
    """A request that is not answered. `param`: the part of the body that is wrong; `code`: a word
    for programs, such as `model_not_found`."""

    def __init__(
        self, status: int, message: str, *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.param, self.code = status, message, param, code

    def body(self) -> dict[str, Any]:
        """The JSON object that is sent."""
        return {
            "error": {
                "message": self.message,
                "type": TYPES.get(self.status, "invalid_request_error"),
                "param": self.param,
                "code": self.code,
            }
        }

    def headers(self) -> dict[str, str]:
        """Header fields that go with the status."""
        return {
            401: {"WWW-Authenticate": "Bearer"},
            429: {"Retry-After": "1"},
            503: {"Retry-After": "1"},
        }.get(self.status, {})
