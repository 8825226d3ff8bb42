"""`smallsteps segment`: cuts a file of chains into segments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
from smallsteps.segments.strategies import Strategy, get_strategy
from smallsteps.students.loading import load_student
from smallsteps.students.run_student import student_place
from smallsteps.students.student import Student
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import read_chains, write_rows

CHAINS_PER_UPDATE = 5_000
"""Chains to cut between two updates of the progress bar."""
SCORED_CHAINS_PER_UPDATE = 500
"""The same where a student scores them: enough that chains of like length form batches."""


@dataclass(frozen=True)
class Cutting:
    """How chains are cut, whatever the strategy."""

    beta: float
    """Threshold factor: a segment is AS where its score passes beta x the chain's mean."""
    closing: str
    """`add` ends each chain in the task's closing sentence, `keep` does not."""
    student: str | None
    """A student trained on whole chains, which scores them for `ent` and `loss`."""
    untrained_student: str | None
    """The student before fine-tuning, which scores them for `ent*`."""
    device: str

    def check(self, source: InputFile, out: Path | None) -> None:
        """Raises RecipeError for an invalid value, and where `out` cannot be written."""
        if out is not None:
            check_output(out, inputs=[source.path, self.student, self.untrained_student])
        get_task(source.task_name)
        check_device(self.device)
        if self.closing not in ("add", "keep"):
            raise RecipeError(f"--closing {self.closing}: expected add or keep")

    def scorer(self, strategy: Strategy) -> str | None:
        """The student that scores for a strategy: its name or folder; None: none was named, or none
        is needed."""
        if not strategy.needs_student:
            return None
        return self.student if strategy.scorer == "trained" else self.untrained_student

    def open_scorer(self, strategy: Strategy, say: Callable[[str], None]) -> Student | None:
        """The student that scores for a strategy. say: receives a line where it is that of a
        run."""
        name = self.scorer(strategy)
        return None if name is None else load_student(student_place(name, say), device=self.device)

    def read(self, source: InputFile, task: Task, reporter: Terminal) -> list[Chain]:
        """The chains of a file, those with wrong answers too."""
        closing = cast(Literal["add", "keep"], self.closing)
        return read_chains(
            source.path, task, source.columns, closing, allow_wrong=True, say=reporter.say
        ).chains


def single_strategy(names: Sequence[str], whole_segments: bool) -> str:
    """The strategy that cuts chains; `inter` where none is named. Raises RecipeError on options
    that only a comparison reads."""
    if len(names) > 1:
        raise RecipeError(
            f"--strategy names {', '.join(names)}: chains are cut by one. Name one, or compare "
            "them with labels: --agreement"
        )
    if whole_segments:
        raise RecipeError("--whole-segments: only a comparison reads it. Add --agreement")
    return names[0] if names else "inter"


def segment_file(
    source: InputFile, out: Path | None, strategy: str, cutting: Cutting, show: int
) -> None:
    """Writes one row per chain. Prints the shares of ES and AS, the agreement with gold labels
    where rows have them, and the first `show` chains in colour."""
    if out is None:
        raise RecipeError("--out is missing: name the file for the segments, or add --agreement")
    cutting.check(source, out)
    get_strategy(strategy)
    with Terminal() as reporter:
        task = source.task(reporter.say)
        chains = cutting.read(source, task, reporter)
        segments = _cut(chains, task, strategy, cutting, reporter)
    write_rows(out, _rows(chains, segments, strategy))
    _print_shares(chains, segments, task)
    console = open_console()
    for chain, pieces in zip(chains[:show], segments[:show], strict=True):
        say(f"\n{chain.problem.id}: {chain.problem.question}", style="dim")
        console.print(coloured(pieces))
    say(f"\nwritten: {out}")


def _cut(
    chains: Sequence[Chain], task: Task, strategy: str, cutting: Cutting, reporter: Terminal
) -> list[list[Segment]]:
    student = cutting.open_scorer(get_strategy(strategy), reporter.say)
    block = CHAINS_PER_UPDATE if student is None else SCORED_CHAINS_PER_UPDATE
    segments: list[list[Segment]] = []
    for start in range(0, len(chains), block):
        segments += segment_chains(
            chains[start : start + block],
            strategy,
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


def _print_shares(
    chains: Sequence[Chain], segments: Sequence[Sequence[Segment]], task: Task
) -> None:
    counts = shares(segments)
    say(
        f"{counted(counts.chains, 'chain')}, {counted(counts.segments, 'segment')} "
        f"({counts.segments_per_chain:.2f} per chain): "
        f"ES {counts.extractive:.1f} %, AS {counts.abstractive:.1f} % of segments, "
        f"AS {counts.abstractive_characters:.1f} % of characters; "
        f"{counts.opens_abstractive:.1f} % of chains open with AS"
    )
    agreement = gold_agreement(chains, segments, task.language)
    if agreement is not None:
        say(f"against gold labels: {agreement}")
