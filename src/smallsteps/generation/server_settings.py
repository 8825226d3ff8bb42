"""Settings of the server that writes for the engine `vllm`: how it is started, or where it runs.

The command is that of vLLM. Any server that takes its place must read prompts of token ids at
`/v1/completions` and give ids back (`return_token_ids`): text alone would have to be cut into
tokens again, and not always into the same ones."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field, field_validator

from smallsteps.config import Name, Positive, Settings
from smallsteps.errors import RecipeError

COMMAND = (
    "vllm serve {folder} --host 127.0.0.1 --port {port} --served-model-name {name} "
    "--dtype {dtype} --max-model-len {length} --gpu-memory-utilization {memory} "
    "--generation-config vllm"
)
"""`--generation-config vllm`: no setting of sampling comes from the student's folder."""
NEEDED = ("{folder}", "{port}")
"""What every command names: without it the server would not serve this student, or elsewhere."""


class ServerSettings(Settings):
    """A server that writes for a causal student."""

    no_effect: ClassVar[frozenset[str]] = frozenset({"memory", "start_seconds", "timeout", "log"})

    command: Name = COMMAND
    """How the server is started. In it stand for the student: {folder}, {name}, {dtype}, {length}
    (tokens that it reads and writes at most); {port}; and {memory}, see `memory`."""
    base_url: Name | None = None
    """Of a server that runs already and serves this very student, such as
    http://127.0.0.1:8000/v1; then no server is started."""
    memory: float | None = Field(None, gt=0, le=1)
    """Share of the card's memory that the server may take. None: 0.9; for each half of a pair 0.45;
    beside the training of its student 0.3."""
    start_seconds: Positive = 900.0
    """Seconds within which the server must answer after its start."""
    timeout: Positive = 600.0
    """Seconds for one reply."""
    log: Name | None = None
    """A file that the server's output is added to. None: of a run, `server.log` in its folder; else
    one that is kept only where the server fails."""

    @field_validator("command")
    @classmethod
    def _names_folder_and_port(cls, command: str) -> str:
        missing = [name for name in NEEDED if name not in command]
        if missing:
            raise ValueError(
                f"expected a command that holds {' and '.join(missing)}, got {command[:80]!r}."
            )
        try:
            shlex.split(command)
        except ValueError as error:
            raise ValueError(f"{error} in {command[:80]!r}. Close the quotes.") from None
        return command

    @field_validator("base_url")
    @classmethod
    def _is_a_url(cls, url: str | None) -> str | None:
        from smallsteps.generation.access import check_url

        try:
            return None if url is None else check_url(url, "the server's URL").rstrip("/")
        except RecipeError as error:
            raise ValueError(str(error)) from None

    def words(self, values: Mapping[str, str]) -> list[str]:
        """The command for the values of its placeholders, given by their names. Braces around
        anything else stay, as in an argument that is JSON.

        >>> ServerSettings(command="serve {folder} -p {port}").words({"folder": "a b", "port": "1"})
        ['serve', 'a b', '-p', '1']
        """
        words = shlex.split(self.command)
        for name, value in values.items():
            words = [word.replace(f"{{{name}}}", value) for word in words]
        return words

    def check_installed(self) -> None:
        """Raises RecipeError where the command's program is not there."""
        program = shlex.split(self.command)[0]
        if self.base_url is None and shutil.which(program) is None:
            raise RecipeError(
                f"engine vllm: no program {program!r} here. Type pip install vllm in an "
                "environment of its own and name its path in the server's command, or use engine "
                "local."
            )
