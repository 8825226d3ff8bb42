"""The records of why arms are right or wrong come back from results.json as they were."""

import json

from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.why_results import (
    ArmWhy,
    DiversityResult,
    RegularityResult,
    StepResult,
    WhyResults,
)

FIGURE = Figure(value=50.0, low=40.0, high=60.0)


def test_what_is_written_is_read_back_the_same() -> None:
    arm = ArmWhy(
        name="direct",
        seeds=[0, 1],
        steps=[StepResult(first=2, last=4, n=9, gold_prefix=None, free_running=FIGURE, lost=None)],
        diversity=DiversityResult(
            right=9, differing=FIGURE, bleu_right=FIGURE, bleu_wrong=None, distinct=1.5
        ),
        regularity=[RegularityResult(of="gold", low=0.0, high=0.5, n=9, accuracy=FIGURE)],
        unmeasured=1,
    )
    results = WhyResults(
        gold_chains=10,
        step_chains=9,
        without_steps=1,
        exact=True,
        why_problems=200,
        gold_kinds=False,
        arms=[arm],
    )
    assert WhyResults.model_validate(json.loads(results.model_dump_json())) == results
