"""The page's first section: the main figure for each kind of cost, and what it says in words."""

from __future__ import annotations

from typing import Any

from smallsteps.experiment.results import Results
from smallsteps.report import figures
from smallsteps.report.cost_curves import CostFigure, CostLine, Lead, Level, cost_figures
from smallsteps.report.cost_figure import cost_chart
from smallsteps.report.formats import expense
from smallsteps.report.summaries import summaries

BUTTONS = {"tokens": "tokens", "seconds": "seconds", "passes": "passes"}
"""Kind of cost → its button."""


def cost_section(results: Results) -> dict[str, Any]:
    """What `section-cost.html` shows; empty where no arm was measured while it trained."""
    made = cost_figures(results)
    if not made:
        return {}
    return {
        "figures": [
            {
                "cost": figure.cost,
                "button": BUTTONS[figure.cost],
                "broad": cost_chart(figure),
                "narrow": cost_chart(figure, narrow=True),
                "arms": _arms(figure),
                "leads": leads_text(figure),
                "unmeasured": figure.unmeasured,
            }
            for figure in made
        ],
        "until": results.budget.until,
        "seeds": made[0].seeds,
        "seeds_differ": len({len(arm.seeds) for arm in summaries(results)}) > 1,
        "capped": [line.name for line in made[0].lines if line.plateau is False],
        "levels": [level.name for level in made[0].levels],
        "left_out": made[0].left_out,
        "fewer_chains": made[0].fewer_chains,
        "validation": results.data.validation,
    }


def _arms(figure: CostFigure) -> list[dict[str, Any]]:
    """The arms from the highest line to the lowest, for the list below a narrow figure."""
    arms: list[CostLine | Level] = sorted(
        [*figure.lines, *figure.levels], key=lambda arm: -arm.height
    )
    return [
        {
            "name": arm.name,
            "swatch": figures.swatch(arm.colour),
            "value": arm.height,
            "cost": ""
            if isinstance(arm, Level)
            else f"after {expense(figure.cost, arm.chosen[0])}",
            "capped": isinstance(arm, CostLine) and arm.plateau is False,
        }
        for arm in arms
    ]


def leads_text(figure: CostFigure) -> str:
    """Which line is the highest where.

    "base up to 30 k tokens, direct up to 216 k tokens, then ases-uni-rouge"; empty where only one
    arm can lead."""
    leads = figure.leads()
    if len(figure.lines) + len(figure.levels) < 2 or not leads:
        return ""
    if len(leads) == 1:
        return f"{leads[0].name} everywhere"
    ends: list[Lead] = leads[1:]
    parts = [
        f"{lead.name} up to {expense(figure.cost, following.cost)}"
        for lead, following in zip(leads, ends, strict=False)
    ]
    return f"{', '.join(parts)}, then {leads[-1].name}"
