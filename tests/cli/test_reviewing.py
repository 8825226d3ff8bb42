"""`smallsteps review` as a person types it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from smallsteps.cli import reviewing
from smallsteps.cli.main import main


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("review nowhere.jsonl", "nowhere.jsonl: no such file"),
        ("review said.jsonl", r"said.jsonl:1 .*no field"),
        ("review chains.jsonl --out chains.jsonl", "the same file as the input"),
        ("review chains.jsonl --labels folder", "--labels folder: a folder"),
        ("review chains.jsonl --out x.jsonl --labels x.jsonl", "the same file as --out"),
        (
            "review chains.jsonl --out said.jsonl",
            "said.jsonl:1: no row of feedback: it has no 'verdict'",
        ),
        ("review chains.jsonl --labels other.jsonl", "the row '1' has no labels"),
        ("review chains.jsonl --task gms8k", "Did you mean 'gsm8k'"),
    ],
)
def test_what_cannot_be_reviewed_is_refused_in_one_line(
    refused: Callable[[str, str], None], command: str, message: str
) -> None:
    refused(f"{command} --port 0", message)


def test_without_the_extra_it_says_what_to_install(
    refused: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reviewing.importlib.util, "find_spec", lambda name: None)
    refused("review chains.jsonl", r"needs starlette: pip install 'smallsteps\[serve\]'")


def test_a_dry_run_reads_the_files_and_names_the_address(
    chains: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["review", str(chains), "--port", "0", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "30 chains at http://127.0.0.1:" in out
    assert "judgements: feedback.jsonl   labels: labels.jsonl" in out
    assert not (tmp_path / "feedback.jsonl").exists()
