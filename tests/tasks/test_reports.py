"""PET reports: regions, items, the closing formula, and reports put together again."""

from __future__ import annotations

import pytest

from smallsteps.errors import DataError
from smallsteps.records import Chain, Prediction
from smallsteps.tasks import STOP_TOKEN, get_task
from smallsteps.tasks.reports import (
    NORMAL,
    assemble,
    extract_report,
    is_formula,
    items,
    items_by_region,
    mentions,
    names_in,
    prepare,
    regions,
    report_chains,
    thin_normal,
    whole_reports,
)

FINDINGS = (
    "注射示踪剂60min后显像，视野范围内见大脑形态如常。双侧上颌窦黏膜增厚。      颈部及锁骨上区未见明显异常。      "
    "两肺显影清晰，双肺内可见小结节，SUVmax：1.1。  肝脏形态可，胰头部增大，SUVmax:9.1。脾脏、两侧肾上腺正常。      "
    "前列腺大小正常。      视野内轴心骨未见异常。"
)
IMPRESSION = (
    "与DATEPET/CT检查比较：  1、胰头高代谢病变，考虑恶性；双肺转移。  2.双肺多发小结节。3、左侧上颌窦炎  "
    "余躯干及脑部PET/CT检查未见其他异常代谢征象。"
)


def predictions(
    chains: list[Chain], texts: list[str], stopped: str = "stop_sign"
) -> list[Prediction]:
    return [
        Prediction(f"p{i}", chain.problem.id, text, (("ES", text),), text, stopped, 3, 0.5)  # type: ignore[arg-type]
        for i, (chain, text) in enumerate(zip(chains, texts, strict=True))
    ]


def test_regions_are_the_paragraphs_without_the_opening() -> None:
    found = regions(FINDINGS)
    assert len(found) == 6
    assert found[0] == "大脑形态如常。双侧上颌窦黏膜增厚。"
    assert regions("注射示踪剂60min后行腹部显像。      肝脏正常。") == ["肝脏正常。"]
    assert regions("注射示踪剂60min后显像，扫描视野内双肺未见异常。") == [
        "双肺未见异常。"
    ]  # not cut at 未见


def test_items_are_split_at_their_numbers_and_lose_them() -> None:
    assert items(IMPRESSION) == [
        "与DATEPET/CT检查比较：",
        "胰头高代谢病变，考虑恶性；双肺转移。",
        "双肺多发小结节。",
        "左侧上颌窦炎。",
    ]
    assert items("1.肿块1.5cm，SUVmax 2.3。2 、肾囊肿") == [
        "肿块1.5cm，SUVmax 2.3。",
        "肾囊肿。",
    ]  # decimals are no items


@pytest.mark.parametrize(
    ("sentence", "formula"),
    [
        ("余躯干及脑部PET/CT检查未见其他异常代谢征象。", True),
        ("余腹、盆腔PET/CT检查未见明显异常代谢征象", True),
        ("5、脑部PET/CT检查未见明显异常代谢征象。", True),
        ("目前余躯干及脑部PET/CT检查未见其它高代谢征象。", True),
        ("躯干余部及脑实质PET/CT检查未见明显异常代谢征象。", True),
        ("余所见同前相仿。", True),
        ("余所见（双肺气肿及肺大泡；脂肪肝）同前相仿。", False),  # holds findings
        ("腹膜后淋巴结未见异常代谢。", False),
        ("双肺小结节，余肺未见异常代谢征象。", False),
        ("肝囊肿。", False),
    ],
)
def test_the_closing_formula_is_told_from_findings(sentence: str, formula: bool) -> None:
    assert is_formula(sentence) is formula


def test_the_formula_is_left_out_of_gold_and_prediction_alike() -> None:
    text = "肝囊肿。余躯干PET/CT检查未见明显异常代谢征象。"
    assert extract_report(text + STOP_TOKEN) == "肝囊肿。"
    assert extract_report("余躯干PET/CT检查未见明显异常代谢征象。") is None
    assert "余" not in "".join(items(IMPRESSION))
    assert mentions(text) == {"肝"}  # 躯干 and 脑 stand in the formula alone


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("锁骨上区淋巴结", ["颈"]),  # no bone
        ("左侧肾上腺结节", ["肾上腺"]),  # no kidney
        ("胰颈、宫颈、颈椎", ["胰", "子宫", "骨"]),  # no neck
        ("双肺门及右肺", ["肺门", "肺"]),
        ("十二指肠与乙状结肠", ["十二指肠", "乙状结肠"]),
        ("盆腔积液，盆腔", ["盆腔"]),
        ("贫血", []),
    ],
)
def test_the_longest_keyword_names_the_organ(text: str, names: list[str]) -> None:
    assert names_in(text) == names


def test_an_item_goes_to_its_main_organ_and_none_is_lost() -> None:
    told = items_by_region(regions(FINDINGS), IMPRESSION)
    assert told[3] == [
        "胰头高代谢病变，考虑恶性；双肺转移。"
    ]  # names the pancreas first, and the lungs
    assert told[2] == ["双肺多发小结节。"]
    assert told[0] == [
        "与DATEPET/CT检查比较：",
        "左侧上颌窦炎。",
    ]  # names no organ: the first abnormal region
    assert [told[1], told[4], told[5]] == [[], [], []]
    assert sorted(item for region in told for item in region) == sorted(items(IMPRESSION))


