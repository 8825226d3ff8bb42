"""`smallsteps segment`: cuts a file of chains into segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from smallsteps.cli.input_file import InputFile
from smallsteps.cli.progress import Terminal, open_console, say
from smallsteps.devices import check_device
from smallsteps.errors import RecipeError, counted
from smallsteps.outputs import check_output
from smallsteps.records import Chain, Segment
from smallsteps.report.terminal import coloured
from smallsteps.segments.agreement import gold_agreement, shares
from smallsteps.segments.label import segment_chains
from smallsteps.segments.strategies import get_strategy
from smallsteps.students.loading import load_student
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import read_chains, write_rows

CHAINS_PER_UPDATE = 5_000
"""Chains to cut between two updates of the progress bar."""
SCORED_CHAINS_PER_UPDATE = 500
"""The same where a student scores them: enough that chains of like length form batches."""


@dataclass(frozen=True)
class Cutting:
    """How chains are cut."""

    strategy: str
    beta: float
    """Threshold factor: a segment is AS where its score passes beta x the chain's mean."""
    closing: str
    """`add` ends each chain in the task's closing sentence, `keep` does not."""
    student: str | None
    """The student that scores chains, where the strategy needs one."""
    device: str

    def check(self) -> None:
        """Raises RecipeError for an invalid value."""
        check_device(self.device)
        get_strategy(self.strategy)
        if self.closing not in ("add", "keep"):
            raise RecipeError(f"--closing {self.closing}: expected add or keep")


def segment_file(source: InputFile, out: Path, cutting: Cutting, show: int) -> None:
    """Writes one row per chain. Prints the shares of ES and AS, the agreement with gold labels
    where rows have them, and the first `show` chains in colour."""
    check_output(out, inputs=[source.path, cutting.student])
    get_task(source.task_name)
    cutting.check()
    with Terminal() as reporter:
        task = source.task(reporter.say)
        closing = cast(Literal["add", "keep"], cutting.closing)
        chains = read_chains(
            source.path, task, source.columns, closing, allow_wrong=True, say=reporter.say
        ).chains
        segments = _cut(chains, task, cutting, reporter)
    write_rows(out, _rows(chains, segments, cutting.strategy))
    _print_shares(chains, segments)
    console = open_console()
    for chain, pieces in zip(chains[:show], segments[:show], strict=True):
        say(f"\n{chain.problem.id}: {chain.problem.question}", style="dim")
        console.print(coloured(pieces))
    say(f"\nwritten: {out}")


def _cut(
    chains: Sequence[Chain], task: Task, cutting: Cutting, reporter: Terminal
) -> list[list[Segment]]:
    student, block = None, CHAINS_PER_UPDATE
    if cutting.student is not None:
        student = load_student(cutting.student, device=cutting.device)
        block = SCORED_CHAINS_PER_UPDATE
    segments: list[list[Segment]] = []
    for start in range(0, len(chains), block):
        segments += segment_chains(
            chains[start : start + block],
            cutting.strategy,
            task=task,
            beta=cutting.beta,
            student=student,
        )
        if len(chains) > block:
            reporter.advance("segmenting", len(segments), len(chains))
    return segments


def _rows(
    chains: Sequence[Chain], segments: Sequence[Sequence[Segment]], strategy: str
) -> Iterator[dict[str, Any]]:
    for chain, pieces in zip(chains, segments, strict=True):
        yield {
            "id": chain.problem.id,
            "question": chain.problem.question,
            "answer": chain.problem.answer,
            "chain": chain.rationale.text,
            "strategy": strategy,
            "segments": [_segment_row(piece) for piece in pieces],
        }


def _segment_row(segment: Segment) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": segment.kind, "text": segment.text}
    if segment.score is not None:
        row["score"] = round(segment.score, 5)
    return row


def _print_shares(chains: Sequence[Chain], segments: Sequence[Sequence[Segment]]) -> None:
    counts = shares(segments)
    say(
        f"{counted(counts.chains, 'chain')}, {counted(counts.segments, 'segment')} "
        f"({counts.segments_per_chain:.2f} per chain): "
        f"ES {counts.extractive:.1f} %, AS {counts.abstractive:.1f} % of segments, "
        f"AS {counts.abstractive_characters:.1f} % of characters; "
        f"{counts.opens_abstractive:.1f} % of chains open with AS"
    )
    agreement = gold_agreement(chains, segments)
    if agreement is not None:
        say(f"against gold labels: {agreement}")
