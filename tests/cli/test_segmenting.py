"""`smallsteps segment`: one row per chain, and what the terminal shows of it."""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys

import pytest

from smallsteps.cli.main import main
from smallsteps.records import Problem
from smallsteps.segments.label import segment_chains

from .labelled_rows import labelled_rows


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


@pytest.mark.parametrize("strategy", ["inter", "bleu", "rouge"])
def test_segment_writes_one_row_a_chain_whose_segments_joined_are_the_chain(
    chains, tmp_path, strategy, capsys
):
    out = tmp_path / "segments.jsonl"
    assert main(["segment", str(chains), "--strategy", strategy, "--out", str(out)]) == 0
    rows = read(out)
    assert [row["id"] for row in rows] == [row["id"] for row in read(chains)]
    for row in rows:
        assert "".join(s["text"] for s in row["segments"]) == row["chain"]
        assert {s["kind"] for s in row["segments"]} <= {"ES", "AS"}
        assert row["chain"].endswith(f"The answer is {row['answer']}.")
    said = capsys.readouterr().out
    assert "30 chains" in said and "[ES]" in said


def test_segment_tells_how_far_it_is_and_blocks_change_nothing(
    chains, tmp_path, monkeypatch, capsys
):
    assert (
        main(
            ["segment", str(chains), "--strategy", "rouge", "--out", str(tmp_path / "whole.jsonl")]
        )
        == 0
    )
    monkeypatch.setattr("smallsteps.cli.segmenting.CHAINS_PER_UPDATE", 7)
    assert (
        main(["segment", str(chains), "--strategy", "rouge", "--out", str(tmp_path / "out.jsonl")])
        == 0
    )
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert capsys.readouterr().err.splitlines()[-2:] == ["segmenting: 23%", "segmenting: 100%"]


def test_segment_holds_a_block_of_chains_and_not_the_file(chains, tmp_path, monkeypatch):
    alive = []

    def counted(block, *arguments, **settings):
        alive.append(sum(isinstance(thing, Problem) for thing in gc.get_objects()))
        return segment_chains(block, *arguments, **settings)

    monkeypatch.setattr("smallsteps.cli.segmenting.CHAINS_PER_UPDATE", 3)
    monkeypatch.setattr("smallsteps.cli.segmenting.segment_chains", counted)
    out = tmp_path / "out.jsonl"
    assert main(["segment", str(chains), "--show", "0", "--out", str(out)]) == 0
    assert len(alive) == 10 and max(alive) - alive[0] <= 3, "the block before, at most"


def test_a_bad_last_row_is_refused_before_the_first_chain_is_cut(chains, tmp_path, monkeypatch):
    with chains.open("a", encoding="utf-8") as file:
        file.write('{"id": "last"}\n')
    monkeypatch.setattr("smallsteps.cli.segmenting.segment_chains", None)
    out = tmp_path / "out.jsonl"
    assert main(["segment", str(chains), "--out", str(out)]) == 2
    assert not out.exists()


def test_a_kill_leaves_the_old_file_and_the_next_call_a_whole_one(chains, tmp_path):
    out = tmp_path / "out.jsonl"
    command = ["segment", str(chains), "--strategy", "rouge", "--out", str(out)]
    assert main(command) == 0
    whole = out.read_bytes()
    out.write_text("old")
    code = (
        "import os, sys\n"
        "from smallsteps.cli import main, segmenting\n"
        "segmenting.CHAINS_PER_UPDATE, cut, blocks = 7, segmenting.segment_chains, []\n"
        "def cut_or_die(block, *arguments, **settings):\n"
        "    blocks.append(block)\n"
        "    return os.kill(os.getpid(), 9) if len(blocks) == 3 else "
        "cut(block, *arguments, **settings)\n"
        "segmenting.segment_chains = cut_or_die\n"
        "main.main(sys.argv[1:])"
    )
    killed = subprocess.run([sys.executable, "-c", code, *command], check=False)
    assert killed.returncode == -9 and out.read_text() == "old"
    assert main(command) == 0 and out.read_bytes() == whole


