"""What is reported of an arm: what guidance changed, and how the refinement went."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from smallsteps.evaluation.grade import grade
from smallsteps.experiment.grading import GradedArm
from smallsteps.methods.guided.arm_results import guidance_result, refinement_result
from smallsteps.methods.guided.arms import GuidedArm
from smallsteps.methods.guided.rationales import GuidedAnswer
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.training.choice import Selection
from smallsteps.training.reinforce import Reinforced


def test_what_guidance_changed_is_unknown_where_the_reader_was_not_asked_alone():
    """A mixed run need not have `guided-standard`."""
    problems = [Problem("a", "1 + 1?", "2"), Problem("b", "1 + 2?", "3")]

    def graded(name, *answers):
        rows = [
            GuidedAnswer(problem.id, answer, None, "direct", 4, 6)
            for problem, answer in zip(problems, answers, strict=True)
        ]
        stages = SimpleNamespace(
            names=[name], answers=lambda kind, seed: rows, quality=lambda answers, seed: None
        )
        arm = GuidedArm(f"guided-{name}", stages)
        outcome = arm.run(None, 0)
        score = grade(outcome.predictions, problems, get_task("numbers"), resamples=100)
        return GradedArm(arm, 0, outcome, score, {}, {}, None, "")

    cot, standard = graded("cot", "2", "3"), graded("standard", "2", "9")
    assert guidance_result(cot, None).turned is None
    assert guidance_result(cot, standard).turned == {
        "right->right": 1,
        "right->wrong": 0,
        "wrong->right": 1,
        "wrong->wrong": 0,
    }
    assert guidance_result(cot, None).read_from == {"direct": 2}
    assert guidance_result(cot, None).large_tokens == 6.0


def test_a_gauge_that_was_not_measured_in_a_tenth_of_the_steps_is_null_there():
    curves = [{"update": n, "reward": n / 20, "metric": 50.0} for n in range(1, 21)]
    curves[-1]["reward_fluency"] = 0.5
    best = Selection(update=20, value=60.0)
    refined = Reinforced(Path("x"), best, 40.0, 20, None, curves)
    result = refinement_result("guided-both", 1, refined)
    assert result.first == {"reward": 0.075, "reward_fluency": None}
    assert result.last == {"reward": 0.975, "reward_fluency": 0.5}
    assert (result.arm, result.seed, result.start, result.value) == ("guided-both", 1, 40.0, 60.0)
