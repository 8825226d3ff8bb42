"""An upload sends what was exported, to the repository that was named, with the token, and only
then."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub_stand_in import HubStandIn, hub_stand_in
from smallsteps.disk import CARD
from smallsteps.errors import RecipeError, UploadError
from smallsteps.publishing.export import exported_files
from smallsteps.publishing.hub import Upload, check_name, plan_upload
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare

Tiny = Callable[..., Student]


# Imports take many seconds and an upload does not: one process imports, and forks for each command.
FORK_SERVER = """
import json, os, sys
import transformers.modeling_utils
import smallsteps.cli.exporting, smallsteps.publishing.hub
from smallsteps.cli.main import main
for line in sys.stdin:
    arguments, environment, said = json.loads(line)
    child = os.fork()
    if child == 0:
        os.environ.update(environment)
        for stream in (1, 2):
            os.dup2(os.open(said, os.O_WRONLY | os.O_APPEND | os.O_CREAT), stream)
        code = 1
        try:
            code = main(arguments)
        finally:
            sys.stdout.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Exports:
    """`smallsteps export` in processes of their own, whose Hub is the stand-in."""

    def __init__(self, hub: HubStandIn, home: Path, **env: str) -> None:
        self.home = home
        settings = {
            "HF_ENDPOINT": hub.url,
            "HF_HOME": str(home),
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            **env,
        }
        self.server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", FORK_SERVER],
            env={**os.environ, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str, token: str = "") -> tuple[int, str]:
        """(exit code, all output) of one command."""
        assert self.server.stdin and self.server.stdout
        said = self.home / "said"
        said.write_text("")
        call = [["export", *arguments], {"HF_TOKEN": token}, str(said)]
        self.server.stdin.write(json.dumps(call) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline()), said.read_text()


@contextmanager
def exports(hub: HubStandIn, home: Path, **env: str) -> Iterator[Exports]:
    commands = Exports(hub, home, **env)
    yield commands
    commands.server.communicate(timeout=60)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[HubStandIn, Exports]]:
    """A Hub and the commands that know its address, for all tests of this file."""
    with hub_stand_in() as hub, exports(hub, tmp_path_factory.mktemp("home")) as command:
        yield hub, command


@pytest.fixture
def hub(served: tuple[HubStandIn, Exports]) -> HubStandIn:
    """The Hub, empty."""
    served[0].empty()
    return served[0]


@pytest.fixture
def command(served: tuple[HubStandIn, Exports]) -> Exports:
    return served[1]


@pytest.fixture
def folder(tiny: Tiny, tmp_path: Path) -> Path:
    folder = prepare(tiny("qwen"), "svamp", path="uni").save(tmp_path / "student")
    (folder / "COMPLETE").write_text("{}")
    return folder


def test_yes_uploads_the_files_of_the_student_and_nothing_else(
    folder: Path, hub: HubStandIn, command: Exports
) -> None:
    code, text = command(str(folder), "--push", "me/first", "--yes", token="hf_secret")
    assert code == 0 and f"uploaded: {hub.url}/me/first" in text, text
    assert sorted(hub.files) == exported_files(folder) and "COMPLETE" not in hub.files
    assert all(hub.files[name] == (folder / name).read_bytes() for name in hub.files)
    assert "Bearer hf_secret" in hub.tokens and "hf_secret" not in text
    assert hub.repositories[0]["name"] == "first"


def test_without_yes_nothing_is_sent(folder: Path, hub: HubStandIn, command: Exports) -> None:
    code, text = command(str(folder), "--push", "me/first", token="hf_x")
    assert code == 0 and hub.calls == []
    assert "nothing was uploaded. To upload it: smallsteps export" in text
    assert "the card names no license" in text


def test_without_a_token_nothing_is_written_and_one_line_says_what_to_do(
    folder: Path, tmp_path: Path, hub: HubStandIn, command: Exports
) -> None:
    code, text = command(str(folder), "--to", str(tmp_path / "to"), "--push", "me/a", "--yes")
    assert code == 2 and hub.calls == [] and not (tmp_path / "to").exists()
    assert text.strip().endswith(
        "--push: no token for the Hub. Type `hf auth login`, or set HF_TOKEN."
    )
    assert len(text.strip().splitlines()) == 1


def test_a_refused_token_is_one_line_without_the_token(
    folder: Path, hub: HubStandIn, command: Exports
) -> None:
    hub.refuses = 403
    code, text = command(str(folder), "--push", "me/first", "--yes", token="hf_secret")
    assert code == 2 and "the Hub refuses the token (403)" in text and "hf_secret" not in text
    assert "Traceback" not in text


def test_offline_is_said_before_anything_is_sent(
    folder: Path, tmp_path: Path, hub: HubStandIn
) -> None:
    with exports(hub, tmp_path, HF_HUB_OFFLINE="1") as command:
        code, text = command(str(folder), "--push", "a/b", "--yes", token="x")
    assert code == 2 and "HF_HUB_OFFLINE is set. Unset it to upload." in text and not hub.calls


@pytest.mark.parametrize("name", ["a/b/c", "/b", "a b", "a/..", "a/b.git", "", "http://x", "-a"])
def test_an_impossible_name_is_refused(name: str) -> None:
    with pytest.raises(RecipeError, match=r"not a name on the Hub\. Expected owner/name"):
        check_name(name)
    assert check_name("me/SmolLM2-reasons_1.0") == "me/SmolLM2-reasons_1.0"


def test_the_plan_tells_size_and_license(folder: Path) -> None:
    (line, warning) = plan_upload(folder, Upload("me/a", private=True))
    assert "private if it is new" in line and "license" in warning
    (folder / CARD).write_text("---\nlicense: mit\n---\n")
    assert len(plan_upload(folder, Upload("me/a"))) == 1


def test_a_missing_token_is_an_upload_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(UploadError, match="no token for the Hub"):
        Upload("me/a").check_token()


def test_a_name_without_an_owner_is_shown_with_the_account_of_the_token(
    folder: Path, hub: HubStandIn, command: Exports
) -> None:
    """The Hub takes such a name as one's own; the user sees whose before anything is sent."""
    code, text = command(str(folder), "--push", "first", token="hf_x")
    assert code == 0 and " to me/first (public if it is new)" in text, text
    assert "--push me/first --yes" in text and "GET /api/whoami-v2" in hub.calls
    assert all(call.startswith("GET ") for call in hub.calls), "nothing of the folder is sent"
    code, text = command(str(folder), "--push", "first", "--yes", token="hf_x")
    assert code == 0 and f"uploaded: {hub.url}/me/first" in text, text


def test_without_a_token_nobody_is_asked_for_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    monkeypatch.setattr("huggingface_hub.HfApi.whoami", lambda self: pytest.fail("asked"))
    assert Upload("a").with_owner() == Upload("a") and Upload("me/a").place == "me/a"


def test_an_owner_that_the_hub_does_not_tell_is_named_as_such(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    def refuse(_: object) -> None:
        raise ConnectionError("nobody answers")

    monkeypatch.setattr("huggingface_hub.get_token", lambda: "hf_x")
    monkeypatch.setattr("huggingface_hub.HfApi.whoami", refuse)
    target = Upload("first").with_owner()
    assert target.name == "first", "what is to be typed stays as it was typed"
    (line, _) = plan_upload(folder, target)
    assert " to YOUR-NAME/first (YOUR-NAME is the account of your token) (public if" in line
