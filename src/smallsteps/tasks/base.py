"""What a task is: one frozen value that says how questions are put, how chains end and how answers
are read and graded.

Prompting, training, generation, filtering, exams, rewards and scores all ask the same Task, so that
they cannot disagree. To add a task, write a module that builds one and add a line to `TASKS`.

The stop sign follows section 4 of the AS-ES page (Xi et al., 2024): the closing phrase counts only
in the *last* sentence of a segment, and only if an answer parses; about 1 % of real chains hold
"answer is" earlier. Where the authors' code turns unreadable answers into numbers, ours is None,
which equals nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from inspect import signature
from typing import Any, Literal

from smallsteps.errors import DataError, InternalError, RecipeError, nearest
from smallsteps.records import Chain, Grade, Prediction, Problem
from smallsteps.tasks.clean import reply_text
from smallsteps.tasks.fields import or_column
from smallsteps.tasks.languages import ENGLISH, LANGUAGES, closing_pattern
from smallsteps.tasks.latex import unwrapped, without_emphasis
from smallsteps.tasks.sentences import last_sentence

Difficulty = Literal["easy", "medium", "hard"]
"""Of bundled chains."""

STOP_TOKEN = "<STOP>"
"""The special token that ends the last segment where no closing phrase is natural."""

OVERLOOKED_CHOICES = (
    "The rows have `choices`, which this task does not read: add --task commonsenseqa."
)

ANSWER_IS = ENGLISH.closing_pattern
"""The usual stop sign's phrase, as in "The answer is 7."."""


