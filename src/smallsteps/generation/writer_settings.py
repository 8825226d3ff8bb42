"""Which engine writes in a part of a run."""

from __future__ import annotations

from typing import Any, Literal

from smallsteps.config import Settings
from smallsteps.generation.generator import EngineSettings
from smallsteps.generation.server_settings import ServerSettings


class WriterSettings(Settings):
    """The keys of a recipe's section that say which engine writes there."""

    engine: Literal["local", "vllm"] = "local"
    """What writes: this process, or, for causal students, a vLLM server that is started with their
    weights."""
    server: ServerSettings | None = None
    """How that server is started, where not by `vllm serve`; of the engine `vllm` only."""

    def effects(self) -> dict[str, Any]:
        """Without the engine where it is the local one: runs from before it was a key keep their
        digest. A server that is not named is the default one."""
        content = super().effects()
        if self.engine == "local":
            del content["engine"], content["server"]
        else:
            content["server"] = (self.server or ServerSettings()).effects()
        return content

    def writing(self, batch_size: int) -> EngineSettings:
        """The engine's settings for `batch_size` replies at a time."""
        server = self.server or ServerSettings()
        return EngineSettings(engine=self.engine, batch_size=batch_size, server=server)
