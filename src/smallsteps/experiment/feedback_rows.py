"""What became of each row of the feedback files: every row has one fate, so the counts of a file
add up to its rows.

The stage `data` notes the fates, whatever the arms, because a run may grow. Which fates are of use
depends on the arms: chains judged wrong, for example, are negatives of tailored arms alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from smallsteps.errors import DataError, counted
from smallsteps.experiment.method import contrasts, needs_chains, needs_rationales
from smallsteps.experiment.recipe import Recipe

EDITED = "edited chain"
RIGHT = "judged right"
NEW = "right chain of a new question"
INCOMPLETE = "new question without its context or choices"
NOTHING_RIGHT = "new question without a right chain"
KNOWN = "right chain that the data has"
SPARE = "question whose chain the data has"
WRONG = "judged wrong"
WRONG_IN_DATA = "judged wrong and left out of the data"
AGAIN = "judged again in a later row"
DUPLICATE = "right chain of an earlier row"


ELSEWHERE = (NEW, INCOMPLETE, NOTHING_RIGHT)
"""Fates of rows about questions that no part of the data has."""


def with_reason(fate: str, reason: str | None) -> str:
    """The fate of a row judged wrong, with the reason why its edit is not learnt from, if it has
    one."""
    return fate if reason is None else f"{fate}, its edit not used: {reason}"


@dataclass(frozen=True)
class FeedbackUse:
    """Which chains of feedback the arms of a recipe learn from."""

    right: bool = True
    """Chains that are edited or judged right."""
    wrong: bool = False
    """Chains that are judged wrong."""

    @classmethod
    def of(cls, recipe: Recipe) -> FeedbackUse:
        """What the arms of the recipe learn from."""
        wrong = contrasts(recipe)
        return cls(wrong or needs_chains(recipe) or needs_rationales(recipe), wrong)

    def __contains__(self, fate: str) -> bool:
        """Whether a row of that fate is used."""
        if fate.startswith(WRONG_IN_DATA):
            return self.right
        if fate.startswith(WRONG) or fate in (KNOWN, SPARE):
            return self.wrong
        return fate == NEW or (fate in (EDITED, RIGHT) and self.right)


@dataclass(frozen=True)
class FeedbackRows:
    """The rows of all feedback files, for the arms of one recipe."""

    files: Mapping[str, Mapping[str, int]]
    """File → fate → rows."""
    use: FeedbackUse
    learnt: int
    """Chains to learn from."""
    rejected: int
    """Chains that are negatives of tailored learning."""
    new_questions: int
    removed: int
    """Training chains left out because they were judged wrong."""

    @classmethod
    def of(cls, facts: Mapping[str, Any], recipe: Recipe) -> FeedbackRows:
        """From what `data.json` says of feedback (`read_feedback_files`)."""
        use = FeedbackUse.of(recipe)
        learnt = facts["positives"] - (0 if use.wrong else facts["known"])
        return cls(
            files=facts["files"],
            use=use,
            learnt=learnt if use.right else 0,
            rejected=facts["rejected"] if use.wrong else 0,
            new_questions=facts["new_questions"],
            removed=facts["removed"],
        )

    def facts(self) -> dict[str, Any]:
        """The fields of `FeedbackFacts` in `results.json`."""
        used, unused = self._split(self._total())
        return {
            "used": used,
            "unused": unused,
            "learnt": self.learnt,
            "rejected": self.rejected,
            "new_questions": self.new_questions,
            "removed": self.removed,
        }

    def lines(self) -> list[str]:
        """One line a file, in which every row is in one count; a warning for each file of which
        nothing is used; a note on each that mostly judges other questions than those of the data;
        and what all of them give."""
        lines = []
        for name, fates in self.files.items():
            used, unused = self._split(fates)
            rows = counted(sum(fates.values()), "row")
            lines.append(f"feedback {name}: {rows}; {_counts('used', used, unused)}")
            if not used:
                lines.append(f"warning: nothing of {name} is used. {self._advice(fates)}")
            elsewhere = sum(fates.get(fate, 0) for fate in ELSEWHERE)
            judged = sum(fates.values()) - fates.get(AGAIN, 0) - fates.get(DUPLICATE, 0)
            if used and 2 * elsewhere > judged:
                lines.append(
                    f"{name}: {elsewhere:,} of its {judged:,} judged chains: question not in the "
                    "data. If the questions come from another task, take the file out."
                )
        gives = [f"{counted(self.learnt, 'chain')} to learn from"]
        if self.use.wrong:
            gives.append(f"{self.rejected:,} rejected (negatives of tailored arms)")
        if self.new_questions:
            gives.append(counted(self.new_questions, "new question"))
        if self.removed:
            gives.append(f"{counted(self.removed, 'training chain')} judged wrong left out")
        return [*lines, f"feedback gives: {', '.join(gives)}"]

    def check_used(self, task: str) -> None:
        """Raises DataError where nothing of all files is used."""
        total = self._total()
        used, unused = self._split(total)
        if not used:
            raise DataError(
                f"data.feedback: {', '.join(self.files)}: "
                f"{counted(sum(total.values()), 'row')}, and nothing is used for the task {task!r} "
                f"with these data and arms: {_listed(unused)}. {self._advice(total)}"
            )

    def _total(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for fates in self.files.values():
            total.update(fates)
        return total

    def _split(self, fates: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
        """(fates of rows that are used, of rows that are not), the most frequent first."""
        ordered = Counter(fates).most_common()
        return (
            {fate: rows for fate, rows in ordered if fate in self.use},
            {fate: rows for fate, rows in ordered if fate not in self.use},
        )

    def _advice(self, fates: Mapping[str, int]) -> str:
        """What to do about rows of which none is used."""
        if any(fate in FeedbackUse(wrong=True) for fate in fates):
            if not self.use.right:
                return (
                    "No arm of the recipe learns from chains: name one that does, or take it out."
                )
            return (
                "Only tailored arms learn from what was judged wrong: edit chains on the page of "
                "smallsteps review or serve, name tailored arms, or take the file out."
            )
        if AGAIN in fates or DUPLICATE in fates:
            return "Take it out if nothing in it is to count."
        return (
            "Name the task and the data that the judged questions come from, or take the file out."
        )


def _counts(word: str, used: Mapping[str, int], unused: Mapping[str, int]) -> str:
    """`used: edited chain (3); not used: wrong answer (1)`."""
    rest = f"; not used: {_listed(unused)}" if unused else ""
    return f"{word}: {_listed(used) or 'none'}{rest}"


def _listed(fates: Mapping[str, int]) -> str:
    return ", ".join(f"{fate} ({rows:,})" for fate, rows in fates.items())


def names_in_messages(paths: Sequence[str]) -> list[str]:
    """The names of files, with their folders where two are called the same.

    >>> names_in_messages(["a/x.jsonl", "b/x.jsonl"]), names_in_messages(["a/x.jsonl"])
    (['a/x.jsonl', 'b/x.jsonl'], ['x.jsonl'])
    """
    names = [path.replace("\\", "/").rsplit("/", 1)[-1] for path in paths]
    return names if len(set(names)) == len(names) else list(paths)
