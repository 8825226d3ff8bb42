"""Records: exact round trips through JSON, unknown fields refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsteps.errors import DataError
from smallsteps.records import Prediction, Problem, Rationale

texts = st.text(max_size=20)
kinds = st.sampled_from(["ES", "AS", None])


@given(
    texts,
    texts,
    st.none() | texts,
    st.lists(texts, max_size=3),
    st.lists(st.tuples(texts, st.lists(texts)), max_size=2),
)
def test_a_problem_survives_json(identifier, question, answer, choices, context):
    problem = Problem(
        identifier,
        question,
        answer,
        tuple(choices),
        tuple((t, tuple(s)) for t, s in context),
        meta={"steps": 2},
    )
    assert Problem.from_row(json.loads(json.dumps(problem.to_row()))) == problem


@given(texts, st.lists(st.tuples(kinds, texts), max_size=4), st.none() | texts)
def test_a_prediction_survives_json(text, segments, answer):
    prediction = Prediction("p/0", "p", text, tuple(segments), answer, "stop_sign", 3, 0.5)
    assert Prediction.from_row(json.loads(json.dumps(prediction.to_row()))) == prediction


def test_defaults_are_left_out_of_the_row():
    assert Rationale("r", "p", "So 7.").to_row() == {"id": "r", "problem_id": "p", "text": "So 7."}


def test_an_unknown_field_is_refused_with_the_nearest():
    with pytest.raises(
        DataError, match=r"Problem has no field 'questin'\. Did you mean 'question'"
    ):
        Problem.from_row({"id": "1", "questin": "?"})


def test_a_missing_field_is_named():
    with pytest.raises(DataError, match="question"):
        Problem.from_row({"id": "1"})
