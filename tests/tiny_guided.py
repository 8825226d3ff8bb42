"""A run of guided chain of thought small enough for tests: bundled facts, and readers on loopback."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loopback import Server, completion
from smallsteps.experiment.data_parts import store_parts
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.stored_rows import StoredRows, chain_in_row
from smallsteps.records import Chain, Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.facts import make_chains
from tiny_runs import TINY_STUDENT

KEY = "sk-only-in-the-environment"
Answer = tuple[int, dict[str, Any], dict[str, str]]


def _context_of(chain: Chain) -> str:
    return " ".join(sentence for _, own in chain.problem.context for sentence in own)


CHAINS = {
    (_context_of(chain), chain.problem.question): chain
    for seed in (101, 201, 301, 501)
    for chain in make_chains(80, seed, 2)
}
"""(context, question) → chain of every bundled question that a tiny run may hold."""


def guided_content(store: Path | str, **sections: Any) -> dict[str, Any]:
    """The tiny recipe with these sections changed; `store`: the file of paid replies."""
    content: dict[str, Any] = {
        "arms": ["guided-standard", "guided-distilled", "guided-both"],
        "data": {
            "task": "facts",
            "count": 12,
            "validation_count": 4,
            "test_count": 6,
            "difficulty": "easy",
            "split_seed": 1,
        },
        "student": {"scratch": TINY_STUDENT},
        "guided": {
            "reader": {"name": "m", "store": str(store)},
            "max_new_tokens": 12,
            "samples": 2,
            "reinforce": {"steps": 2, "prompts": 2, "samples": 2, "evaluations": 1},
        },
        "train": {"budget": 3000, "evaluations": 1, "update_examples": 4, "learning_rate": 1e-3},
        "evaluation": {"batch_size": 8, "bootstrap": 100},
    }
    for name, value in sections.items():
        merges = isinstance(value, dict) and name in content
        content[name] = {**content[name], **value} if merges else value
    return content


def always(problem: Problem) -> bool:
    return True


def facts_reader(
    body: dict[str, Any], times: int, right: Callable[[Problem], bool] = always
) -> Answer:
    """A reader that reasons well where it is asked to, and alone knows every second question; a
    rationale confuses it. `right`: the problems about which it reasons to the right answer."""
    request = body["messages"][-1]["content"]
    chain = next(
        chain
        for (context, question), chain in CHAINS.items()
        if context in request and question in request
    )
    gold = str(chain.problem.answer)
    answer = gold if right(chain.problem) else "nowhere"
    if "step by step" in request:
        reasoning = chain.rationale.text.replace("The answer is", "Prediction:")
        return 200, completion(reasoning.replace(gold, answer)), {}
    knows_alone = "Reasoning:" not in request and len(chain.problem.id) % 2 == 0
    named = answer in request.split("Reasoning:")[-1]
    return 200, completion(answer if knows_alone or named else "nowhere"), {}


def names_reader(body: dict[str, Any], times: int) -> Answer:
    """A reader of "Who is 7?", whose answer is "name 7": right where it reasons, and alone for every
    third question."""
    request = body["messages"][-1]["content"]
    asked = re.search(r"Who is (\d+)", request)
    assert asked is not None
    number = asked[1]
    if "step by step" in request:
        reasoning = f"Page {number} says so. It is name {number}. Prediction: name {number}"
        return 200, completion(reasoning), {}
    return 200, completion(f"name {number}" if int(number) % 3 == 0 else "nobody"), {}


def name_rows(count: int, *further: str) -> list[dict[str, Any]]:
    """`count` questions for `names_reader`, with contexts and supporting facts."""
    return [
        {
            "id": str(n),
            "question": f"Who is {n}?",
            "answer": f"name {n}",
            "context": [[f"Page {n}", [f"Here stands name {n}.", *further]]],
            "supporting_facts": [[f"Page {n}", 0]],
        }
        for n in range(count)
    ]


def mixed_content(folder: Path, server: Server, **sections: Any) -> dict[str, Any]:
    """The tiny facts with a file of gold chains in `folder` as the teacher, and a reader on
    loopback."""
    server.answer = facts_reader
    content = guided_content(folder / "store.sqlite", **sections)
    content["guided"]["reader"]["base_url"] = server.url
    teacher = {"name": str(folder / "replies.jsonl"), "retries": 0}
    content["tailored"] = {"rounds": 2, "samples": 2, "teacher": teacher}
    recipe = make_recipe({**content, "arms": ["direct"], "tailored": None, "guided": None})
    store_parts(recipe.data, get_task("facts"), folder)
    train = StoredRows(folder / "train.jsonl", chain_in_row)
    rows = ({"id": chain.problem.id, "rationale": chain.rationale.text} for chain in train)
    (folder / "replies.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return content
