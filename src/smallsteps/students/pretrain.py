"""How the students that ship in the package are made: tokenizer, architecture and pre-training on
`drills`.

A T5 or a Llama of about two million parameters reads fresh drills until its steps are done; no
example is seen twice. The learning rate rises, stays, and falls to nothing over the last fifth
(warm-up, stable, decay), so that a longer run is the same run continued. What an update reads
depends on its number alone and checkpoints are written whole: the same call after a kill goes on
from the last one as if nothing had been.

`smallsteps run student/bundled --out DIR` calls `pretrain`, `student/bundled-causal` likewise; the
log, seed, time and threads of the runs that made the shipped weights stand beside them in
`pretraining.json`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field

from smallsteps.config import Seed, Settings, read_settings
from smallsteps.disk import atomic_file, atomic_folder, write_json
from smallsteps.errors import StudentError
from smallsteps.students.drill_batches import targets, update_batches
from smallsteps.students.drills import drills
from smallsteps.students.pretrained import read_tokenizer
from smallsteps.students.scratch import make_model, scratch_tokenizer
from smallsteps.students.settings import SPECIAL, ScratchSettings
from smallsteps.students.student import Student
from smallsteps.students.tokens import start_rows
from smallsteps.tasks import facts, stories


class PretrainSettings(Settings):
    """How a bundled student is made."""

    steps: int = Field(3000, ge=1, le=10**7)
    """Number of updates."""
    scale: float = Field(1.0, ge=0.001, le=1000)
    """Multiplies the rows of every batch of an update (see `drill_batches`)."""
    gap: int = Field(0, ge=0, le=1000)
    """Causal students: the most positions that a drill leaves out between source and target."""
    unprompted: float = Field(0.0, ge=0, le=1)
    """Causal students: the share of drills that are stories without an instruction (see
    `drills.unprompted`)."""
    bf16: bool = True
    """Multiply matrices in bfloat16; weights and optimizer stay in float32."""
    compile: bool = True
    """Compile the model for the few shapes of its batches (on a CPU 1.5 times as fast; needs a C++
    compiler)."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """`muon`: matrices inside the layers by Muon, the rest by AdamW."""
    learning_rate: float = Field(2e-3, ge=1e-9, le=10)
    """Highest learning rate."""
    warmup: int = Field(200, ge=0, le=10**7)
    """Updates of linear warm-up."""
    decay: float = Field(0.2, ge=0, le=1)
    """Share of the updates over which the rate falls to nothing."""
    student: ScratchSettings = Field(
        default_factory=lambda: ScratchSettings(
            tokenizer="bytes",
            vocabulary=1536,
            d_model=160,
            d_kv=32,
            heads=5,
            d_ff=448,
            layers=3,
            dropout=0.0,
        )
    )
    """Size and tokenizer."""
    seed: Seed = 0
    """Seed of weights and drills."""
    save_every: int = Field(250, ge=1, le=10**7)
    """Updates between checkpoints."""


def pretrain_settings(content: Mapping[str, Any], name: str) -> PretrainSettings:
    """Settings from the mapping of the recipe `name`. Raises RecipeError for an unknown key or an
    invalid value."""
    settings = {name: value for name, value in content.items() if name != "about"}
    return read_settings(PretrainSettings, settings, name)


WORDINGS = 3
"""Of stories (`story.STYLES`), that the vocabulary is made from; later ones use the same
words."""


def make_tokenizer(settings: PretrainSettings) -> Any:
    """Byte-level BPE that keeps digits apart: any text survives the round trip, most words of
    stories are one token."""
    pairs = islice(drills(random.Random(f"drills/{settings.seed}")), 20_000)
    chains = [
        c for seed in range(3) for c in stories.make_chains(1000, seed, "medium", styles=WORDINGS)
    ]
    texts = [text for pair in pairs for text in pair]
    texts += [c.rationale.text for c in chains] + [
        c.rationale.text for c in facts.make_chains(1000, 0)
    ]
    return scratch_tokenizer(texts, settings.student)


def rate(update: int, settings: PretrainSettings) -> float:
    """Learning rate of an update (counted from 0) relative to the highest."""
    rising = (update + 1) / max(1, settings.warmup)
    falling = (settings.steps - update) / max(1, settings.decay * settings.steps)
    return min(1.0, rising, falling)


def make_optimizers(
    model: torch.nn.Module, settings: PretrainSettings
) -> list[torch.optim.Optimizer]:
    """AdamW for all weights; or Muon (Jordan et al., 2024) for the matrices inside the layers, with
    steps as long as those of AdamW (Liu et al., 2025), and AdamW for the rest."""
    parameters = dict(model.named_parameters())
    matrices: list[torch.nn.Parameter] = []
    if settings.optimizer == "muon":
        names = [
            name for name, weight in parameters.items() if weight.ndim == 2 and "layers." in name
        ]
        matrices = [parameters.pop(name) for name in names]
    rate = settings.learning_rate
    others = torch.optim.AdamW(
        parameters.values(), lr=rate, weight_decay=0.01, betas=(0.9, 0.98), fused=True
    )
    if not matrices:
        return [others]
    muon = torch.optim.Muon(matrices, lr=rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
    return [others, muon]


def pretrain(
    out: Path, settings: PretrainSettings, progress: Callable[[int, int, float], None] | None = None
) -> Path:
    """Trains the student into the folder `out/student`, which it returns; resumes from
    `out/checkpoint.pt`."""
    tokenizer = _kept_tokenizer(out, settings)
    model: Any = make_model(settings.student, len(tokenizer), settings.seed)
    if settings.student.architecture == "causal":
        # on a CPU torch's fused attention takes three times as long to go backwards
        model.set_attn_implementation("eager")
    student = Student(model, tokenizer)
    optimizers = make_optimizers(model, settings)
    checkpoint = out / "checkpoint.pt"
    start, seconds, log = 0, 0.0, []
    if checkpoint.exists():
        try:
            state = torch.load(checkpoint, weights_only=True)
            model.load_state_dict(state["model"])
            for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(kept)
            start, seconds, log = state["step"], state["seconds"], state["log"]
        except Exception:  # torch says what is wrong with a file in many ways
            raise StudentError(
                f"{checkpoint}: damaged, or of other settings. Delete it and run again."
            ) from None
    read = torch.compile(model, dynamic=False) if settings.compile else model
    began, running = time.monotonic(), 0.0
    model.train()
    for step in range(start, settings.steps):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * rate(step, settings)
        batches = update_batches(
            student, settings.seed, step, settings.scale, settings.gap, settings.unprompted
        )
        tokens = sum(targets(batch) for batch in batches)
        total = 0.0
        for batch in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.bf16):
                output = read(**batch, use_cache=False)
            loss = output.loss * (targets(batch) / tokens)
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad()
        running += total
        if progress is not None:
            progress(step + 1, settings.steps, total)
        if (step + 1) % settings.save_every == 0 or step + 1 == settings.steps:
            since = settings.save_every
            log.append(
                {
                    "step": step + 1,
                    "loss": round(running / since, 4),
                    "seconds": round(seconds + time.monotonic() - began),
                }
            )
            running = 0.0
            out.mkdir(parents=True, exist_ok=True)
            state = {
                "model": model.state_dict(),
                "optimizers": [optimizer.state_dict() for optimizer in optimizers],
                "step": step + 1,
                "seconds": seconds + time.monotonic() - began,
                "log": log,
            }
            with atomic_file(checkpoint) as draft:
                torch.save(state, draft)
    return _export(out, student, settings, log)


def _kept_tokenizer(out: Path, settings: PretrainSettings) -> Any:
    """The run's tokenizer, made once: a resumed run must read with the very same ids."""
    folder = out / "tokenizer"
    if not (folder / "tokenizer.json").is_file():
        make_tokenizer(settings).save_pretrained(folder)
    return read_tokenizer(folder)


def _export(out: Path, student: Student, settings: PretrainSettings, log: list[Any]) -> Path:
    folder = out / "student"
    made = {
        "settings": settings.model_dump(),
        "log": log,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    if student.architecture == "causal":
        # no drill writes the markers: pre-training has only pushed them down, everywhere alike
        start_rows(student.model, student.tokenizer.convert_tokens_to_ids(SPECIAL[3:]), 0)
    with atomic_folder(folder) as draft:
        student.model.bfloat16().save_pretrained(draft)
        student.tokenizer.save_pretrained(draft)
        write_json(draft / "pretraining.json", made)
    return folder
