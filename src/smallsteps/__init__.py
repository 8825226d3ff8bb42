"""Teach small language models to reason step by step, and measure whether it helped.

The Python API has the names of the stages: `read`, `segment`, `build`, `fit`, `solve`, `grade`;
`run` runs a whole recipe. Names are imported when they are first used, so that `import smallsteps`
is instant."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from smallsteps.evaluation.comparison import compare_scores
    from smallsteps.evaluation.grade import grade
    from smallsteps.experiment.recipe import Recipe, load_recipe
    from smallsteps.experiment.results import Results, read_results
    from smallsteps.experiment.run import run
    from smallsteps.generation.engine import open_engine
    from smallsteps.generation.generator import Decoding, EngineSettings, Generator
    from smallsteps.generation.paths import SolveSettings
    from smallsteps.generation.replies import ReplyStore
    from smallsteps.generation.server_settings import ServerSettings
    from smallsteps.generation.solve import load_with_task as load
    from smallsteps.generation.solve import solve
    from smallsteps.methods.guided.config import RewardSettings
    from smallsteps.methods.guided.reader import Reader
    from smallsteps.methods.guided.reward import Rewarder
    from smallsteps.methods.guided.roller import Roller
    from smallsteps.methods.tailored.exam import sit
    from smallsteps.publishing.export import export
    from smallsteps.publishing.run_cards import write_cards
    from smallsteps.quality.rated import Rated
    from smallsteps.quality.scorer import Scorer
    from smallsteps.records import Chain, Example, Grade, Prediction, Problem, Rationale, Segment
    from smallsteps.report.figure_files import cost_picture as figure
    from smallsteps.report.page import write_page
    from smallsteps.segments.examples import build_examples as build
    from smallsteps.segments.label import segment_chains as segment
    from smallsteps.students.loading import load_student
    from smallsteps.students.tokens import prepare
    from smallsteps.tasks import get_task
    from smallsteps.tasks.files import read_chains as read
    from smallsteps.tasks.files import read_problems
    from smallsteps.tasks.splits import split_problems as split
    from smallsteps.teaching.lessons import Lesson
    from smallsteps.teaching.story_solver import StorySolver
    from smallsteps.teaching.teach import teach
    from smallsteps.training.contrast import Contrast
    from smallsteps.training.fit import fit
    from smallsteps.training.reinforce import reinforce
    from smallsteps.training.settings import ReinforceSettings, TrainSettings

_WHERE = {
    "Chain": "records",
    "Contrast": "training.contrast",
    "Decoding": "generation.generator",
    "EngineSettings": "generation.generator",
    "Example": "records",
    "Generator": "generation.generator",
    "Grade": "records",
    "Lesson": "teaching.lessons",
    "Prediction": "records",
    "Problem": "records",
    "Rated": "quality.rated",
    "Rationale": "records",
    "Reader": "methods.guided.reader",
    "Recipe": "experiment.recipe",
    "Results": "experiment.results",
    "read_results": "experiment.results",
    "ReinforceSettings": "training.settings",
    "ReplyStore": "generation.replies",
    "RewardSettings": "methods.guided.config",
    "Rewarder": "methods.guided.reward",
    "Roller": "methods.guided.roller",
    "Scorer": "quality.scorer",
    "Segment": "records",
    "ServerSettings": "generation.server_settings",
    "SolveSettings": "generation.paths",
    "StorySolver": "teaching.story_solver",
    "TrainSettings": "training.settings",
    "build": "segments.examples:build_examples",
    "compare_scores": "evaluation.comparison",
    "export": "publishing.export",
    "figure": "report.figure_files:cost_picture",
    "fit": "training.fit",
    "get_task": "tasks",
    "grade": "evaluation.grade",
    "load": "generation.solve:load_with_task",
    "load_recipe": "experiment.recipe",
    "load_student": "students.loading",
    "open_engine": "generation.engine",
    "prepare": "students.tokens",
    "read": "tasks.files:read_chains",
    "read_problems": "tasks.files",
    "reinforce": "training.reinforce",
    "segment": "segments.label:segment_chains",
    "sit": "methods.tailored.exam",
    "solve": "generation.solve",
    "split": "tasks.splits:split_problems",
    "run": "experiment.run",
    "teach": "teaching.teach",
    "write_cards": "publishing.run_cards",
    "write_page": "report.page",
}
"""Public name → module, and its name there where that differs."""

__all__ = [
    "Chain",
    "Contrast",
    "Decoding",
    "EngineSettings",
    "Example",
    "Generator",
    "Grade",
    "Lesson",
    "Prediction",
    "Problem",
    "Rated",
    "Rationale",
    "Reader",
    "Recipe",
    "ReinforceSettings",
    "ReplyStore",
    "Results",
    "RewardSettings",
    "Rewarder",
    "Roller",
    "Scorer",
    "Segment",
    "ServerSettings",
    "SolveSettings",
    "StorySolver",
    "TrainSettings",
    "build",
    "compare_scores",
    "export",
    "figure",
    "fit",
    "get_task",
    "grade",
    "load",
    "load_recipe",
    "load_student",
    "open_engine",
    "prepare",
    "read",
    "read_problems",
    "read_results",
    "reinforce",
    "run",
    "segment",
    "sit",
    "solve",
    "split",
    "teach",
    "write_cards",
    "write_page",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'smallsteps' has no attribute {name!r}")
    module, _, inner_name = _WHERE[name].partition(":")
    value = getattr(import_module(f"smallsteps.{module}"), inner_name or name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_WHERE])
