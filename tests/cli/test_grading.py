"""`grade`: rows of any tool in, a figure and a verdict for each row out; what cannot be read is
named by file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smallsteps.cli.main import main
from smallsteps.errors import DataError

GOLD = [
    {"id": "a", "question": "How many?", "answer": "7"},
    {"id": "b", "question": "How many?", "answer": 12},
]


def write(path: Path, rows: list[Any]) -> str:
    lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(path)


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def graded(tmp_path: Path, said: list[Any], gold: list[Any], *options: str) -> list[dict[str, Any]]:
    out = tmp_path / "rows.jsonl"
    files = [write(tmp_path / "said.jsonl", said), write(tmp_path / "gold.jsonl", gold)]
    assert main(["grade", *files, "--rows", str(out), *options]) == 0
    return read(out)


def test_text_alone_is_read_by_the_strict_rule_and_rows_keep_their_order(tmp_path, capsys):
    said = [
        {"id": "b", "text": "So 12 it is."},
        {"id": "a", "text": "3 + 4 = 7. The answer is 7.<|im_end|>"},
    ]
    rows = graded(tmp_path, said, GOLD, "--task", "gsm8k")
    assert rows == [
        {"id": "b", "answer": None, "correct": False},
        {"id": "a", "answer": "7", "correct": True},
    ]
    assert "acc = 50.0" in capsys.readouterr().out


def test_lenient_reads_what_strict_does_not(tmp_path, capsys):
    said = [{"id": "b", "text": "So 12 it is."}, {"id": "a", "text": "no number", "answer": None}]
    rows = graded(tmp_path, said, GOLD, "--task", "gsm8k", "--lenient", "--json")
    assert rows == [
        {"id": "b", "answer": "12", "correct": True},
        {"id": "a", "answer": None, "correct": False},
    ]
    assert json.loads(capsys.readouterr().out)["value"] == 50.0


def test_a_stated_answer_stands_and_null_is_read_from_the_text_only_leniently(tmp_path):
    said = [
        {"id": "a", "text": "The answer is 8.", "answer": "7"},
        {"id": "b", "text": "It is 12.", "answer": None},
    ]
    assert [row["answer"] for row in graded(tmp_path, said, GOLD, "--task", "gsm8k")] == ["7", None]
    assert [
        row["answer"] for row in graded(tmp_path, said, GOLD, "--task", "gsm8k", "--lenient")
    ] == ["7", "12"]


def test_choices_come_from_the_gold_rows_which_need_no_question(tmp_path):
    gold = [
        {"id": 1, "answer": "B", "choices": ["bank", "zoo"]},
        {"id": 2, "answer": "sea", "choices": ["sea", "sky"]},
    ]
    said = [{"id": 1, "text": "The answer is B."}, {"id": "2", "text": "The answer is (b)."}]
    rows = graded(tmp_path, said, gold, "--task", "commonsenseqa")
    assert rows == [
        {"id": "1", "answer": "zoo", "correct": True},
        {"id": "2", "answer": "sky", "correct": False},
    ]


def test_missing_predictions_count_as_wrong_and_are_told(tmp_path, capsys):
    graded(tmp_path, [{"id": "a", "text": "The answer is 7."}], GOLD, "--task", "gsm8k")
    out = capsys.readouterr().out
    assert "acc = 50.0" in out and "1 of 2 problems have no prediction; they count as wrong" in out


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"id": "z", "text": "7"},
            r"said\.jsonl:2: the id 'z' is not among the 2 ids of .*gold\.jsonl\.",
        ),
        ({"id": "a", "text": "7"}, r"said\.jsonl:2: a second prediction for 'a', after line 1\."),
        ({"text": "7"}, r"said\.jsonl:2: no field 'id'\."),
        ({"id": "b", "answer": [7]}, r"said\.jsonl:2: field 'answer' must be text or a number"),
    ],
)
def test_a_row_that_cannot_be_read_is_named_and_nothing_is_written(row, message, tmp_path, capfd):
    files = [
        write(tmp_path / "said.jsonl", [{"id": "a", "text": "The answer is 7."}, row]),
        write(tmp_path / "gold.jsonl", GOLD),
    ]
    assert main(["grade", *files, "--task", "gsm8k", "--rows", str(tmp_path / "rows.jsonl")]) == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1 and "Traceback" not in error
    with pytest.raises(DataError, match=message):
        raise DataError(error)
    assert not (tmp_path / "rows.jsonl").exists()


def test_the_rows_never_replace_an_input(tmp_path, capfd):
    files = [
        write(tmp_path / "said.jsonl", [{"id": "a", "text": "7"}]),
        write(tmp_path / "gold.jsonl", GOLD),
    ]
    for path in files:
        before = Path(path).read_text()
        assert main(["grade", *files, "--rows", path]) == 2
        assert "--rows" in capfd.readouterr().err
        assert Path(path).read_text() == before


def test_how_rows_of_a_file_were_decoded_is_unknown(tmp_path, capsys):
    said = [{"id": "a", "text": "The answer is 7."}]
    graded(tmp_path, said, GOLD, "--task", "gsm8k")
    line = capsys.readouterr().out.splitlines()[0]
    assert " | decode:unknown | " in line and "greedy" not in line and "seed" not in line
    graded(tmp_path, said, GOLD, "--task", "gsm8k", "--json")
    fields = json.loads(capsys.readouterr().out)
    assert fields["decode"] == "unknown" and fields["seed"] is None and fields["value"] == 50.0


UNREAD = [{"id": "a", "text": "So 7 it is."}, {"id": "b", "text": "So 12 it is."}]
HINT = "2 of 2 answers could not be read: try --lenient"


def test_answers_that_only_the_lenient_rule_reads_are_told_once_on_stderr(tmp_path, capsys):
    rows = graded(tmp_path, UNREAD, GOLD, "--task", "gsm8k", "--json")
    said = capsys.readouterr()
    assert (
        said.err.count(HINT) == 1
        and "lenient" not in said.out
        and json.loads(said.out)["unparsed"] == 2
    )
    assert rows == [
        {"id": "a", "answer": None, "correct": False},
        {"id": "b", "answer": None, "correct": False},
    ]


@pytest.mark.parametrize(
    ("said", "options"),
    [
        (UNREAD, ["--lenient"]),
        ([UNREAD[0], {"id": "b", "text": "The answer is 12."}], []),
        ([{"id": "a", "text": "no number"}, {"id": "b", "text": "none here"}], []),
        ([{"id": "a", "answer": None}, {"id": "b", "answer": None}], []),
    ],
    ids=["read leniently", "half are read", "the lenient rule reads none", "no text"],
)
def test_lenient_is_not_proposed_where_it_would_not_help(tmp_path, capsys, said, options):
    graded(tmp_path, said, GOLD, "--task", "gsm8k", *options)
    assert "try --lenient" not in capsys.readouterr().err


def test_multi_hop_answers_are_graded_by_the_official_figures(tmp_path, capsys):
    """Rows with id and answer alone are enough; figures by hand from the official definitions."""
    gold = [("a", "The Chief of Protocol"), ("b", "yes"), ("c", "New York City"), ("d", "1944")]
    said = {"a": "chief of protocol.", "b": "yes it is", "c": "New York", "d": None}
    rows = [
        {"id": id, "question": "Who?", "answer": answer, "context": "X is Y."}
        for id, answer in gold
    ]
    (tmp_path / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "said.jsonl").write_text(
        "".join(json.dumps({"id": id, "answer": a}) + "\n" for id, a in said.items())
    )
    files = [str(tmp_path / "said.jsonl"), str(tmp_path / "gold.jsonl"), "--task", "hotpotqa"]
    assert main(["grade", *files, "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert score["metric"] == "exact_match" and score["value"] == 25.0 and score["unparsed"] == 1
    assert score["metrics"]["f1"]["value"] == pytest.approx(100 * (1 + 0 + 0.8 + 0) / 4), (
        "yes/no is all or nothing"
    )
    assert score["metrics"]["inclusion"]["value"] == 50.0
    assert main(["grade", *files]) == 0
    assert [line.split(" = ")[0] for line in capsys.readouterr().out.splitlines()] == [
        "em",
        "f1",
        "incl",
    ]


def test_one_file_as_predictions_and_gold_is_refused(tmp_path, capsys):
    file = write(tmp_path / "gold.jsonl", GOLD)
    assert main(["grade", str(file), str(tmp_path / "." / "gold.jsonl"), "--task", "numbers"]) == 2
    assert "the predictions and the gold answers are one file" in capsys.readouterr().err


SAID = [
    {"id": "a", "text": "The answer is 7.", "answer": "7", "stopped": "end", "tokens": 5},
    {"id": "b", "text": "The answer is 9.", "answer": "9", "stopped": "end", "tokens": 5},
]


def test_swapped_files_are_refused_with_the_right_command(tmp_path, capsys):
    said, gold = write(tmp_path / "said.jsonl", SAID), write(tmp_path / "gold.jsonl", GOLD)
    assert main(["grade", gold, said]) == 2
    error = capsys.readouterr().err
    assert "the two files are swapped" in error and "(it has stopped, tokens)" in error
    assert f"Type: smallsteps grade {said} {gold}" in error
    assert main(["grade", said, gold]) == 0


def test_one_file_of_the_wrong_kind_is_said_and_graded(tmp_path, capsys):
    said, gold = write(tmp_path / "said.jsonl", SAID), write(tmp_path / "gold.jsonl", GOLD)
    copy = write(tmp_path / "copy.jsonl", GOLD)
    other = write(tmp_path / "other.jsonl", [{**row, "answer": "7"} for row in SAID])
    assert main(["grade", copy, gold]) == 0
    captured = capsys.readouterr()
    assert "acc = 100.0" in captured.out and "the predictions look like gold rows" in captured.err
    assert main(["grade", other, said]) == 0
    captured = capsys.readouterr()
    assert "acc = 50.0" in captured.out and "the gold rows look like predictions" in captured.err


def test_answers_of_another_tool_beside_their_questions_are_no_gold_rows(tmp_path, capsys):
    said = [{"id": "a", "question": "How many?", "text": "The answer is 7."}]
    files = [write(tmp_path / "said.jsonl", said), write(tmp_path / "gold.jsonl", GOLD)]
    assert main(["grade", *files]) == 0
    assert "look like" not in capsys.readouterr().err
