"""Chains into segments: `segment`. `solve` is in `solving.py`, `grade` in `grading.py`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smallsteps.cli.progress import Terminal, open_console, say
from smallsteps.devices import check_device
from smallsteps.errors import RecipeError, counted
from smallsteps.outputs import check_output
from smallsteps.records import Segment
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains, write_rows
from smallsteps.tasks.spoken import task_for

CHAINS_AT_ONCE = 5_000
"""Chains that `segment` cuts between two updates of its progress."""
SCORED_AT_ONCE = 500
"""The same where a student scores them: enough of like length to be read together."""


def segment_file(
    chains: Path,
    out: Path,
    strategy: str,
    task_name: str,
    student: str | None,
    beta: float,
    closing: str,
    columns: Mapping[str, str],
    device: str,
    show: int,
) -> None:
    """`smallsteps segment`: one row a chain, the shares, agreement with gold labels, some chains
    coloured."""
    from smallsteps.segments.agreement import gold_agreement, shares
    from smallsteps.segments.label import segment_chains
    from smallsteps.segments.strategies import get_strategy

    check_output(out, inputs=[chains, student])
    check_device(device)
    get_task(task_name)
    get_strategy(strategy)
    if closing not in ("add", "keep"):
        raise RecipeError(f"--closing {closing}: expected add or keep")
    task = task_for(task_name, [chains], columns, say=Terminal().say)
    found = read_chains(
        chains,
        task,
        columns,
        closing="keep" if closing == "keep" else "add",
        allow_wrong=True,
        say=Terminal().say,
    )
    scorer: Any = None
    if student is not None:
        from smallsteps.students.loading import load_student

        scorer = load_student(student, device=device)
    block = SCORED_AT_ONCE if scorer is not None else CHAINS_AT_ONCE
    segments: list[list[Segment]] = []
    with Terminal() as reporter:
        for start in range(0, len(found.chains), block):
            part = found.chains[start : start + block]
            segments += segment_chains(part, strategy, task=task, beta=beta, student=scorer)
            if len(found.chains) > block:
                reporter.advance("segmenting", len(segments), len(found.chains))
    rows = (
        {
            "id": chain.problem.id,
            "question": chain.problem.question,
            "answer": chain.problem.answer,
            "chain": chain.rationale.text,
            "strategy": strategy,
            "segments": [_segment_row(s.kind, s.text, s.score) for s in own],
        }
        for chain, own in zip(found.chains, segments, strict=True)
    )
    write_rows(out, rows)
    facts = shares(segments)
    say(
        f"{counted(facts.chains, 'chain')}, {counted(facts.segments, 'segment')} ({facts.segments_per_chain:.2f} a chain): "
        f"ES {facts.extractive:.1f} %, AS {facts.abstractive:.1f} % of segments, "
        f"AS {facts.abstractive_characters:.1f} % of characters; "
        f"{facts.opens_abstractive:.1f} % of chains open with AS"
    )
    agreement = gold_agreement(found.chains, segments)
    if agreement is not None:
        say(f"against gold labels: {agreement}")
    from smallsteps.report.terminal import coloured

    console = open_console()
    for chain, pieces in zip(found.chains[:show], segments[:show], strict=True):
        say(f"\n{chain.problem.id}: {chain.problem.question}", style="dim")
        console.print(coloured(pieces))
    say(f"\nwritten: {out}")


def _segment_row(kind: str, text: str, score: float | None) -> dict[str, Any]:
    return {"kind": kind, "text": text, **({} if score is None else {"score": round(score, 5)})}
