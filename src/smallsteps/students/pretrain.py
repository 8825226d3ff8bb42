"""How the student that ships in the package is made: tokenizer, architecture and pre-training on `drills`.

A T5 of about 2.5 million parameters reads fresh drills until its steps are done; no example is seen twice. The
learning rate rises, stays, and falls to nothing over the last fifth (warm-up, stable, decay), so that a longer run is
the same run continued. Checkpoints are written whole and then renamed: the same call after a kill goes on from the
last one.

`smallsteps run student/bundled --out DIR` calls `pretrain`; the log, seed, time and hardware of the run that made the
shipped weights stand beside them in `students/bundled/pretraining.json`.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, T5ForConditionalGeneration

from smallsteps.errors import RecipeError
from smallsteps.students.drills import Pair, drills
from smallsteps.students.scratch import ScratchSettings, byte_tokenizer, make_t5
from smallsteps.tasks import facts, stories


@dataclass(frozen=True)
class PretrainSettings:
    """Every knob of the bundled student."""

    steps: int = 2800
    """Updates."""
    update_examples: int = 128
    """Drills of an update, drawn at random."""
    micro_batches: int = 4
    """Parts in which an update is read, by length."""
    learning_rate: float = 2e-3
    warmup: int = 200
    """Updates of linear warm-up."""
    decay: float = 0.2
    """Share of the updates over which the rate falls to nothing."""
    student: ScratchSettings = field(
        default_factory=lambda: ScratchSettings(
            tokenizer="bytes", vocabulary=1536, d_model=160, d_kv=32, heads=5, d_ff=448, layers=3, dropout=0.0
        )
    )
    seed: int = 0
    save_every: int = 250
    """Updates between checkpoints."""


def pretrain_settings(content: dict[str, Any]) -> PretrainSettings:
    """Settings from a recipe's mapping. Raises RecipeError on a key that is not known."""
    content = {name: value for name, value in content.items() if name != "about"}
    try:
        student = ScratchSettings(**content.pop("student", {}))
        return PretrainSettings(**content, student=student)
    except TypeError as error:
        known = [*PretrainSettings.__dataclass_fields__, *ScratchSettings.__dataclass_fields__]
        raise RecipeError(f"student/bundled: {error}. Known: {', '.join(known)}") from None


def make_tokenizer(settings: PretrainSettings) -> Any:
    """Byte-level BPE that keeps digits apart: any text survives the round trip, most words of stories are one token."""
    pairs = islice(drills(settings.seed + 1), 20_000)
    chains = [c for seed in range(3) for c in stories.make_chains(1000, seed, "medium", styles=stories.STYLES)]
    texts = [text for pair in pairs for text in pair]
    texts += [c.rationale.text for c in chains] + [c.rationale.text for c in facts.make_chains(1000, 0)]
    return byte_tokenizer(texts, settings.student.vocabulary)


def rate(update: int, settings: PretrainSettings) -> float:
    """Learning rate of an update (counted from 0) relative to the highest."""
    rising = (update + 1) / settings.warmup
    falling = (settings.steps - update) / (settings.decay * settings.steps)
    return min(1.0, rising, falling)


def updates(
    pairs: Iterator[Pair], tokenizer: Any, settings: PretrainSettings
) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """Endless updates: padded (source ids, labels) of pairs of like length, micro-batch by micro-batch."""
    while True:
        drawn = list(islice(pairs, settings.update_examples))
        sources = tokenizer([source for source, _ in drawn])["input_ids"]
        targets = tokenizer([target for _, target in drawn])["input_ids"]
        order = sorted(range(len(drawn)), key=lambda i: (len(sources[i]), len(targets[i])))
        size = -(-len(order) // settings.micro_batches)
        parts = [order[start : start + size] for start in range(0, len(order), size)]
        yield [(_padded([sources[i] for i in part], 0), _padded([targets[i] for i in part], -100)) for part in parts]


def _padded(rows: list[list[int]], fill: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])


def pretrain(out: Path, settings: PretrainSettings, progress: Callable[[int, int, float], None] | None = None) -> Path:
    """Trains the student into the folder `out/student`, which it returns; resumes from `out/checkpoint.pt`."""
    tokenizer = _kept_tokenizer(out, settings)
    model = make_t5(settings.student, len(tokenizer), settings.seed)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=0.01, betas=(0.9, 0.98), fused=True
    )
    checkpoint = out / "checkpoint.pt"
    start, seconds, log = 0, 0.0, []
    if checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        start, seconds, log = state["step"], state["seconds"], state["log"]
    # A resumed run reads drills of its own seed; none is read twice, though not the same as without the pause.
    stream = updates(drills(settings.seed + 2 + start), tokenizer, settings)
    began, running = time.monotonic(), 0.0
    model.train()
    for step in range(start, settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * rate(step, settings)
        update = next(stream)
        tokens = sum(int((labels != -100).sum()) for _, labels in update)
        total = 0.0
        for source, labels in update:
            output = model(input_ids=source, attention_mask=(source != 0).long(), labels=labels)
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
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step + 1,
                     "seconds": seconds + time.monotonic() - began, "log": log}  # fmt: skip
            torch.save(state, checkpoint.with_suffix(".part"))
            checkpoint.with_suffix(".part").replace(checkpoint)
    return _export(out, model, tokenizer, settings, log)


def _kept_tokenizer(out: Path, settings: PretrainSettings) -> Any:
    """The run's tokenizer, made once: a resumed run must read with the very same ids."""
    folder = out / "tokenizer"
    if not (folder / "tokenizer.json").is_file():
        make_tokenizer(settings).save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def _export(
    out: Path, model: T5ForConditionalGeneration, tokenizer: Any, settings: PretrainSettings, log: list[Any]
) -> Path:
    folder, part = out / "student", out / "student.part"
    shutil.rmtree(part, ignore_errors=True)
    model.bfloat16().save_pretrained(part)
    tokenizer.save_pretrained(part)
    made = {"settings": asdict(settings), "log": log, "torch": torch.__version__, "threads": torch.get_num_threads()}
    (part / "pretraining.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    part.rename(folder)
    return folder
