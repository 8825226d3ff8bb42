"""The gold side of the page: test problems, their gold chains cut into segments, and the entropy of
every token.

The entropy is that of the direct student which scores sub-sentences for `ent`, so that the page
shows what this strategy sees. The files are
`page_files.write_test_set`'s."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from smallsteps import team
from smallsteps.experiment.arm import Arm, ChainArm
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.page_files import GoldChain, write_test_set
from smallsteps.experiment.stored_data import read_json_lines
from smallsteps.experiment.trained import Trained
from smallsteps.records import Chain, Segment
from smallsteps.segments.label import segment_chains
from smallsteps.students.loading import load_student
from smallsteps.students.scores import TokenScores, token_scores
from smallsteps.students.student import Student
from smallsteps.tasks.files import write_rows


@runtime_checkable
class CuttingArm(Protocol):
    """An arm that learns segments."""

    @property
    def strategy(self) -> str: ...

    @property
    def beta(self) -> float: ...

    def scorer(self, lab: Lab, seed: int) -> Student | None:
        """The student whose scores the strategy needs."""
        ...


@runtime_checkable
class WholeChainArm(Protocol):
    """An arm whose student writes whole chains and can score their tokens."""

    def train(self, lab: Lab, seed: int) -> Trained: ...


def write_gold(lab: Lab, arms: Sequence[Arm]) -> None:
    """Problems, gold chains and entropies where the page looks for them."""
    task, data = lab.task, lab.data
    problems = task.wholes(data.test) if task.wholes else data.test
    if data.gold and any(isinstance(arm, ChainArm) for arm in arms):
        folder = lab.run.stage("gold", lambda place: _make(lab, arms, place))
        rows = read_json_lines(folder / "gold.jsonl")
        gold = [GoldChain.from_row(row) for row in rows]
    else:
        gold = [GoldChain.uncut(chain) for chain in data.gold]
    team.from_first(lambda: write_test_set(lab.run.path, problems, gold))


def _make(lab: Lab, arms: Sequence[Arm], folder: Path) -> None:
    write_rows(folder / "gold.jsonl", _rows(lab, arms))


def _rows(lab: Lab, arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """One row per problem; the regions of a report stand in one row, those without a finding are
    left out."""
    chains = [chain for chain in lab.data.gold if not chain.problem.meta.get("normal")]
    cuts, strategy = _cut(lab, arms, chains)
    entropies = _entropies(lab, arms, chains)
    cut_by = {} if strategy == "gold" else {"cut_by": strategy}
    rows: dict[str, dict[str, Any]] = {}
    for chain, segments, tokens in zip(chains, cuts, entropies, strict=True):
        problem_id = chain.problem.group or chain.problem.id
        empty = {"problem_id": problem_id, "segments": [], "tokens": [], **cut_by}
        row = rows.setdefault(problem_id, empty)
        row["segments"] += [{"kind": part.kind, "text": part.text} for part in segments]
        row["tokens"] += tokens
    return list(rows.values())


def _cut(lab: Lab, arms: Sequence[Arm], chains: Sequence[Chain]) -> tuple[list[list[Segment]], str]:
    """The segments of each chain, and the strategy that cut them: gold labels where all chains have
    them, else the strategy of the first arm that has one, else every sub-sentence."""
    settings, seed = lab.recipe.segmentation, lab.recipe.seeds[0]
    cutting = next((arm for arm in arms if isinstance(arm, CuttingArm)), None)
    strategy = "inter" if cutting is None else cutting.strategy
    scorer = None
    if all(chain.rationale.gold for chain in chains):
        strategy = "gold"
    elif cutting is not None:
        scorer = cutting.scorer(lab, seed)
    cuts = segment_chains(
        chains,
        strategy,
        task=lab.task,
        beta=settings.beta if cutting is None else cutting.beta,
        student=scorer,
        reduce=settings.reduce,
        conditioning=settings.conditioning,
    )
    return cuts, strategy


def _entropies(
    lab: Lab, arms: Sequence[Arm], chains: Sequence[Chain]
) -> list[list[dict[str, Any]]]:
    """For each chain its tokens with their entropies under the direct student; empty lists where no
    direct arm was trained."""
    direct = next((arm for arm in arms if arm.name.split("-gamma=")[0] == "direct"), None)
    if not isinstance(direct, WholeChainArm):
        return [[] for _ in chains]
    folder = direct.train(lab, lab.recipe.seeds[0]).folder("validation_loss")
    student = load_student(folder, device=lab.recipe.student.device)
    texts = [(lab.task.render(chain.problem), chain.rationale.text) for chain in chains]
    scores = token_scores(student, lab.task, texts)
    return [entropy_tokens(text, scored) for (_, text), scored in zip(texts, scores, strict=True)]


def entropy_tokens(text: str, scored: TokenScores) -> list[dict[str, Any]]:
    """`text` cut at its tokens, each with its entropy (nats).

    What lies between two tokens goes to the one before, so that the pieces joined are the text.
    Tokens that share a character count as one, with their entropies added."""
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
