"""The review page: chains of a file, judged, edited and labelled by a person, without a student.

Judgements are appended to a file of feedback. Labels of ES and AS go to a file of chains with
`segments`, one row for each labelled chain, which is replaced as a whole: the last labels of a
chain count. Both files are read again at the start, so that a review goes on where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from smallsteps.errors import DataError, counted
from smallsteps.records import Chain, Kind
from smallsteps.segments.split import split
from smallsteps.segments.strategies import gold_kinds
from smallsteps.serving.api_errors import ApiError, not_written
from smallsteps.serving.api_requests import read_body
from smallsteps.serving.application import ERROR_HANDLERS
from smallsteps.serving.guard import AccessRule, Application, Guard
from smallsteps.serving.playground import page_file, style_file
from smallsteps.tasks.base import Task
from smallsteps.tasks.files import read_rows, write_rows
from smallsteps.teaching.feedback import Feedback, append_feedback, now, read_feedback


class JudgementBody(BaseModel):
    """`POST /review/feedback`."""

    model_config = ConfigDict(strict=True, extra="forbid")
    number: int
    verdict: Literal["right", "wrong"]
    edited: str | None


class LabelBody(BaseModel):
    """`POST /review/labels`: the label of each sub-sentence."""

    model_config = ConfigDict(strict=True, extra="forbid")
    number: int
    kinds: list[Kind]


class Review:
    """The chains of a file, what was said of them, and the handlers of the page."""

    def __init__(
        self, chains: Sequence[Chain], task: Task, source: str, feedback: Path, labels: Path
    ) -> None:
        """`source`: the name of the file of chains, which stands for their author. Raises DataError
        where an earlier file of feedback or labels cannot be read."""
        self.chains, self.task, self.source = chains, task, source
        self.feedback_file, self.labels_file = feedback, labels
        self.pieces = [split(chain.rationale.text, task.language) for chain in chains]
        self.judgements: dict[str, Feedback] = {}
        """Text of a chain → the last judgement."""
        if feedback.exists() and feedback.stat().st_size:
            self.judgements = {judged.rationale: judged for judged in read_feedback(feedback)}
        self.label_rows: dict[str, dict[str, Any]] = {}
        """Id of a chain → its row with labels."""
        if labels.exists() and labels.stat().st_size:
            self.label_rows = {str(row.get("id")): row for _, row in read_rows(labels)}
            for id, row in self.label_rows.items():
                if not isinstance(row.get("segments"), list):
                    raise DataError(
                        f"{labels}: the row {id!r} has no labels: this is no file of a review. "
                        "Name another one: --labels FILE"
                    )

    def routes(self) -> list[Route]:
        """Of the page and of what it asks."""
        return [
            Route("/", page_file("review.html", "text/html")),
            Route("/playground.css", style_file("playground.css")),
            Route("/review.css", page_file("review.css", "text/css")),
            Route("/review.js", page_file("review.js", "text/javascript")),
            Route("/review/chains/{number:int}", self.chain),
            Route("/review/feedback", self.judge, methods=["POST"]),
            Route("/review/labels", self.label, methods=["POST"]),
        ]

    async def chain(self, request: Request) -> Response:
        """A chain with what was said of it so far."""
        number = request.path_params["number"]
        chain = self._chain(number)
        judged = self.judgements.get(chain.rationale.text)
        return JSONResponse(
            {
                "number": number,
                "count": len(self.chains),
                "id": chain.problem.id,
                "question": self.task.render(chain.problem),
                "answer": chain.problem.answer,
                "pieces": self.pieces[number],
                "kinds": self.kinds(number),
                "verdict": judged.verdict if judged else None,
                "edited": judged.edited if judged else None,
                "judged": sum(c.rationale.text in self.judgements for c in self.chains),
                "labelled": sum(c.problem.id in self.label_rows for c in self.chains),
                "files": [self.feedback_file.name, self.labels_file.name],
            }
        )

    async def judge(self, request: Request) -> Response:
        """Appends a judgement. An edit that changes nothing is none."""
        body = read_body(await request.body(), JudgementBody)
        chain = self._chain(body.number)
        text, edited = chain.rationale.text, body.edited
        if edited is not None and edited.strip() in ("", text.strip()):
            edited = None
        judgement = Feedback(
            id=chain.problem.id,
            question=chain.problem.question,
            rationale=text,
            answer=self.task.extract(text, True, chain.problem),
            verdict=body.verdict,
            edited=edited,
            student=self.source,
            time=now(),
        )
        await self._save(self.feedback_file, lambda: append_feedback(self.feedback_file, judgement))
        self.judgements[text] = judgement
        return JSONResponse({"edited": edited is not None}, 201)

    async def label(self, request: Request) -> Response:
        """Writes the labels of a chain."""
        body = read_body(await request.body(), LabelBody)
        chain, pieces = self._chain(body.number), self.pieces[body.number]
        if len(body.kinds) != len(pieces):
            labels = counted(len(body.kinds), "label")
            raise ApiError(400, f"{labels} for {counted(len(pieces), 'sub-sentence')}.")
        row: dict[str, Any] = {
            "id": chain.problem.id,
            "question": chain.problem.question,
            "rationale": chain.rationale.text,
            "answer": chain.problem.answer,
            "segments": [
                {"kind": kind, "text": text} for kind, text in zip(body.kinds, pieces, strict=True)
            ],
        }
        if chain.problem.choices:
            row["choices"] = list(chain.problem.choices)
        if chain.problem.context:
            row["context"] = [[title, list(lines)] for title, lines in chain.problem.context]
        rows = {**self.label_rows, chain.problem.id: row}
        await self._save(self.labels_file, lambda: write_rows(self.labels_file, rows.values()))
        self.label_rows = rows
        return JSONResponse({"labelled": len(rows)}, 201)

    def kinds(self, number: int) -> list[Kind] | None:
        """The labels of a chain: those given here, else those that its file has; None: none."""
        chain, pieces = self.chains[number], self.pieces[number]
        row = self.label_rows.get(chain.problem.id)
        if row is not None and row.get("rationale") == chain.rationale.text:
            kinds = [segment["kind"] for segment in row["segments"]]
            return kinds if len(kinds) == len(pieces) else None
        if chain.rationale.gold:
            return gold_kinds(chain, pieces)
        return None

    def _chain(self, number: int) -> Chain:
        if not 0 <= number < len(self.chains):
            raise ApiError(404, f"No chain {number}: the file has {len(self.chains)}.")
        return self.chains[number]

    async def _save(self, file: Path, write: Callable[[], Any]) -> None:
        """Raises ApiError where the disk refuses."""
        try:
            await asyncio.to_thread(write)
        except DataError:
            raise not_written("What you said", file.name) from None


def review_application(review: Review, log: Callable[[str], None]) -> Application:
    """The ASGI application of the page, for this machine alone."""
    routes, handlers = review.routes(), ERROR_HANDLERS
    return Guard(Starlette(routes=routes, exception_handlers=handlers), AccessRule(), log)
