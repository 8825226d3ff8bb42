"""What is asked of a reader, how its answers are read off, and who wins a vote."""

from __future__ import annotations

import pytest

from loopback import completion
from smallsteps.generation.budget import Budget
from smallsteps.generation.endpoint import Endpoint
from smallsteps.generation.generator import Decoding, Reply
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.settings import CallSettings
from smallsteps.methods.guided.reader import (
    Reader,
    ReaderAnswer,
    ReaderQuestion,
    majority,
    read_off,
)
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.facts import make_chains
from smallsteps.teaching.prompts import read_prompt

TASK = get_task("facts")
CHAINS = make_chains(3, 1)


class Model:
    """Replies with the given texts in turn; None: a failed reply."""

    def __init__(self, *replies):
        self.replies, self.calls = replies, []

    def generate(self, requests, decoding, progress=None):
        for request in requests:
            for sample in range(request.samples):
                self.calls.append((request.prompt, decoding))
                text = self.replies[(len(self.calls) - 1) % len(self.replies)]
                finished = "failed" if text is None else "end"
                yield Reply(
                    request.id,
                    sample,
                    (),
                    text or "",
                    finished,
                    2,
                    error="empty reply" if text is None else None,
                    read=5,
                )


@pytest.mark.parametrize(
    ("text", "ends_open", "answer", "read_from"),
    [
        ("So it is. Prediction: Italy.", False, "Italy", "prediction"),
        ("Prediction: Rome\nNo. prediction : Italy\nor so", True, "Italy", "prediction"),
        ("Ann lives in Rome. The answer is Italy.", False, "Italy", "closing"),
        (' "Italy."\n', True, "Italy", "direct"),
        ("The answer is no. Both lie in Rome.", False, "no", "closing"),
        ("So the answer is St. Louis. It is in", True, "St. Louis", "closing"),
        ("Ann said: the answer is x. She was wrong.", False, None, "none"),
        ("The answer isn't Rome. Ann lives in Italy.", False, None, "none"),
        ("Ann lives in Italy. The answer isn't Rome.", False, None, "none"),
        ("Ann lives in Italy.", False, None, "none"),
        ("Prediction:", True, None, "none"),
        (
            "<think>Prediction: Rome?</think>Prediction: Italy.<|im_end|>",
            False,
            "Italy",
            "prediction",
        ),
        ("<think>Prediction: Rome", False, None, "none"),
        ("", True, None, "none"),
    ],
)
def test_answers_are_read_off_where_they_stand(text, ends_open, answer, read_from):
    assert read_off(text, ends_open) == (answer, read_from)


def test_a_rationale_goes_into_the_prompt_and_none_into_the_standard_one():
    model = Model("Italy")
    reader = Reader("m", model, TASK)
    chain = CHAINS[0]
    answers = reader.first_answers(
        [ReaderQuestion(chain.problem, "Ann lives in Rome."), ReaderQuestion(chain.problem)]
    )
    (guided, decoding), (standard, _) = model.calls
    assert "Reasoning: Ann lives in Rome." in guided[-1][1] and "Reasoning" not in standard[-1][1]
    assert all(
        messages[-1][1].startswith(TASK.render(chain.problem)) for messages in (guided, standard)
    )
    assert decoding == Decoding(max_new_tokens=32), "greedy, few tokens"
    assert [answer.answer for answer in answers] == ["Italy", "Italy"]
    assert answers[0].tokens == 7


def test_a_reply_without_an_answer_gets_a_second_call_and_no_reply_is_wrong():
    model = Model("I think so.", None, "Rome lies in Italy", "Italy.")
    questions = [ReaderQuestion(chain.problem) for chain in CHAINS]
    answers = Reader("m", model, TASK).first_answers(questions, read_prompt("cot"))
    assert [answer.read_from for answer in answers] == ["second", "none", "second"]
    assert model.calls[3][0][-2:] == (("assistant", "I think so."), ("user", "Prediction:"))
    assert (
        answers[1].error == "empty reply" and answers[1].answer is None and answers[0].tokens == 14
    )


def answered(*texts):
    return [ReaderAnswer("p", text, "direct", text or "", 3) for text in texts]


def test_the_answer_that_most_give_wins():
    best = majority(answered("Rome", "the rome", "Oslo", None, None, None), TASK.same)
    assert best.answer == "Rome" and best.tokens == 18
    assert majority(answered("Oslo", "Rome"), TASK.same).answer == "Oslo", "of equals the first"
    assert majority(answered(None, None), TASK.same).answer is None


def test_samples_are_answers_of_their_own():
    model = Model("Italy", "Norway", "Italy")
    (answers,) = Reader("m", model, TASK).answers(
        [ReaderQuestion(CHAINS[0].problem, "x")],
        decoding=Decoding(max_new_tokens=32, temperature=0.7),
        samples=3,
    )
    assert [answer.answer for answer in answers] == ["Italy", "Norway", "Italy"]


@pytest.mark.parametrize(
    ("reply", "answer"),
    [("B", "bank"), ("(b) bank.", "bank"), ("Prediction: bank", "bank"), ("zoo", "zoo")],
)
def test_an_option_may_be_named_by_its_letter(reply, answer):
    problem = Problem("p", "Where is money kept?", "bank", choices=("shop", "bank"))
    task = get_task("commonsenseqa")
    (read,) = Reader("m", Model(reply), task).first_answers([ReaderQuestion(problem)])
    assert read.answer == answer
    assert task.same(read.answer, "bank") == (answer == "bank")


@pytest.mark.parametrize(
    ("content", "finish", "field", "answer"),
    [
        ("<think>Prediction: Rome</think>\nPrediction: Italy", "stop", None, "Italy"),
        ("Prediction: Rome\n</think>\nItaly", "stop", None, "Italy"),
        ("Prediction: Italy", "stop", "Prediction: Rome", "Italy"),
        ("<think>Prediction: Rome", "length", None, None),
        ("<think>Prediction: Rome", "stop", None, None),
        ("", "length", "Prediction: Rome", None),
    ],
)
def test_nothing_is_read_off_a_thought(server, tmp_path, content, finish, field, answer):
    message = {"reasoning_content": field} if field else {}
    server.answer = lambda body, times: (200, completion(content, finish, **message), {})
    store = ReplyStore(tmp_path / "r.sqlite")
    endpoint = Endpoint(
        CallSettings(name="m", base_url=server.url), Budget(store, "job"), "", say=lambda line: None
    )
    (read,) = Reader("m", endpoint, TASK).first_answers([ReaderQuestion(CHAINS[0].problem)])
    assert read.answer == answer and server.calls == 1
    assert (read.error or "").startswith("unfinished thought") == (answer is None)
    assert read.tokens == 10, "a thought is paid, whatever becomes of it"
    store.close()
