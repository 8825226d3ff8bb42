"""The address that a server listens at. That it answers there is tested in `test_application.py`;
that Ctrl-C ends it in `tests/cli/test_serving.py`."""

from __future__ import annotations

import socket

import pytest

from smallsteps.errors import RecipeError
from smallsteps.serving.server import listening_socket, url_of


def test_port_0_takes_a_free_one_and_a_port_in_use_is_refused_with_the_next_one() -> None:
    with listening_socket("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        assert url_of(listening) == f"http://127.0.0.1:{port}"
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with pytest.raises(RecipeError, match=rf"port {port} is in use.*--port {port + 1}"):
            listening_socket("127.0.0.1", port)


@pytest.mark.parametrize("host", ["no.such.host.invalid", "203.0.113.7", "x y"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(RecipeError, match=f"--host {host}: no address of this machine"):
        listening_socket(host, 0)


def test_all_addresses_are_shown_as_the_one_of_this_machine() -> None:
    with listening_socket("0.0.0.0", 0) as listening:
        assert url_of(listening).startswith("http://127.0.0.1:")
        assert listening.family is socket.AF_INET
