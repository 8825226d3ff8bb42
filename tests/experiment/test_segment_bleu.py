"""BLEU of segments on gold prefixes: what is asked, and what is compared."""

from types import SimpleNamespace

import pytest

from smallsteps.experiment import segment_bleu as segment_bleu_module
from smallsteps.experiment.segment_bleu import segment_bleu_of
from smallsteps.records import Example
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task

TASK = get_task("numbers")


def example(number, prefix, target, kind="ES"):
    return Example(f"c/{number}", "c", "How many pens?", prefix, target, kind=kind)


EXAMPLES = [
    example(0, (), "Ann has 3 boxes with 4 pens each,"),
    example(1, (("ES", "Ann has 3 boxes with 4 pens each,"),), "so 3 x 4 = 12 pens.", "AS"),
    example(2, (), ""),
]


@pytest.fixture
def asked(monkeypatch):
    """Requests that an engine got, which replies with the texts in `replies`."""
    seen = SimpleNamespace(requests=[], replies=[example.target for example in EXAMPLES[:2]])

    class Engine:
        def generate(self, requests, decoding):
            seen.requests += requests
            for request, text in zip(requests, seen.replies, strict=True):
                yield SimpleNamespace(id=request.id, text=text)

    monkeypatch.setattr(segment_bleu_module, "open_engine", lambda student, settings: Engine())
    return seen


def test_gold_segments_stand_before_each_and_empty_targets_are_left_out(tiny, asked):
    student = prepare(tiny("t5"), TASK, path="uni")
    assert segment_bleu_of(EXAMPLES, TASK, 8)(student) == pytest.approx(100.0)
    assert [request.prompt for request in asked.requests] == [
        student.source_ids(TASK, example.question, example.prefix) for example in EXAMPLES[:2]
    ]
    assert {request.max_new_tokens for request in asked.requests} == {TASK.max_segment_tokens}
    assert all(request.stop is None for request in asked.requests)
    asked.replies = ["something else", "altogether different words"]
    assert segment_bleu_of(EXAMPLES, TASK, 8)(student) < 5.0


def test_a_causal_student_ends_a_segment_by_the_marker_of_the_next(tiny, asked):
    student = prepare(tiny("llama"), TASK, path="uni")
    segment_bleu_of(EXAMPLES, TASK, 8)(student)
    marker, word = next(iter(student.markers.values())), student.source_ids(TASK, "pens")[0]
    (stop, _) = (request.stop for request in asked.requests)
    assert stop([word, marker]) and not stop([marker, word])
