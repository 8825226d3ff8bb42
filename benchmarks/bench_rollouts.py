"""Rollouts for reinforcement learning: our engine beside `model.generate`, and a whole step.

    python benchmarks/bench_rollouts.py [--student DIR] [--prompts 16] [--samples 4] [--steps 8]
        [--server COMMAND]

Bundled two-hop questions, fp32, two threads, temperature 1, all tokens, the same batch (prompts x
samples rows). --student should be distilled on these questions (from a run of guided/demo);
the default is the bundled student, which never learnt to end such rationales. `generate` samples
with `num_return_sequences`; its log-probabilities come from the pass that both sides need. Samples
differ, so the ratio is of tokens written per second. A step is rollouts, rewards by lexical judges,
and one update (RLOO). --server adds the engine `vllm`, whose server the command starts (`default`:
that of the engine): each step hands the weights over first.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

import torch
from measure import add_options, now, prepare, record, record_peak

from smallsteps.generation.generator import Decoding, EngineSettings
from smallsteps.generation.server_settings import ServerSettings
from smallsteps.methods.guided.config import RewardSettings
from smallsteps.methods.guided.reward import Rewarder
from smallsteps.methods.guided.roller import Roller
from smallsteps.quality.scorer import Scorer
from smallsteps.students.loading import load_student
from smallsteps.students.padding import pad
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare as prepare_student
from smallsteps.tasks import get_task
from smallsteps.tasks.facts import make_chains
from smallsteps.training.reinforce import reinforce
from smallsteps.training.rollouts import Roll, Rollout
from smallsteps.training.settings import ReinforceSettings

TASK = get_task("facts")
LIMIT = 96
DECODING = Decoding(max_new_tokens=LIMIT, temperature=1.0)


def by_generate(prompts: list[tuple[str, list[int]]], samples: int) -> Roll:
    """Rollouts sampled by transformers."""

    @torch.inference_mode()
    def roll(student: Student, step: int, numbers: object) -> list[list[Rollout]]:
        torch.manual_seed(step)
        chosen = [prompts[n] for n in numbers]  # type: ignore[attr-defined]
        causal = student.architecture == "causal"
        ids, mask = pad([source for _, source in chosen], fill=student.pad_id, left=causal)
        ids, mask = ids.to(student.device), mask.to(student.device)
        out = student.model.generate(
            ids,
            attention_mask=mask,
            do_sample=True,
            temperature=1.0,
            top_k=0,
            num_return_sequences=samples,
            max_new_tokens=LIMIT,
            eos_token_id=student.end_id,
            pad_token_id=student.pad_id,
        )[:, ids.shape[1] if causal else 1 :].tolist()
        groups = []
        for place, (id, source) in enumerate(chosen):
            group = []
            for sample, row in enumerate(out[place * samples : (place + 1) * samples]):
                finished = student.end_id in row
                target = row[: row.index(student.end_id) + 1] if finished else row
                text = student.text(target[:-1] if finished else target)
                group.append(Rollout(id, sample, tuple(source), tuple(target), text, finished))
            groups.append(group)
        return groups

    return roll


def ready_student(options: argparse.Namespace) -> Student:
    """The student on the device, prepared to write whole rationales."""
    student = load_student(options.student, device=options.device, dtype="float32")
    if student.drive is None:
        prepare_student(student, TASK, path="direct")
    student.model.eval()
    return student


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--student", default="bundled")
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--server")
    add_options(parser, rounds=1)
    options = parser.parse_args()
    prepare(options)
    problems = [chain.problem for chain in make_chains(200, 900)]
    student = ready_student(options)
    prompts = [(problem.id, student.source_ids(TASK, TASK.render(problem))) for problem in problems]
    batch = options.prompts * options.samples
    ways: dict[str, Roll] = {
        "generate": by_generate(prompts, options.samples),
        "ours": Roller(
            prompts,
            options.samples,
            DECODING,
            EngineSettings(batch_size=batch),
        ),
    }
    if options.server:
        command = {} if options.server == "default" else {"command": options.server}
        server = ServerSettings(**command, log="server.log")
        engine = EngineSettings(engine="vllm", batch_size=batch, server=server)
        ways["vllm"] = Roller(prompts, options.samples, DECODING, engine)
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for step in range(options.steps + 1):
        numbers = [(step * options.prompts + n) % len(prompts) for n in range(options.prompts)]
        for name, roll in ways.items():
            began = now(options.device)
            groups = roll(student, step, numbers)
            seconds = now(options.device) - began
            if step:  # the first one loads kernels
                rates[name].append(
                    sum(len(rollout.target) for group in groups for rollout in group) / seconds
                )
    for name, values in rates.items():
        record(f"rollouts, {name}", values, "tokens a second")
    for name in list(ways)[1:]:
        ratios = [
            mine / theirs for mine, theirs in zip(rates[name], rates["generate"], strict=True)
        ]
        record(f"rollouts: {name} / generate", ratios, wanted="2")
    record_peak(options.device, "rollouts")

    rewarder = Rewarder({p.id: p for p in problems}, Scorer(), RewardSettings(reward="aspects"))
    seconds: dict[str, list[float]] = {}
    for name, roll in ways.items():
        trained = ready_student(options)
        settings = ReinforceSettings(
            steps=options.steps,
            prompts=options.prompts,
            samples=options.samples,
            learning_rate=1e-6,
            evaluations=1,
            kl_limit=1e6,
            patience=10_000,
        )
        with tempfile.TemporaryDirectory() as folder:
            result = reinforce(
                trained, len(prompts), roll, rewarder, settings, Path(folder) / "run"
            )
        seconds[name] = [row["seconds"] for row in result.curves[1:]]
    steps = {name: median(values) for name, values in seconds.items()}
    for name, value in steps.items():
        record(f"whole step of RL, {name}", value, "s")
    for name in list(ways)[1:]:
        record(f"whole step of RL: with generate / {name}", steps["generate"] / steps[name])
    record_peak(options.device, "step of RL")
    for roll in ways.values():
        if isinstance(roll, Roller):
            roll.close()


if __name__ == "__main__":
    main()
