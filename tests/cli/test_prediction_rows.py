"""One row of a prediction file, of any tool: what is read, and what is refused."""

from __future__ import annotations

import pytest

from smallsteps.cli.prediction_rows import prediction_of, prediction_row
from smallsteps.errors import DataError
from smallsteps.records import Prediction
from smallsteps.tasks import get_task


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ({"answer": 4}, "4"),
        ({"answer": 4.0}, "4"),
        ({"answer": 4.5}, "4.5"),
        ({"answer": True}, "yes"),
        ({"answer": False}, "no"),
        ({"answer": ""}, None),
        ({"answer": None, "segments": None, "tokens": None, "stopped": None, "text": None}, None),
        ({"answer": "7", "tokens": 3.0, "segments": [{"kind": None, "text": "x"}]}, "7"),
        ({"text": "The answer is 7.", "tokens": 3, "segments": [{"text": "x"}]}, "7"),
        ({"text": "The answer is 7.\ud800"}, "7"),
        ({"text": None}, None),
        ({"text": ""}, None),
    ],
)
def test_answers_of_other_types_are_read(row, answer):
    assert prediction_of({"id": 1, **row}, "file:1", get_task("gsm8k")).answer == answer


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "7"}, r"file:2: no field 'id'\."),
        ({"id": "b"}, r"file:2: neither 'text' nor 'answer'\."),
        (
            {"id": "b", "answer": [7]},
            r"file:2: field 'answer' must be text or a number, got a list",
        ),
        (
            {"id": "b", "answer": {"value": 7}},
            r"file:2: field 'answer' must be .*got an object",
        ),
        ({"id": "b", "answer": float("nan")}, r"file:2: .*answer"),
        ({"id": "b", "answer": float("inf")}, r"file:2: .*answer"),
        ({"id": "b", "text": 7}, r"file:2: field 'text' must be text, got a number\."),
        (
            {"id": "b", "answer": "7", "text": ["7"]},
            r"file:2: field 'text' must be text, got a list\.",
        ),
        (
            {"id": "b", "answer": "7", "segments": "x"},
            r"file:2: field 'segments' must be .*got text\.",
        ),
        (
            {"id": "b", "answer": "7", "segments": 3},
            r"file:2: field 'segments' must be .*got a number\.",
        ),
        (
            {"id": "b", "answer": "7", "segments": {"text": "x"}},
            r"file:2: .*'segments' .*got an object\.",
        ),
        (
            {"id": "b", "answer": "7", "segments": [{"kind": "XX", "text": "x"}]},
            r"file:2: .*an object in it",
        ),
        (
            {"id": "b", "answer": "7", "segments": ["x"]},
            r"file:2: .*'segments' .*got text in it",
        ),
        (
            {"id": "b", "answer": "7", "tokens": "many"},
            r"file:2: field 'tokens' must be a whole number",
        ),
        (
            {"id": "b", "answer": "7", "tokens": -1},
            r"file:2: field 'tokens' must be a whole number",
        ),
        (
            {"id": "b", "answer": "7", "tokens": True},
            r"file:2: field 'tokens' must be a whole number",
        ),
        ({"id": "b", "answer": "7", "tokens": float("inf")}, r"file:2: .*'tokens'"),
        (
            {"id": "b", "answer": "7", "tokens": [1]},
            r"file:2: field 'tokens' must be a whole number",
        ),
        (
            {"id": "b", "answer": "7", "stopped": []},
            r"file:2: field 'stopped' must be stop_sign, end, ",
        ),
        (
            {"id": "b", "answer": "7", "stopped": "never"},
            r'file:2: field \'stopped\' .*got "never"\.',
        ),
        ({"id": True, "answer": "7"}, r"file:2: field 'id' must be text or a number"),
    ],
)
def test_a_field_that_is_missing_or_of_another_type_is_refused_with_its_place(row, message):
    with pytest.raises(DataError, match=f"^{message}"):
        prediction_of(row, "file:2", get_task("gsm8k"))


def test_the_rationale_stands_in_for_a_missing_text_as_in_rows_of_guide():
    row = {"id": 1, "answer": "7", "rationale": "3 + 4 = 7."}
    assert prediction_of(row, "file:1").text == "3 + 4 = 7."


def test_an_answer_that_is_null_is_extracted_only_leniently():
    row = {"id": 1, "answer": None, "text": "So 7 it is."}
    assert prediction_of(row, "file:1", get_task("gsm8k")).answer is None
    assert prediction_of(row, "file:1", get_task("gsm8k"), lenient=True).answer == "7"


def test_a_row_that_solve_wrote_is_read_as_the_prediction_that_it_was() -> None:
    prediction = Prediction(
        id="a",
        problem_id="a",
        text="so 7",
        segments=(("ES", "so"), (None, "7")),
        answer="7",
        stopped="stop_sign",
        tokens=9,
        author="file",
    )
    assert prediction_of(prediction_row(prediction), "x") == prediction
