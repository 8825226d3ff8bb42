"""Radiology reports: cPET-11K, Chinese PET/CT findings and the impression drawn from them (section
6 of the AS-ES page).

The paragraphs of the findings are body regions, and each region is its own chain: its text → what
the impression says about it. An impression is a list of numbered items; an item goes to the first
region that one of its organ keywords names, in the order in which the item names them (its main
organ first), and an item that names none goes to the first abnormal region. A region without an
item gets `NORMAL`. The closing formula ("余…未见其他异常代谢征象", the rest is normal) belongs to no region
and is left out of gold and prediction alike. Chains end in `<STOP>`.

A report's prediction is its regions' non-normal outputs in order (`assemble`); its gold text is the
impression in the doctor's own order, without item numbers and formula (`whole_reports`). The
keyword lists are ours; the paper names none."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from smallsteps.errors import DataError
from smallsteps.records import Chain, Prediction, Problem, Rationale, Stopped
from smallsteps.tasks.base import STOP_TOKEN, Task, render_question

NORMAL = "未见明显异常"
"""The target of a region that no item speaks of (the paper's "No obvious anomaly")."""

REGION_KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "头部": ("头部", "头颈", "头皮", "头顶", "颅内"),
    "胸部": ("胸部", "胸壁", "胸廓"),
    "腹部": ("腹部", "腹壁", "上腹", "中腹", "下腹", "腹盆"),
    "盆腔": ("盆腔", "盆部", "盆底"),
    "四肢": ("四肢", "上肢", "下肢", "大腿", "小腿", "上臂"),
}
"""Body regions by name; used, with the organs, for the missing ratio (Eq. 10)."""

ORGAN_KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "脑": ("脑", "额叶", "颞叶", "顶叶", "枕叶", "基底节", "垂体"),
    "鼻窦": ("上颌窦", "筛窦", "蝶窦", "额窦", "鼻窦", "鼻旁窦"),
    "鼻咽": ("鼻咽", "鼻甲", "鼻腔", "鼻中隔"),
    "口咽": ("口咽", "扁桃体", "咽", "舌", "口腔", "牙龈", "会厌"),
    "喉": ("喉", "声带"),
    "涎腺": ("腮腺", "颌下腺", "唾液腺", "涎腺"),
    "甲状腺": ("甲状腺", "结甲"),
    "眼": ("眼",),
    "颈": ("颈", "锁骨上", "锁上", "锁骨区", "颌下", "颏下"),
    "腋窝": ("腋窝", "腋下"),
    "肺": ("肺",),
    "肺门": ("肺门",),
    "气管": ("气管",),
    "纵隔": ("纵隔", "纵膈", "胸腺"),
    "胸膜": ("胸膜", "胸腔", "胸水", "叶间裂"),
    "心": ("心脏", "心肌", "心包", "心房", "心室", "心影", "心膈", "冠状动脉", "冠脉"),
    "主动脉": ("主动脉",),
    "乳腺": ("乳腺", "乳房", "乳头"),
    "膈": ("膈肌", "膈脚", "膈上", "膈下"),
    "食管": ("食管", "食道"),
    "胃": ("胃", "贲门", "幽门"),
    "十二指肠": ("十二指肠", "壶腹", "乳头部"),
    "小肠": ("小肠", "空肠", "回肠"),
    "结肠": ("结肠", "盲肠", "回盲", "阑尾", "肝曲", "脾曲"),
    "乙状结肠": ("乙状结肠",),
    "直肠": ("直肠", "肛"),
    "肠": ("肠",),
    "肝": ("肝",),
    "胆囊": ("胆囊",),
    "胆管": ("胆管", "胆总管", "胆道", "胆"),
    "胰": ("胰",),
    "脾": ("脾",),
    "肾上腺": ("肾上腺",),
    "肾": ("肾",),
    "输尿管": ("输尿管",),
    "肠系膜": ("肠系膜", "系膜"),
    "腹膜后": ("腹膜后", "后腹膜"),
    "腹膜": ("腹膜", "网膜", "腹腔", "腹水"),
    "膀胱": ("膀胱",),
    "前列腺": ("前列腺", "精囊"),
    "睾丸": ("睾丸", "阴囊", "鞘膜", "精索"),
    "子宫": ("子宫", "宫颈", "宫腔", "宫内", "阴道"),
    "附件": ("附件", "卵巢", "输卵管"),
    "腹股沟": ("腹股沟",),
    "骨": ("骨", "椎", "脊柱", "骶", "关节", "肋", "颈椎", "骨盆", "股骨颈", "肩胛", "颅板", "髋"),
    "肌肉": ("肌肉", "肌间", "腰大肌", "臀大肌", "竖脊肌", "肌"),
    "皮肤": ("皮下", "皮肤"),
}
"""Organs by name. The longest keyword wins at each place: 锁骨上 is the neck and no bone, 肾上腺 no
kidney."""

