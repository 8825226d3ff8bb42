"""What each arm is, in a few words, for readers of a page who have not read the docs. An arm that
is not known here has no text. Controls and ceilings are marked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Protocol

from smallsteps.methods.guided.config import PREFIX as GUIDED
from smallsteps.methods.guided.config import guided_parts, kinds
from smallsteps.report.sweeps import swept


class MarkedArm(Protocol):
    """An arm of a table."""

    @property
    def name(self) -> str: ...

    @property
    def control(self) -> bool: ...


BASELINES = {
    "base": "the student as it is, not trained",
    "base-fewshot": "the student as it is, with worked examples before each question",
    "answer-only": "learns answers without chains",
    "direct": "learns whole chains",
    "direct-report": "learns whole reports",
    "self-training": "learns whole chains, then its own right chains",
}
PATHS = {
    "uni": "one model",
    "cue": "one model, told which kind of segment comes next",
    "dual": "two models in turn",
}
STRATEGIES = {
    "inter": "every other sub-sentence",
    "ent": "the trained student's uncertainty",
    "ent*": "the untrained student's uncertainty",
    "loss": "the trained student's loss",
    "bleu": "BLEU with the question",
    "rouge": "ROUGE with the question",
    "gold": "labels of the data",
    "chunks": "equal lengths, without regard to meaning",
}
TAILORED = {
    "tailored-full": "learns from explanations of its own mistakes, contrasted with these mistakes",
    "tailored-t0-only": "learns from the teacher's first rationales only",
    "tailored-blind": "the teacher explains the same questions without seeing the mistakes",
    "tailored-no-contrast": "learns from explanations of its mistakes, without the contrast",
}
WRITERS = {
    "standard": "the large model answers without a rationale",
    "cot": "the large model reasons by itself",
    "cot-sc": "the large model reasons by itself; several samples vote",
    "small": "the small model answers by itself",
    "untrained": "rationales of the untrained small model",
    "unfiltered": "rationales of a small model distilled from all replies",
    "distilled": "rationales of the distilled small model",
    "aspects": "the distilled model, refined for the quality of rationales",
    "task": "the distilled model, refined for right answers",
    "both": "the distilled model, refined for quality and right answers",
    "raft": "the distilled model, refined by RAFT",
    "dpo": "the distilled model, refined by DPO",
    "gold-facts": "the supporting facts of the data as rationales",
    "random-context": "random sentences of the context as rationales",
}
HOW = {
    "sc": "several samples vote",
    "quality": "the best of several samples by quality",
    "confidence": "the best of several samples by the reader's confidence",
    "gold": "the best of several samples by the gold answer",
    "other": "each question gets the rationale of another one",
    "masked": "the answer is blanked out in the rationale",
}


Mark = Literal["control", "ceiling", ""]


def arm_mark(name: str, control: bool) -> Mark:
    """What tables write beside an arm that no user can use, or only one with the data's labels.

    >>> arm_mark("ases-uni-gold@mine", False), arm_mark("ases-uni-chunks", True)
    ('ceiling', 'control')
    >>> arm_mark("guided-distilled-gold", True), arm_mark("guided-distilled-other", True)
    ('ceiling', 'control')
    """
    arm, _ = swept(name.split("@")[0])
    kind = arm.removeprefix(GUIDED)
    if kind != arm and kind in kinds():
        writer, how = guided_parts(kind)
        is_ceiling = writer == "gold-facts" or how == "gold"
    else:
        is_ceiling = arm.startswith("ases-") and arm.split("-")[2:] == ["gold"]
    if is_ceiling:
        return "ceiling"
    return "control" if control else ""


MARK_TEXTS: dict[Mark, str] = {
    "control": "for comparison only, no way to teach",
    "ceiling": "uses labels or answers of the data, which new data lack",
}
"""What the marks mean, for the notes below tables."""


def mark_notes(arms: Iterable[MarkedArm]) -> list[str]:
    """What the marks in a table of these arms mean, each once."""
    marks = dict.fromkeys(arm_mark(arm.name, arm.control) for arm in arms)
    return [f"{mark}: {MARK_TEXTS[mark]}" for mark in marks if mark]


def arm_text(name: str) -> str:
    """What an arm learns, or how it answers.

    >>> arm_text("ases-uni-rouge-beta=0.8"), arm_text("direct-limit=250"), arm_text("own")
    ('learns segments, cut by ROUGE with the question; one model', 'learns whole chains', '')
    """
    arm, _ = swept(name.split("@")[0])  # of joined runs, without the run
    if arm.startswith("ases-"):
        _, path, strategy = [*arm.split("-", 2), "", ""][:3]
        cut = STRATEGIES.get(strategy)
        return f"learns segments, cut by {cut}; {PATHS[path]}" if cut and path in PATHS else ""
    kind = arm.removeprefix(GUIDED)
    if kind != arm and kind in kinds():
        writer, how = guided_parts(kind)
        return WRITERS[writer] + (f"; {HOW[how]}" if how else "")
    return BASELINES.get(arm) or TAILORED.get(arm, "")
