"""The baselines in a recipe: the names of their arms."""

from __future__ import annotations

from smallsteps.experiment.method import Method

ARMS = ("direct", "direct-report")

METHOD = Method(
    name="baselines",
    arm_names=lambda: ARMS,
    baseline="direct",
    needs_chains=True,
)