def test_without_any_named_organ_the_first_seemingly_abnormal_region_takes_the_item() -> None:
    assert items_by_region(["脑如常。", "肝见结节，SUVmax 3。"], "1、贫血。") == [[], ["贫血。"]]
    assert items_by_region(["脑如常。"], "1、贫血。") == [["贫血。"]]


def test_each_region_is_a_chain_of_its_own_and_normal_ones_say_so() -> None:
    chains = prepare("r", {"findings": FINDINGS, "impression": IMPRESSION})
    assert [chain.problem.id for chain in chains] == [f"r/{k}" for k in range(1, 7)]
    assert {chain.problem.group for chain in chains} == {"r"}
    assert chains[1].rationale.text == NORMAL == chains[1].problem.answer
    assert [chain.problem.meta["normal"] for chain in chains] == [
        False,
        True,
        False,
        False,
        True,
        True,
    ]
    with pytest.raises(DataError, match="holds its opening alone"):
        prepare("r", {"findings": "注射示踪剂60min后显像，见", "impression": "肝囊肿。"})


def test_gamma_is_normal_regions_included_over_reports() -> None:
    chains = [
        c
        for i in range(10)
        for c in prepare(f"r{i}", {"findings": FINDINGS, "impression": IMPRESSION})
    ]
    for gamma, normal in ((0.0, 0), (0.5, 5), (1.0, 10), (9.0, 30)):
        kept = thin_normal(chains, gamma, seed=0)
        assert sum(chain.problem.meta["normal"] for chain in kept) == normal
        assert [c for c in kept if not c.problem.meta["normal"]] == [
            c for c in chains if not c.problem.meta["normal"]
        ]
        assert kept == sorted(kept, key=chains.index)
    assert thin_normal(chains, 1.0, 0) == thin_normal(chains, 1.0, 0) != thin_normal(chains, 1.0, 1)
    with pytest.raises(DataError, match=r"gamma must be 0 or more, got -1\.0"):
        thin_normal(chains, -1.0, 0)


def test_a_report_is_its_regions_non_normal_outputs_in_order() -> None:
    chains = prepare("r", {"findings": FINDINGS, "impression": IMPRESSION})
    problems = [chain.problem for chain in chains]
    texts = [
        "上颌窦炎。",
        NORMAL,
        "肺结节。" + STOP_TOKEN,
        "胰头癌。余腹部PET/CT检查未见异常代谢征象。",
        f"{NORMAL}。",
        "",
    ]
    (report,) = assemble(problems, predictions(chains, texts)[::-1])
    assert report.answer == report.text == "上颌窦炎。肺结节。胰头癌。"
    assert (report.problem_id, report.tokens, report.seconds) == ("r", 18, 3.0)
    (whole,) = whole_reports(problems)
    assert whole.answer == "".join(items(IMPRESSION))
    assert get_task("pet").grade(report, whole).value == 0.0


def test_a_report_of_its_gold_regions_names_all_that_the_gold_names() -> None:
    chains = prepare("r", {"findings": FINDINGS, "impression": IMPRESSION})
    (report,) = assemble(
        [c.problem for c in chains], predictions(chains, [c.rationale.text for c in chains])
    )
    assert mentions(report.text) == mentions(
        whole_reports([c.problem for c in chains])[0].answer or ""
    )


def test_all_normal_nothing_written_and_how_it_stopped() -> None:
    chains = prepare(
        "r", {"findings": "脑正常。  肝正常。", "impression": "余躯干PET/CT检查未见异常代谢征象。"}
    )
    problems = [chain.problem for chain in chains]
    assert whole_reports(problems)[0].answer == NORMAL
    (normal,) = assemble(problems, predictions(chains, [NORMAL, NORMAL]))
    assert get_task("pet").grade(normal, whole_reports(problems)[0]).value == 1.0
    (silent,) = assemble(problems, predictions(chains, ["", ""], "limit"))
    assert silent.answer is None
    mixed = [*predictions(chains[:1], [NORMAL], "empty"), *predictions(chains[1:], [NORMAL])]
    assert (silent.stopped, assemble(problems, mixed)[0].stopped) == ("limit", "empty")


def test_a_missing_region_is_named() -> None:
    chains = prepare("r", {"findings": "脑正常。  肝正常。", "impression": "肝囊肿。"})
    with pytest.raises(
        DataError, match=r"report r: no prediction for region r/2\. Solve the whole file"
    ):
        assemble([c.problem for c in chains], predictions(chains[:1], [NORMAL]))


def test_whole_reports_are_an_arm_of_their_own() -> None:
    chains = prepare("r", {"findings": FINDINGS, "impression": IMPRESSION})
    (whole,) = report_chains(chains)
    assert whole.rationale.text == whole.problem.answer == "".join(items(IMPRESSION))
    assert whole.problem.question.startswith("大脑形态如常。")
    (passed,) = assemble(
        [c.problem for c in chains], predictions([whole], ["肝囊肿。余所见同前相仿。"])
    )
    assert (passed.problem_id, passed.answer) == ("r", "肝囊肿。")


def test_a_report_without_impression_can_be_solved_but_not_graded() -> None:
    chains = prepare("r", {"findings": "脑正常。  肝正常。"})
    assert [c.problem.answer for c in chains] == [None, None]
    (whole,) = whole_reports([c.problem for c in chains])
    assert (whole.id, whole.question, whole.answer) == ("r", "脑正常。  肝正常。", None)
