"""One model at one URL: how it wants its requests, what it has refused, and the key, which is kept
out of everything that is shown or stored."""

from __future__ import annotations

import sys
from collections.abc import Callable

from smallsteps.errors import RecipeError
from smallsteps.generation.access import OPENAI, Withheld, check_key
from smallsteps.generation.bodies import one_line
from smallsteps.generation.parameters import Dialect
from smallsteps.generation.settings import CallSettings


class ModelServer:
    """A served model, for as long as this process asks it. Reads no environment: the caller passes
    the key."""

    def __init__(
        self,
        settings: CallSettings,
        key: str | Withheld | None,
        say: Callable[[str], None] | None = None,
    ) -> None:
        """key: None gives stored replies and buys nothing; empty: the server needs none. say:
        receives a line for the user, such as that it waits; by default standard error. Without
        `settings.base_url` OpenAI is asked."""
        self.settings, self._key = settings, key
        self.base_url, self.model = settings.base_url or OPENAI, settings.name
        self.say = say or (lambda line: print(line, file=sys.stderr, flush=True))
        self.dialect = Dialect()
        self.given_up: dict[str, str] = {}
        """Key of a request → why it brought no answer. A new process asks again."""
        self.proven = False
        """Whether this model has ever answered there."""

    def key(self) -> str:
        """The key, as it is sent. Raises RecipeError where there is none for this server."""
        key = self._key
        if key is None:
            key = Withheld(
                f"no key for {self.base_url}: set the environment variable OPENAI_API_KEY."
            )
        if isinstance(key, str):
            key = check_key(key, self.base_url)
        if isinstance(key, Withheld):
            raise RecipeError(key.reason)
        return key

    def clean(self, message: object) -> str:
        """What a server says, in one line and without the key, which some servers repeat."""
        text, secret = str(message), self._secret()
        return one_line(text.replace(secret, "[key]") if secret else text)

    def without_key(self, body: bytes) -> bytes:
        """What a server sent, without the key."""
        secret = self._secret()
        return body.replace(secret.encode(), b"[key]") if secret else body

    def _secret(self) -> str:
        """The key, where it is a real one. The `token` or `1234` of a private server stands in
        replies by chance as well."""
        key = self.key()
        return key if len(key) >= 8 and not key.isalpha() and not key.isdigit() else ""
