"""Questions with contexts: official scores, aliases, gold paragraphs, and what rows are refused."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallsteps.errors import DataError
from smallsteps.evaluation.comparison import compare_scores
from smallsteps.evaluation.grade import grade
from smallsteps.records import Prediction, Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.facts import make_chains
from smallsteps.tasks.multihop import exact_match, f1, inclusion, supporting_facts

CONTEXT = (
    ("Rome", ("Rome is old.", "It is a town in Italy.")),
    ("Ann", ("Ann lives in Rome.",)),
    ("Oslo", ("Cold.",)),
)


def problem(answer="Italy", context=CONTEXT, **meta):
    return Problem("p", "Where does Ann live?", answer, context=context, meta=meta)


def official(prediction, gold):
    """The official evaluation's two figures, step by step as its definition says."""

    def normalised(text):
        text = "".join(c for c in text.lower() if c not in string.punctuation)
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())

    ours, theirs = normalised(prediction), normalised(gold)
    em = float(ours == theirs)
    if (
        ours in ("yes", "no", "noanswer") or theirs in ("yes", "no", "noanswer")
    ) and ours != theirs:
        return em, 0.0
    common = sum((Counter(ours.split()) & Counter(theirs.split())).values())
    if not common:
        return em, 0.0
    precision, recall = common / len(ours.split()), common / len(theirs.split())
    return em, 2 * precision * recall / (precision + recall)


WORDS = st.lists(
    st.sampled_from(
        [
            "the",
            "a",
            "An",
            "Rome",
            "rome's",
            "yes",
            "no",
            "noanswer",
            "-",
            "U.S.",
            "1,000",
            "old",
            "“x”",
        ]
    ),
    min_size=1,
    max_size=5,
).map(" ".join)


@given(WORDS, WORDS)
def test_scores_are_those_of_the_official_evaluation(prediction, gold):
    em, score = official(prediction, gold)
    assert exact_match(prediction, gold) == em
    assert f1(prediction, gold) == pytest.approx(score)


@pytest.mark.parametrize(
    ("prediction", "gold", "included"),
    [
        ("He lives in New York City.", "New York", True),
        ("It is not known", "no", False),
        ("Newark", "New", False),
        ("the Beatles", "The Beatles", True),
        (None, "x", False),
        ("x", "", False),
    ],
)
def test_inclusion_counts_whole_tokens(prediction, gold, included):
    assert inclusion(prediction, gold) is included


def answered(id, answer):
    return Prediction(f"{id}/x", id, answer or "", (), answer, "end")


def test_figures_of_a_file_are_means_over_questions_and_the_best_alias_counts():
    task = get_task("2wikimultihopqa")
    problems = [
        Problem(
            "1",
            "Who?",
            "Maureen O'Sullivan",
            meta={"answer_aliases": ["O'Sullivan", "Maureen Paula O'Sullivan"]},
        ),
        Problem("2", "Who?", "yes"),
        Problem("3", "Who?", "the Chief of Protocol"),
    ]
    given = [answered("1", "osullivan"), answered("2", "yes, indeed"), answered("3", None)]
    values = {
        name: grade(given, problems, task, metric=name).value
        for name in ("exact_match", "f1", "inclusion")
    }
    assert values == pytest.approx({"exact_match": 100 / 3, "f1": 100 / 3, "inclusion": 200 / 3})
    assert task.metric == "exact_match" and grade(given, problems, task).unparsed == 1
    better = [*given[:2], answered("3", "Chief of Protocol.")]
    found = compare_scores(grade(better, problems, task), grade(given, problems, task))
    assert found.difference == pytest.approx(100 / 3) and (
        found.only_score,
        found.only_baseline,
    ) == (1, 0)
    assert found.p_mcnemar == 1.0, "the exact test counts exact matches"


def test_a_student_reads_the_question_with_its_context():
    assert get_task("hotpotqa").render(problem()) == (
        "Where does Ann live? Context: Rome: Rome is old. It is a town in Italy. Ann: "
        "Ann lives in Rome. Oslo: Cold."
    )
    gold = problem(supporting_facts=[["Ann", 0], ["Rome", 1]])
    assert get_task("hotpotqa-gold").render(gold) == (
        "Where does Ann live? Context: Rome: Rome is old. It is a town in Italy. Ann: "
        "Ann lives in Rome."
    )
    assert supporting_facts(gold) == [("Ann", 0), ("Rome", 1)]
    assert "Oslo" not in get_task("2wikimultihopqa-gold").render(problem(supporting_titles=["Ann"]))
    made = make_chains(1, 0)[0].problem
    assert get_task("facts").render(made).endswith(made.question) and "Context" not in get_task(
        "facts"
    ).render(made)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (problem(context=()), "no context"),
        (problem(context=(("", (" ",)),)), "no context"),
        (problem(), "neither `supporting_facts`"),
        (problem(supporting_facts=[["Bern", 0]]), "'Bern', and no paragraph"),
        (problem(supporting_titles=["Bern"]), "'Bern', and no paragraph"),
        (problem(supporting_facts=[["Rome", 2]]), "sentence 2 of 'Rome', which has 2"),
        (problem(supporting_facts=["Rome"]), r"\[title, number"),
        (problem(supporting_facts=5), r"\[title, number of the sentence\], got 5"),
        (problem(supporting_facts=True), r"\[title, number of the sentence\], got True"),
        (
            problem(supporting_facts=[["Rome", True]]),
            r"\[title, number of the sentence\], got \['Rome', True\]",
        ),
        (problem(supporting_titles=5), "`supporting_titles` must be a list of texts, got '5'"),
        (problem(supporting_titles="Rome"), "`supporting_titles` must be a list of texts"),
        (problem(supporting_titles=[["Rome"]]), "`supporting_titles` must be a list of texts"),
    ],
)
def test_a_context_that_cannot_be_read_is_refused(asked, message):
    with pytest.raises(DataError, match=message):
        get_task("hotpotqa-gold").render(asked)


def test_aliases_are_a_list_of_texts():
    for wrong in ("Italy", 5, [1], {"a": 1}, True):
        with pytest.raises(DataError, match="`answer_aliases` must be a list of texts"):
            get_task("2wikimultihopqa").golds(problem(answer_aliases=wrong))
    assert get_task("2wikimultihopqa").golds(problem(answer_aliases=["Italia"]))[1:] == ("Italia",)


def test_the_extractor_reads_the_answer_of_every_bundled_chain():
    task = get_task("facts")
    for chain in make_chains(100, 3):
        assert task.same(
            task.extract(chain.rationale.text, False, chain.problem), chain.problem.answer
        )
