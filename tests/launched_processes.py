"""Forks of a test that find each other as the processes of one launch do."""

from __future__ import annotations

import os
import socket
import traceback
from ast import literal_eval
from collections.abc import Callable
from typing import Any

from accelerate.state import AcceleratorState

from smallsteps import team


def launch_address() -> dict[str, str]:
    """The environment variables that say where the processes of a launch meet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}


def launch_place(rank: int, size: int) -> dict[str, str]:
    """The environment variables that say which of the processes this one is."""
    number, count = str(rank), str(size)
    return {"RANK": number, "LOCAL_RANK": number, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}


def in_processes(work: Callable[[int], Any], size: int = 2) -> list[Any]:
    """What `work(rank)` returns, made of plain values, in each process of a launch; None for one
    that ended without a value."""
    address = launch_address()
    children = []
    stay, leave = os.pipe()
    for rank in range(size):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            os.close(leave)
            try:
                AcceleratorState._reset_state(reset_partial_state=True)  # of earlier tests
                os.environ.update(address | launch_place(rank, size))
                team.join("cpu")
                os.write(writer, repr(work(rank)).encode())
                os.close(writer)
                os.read(stay, 1)  # until all are done: others join by what the first one holds
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(writer)
        children.append((child, reader))
    os.close(stay)
    texts = []
    try:
        for _, reader in children:
            with os.fdopen(reader, "rb") as pipe:
                texts.append(pipe.read().decode())
    finally:
        os.close(leave)
    for child, _ in children:
        os.waitpid(child, 0)
    return [literal_eval(text) if text else None for text in texts]
