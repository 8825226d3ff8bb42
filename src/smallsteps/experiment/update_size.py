"""How many examples an update has where the recipe leaves it open: one number for all arms of a
run, so that they still differ in one thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.lab import Lab
from smallsteps.training.settings import suited_update


def update_examples(lab: Lab, arms: Sequence[ChainArm]) -> int:
    """Examples per update of the arms: what the recipe says, else what suits `direct` within the
    budget; in a sweep over numbers of chains, with most chains. Needs the lab's budget."""
    train = lab.recipe.train
    if train.update_examples is not None:
        return train.update_examples
    return suited_update(direct_sequences(lab, arms))


def direct_sequences(lab: Lab, arms: Sequence[ChainArm]) -> float:
    """Sequences that `direct` reads in all its passes within the budget; in a sweep over numbers of
    chains, with most chains. Needs the lab's budget."""
    train = lab.recipe.train
    selections = [arm.selection.of_direct() for arm in arms]
    selection = max(selections, key=lambda selected: selected.limit or 0)
    chains = lab.train_chains(selection)
    passes = train.passes
    if train.budget is not None and train.until != "passes":
        job = lab.chain_job(selection, lab.recipe.seeds[0], lab.run.path, "direct")
        if lab.check_student is not None:
            job = replace(job, check_student=lab.check_student, texts=())
        passes = train.budget / max(1, job.pass_tokens(chains))
    return passes * len(chains)
