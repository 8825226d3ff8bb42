"""The gate of `smallsteps guide`: a rationale of low factuality is not shown to the reader, which
answers alone instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from smallsteps.errors import DataError
from smallsteps.methods.guided.method import guided_answers, unguided_answers
from smallsteps.methods.guided.rationales import GuidedAnswer, WrittenRationale
from smallsteps.methods.guided.reader import Reader
from smallsteps.quality.prompted_judge import PromptedJudge
from smallsteps.quality.rated import Rated
from smallsteps.quality.scorer import Scorer
from smallsteps.records import Problem
from smallsteps.tasks.fields import or_column

ASPECT = "factuality"


@dataclass(frozen=True)
class Gate:
    """Which rationales the reader is shown."""

    least: float
    """Least factuality, 0..1."""
    scorer: Scorer
    """Measures factuality."""

    def check(self, problems: Sequence[Problem]) -> None:
        """Raises DataError where a question has no context, which factuality is measured by."""
        for problem in problems:
            if not problem.context:
                raise DataError(
                    f"{problem.id}: no context, against which factuality is measured. Leave out "
                    "--min-factuality, or add a `context` to every row"
                    f"{or_column(problem.meta, 'context')}."
                )

    def forecast(self, problems: Sequence[Problem]) -> str | None:
        """One line on what the judge may cost, without the rationales; None: nothing."""
        return self.scorer.forecast([Rated.of(problem, "…") for problem in problems])

    def factualities(
        self,
        problems: Sequence[Problem],
        rationales: Sequence[WrittenRationale],
        progress: Callable[[int], None] | None = None,
    ) -> list[float | None]:
        """Factuality of each rationale, 0..1; None: the judge gave no readable rating.

        Raises TeacherError where replies of the judge did not come, or no rating could be read."""
        items = [
            Rated.of(problem, rationale.text)
            for problem, rationale in zip(problems, rationales, strict=True)
        ]
        qualities = self.scorer.score(items, progress)
        if isinstance(self.scorer.prompted, PromptedJudge):
            self.scorer.prompted.check_read()
        return [quality[ASPECT] for quality in qualities]

    def passes(self, factuality: float | None) -> bool:
        """Whether a rationale is shown. One that the judge gave no rating is not: nobody knows that
        it is good enough."""
        return factuality is not None and factuality >= self.least


def answers_through_gate(
    problems: Sequence[Problem],
    rationales: Sequence[WrittenRationale],
    passed: Sequence[bool],
    reader: Reader,
) -> list[GuidedAnswer]:
    """The reader's answers: with the rationale where it passed, else alone. One call each."""
    shown = [place for place, passes in enumerate(passed) if passes]
    hidden = [place for place, passes in enumerate(passed) if not passes]
    guided = guided_answers(
        [problems[place] for place in shown], [rationales[place] for place in shown], reader
    )
    alone = unguided_answers([problems[place] for place in hidden], reader)
    by_place = dict(zip([*shown, *hidden], [*guided, *alone], strict=True))
    answers = [by_place[place] for place in range(len(problems))]
    return choose(answers, answers, passed, rationales)


def choose(
    guided: Sequence[GuidedAnswer],
    alone: Sequence[GuidedAnswer],
    passed: Sequence[bool],
    rationales: Sequence[WrittenRationale],
) -> list[GuidedAnswer]:
    """The guided answer where the rationale passed, else the one without it, at the cost of the
    rationale too: it was written before it was judged."""
    return [
        with_rationale if passes else replace(without, small_tokens=rationale.tokens)
        for with_rationale, without, passes, rationale in zip(
            guided, alone, passed, rationales, strict=True
        )
    ]
