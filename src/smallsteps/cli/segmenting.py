"""`smallsteps segment`: cuts a file of chains into segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

from smallsteps.cli.input_file import InputFile
from smallsteps.cli.progress import Terminal, open_console, say
from smallsteps.devices import check_device
from smallsteps.errors import RecipeError, counted
from smallsteps.outputs import check_output
from smallsteps.records import Chain, Problem, Segment
from smallsteps.report.terminal_segments import coloured
from smallsteps.segments.agreement import SegmentTally
from smallsteps.segments.label import check_scorer, segment_chains
from smallsteps.segments.strategies import Strategy, get_strategy
from smallsteps.students.loading import load_student
from smallsteps.students.run_student import student_place
from smallsteps.students.student import Student
from smallsteps.tasks import get_task
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import iter_chains, write_rows
from smallsteps.tasks.notes import Say

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

    def check_used(self, name: str) -> None:
        """Raises RecipeError where a student is named that the strategy does not read."""
        strategy = get_strategy(name)
        if strategy.needs_student and self.scorer(strategy) is None:
            return  # what is missing is said where it is opened
        reads = (strategy.scorer == "trained") if strategy.needs_student else None
        for option, student, is_read, other in (
            ("--student", self.student, reads is True, "ent"),
            ("--untrained-student", self.untrained_student, reads is False, "'ent*'"),
        ):
            if student is not None and not is_read:
                raise RecipeError(
                    f"{option} {student}: the strategy {name} does not read it. Leave it out, or "
                    f"name one that does: --strategy {other}"
                )

    def scorer(self, strategy: Strategy) -> str | None:
        """The student that scores for a strategy: its name or folder; None: none was named, or none
        is needed."""
        if not strategy.needs_student:
            return None
        return self.student if strategy.scorer == "trained" else self.untrained_student

    def open_scorer(self, strategy: Strategy, say: Say) -> Student | None:
        """The student that scores for a strategy. say: receives a line where it is that of a
        run."""
        name = self.scorer(strategy)
        return None if name is None else load_student(student_place(name, say), device=self.device)

    def read(self, source: InputFile, task: Task, say: Say | None) -> Iterator[Chain]:
        """The chains of a file, those with wrong answers too, one by one."""
        closing = cast(Literal["add", "keep"], self.closing)
        return iter_chains(source.path, task, source.columns, closing, allow_wrong=True, say=say)


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
    where rows have them, and the first `show` chains in colour.

    Reads the file twice: once to refuse a bad row before any work, once to cut. In memory are a
    block of chains and an index of the ids."""
    if out is None:
        raise RecipeError("--out is missing: name the file for the segments, or add --agreement")
    cutting.check(source, out)
    chosen = get_strategy(strategy)
    shown: list[tuple[Problem, list[Segment]]] = []
    with Terminal() as reporter:
        task = source.task(reporter.say)
        total = sum(1 for _ in cutting.read(source, task, reporter.say))
        student = cutting.open_scorer(chosen, reporter.say)
        check_scorer(chosen, student)
        tally = SegmentTally(task.language)

        def rows() -> Iterator[dict[str, Any]]:
            chains = cutting.read(source, task, None)
            for chain, segments in _cut(chains, total, task, strategy, cutting, student, reporter):
                tally.add(chain, segments)
                if len(shown) < show:
                    shown.append((chain.problem, segments))
                yield _row(chain, segments, strategy)

        write_rows(out, rows())
    _print_tally(tally)
    console = open_console()
    for problem, segments in shown:
        say(f"\n{problem.id}: {problem.question}", style="dim")
        console.print(coloured(segments))
    say(f"\nwritten: {out}")


def _cut(
    chains: Iterator[Chain],
    total: int,
    task: Task,
    strategy: str,
    cutting: Cutting,
    student: Student | None,
    reporter: Terminal,
) -> Iterator[tuple[Chain, list[Segment]]]:
    """Each of the `total` chains with its segments."""
    size = CHAINS_PER_UPDATE if student is None else SCORED_CHAINS_PER_UPDATE
    done = 0
    while block := list(islice(chains, size)):
        segments = segment_chains(block, strategy, task=task, beta=cutting.beta, student=student)
        yield from zip(block, segments, strict=True)
        done += len(block)
        if total > size:
            reporter.advance("segmenting", done, total)


def _row(chain: Chain, segments: Sequence[Segment], strategy: str) -> dict[str, Any]:
    return {
        "id": chain.problem.id,
        "question": chain.problem.question,
        "answer": chain.problem.answer,
        "chain": chain.rationale.text,
        "strategy": strategy,
        "segments": [_segment_row(segment) for segment in segments],
    }


def _segment_row(segment: Segment) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": segment.kind, "text": segment.text}
    if segment.score is not None:
        row["score"] = round(segment.score, 5)
    return row


def _print_tally(tally: SegmentTally) -> None:
    shares = tally.shares()
    say(
        f"{counted(shares.chains, 'chain')}, {counted(shares.segments, 'segment')} "
        f"({shares.segments_per_chain:.2f} per chain): "
        f"ES {shares.extractive:.1f} %, AS {shares.abstractive:.1f} % of segments, "
        f"AS {shares.abstractive_characters:.1f} % of characters; "
        f"{shares.opens_abstractive:.1f} % of chains open with AS"
    )
    agreement = tally.gold_agreement()
    if agreement is not None:
        say(f"against gold labels: {agreement}")
