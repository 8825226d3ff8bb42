"""Yes or no: StrategyQA. Chains close with "The answer is yes." or "The answer is no."."""

from __future__ import annotations

import re
from functools import cache

from smallsteps.records import Problem
from smallsteps.tasks.base import Task, closing_tail, render_question, undecorated
from smallsteps.tasks.clean import reply_text
from smallsteps.tasks.closings import MOST_CHARACTERS, lenient_tail
from smallsteps.tasks.languages import ENGLISH, LANGUAGES, bare_answer, closing_pattern

_CLAUSE = (
    r"because|since|as|for|but|and|or|nor|so|due|given|considering|when|while|if|unless|though"
    r"|although|however|not|it|its|they"
    r"|he|she|we|you|this|these|those|there|that|which|way"
)
_DENIAL = (
    r"(?:\bnot|n['’]t|\bnever|\bhardly|\bfar\s+from|\banything\s+but|\bunlikely(?:\s+to\s+be)?"
    r"|\bno\s+longer)\s+"
    r"(?:(?:an?|really|necessarily|entirely|always|actually|quite|exactly|simply|completely"
    r"|definitely|just|strictly)\s+)*"
)
_PLAIN_DENIAL = re.compile(
    r"\s*(?:(?:definitely|certainly|probably|absolutely|of\s+course|most\s+likely|likely"
    r"|clearly)\s+)?not(?:\s+(?:likely|really|at\s+all))?\s*(?:[.,;:!–—-]|$)",
    re.IGNORECASE,
)
_BOTH = re.compile(
    r"(?:/|\bor\b|\band\b|\bnor\b|\bversus\b|\bvs\b)[\s*\"'“‘(]{0,4}$", re.IGNORECASE
)


@cache
def _verdict(language: str, closing: bool) -> re.Pattern[str]:
    """`no` needs a mark after it, or in a closing a clause: in "there is no such thing" it answers
    nothing."""
    here = LANGUAGES[language]
    before, after = (r"(?<![^\W\d_])", r"(?![^\W\d_])") if here.spaced else ("", "")
    clause = rf"|\s+(?:{_CLAUSE})\b" if closing else ""
    ends = rf"(?=\s*(?:[.,;:!?\"'”’()*\]}}。，；！？–—…/]|\s-|$){clause})"
    no = rf"(?:{ENGLISH.no}){after}{ends}|untrue\b" + (
        f"|(?:{here.no}){after}" if here is not ENGLISH else ""
    )
    return re.compile(
        rf"(?P<denied>{_DENIAL})?{before}(?:(?P<no>{no})|(?P<yes>(?:{here.yes}"
        rf"|{ENGLISH.yes}){after}))",
        re.IGNORECASE,
    )


def _verdicts(text: str, language: str = "en", closing: bool = True) -> list[str]:
    """The verdicts of a text, in order; empty where two are offered as alternatives ("yes or
    no")."""
    verdicts: list[str] = []
    end = 0
    for match in _verdict(language, closing).finditer(text):
        verdict = "no" if (match["no"] is None) == (match["denied"] is not None) else "yes"
        if verdicts and verdict != verdicts[-1] and _BOTH.search(text, end, match.start()):
            return []
        verdicts.append(verdict)
        end = match.end()
    return verdicts


def extract_yes_no(
    text: str, lenient: bool = False, problem: Problem | None = None, language: str = "en"
) -> str | None:
    """`yes` or `no` as the closing says ("The answer is no, because …"); lenient: else as a
    teacher's mark says, else the last one that stands as an answer ("Yes, he could."). True and
    false count as yes and no, "not true" as no.

    >>> extract_yes_no("The answer is no, a yes would be wrong.")
    'no'
    >>> extract_yes_no("There is no such thing.", True)
    """
    tail = closing_tail(text, closing_pattern(language))
    verdict = _first_verdict(tail, language)
    if verdict is not None or not lenient:
        return verdict
    if tail is not None and _verdict(language, True).search(undecorated(tail[:MOST_CHARACTERS])):
        return None  # it offers both
    reply = reply_text(text)
    verdict = _first_verdict(lenient_tail(reply), language)
    if verdict is not None:
        return verdict
    verdicts = _verdicts(undecorated(reply), language, closing=False)
    return verdicts[-1] if verdicts else None


def _first_verdict(tail: str | None, language: str) -> str | None:
    if tail is None:
        return None
    bare = bare_answer(undecorated(tail[:MOST_CHARACTERS]), language)
    if _PLAIN_DENIAL.match(bare):
        return "no"
    verdicts = _verdicts(bare, language)
    return verdicts[0] if verdicts else None


def same_yes_no(answer: str | None, gold: str | None, language: str = "en") -> bool:
    """Whether both say yes or both say no."""
    a, b = (_verdicts(text or "", language)[:1] for text in (answer, gold))
    return bool(a) and a == b


STRATEGYQA = Task(
    name="strategyqa", render=render_question, extract=extract_yes_no, same=same_yes_no
)
