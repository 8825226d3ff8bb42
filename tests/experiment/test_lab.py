"""The lab: which chains an arm reads, and work that is done once whoever asks first."""

from dataclasses import replace

import pytest

from smallsteps.experiment.lab import names_of
from smallsteps.experiment.outcome import ChainSelection
from smallsteps.experiment.trained import Trained
from tiny_labs import tiny_lab

ALL = ChainSelection()


@pytest.fixture
def lab(tmp_path):
    with tiny_lab(tmp_path) as made:
        yield made


def test_a_chain_that_is_left_out_is_trained_on_by_no_arm(lab):
    chains = lab.train_chains(ALL)
    assert len(chains) == 24
    lab.left_out = frozenset(names_of(chains[3])[:1])
    assert lab.train_chains(ALL) == chains[:3] + chains[4:]


def test_a_chain_is_left_out_with_the_report_that_it_is_part_of(lab):
    chain = lab.train_chains(ALL)[0]
    region = chain._replace(problem=replace(chain.problem, group="r7"))
    assert names_of(region)[1] == "report r7"
    assert names_of(chain)[1] == f"report {chain.problem.id}"


def test_validation_chains_are_the_first_ones_and_never_cut_a_report(tmp_path):
    with tiny_lab(tmp_path, train={"validation_chains": 2}) as lab:
        assert lab.validation_chains(ALL) == lab.data.validation_chains[:2]
        assert lab.validation_problems() == lab.data.validation[:2]
        first, second, third, fourth = lab.data.validation_chains
        grouped = [
            chain._replace(problem=replace(chain.problem, group="r")) for chain in (second, third)
        ]
        lab.data = replace(lab.data, validation_chains=[first, *grouped, fourth])
        assert lab.validation_chains(ALL) == [first, *grouped]


def test_a_training_is_made_by_whoever_asks_first_and_read_by_the_others(lab, tmp_path):
    calls = []

    def make(folder):
        calls.append(folder)
        return Trained({"metric": folder / "candidate-1"}, 10, 1.0, 0.5, None, [], 1e-3)

    first = lab.train_once("arms/a-seed0/training", "a", make)
    assert lab.train_once("arms/a-seed0/training", "a", make) is first
    lab.trained.clear()  # as in another process
    assert lab.train_once("arms/a-seed0/training", "a", make) == first
    assert len(calls) == 1


def test_answers_are_written_once_and_signed_by_their_arm(lab):
    problems = lab.data.test[:2]

    def job(folder):
        return lab.job(0, folder)

    student = lab.run.path / lab.base_folder
    answers = lab.answer("untrained-seed0", student, problems, job, name="answers")
    assert [answer.problem_id for answer in answers] == [problem.id for problem in problems]
    assert {answer.author for answer in answers} == {"untrained-seed0"}
    assert answers[0].seconds == answers[1].seconds > 0
    nowhere = lab.run.path / "nowhere"
    assert lab.answer("untrained-seed0", nowhere, problems, job, name="answers") == answers
