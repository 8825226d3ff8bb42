"""A chat model for tests that rates by rules and reads what it is sent, as a real one does."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import pairwise

from smallsteps.generation.generator import Reply
from smallsteps.quality.judge_prompts import read_judge_prompts
from smallsteps.quality.prompted_judge import PromptedJudge


class ScriptedChat:
    """Replies `answer(aspect, messages)`. Keeps the requests."""

    def __init__(self, answer: Callable[[str, tuple], str | None]) -> None:
        self.answer = answer
        self.requests: list = []

    def generate(self, requests, decoding, progress=None):
        for done, request in enumerate(requests, 1):
            self.requests.append(request)
            text = self.answer(aspect_of(request.prompt), request.prompt)
            if progress:
                progress(done)
            if text is None:
                yield Reply(request.id, 0, (), "", "failed", 0, error="refused: no")
            else:
                yield Reply(request.id, 0, (), text, "end", 2, read=10)

    def forecast(self, requests, decoding):
        return f"{len(list(requests))} requests"


def aspect_of(messages) -> str:
    """The aspect that messages ask for."""
    return re.search(r"Rate its (\w+) from 1 to 5", messages[1][1])[1]


def rationale_of(messages) -> str:
    return re.search(r"^Rationale: (.*?)\n\nRate its", messages[1][1], re.DOTALL | re.MULTILINE)[1]


def context_of(messages) -> str:
    return re.search(r"^Context:\n(.*?)\n\nQuestion:", messages[1][1], re.DOTALL)[1]


def by_words(aspect: str, messages) -> str:
    """Rates by the share of the rationale's pairs of neighbouring words that the context has: it
    sees a swapped name, a denial, another question's rationale and words out of order."""
    if aspect not in ("factuality", "relevance", "logicality", "consistency"):
        return "Score: 3"
    context = context_of(messages).lower().split()
    tokens = rationale_of(messages).lower().split()
    pairs = list(pairwise(tokens))
    known = set(pairwise(context))
    share = sum(pair in known for pair in pairs) / max(1, len(pairs))
    return f"Score: {1 + 4 * share:.2f}"


def prompted(answer) -> PromptedJudge:
    return PromptedJudge("m", ScriptedChat(answer), read_judge_prompts())
