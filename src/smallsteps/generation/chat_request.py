"""One request for one reply of a chat model, as the store of paid replies and the server see it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ChatRequest:
    """A request for one sample, with all that its reply depends on."""

    base_url: str
    model: str
    messages: tuple[tuple[str, str], ...]
    """(role, content) in order."""
    parameters: tuple[tuple[str, Any], ...] = ()
    """What else is sent (temperature, max_tokens, …), sorted by name; plain JSON values."""
    sample: int = 0
    """Tells apart several replies to the same messages."""

    def body(self) -> dict[str, Any]:
        """The body that is sent: all but the sample number, which no server knows."""
        messages = [{"role": role, "content": content} for role, content in self.messages]
        return {"model": self.model, "messages": messages, **dict(self.parameters)}

    def text(self) -> str:
        """The whole request in one canonical line of JSON."""
        whole = {"base_url": self.base_url.rstrip("/"), **self.body(), "sample": self.sample}
        text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return text.encode(errors="replace").decode()  # the path of a model may hold any bytes

    @property
    def key(self) -> str:
        """The SHA-256 digest of the whole request, in hexadecimal."""
        return hashlib.sha256(self.text().encode()).hexdigest()
