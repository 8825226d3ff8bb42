"""The playground: one page to ask students, see how they write, and say whether it is right.

The page asks `/v1/chat/completions` like any other client. Here is what else it needs: the names of
the students, the entropy of each token of a text, and the file of feedback."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from smallsteps.base_style import base_style
from smallsteps.errors import DataError, UserError
from smallsteps.records import Kind
from smallsteps.serving.api_errors import ApiError, not_written
from smallsteps.serving.api_requests import read_body
from smallsteps.serving.entropies import TokenEntropy, entropies
from smallsteps.serving.served_student import ServedStudent, find_served
from smallsteps.serving.worker import Worker
from smallsteps.teaching.feedback import Feedback, append_feedback, now

EXAMPLES = 8
"""Questions of a task that the page offers."""
EXAMPLE_SEED = 2**20
"""Far from the seeds of recipes, whose problems a student may have been trained on."""

PAGE_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""The page takes scripts and styles from this server alone and asks nobody else."""


class SegmentBody(BaseModel):
    """A segment as the page got it."""

    model_config = ConfigDict(strict=True, extra="forbid")
    kind: Kind | None
    text: str


class EntropyBody(BaseModel):
    """`POST /playground/entropies`."""

    model_config = ConfigDict(strict=True, extra="forbid", protected_namespaces=())
    model: str
    question: str
    segments: list[SegmentBody]


class FeedbackBody(BaseModel):
    """`POST /playground/feedback`."""

    model_config = ConfigDict(strict=True, extra="forbid")
    question: str
    rationale: str
    answer: str | None
    verdict: Literal["right", "wrong"]
    edited: str | None
    student: str


class Playground:
    """The page and its handlers."""

    def __init__(
        self,
        students: Sequence[ServedStudent],
        worker: Worker,
        feedback: Path,
    ) -> None:
        self.students = {served.id: served for served in students}
        self.worker, self.feedback_file = worker, feedback
        self.examples = example_questions(students)

    def routes(self) -> list[Route]:
        """Of the page and of what it asks."""
        return [
            Route("/", page_file("playground.html", "text/html")),
            Route("/playground.css", style_file("playground.css")),
            Route("/playground.js", page_file("playground.js", "text/javascript")),
            Route("/playground/students", self.list_students),
            Route("/playground/entropies", self.score, methods=["POST"]),
            Route("/playground/feedback", self.feedback, methods=["POST"]),
        ]

    async def list_students(self, _: Request) -> Response:
        """The students, and where feedback goes."""
        cards = [
            {
                "id": served.id,
                "task": served.task.name if served.task else None,
                "by_segment": served.by_segment,
            }
            for served in self.students.values()
        ]
        return JSONResponse(
            {
                "students": cards,
                "examples": self.examples,
                "feedback": self.feedback_file.name,
            }
        )

    async def score(self, request: Request) -> Response:
        """The tokens of each segment, with their entropies."""
        body = read_body(await request.body(), EntropyBody)
        served = find_served(self.students, body.model)
        segments = [(segment.kind, segment.text) for segment in body.segments]
        try:
            scored = await asyncio.wrap_future(
                self.worker.call(lambda: entropies(served, body.question, segments))
            )
        except UserError as error:
            raise ApiError(400, str(error)) from None
        return JSONResponse({"segments": [[_token(token) for token in part] for part in scored]})

    async def feedback(self, request: Request) -> Response:
        """Appends a row to the file."""
        body = read_body(await request.body(), FeedbackBody)
        find_served(self.students, body.student)
        try:
            judgement = judgement_of(body)
        except DataError as error:
            raise ApiError(400, str(error)) from None
        try:
            await asyncio.to_thread(append_feedback, self.feedback_file, judgement)
        except DataError:
            raise not_written("The feedback", self.feedback_file.name) from None
        return JSONResponse({"id": judgement.id, "edited": judgement.edited is not None}, 201)


def judgement_of(body: FeedbackBody) -> Feedback:
    """The row of a verdict. Its id is made of the question, so that all verdicts on a question
    share it; an edit that changes nothing is none. Raises DataError where a text is empty."""
    edited = body.edited
    if edited is not None and edited.strip() in ("", body.rationale.strip()):
        edited = None
    digest = hashlib.sha256(" ".join(body.question.split()).encode()).hexdigest()
    return Feedback(
        id=f"asked-{digest[:12]}",
        question=body.question.strip(),
        rationale=body.rationale,
        answer=body.answer,
        verdict=body.verdict,
        edited=edited,
        student=body.student,
        time=now(),
    )


def example_questions(students: Sequence[ServedStudent]) -> list[str]:
    """A few questions of each task that has bundled ones."""
    tasks = {served.task.name: served.task for served in students if served.task}
    return [
        chain.problem.question
        for task in tasks.values()
        if task.generate
        for chain in task.generate(EXAMPLES, EXAMPLE_SEED, "easy")
    ]


def style_file(name: str) -> Any:
    """A handler that sends a style sheet of the package behind the one that all pages share."""
    return _sent(base_style().encode() + _read(name), "text/css")


def page_file(name: str, kind: str) -> Any:
    """A handler that sends a file of the package."""
    return _sent(_read(name), kind)


def _read(name: str) -> bytes:
    return (files("smallsteps.serving") / name).read_bytes()


def _sent(content: bytes, kind: str) -> Any:
    async def send(_: Request) -> Response:
        return Response(content, media_type=kind, headers=PAGE_HEADERS)

    return send


def _token(token: TokenEntropy) -> list[Any]:
    return [token.text, None if token.entropy is None else round(token.entropy, 4)]
