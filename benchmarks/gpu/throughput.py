"""How fast a Llama-class student answers and trains on one GPU, beside transformers.

    python benchmarks/gpu/throughput.py STUDENT CHAINS.jsonl OUT [--device cuda] [--tiny]
                                        [--only PART,PART] [--seconds 450]
                                        [--batch 64 256] [--questions 512] [--longest 200]

Parts, each of which may fail without the others; none begins when the time is up:

    training    real tokens a second and share of the chip's dense bfloat16 peak, by tokens that go
                through the model at once, eager and compiled, beside TRL's SFTTrainer
                (training_speed.py)
    same        greedy text of both engines in float32 (share of equal replies)
    answers     written tokens a second at each batch size: engines `local` and `graphs` on whole
                chains, and transformers' `generate` and `generate_batch`
    rollouts    8 samples of each prompt, against `generate` with `num_return_sequences`
    uni         answers of a uni-path student beside a direct one, both fitted for a short while;
                wanted is 0.7 of its tokens a second (uni_speed.py)
    t5          `same` and `answers` of the bundled encoder-decoder, by both engines

OUT/throughput.jsonl gets a line for each figure as soon as it is measured."""

from __future__ import annotations

import argparse
import json
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from training_speed import TrainingSpeed
from uni_speed import ON_A_GPU, TINY, UniSpeed

from smallsteps import load_student
from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding, EngineSettings, Request
from smallsteps.students.settings import BUNDLED
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains

PARTS = ("training", "same", "answers", "rollouts", "uni", "t5")
TASK = get_task("gsm8k")


