"""Rows and lines of `smallsteps guide`, without any model."""

from __future__ import annotations

from dataclasses import replace

from smallsteps.cli.guided_answers import Gated, ReaderAnswers
from smallsteps.methods.guided.rationales import GuidedAnswer, WrittenRationale
from smallsteps.records import Problem
from smallsteps.tasks import get_task

PROBLEMS = [
    Problem(str(n), f"Who is {n}?", f"Ann {n}", context=(("", ("It is so.",)),)) for n in range(4)
]
RATIONALES = [WrittenRationale(f"It is Ann {n}.", 5) for n in range(4)]


def answers(*texts: str | None) -> list[GuidedAnswer]:
    return [
        GuidedAnswer(str(n), text, "It is.", "prediction", 1, 1) for n, text in enumerate(texts)
    ]


GUIDED = answers("Ann 0", "Ann 1", "Bob", None)
ALONE = answers("Ann 0", "Bob", "Ann 2", None)
GATED = Gated(0.5, [0.9, 0.123456, 0.2, None], [True, False, False, False])
COMPARED = ReaderAnswers(
    get_task("hotpotqa"), PROBLEMS, RATIONALES, [GUIDED[0], *ALONE[1:]], GUIDED, ALONE, GATED
)


def test_a_row_has_the_final_answer_and_those_that_it_is_compared_with():
    rows = COMPARED.rows()
    assert [row["answer"] for row in rows] == ["Ann 0", "Bob", "Ann 2", None]
    assert rows[1] == {
        "id": "1",
        "question": "Who is 1?",
        "context": (("", ("It is so.",)),),
        "rationale": "It is Ann 1.",
        "answer": "Bob",
        "read_from": "prediction",
        "factuality": 0.1235,
        "gated": True,
        "answer_guided": "Ann 1",
        "answer_without": "Bob",
        "correct": False,
        "correct_guided": True,
        "correct_without": False,
    }


def test_the_gate_says_what_it_held_back_and_what_nobody_could_rate():
    assert list(COMPARED.gate_lines()) == [
        "gate: 3 of 4 rationales not shown to the reader (factuality below 0.5, 1 of them without a "
        "readable rating)"
    ]
    assert not list(replace(COMPARED, gated=None).gate_lines())


def test_every_pair_of_scores_is_compared_and_nothing_where_a_gold_answer_is_missing():
    lines = list(COMPARED.score_lines())
    names = [line.partition(":")[0] for line in lines if "task:" in line or " - " in line]
    assert names == [
        "gated",
        "guided",
        "alone",
        "gated - guided",
        "gated - alone",
        "guided - alone",
    ]
    assert lines[-1] == "right->right 1, right->wrong 1, wrong->right 1, wrong->wrong 1"
    unknown = [replace(PROBLEMS[0], answer=None), *PROBLEMS[1:]]
    bare = replace(COMPARED, problems=unknown)
    assert not list(bare.score_lines())
    assert "correct" not in bare.rows()[0] and bare.rows()[1]["correct"] is False


def test_without_gate_and_comparison_a_row_has_one_answer():
    plain = replace(COMPARED, final=GUIDED, gated=None, alone=None)
    assert set(plain.rows()[0]) == {
        "id",
        "question",
        "context",
        "rationale",
        "answer",
        "read_from",
        "correct",
    }
