"""The tree of errors with its exit codes, and wording that messages share."""

import json

import pytest

from smallsteps import errors
from smallsteps.errors import counted, json_fault, nearest, similar, similar_file


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "chain", "0 chains"),
        (1, "chain", "1 chain"),
        (2, "round", "2 rounds"),
        (12_000, "token", "12,000 tokens"),
    ],
)
def test_only_a_single_thing_is_singular(count, noun, text):
    assert counted(count, noun) == text


def test_the_tree_in_the_docstring_is_the_tree():
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.SmallstepsError):
            assert name in errors.__doc__
            assert kind.exit_code == (2 if issubclass(kind, errors.UserError) else 1)


def test_a_name_like_no_other_gets_the_list_alone():
    assert nearest("zzz", ["b", "a"]) == " Known: a, b."


def test_of_a_long_list_only_the_most_similar_names_are_named():
    names = [f"guided-{n}" for n in range(80)] + ["direct", "direct-report"]
    message = nearest("dirct", names)
    assert message.startswith(" Did you mean 'direct'? Known, among 82: direct, direct-report, ")
    assert len(message) < 120


@pytest.mark.parametrize(
    ("typed", "known", "meant"),
    [
        ("lr", ["layers", "learning_rate"], "learning_rate"),
        ("learningRate", ["learning_rate"], "learning_rate"),
        ("rat", ["rationale", "rank"], "rationale"),
        ("entropy", ["ent", "rouge"], "ent"),
        ("beto", ["beta", "budget"], "beta"),
        ("ases-rouge", ["ases-uni-rouge", "direct"], "ases-uni-rouge"),
        # letters in common by chance
        ("cot", ["correct", "context"], None),
        ("q", ["question"], None),
        ("", ["a"], None),
    ],
)
def test_the_name_that_was_meant(typed, known, meant):
    assert similar(typed, known) == meant


@pytest.mark.parametrize(
    ("typed", "there", "meant"),
    [
        ("question.jsonl", ["questions.jsonl", "question-notes.txt"], "questions.jsonl"),
        ("my.json", ["my.jsonl", "me.json"], "my.jsonl"),
        ("my", ["my.csv"], "my.csv"),
        ("gold.jsonl", ["gold.csv", "gold.jsonl.gz", "bold.jsonl"], "gold.csv"),
        # nothing in common but the ending
        ("answers.jsonl", ["chains.jsonl", ".hidden.jsonl"], None),
        ("report.html", ["results.json"], None),
    ],
)
def test_the_file_that_was_meant_is_told_by_its_name_and_not_by_its_ending(typed, there, meant):
    assert similar_file(typed, there) == meant


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"id": "1', "Unterminated string at column 8"),
        ('{"id": "a\tb"}', "Invalid control character at column 10"),
        ('{"id": 1} x', "Extra data at column 11"),
        ('{"id": 1,\n "a": }', "Expecting value at line 2, column 7"),
    ],
)
def test_a_fault_of_json_is_placed_once(text, fault):
    with pytest.raises(json.JSONDecodeError) as raised:
        json.loads(text)
    assert json_fault(raised.value) == fault
