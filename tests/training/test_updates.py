"""What an update trains: the same for the same job and number, with contrasts where they are
usable."""

from __future__ import annotations

import pytest

from smallsteps.training.batches import Encoded
from smallsteps.training.contrast import Contrast, ContrastItem
from smallsteps.training.contrast_losses import ContrastLoss
from smallsteps.training.losses import SummedLoss
from smallsteps.training.preflight import preflight
from smallsteps.training.settings import NO_PROMPT_LOSS, ContrastSettings, TrainSettings
from smallsteps.training.updates import TrainingInputs, Updates


@pytest.fixture
def job(tiny, direct, task):
    def make(style="t5", contrast_settings=NO_PROMPT_LOSS, contrasted=()):
        student, examples = tiny(style), direct(8)
        settings = TrainSettings(passes=2, update_examples=4)
        checked = preflight(student, examples, [], settings, task, 0)
        contrasts = {
            examples[n].id: Contrast(
                examples[n].question, (((None, "then 3."),),), (((None, "no 4."),),)
            )
            for n in contrasted
        }
        return TrainingInputs(student, task, checked, settings, contrasts, contrast_settings)

    return make


def test_an_update_is_the_rows_of_the_plan(job):
    made = job()
    update = Updates(made).update(1)
    assert update.members == [made.checked.train[i] for i in made.checked.plan.members(1)]
    assert update.usable == 0 and update.normaliser == sum(
        row.loss_tokens for row in update.members
    )
    assert update.longest == max(row.tokens for row in update.members)
    assert type(Updates(made).loss_model()) is SummedLoss


@pytest.mark.parametrize("style", ["t5", "llama"])
def test_rows_with_a_contrast_are_items_and_keep_the_normaliser(job, style):
    plain, contrasted = job(style), job(style, contrasted=range(4))
    updates = Updates(contrasted)
    for number in range(contrasted.checked.plan.updates):
        update, without = updates.update(number), Updates(plain).update(number)
        assert update.normaliser == without.normaliser and update.longest == without.longest
        assert update.usable == sum(isinstance(m, ContrastItem) for m in update.members)
        assert update == updates.update(number), "what is drawn depends on the number alone"
    assert sum(updates.update(n).usable for n in range(2)) == 4
    assert isinstance(updates.loss_model(), ContrastLoss)


@pytest.mark.parametrize(("kind", "rationales"), [("triplet", 3), ("dpo", 2)])
def test_losses_over_pairs_read_no_positive(job, kind, rationales):
    settings = ContrastSettings(contrast=kind)
    update = Updates(job(contrast_settings=settings, contrasted=range(8))).update(0)
    assert {len(member.rationales) for member in update.members} == {rationales}


def test_a_contrast_without_a_wrong_rationale_is_not_usable(job):
    made = job(contrasted=range(8))
    lone = {name: Contrast(c.question, c.positives, ()) for name, c in made.contrasts.items()}
    updates = Updates(
        TrainingInputs(made.student, made.task, made.checked, made.settings, lone, NO_PROMPT_LOSS)
    )
    assert updates.update(0).usable == 0
    assert all(isinstance(member, Encoded) for member in updates.update(0).members)


def test_prompt_tokens_count_in_the_normaliser_as_they_weigh(job):
    rows = job("llama").checked.train
    prompts = sum(len(row.target) - 1 - row.loss_tokens for row in rows)
    targets = sum(row.loss_tokens for row in rows)
    for normaliser, weight in (("weights", 0.1), ("all-tokens", 1.0)):
        settings = ContrastSettings(prompt_weight=0.1, normaliser=normaliser)
        updates = Updates(job("llama", contrast_settings=settings))
        assert updates.weight(rows) == pytest.approx(targets + weight * prompts)
