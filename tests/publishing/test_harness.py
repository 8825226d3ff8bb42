"""lm-evaluation-harness and our strict rule on the same texts: where they agree, and where and why
they do not."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import pytest

from publishing.gsm8k_outputs import OUTPUTS, REASONS
from smallsteps.cli.main import main
from smallsteps.errors import DataError, RecipeError
from smallsteps.publishing import harness
from smallsteps.publishing.harness import harness_scores
from smallsteps.records import Prediction, Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_rows

GSM8K = get_task("gsm8k")
REAL = Path(__file__).resolve().parents[3] / "shared/data/gsm8k_cot_llama3_70b/train.jsonl"


def prediction(identifier: str, text: str, answer: str | None = None) -> Prediction:
    return Prediction(
        id=f"{identifier}/prediction",
        problem_id=identifier,
        text=text,
        segments=(),
        answer=answer,
        stopped="end",
        tokens=1,
        seconds=0.0,
        author="recorded",
    )


def ours(text: str, gold: str) -> bool:
    return GSM8K.same(GSM8K.extract(text, False, None), gold)


def test_our_verdicts_on_recorded_outputs_are_those_in_the_list() -> None:
    assert {row.name: ours(row.text, row.gold) for row in OUTPUTS} == {
        row.name: row.ours for row in OUTPUTS
    }


def test_each_disagreement_with_strict_match_has_a_reason_that_the_docs_name() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/lm-eval.md").read_text(encoding="utf-8")
    for row in OUTPUTS:
        assert (row.ours != row.strict) == bool(row.why), row.name
        assert not row.why or row.why in REASONS, row.name
    assert {row.why for row in OUTPUTS} - {""} == set(REASONS)
    for reason in REASONS.values():
        assert reason in " ".join(page.split()), reason


def test_the_harness_gives_the_verdicts_in_the_list() -> None:
    pytest.importorskip("lm_eval")
    problems = [Problem(row.name, "How many?", row.gold) for row in OUTPUTS]
    scores = harness_scores([prediction(row.name, row.text) for row in OUTPUTS], problems)
    assert scores.right["strict-match"] == {row.name: row.strict for row in OUTPUTS}
    assert scores.right["flexible-extract"] == {row.name: row.flexible for row in OUTPUTS}
    share = 100 * sum(row.strict for row in OUTPUTS) / len(OUTPUTS)
    assert scores.values["strict-match"] == pytest.approx(share)


def test_a_problem_without_a_prediction_is_wrong_and_one_without_text_is_refused() -> None:
    pytest.importorskip("lm_eval")
    problems = [Problem("a", "How many?", "7"), Problem("b", "How many?", "7")]
    scores = harness_scores([prediction("a", "The answer is 7.", "7")], problems)
    assert scores.right["strict-match"] == {"a": True, "b": False}
    with pytest.raises(DataError, match=r"a: an answer without its text"):
        harness_scores([prediction("a", "", "7")], problems)


def test_without_the_harness_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "lm_eval", None)
    with pytest.raises(RecipeError, match=r'not installed\. Type: pip install "smallsteps\[lm-ev'):
        harness_scores([], [])


def test_grade_prints_both_figures_and_names_where_they_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = [{"id": "a", "text": "The answer is $7."}, {"id": "b", "text": "The answer is 8."}]
    gold = [{"id": "a", "answer": "7"}, {"id": "b", "answer": "8"}]
    for name, rows in (("said", said), ("gold", gold)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(text)
    scores = harness.HarnessScores(
        "0.4", {"strict-match": 50.0}, {"strict-match": {"a": False, "b": True}}
    )
    monkeypatch.setattr(harness, "harness_scores", lambda *_: scores)
    files = [str(tmp_path / "said.jsonl"), str(tmp_path / "gold.jsonl"), "--task", "gsm8k"]
    assert main(["grade", *files, "--with", "lm-eval"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "acc = 100.0" in shown and "exact_match = 50.0 | strict-match of lm-eval 0.4" in shown
    assert "another verdict than ours on 1: a" in shown
    assert main(["grade", *files, "--with", "lm-eval", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["lm-eval"]["strict-match"] == 50.0
    assert main(["grade", *files, "--with", "harness"]) == 2
    assert "--with harness: expected lm-eval." in capsys.readouterr().err


@pytest.mark.data
def test_on_closed_chains_of_a_large_model_both_agree_but_for_the_few_that_the_docs_count() -> None:
    pytest.importorskip("lm_eval")
    if not REAL.is_file():
        pytest.skip("no real data")
    rows = [row for _, row in read_rows(REAL)][:2000]
    problems = [Problem(row["id"], row["question"], str(row["answer"])) for row in rows]
    answers = [
        prediction(row["id"], GSM8K.close(row["rationale"], str(row["predicted"]))) for row in rows
    ]
    right = harness_scores(answers, problems).right["strict-match"]
    golds = {problem.id: str(problem.answer) for problem in problems}
    others = [
        answer.problem_id
        for answer in answers
        if right[answer.problem_id] != ours(answer.text, golds[answer.problem_id])
    ]
    assert len(rows) == 2000 and len(others) == 15


def test_noise_stays_off_the_terminal_and_is_printed_where_the_harness_fails(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with harness._quiet():
        os.write(2, b"fatal: not a git repository")
        warnings.warn("deprecated", stacklevel=1)
    assert capfd.readouterr().err == ""
    with pytest.raises(ValueError, match="broken"), harness._quiet():
        os.write(2, b"because of this")
        raise ValueError("broken")
    os.write(2, b" and then")
    assert capfd.readouterr().err == "because of this and then"