_COMPOUNDS: Mapping[str, str] = {"胰颈": "胰", "胆囊颈": "胆囊", "膀胱颈": "膀胱", "肋胸膜": "胸膜"}
_NAMES: dict[str, str] = {
    **{
        word: name
        for table in (REGION_KEYWORDS, ORGAN_KEYWORDS)
        for name, words in table.items()
        for word in words
    },
    **_COMPOUNDS,
}
_NAMED = re.compile("|".join(sorted(map(re.escape, _NAMES), key=len, reverse=True)))

_OPENING = re.compile(
    r"^\s*注射示踪剂\s*\d*\s*min后[^，,。]{0,20}?显像[，,。]?\s*(?:(?:扫描)?视野(?:范围)?内|扫描层面)?(?:所?见)?\s*[，,]?"
)
_GAP = re.compile(r"\s{2,}|\n")
_ITEM_START = re.compile(r"\s{2,}|\n|(?<=[。；：])\s*(?=\d{1,2}\s?[、.．](?!\d))")
_ITEM_NUMBER = re.compile(r"^\s*[（(]?\d{1,2}\s*(?:[、.．)）]|\s)(?!\d)\s*")
_ABNORMAL = re.compile(r"SUV|(?:摄取|浓聚)(?:异常|轻度|略|稍|明显)*增高")
_FORMULA = re.compile(
    r"(?:目前|其)?[^，；。：（]{0,24}?(?:未见|无|未发现)(?:其他|其它|明显|明确|确切|异常)*(?:高?代谢|放射性)?"
    r"(?:增高|摄取|浓聚)*(?:征象|灶|病变|改变)?"
)
_SAME_AS_BEFORE = re.compile(r"其?余[^，；。：（]{0,12}(?:相仿|同前|无明显变化)")


def names_in(text: str) -> list[str]:
    """The organs and body regions that `text` names by keyword, in order of mention, each once.

    >>> names_in("锁骨上淋巴结；左侧肾上腺及股骨")
    ['颈', '肾上腺', '骨']
    """
    return list(dict.fromkeys(_NAMES[match[0]] for match in _NAMED.finditer(text)))


def mentions(text: str) -> frozenset[str]:
    """The set R of Eq. 10 for a gold or a generated report: regions and organs named outside the
    closing formula."""
    return frozenset(names_in(without_formula(text)))


def is_formula(sentence: str) -> bool:
    """Whether a sentence only says that the rest, or the brain, is normal or as it was before.

    >>> is_formula("余躯干及脑部PET/CT检查未见其他异常代谢征象。"), is_formula("腹膜后未见异常代谢。")
    (True, False)
    """
    bare = _ITEM_NUMBER.sub("", sentence).strip(" 。.")
    if _SAME_AS_BEFORE.fullmatch(bare):
        return True
    about_rest = "余" in bare or "PET" in bare or bare.startswith("脑")
    return about_rest and _FORMULA.fullmatch(bare) is not None


