"""Listens at an address until Ctrl-C."""

from __future__ import annotations

import contextlib
import errno
import socket

import uvicorn

from smallsteps.errors import RecipeError
from smallsteps.serving.guard import Application

BACKLOG = 2048
"""Connections that may wait to be accepted."""
DRAIN_SECONDS = 10
"""After Ctrl-C answers under way may take so long; a second Ctrl-C ends at once."""


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens at the address; port 0: any free one. Raises RecipeError where that
    cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise RecipeError(
            f"--host {host}: no address of this machine ({error.strerror})."
        ) from None
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)  # who asks before the server is ready waits
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise RecipeError(
                f"port {port} is in use. Stop the other server, or name another: "
                f"--port {port + 1 if port < 65535 else port - 1}"
            ) from None
        if error.errno == errno.EACCES:
            raise RecipeError(
                f"port {port} is reserved for the system. Name another: --port 8000"
            ) from None
        raise RecipeError(
            f"--host {host}: no address of this machine ({error.strerror})."
        ) from None
    return listening


def url_of(listening: socket.socket) -> str:
    """Where a browser on this machine finds the server."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def run_server(application: Application, listening: socket.socket) -> None:
    """Answers until Ctrl-C or SIGTERM; then lets answers under way end."""
    config = uvicorn.Config(
        application,  # type: ignore[arg-type]  # ASGI by structure
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises the signal again at its end
        uvicorn.Server(config).run(sockets=[listening])
