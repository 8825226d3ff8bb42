"""Generation speed: our engine beside `model.generate`, in one process.

    python benchmarks/bench_generation.py path/to/gsm8k_cot_llama3_70b/train.jsonl
        [--student flan-t5-small | llama | FOLDER] [--n 256] [--batch 32] [--device cuda]

Greedy decoding, fp32 unless stated, two threads. The student has the shape of Flan-T5-small (77M)
or of a small Llama, random weights and a tokenizer trained on the chains; or it is a model folder,
such as SmolLM2's. Students do not know these chains. So both sides are given the lengths of a
student that writes the gold chains (strategy `inter`), and the end token is ignored. Every token is
still computed and chosen in full. The tokens of both sides are compared.

    direct     the whole chain. `generate`: batches in file order, as long as their longest reply
    uni-path   segment by segment. `generate` in lock-step: a batch of questions, one segment each;
               the next segments begin when all are done, without chains that have ended. A causal
               student writes all segments of a chain in one reply
    alone      the authors' loop: one question at a time (on --alone questions)

Arms take turns over the same questions in each of --rounds rounds. A ratio is the median over
rounds, with the lowest and the highest. On a machine that other jobs use, --cpu-time with --threads
1 measures the work instead of the waiting.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch
from bench_training import flan_t5_small, small_causal
from measure import add_options, now, prepare, record, record_peak
from transformers import StoppingCriteria, StoppingCriteriaList

from smallsteps.generation.engine import open_engine
from smallsteps.generation.generator import Decoding, EngineSettings, Request
from smallsteps.records import Chain
from smallsteps.segments.label import segment_chains
from smallsteps.students import tokens
from smallsteps.students.loading import load_student
from smallsteps.students.padding import pad
from smallsteps.students.student import Student
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains

TASK = get_task("gsm8k")

Call = tuple[list[int], int]
"""(source ids, tokens to write)."""
Written = dict[tuple[int, int], list[int]]
"""(question, segment) → its tokens."""


class Lengths(StoppingCriteria):
    """Each row ends after its given number of tokens."""

    def __init__(self, lengths: list[int], given: int, device: torch.device) -> None:
        """`given`: ids that stand before the first new token."""
        self.lengths = torch.tensor(lengths, device=device) + given - 1

    def __call__(
        self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: object
    ) -> torch.Tensor:
        return self.lengths < input_ids.shape[1]


@torch.inference_mode()
def generate(student: Student, calls: list[Call]) -> list[list[int]]:
    """The tokens of each call, in one batch of transformers."""
    causal = student.architecture == "causal"
    ids, mask = pad([source for source, _ in calls], fill=student.pad_id, left=causal)
    given = ids.shape[1] if causal else 1
    ids, mask = ids.to(student.device), mask.to(student.device)
    out = student.model.generate(
        ids,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=max(n for _, n in calls),
        eos_token_id=None,
        pad_token_id=0,
        stopping_criteria=StoppingCriteriaList([Lengths([n for _, n in calls], given, ids.device)]),
    )
    return [row[given : given + n] for row, (_, n) in zip(out.tolist(), calls, strict=True)]


def lock_step(student: Student, chains: list[list[Call]], batch: int) -> Written:
    """Batches of chains by `generate`: the first segments of all, then the second ones, ..."""
    written: Written = {}
    for start in range(0, len(chains), batch):
        under_way = list(range(start, min(start + batch, len(chains))))
        segment = 0
        while under_way:
            rows = generate(student, [chains[n][segment] for n in under_way])
            written.update({(n, segment): row for n, row in zip(under_way, rows, strict=True)})
            segment += 1
            under_way = [n for n in under_way if len(chains[n]) > segment]
    return written


def ours(
    student: Student, chains: list[list[Call]], batch: int, dtype: str | None = None
) -> Written:
    """Our engine; a chain's next segment is submitted as soon as the one before it is done."""
    engine = open_engine(student, EngineSettings(batch_size=batch, dtype=dtype))
    session = engine.session(Decoding(max_new_tokens=max(n for chain in chains for _, n in chain)))

    def submit(question: int, segment: int) -> None:
        source, count = chains[question][segment]
        session.submit(Request(f"{question} {segment}", source, max_new_tokens=count))

    for question in range(len(chains)):
        submit(question, 0)
    written: Written = {}
    while not session.idle:
        for reply in session.step():
            question, segment = map(int, reply.id.split())
            written[question, segment] = list(reply.ids)
            if segment + 1 < len(chains[question]):
                submit(question, segment + 1)
    return written


def make_student(name: str, chains: list[Chain]) -> Student:
    """The student that `--student` names; it never ends by itself."""
    shapes = {"flan-t5-small": flan_t5_small, "llama": small_causal}
    if name in shapes:
        student = shapes[name]([f"{c.problem.question} {c.rationale.text}" for c in chains])
    else:
        student = tokens.prepare(load_student(name, device="cpu"), TASK, path="uni")
    student.end_ids = frozenset()
    return student