def _sentences(text: str) -> list[str]:
    return [s for s in re.split(r"(?<=。)\s*|\s{2,}|\n", text) if s.strip()]


def without_formula(text: str) -> str:
    """`text` without the sentences of the closing formula; items stay as they are."""
    return "".join(s for s in _sentences(text) if not is_formula(s)).strip()


def regions(findings: str) -> list[str]:
    """The paragraphs of the findings, which are separated by two spaces or more, without the fixed
    opening."""
    return [p.strip() for p in _GAP.split(_OPENING.sub("", findings)) if p.strip(" 。，")]


def items(impression: str) -> list[str]:
    """The items of an impression without their numbers and without the closing formula, each with
    its full stop."""
    full_items: list[str] = []
    for piece in _ITEM_START.split(impression):
        item = without_formula(_ITEM_NUMBER.sub("", piece))
        if item:
            full_items.append(item if item[-1] in "。；：！？" else f"{item}。")
    return full_items


def items_by_region(paragraphs: Sequence[str], impression: str) -> list[list[str]]:
    """For each region its items, in order: conserved, every item goes to exactly one region."""
    named = [set(names_in(paragraph)) for paragraph in paragraphs]
    homes: list[int | None] = []
    for item in (all_items := items(impression)):
        places = ((i for i, names in enumerate(named) if name in names) for name in names_in(item))
        homes.append(
            next((home for place in places if (home := next(place, None)) is not None), None)
        )
    abnormal = sorted(home for home in homes if home is not None)
    seeming = [i for i, paragraph in enumerate(paragraphs) if _ABNORMAL.search(paragraph)]
    first = (abnormal or seeming or [0])[0]
    by_region: list[list[str]] = [[] for _ in paragraphs]
    for item, home in zip(all_items, homes, strict=True):
        by_region[first if home is None else home].append(item)
    return by_region


def prepare(identifier: str, row: Mapping[str, Any]) -> list[Chain]:
    """One chain a region of a report `{"findings", "impression"}`; without an impression the
    problems alone count."""
    paragraphs = regions(str(row["findings"]))
    if not paragraphs:
        raise DataError(
            "field 'findings' holds its opening alone. Expected a paragraph for each body region."
        )
    impression = row.get("impression")
    by_region = (
        items_by_region(paragraphs, impression)
        if isinstance(impression, str) and impression.strip()
        else None
    )
    whole = (
        "".join(items(impression)) or NORMAL
        if by_region is not None and isinstance(impression, str)
        else None
    )
    chains: list[Chain] = []
    for index, paragraph in enumerate(paragraphs):
        target = None if by_region is None else "".join(by_region[index]) or NORMAL
        meta: dict[str, Any] = {"region": index + 1, "regions": len(paragraphs)}
        if by_region is not None:
            meta |= {"normal": not by_region[index], "impression": whole}
        problem = Problem(
            f"{identifier}/{index + 1}", paragraph, target, group=identifier, meta=meta
        )
        chains.append(
            Chain(problem, Rationale(f"{problem.id}/rationale", problem.id, target or ""))
        )
    return chains


def thin_normal(chains: Sequence[Chain], gamma: float, seed: int) -> list[Chain]:
    """All abnormal regions and, drawn by `seed`, `gamma` normal ones a report (or as many as there
    are), in their order.

    gamma = (normal regions included) / (reports); the paper's setting is 1.0. For training data
    alone."""
    if gamma < 0:
        raise DataError(f"gamma must be 0 or more, got {gamma}.")
    normal = [i for i, chain in enumerate(chains) if chain.problem.meta.get("normal")]
    reports = {chain.problem.group for chain in chains}
    count = min(len(normal), round(gamma * len(reports)))
    kept = set(random.Random(f"thin-normal/{seed}").sample(normal, count))
    return [
        chain for i, chain in enumerate(chains) if i in kept or not chain.problem.meta.get("normal")
    ]


