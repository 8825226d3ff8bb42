"""The real chains of thought: every one joins back, and the model-free strategies behave as
measured before."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from smallsteps.records import Chain, Problem, Rationale
from smallsteps.segments.agreement import SegmentTally, strategy_agreement
from smallsteps.segments.examples import build_examples, segment_limit
from smallsteps.segments.label import segment_chains
from smallsteps.segments.split import split
from smallsteps.segments.strategies import Scoring
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import read_chains, write_rows

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not DATA.is_dir(), reason="the real data sets are not beside the repository"
    ),
]


def read(name: str) -> Iterator[dict[str, Any]]:
    for file in sorted(DATA.glob(name)):
        with file.open(encoding="utf-8") as lines:  # not splitlines(): two questions hold a U+2028
            for line in lines:
                yield json.loads(line)


@pytest.fixture(scope="module")
def gsm8k() -> list[Chain]:
    return [
        Chain(
            Problem(row["id"], row["question"], row["answer"]),
            Rationale(
                f"{row['id']}/0", row["id"], f"{row['rationale']} The answer is {row['predicted']}."
            ),
        )
        for row in read("gsm8k_cot_llama3_70b/train.jsonl")
    ]


def test_all_gsm8k_chains_split_within_a_second_and_join_back(gsm8k: list[Chain]) -> None:
    texts = [chain.rationale.text for chain in gsm8k]
    start = time.perf_counter()
    pieces = [split(text) for text in texts]
    seconds = time.perf_counter() - start
    assert ["".join(own) for own in pieces] == texts
    assert len(texts) == 7045 and seconds < 1
    # 2 in 7,045 differ: a last line without a full stop runs into the closing sentence
    assert sum(own[-1].startswith("The answer is") for own in pieces) > 0.9 * len(pieces)


def test_all_impressions_join_back_and_items_keep_their_numbers() -> None:
    texts = [row["impression"] for row in read("pet/*.jsonl")]
    pieces = [split(text) for text in texts]
    assert len(texts) == 10806 and ["".join(own) for own in pieces] == texts
    # the last piece apart: one report breaks off after "1."
    assert not any(piece.strip().rstrip(".、").isdigit() for own in pieces for piece in own[:-1])


def test_shares_of_the_strategies_without_a_model(gsm8k: list[Chain], task: Task) -> None:
    found = {}
    for name in ("inter", "bleu", "rouge"):
        tally = SegmentTally()
        for pair in zip(gsm8k[:700], segment_chains(gsm8k[:700], name, task=task), strict=True):
            tally.add(*pair)
        found[name] = tally.shares()
    assert found["inter"].opens_abstractive == 0
    assert (
        30 < found["rouge"].opens_abstractive < 70
    )  # a third to two thirds of the chains, by rouge and bleu
    assert 30 < found["bleu"].opens_abstractive < 75
    assert found["inter"].segments_per_chain > found["rouge"].segments_per_chain > 3


def test_inter_chains_are_longer_than_ten_segments_and_can_be_reproduced(
    gsm8k: list[Chain], task: Task
) -> None:
    lengths = [len(split(chain.rationale.text)) for chain in gsm8k]
    assert 0.17 < sum(length > 10 for length in lengths) / len(lengths) < 0.19
    train = gsm8k[:600]
    examples = build_examples(train, segment_chains(train, "inter", task=task), task, "uni")
    assert segment_limit(examples) > max(lengths[:600])


def test_a_few_chains_say_the_answer_before_their_end(gsm8k: list[Chain]) -> None:
    task = get_task("gsm8k")
    odd = 0
    for chain in gsm8k:
        pieces = split(chain.rationale.text)
        ends = accumulate(pieces[:-1])
        odd += any(task.ends_chain(text.strip(), chain.problem) for text in ends)
    assert 10 < odd < 0.01 * len(gsm8k), "so few that leaving them out costs nothing"


def test_agreement_with_ircot_s_annotations(tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / "labelled_chains.py"
    spec = importlib.util.spec_from_file_location("labelled_chains", script)
    assert spec is not None and spec.loader is not None
    labelled_chains = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(labelled_chains)
    file = tmp_path / "ircot.jsonl"
    write_rows(file, labelled_chains.annotated(DATA / "ircot_annotations"))
    task = get_task("text")
    chains = read_chains(file, task, closing="keep", allow_wrong=True).chains
    agreements = {
        name: strategy_agreement(chains, name, Scoring(task), whole_segments=True)
        for name in ("inter", "bleu", "rouge")
    }
    assert {(result.n, result.chains) for result in agreements.values()} == {(248, 69)}
    kappas = {name: round(result.kappa, 2) for name, result in agreements.items()}
    assert kappas == {"inter": -0.19, "bleu": 0.22, "rouge": 0.70}
