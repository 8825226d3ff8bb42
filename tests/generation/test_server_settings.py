"""The command of a server: what it must name, and what stands in it for the student."""

from __future__ import annotations

import pytest

from smallsteps.errors import RecipeError
from smallsteps.generation.server_settings import COMMAND, ServerSettings

VALUES = {
    "folder": "/tmp/my student",
    "port": "8123",
    "name": "student",
    "dtype": "float32",
    "length": "2048",
    "memory": "0.9",
}


def test_the_default_command_is_vllms_with_the_student_in_it() -> None:
    words = ServerSettings().words(VALUES)
    assert words[:3] == ["vllm", "serve", "/tmp/my student"]
    assert words[words.index("--port") + 1] == "8123"
    assert not any("{" in word for word in words)


def test_braces_of_json_arguments_stay() -> None:
    settings = ServerSettings(command=f'{COMMAND} --override \'{{"mode": 0, "port": {{port}}}}\'')
    assert settings.words(VALUES)[-1] == '{"mode": 0, "port": 8123}'


@pytest.mark.parametrize(
    ("command", "missing"),
    [("vllm serve {folder}", r"\{port\}"), ("vllm serve x --port {port}", r"\{folder\}")],
)
def test_a_command_without_folder_or_port_is_refused(command: str, missing: str) -> None:
    with pytest.raises(RecipeError, match=rf"command: expected a command that holds {missing}"):
        ServerSettings(command=command)


def test_quotes_must_be_closed() -> None:
    with pytest.raises(RecipeError, match=r"No closing quotation.*Close the quotes"):
        ServerSettings(command="vllm '{folder} {port}")


def test_a_url_is_checked_and_its_last_slash_left_out() -> None:
    assert ServerSettings(base_url="http://127.0.0.1:8000/v1/").base_url == (
        "http://127.0.0.1:8000/v1"
    )
    with pytest.raises(RecipeError, match=r"base_url: the server's URL 'host': expected http"):
        ServerSettings(base_url="host")


def test_where_a_server_runs_already_no_program_is_needed() -> None:
    command = "no-such-vllm {folder} {port}"
    ServerSettings(command=command, base_url="http://127.0.0.1:1/v1").check_installed()
    with pytest.raises(RecipeError, match="no program 'no-such-vllm' here"):
        ServerSettings(command=command).check_installed()


def test_what_changes_no_answer_is_not_in_the_digest() -> None:
    changed = ServerSettings(start_seconds=1, timeout=1, log="x.log")
    assert changed.effects() == ServerSettings().effects()
    assert ServerSettings(command=f"{COMMAND} --quantization fp8").effects() != changed.effects()
