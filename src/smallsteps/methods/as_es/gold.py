"""The gold side of the page: test problems, their gold chains cut into segments, and the entropy of
every token.

The entropy is that of the direct student which scores sub-sentences for `ent`, so that the page
shows what this strategy sees. Written to `problems.jsonl` and `gold.jsonl` of the run folder
(`smallsteps.experiment.page_files`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smallsteps.experiment.data import read_json_lines
from smallsteps.experiment.page_files import GoldChain, write_test_set
from smallsteps.methods.as_es.method import segment
from smallsteps.methods.as_es.stages import Stages
from smallsteps.methods.as_es.variants import Variant, variants
from smallsteps.records import Chain
from smallsteps.students.loading import load_student
from smallsteps.students.scores import TokenScores, token_scores
from smallsteps.tasks.files import write_rows


def write_gold(stages: Stages) -> None:
    """Problems, gold chains and entropies where the page looks for them."""
    task, material = stages.task, stages.material
    wholes = task.wholes(material.test) if task.wholes else material.test
    gold: list[GoldChain] = []
    if material.gold:
        folder = stages.run.stage("gold", lambda place: _make(stages, place))
        gold = [GoldChain.from_row(row) for row in read_json_lines(folder / "gold.jsonl")]
    write_test_set(stages.run.path, wholes, gold)


def _make(stages: Stages, folder: Path) -> None:
    write_rows(folder / "gold.jsonl", _rows(stages, folder))


def _rows(stages: Stages, out: Path) -> list[dict[str, Any]]:
    """One row a problem; the regions of a report stand in one row, those without a finding left
    out."""
    chains = [chain for chain in stages.material.gold if not chain.problem.meta.get("normal")]
    variant = _cutting_variant(stages)
    strategy = variant.spec.strategy or "inter"
    if all(chain.rationale.gold for chain in chains):
        strategy = "gold"
    scorer = stages.scorer(variant) if strategy == variant.spec.strategy else None
    cut = segment(stages.workshop(variant, out), chains, strategy, variant.beta, scorer)
    entropies = _entropies(stages, variant, chains)
    labelled = {} if strategy == "gold" else {"cut_by": strategy}
    rows: dict[str, dict[str, Any]] = {}
    for chain, own, tokens in zip(chains, cut, entropies, strict=True):
        problem_id = chain.problem.group or chain.problem.id
        row = rows.setdefault(
            problem_id, {"problem_id": problem_id, "segments": [], "tokens": [], **labelled}
        )
        row["segments"] += [{"kind": s.kind, "text": s.text} for s in own]
        row["tokens"] += tokens
    return list(rows.values())


def _cutting_variant(stages: Stages) -> Variant:
    """The first arm that cuts chains without needing a student that was not trained; else the first
    arm."""
    everything = [v for v in variants(stages.recipe) if not v.spec.whole_report] or variants(
        stages.recipe
    )
    return next((v for v in everything if v.spec.strategy), everything[0])


def _entropies(
    stages: Stages, variant: Variant, chains: Sequence[Chain]
) -> list[list[dict[str, Any]]]:
    """Per chain its tokens under the direct student, empty lists where no direct arm was
    trained."""
    if "direct" not in stages.recipe.arms:
        return [[] for _ in chains]
    folder = stages.trained(variant.direct()).folder("validation_loss")
    student = load_student(folder, device=stages.recipe.student.device)
    pairs = [(stages.task.render(chain.problem), chain.rationale.text) for chain in chains]
    scored = token_scores(student, stages.task, pairs)
    return [entropy_tokens(text, own) for (_, text), own in zip(pairs, scored, strict=True)]


def entropy_tokens(text: str, scored: TokenScores) -> list[dict[str, Any]]:
    """`text` cut at its tokens, each with its entropy (nats); what lies between two tokens goes to
    the one before, so that the pieces joined are the text. Tokens that share a character count as
    one, with their entropies added."""
    pieces: list[tuple[int, float]] = []
    for (start, _), entropy in zip(scored.spans, scored.entropy, strict=True):
        if pieces and start <= pieces[-1][0]:
            pieces[-1] = (pieces[-1][0], pieces[-1][1] + entropy)
        else:
            pieces.append((start if pieces else 0, entropy))
    ends = [*(start for start, _ in pieces[1:]), len(text)]
    return [
        {"text": text[start:end], "entropy": round(entropy, 3)}
        for (start, entropy), end in zip(pieces, ends, strict=False)
    ]
