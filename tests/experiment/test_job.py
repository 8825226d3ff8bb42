"""One training: its budget, its base student, and answers in the order of the questions."""

import pytest
import torch

from smallsteps.experiment.outcome import ChainSelection
from smallsteps.experiment.trained import Part
from smallsteps.segments.examples import build_examples
from smallsteps.students.tokens import prepare
from tiny_labs import tiny_lab


@pytest.fixture
def lab(tmp_path):
    with tiny_lab(tmp_path) as made:
        yield made


def test_the_halves_of_a_pair_share_the_budget_and_no_half_gets_nothing(lab, tmp_path):
    job = lab.job(0, tmp_path)
    assert job.settings().budget == 6000
    assert job.settings(0.25).budget == 1500
    assert job.settings(1e-9).budget == 1
    lab.budget = None  # until: passes
    assert lab.job(0, tmp_path).settings(0.25).budget is None


def test_the_base_student_is_fresh_every_time_and_has_the_recipes_dropout(tmp_path):
    with tiny_lab(tmp_path, student={"dropout": 0.25}) as lab:
        job = lab.job(0, tmp_path)
        first, second = job.base(), job.base()
        assert first.model is not second.model
        rates = {
            module.p for module in first.model.modules() if isinstance(module, torch.nn.Dropout)
        }
        assert rates == {0.25} and first.model.config.dropout_rate == 0.25
        assert not job.causal


def test_a_pass_is_the_tokens_of_source_and_target_without_padding(lab, tmp_path):
    chains = lab.train_chains(ChainSelection())
    job = lab.job(0, tmp_path)
    student = prepare(job.base(), lab.task, path="direct", texts=lab.data.texts, seed=0)
    by_hand = sum(
        len(student.source_ids(lab.task, example.question))
        + len(student.target_ids(lab.task, example.target))
        for example in build_examples(chains, [], lab.task, "direct")
    )
    assert job.pass_tokens(chains) == by_hand


def test_segments_are_as_many_as_the_recipe_says_else_as_the_examples_need(tmp_path):
    with tiny_lab(tmp_path, segmentation={"max_segments": 7}) as lab:
        assert lab.job(0, tmp_path).segment_limit([]) == 7


def test_answers_come_in_the_order_of_the_questions(lab, tmp_path):
    job = lab.job(0, tmp_path)
    student = prepare(job.base(), lab.task, path="direct", texts=lab.data.texts, seed=0)
    problems = lab.data.test[::-1]
    answers = job.answers(student, problems, "backwards")
    assert [answer.problem_id for answer in answers] == [problem.id for problem in problems]
    assert lab.reporter.bars == {"answering backwards"}


def test_long_questions_are_read_whole_where_long_examples_are_not_refused(tmp_path):
    for overlong, limit in (("error", 99), ("drop", None)):
        train = {"overlong": overlong, "source_limit": 99}
        with tiny_lab(tmp_path / overlong, train=train) as lab:
            assert lab.job(0, tmp_path).solving().source_limit == limit


def test_a_training_that_nothing_measures_is_ended_by_its_budget(tmp_path):
    """As that of the trained reader, which has no validation."""
    train = {"until": "plateau", "evaluations": 4, "patience": 1}
    with tiny_lab(tmp_path, train=train) as lab:
        job = lab.job(0, tmp_path / "out")
        chains = lab.train_chains(ChainSelection())
        examples = build_examples(chains, [], lab.task, "direct")
        student = prepare(job.base(), lab.task, path="direct", texts=lab.data.texts, seed=0)
        unmeasured = job.training(Part(student, examples, []))
        assert unmeasured.patience is None
        (tmp_path / "out/settings.json").unlink()
        measured = job.training(Part(student, examples, []), metric=job.validation_metric)
        assert measured.patience == 1
        half = Part(student, examples, examples[:0], kind="ES")
        assert job.training(half, metric=job.validation_metric).patience is None, "a pair ends it"