def material(path: Path, n: int, name: str) -> tuple[Student, list[list[Call]], list[list[Call]]]:
    """The student, and the calls of direct and of uni-path for `n` chains."""
    chains = read_chains(path, TASK).chains
    student = make_student(name, chains)
    chains = chains[:n]
    direct, uni = [], []
    for chain, segments in zip(chains, segment_chains(chains, "inter", task=TASK), strict=True):
        question = TASK.render(chain.problem)
        pairs = [(s.kind, s.text.strip()) for s in segments]
        length = len(student.target_ids(TASK, chain.rationale.text))
        direct.append([(student.source_ids(TASK, question), length)])
        if student.architecture == "causal":
            _, is_target = student.chain_ids(TASK, question, pairs)
            uni.append([(student.source_ids(TASK, question, cue="ES"), sum(is_target))])
            continue
        uni.append(
            [
                (student.source_ids(TASK, question, pairs[:k]), len(student.target_ids(TASK, text)))
                for k, (_, text) in enumerate(pairs)
            ]
        )
    return student, direct, uni


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chains", type=Path)
    parser.add_argument("--student", default="flan-t5-small")
    parser.add_argument("--n", type=int, default=256)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--alone", type=int, default=0, help="questions of the one-at-a-time loop")
    parser.add_argument(
        "--arms", default="", help="only fp32 arms whose names contain this, such as uni"
    )
    parser.add_argument("--cpu-time", action="store_true", help="of all threads, instead of wall")
    add_options(parser, rounds=1)
    args = parser.parse_args()
    prepare(args)
    student, direct, uni = material(args.chains, args.n, args.student)
    student.model.to(args.device).eval()
    written_tokens = sum(n for chain in uni for _, n in chain)
    read_tokens = sum(len(source) for chain in uni for source, _ in chain)
    print(
        f"{args.n} chains, {sum(map(len, uni))} replies; "
        f"uni-path writes {written_tokens} tokens and reads {read_tokens}"
    )

    def clock() -> float:
        return time.process_time() if args.cpu_time else now(args.device)

    arms: dict[str, Callable[[], Written]] = {
        "generate direct": lambda: lock_step(student, direct, args.batch),
        "ours direct": lambda: ours(student, direct, args.batch),
        "generate uni lock-step": lambda: lock_step(student, uni, args.batch),
        "ours uni": lambda: ours(student, uni, args.batch),
        "ours uni bf16": lambda: ours(student, uni, args.batch, "bfloat16"),
        "ours direct bf16": lambda: ours(student, direct, args.batch, "bfloat16"),
    }
    if args.alone:
        arms["generate uni alone"] = lambda: lock_step(student, uni[: args.alone], 1)
    arms = {
        name: arm
        for name, arm in arms.items()
        if args.arms in name and ("bf16" not in name or not args.arms)
    }
    for run in (lock_step, ours):
        run(student, uni[:2], 2)  # first calls load kernels
    seconds: dict[str, list[float]] = defaultdict(list)
    written: dict[str, Written] = {}
    for _ in range(args.rounds):
        for name, arm in arms.items():
            began = clock()
            written[name] = arm()
            questions = args.alone if name.endswith("alone") else args.n
            seconds[name].append((clock() - began) / questions)
            record_peak(args.device, name)
    for name, per_question in seconds.items():
        record(name, per_question, "s a question")

    def ratio(name: str, slow: str, fast: str, wanted: str = "") -> None:
        if slow in seconds and fast in seconds:
            pairs = zip(seconds[slow], seconds[fast], strict=True)
            record(name, [a / b for a, b in pairs], wanted=wanted)

    ratio("direct: generate / ours", "generate direct", "ours direct", "1.3")
    ratio("uni: lock-step / ours", "generate uni lock-step", "ours uni", "1.8")
    ratio("ours: uni / direct", "ours uni", "ours direct")
    ratio("ours: fp32 / bf16, uni", "ours uni", "ours uni bf16", "1.5")
    ratio("ours: fp32 / bf16, direct", "ours direct", "ours direct bf16")
    if args.alone:
        ratio("uni: one at a time / ours", "generate uni alone", "ours uni", "60 on a GPU")
    for name, other in (
        ("direct", "generate direct"),
        ("uni", "generate uni lock-step"),
        ("uni bf16", "ours uni"),
    ):
        if f"ours {name}" not in written or other not in written:
            continue
        mine, theirs = written[f"ours {name}"], written[other]
        same = sum(mine[key] == theirs[key] for key in theirs)
        record(f"same tokens, ours {name} and {other}", 100 * same / len(theirs), "% of replies")


if __name__ == "__main__":
    main()