@dataclass(frozen=True)
class Task:
    """Everything the toolkit knows about one kind of problem."""

    name: str
    render: Callable[[Problem], str]
    """Problem → the question text a student reads, with choices and context."""
    extract: Callable[[str, bool, Problem | None], str | None]
    """(text, lenient, problem) → the answer, or None. Strict reads only what the closing says;
    lenient also takes the last candidate in the text. The problem is given where choices matter."""
    same: Callable[[str | None, str | None], bool]
    """(answer, gold) → equal by value. Never true for None."""
    context: Callable[[Problem], str] | None = None
    """Problem → the context alone, as it stands in the question text; None: questions have none."""
    accepted: Callable[[Problem], Sequence[str]] | None = None
    """Problem → further answers that count as right (aliases); None: there are none."""
    closing: str | None = "The answer is {answer}."
    """The sentence that ends a chain; None: chains end in the special token `<STOP>`."""
    closing_pattern: str | None = ANSWER_IS
    """Regular expression (case-insensitive) of the stop sign's phrase; None: `<STOP>` ends a
    chain."""
    joiner: str = " "
    """Between earlier segments in a student's input: a space, or nothing for Chinese."""
    language: str = "en"
    """A code of `tasks.languages`: closings, decimal commas, tokenisers of BLEU and ROUGE-L."""
    metric: str = "accuracy"
    """Name of the main figure in `evaluation.METRICS`: accuracy, exact_match for multi-hop
    questions, bleu for reports."""
    also: tuple[str, ...] = ()
    """Figures of the answers that `smallsteps grade` prints beside it."""
    max_segments: int = 40
    """Segments a chain may have before it stops with `limit` (the paper's algorithms: no limit; the
    authors' code: five rounds of two). Trained students carry a limit of their own, from their
    training data (`Drive.max_segments`)."""
    max_segment_tokens: int = 256
    """New tokens a segment may have (the authors' code: 100; merged segments can be almost as long
    as chains)."""
    max_chain_tokens: int = 512
    """New tokens a whole chain may have when it is written at once (direct)."""
    row_fields: tuple[str, ...] = ()
    """The text fields of the data set's own rows, where `prepare` reads those (reports: findings,
    impression)."""
    prepare: Callable[[str, Mapping[str, Any]], list[Chain]] | None = None
    """(row id, row of the data set's own shape) → its chains, where rows are not `id, question,
    rationale, answer` (reports). A DataError it raises needs no file and line: the reader adds
    them."""
    assemble: Callable[[Sequence[Problem], Sequence[Prediction]], list[Prediction]] | None = None
    """Predictions of parts (regions) → predictions of wholes (reports), before grading."""
    wholes: Callable[[Sequence[Problem]], list[Problem]] | None = None
    """Parts (regions) → the wholes (reports) with their gold answers, which assembled predictions
    are graded against."""
    select: Callable[[Sequence[Chain], float, int], list[Chain]] | None = None
    """(training chains, gamma, seed) → those trained on, where part of them is left out (normal
    regions of reports)."""
    whole_chains: Callable[[Sequence[Chain]], list[Chain]] | None = None
    """Chains of parts → chains of wholes, for the arm `direct-report`."""
    generate: Callable[[int, int, Difficulty], list[Chain]] | None = None
    """(count, seed, difficulty) → bundled chains of this task; None: none are bundled."""
    meta: dict[str, Any] = field(default_factory=dict, hash=False)

    def in_language(self, code: str) -> Task:
        """The same task in another language, named `gsm8k-de`: its closing, numbers and yes and no
        are read and written as the language does. Raises RecipeError where there is no such
        language, or the task has its own.

        >>> from smallsteps.tasks import get_task
        >>> get_task("gsm8k").in_language("zh").close("3 + 4 = 7", "7")
        '3 + 4 = 7。答案是7。'
        """
        if code not in LANGUAGES:
            raise RecipeError(f"no language {code!r}.{nearest(code, LANGUAGES)}")
        if code == self.language:
            return self
        if self.language != "en" or self.closing is None:
            raise RecipeError(
                f"task {self.name!r} is written in {LANGUAGES[self.language].name}, "
                f"not in {code!r}."
            )
        language = LANGUAGES[code]
        return replace(
            self,
            name=f"{self.name}-{code}",
            language=code,
            closing=language.closing,
            closing_pattern=closing_pattern(code),
            joiner=" " if language.spaced else "",
            extract=_speaking(self.extract, code),
            same=_speaking(self.same, code),
            generate=None,  # bundled chains are English
        )

    def ends_chain(self, segment: str, problem: Problem | None = None) -> bool:
        """Whether `segment` carries the stop sign: the closing phrase in its last sentence with an
        answer that parses strictly (`closing_pattern` None: `<STOP>` anywhere in it).

        >>> from smallsteps.tasks import get_task
        >>> get_task("gsm8k").ends_chain("The answer is 7. But wait, that is wrong.")
        False
        """
        if self.closing_pattern is None:
            return STOP_TOKEN in segment
        return self.closing_answer(segment, problem) is not None

    def closing_answer(self, text: str, problem: Problem | None = None) -> str | None:
        """The answer of a text that carries the stop sign, read strictly; None where the sign is
        not there or says nothing that parses."""
        if self.closing_pattern is None:
            ended = STOP_TOKEN in text
        else:
            ended = closing_tail(text, self.closing_pattern) is not None
        return self.extract(text, False, problem) if ended else None

    def close(self, rationale: str, answer: str | None, problem: Problem | None = None) -> str:
        """`rationale` with its closing sentence added; unchanged where it has one of its own or the
        task has none.

        A rationale that ends in a letter, a digit or a bracket gets a full stop first (4 in 10 of
        GSM8K's do not have one), so that the closing is a sub-sentence of its own. Raises DataError
        if an answer is needed and None is given."""
        if self.closing is None or self.ends_chain(rationale, problem):
            return rationale
        if answer is None:
            raise DataError(
                f"neither an answer nor a closing such as {self.closing.format(answer='…')!r} at "
                "the end of the "
                "rationale. Add an `answer` to the row, or end the rationale in its closing "
                f"sentence{or_column({} if problem is None else problem.meta, 'answer')}."
            )
        closing = self.closing.format(answer=answer.strip())
        if closing[-2:] in ("..", "!.", "?.", "。."):
            closing = closing[:-1]  # "The answer is 3:30 p.m." has its full stop already
        body = rationale.rstrip()
        if body and (body[-1].isalnum() or body[-1] in ")]}%$€£\"'’”*"):
            body += closing[-1] if closing[-1] in "。।" else "."
        return f"{body}{self.joiner}{closing}".lstrip()

    def gold(self, problem: Problem) -> str:
        """The problem's gold answer as the extractor reads it back after the closing, proof that a
        right chain can be graded right: choices come back as their text even where the data names a
        letter. Raises DataError where it cannot be read back."""
        if problem.answer is None:
            raise DataError(
                f"no gold answer. Add an `answer` to the row{or_column(problem.meta, 'answer')}."
            )
        if self.closing is None:
            return problem.answer
        closed = self.close("", problem.answer)
        read = self.closing_answer(closed, problem)
        if read is None or not self.same(read, read if problem.choices else problem.answer):
            if self.overlooks_choices(problem):
                raise DataError(
                    f"the answer {problem.answer!r} cannot be read back by task {self.name!r}. "
                    f"{OVERLOOKED_CHOICES}"
                )
            why = f" among the choices {list(problem.choices)}" if problem.choices else ""
            if last_sentence(closed) != closed:
                why = ", as it holds more than one sentence"
            raise DataError(
                f"the answer {problem.answer!r} cannot be read back from {closed!r} by task "
                f"{self.name!r}{why}. "
                "Correct the answer, or name another task: --task text compares answers as words, "
                "--task numbers as "
                "numbers."
            )
        return read if problem.choices else problem.answer

    def overlooks_choices(self, problem: Problem) -> bool:
        """Whether the problem has choices that this task shows to nobody."""
        return bool(problem.choices) and self.render(problem) == self.render(
            replace(problem, choices=())
        )

    def golds(self, problem: Problem) -> tuple[str, ...]:
        """The gold answer, where there is one, and all others that count as right."""
        gold = () if problem.answer is None else (problem.answer,)
        return gold if self.accepted is None else (*gold, *self.accepted(problem))

    def grade(self, prediction: Prediction, problem: Problem) -> Grade:
        """The verdict on one prediction: value 1.0 where `prediction.answer` equals the gold answer
        by value, else 0.0.

        Raises DataError where the problem has no gold answer, InternalError where the two do not
        belong together."""
        if prediction.problem_id != problem.id:
            raise InternalError(
                f"prediction {prediction.id} answers {prediction.problem_id}, "
                f"graded against {problem.id}"
            )
        if problem.answer is None:
            raise DataError(
                f"{problem.id}: no gold answer to grade against. Add an `answer` to its row"
                f"{or_column(problem.meta, 'answer')}."
            )
        return Grade(
            id=f"{prediction.id}/grade",
            prediction_id=prediction.id,
            value=float(any(self.same(prediction.answer, gold) for gold in self.golds(problem))),
            answer=prediction.answer,
            gold=problem.answer,
            parsed=prediction.answer is not None,
        )


