"""Small trainings that a test describes in a file, run in one process or under torchrun, with
weights in shards or not.

    python -m torch.distributed.run ... tests/launched_trainings.py FOLDER NAME ...

FOLDER/cases.json: case name → what `train` reads. Every process leaves its student's last weights in
FOLDER/<case>-<NAME>-<rank>.safetensors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

from smallsteps.generation.generator import Decoding
from smallsteps.methods.guided.roller import Roller
from smallsteps.records import Example
from smallsteps.students.dropout import set_dropout
from smallsteps.students.loading import load_student
from smallsteps.students.lora import LoraSettings, add_lora
from smallsteps.training import sharding
from smallsteps.training.contrast import Contrast
from smallsteps.training.fit import fit
from smallsteps.training.reinforce import reinforce
from smallsteps.training.rollouts import Rewarded
from smallsteps.training.settings import ContrastSettings, ReinforceSettings, TrainSettings

FSDP = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_CPU_RAM_EFFICIENT_LOADING": "true",
}
"""What `accelerate launch` tells its processes of an FSDP2 config."""
PROMPTS = [("a", (5, 6, 7, 1)), ("b", (8, 9, 1)), ("c", (10, 11, 12, 1)), ("d", (13, 1))]


def check_share():
    """This process must have about half of the weights that are trained in shards."""
    (shards,) = sharding._LIVE
    parts = [weight.to_local().numel() / weight.numel() for weight in shards.twin.parameters()]
    assert min(parts) >= 0 and 0.4 < sum(parts) / len(parts) < 0.6, parts


def calm(student):
    """Without dropout, whose draws follow the split, and with weights for which rounding does not
    grow."""
    set_dropout(student.model, 0.0)
    with torch.no_grad():
        for parameter in student.model.parameters():
            if parameter.dim() > 1:
                parameter *= 0.3
    return student


def describe(folder: Path, cases: dict[str, Any], students: dict[str, Any]) -> None:
    """Writes what `train` reads."""
    for name, student in students.items():
        student.save(folder / name)
    rows = {
        name: {**case, "examples": [example.to_row() for example in case["examples"]]}
        for name, case in cases.items()
    }
    (folder / "cases.json").write_text(json.dumps(rows))


def train(folder: Path, name: str, run: str) -> tuple[Any, dict[str, torch.Tensor]]:
    """(what the training `name` returns, the student's weights after it); its output lies in
    FOLDER/<name>-<run>. Prints each step or update."""
    case = json.loads((folder / "cases.json").read_text())[name]
    student = load_student(folder / case["student"], device="cpu")
    if case.get("lora"):
        student.model.to(torch.bfloat16)
        add_lora(student, LoraSettings(rank=2, alpha=2), seed=0)
        draws = torch.Generator().manual_seed(0)
        for name, weights in student.model.named_parameters():
            if "lora_B" in name:  # of zeros, A's gradient is rounding, which Adam makes large
                weights.data.normal_(std=0.1, generator=draws)
    out = folder / f"{name}-{run}"

    def progress(done, total, row):
        if "ACCELERATE_USE_FSDP" in os.environ:
            check_share()
        print("done", name, done, flush=True)

    if "reinforce" in case:
        result: Any = reinforced(student, case["reinforce"], out, progress)
    else:
        result = fitted(student, case, out, progress)
    return result, {key: p.detach().clone() for key, p in student.model.named_parameters()}


def fitted(student, case, out, progress):
    examples = [Example.from_row(row) for row in case["examples"]]
    contrasts = {}
    if "contrast" in case:
        for example in examples[6::2]:
            right = (((None, example.target.replace("so", "then")),),)
            wrong = (((None, "she has 3 pens. The answer is 0."),), ((None, "The answer is 1."),))
            contrasts[example.id] = Contrast(example.question, right, wrong)
    return fit(
        student,
        examples[6:],
        examples[:6],
        TrainSettings(**case["settings"]),
        out,
        task="numbers",
        metric=size_of_answers,
        progress=progress,
        contrasts=contrasts,
        contrast_settings=ContrastSettings(**case.get("contrast", {"prompt_weight": 0.0})),
    )


def size_of_answers(student):
    """A figure that needs whole weights: what the student writes, in tokens."""
    roll = Roller(PROMPTS, 1, Decoding(max_new_tokens=6))
    groups = roll(student, 0, range(len(PROMPTS)))
    return float(sum(sum(rollout.target) for group in groups for rollout in group))


def share_of_odd(groups, step):
    """A toy: tokens of odd number are worth something."""
    return [
        [Rewarded(sum(t % 2 for t in one.target) / max(1, len(one.target))) for one in group]
        for group in groups
    ]


def reinforced(student, settings, out, progress):
    settings = ReinforceSettings(**settings)
    decoding = Decoding(max_new_tokens=6, temperature=1.0, seed=3)
    return reinforce(
        student,
        len(PROMPTS),
        Roller(PROMPTS, settings.samples, decoding),
        share_of_odd,
        settings,
        out,
        metric=size_of_answers,
        progress=progress,
        seed=1,
        micro_batch_tokens=40,
    )


def documented_config(folder: Path, **changes: Any) -> Path:
    """A file with the FSDP config of docs/distributed.md, for two processes on a CPU."""
    page = (Path(__file__).parents[1] / "docs/distributed.md").read_text()
    (block,) = (part for part in page.split("```") if part.startswith("yaml\n# fsdp2.yaml\n"))
    config = yaml.safe_load(block.removeprefix("yaml\n"))
    config |= {"num_processes": 2, "use_cpu": True, "mixed_precision": "no", **changes}
    path = folder / "fsdp2.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def environment(**changes: str) -> dict[str, str]:
    """For a child process: alone, with as many threads as here, whose number decides the order of
    sums."""
    apart = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", *FSDP)
    kept = {name: value for name, value in os.environ.items() if name not in apart}
    return kept | {"OMP_NUM_THREADS": str(torch.get_num_threads()), **changes}


def command(folder: Path, run: str, *names: str, config: Path | None = None) -> list[str]:
    """What starts the trainings `names` one after another in two processes: torchrun, or accelerate
    with `config`."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    if config is not None:
        launcher = ["accelerate.commands.launch", "--config_file", str(config)]
        launcher += ["--main_process_port", "0"]
    return [sys.executable, "-m", *launcher, str(Path(__file__)), str(folder), run, *names]


def launch(folder: Path, run: str, *names: str, config: Path | None = None, **changes: str) -> None:
    """Runs them; fails with what they said."""
    launched = subprocess.run(
        command(folder, run, *names, config=config),
        capture_output=True,
        text=True,
        env=environment(**changes),
        timeout=280,
    )
    assert launched.returncode == 0, launched.stderr[-4000:]


if __name__ == "__main__":
    folder, run = Path(sys.argv[1]), sys.argv[2]
    for name in sys.argv[3:]:
        _, weights = train(folder, name, run)
        save_file(weights, folder / f"{name}-{run}-{os.environ['RANK']}.safetensors")
