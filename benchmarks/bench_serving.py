"""A served student: answers a second of many clients at once against one at a time, and seconds to
the first text of a stream.

    python benchmarks/bench_serving.py [--student bundled] [--task stories] [--clients 64]

The server runs in another process, as `smallsteps serve` starts it. Clients keep their connections
and ask the next question when they have the last answer; every answer must be there at the end.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import quantiles

from measure import record

from smallsteps.tasks.stories import make_chains


class Client:
    """One connection to the server."""

    def __init__(self, port: int, model: str) -> None:
        self.port, self.model = port, model

    async def open(self) -> None:
        """Connects."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(
        self, question: str, stream: bool, on_first: Callable[[], None] | None = None
    ) -> tuple[str, float]:
        """(the text of the answer, seconds to its first text). `on_first` is called at the first
        text of a stream."""
        messages = [{"role": "user", "content": question}]
        content = {"model": self.model, "messages": messages, "stream": stream}
        body = json.dumps(content).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        began = time.perf_counter()
        self.writer.write(head.encode() + body)
        answer = (await self.reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert answer.startswith("http/1.1 200"), answer
        if not stream:
            length = int(answer.split("content-length: ")[1].split("\r\n")[0])
            reply = json.loads(await self.reader.readexactly(length))
            text = str(reply["choices"][0]["message"]["content"])
            return text, time.perf_counter() - began
        text, first = "", 0.0
        while size := int(await self.reader.readline(), 16):
            chunk = await self.reader.readexactly(size + 2)
            for line in chunk.decode().splitlines():
                if line.startswith("data: {"):
                    text += json.loads(line[6:])["choices"][0]["delta"].get("content") or ""
            if text and not first:
                first = time.perf_counter() - began
                if on_first:
                    on_first()
        await self.reader.readline()
        return text, first


async def ask_all(
    port: int, model: str, questions: Sequence[str], clients: int, stream: bool = False
) -> tuple[float, list[float], list[str]]:
    """(seconds in all, seconds to the first text of each, the texts)."""
    waiting = list(enumerate(questions))[::-1]
    texts, firsts = [""] * len(questions), [0.0] * len(questions)

    async def work(client: Client) -> None:
        while waiting:
            number, question = waiting.pop()
            texts[number], firsts[number] = await client.ask(question, stream)

    connected = [Client(port, model) for _ in range(clients)]
    for client in connected:
        await client.open()
    began = time.perf_counter()
    await asyncio.gather(*(work(client) for client in connected))
    seconds = time.perf_counter() - began
    for client in connected:
        client.writer.close()
    return seconds, firsts, texts


async def begin_all(port: int, model: str, questions: Sequence[str], process: int) -> float:
    """Processor seconds of the server from the moment at which all questions are asked at once
    until each stream has begun."""
    clients = [Client(port, model) for _ in questions]
    for client in clients:
        await client.open()
    before, moments = processor_seconds(process), []
    await asyncio.gather(
        *(
            client.ask(question, True, lambda: moments.append(processor_seconds(process)))
            for client, question in zip(clients, questions, strict=True)
        )
    )
    for client in clients:
        client.writer.close()
    return max(moments) - before


def processor_seconds(process: int) -> float:
    """Processor time of a process so far, which other jobs do not change; NaN where the system does
    not say."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return math.nan
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description="Answers a second of a served student.")
    parser.add_argument("--student", default="bundled")
    parser.add_argument("--task", default="stories", help="of a student without one")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--questions", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    trained = (Path(options.student) / "smallsteps.json").is_file()
    command = [sys.executable, "-m", "smallsteps", "serve", options.student, "--port", "0"]
    command += [] if trained else ["--task", options.task]
    command += ["--threads", str(options.threads)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert server.stdout is not None
    name = server.stdout.readline().split()[1]
    address = re.search(r":(\d+)/", server.stdout.readline())
    assert address is not None, "the server did not start"
    port = int(address[1])
    chains = make_chains(options.questions, seed=2**21, difficulty="easy")
    questions = [chain.problem.question for chain in chains]
    try:
        asyncio.run(ask_all(port, name, questions[:8], 8))  # warms up
        gains, alone_rates, rates, firsts, alone_firsts = [], [], [], [], []
        alone_costs, costs, begins = [], [], []
        for _ in range(options.rounds):
            few = questions[: options.questions // 4]
            began = processor_seconds(server.pid)
            alone, _, alone_texts = asyncio.run(ask_all(port, name, few, 1))
            between = processor_seconds(server.pid)
            seconds, _, texts = asyncio.run(ask_all(port, name, questions, options.clients))
            alone_costs.append(1000 * (between - began) / len(few))
            costs.append(1000 * (processor_seconds(server.pid) - between) / len(questions))
            assert all(texts) and texts[: len(few)] == alone_texts, "answers were lost or changed"
            alone_rates.append(len(few) / alone)
            rates.append(len(questions) / seconds)
            gains.append(rates[-1] / alone_rates[-1])
            alone_firsts += asyncio.run(ask_all(port, name, few, 1, True))[1]
            firsts += asyncio.run(ask_all(port, name, questions, options.clients, True))[1]
            burst = questions[: options.clients]
            begins.append(asyncio.run(begin_all(port, name, burst, server.pid)))
    finally:
        server.terminate()
        server.wait()
    at_once = f"{options.clients} at once"
    record("one at a time", alone_rates, "answers a second")
    record(at_once, rates, "answers a second")
    record(f"{at_once} against one at a time", gains, wanted="at least 4")
    record("processor time of an answer, one at a time", alone_costs, "ms")
    record(f"processor time of an answer, {at_once}", costs, "ms")
    record(f"processor time until {options.clients} streams at once have begun", begins, "s")
    record("first text, one at a time, 95 of 100 within", quantiles(alone_firsts, n=20)[-1], "s")
    record(
        f"first text, {at_once}, 95 of 100 within", quantiles(firsts, n=20)[-1], "s", "at most 0.3"
    )


if __name__ == "__main__":
    main()
