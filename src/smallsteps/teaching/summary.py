"""Lines that summarise a teacher's filtered replies, and advice where none was kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from smallsteps.errors import counted
from smallsteps.generation.budget import NOT_ASKED
from smallsteps.tasks.base import Task
from smallsteps.teaching.filtering import NO_ANSWER, WRONG_ANSWER, FilteredReply
from smallsteps.teaching.lessons import CUT_OFF


def summary_lines(replies: Sequence[FilteredReply]) -> Iterator[str]:
    """How many replies were kept, and why the others were dropped."""
    received = [reply for reply in replies if _was_received(reply)]
    kept = sum(reply.dropped is None for reply in replies)
    answered = {reply.lesson.problem.id for reply in received}
    unanswered = {reply.lesson.problem.id for reply in replies} - answered
    without = f", {counted(len(unanswered), 'question')} without a reply" if unanswered else ""
    yield f"{kept:,} of {len(received):,} replies kept{without}"
    if replies and all(reply.lesson.problem.answer is None for reply in replies):
        yield "no gold answers: every reply that ends in an answer is kept"
    counts = Counter(_short_reason(reply.dropped) for reply in replies if reply.dropped)
    for reason, count in counts.most_common():
        yield f"  dropped {count:,}: {reason}"


def _was_received(reply: FilteredReply) -> bool:
    return reply.rationale is not None or (reply.dropped or "").startswith(CUT_OFF)


def _short_reason(reason: str) -> str:
    """The part of a reason before its details. A limit keeps its amount: the user set it and can
    raise it."""
    return reason if reason.startswith(NOT_ASKED) else reason.split(":")[0]


def why_no_reply_came(replies: Sequence[FilteredReply]) -> str | None:
    """The first error, where the teacher returned no reply at all. None: some replies came, cut off
    or not, or a limit of the user's kept all requests from being sent."""
    reasons = [reply.dropped or "" for reply in replies if reply.rationale is None]
    errors = [reason for reason in reasons if not reason.startswith(NOT_ASKED)]
    if len(reasons) < len(replies) or any(reason.startswith(CUT_OFF) for reason in errors):
        return None
    return errors[0] if errors else None


def why_none_was_kept(replies: Sequence[FilteredReply], task: Task) -> str | None:
    """What to change, where replies came and all were dropped for one reason. None: some were kept,
    or the reasons differ."""
    received = [reply for reply in replies if reply.rationale is not None]
    reasons = {str(reply.dropped).split(":")[0] for reply in received}
    if len(reasons) != 1 or any(reply.dropped is None for reply in replies):
        return None
    reason = reasons.pop()
    line = f"no reply was kept: all {len(received):,} were dropped for the same reason: {reason}."
    if reason in (NO_ANSWER, WRONG_ANSWER) and task.closing is not None:
        closing = task.closing.format(answer="N")
        line += (
            " The answer is read from the end of a reply. "
            rf"End each reply with {closing!r}, #### N or \boxed{{N}}."
        )
    return line
