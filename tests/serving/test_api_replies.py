"""Replies in OpenAI's shapes."""

from __future__ import annotations

from smallsteps.serving.api_replies import ReplyShape, text_logprobs, usage
from smallsteps.serving.reply_choice import Piece, Written
from smallsteps.serving.token_logprobs import TokenLogprob


def written(number: int, read: int, tokens: int) -> Written:
    segments = [("ES", "Ann has 7.")]
    return Written(number, "Ann has 7.", "stop", "stop_sign", segments, "7", read, tokens)  # type: ignore[arg-type]


def test_a_prompt_counts_once_for_all_its_choices_and_each_choice_for_itself() -> None:
    choices = [written(0, 10, 3), written(1, 10, 4), written(2, 20, 5), written(3, 20, 6)]
    assert usage(choices, 2) == {
        "prompt_tokens": 30,
        "completion_tokens": 18,
        "total_tokens": 48,
    }


def test_all_events_of_a_stream_have_one_id_and_a_whole_reply_tells_the_segments() -> None:
    shape = ReplyShape("chat", "m")
    opening = shape.opening(0)
    assert opening is not None
    events = [opening, shape.piece(Piece(0, "Ann", 0, "ES")), shape.end(written(0, 1, 1))]
    assert len({event["id"] for event in events}) == 1
    assert events[1]["choices"][0]["smallsteps"] == {"segment": 0, "kind": "ES"}
    assert [event["choices"][0]["finish_reason"] for event in events] == [None, None, "stop"]
    (choice,) = shape.whole([written(0, 1, 1)], 1)["choices"]
    assert choice["message"]["content"] == "Ann has 7." and choice["logprobs"] is None
    assert choice["smallsteps"] == {
        "segments": [{"kind": "ES", "text": "Ann has 7."}],
        "answer": "7",
        "stopped": "stop_sign",
    }


def test_a_text_completion_streams_text_without_roles() -> None:
    shape = ReplyShape("text", "m")
    assert shape.opening(0) is None
    assert shape.piece(Piece(1, "Ann", 0, None))["choices"][0]["text"] == "Ann"
    assert shape.whole([written(0, 1, 1)], 1)["object"] == "text_completion"


def test_offsets_of_tokens_are_places_in_the_text() -> None:
    tokens = [TokenLogprob("Ann", -0.1), TokenLogprob("", -0.2), TokenLogprob(" has", -0.3)]
    assert text_logprobs(tokens)["text_offset"] == [0, 3, 3]