class Measurements:
    """The parts, and the file of figures."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.device = options, options.device
        self.began = time.monotonic()
        self.chains = read_chains(options.chains, TASK).chains
        self.batches = options.batch or ((4,) if options.tiny else (64, 256))
        self.questions = options.questions or (8 if options.tiny else 512)
        self.most = options.longest or (12 if options.tiny else 200)
        self.file = (options.out / "throughput.jsonl").open("w", encoding="utf-8")

    def note(self, **figures: Any) -> None:
        line = json.dumps(figures)
        print(line, flush=True)
        self.file.write(line + "\n")
        self.file.flush()

    def seconds_left(self) -> float:
        return float(self.options.seconds - (time.monotonic() - self.began))

    def student(self, dtype: str = "bfloat16", name: str | None = None) -> Student:
        dtype = "float32" if self.device == "cpu" else dtype
        loaded = load_student(name or self.options.student, device=self.device, dtype=dtype)
        return prepare(loaded, TASK, path="direct")

    def requests(self, student: Student, count: int, samples: int = 1) -> list[Request]:
        return [
            Request(str(n), student.source_ids(TASK, TASK.render(chain.problem)), samples)
            for n, chain in enumerate(self.chains[:count])
        ]

    def seconds(self, work: Callable[[], int]) -> tuple[int, float]:
        """(what `work` counts, its seconds), the second time."""
        work()
        self.synchronize()
        began = time.perf_counter()
        count = work()
        self.synchronize()
        return count, time.perf_counter() - began

    def synchronize(self) -> None:
        if self.device != "cpu":
            torch.cuda.synchronize()

    # ---- parts ----

    def same(self) -> None:
        self._same("same", self.student("float32"))

    def t5(self) -> None:
        self._same("t5", self.student("float32", BUNDLED))
        student = self.student(name=BUNDLED)
        requests, batch = self.requests(student, self.questions), self.batches[-1]
        for name in ("graphs", "local"):
            rate = self._rate(student, name, requests, Decoding(max_new_tokens=self.most), batch)
            self.note(part="t5", what=name, batch=batch, tokens_a_second=round(rate))

    def _same(self, part: str, student: Student) -> None:
        requests = self.requests(student, self.questions // 4)
        texts = []
        for name in ("local", "graphs"):
            engine = open_engine(student, EngineSettings(engine=name, batch_size=self.batches[0]))
            replies = engine.generate(requests, Decoding(max_new_tokens=self.most))
            texts.append({reply.id: reply.ids for reply in replies})
        equal = sum(texts[0][key] == texts[1][key] for key in texts[0])
        self.note(part=part, equal=equal, of=len(requests))

    def answers(self) -> None:
        student = self.student()
        for batch in self.batches:
            requests = self.requests(student, self.questions)
            for name in ("graphs", "local"):
                rate = self._rate(
                    student, name, requests, Decoding(max_new_tokens=self.most), batch
                )
                self.note(part="answers", what=name, batch=batch, tokens_a_second=round(rate))
            rate = self._generate(student, requests, batch)
            self.note(part="answers", what="generate", batch=batch, tokens_a_second=round(rate))
        rate = self._generate_batch(student, requests, batch)
        self.note(part="answers", what="generate_batch", batch=batch, tokens_a_second=round(rate))

    def rollouts(self) -> None:
        student = self.student()
        requests = self.requests(student, 4 if self.options.tiny else 32, samples=8)
        decoding = Decoding(max_new_tokens=self.most, temperature=1.0, logprobs=True)
        for name in ("graphs", "local"):
            rate = self._rate(student, name, requests, decoding, 256)
            self.note(part="rollouts", what=name, tokens_a_second=round(rate))
        rate = self._generate(student, requests, 256, samples=8)
        self.note(part="rollouts", what="generate", tokens_a_second=round(rate))

    def training(self) -> None:
        chains = self.chains[: 40 if self.options.tiny else 3000]
        speed = TrainingSpeed(
            lambda: self.student("float32"),
            TASK,
            list(chains),
            self.device,
            self.note,
            self.seconds_left,
            self.options.tiny,
        )
        speed.run()

    def uni(self) -> None:
        speed = UniSpeed(
            self.options.student,
            TASK,
            self.chains,
            self.device,
            self.note,
            self.seconds_left,
            TINY if self.options.tiny else ON_A_GPU,
        )
        speed.run()

    # ---- rates ----

    def _rate(
        self, student: Student, name: str, requests: list[Request], decoding: Decoding, batch: int
    ) -> float:
        engine = open_engine(student, EngineSettings(engine=name, batch_size=batch))
        count, seconds = self.seconds(
            lambda: sum(reply.tokens for reply in engine.generate(requests, decoding))
        )
        return count / seconds

    def _generate(
        self, student: Student, requests: list[Request], batch: int, samples: int = 1
    ) -> float:
        model: Any = student.model
        per_call = max(1, batch // samples)
        choice = {"do_sample": samples > 1, "num_return_sequences": samples}

        def work() -> int:
            count = 0
            for start in range(0, len(requests), per_call):
                sources = [list(r.prompt) for r in requests[start : start + per_call]]
                width = max(map(len, sources))
                ids = torch.tensor([[student.pad_id] * (width - len(s)) + s for s in sources])
                mask = torch.tensor([[0] * (width - len(s)) + [1] * len(s) for s in sources])
                written = model.generate(
                    input_ids=ids.to(self.device),
                    attention_mask=mask.to(self.device),
                    max_new_tokens=self.most,
                    pad_token_id=student.pad_id,
                    eos_token_id=sorted(student.end_ids),
                    **choice,
                )[:, width:]
                ended = torch.isin(written, torch.tensor(sorted(student.end_ids)).to(written))
                places = torch.where(ended.any(1), ended.int().argmax(1) + 1, written.shape[1])
                count += int(places.sum())
            return count

        count, seconds = self.seconds(work)
        return count / seconds

    def _generate_batch(self, student: Student, requests: list[Request], batch: int) -> float:
        from transformers import GenerationConfig

        model: Any = student.model
        settings = GenerationConfig(
            max_new_tokens=self.most,
            eos_token_id=sorted(student.end_ids)[0],
            pad_token_id=student.pad_id,
            do_sample=False,
        )

        def work() -> int:
            outputs = model.generate_batch(
                inputs=[list(r.prompt) for r in requests], generation_config=settings
            )
            return sum(len(output.generated_tokens) for output in outputs.values())

        count, seconds = self.seconds(work)
        return count / seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("student")
    parser.add_argument("chains", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to try the script itself")
    parser.add_argument("--batch", type=int, nargs="+")
    parser.add_argument("--questions", type=int)
    parser.add_argument("--longest", type=int, help="tokens of an answer at most")
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--seconds", type=float, default=450.0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    measurements = Measurements(options)
    for part in options.only.split(","):
        if measurements.seconds_left() <= 0:
            measurements.note(part=part, skipped="no time left")
            continue
        began = time.perf_counter()
        try:
            getattr(measurements, part)()
        except Exception:
            traceback.print_exc()
        measurements.note(part=part, seconds=round(time.perf_counter() - began, 1))


if __name__ == "__main__":
    main()
