"""Rows of bundled chains with the generator's labels."""

from __future__ import annotations

from typing import Any

from smallsteps.tasks.stories import make_chains


def labelled_rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": chain.problem.id,
            "question": chain.problem.question,
            "rationale": chain.rationale.text,
            "answer": chain.problem.answer,
            "segments": [{"kind": kind, "text": text} for kind, text in chain.rationale.gold],
        }
        for chain in make_chains(count, seed=4)
    ]
