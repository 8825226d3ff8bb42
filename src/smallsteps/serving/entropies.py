"""How sure a student is of each token of a text, as the segmentation `ent` measures it: the entropy
of its next token given the question and the text before, in nats.

The text is read as a whole, without markers between its segments. Of a dual-path pair each segment
is scored by the half that writes its kind. Of several tokens that make one character the largest
entropy is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from smallsteps.records import Kind, Problem
from smallsteps.serving.served_student import ServedStudent
from smallsteps.students.scores import token_scores
from smallsteps.tasks import get_task


@dataclass(frozen=True)
class TokenEntropy:
    """A piece of a text. `entropy`: nats; None: no token (white space between two)."""

    text: str
    entropy: float | None


def entropies(
    served: ServedStudent, question: str, segments: Sequence[tuple[Kind | None, str]]
) -> list[list[TokenEntropy]]:
    """The tokens of each segment; joined, they are the segment. Raises DataError where the student
    cannot read that much."""
    task = served.task or get_task("text")
    text = task.joiner.join(part for _, part in segments)
    rendered = task.render(Problem("question", question))
    scores = {
        kind: token_scores(half, task, [(rendered, text)])[0]
        for kind, half in served.halves.items()
    }
    tokens: list[list[TokenEntropy]] = []
    start = 0
    for kind, part in segments:
        score = scores["AS" if kind == "AS" and "AS" in scores else "ES"]
        end = start + len(part)
        row: list[TokenEntropy] = []
        place = start
        for (first, last), entropy in zip(score.spans, score.entropy, strict=True):
            inside = start <= first < end
            first, last = max(first, place), min(last, end)
            if first >= last:
                if inside and row and row[-1].entropy is not None:  # a part of the same character
                    row[-1] = replace(row[-1], entropy=max(row[-1].entropy, entropy))
                continue
            if first > place:
                row.append(TokenEntropy(text[place:first], None))
            row.append(TokenEntropy(text[first:last], entropy))
            place = last
        if place < end:
            row.append(TokenEntropy(text[place:end], None))
        tokens.append(row)
        start = end + len(task.joiner)
    return tokens
