"""The training budget of a run: the same for every arm, in tokens or in passes."""

from __future__ import annotations

from collections.abc import Sequence

from smallsteps.errors import counted
from smallsteps.experiment.arm import ChainArm
from smallsteps.experiment.lab import Lab
from smallsteps.experiment.update_size import update_examples
from smallsteps.training.settings import LARGEST_UPDATE


def budgets_of(
    lab: Lab, chain_arms: Sequence[ChainArm]
) -> tuple[int | None, dict[int | None, int]]:
    """Training tokens of an arm, or the most it may take (None: arms make the same passes); and
    where passes decide it, those of each number of chains in a sweep."""
    train = lab.recipe.train
    if not chain_arms:
        return train.budget, {}
    if train.until == "passes":
        return None, {}
    if train.budget is not None:
        return train.budget, {}
    budgets = _budgets_of_passes(lab, chain_arms)
    return max(budgets.values()), budgets


def set_budget(lab: Lab, chain_arms: Sequence[ChainArm]) -> None:
    """Gives the lab its budget, and reports it."""
    train = lab.recipe.train
    lab.budget, lab.budgets = budgets_of(lab, chain_arms)
    if not chain_arms:
        return
    lab.update_examples = update_examples(lab, chain_arms)
    if train.update_examples is None and lab.update_examples < LARGEST_UPDATE:
        lab.reporter.say(
            f"updates of {lab.update_examples} examples, not {LARGEST_UPDATE}: on few chains, more "
            "updates teach more (train.update_examples sets another number)"
        )
    if train.until == "passes":
        lab.reporter.say(f"budget: {train.passes:g} passes over each arm's examples")
        return
    source = f", what {train.passes:g} passes cost direct" if lab.budgets else ""
    if len(lab.budgets) > 1:
        by_chains = ", ".join(f"{tokens:,} of {limit:,}" for limit, tokens in lab.budgets.items())
        source += f"; by the number of chains {by_chains}"
    tokens = f"{lab.budget:,} training tokens an arm (source + target, no padding{source})"
    if train.until == "plateau":
        lab.reporter.say(
            f"every arm trains until {counted(train.patience, 'evaluation')} in a row bring no "
            f"gain on validation, at most {tokens}"
        )
    else:
        lab.reporter.say(f"budget: {tokens}")


def _budgets_of_passes(lab: Lab, arms: Sequence[ChainArm]) -> dict[int | None, int]:
    """Number of chains in a sweep (None: all) → what the recipe's passes over them cost direct."""
    budgets: dict[int | None, int] = {}
    for arm in arms:
        selection = arm.selection.of_direct()
        if selection.limit not in budgets:
            job = lab.chain_job(selection, lab.recipe.seeds[0], lab.run.path, "direct")
            tokens = job.pass_tokens(lab.train_chains(selection))
            budgets[selection.limit] = round(lab.recipe.train.passes * tokens)
    return budgets
