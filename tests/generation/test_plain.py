"""Sessions and stop rules over a generator that has neither."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest

from smallsteps.errors import RecipeError
from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.generation.plain import Plain, cut
from smallsteps.students.student import Student
from tiny_solving import Tiny

END = Reply("a", 0, (5, 6, 7), "", "end", 4, logprobs=(-1.0, -2.0, -3.0, -4.0))


class Recorder:
    """Replies 5, 6, 7 and the end to every request, and keeps what it was given."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def generate(
        self,
        requests: Iterable[Request],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Reply]:
        for request in requests:
            self.requests.append(request)
            yield Reply(request.id, 0, END.ids, "", "end", 4)


class Cache:
    length = 1


def at(*stops: int) -> Request:
    return Request("a", [1], stop=lambda ids: ids[-1] in stops)


def test_a_reply_is_cut_at_the_first_token_where_stop_says_so(tiny: Tiny) -> None:
    student = tiny("t5")
    reply = cut(END, at(6, 7), student)
    assert (reply.ids, reply.finished, reply.tokens) == ((5, 6), "stop", 2)
    assert reply.text == student.text((5, 6)) and reply.logprobs == (-1.0, -2.0)


def test_a_stop_at_the_last_token_goes_before_the_end(tiny: Tiny) -> None:
    reply = cut(END, at(7), tiny("t5"))
    assert (reply.ids, reply.finished, reply.tokens) == ((5, 6, 7), "stop", 3)


def test_without_a_stop_a_reply_stays_whole(tiny: Tiny) -> None:
    assert cut(END, Request("a", [1]), tiny("t5")) is END
    assert cut(END, at(9), tiny("t5")) == END


def test_stop_sees_the_ids_after_each_token_in_order(tiny: Tiny) -> None:
    seen: list[tuple[int, ...]] = []

    def stop(ids: object) -> bool:
        seen.append(tuple(ids))  # type: ignore[arg-type]
        return False

    cut(END, Request("a", [1], stop=stop), tiny("t5"))
    assert seen == [(5,), (5, 6), (5, 6, 7)]


def test_given_ids_are_not_asked_about_and_have_no_log_probabilities(tiny: Tiny) -> None:
    request = Request("a", [1], stop=lambda ids: ids[-1] in (5, 6), given=(5,))
    reply = cut(replace(END, logprobs=(-2.0, -3.0, -4.0)), request, tiny("t5"))
    assert (reply.ids, reply.finished, reply.logprobs) == ((5, 6), "stop", (-2.0,))


def test_a_session_answers_what_is_queued_and_takes_more_afterwards(tiny: Tiny) -> None:
    student: Student = tiny("t5")
    session = Plain(Recorder(), student).session(Decoding())
    assert session.idle and session.step() == []
    session.submit(Request("a", [1]))
    session.submit(Request("b", [1]))
    assert not session.idle
    assert [reply.id for reply in session.step()] == ["a", "b"] and session.idle
    session.submit(at(5))
    assert [(reply.id, reply.finished) for reply in session.step()] == [("a", "stop")]


def test_a_cache_is_not_passed_on_and_the_whole_prompt_is_read(tiny: Tiny) -> None:
    recorder = Recorder()
    request = Request("a", [1, 2, 3], keep_cache=True, cache=Cache(), stop=lambda ids: True)
    (reply,) = Plain(recorder, tiny("t5")).generate([request], Decoding())
    assert recorder.requests == [Request("a", [1, 2, 3])] and reply.cache is None


def test_a_reply_that_begins_as_given_is_refused_as_the_engine_would_ignore_it(tiny: Tiny) -> None:
    engine = Plain(Recorder(), tiny("t5"))
    with pytest.raises(RecipeError, match=r"cannot begin a reply with given tokens\. Use engine"):
        list(engine.generate([Request("a", [1], given=(5,))], Decoding()))
