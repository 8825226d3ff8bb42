"""A stand-in for a vLLM server: `/v1/completions` for prompts of token ids, as vLLM 0.32 answers
them, over a model that transformers runs.

In a test, `Server.answer` of `loopback.py` is `answering(student)`. As a program it opens the model
in a folder, as a server of its own does: `python token_server.py FOLDER --port PORT ...`."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from transformers import AutoModelForCausalLM, DynamicCache

import loopback
from smallsteps.generation.caches import cache_argument


def continuation(model: Any, body: dict[str, Any]) -> dict[str, Any]:
    """The completion of one prompt."""
    assert body["return_token_ids"] and body["ignore_eos"] and body["repetition_penalty"] == 1.0
    prompt, ends = body["prompt"], set(body["stop_token_ids"])
    limit = min(body["max_tokens"], model.config.max_position_embeddings - len(prompt))
    draws = torch.Generator().manual_seed(body["seed"])
    written: list[int] = []
    logprobs: list[float] = []
    unread, cache = list(prompt), DynamicCache()
    name = cache_argument(model)
    with torch.no_grad():
        while len(written) < limit and not (written and written[-1] in ends):
            ids = torch.tensor([unread], device=model.device)
            out = model(ids, use_cache=True, **{name: cache})  # which grows in place
            logits = out.logits[0, -1].float().cpu()
            token = int(logits.argmax())
            if body["temperature"]:
                shares = (logits / body["temperature"]).softmax(-1)
                token = int(torch.multinomial(shares, 1, generator=draws))
            unread = [token]
            written.append(token)
            logprobs.append(float(logits.log_softmax(-1)[token]))
    choice = {
        "index": 0,
        "text": "not read",
        "finish_reason": "stop" if written[-1] in ends else "length",
        "token_ids": written,
        "logprobs": {"token_logprobs": logprobs} if "logprobs" in body else None,
    }
    usage = {"prompt_tokens": len(prompt), "completion_tokens": len(written)}
    return {"object": "text_completion", "choices": [choice], "usage": usage}


def answering(model: Any) -> Callable[[dict[str, Any], int], Any]:
    """What `loopback.Server.answer` is for the model, or the one that it was told to load since, as
    vLLM is in its development mode."""
    models = [model]

    def answer(body: dict[str, Any], times: int) -> Any:
        if body.get("method") == "reload_weights":
            models.append(opened(body["kwargs"]["weights_path"]))
            return 200, {"results": [None]}, {}
        if not body:  # reset_prefix_cache
            return 200, {"success": True}, {}
        return 200, continuation(models[-1], body), {}

    return answer


def opened(folder: str) -> Any:
    """The model in a folder."""
    return AutoModelForCausalLM.from_pretrained(folder, dtype="float32").eval()


def completion_of(ids: Any, finish: str = "stop", read: int = 3, **more: Any) -> bytes:
    """A body that says these ids."""
    choice = {"index": 0, "text": "", "finish_reason": finish, "token_ids": ids, **more}
    return json.dumps({"choices": [choice], "usage": {"prompt_tokens": read}}).encode()


class Threads:
    """`ServerProcess`es that are threads of this process: each opens the model in the folder that
    it is given, the first word after the program, and serves it at the port, the third."""

    def __init__(self) -> None:
        self.words: list[list[str]] = []
        self.logs: list[Path] = []
        self.servers: list[loopback.Server] = []
        self.environments: list[dict[str, str]] = []
        self.running = self.most_running = 0

    def __call__(self, words: list[str], folder: Path, log: Any, environment: Any) -> Any:
        """What the class `ServerProcess` does."""
        server = loopback.Server(int(words[3]))
        server.answer = answering(opened(words[1]))
        self.servers.append(server)
        self.environments.append(environment)
        self.words.append(words)
        self.logs.append(Path(str(log)))
        self.running += 1
        self.most_running = max(self.most_running, self.running)

        def stop() -> None:
            self.running -= 1
            server.http.shutdown()
            server.http.server_close()
            shutil.rmtree(folder)

        return SimpleNamespace(
            program=words[0],
            check=lambda: None,
            stop=stop,
            failed=lambda: None,
            last_lines=lambda: ": nothing",
        )


def main(folder: str, port: int) -> None:
    """Serves the model in `folder` until it is killed."""
    model = opened(folder)
    print("words", json.dumps(sys.argv[1:]), flush=True)

    server = loopback.Server(port)
    server.answer, server.models = answering(model), ["student"]
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[sys.argv.index("--port") + 1]))
