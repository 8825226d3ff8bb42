"""How the student that ships in the package is made: tokenizer, architecture and pre-training on
`drills`.

A T5 of about 2.4 million parameters reads fresh drills until its steps are done; no example is seen
twice. The learning rate rises, stays, and falls to nothing over the last fifth (warm-up, stable,
decay), so that a longer run is the same run continued. What an update reads depends on its number
alone and checkpoints are written whole: the same call after a kill goes on from the last one as if
nothing had been.

`smallsteps run student/bundled --out DIR` calls `pretrain`; the log, seed, time and hardware of the
run that made the shipped weights stand beside them in `students/bundled/pretraining.json`."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from transformers import T5ForConditionalGeneration

from smallsteps.config import Seed, Settings, read_settings
from smallsteps.disk import atomic_file, atomic_folder, write_json
from smallsteps.errors import StudentError
from smallsteps.students.drills import GROUPS, Group, drills
from smallsteps.students.padding import pad
from smallsteps.students.pretrained import read_tokenizer
from smallsteps.students.scratch import byte_tokenizer, make_t5
from smallsteps.students.settings import ScratchSettings
from smallsteps.tasks import facts, stories


class PretrainSettings(Settings):
    """How the bundled student is made."""

    steps: int = Field(3000, ge=1, le=10**7)
    """Number of updates."""
    scale: float = Field(1.0, ge=0.001, le=1000)
    """Multiplies the rows of every batch of an update (see `drills.GROUPS`)."""
    bf16: bool = True
    """Multiply matrices in bfloat16; weights and optimizer stay in float32."""
    compile: bool = True
    """Compile the model for the few shapes of its batches (on a CPU 1.5 times as fast; needs a C++
    compiler)."""
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


def pretrain_settings(content: Mapping[str, Any]) -> PretrainSettings:
    """Settings from a recipe's mapping. Raises RecipeError for an unknown key or an invalid
    value."""
    settings = {name: value for name, value in content.items() if name != "about"}
    return read_settings(PretrainSettings, settings, "student/bundled")


WORDINGS = 3
"""Of stories (`story.STYLES`), that the vocabulary is made from; later ones use the same
words."""


def make_tokenizer(settings: PretrainSettings) -> Any:
    """Byte-level BPE that keeps digits apart: any text survives the round trip, most words of
    stories are one token."""
    pairs = islice(drills(settings.seed), 20_000)
    chains = [
        c for seed in range(3) for c in stories.make_chains(1000, seed, "medium", styles=WORDINGS)
    ]
    texts = [text for pair in pairs for text in pair]
    texts += [c.rationale.text for c in chains] + [
        c.rationale.text for c in facts.make_chains(1000, 0)
    ]
    return byte_tokenizer(texts, settings.student.vocabulary)


def rate(update: int, settings: PretrainSettings) -> float:
    """Learning rate of an update (counted from 0) relative to the highest."""
    rising = (update + 1) / settings.warmup
    falling = (settings.steps - update) / (settings.decay * settings.steps)
    return min(1.0, rising, falling)


def update(
    step: int, tokenizer: Any, settings: PretrainSettings
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(source ids, labels) of update `step`, a batch a shape: a pure function of its arguments."""
    rng = random.Random(f"drills/{settings.seed}/{step}")
    return [
        batch
        for group in GROUPS.values()
        for batch in _batches(group, rng, tokenizer, settings.scale)
    ]


def _batches(
    group: Group, rng: random.Random, tokenizer: Any, scale: float
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """(source ids, labels) of each shape of the group, filled with pairs that fit no narrower
    shape."""
    wanted = [max(1, round(rows * scale)) for rows, _, _ in group.shapes]
    rows_by_shape: list[list[tuple[list[int], list[int]]]] = [[] for _ in group.shapes]
    while any(len(rows) < n for rows, n in zip(rows_by_shape, wanted, strict=True)):
        pairs = [group.draw(rng) for _ in range(sum(wanted))]
        ids = tokenizer([text for pair in pairs for text in pair])["input_ids"]
        for source, target in zip(ids[::2], ids[1::2], strict=True):
            for rows, (_, longest_source, longest_target) in zip(
                rows_by_shape, group.shapes, strict=True
            ):
                if len(source) <= longest_source and len(target) <= longest_target:
                    rows.append((source, target))
                    break
    return [
        (
            pad([source for source, _ in rows[:n]], 0, longest_source)[0],
            pad([target for _, target in rows[:n]], -100, longest_target)[0],
        )
        for rows, n, (_, longest_source, longest_target) in zip(
            rows_by_shape, wanted, group.shapes, strict=True
        )
    ]


def pretrain(
    out: Path, settings: PretrainSettings, progress: Callable[[int, int, float], None] | None = None
) -> Path:
    """Trains the student into the folder `out/student`, which it returns; resumes from
    `out/checkpoint.pt`."""
    tokenizer = _kept_tokenizer(out, settings)
    model = make_t5(settings.student, len(tokenizer), settings.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings.learning_rate,
        weight_decay=0.01,
        betas=(0.9, 0.98),
        fused=True,
    )
    checkpoint = out / "checkpoint.pt"
    start, seconds, log = 0, 0.0, []
    if checkpoint.exists():
        try:
            state = torch.load(checkpoint, weights_only=True)
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            start, seconds, log = state["step"], state["seconds"], state["log"]
        except Exception:  # torch says what is wrong with a file in many ways
            raise StudentError(
                f"{checkpoint}: damaged, or of other settings. Delete it and run again."
            ) from None
    read = torch.compile(model, dynamic=False) if settings.compile else model
    began, running = time.monotonic(), 0.0
    model.train()
    for step in range(start, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate(step, settings)
        batches = update(step, tokenizer, settings)
        tokens = sum(int((labels != -100).sum()) for _, labels in batches)
        total = 0.0
        for source, labels in batches:
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.bf16):
                output = read(input_ids=source, attention_mask=(source != 0).long(), labels=labels)
            loss = output.loss * ((labels != -100).sum() / tokens)
            loss.backward()
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
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
                "optimizer": optimizer.state_dict(),
                "step": step + 1,
                "seconds": seconds + time.monotonic() - began,
                "log": log,
            }
            with atomic_file(checkpoint) as draft:
                torch.save(state, draft)
    return _export(out, model, tokenizer, settings, log)


def _kept_tokenizer(out: Path, settings: PretrainSettings) -> Any:
    """The run's tokenizer, made once: a resumed run must read with the very same ids."""
    folder = out / "tokenizer"
    if not (folder / "tokenizer.json").is_file():
        make_tokenizer(settings).save_pretrained(folder)
    return read_tokenizer(folder)


def _export(
    out: Path,
    model: T5ForConditionalGeneration,
    tokenizer: Any,
    settings: PretrainSettings,
    log: list[Any],
) -> Path:
    folder = out / "student"
    made = {
        "settings": settings.model_dump(),
        "log": log,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }
    with atomic_folder(folder) as draft:
        model.bfloat16().save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        write_json(draft / "pretraining.json", made)
    return folder
