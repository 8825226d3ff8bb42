"""The thread that owns the engines: who shares steps, who waits, who is refused."""

from __future__ import annotations

import threading

import pytest

from smallsteps.generation.generator import Decoding
from smallsteps.generation.solve import solve
from smallsteps.records import Problem
from smallsteps.serving.api_errors import ApiError
from smallsteps.serving.reply_choice import Event, Failure, ReplyChoice
from smallsteps.serving.worker import Lane, Load, Worker
from tiny_serving import ALL, TASK, served, slow, until, working
from tiny_solving import Tiny, problems

GREEDY = Decoding(max_new_tokens=100_000)
DRAWN = Decoding(max_new_tokens=100_000, temperature=1.0, seed=5)


@pytest.mark.parametrize(("style", "kind"), ALL)
def test_every_kind_of_student_answers_as_solve_does_whatever_else_is_in_the_batch(
    tiny: Tiny, style: str, kind: str
) -> None:
    student = served(tiny, style, kind)
    questions = [problem.question for problem in problems(6)]
    with working(student) as collector:
        results = []

        def ask(decoding: Decoding) -> None:
            makers = [student.question_script(q, decoding, 0) for q in questions]
            results.append((decoding, collector.write(student.id, makers, decoding)))

        threads = [threading.Thread(target=ask, args=(d,)) for d in (GREEDY, DRAWN, GREEDY)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert len(results) == 3
    for decoding, (written, streamed) in results:
        for question, choice, pieces in zip(questions, written, streamed, strict=True):
            (alone,) = solve(
                student.student,
                [Problem("question", question)],
                TASK,
                student.settings,
                decoding,
            )
            assert choice.text == alone.text == pieces
            assert tuple(choice.segments) == alone.segments
            assert (choice.stopped, choice.answer) == (alone.stopped, alone.answer)
            assert choice.tokens == alone.tokens


def lane_of_waiting(tiny: Tiny, batch_size: int, count: int) -> tuple[Lane, list[ReplyChoice]]:
    student = slow(tiny, batch_size=batch_size)
    lane = Lane(student)
    choices = [
        ReplyChoice(n, student.prompt_script("Ann has", GREEDY, n), GREEDY, lambda event: None)
        for n in range(count)
    ]
    lane.waiting.extend(choices)
    return lane, choices


def test_no_more_are_written_at_once_than_the_batch_holds(tiny: Tiny) -> None:
    lane, _ = lane_of_waiting(tiny, 2, 5)
    lane.step()
    assert (len(lane.running), len(lane.waiting)) == (2, 3)


def test_what_nobody_waits_for_frees_its_slot_at_the_next_token_and_never_enters(
    tiny: Tiny,
) -> None:
    lane, choices = lane_of_waiting(tiny, 2, 5)
    lane.step()
    for choice in choices[:4]:
        choice.cancelled = True
    lane.step()
    lane.step()
    assert [choice.number for choice, _ in lane.running.values()] == [4] and not lane.waiting


def test_beyond_the_queue_requests_are_refused_with_429_and_later_ones_are_not(tiny: Tiny) -> None:
    student = slow(tiny, batch_size=2)
    worker = Worker([student], queue_limit=3)  # not started: nothing leaves the queue

    def submit(count: int) -> None:
        maker = student.prompt_script("Ann has", GREEDY, 0)
        worker.submit(
            "slow", [ReplyChoice(n, maker, GREEDY, lambda event: None) for n in range(count)]
        )

    submit(4)
    with pytest.raises(ApiError, match="The queue is full: 4 replies wait, 3 may") as refused:
        submit(2)
    assert refused.value.status == 429
    submit(1)
    assert worker.load == Load(0, 5)


def test_a_step_that_fails_ends_its_choices_and_the_next_request_is_answered(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = served(tiny)
    lines: list[str] = []
    worker = Worker([student], log=lines.append)
    step = Lane.step
    monkeypatch.setattr(Lane, "step", lambda lane: 1 / 0)
    worker.start()
    events: list[Event] = []
    maker = student.question_script("Ann?", GREEDY, 0)
    worker.submit(student.id, [ReplyChoice(0, maker, GREEDY, events.append)])
    until(lambda: events)
    (failure,) = events
    assert isinstance(failure, Failure) and failure.error.status == 500
    assert lines and lines[0].startswith("ZeroDivisionError in ")
    monkeypatch.setattr(Lane, "step", step)
    worker.submit(student.id, [ReplyChoice(0, maker, GREEDY, events.append)])
    until(lambda: len(events) == 2)
    worker.stop()
    assert not isinstance(events[1], Failure)


def test_at_the_end_those_under_way_are_told_and_later_ones_are_refused(tiny: Tiny) -> None:
    student = slow(tiny)
    worker = Worker([student])
    worker.start()
    events: list[Event] = []
    maker = student.prompt_script("Ann has", GREEDY, 0)
    worker.submit("slow", [ReplyChoice(0, maker, GREEDY, events.append)])
    worker.stop()
    (failure,) = events
    assert isinstance(failure, Failure) and failure.error.status == 503
    with pytest.raises(ApiError, match="stopping"):
        worker.submit("slow", [])
    with pytest.raises(ApiError, match="stopping"):
        worker.call(lambda: 1)


def test_a_call_runs_between_steps_and_gives_its_result_or_its_error(tiny: Tiny) -> None:
    with working(served(tiny)) as collector:
        assert collector.worker.call(threading.get_ident).result(10) != threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            collector.worker.call(lambda: 1 / 0).result(10)
