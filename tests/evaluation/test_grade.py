"""The grader: rows in = rows out, numbers with their signature, fair pairs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
import sacrebleu

from smallsteps.errors import DataError, RecipeError
from smallsteps.evaluation.grade import grade
from smallsteps.records import Grade, Prediction, Problem

from .conftest import TASK, graded, prediction, problems


def test_accuracy_with_its_interval_and_counts() -> None:
    gold = problems(10)
    given = [prediction(p, p.answer) for p in gold[:6]]
    given += [
        prediction(gold[6], "99"),
        prediction(gold[7], None, "limit"),
        prediction(gold[8], None, "end"),
    ]
    score = grade(given, gold, TASK, dataset="test", seed=3)
    assert (score.value, score.n, score.unparsed, score.missing) == (60.0, 10, 2, 1)
    assert score.stopped == {"end": 1, "limit": 1, "stop_sign": 7}
    assert 20 <= score.low < 60 < score.high <= 95
    assert [g.value for g in score.grades] == [1.0] * 6 + [0.0] * 4
    assert len({g.id for g in score.grades}) == 10


def test_the_order_of_predictions_does_not_matter() -> None:
    gold = problems(5)
    given = [prediction(p, p.answer if p.id != "q3" else "no") for p in gold]
    assert grade(given[::-1], gold, TASK) == replace(grade(given, gold, TASK))


def test_the_signature_reads_as_the_style_page_says() -> None:
    gold = problems(4)
    given = [
        prediction(gold[0], "0"),
        prediction(gold[1], None),
        prediction(gold[2], "2"),
        prediction(gold[3], "x"),
    ]
    score = grade(given, gold, TASK, dataset="test", decode="temperature 0.7", seed=1)
    assert score.signature() == (
        "acc = 50.0 ± 35.0 | task:words/test | n:4 | unparsed:1 | decode:temperature 0.7 | "
        "seed:1 | smallsteps:0.1.0"
    )
    assert " | unparsed:0 | missing:2 | " in grade(given[::2], gold, TASK).signature()
    assert grade(given, gold, TASK).signature().startswith("acc = 50.0 ± 35.0 | task:words | n:4")


def test_an_interval_with_unequal_sides_is_written_out() -> None:
    gold = problems(50)
    score = grade([prediction(p, "no") for p in gold], gold, TASK)
    assert score.signature().startswith("acc = 0.0 [0.0, 7.1] | "), (
        "± 3.6 would halve what may still be"
    )


def test_a_row_is_plain_json() -> None:
    row = json.loads(json.dumps(graded([True, False]).to_row()))
    assert (row["metric"], row["value"], row["n"], row["seed"]) == ("accuracy", 50.0, 2, 0)
    assert {"low", "high", "unparsed", "missing", "stopped", "decode", "signature"} <= set(row)


def test_all_wrong_is_not_certainly_nought() -> None:
    none, every = graded([False] * 50), graded([True] * 50)
    assert (none.value, none.low) == (0.0, 0.0) and 5 < none.high < 9
    assert (every.value, every.high) == (100.0, 100.0) and 91 < every.low < 95


def test_no_answer_is_wrong_even_where_gold_is_the_word_none() -> None:
    gold = [Problem("q", "?", "None")]
    assert grade([prediction(gold[0], None)], gold, TASK).value == 0.0


def test_messages() -> None:
    gold = problems(2)
    stranger = prediction(Problem("other", "?", "1"), "1")
    with pytest.raises(
        DataError,
        match=r"^other/p: predicts problem 'other', which is not among the 2 gold problems",
    ):
        grade([stranger], gold, TASK)
    with pytest.raises(
        DataError, match=r"^q0/p: a second prediction for problem 'q0', after q0/p\. Keep one"
    ):
        grade([prediction(gold[0], "0")] * 2, gold, TASK)
    with pytest.raises(DataError, match=r"^q0: two problems have this id"):
        grade([], [gold[0], gold[0]], TASK)
    with pytest.raises(DataError, match="no problems to grade against"):
        grade([], [], TASK)
    with pytest.raises(RecipeError, match=r"no metric 'acuracy'\. Did you mean 'accuracy'\?"):
        grade([], gold, TASK, metric="acuracy")
    with pytest.raises(DataError, match=r"^q1: no reference text"):
        grade([prediction(p, "1") for p in gold], gold, TASK, metric="bleu", references={"q0": "a"})


def test_bleu_of_chains_compares_whole_predictions_with_the_references() -> None:
    gold = problems(3)
    given = [
        replace(prediction(p, p.answer), text=f"Ann has {p.answer} pens, so it is {p.answer}.")
        for p in gold
    ]
    references = {p.id: f"Ann has {p.answer} boxes, so it is {p.answer}." for p in gold}
    score = grade(given, gold, TASK, metric="bleu", references=references)
    expected = sacrebleu.corpus_bleu([p.text for p in given], [[references[p.id] for p in gold]])
    assert score.value == pytest.approx(expected.score)
    assert " | bleu:nrefs:1,case:mixed,eff:no,tok:13a,smooth:exp,version:" in score.signature()


def regions_to_reports(regions: Sequence[Problem], given: Sequence[Prediction]) -> list[Prediction]:
    if "-" not in given[0].problem_id:  # already whole
        return list(given)
    reports: dict[str, list[Prediction]] = {}
    for region, own in zip(regions, given, strict=True):
        reports.setdefault(str(region.group), []).append(own)
    return [
        replace(
            own[0],
            id=f"{id}/p",
            problem_id=id,
            text="".join(p.text for p in own),
            answer="".join(p.text for p in own),
        )
        for id, own in reports.items()
    ]


def wholes(regions: Sequence[Problem]) -> list[Problem]:
    golds: dict[str, str] = {}
    for region in regions:
        golds[str(region.group)] = golds.get(str(region.group), "") + str(region.answer)
    return [Problem(id, "", gold) for id, gold in golds.items()]


REPORTS = replace(
    TASK,
    name="reports",
    language="zh",
    metric="bleu",
    assemble=regions_to_reports,
    wholes=wholes,
    meta={"finder": lambda text: {organ for organ in "肝肺骨" if organ in text}},
)


def test_reports_are_put_together_before_they_are_graded() -> None:
    texts = [
        ("a", "肝右叶低密度结节"),
        ("a", "双肺未见异常影"),
        ("b", "骨质破坏伴代谢增高"),
        ("c", "术后改变同前相仿"),
    ]
    regions = [
        Problem(f"{group}-{i}", "", text, group=group) for i, (group, text) in enumerate(texts)
    ]
    given = [replace(prediction(r, r.answer), text=str(r.answer)) for r in regions]
    score = grade(given, regions, REPORTS)
    assert (score.value, score.n, score.missing) == (pytest.approx(100.0), 3, 0)
    assert ",tok:zh," in score.signature()
    whole = [prediction(report, report.answer) for report in wholes(regions)]
    assert grade(whole, regions, REPORTS).value == pytest.approx(100.0)
    assert grade(whole[1:], regions, REPORTS).missing == 1
    without = grade(given[1:], regions, REPORTS, metric="missing_ratio")
    assert (without.value, without.n, without.left_out, without.missing) == (25.0, 2, 1, 1)
    assert (
        without.signature().startswith("mr = 25.0 [0.0, 65.8] ")
        and "left_out:1" in without.signature()
    )


def test_grades_are_records_that_go_round(tmp_path: object) -> None:
    for own in graded([True, False]).grades:
        assert Grade.from_row(json.loads(json.dumps(own.to_row()))) == own
