"""A chat model as a judge: what is read as a rating, what is asked again, what is counted."""

from __future__ import annotations

import pytest

from smallsteps.errors import TeacherError
from smallsteps.quality.prompted_judge import AGAIN, read_rating, to_rating, to_score
from smallsteps.quality.rated import Rated
from smallsteps.quality.scorer import Scorer
from smallsteps.quality.sensitivity import matrix
from smallsteps.records import Problem

from .conftest import GOOD, ITEMS, PROBLEM
from .scripted_judge import ScriptedChat, by_words, prompted

ITEM = Rated.of(PROBLEM, GOOD)


@pytest.mark.parametrize(
    ("text", "rating"),
    [
        ("Score: 4", 4),
        ("score: 4.", 4),
        ("**Score:** 4/5", 4),
        ("**Score**: **4**", 4),
        ("Score = 3", 3),
        ("Rating: 2. It is short.", 2),
        ("The score is 2 out of 5.", 2),
        ("I give it a score of 5", 5),
        ("Score: 3.5", 3.5),
        ("It is supported.\n\nScore: 5", 5),
        ("Score: 2. On reflection, score: 3", 3),
        ("Score: 4\nI gave this score because 2 of 3 facts hold.", 4),
        ("<think>Score: 1</think>Score: 4", 4),
        ("4", 4),
        (" **4/5**\nBecause it is supported.", 4),
    ],
)
def test_the_last_marked_number_or_a_number_alone_is_the_rating(text, rating):
    assert read_rating(text) == rating


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Score: N",
        "Score: four",
        "Score: 0",
        "Score: 6",
        "Score: 45",
        "Score: -3",
        "Score: 4/10",
        "Score: 1 to 5",
        "Score: 1-5",
        "Score: 1–5",
        "Score 1: nothing is supported. Score 5: everything is.",
        "Rating consistency from 1 to 5",
        "It has 4 sentences.",
        "4 of the sentences are supported.",
        "It is supported.\n4",
        "Score: 4. Final score: 9",
        "<think>Score: 4</think>It is good.",
    ],
)
def test_a_range_another_scale_or_a_number_of_something_else_is_no_rating(text):
    assert read_rating(text) is None


def test_ratings_and_scores_are_one_scale():
    assert [to_score(rating) for rating in (1, 2, 3, 4, 5)] == [0, 0.25, 0.5, 0.75, 1]
    assert [to_rating(to_score(rating)) for rating in (1, 2, 3, 4, 5)] == [1, 2, 3, 4, 5]


def test_it_reads_context_question_and_rationale_one_aspect_a_call():
    judge = prompted(lambda aspect, messages: "Score: 4")
    (scores,) = judge.rate([ITEM], ("factuality", "fluency"))
    assert scores == {"factuality": 0.75, "fluency": 0.75}
    factuality, fluency = (request.prompt[1][1] for request in judge.generator.requests)
    for part in ("Ann lives in Rome.", "Rome: It is a town in Italy.", PROBLEM.question, GOOD):
        assert part in factuality
    assert GOOD in fluency and "The sky is blue" not in fluency


def test_without_a_context_it_is_not_asked_for_what_compares_with_it():
    judge = prompted(lambda aspect, messages: "Score: 5")
    bare = Rated.of(Problem("p", "How many?", "12"), "There are 12.")
    assert judge.rate([bare], ("factuality", "coherence")) == [{"coherence": 1.0}]
    assert len(judge.generator.requests) == 1


def test_an_unreadable_reply_is_asked_once_more_with_itself_before_it():
    judge = prompted(lambda aspect, messages: "Score: 2" if len(messages) > 2 else "It is good.")
    assert judge.rate([ITEM], ("factuality",)) == [{"factuality": 0.25}]
    first, second = judge.generator.requests
    assert second.prompt == (*first.prompt, ("assistant", "It is good."), ("user", AGAIN))
    assert not judge.unread.total()


def test_what_stays_unreadable_is_none_and_counted_a_refusal_is_not_asked_again():
    judge = prompted(lambda aspect, messages: None if aspect == "fluency" else "It is good.")
    assert judge.rate([ITEM], ("factuality", "fluency")) == [{"factuality": None, "fluency": None}]
    assert len(judge.generator.requests) == 3
    assert judge.unread == judge.asked == {"factuality": 1, "fluency": 1}
    with pytest.raises(TeacherError, match=r"not one of 2 ratings could be read.*--judge-tokens"):
        judge.check_read()


def test_a_reply_that_did_not_come_ends_the_job():
    class Limited(ScriptedChat):
        def generate(self, requests, decoding, progress=None):
            for reply in super().generate(requests, decoding, progress):
                yield reply.__class__(**{**vars(reply), "error": "not asked: limit of 1 calls"})

    judge = prompted(None)
    judge.generator = Limited(lambda aspect, messages: None)
    with pytest.raises(
        TeacherError, match=r"judge 'm': 1 of 1 replies did not come.*run the same command again"
    ):
        judge.rate([ITEM], ("factuality",))


def test_progress_is_counted_in_rationales():
    reported: list[int] = []
    judge = prompted(lambda aspect, messages: "Score: 5")
    judge.rate([ITEM, ITEM], ("factuality", "fluency"), reported.append)
    assert reported == [0, 1, 1, 2]


def test_the_matrix_of_perturbations_measures_a_prompted_judge_like_any_other():
    """This one counts words in order: it must notice what changes words, and cannot notice
    repeated or missing steps."""
    scorer = Scorer(prompted=prompted(by_words))
    measured = matrix(ITEMS[:30], scorer, paired=True)
    for name in ("negate", "other", "garble"):
        assert measured["factuality"][name] >= 0.9, name
    assert measured["factuality"]["swap"] >= 0.65, "names of conclusions are not in the context"
    assert measured["coherence"] == dict.fromkeys(measured["coherence"], 0.5)
    assert measured["readability"]["bloat"] == 1.0, "by its formula"


def test_the_matrix_leaves_out_rationales_without_a_rating():
    first = ITEMS[0].text

    def answer(aspect, messages):
        if first in messages[1][1]:
            return "no idea"
        return by_words(aspect, messages)

    scorer = Scorer(prompted=prompted(answer), aspects=("factuality",))
    assert matrix(ITEMS[:8], scorer, names=["negate"], paired=True)["factuality"]["negate"] == 1.0
    blind = Scorer(prompted=prompted(lambda *_: "no idea"), aspects=("factuality",))
    assert matrix(ITEMS[:3], blind, names=["negate"])["factuality"]["negate"] is None
