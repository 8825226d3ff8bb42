"""The grader: rows in = rows out, numbers with their signature, fair pairs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
import sacrebleu

from smallsteps.errors import DataError, RecipeError
from smallsteps.evaluation.grade import Score, compare_scores, grade, pool_scores
from smallsteps.records import Grade, Prediction, Problem
from smallsteps.tasks.base import Task, same_text

TASK = Task(
    "words", render=lambda problem: problem.question, extract=lambda *_: None, same=same_text
)


def problems(n: int) -> list[Problem]:
    return [Problem(f"q{i}", "How many?", str(i)) for i in range(n)]


def prediction(problem: Problem, answer: str | None, stopped: str = "stop_sign") -> Prediction:
    text = f"It is {answer}."
    return Prediction(f"{problem.id}/p", problem.id, text, ((None, text),), answer, stopped)  # type: ignore[arg-type]


def graded(right: Sequence[bool], seed: int = 0) -> Score:
    gold = problems(len(right))
    return grade(
        [prediction(p, p.answer if ok else "no") for p, ok in zip(gold, right, strict=True)],
        gold,
        TASK,
        seed=seed,
    )


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
        "acc = 50.0 ± 50.0 | task:words/test | n:4 | unparsed:1 | decode:temperature 0.7 | seed:1 | smallsteps:0.1.0"
    )
    assert " | unparsed:0 | missing:2 | " in grade(given[::2], gold, TASK).signature()
    assert grade(given, gold, TASK).signature().startswith("acc = 50.0 ± 50.0 | task:words | n:4")


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
    assert without.signature().startswith("mr = 25.0 ± ") and "left_out:1" in without.signature()


def test_a_comparison_is_paired() -> None:
    baseline = graded([True] * 40 + [False] * 60)
    score = graded([True] * 52 + [False] * 48)
    found = compare_scores(score, baseline)
    assert (found.difference, found.only_score, found.only_baseline, found.n) == (
        pytest.approx(12.0),
        12,
        0,
        100,
    )
    assert found.p_mcnemar == pytest.approx(2 / 2**12)
    assert 0 < found.low < 12 < found.high and found.p_bootstrap < 0.01
    other = compare_scores(baseline, score)
    assert (other.low, other.high) == (pytest.approx(-found.high), pytest.approx(-found.low))
    assert str(found).startswith("+12.0 [+") and "McNemar p = 0.000, n = 100" in str(found)


def test_bleu_is_compared_by_bootstrap_alone() -> None:
    gold = problems(6)
    references = {p.id: f"Ann has {p.answer} boxes with four pens each." for p in gold}
    exact = [replace(prediction(p, p.answer), text=references[p.id]) for p in gold]
    loose = [
        replace(prediction(p, p.answer), text=f"Ann has {p.answer} boxes with pens.") for p in gold
    ]
    scores = [grade(g, gold, TASK, metric="bleu", references=references) for g in (exact, loose)]
    found = compare_scores(*scores)
    assert found.p_mcnemar is None and found.difference > 0 and found.low > 0


def test_seeds_are_pooled_over_questions_and_seeds() -> None:
    runs = [graded([True] * k + [False] * (100 - k), seed=s) for s, k in enumerate((30, 50, 70))]
    pooled = pool_scores(runs)
    assert (pooled.value, pooled.n, pooled.seeds) == (pytest.approx(50.0), 100, (0, 1, 2))
    assert len(pooled.grades) == 300 and pooled.stopped == {"stop_sign": 300}
    assert pooled.high - pooled.low > 1.3 * (runs[1].high - runs[1].low)
    assert "seed:0,1,2" in pooled.signature() and pooled.to_row()["seed"] == [0, 1, 2]
    found = compare_scores(pooled, pool_scores([runs[0]] * 3))
    assert found.difference == pytest.approx(20.0) and found.p_mcnemar is None


def test_what_cannot_be_paired_is_refused() -> None:
    score = graded([True, False])
    with pytest.raises(DataError, match="different problems"):
        compare_scores(score, graded([True]))
    with pytest.raises(DataError, match="Cannot pair 2 seeds with 1"):
        compare_scores(pool_scores([score, score]), score)
    with pytest.raises(DataError, match="Cannot compare accuracy with rouge_l"):
        compare_scores(grade([], problems(2), TASK, metric="rouge_l"), score)
    with pytest.raises(DataError, match="no scores to pool"):
        pool_scores([])


def test_grades_are_records_that_go_round(tmp_path: object) -> None:
    for own in graded([True, False]).grades:
        assert Grade.from_row(json.loads(json.dumps(own.to_row()))) == own
