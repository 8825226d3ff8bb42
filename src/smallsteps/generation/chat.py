"""A local model in the role of a chat endpoint: messages in, replies out, through the same store.

Its replies are kept like bought ones, so that a killed job asks nothing twice. The base URL of
their key is `local:` and a digest of the weights, so that another model in the same folder is
another teacher.

Replies are those of the local engine on the model's chat template; a model without one, and every
encoder-decoder, reads the messages one after another. A model that can think is told to think
where thoughts are kept (`thinking` other than `drop`), if its template knows `enable_thinking`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from smallsteps import team
from smallsteps.errors import DataError, InternalError
from smallsteps.generation.budget import Budget
from smallsteps.generation.chat_request import ChatRequest
from smallsteps.generation.completion import chat_reply, stored_answer
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
        """One reply for each request and sample: stored ones first; the same request is written
        once. The processes of a launch share the requests."""
        if team.size() > 1:
            replies: Iterator[Reply] = iter(self._shared(requests, decoding))
        else:
            replies = self._replies(requests, decoding)
        for done, reply in enumerate(replies, start=1):
            if progress:
                progress(done)
            yield reply

    def _shared(self, requests: Iterable[Request], decoding: Decoding) -> list[Reply]:
        """The replies of all processes. Requests of the same text go to one process: what it writes
        for one answers the others."""
        groups: dict[Any, list[Request]] = {}
        for request in requests:
            prompt = request.prompt
            groups.setdefault(prompt if isinstance(prompt, str) else tuple(prompt), []).append(
                request
            )

        def reply_to(share: Sequence[list[Request]]) -> list[list[Reply]]:
            group_of = {request.id: n for n, group in enumerate(share) for request in group}
            replies: list[list[Reply]] = [[] for _ in share]
            of_share = (request for group in share for request in group)
            for reply in self._replies(of_share, decoding):
                replies[group_of[reply.id]].append(reply)
            return replies

        return [
            reply for group in team.share_out(list(groups.values()), reply_to) for reply in group
        ]

    def _replies(self, requests: Iterable[Request], decoding: Decoding) -> Iterator[Reply]:
        """Replies from the store, then those that are written now."""
        new: dict[str, PendingReply] = {}
        for request in requests:
            for sample in samples_of(request):
                chat_request = self._chat_request(request, decoding, sample)
                if stored := stored_answer(self.store, chat_request):
                    yield chat_reply(request.id, sample, chat_request, *stored, self.thinking)
                else:
                    pending = new.setdefault(chat_request.key, PendingReply(chat_request, []))
                    pending.places.append((request.id, sample))
        prompts: dict[str, list[int]] = {}
        for key, pending in new.items():
            messages = pending.chat_request.messages
            ids = self.student.chat_ids(messages, thinking=self.thinking != "drop")
            try:
                self.student.require_room(ids, "the prompt", new_tokens=1)
            except DataError as error:  # one row that is too long is no reason to lose the others
                yield from failed_replies(pending, f"{REFUSED}: {error}", read=len(ids))
                continue
            prompts[key] = ids
        engine_requests = [_engine_request(new[key], ids) for key, ids in prompts.items()]
        for written in self.engine.generate(engine_requests, decoding):
            yield from self._finish(new[written.id], written, prompts[written.id])

    def _finish(self, pending: PendingReply, written: Reply, prompt: list[int]) -> Iterator[Reply]:
        """Stores what was written; the reply for each place that waits for it."""
        reason = self._keep(pending.chat_request, written, prompt)
        stored = None if reason else stored_answer(self.store, pending.chat_request)
        if stored is None:
            yield from failed_replies(pending, reason, read=len(prompt), tokens=written.tokens)
            return
        for id, sample in pending.places:
            yield chat_reply(id, sample, pending.chat_request, *stored, self.thinking)

    def _keep(self, chat_request: ChatRequest, written: Reply, prompt: list[int]) -> str:
        """Stores what was written as a server would send it. Returns "" for an answer, otherwise
        why it is none."""
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


def _engine_request(pending: PendingReply, prompt: list[int]) -> Request:
    """The request for the engine; its id is the key."""
    chat_request = pending.chat_request
    limit = dict(chat_request.parameters)["max_tokens"]
    return Request(chat_request.key, prompt, first_sample=chat_request.sample, max_new_tokens=limit)


def failed_replies(
    pending: PendingReply, reason: str, *, read: int, tokens: int = 0
) -> Iterator[Reply]:
    """A failed reply for each place that waits."""
    for id, sample in pending.places:
        yield Reply(id, sample, (), "", "failed", tokens, error=reason, read=read)
