"""Gold prefixes continued: each student reads them as it read its training chains, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from smallsteps.experiment import continuing
from smallsteps.experiment.continuing import next_step, on_gold_prefixes, step_id
from smallsteps.experiment.gold_steps import StepChain, step_chains
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.lab import Lab
from smallsteps.records import Prediction, Problem
from smallsteps.students.loading import load_student
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from tiny_labs import tiny_lab
from tiny_runs import rows_of


@dataclass
class Whole:
    name: str = "direct"


@dataclass
class Cutting:
    name: str = "ases-uni-rouge"
    strategy: str = "rouge"
    beta: float = 1.0

    def scorer(self, lab: Lab, seed: int) -> Student | None:
        raise AssertionError("no score of a student is needed")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with tiny_lab(tmp_path, data={"difficulty": "medium"}) as made:
        yield made


def stepped(lab: Lab) -> list[StepChain]:
    chains, without = step_chains(lab.data.gold, "en", 5)
    assert len(chains) == 5 and without == 0
    return chains


def saved(lab: Lab, folder: Path, path: Any) -> Path:
    student = prepare(load_student(lab.base_folder), lab.task, path=path, texts=lab.data.texts)
    return student.save(folder)


def texts_of(lab: Lab, place: str) -> dict[str, str]:
    rows = rows_of(lab.run.path / "arms" / place / "continuations/parts.jsonl")
    return {row["problem_id"]: row["text"] for row in rows}


@pytest.mark.parametrize(("arm", "path"), [(Whole(), "direct"), (Cutting(), "uni")])
def test_each_later_step_of_each_chain_is_continued_from_the_gold_chain(
    lab: Lab, tmp_path: Path, arm: Any, path: str
) -> None:
    chains = stepped(lab)
    verdicts, seconds = on_gold_prefixes(
        lab, arm, 3, saved(lab, tmp_path / "student", path), chains
    )
    assert [len(row) for row in verdicts] == [len(chain.steps) - 1 for chain in chains]
    assert seconds > 0
    texts = texts_of(lab, f"{arm.name}-seed3")
    assert len(texts) == sum(len(row) for row in verdicts) > 5
    for chain, row in zip(chains, verdicts, strict=True):
        for place, right in enumerate(row, start=1):
            text = texts[step_id(chain, place)]
            prefix = chain.chain.rationale.text[: chain.cuts[place - 1]].strip()
            assert text.startswith(prefix), "an untrained student may add nothing"
            assert next_step(chain, place).right(text) == right


def test_continuations_are_made_once(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, chains = saved(lab, tmp_path / "student", "direct"), stepped(lab)
    first = on_gold_prefixes(lab, Whole(), 0, folder, chains)
    monkeypatch.setattr(continuing, "load", None)
    assert on_gold_prefixes(lab, Whole(), 0, folder, chains) == first


def test_a_student_that_writes_gold_is_right_at_every_step_and_one_that_errs_at_none(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replies stand in for a student: the whole gold chain, or the gold prefix and a wrong sum."""
    folder, chains = saved(lab, tmp_path / "student", "direct"), stepped(lab)
    gold = {step_id(s, n): s.chain.rationale.text for s in chains for n in range(1, len(s.steps))}

    def writes(wrong: bool) -> list[list[bool]]:
        def answers(
            job: TrainingJob, student: Student, problems: list[Problem], label: str, **more: Any
        ) -> list[Prediction]:
            predictions = []
            for problem in problems:
                text = gold[problem.id]
                if wrong:
                    text = f"{more['given'][problem.id].begun} So 1 + 1 = 3."
                assert more["enough"](problem.id, text) is not wrong
                name = f"{problem.id}/p"
                predictions.append(Prediction(name, problem.id, text, (), None, "end"))
            return predictions

        monkeypatch.setattr(TrainingJob, "answers", answers)
        arm = Whole("wrong" if wrong else "right")
        return on_gold_prefixes(lab, arm, 0, folder, chains)[0]

    assert all(all(row) for row in writes(wrong=False))
    assert not any(any(row) for row in writes(wrong=True))


def test_an_arm_whose_labels_the_test_chains_lack_is_cut_without_labels(
    lab: Lab, tmp_path: Path
) -> None:
    folder = saved(lab, tmp_path / "student", "uni")
    bare = [
        replace(s, chain=s.chain._replace(rationale=replace(s.chain.rationale, gold=())))
        for s in stepped(lab)
    ]
    verdicts, _ = on_gold_prefixes(lab, Cutting(strategy="gold"), 0, folder, bare)
    assert len(verdicts) == len(bare)
