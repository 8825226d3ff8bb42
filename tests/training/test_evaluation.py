"""What is measured at an evaluation: the loss by hand, in micro-batches of any size, and nothing that
there is nothing to measure by."""

import pytest
import torch

from launched_processes import in_processes
from smallsteps.training.batches import collate
from smallsteps.training.contrast import Contrast
from smallsteps.training.evaluation import Evaluator, Measures
from smallsteps.training.losses import SummedLoss
from smallsteps.training.memory import MicroBatchSize
from smallsteps.training.preflight import preflight
from smallsteps.training.settings import NO_PROMPT_LOSS, TrainSettings
from smallsteps.training.updates import TrainingInputs, Updates

SETTINGS = TrainSettings(passes=1, update_examples=4)


def evaluator(student, train, validation, task, measures=None, tokens=4096, rank=0):
    checked = preflight(student, train, validation, SETTINGS, task)
    contrasts: dict[str, Contrast] = {}
    job = TrainingInputs(student, task, checked, SETTINGS, contrasts, NO_PROMPT_LOSS)
    updates = Updates(job)
    size = MicroBatchSize(tokens)
    cpu = torch.device("cpu")
    model = updates.loss_model()
    return Evaluator(updates, model, measures or Measures(), size, cpu, rank, 1)


def test_the_loss_on_validation_is_the_mean_over_its_target_tokens(tiny, direct, task):
    student = tiny("t5")
    measured = evaluator(student, direct(8), direct(6, 1, "v"), task)
    rows = measured.updates.job.checked.validation
    with torch.no_grad():
        total = SummedLoss(student.model.eval())(collate(rows, student.start_id))
    mean = total.item() / sum(row.loss_tokens for row in rows)
    assert measured.values() == {"validation_loss": pytest.approx(mean, rel=1e-6)}
    small = evaluator(student, direct(8), direct(6, 1, "v"), task, tokens=100)
    assert small.values()["validation_loss"] == pytest.approx(mean, rel=1e-5)


def test_measures_are_taken_of_the_student_and_without_validation_there_is_no_loss(
    tiny, direct, task
):
    student = tiny("t5")
    seen = []

    def metric(measured):
        seen.append((measured is student, student.model.training))
        return 42.0

    student.model.train()
    values = evaluator(student, direct(8), [], task, Measures(metric=metric)).values()
    assert values == {"metric": 42.0}
    assert seen == [(True, False)], "without dropout"


def test_every_process_measures_because_a_measure_may_share_its_work(tiny, direct, task):
    measures = Measures(metric=lambda student: 42.0)
    other = evaluator(tiny("t5"), direct(8), [], task, measures, rank=1)
    assert other.values() == {"metric": 42.0}


def test_the_value_of_the_first_process_counts(tiny, direct, task):
    student = tiny("t5")

    def measured(rank):
        measures = Measures(metric=lambda student: rank + 42.0)
        return evaluator(student, direct(8), [], task, measures, rank=rank).values()

    assert in_processes(measured) == [{"metric": 42.0}] * 2
