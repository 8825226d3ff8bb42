"""lm-evaluation-harness beside our own grading: the same answers, by its filters and metric.

The harness runs whole, on a task made of the gold rows: its evaluator asks a model for each
question, and gets the answer that was recorded. So every kind of student can be checked, also those
that no other program drives. The filters and the metric are those of its task `gsm8k_cot`:

    strict-match       the number after the first "The answer is "
    flexible-extract   the last number of the text

Where they and ours part, and why, is listed in docs/lm-eval.md. Needs the extra `lm-eval`."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import Any

from smallsteps.errors import DataError, InternalError, RecipeError
from smallsteps.records import Prediction, Problem

INSTALL = 'pip install "smallsteps[lm-eval]"'
FILTERS: list[dict[str, Any]] = [
    {
        "name": "strict-match",
        "filter": [
            {"function": "regex", "regex_pattern": r"The answer is (\-?[0-9\.\,]+)."},
            {"function": "take_first"},
        ],
    },
    {
        "name": "flexible-extract",
        "filter": [
            {
                "function": "regex",
                "group_select": -1,
                "regex_pattern": r"(-?[$0-9.,]{2,})|(-?[0-9]+)",
            },
            {"function": "take_first"},
        ],
    },
]
METRIC = {
    "metric": "exact_match",
    "aggregation": "mean",
    "higher_is_better": True,
    "ignore_case": True,
    "ignore_punctuation": False,
    "regexes_to_ignore": [",", r"\$", r"(?s).*#### ", r"\.$"],
}
TASK = "recorded_answers"


@dataclass(frozen=True)
class HarnessScores:
    """What the harness makes of recorded answers."""

    version: str
    values: Mapping[str, float]
    """Filter → exact match, 0 to 100."""
    right: Mapping[str, Mapping[str, bool]]
    """Filter → problem id → whether its answer counts as right."""


def harness_scores(predictions: Sequence[Prediction], problems: Sequence[Problem]) -> HarnessScores:
    """Grades predictions by lm-evaluation-harness; a problem without a prediction gets an empty
    answer, as with us.

    Raises RecipeError where the harness is not installed, DataError where a prediction has no
    text."""
    with _quiet():
        lm_eval = _harness()
    texts = {prediction.problem_id: prediction.text for prediction in predictions}
    silent = next((p.problem_id for p in predictions if not p.text and p.answer is not None), None)
    if silent is not None:
        raise DataError(
            f"{silent}: an answer without its text, which lm-eval reads answers from. "
            "Grade rows of id and text."
        )
    rows = [
        {"id": problem.id, "question": problem.question, "answer": str(problem.answer)}
        for problem in problems
    ]
    with _quiet():
        results = lm_eval.simple_evaluate(
            model=_recorded(texts),
            tasks=[_task(rows)],
            num_fewshot=0,
            bootstrap_iters=0,
            verbosity="ERROR",
        )
    return _scores(results, lm_eval.__version__)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what the harness, its loggers and the programs that it starts write to standard error
    off the terminal. Where it fails, they are printed after all: they may say why.

    `sys.stderr` stays: its loggers keep the stream that they were set up with."""
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as noise:
        try:
            with warnings.catch_warnings(), _descriptor_2_in(noise.fileno()):
                warnings.simplefilter("ignore")
                yield
                sys.stderr.flush()
        except Exception:
            noise.seek(0)
            sys.stderr.write(noise.read())
            raise


@contextmanager
def _descriptor_2_in(descriptor: int) -> Iterator[None]:
    """The process's standard error goes to `descriptor`, that of new child processes too."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        os.dup2(descriptor, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _harness() -> Any:
    try:
        import lm_eval
        import lm_eval.evaluator
    except ImportError:
        raise RecipeError(
            f"--with lm-eval: lm-evaluation-harness is not installed. Type: {INSTALL}"
        ) from None
    return lm_eval


def _recorded(texts: Mapping[str, str]) -> Any:
    """A model of the harness that answers each question with its recorded text."""
    from lm_eval.api.model import LM

    class RecordedAnswers(LM):
        def generate_until(self, requests: Any, disable_tqdm: bool = True) -> list[str]:
            return [texts.get(request.doc["id"], "") for request in requests]

        def loglikelihood(self, requests: Any) -> Any:
            raise InternalError("recorded answers have no likelihoods")

        def loglikelihood_rolling(self, requests: Any) -> Any:
            raise InternalError("recorded answers have no likelihoods")

    return RecordedAnswers()


def _task(rows: Sequence[Mapping[str, str]]) -> Any:
    """The gold rows as a task of the harness."""
    from datasets import Dataset
    from lm_eval.api.task import ConfigurableTask

    return ConfigurableTask(
        config={
            "task": TASK,
            "custom_dataset": lambda **_: {"test": Dataset.from_list([dict(row) for row in rows])},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "{{question}}",
            "doc_to_target": "{{answer}}",
            "generation_kwargs": {"do_sample": False, "until": ["\0"]},
            "filter_list": FILTERS,
            "metric_list": [METRIC],
        }
    )


def _scores(results: Any, version: str) -> HarnessScores:
    figures, samples = results["results"][TASK], results["samples"][TASK]
    names = [row["name"] for row in FILTERS]
    right: dict[str, dict[str, bool]] = {name: {} for name in names}
    for sample in samples:
        right[sample["filter"]][sample["doc"]["id"]] = bool(sample["exact_match"])
    values = {name: 100 * float(figures[f"exact_match,{name}"]) for name in names}
    return HarnessScores(version, values, right)
