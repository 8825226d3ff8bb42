"""results.json is read as it was written; other versions and damaged files are refused by name."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from smallsteps.errors import RunFolderError
from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.results import (
    METHOD_RESULTS,
    ArmResult,
    MethodResults,
    Results,
    read_results,
    write_results,
)
from smallsteps.experiment.run_facts import BudgetFacts, DataFacts
from smallsteps.methods.guided.results import GuidedResults, JudgeResult
from smallsteps.methods.tailored.results import TailoredResults


def arm(**more: Any) -> ArmResult:
    fields = {
        "name": "direct",
        "method": "baselines",
        "seed": 0,
        "task": "numbers",
        "dataset": "test",
        "metric": "accuracy",
        "value": 41.25,
        "low": 38.0,
        "high": 44.5,
        "n": 12,
        "unparsed": 1,
        "missing": 0,
        "left_out": 0,
        "stopped": {"stop_sign": 11, "limit": 1},
        "decode": "greedy",
        "signature": "acc = 41.2",
        "seconds_per_answer": 0.01,
        "tokens_per_answer": 20.0,
        "folder": "arms/direct-seed0",
    }
    return ArmResult(**{**fields, **more})


def results(**more: Any) -> Results:
    fields = {
        "title": "Pens",
        "arms": [arm(metrics={"bleu": Figure(value=1.0, low=0.5, high=1.5)})],
        "data": DataFacts(
            source="a.jsonl", task="numbers", train=8, validation=2, test=2, overlap=0
        ),
        "budget": BudgetFacts(until="tokens", tokens=100),
        "best": None,
    }
    return Results(**{**fields, **more})


def judged(auc: float) -> GuidedResults:
    row = JudgeResult(judge="lexical", aspect="factuality", perturbation="swap", auc=auc, n=5)
    return GuidedResults(reader="r", yields=None, guidance=[], refinement=[], judge=[row])


def test_what_is_written_is_read_back_the_same_with_the_parts_of_all_methods(
    tmp_path: Path,
) -> None:
    tailored = TailoredResults(teacher="solver", equal="all", rounds=[])
    written = results(methods={"tailored": tailored, "guided": judged(0.75)})
    write_results(tmp_path, written)
    assert read_results(tmp_path) == written
    content = json.loads((tmp_path / "results.json").read_text())
    assert content["methods"]["guided"]["judge"][0]["auc"] == 0.75
    assert content["schema_version"] == 2


def test_a_method_is_found_by_its_name_in_a_process_that_has_not_imported_it(
    tmp_path: Path,
) -> None:
    """And without torch: a page or a script that reads results must not wait for it."""
    write_results(tmp_path, results(methods={"guided": judged(0.5)}))
    code = (
        "import sys; from smallsteps.experiment.results import read_results; "
        f"print(read_results({str(tmp_path)!r}).methods['guided'].judge[0].auc, "
        "'torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["0.5", "False"]


class PenResults(MethodResults):
    pens: int


def test_a_method_from_elsewhere_adds_one_line_and_is_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHOD_RESULTS, "pens", PenResults)
    write_results(tmp_path, results(methods={"pens": PenResults(pens=3)}))
    assert read_results(tmp_path).methods["pens"] == PenResults(pens=3)


def test_the_part_of_a_method_that_is_not_installed_is_refused_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHOD_RESULTS, "pens", PenResults)
    write_results(tmp_path, results(methods={"pens": PenResults(pens=3)}))
    monkeypatch.delitem(METHOD_RESULTS, "pens")
    with pytest.raises(RunFolderError, match=r"results\.json: methods: .*'pens'"):
        read_results(tmp_path)


def changed(folder: Path, change: Any) -> None:
    """The results, written and then changed by `change` in the file."""
    path = write_results(folder, results(methods={"guided": judged(0.5)}))
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_results_of_an_older_version_are_refused_with_what_to_do(tmp_path: Path) -> None:
    changed(tmp_path, lambda content: content.pop("schema_version"))
    message = r"results\.json: no schema_version, expected 2: an older .* new folder \(--out DIR\)"
    with pytest.raises(RunFolderError, match=message):
        read_results(tmp_path)


def test_results_of_a_newer_version_ask_for_an_update(tmp_path: Path) -> None:
    changed(tmp_path, lambda content: content.update(schema_version=3))
    with pytest.raises(RunFolderError, match=r"schema_version 3, expected 2: a newer .* Update"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["arms"][0].pop("value"), r"arms\[0\]\.value: Field required"),
        (lambda c: c["arms"][0].update(n="12"), r"arms\[0\]\.n: Input should be a valid integer"),
        (lambda c: c["arms"][0].update(valu=1), r"arms\[0\]\.valu: Extra inputs"),
        (
            lambda c: c["arms"][0]["metrics"]["bleu"].update(low="x"),
            r"arms\[0\]\.metrics\.bleu\.low",
        ),
        (lambda c: c["methods"]["guided"].pop("reader"), r"methods: .*guided\.reader: Field req"),
    ],
)
def test_a_wrong_key_is_named_with_its_place(tmp_path: Path, change: Any, message: str) -> None:
    changed(tmp_path, change)
    with pytest.raises(RunFolderError, match=rf"results\.json: {message}"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no such file. The run has not finished"),
        ("{", "not whole JSON. Delete the file"),
        ("[]", "expected a JSON object, got list"),
    ],
)
def test_a_missing_or_damaged_file_says_what_to_do(
    tmp_path: Path, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / "results.json").write_text(text)
    with pytest.raises(RunFolderError, match=message):
        read_results(tmp_path)
