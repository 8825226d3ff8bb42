"""A local model in the role of a chat endpoint: messages in, replies out, through the same store.

Its replies are kept like bought ones, so that a killed job asks nothing twice. The base URL of
their key is `local:` and a digest of the weights, so that another model in the same folder is
another teacher.

Replies are those of the local engine on the model's chat template; a model without one, and every
encoder-decoder, reads the messages one after another. A model that can think is engine_requests to think
where thoughts are kept (`thinking` other than `drop`), if its template knows `enable_thinking`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from smallsteps.errors import DataError, InternalError
from smallsteps.generation.budget import Budget
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.completion import reply_of, stored_answer
from smallsteps.generation.endpoint import PendingReply, samples_of, to_chat_request
from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import REFUSED, Decoding, EngineSettings, Reply, Request
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.settings import Thinking
from smallsteps.students.student import Student
from smallsteps.tasks.thoughts import split_thought

JOB = "local"

TAIL = 32
"""Tokens of a prompt's end that tell whether its template opens a thought."""


class LocalChat:
    """A `Generator` of messages over a student."""

    def __init__(
        self,
        student: Student,
        store: ReplyStore,
        settings: EngineSettings | None = None,
        thinking: Thinking = "drop",
    ) -> None:
        self.student, self.store, self.thinking = student, store, thinking
        self.engine = open_engine(student, settings or EngineSettings(batch_size=16))
        self.base_url = f"local:{student.weights_digest()[:16]}"
        self._budget = Budget(store, JOB)

    def forecast(self, requests: Iterable[Request], decoding: Decoding) -> str:
        """How many are to be written, in a line."""
        chat_requests = [
            self._chat_request(request, decoding, sample)
            for request in requests
            for sample in samples_of(request)
        ]
        new = sum(self.store.get(chat_request.key) is None for chat_request in chat_requests)
        return (
            f"{len(chat_requests):,} requests: {new:,} to be written by {self.student.name} "
            "on this machine"
        )

    def _chat_request(self, request: Request, decoding: Decoding, sample: int) -> ChatRequest:
        chat_request = to_chat_request(self.base_url, self.student.name, request, decoding, sample)
        if self.thinking == "drop":
            return chat_request
        return replace(
            chat_request,
            parameters=tuple(sorted((*chat_request.parameters, ("enable_thinking", True)))),
        )

    def generate(
        self,
        requests: Iterable[Request],
        decoding: Decoding,
        progress: Callable[[int], None] | None = None,
    ) -> Iterator[Reply]:
        """One reply for each request and sample: stored ones first; what is engine_requests twice is written
        once."""
        done = 0
        new: dict[str, PendingReply] = {}
        for request in requests:
            for sample in samples_of(request):
                chat_request = self._chat_request(request, decoding, sample)
                if (stored := stored_answer(self.store, chat_request)) is None:
                    new.setdefault(chat_request.key, PendingReply(chat_request, [])).places.append(
                        (request.id, sample)
                    )
                    continue
                done += 1
                if progress:
                    progress(done)
                yield reply_of(request.id, sample, chat_request, *stored, self.thinking)
        engine_requests: dict[str, Request] = {}
        for key, pending in new.items():
            ids = self.student.chat_ids(
                pending.chat_request.messages, thinking=self.thinking != "drop"
            )
            try:
                self.student.require_room(ids, "the prompt", new_tokens=1)
            except DataError as error:  # one row that is too long is no reason to lose the others
                for id, sample in pending.places:
                    done += 1
                    yield Reply(
                        id, sample, (), "", "failed", 0, error=f"{REFUSED}: {error}", read=len(ids)
                    )
                continue
            limit = dict(pending.chat_request.parameters)["max_tokens"]
            engine_requests[key] = Request(
                key, ids, first_sample=pending.chat_request.sample, max_new_tokens=limit
            )
        for written in self.engine.generate(engine_requests.values(), decoding):
            chat_request = new[written.id].chat_request
            prompt: list[int] = list(engine_requests[written.id].prompt)  # type: ignore[arg-type]
            reason = self._keep(chat_request, written, prompt)
            stored = stored_answer(self.store, chat_request) if not reason else None
            for id, sample in new[written.id].places:
                done += 1
                if progress:
                    progress(done)
                if stored is None:
                    yield Reply(
                        id, sample, (), "", "failed", written.tokens, error=reason, read=len(prompt)
                    )
                else:
                    yield reply_of(id, sample, chat_request, *stored, self.thinking)

    def _keep(self, chat_request: ChatRequest, written: Reply, prompt: list[int]) -> str:
        """Stores what was written as a server would send it; "": it is an answer, else why it is
        none."""
        opened = not split_thought(self.student.tokenizer.decode(prompt[-TAIL:]))[2]
        text = f"<think>{written.text}" if opened else written.text
        message = {"role": "assistant", "content": text}
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": "length" if written.finished == "limit" else "stop",
        }
        usage = {"prompt_tokens": len(prompt), "completion_tokens": written.tokens}
        raw = json.dumps({"choices": [choice], "usage": usage}, ensure_ascii=False).encode(
            errors="replace"
        )
        call = self._budget.reserve(chat_request)
        if call is None:
            raise InternalError("a job without limits waits for its limits")
        return self._budget.received(call, raw)
