"""Every row of the real data goes through our readers, and every gold answer through our own
extractor."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains, read_problems, read_rows
from smallsteps.tasks.reports import items, mentions, whole_reports
from smallsteps.tasks.splits import split_problems

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not DATA.is_dir(), reason="the real data sets are not beside the repository"
    ),
]


@pytest.mark.parametrize(
    ("task", "file", "rows", "wrong"),
    [
        ("gsm8k", "gsm8k/train", 7073, 0),
        ("gsm8k", "gsm8k/test", 1000, 0),
        ("gsm8k", "gsm8k_cot_llama3_70b/train", 7045, 46),
        ("gsm8k", "gsm8k_cot_gemini15_flash/train", 4000, 194),
        ("numbers", "gsm8k_cot_llama3_70b/train", 7045, 48),
        ("svamp", "svamp_cot_gpt4o/train", 560, 10),
        ("svamp", "svamp_cot_palm540b/train", 800, 208),
        ("commonsenseqa", "commonsenseqa/train", 9741, 2507),
        ("commonsenseqa", "zeroshot_cot_davinci002/commonsenseqa_dev", 1000, 357),
        ("strategyqa", "strategyqa/train", 1800, 0),
        ("strategyqa", "strategyqa_cot_gpt4o/train", 1798, 70),
        ("strategyqa", "zeroshot_cot_davinci002/strategyqa", 2029, 914),
        ("text", "hotpotqa_cot/react_gpt4", 500, 7),
        ("text", "ircot_annotations/hotpotqa", 29, 0),
        ("text", "ircot_annotations/musique", 20, 0),
    ],
)
def test_every_chain_ends_in_its_gold_answer(task: str, file: str, rows: int, wrong: int) -> None:
    the_task = get_task(task)
    read = read_chains(DATA / f"{file}.jsonl", the_task)
    assert (read.rows, read.wrong, len(read.chains)) == (rows, wrong, rows - wrong)
    for problem, rationale in read.chains:
        assert the_task.ends_chain(rationale.text, problem), rationale.text
        assert the_task.same(the_task.extract(rationale.text, False, problem), problem.answer), (
            rationale.text
        )
    kept = read_chains(DATA / f"{file}.jsonl", the_task, allow_wrong=True).chains
    assert len(kept) == rows
    assert all(the_task.ends_chain(rationale.text, problem) for problem, rationale in kept)


@pytest.mark.parametrize(
    ("task", "file"),
    [
        ("svamp", "svamp/test"),
        ("multiarith", "multiarith/test"),
        ("asdiv", "asdiv/test"),
        ("numbers", "asdiv/test"),
        ("strategyqa", "strategyqa/dev"),
        ("hotpotqa-gold", "hotpotqa/dev"),
        ("hotpotqa-gold", "hotpotqa/train"),
        ("2wikimultihopqa-gold", "2wikimultihopqa/dev"),
        ("2wikimultihopqa-gold", "2wikimultihopqa/dev_gold"),
        ("text", "2wikimultihopqa/dev_gold"),
        ("text", "musique/train"),
    ],
)
def test_every_gold_answer_passes_our_own_extractor(task: str, file: str) -> None:
    the_task = get_task(task)
    for problem in read_problems(DATA / f"{file}.jsonl", the_task):
        closed = the_task.close("So it is.", problem.answer, problem)
        assert the_task.ends_chain(closed, problem), closed
        assert the_task.same(the_task.extract(closed, False, problem), problem.answer), closed
        assert not the_task.same(None, problem.answer)


def test_reports_keep_every_item_and_most_items_find_their_region() -> None:
    task = get_task("pet")
    chains = read_chains(DATA / "pet" / "val.jsonl", task).chains
    gold = {p.id: p.answer for p in whole_reports([c.problem for c in chains])}
    by_report: dict[str, list[str]] = {}
    for chain in chains:
        if not chain.problem.meta["normal"]:
            by_report.setdefault(chain.problem.group or "", []).append(chain.rationale.text)
    for _, row in read_rows(DATA / "pet" / "val.jsonl"):
        told = items(row["impression"])
        assert sum(map(len, told)) == sum(map(len, by_report.get(row["id"], [])))
        assert mentions("".join(told)) == mentions("".join(by_report.get(row["id"], [])))
        if told:
            assert gold[row["id"]] == "".join(told)
    normal = sum(chain.problem.meta["normal"] for chain in chains)
    assert 1.5 < normal / len(gold) < 3


def test_splits_of_real_chains_share_no_question() -> None:
    chains = read_chains(
        DATA / "zeroshot_cot_davinci002" / "multiarith.jsonl", get_task("multiarith")
    ).chains
    split = split_problems(chains, 0)
    assert split.overlap == 0
    assert sum(split.groups) < len(chains)  # some questions stand twice under their own ids