def _speaking(function: Callable[..., Any], code: str) -> Callable[..., Any]:
    """`function` for that language, where it depends on one."""
    return (
        partial(function, language=code)
        if "language" in signature(function).parameters
        else function
    )


@lru_cache(maxsize=64)  # a reader, a writer of closings and an extractor ask of one text in turn
def closing_tail(text: str, pattern: str = ANSWER_IS) -> str | None:
    """What follows the closing phrase in the last sentence of `text`; None where the phrase is not
    there.

    >>> closing_tail("So 3 + 4 = 7. The answer is 7.")
    '7.'
    """
    text = reply_text(text).replace(STOP_TOKEN, " ").rstrip()
    bare = text.rstrip(_FENCE)
    sentence = last_sentence(bare if "\n" in text[len(bare) :] else text)
    phrases = list(re.finditer(pattern, sentence, re.IGNORECASE))
    return sentence[phrases[-1].end() :].lstrip(" :：").rstrip() if phrases else None


_FENCE = "`*}])$\\ \t\r\n"
"""Lines of these alone close a code block or a formula and are no sentence."""


_SLANTED = re.compile(r"(?<![\w*])[*_]([^\W_][^*_\n]{0,60})[*_](?![\w*])")


def undecorated(text: str) -> str:
    """What a closing says without Markdown's emphasis and LaTeX's wrappers around it.

    >>> undecorated(r"$\\boxed{\\text{Rome}}$."), undecorated("**Rome**.")
    ('Rome.', 'Rome.')
    """
    bare = _SLANTED.sub(r"\1", without_emphasis(unwrapped(text))).strip()
    if bare != text and bare[:1] == "$":
        bare = bare.replace("$", "")
    return bare


_WRAPPING = " \t\r\n\"'“”‘’`*"


def normalise(text: str) -> str:
    """Text as it is compared where answers are words: NFKC, case folded, white space runs as one
    space, wrapping quotes and asterisks, final punctuation and a leading article taken off. Signs,
    colons and units inside stay.

    >>> normalise('The 60th caller.'), normalise("-5"), normalise("3:30 p.m.")
    ('60th caller', '-5', '3:30 p.m')
    """
    words = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    bare = words.strip(_WRAPPING).rstrip(".,;:!?。" + _WRAPPING).strip()
    without_article = re.sub(r"^(?:a|an|the)\s+(?=\S)", "", bare)
    return without_article or bare


def same_text(answer: str | None, gold: str | None) -> bool:
    """Whether two answers are the same words (`normalise`). None and empty equal nothing."""
    return (
        answer is not None
        and gold is not None
        and bool(normalise(answer))
        and normalise(answer) == normalise(gold)
    )


def render_question(problem: Problem) -> str:
    """The question alone, stripped."""
    return problem.question.strip()
