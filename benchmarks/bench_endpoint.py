"""Requests to a server: seconds for many calls, beside the ideal of latency x calls / concurrency.

    python benchmarks/bench_endpoint.py [--calls 1000] [--concurrency 32] [--latency 0.2]

A server on loopback, in another process, replies to each call after exactly the latency. The second
run sends the same requests and must make no call: all replies come from the store.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

from smallsteps.generation.budget import Budget
from smallsteps.generation.endpoint import Endpoint
from smallsteps.generation.generator import Decoding, Request
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.settings import CallSettings


def serve(latency: float, port: Connection) -> None:
    """Serves chat completions on a free port, which goes through `port`."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "3 + 4 = 7."},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 10, "completion_tokens": 8, "total_tokens": 18}
    body = json.dumps(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
    )
    head = (
        f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    answer = (head + body).encode()

    async def reply_to_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
                await reader.readexactly(int(head.split("content-length:")[1].split("\r\n")[0]))
                await asyncio.sleep(latency)
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def main() -> None:
        server = await asyncio.start_server(reply_to_all, "127.0.0.1", 0, backlog=256)
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(main())


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds for many calls beside the ideal.")
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    options = parser.parse_args()
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(options.latency, theirs), daemon=True)
    process.start()
    settings = CallSettings(
        name="m",
        base_url=f"http://127.0.0.1:{mine.recv()}/v1",
        concurrency=options.concurrency,
    )
    requests = [Request(f"q{n}", f"What is {n} + {n}? " * 20) for n in range(options.calls)]
    with tempfile.TemporaryDirectory() as folder:
        store = ReplyStore(Path(folder) / "replies.sqlite")
        for name in ("first run", "second run"):
            budget = Budget(store, name)
            began = time.perf_counter()
            count = sum(1 for _ in Endpoint(settings, budget, "key").generate(requests, Decoding()))
            seconds = time.perf_counter() - began
            print(f"{name}: {count} replies, {budget.spent.calls} calls, {seconds:.2f} s")
            if name == "first run":
                ideal = options.latency * options.calls / options.concurrency
                print(f"ideal {ideal:.2f} s; ratio {seconds / ideal:.2f}   (at most 1.3)")
        store.close()
    process.terminate()


if __name__ == "__main__":
    main()
