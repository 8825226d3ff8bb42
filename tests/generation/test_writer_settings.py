"""Which engine writes in a part of a run."""

from __future__ import annotations

import pytest

from smallsteps.errors import RecipeError
from smallsteps.generation.server_settings import ServerSettings
from smallsteps.generation.writer_settings import WriterSettings


def test_the_local_engine_is_not_in_the_digest_and_a_server_is() -> None:
    local = WriterSettings()
    assert not {"engine", "server"} & set(local.effects())
    served = local.changed(engine="vllm", server=ServerSettings(timeout=1))
    assert served.effects()["engine"] == "vllm"
    assert set(served.effects()["server"]) == {"command", "base_url"}
    assert served.effects() == local.changed(engine="vllm").effects()


def test_what_is_written_is_written_by_the_engine_that_is_named() -> None:
    writing = WriterSettings(engine="vllm").writing(7)
    assert (writing.engine, writing.batch_size) == ("vllm", 7)
    with pytest.raises(RecipeError, match=r"engine: expected one of local, vllm, got 'vlm'"):
        WriterSettings(engine="vlm")  # type: ignore[arg-type]
