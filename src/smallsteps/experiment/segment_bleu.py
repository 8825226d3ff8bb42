"""BLEU of segments written on gold prefixes: the figure by which the authors of AS-ES learning
choose a checkpoint (Xi et al. 2024, Sec. 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from smallsteps.evaluation.metrics import bleu
from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import NO_CAP, Decoding, EngineSettings, Request
from smallsteps.records import Example
from smallsteps.students.student import Student
from smallsteps.tasks.base import STOP_TOKEN, Task


def segment_bleu_of(
    examples: Iterable[Example], task: Task, batch_size: int
) -> Callable[[Student], float]:
    """A measure of a student: BLEU (0 to 100) of the targets that it writes for `examples`, given
    the gold segments before each. Empty targets are left out."""
    chosen = [example for example in examples if example.target]

    def measure(student: Student) -> float:
        written = written_targets(student, chosen, task, batch_size)
        return bleu(written, [example.target for example in chosen], task.language)

    return measure


def written_targets(
    student: Student, examples: Sequence[Example], task: Task, batch_size: int
) -> list[str]:
    """What the student writes for each example, given the gold segments before it; greedy."""
    engine = open_engine(student, EngineSettings(batch_size=batch_size))
    causal = student.architecture == "causal"
    markers = set(student.markers.values()) if causal else set()
    requests = []
    for index, example in enumerate(examples):
        cue = example.kind if causal else example.cue
        ids = student.source_ids(task, example.question, example.prefix, cue)
        limit = task.max_segment_tokens if example.kind else task.max_chain_tokens
        # a causal student ends a segment by the marker of the next
        stop = (lambda written: written[-1] in markers) if markers else None
        requests.append(Request(str(index), ids, max_new_tokens=limit, stop=stop))
    texts = {
        reply.id: reply.text for reply in engine.generate(requests, Decoding(max_new_tokens=NO_CAP))
    }
    return [texts[request.id].replace(STOP_TOKEN, "").strip() for request in requests]
