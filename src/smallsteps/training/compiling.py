"""The blocks of a model, compiled for its training passes.

Each block is compiled by itself, not the model as a whole: all blocks of a kind share one compiled
form, so that compiling takes as long for 30 blocks as for one. Sizes are symbols, so that
micro-batches of any shape use the same form; only a micro-batch of a single sequence has another.

Nothing of it outlives a pass: a block has its compiled forward function only within `in_use`, so
that answers, checkpoints, copies and the student afterwards are those of the plain model."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn
from torch._dynamo.exc import TorchDynamoException
from torch.utils.checkpoint import checkpoint

from smallsteps.errors import TrainingError
from smallsteps.training.memory import out_of_memory
from smallsteps.training.sharding import block_names

COMPILERS = ("g++", "clang++", "gcc", "clang", "cc", "cl")
"""Any of them serves torch.compile, which writes C++ on a CPU and starts its kernels with it on a
GPU."""
MOST_FORMS = 64
"""Compiled forms of one function, at most: of all students that one process trains. Above it torch
would silently go on without compiling."""


class CompiledBlocks:
    """The blocks of a model and their compiled forward functions."""

    def __init__(self, outer: nn.Module) -> None:
        """outer: the model, or what it lies in. Raises TrainingError if the model names no blocks,
        or if this machine has no compiler."""
        require_compiler()
        names = block_names(outer)
        self.blocks: list[Any] = [
            module for module in outer.modules() if type(module).__name__ in names
        ]
        if not self.blocks:
            raise TrainingError(
                "train.compile: this model does not name its blocks. Set train.compile=false."
            )
        self._compiled = [torch.compile(block.forward, dynamic=True) for block in self.blocks]
        self._checkpointed = {
            block for block in self.blocks if getattr(block, "gradient_checkpointing", False)
        }

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """The blocks run compiled while the context lasts."""
        with (
            torch._dynamo.config.patch(recompile_limit=MOST_FORMS),
            warnings.catch_warnings(),
        ):
            # of torch itself, which looks at each tensor while it compiles
            warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor that is")
            for block, compiled in zip(self.blocks, self._compiled, strict=True):
                block.forward = compiled
                if block in self._checkpointed:
                    # what is computed again is the compiled form: torch cannot compile the other
                    # way round
                    block.forward = partial(checkpoint, compiled, use_reentrant=False)
                    block.gradient_checkpointing = False
            try:
                yield
            finally:
                for block in self.blocks:
                    del block.forward
                for block in self._checkpointed:
                    block.gradient_checkpointing = True


def require_compiler() -> None:
    """Raises TrainingError if torch.compile would find no compiler on this machine."""
    named = [os.environ[name] for name in ("CXX", "CC") if os.environ.get(name)]
    if not any(shutil.which(name) for name in (*named, *COMPILERS)):
        raise TrainingError(
            "train.compile: this machine has no C++ compiler. Install one (apt-get install g++), "
            "or set train.compile=false."
        )


def refusal_of(error: RuntimeError) -> TrainingError | None:
    """What to tell the user of an error of torch.compile; None: it is another error, or memory ran
    out."""
    if not isinstance(error, TorchDynamoException) or out_of_memory(error):
        return None
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return TrainingError(
        f"train.compile: torch could not compile the student: {first.strip():.200}. "
        "Set train.compile=false."
    )
