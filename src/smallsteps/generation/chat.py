"""A local model in the role of a chat endpoint: messages in, replies out, through the same store.

Its replies are kept like bought ones, so that a killed job asks nothing twice. The base URL of their key is `local:` and
a digest of the weights, so that another model in the same folder is another teacher.

Replies are those of the local engine on the model's chat template; a model without one, and every encoder-decoder, reads
the messages one after another.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from smallsteps.generation.endpoint import Wanted, samples_of, stored_reply, to_ask
from smallsteps.generation.engine import LocalEngine
from smallsteps.generation.generator import Decoding, Reply, Request
from smallsteps.generation.replies import Ask, ReplyStore, Spent
from smallsteps.students.student import Student

JOB = "local"


class LocalChat:
    """A `Generator` of messages over a student."""

    def __init__(self, student: Student, store: ReplyStore, batch_size: int = 16, dtype: str | None = None) -> None:
        self.student, self.store = student, store
        self.engine = LocalEngine(student, batch_size, dtype)
        self.base_url = f"local:{student.weights_digest()[:16]}"

    def forecast(self, requests: Iterable[Request], decoding: Decoding) -> str:
        """How many are to be written, in a line."""
        asks = [self._ask(request, decoding, sample) for request in requests for sample in samples_of(request)]
        new = sum(self.store.get(ask.key) is None for ask in asks)
        return f"{len(asks):,} requests: {new:,} to be written by {self.student.name} on this machine"

    def _ask(self, request: Request, decoding: Decoding, sample: int) -> Ask:
        return to_ask(self.base_url, self.student.name, request, decoding, sample)

    def generate(
        self, requests: Iterable[Request], decoding: Decoding, progress: Callable[[int], None] | None = None
    ) -> Iterator[Reply]:
        """One reply for each request and sample: stored ones first; what is asked twice is written once."""
        done = 0
        new: dict[str, Wanted] = {}
        for request in requests:
            for sample in samples_of(request):
                ask = self._ask(request, decoding, sample)
                if (raw := self.store.get(ask.key)) is None:
                    new.setdefault(ask.key, Wanted(ask, [])).places.append((request.id, sample))
                    continue
                done += 1
                if progress:
                    progress(done)
                yield stored_reply(request.id, sample, raw)
        asked = {
            key: Request(
                key, self.student.chat_ids(one.ask.messages), first_sample=one.ask.sample,
                max_new_tokens=dict(one.ask.parameters)["max_tokens"],
            )
            for key, one in new.items()
        }  # fmt: skip
        for reply in self.engine.generate(asked.values(), decoding):
            one = new[reply.id]
            reply = replace(reply, read=len(asked[reply.id].prompt), text=reply.text.strip())
            self._keep(one.ask, reply)
            if not reply.text:
                reply = replace(reply, finished="failed", error="empty reply")
            for id, sample in one.places:
                done += 1
                if progress:
                    progress(done)
                yield replace(reply, id=id, sample=sample)

    def _keep(self, ask: Ask, reply: Reply) -> None:
        message = {"role": "assistant", "content": reply.text}
        choice = {"index": 0, "message": message, "finish_reason": "length" if reply.finished == "limit" else "stop"}
        usage = {"prompt_tokens": reply.read, "completion_tokens": reply.tokens}
        raw = json.dumps({"choices": [choice], "usage": usage}, ensure_ascii=False)
        cost = Spent(1, reply.read, reply.tokens)
        call = self.store.sent(JOB, ask.key, cost)
        if reply.text.strip():
            self.store.answered(call, ask, raw, cost)
        else:
            self.store.failed(call, ask.key, "empty reply", raw, cost)