def test_segment_shows_escape_sequences_and_markup_of_rows_and_obeys_none(tmp_path, capsys):
    row = {
        "id": "a[/b]\x1b[2J",
        "question": "3 :smile: \x1b]0;x\x07[red]4?",
        "rationale": "So \x1b[31m7.",
        "answer": 7,
    }
    out = tmp_path / "a[/b]c" / "o.jsonl"
    assert main(["segment", str(write(tmp_path / "in.jsonl", [row])), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert (
        "a[/b]␛[2J: 3 :smile: ␛]0;x␇[red]4?" in said and "So ␛[31m7." in said and "\x1b" not in said
    )
    assert f"written: {out}" in said and read(out)[0]["id"] == row["id"]


def test_segment_adds_the_closing_or_keeps_the_chain(tmp_path):
    source = write(
        tmp_path / "in.jsonl",
        [{"id": "1", "question": "3 + 4?", "rationale": "So 3 + 4 = 7.", "answer": 7}],
    )
    for closing, chain in (("add", "So 3 + 4 = 7. The answer is 7."), ("keep", "So 3 + 4 = 7.")):
        assert (
            main(
                ["segment", str(source), "--closing", closing, "--out", str(tmp_path / "out.jsonl")]
            )
            == 0
        )
        assert read(tmp_path / "out.jsonl")[0]["chain"] == chain


@pytest.fixture
def labelled(tmp_path):
    return write(tmp_path / "labelled.jsonl", labelled_rows(20))


def test_segment_tells_the_agreement_with_gold_labels(labelled, tmp_path, capsys):
    out = tmp_path / "out.jsonl"
    assert main(["segment", str(labelled), "--strategy", "rouge", "--out", str(out)]) == 0
    assert "against gold labels" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "--out is missing: name the file for the segments, or add --agreement"),
        (("--strategy", "rouge", "--strategy", "bleu"), "chains are cut by one. Name one"),
        (("--whole-segments",), "--whole-segments: only a comparison reads it. Add --agreement"),
        (
            ("--strategy", "ent*", "--student", "bundled", "--out", "x.jsonl"),
            r"Name its folder (--untrained-student DIR)",
        ),
    ],
)
def test_options_that_do_not_fit_are_one_line(chains, capsys, tmp_path, options, message):
    assert main(["segment", str(chains), *options]) == 2
    error = capsys.readouterr().err
    assert message in error and error.splitlines()[-1].startswith("error: ")


GOOD = {"id": "q1", "question": "3 + 4?", "rationale": "So 3 + 4 = 7.", "answer": "7"}


BAD_ROWS = {
    "empty file": ("", "empty"),
    "broken line": ('{"id": "q1"', "in.jsonl:1"),
    "no object": ("[1, 2]\n", "in.jsonl:1.*object"),
    "missing field": ('{"id": "q1", "question": "?"}\n', "rationale"),
    "wrong type": (
        '{"id": "q1", "question": ["?"], "rationale": "So.", "answer": "7"}\n',
        "question",
    ),
    "duplicate id": ((json.dumps(GOOD) + "\n") * 2, "q1"),
    "empty rationale": (json.dumps({**GOOD, "rationale": " "}) + "\n", "rationale"),
    "neither answer nor closing": (json.dumps({**GOOD, "answer": None}) + "\n", "answer"),
}


@pytest.mark.parametrize("case", list(BAD_ROWS))
def test_bad_rows_are_named_and_nothing_is_written(case, tmp_path, capsys):
    text, message = BAD_ROWS[case]
    source = tmp_path / "in.jsonl"
    source.write_text(text)
    assert main(["segment", str(source), "--out", str(tmp_path / "out.jsonl")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and "Traceback" not in error
    assert re.search(message, error), error
    assert [p.name for p in tmp_path.iterdir()] == ["in.jsonl"]


def test_a_wrong_encoding_says_how_to_convert(tmp_path, capsys):
    (tmp_path / "in.jsonl").write_bytes('{"id": "é"}\n'.encode("latin-1"))
    assert main(["segment", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl")]) == 2
    assert "not UTF-8" in capsys.readouterr().err