def _by_report(problems: Sequence[Problem]) -> dict[str, list[Problem]]:
    reports: dict[str, list[Problem]] = {}
    for problem in problems:
        reports.setdefault(problem.group or problem.id, []).append(problem)
    return {
        name: sorted(parts, key=lambda p: p.meta.get("region", 0))
        for name, parts in reports.items()
    }


def whole_reports(problems: Sequence[Problem]) -> list[Problem]:
    """One problem a report from the problems of its regions: the findings joined, the whole
    impression as gold answer."""
    reports: list[Problem] = []
    for name, parts in _by_report(problems).items():
        question = "  ".join(part.question for part in parts)
        impression = parts[0].meta.get("impression")
        reports.append(
            Problem(
                name, question, impression, meta={"regions": len(parts), "impression": impression}
            )
        )
    return reports


def report_chains(chains: Sequence[Chain]) -> list[Chain]:
    """Chains of whole reports from chains of regions, for the extra arm `direct-report`."""
    return [
        Chain(problem, Rationale(f"{problem.id}/rationale", problem.id, problem.answer or ""))
        for problem in whole_reports([chain.problem for chain in chains])
    ]


def _rest_is_normal(text: str | None) -> bool:
    return text is None or text.strip(" 。") in ("", NORMAL)


_WORST: tuple[Stopped, ...] = ("repetition", "limit", "empty", "end", "stop_sign")


def assemble(problems: Sequence[Problem], predictions: Sequence[Prediction]) -> list[Prediction]:
    """One prediction a report: its regions' non-normal outputs in order, or `NORMAL` where all are
    normal.

    A report counts as stopped the way its worst region did (repetition, limit, empty, end,
    stop_sign), and as unparsed only if all its regions are. Predictions of whole reports
    (`direct-report`) pass through, their formula taken off. Raises DataError where a region has no
    prediction."""
    by_problem = {prediction.problem_id: prediction for prediction in predictions}
    assembled: list[Prediction] = []
    for name, parts in _by_report(problems).items():
        if name in by_problem:
            whole = by_problem[name]
            assembled.append(replace(whole, answer=extract_report(whole.text)))
            continue
        missing = [part.id for part in parts if part.id not in by_problem]
        if missing:
            raise DataError(
                f"report {name}: no prediction for region {', '.join(missing)}. "
                "Solve the whole file before grading it."
            )
        written = [by_problem[part.id] for part in parts]
        telling = [p for p in written if not _rest_is_normal(extract_report(p.text))]
        unparsed = all(extract_report(p.text) is None for p in written)
        text = "".join(filter(None, (extract_report(p.text) for p in telling))) or NORMAL
        assembled.append(
            Prediction(
                id=name,
                problem_id=name,
                text=text,
                segments=tuple(segment for p in telling for segment in p.segments),
                answer=None if unparsed else text,
                stopped=next(way for way in _WORST if any(p.stopped == way for p in written)),
                tokens=sum(p.tokens for p in written),
                seconds=sum(p.seconds for p in written),
                author=written[0].author,
            )
        )
    return assembled


def extract_report(text: str, lenient: bool = False, problem: Problem | None = None) -> str | None:
    """The text without stop token and closing formula; None where nothing is left."""
    return without_formula(text.replace(STOP_TOKEN, "")) or None


def same_report(answer: str | None, gold: str | None) -> bool:
    """Whether two reports are the same text, white space and final full stops aside (BLEU is the
    main figure)."""
    a, b = ("".join(text.split()).rstrip("。.") if text else "" for text in (answer, gold))
    return bool(a) and a == b


PET = Task(
    name="pet",
    render=render_question,
    extract=extract_report,
    same=same_report,
    closing=None,
    closing_pattern=None,
    joiner="",
    language="zh",
    metric="bleu",
    row_fields=("findings", "impression"),
    prepare=prepare,
    assemble=assemble,
    wholes=whole_reports,
    select=thin_normal,
    whole_chains=report_chains,
    meta={"finder": mentions},
)
