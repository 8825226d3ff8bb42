"""Rationales of the bundled facts, one problem written out, and the scorers that tests share."""

from __future__ import annotations

import pytest

from smallsteps.quality.rated import Rated, References
from smallsteps.quality.scorer import Scorer
from smallsteps.quality.sensitivity import matrix
from smallsteps.records import Problem
from smallsteps.students.loading import load_student
from smallsteps.tasks import get_task
from smallsteps.tasks.facts import make_chains

CHAINS = make_chains(120, 5)
ITEMS = [Rated.of(chain.problem, chain.rationale.text) for chain in CHAINS]
REFERENCES = References.of([item.text for item in ITEMS])
SCORER = Scorer(references=REFERENCES)
CONTEXT = (("Ann", ("Ann lives in Rome.",)), ("Rome", ("It is a town in Italy. The sky is blue.",)))
PROBLEM = Problem("p", "In which country does Ann live?", "Italy", context=CONTEXT)
GOOD = "Ann lives in Rome. Rome is a town in Italy. So Ann lives in Italy. The answer is Italy."


def scored(text, scorer=SCORER):
    return scorer.score([Rated.of(PROBLEM, text)])[0]


@pytest.fixture(scope="session")
def measured():
    return matrix(ITEMS, SCORER)


@pytest.fixture(scope="session")
def fluency():
    """Under the student that ships with the package."""
    student, task = load_student("bundled", device="cpu"), get_task("facts")
    items = [Rated.of(chain.problem, chain.rationale.text, task) for chain in CHAINS]
    references = References.of(
        [item.text for item in items], Scorer(student=student, task=task).likelihoods(items)
    )
    return matrix(items, Scorer(references=references, student=student, task=task))["fluency"]
