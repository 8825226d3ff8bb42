"""Scoring speed and memory: our token scores beside the authors' procedure, in one process.

    python benchmarks/bench_scores.py path/to/gsm8k_cot_llama3_70b/train.jsonl [--n 96] [--theirs 4]

Flan-T5-small's shape (77M) with random weights, a tokenizer trained on the chains, two threads. The
authors' procedure: every sub-sentence alone is a target, given the question; source and target are
padded to 512 tokens; batches of 24; softmax and entropy of all logits. Ours: one pass over each
whole chain. Figures are seconds per chain. The authors' procedure takes seconds per chain and is
measured on --theirs chains.

bf16 is compared with fp32 by the share of sub-sentences whose label (ES or AS, beta 1) changes. The
memory check scores 16 rows of 512 tokens with a vocabulary of 250,112 in another process and prints
the peak above the model.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import torch
from bench_training import flan_t5_small
from measure import add_options, now, prepare, record, record_peak
from transformers import T5Config, T5ForConditionalGeneration

from smallsteps.records import Chain
from smallsteps.segments.score import reduce_tokens
from smallsteps.segments.split import split
from smallsteps.students.scores import TokenScores, token_scores
from smallsteps.students.student import Student
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains

TASK = get_task("gsm8k")


@torch.inference_mode()
def authors(
    student: Student, chains: list[Chain], width: int = 512, batch: int = 24
) -> list[float]:
    """The summed entropy of each sub-sentence, as the authors' script computes it."""
    pairs = [(TASK.render(c.problem), piece) for c in chains for piece in split(c.rationale.text)]
    sums: list[float] = []
    for start in range(0, len(pairs), batch):
        rows = pairs[start : start + batch]
        source = torch.zeros(len(rows), width, dtype=torch.long, device=student.device)
        labels = torch.zeros(len(rows), width, dtype=torch.long, device=student.device)
        lengths = []
        for n, (question, piece) in enumerate(rows):
            ids, target = (
                student.source_ids(TASK, question)[:width],
                student.target_ids(TASK, piece)[:width],
            )
            source[n, : len(ids)] = torch.tensor(ids)
            labels[n, : len(target)] = torch.tensor(target)
            lengths.append(len(target))
        p = student.model(
            input_ids=source, attention_mask=(source != 0).long(), labels=labels
        ).logits.softmax(-1)
        entropy = -(p * torch.log(p + 1e-12)).sum(-1)
        sums += [entropy[n, :length].sum().item() for n, length in enumerate(lengths)]
    return sums


def labels(chains: list[Chain], scores: list[TokenScores]) -> list[bool]:
    """Whether each sub-sentence is AS: its mean entropy is above the mean of its chain."""
    is_abstractive = []
    for chain, tokens in zip(chains, scores, strict=True):
        means = [
            m or 0.0
            for m in reduce_tokens(split(chain.rationale.text), tokens.entropy, tokens.spans)
        ]
        is_abstractive += [m > sum(means) / len(means) for m in means]
    return is_abstractive


def memory(field: str) -> float:
    """A line of /proc/self/status in MB: VmRSS, resident now; VmHWM, its peak since the last reset
    (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field + ":"))


def memory_check(path: Path) -> None:
    chains = read_chains(path, TASK).chains
    texts = [f"{c.problem.question} {c.rationale.text}" for c in chains[:500]]
    student = flan_t5_small(texts)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=250112,
        d_model=512,
        d_kv=64,
        num_heads=6,
        d_ff=1024,
        num_layers=8,
        num_decoder_layers=8,
        feed_forward_proj="gated-gelu",
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    student.model = T5ForConditionalGeneration(config).eval()
    student.model.lm_head.weight = torch.nn.Parameter(
        torch.randn(250112, 512)
    )  # mT5's head is not its embedding
    ids = student.encode(" ".join(texts))[: 16 * 1024]
    rows = [
        (student.text(ids[k * 512 : k * 512 + 500]), student.text(ids[8192 + k * 512 :][:500]))
        for k in range(16)
    ]
    sizes = [len(student.encode(text)) for pair in rows for text in pair]
    token_scores(student, TASK, [("a", "b")])
    before = memory("VmRSS")
    Path("/proc/self/clear_refs").write_text(
        "5"
    )  # making the model took more than holding it: forget that peak
    token_scores(student, TASK, rows, batch_tokens=16 * 1200)
    used = memory("VmHWM") - before
    print(
        f"16 rows of {min(sizes)} to {max(sizes)} tokens on each side, vocabulary 250,112: "
        f"{used:.0f} MB above the model (aim 1,000)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chains", type=Path)
    parser.add_argument("--n", type=int, default=96)
    parser.add_argument("--theirs", type=int, default=4, help="chains for the authors' procedure")
    add_options(parser, rounds=2)
    parser.add_argument("--memory-only", action="store_true")
    parser.add_argument("--skip-memory", action="store_true")
    args = parser.parse_args()
    prepare(args)
    if args.memory_only:
        memory_check(args.chains)
        return
    chains = read_chains(args.chains, TASK).chains
    student = flan_t5_small([f"{c.problem.question} {c.rationale.text}" for c in chains])
    student.model.to(args.device).eval()
    chains = chains[: args.n]
    pairs = [(TASK.render(c.problem), c.rationale.text) for c in chains]
    seconds: dict[str, list[float]] = {"authors": [], "fp32": [], "bf16": []}
    scores = {}
    for dtype in (None, "bfloat16"):
        token_scores(student, TASK, pairs[:2], dtype=dtype)  # first calls load kernels
    for round_ in range(args.rounds):
        for name, dtype in (("fp32", None), ("bf16", "bfloat16")):
            began = now(args.device)
            scores[name] = token_scores(student, TASK, pairs, dtype=dtype)
            seconds[name].append((now(args.device) - began) / args.n)
            record_peak(args.device, f"scores {name}")
        part = chains[round_ * args.theirs : (round_ + 1) * args.theirs]
        began = now(args.device)
        authors(student, part)
        seconds["authors"].append((now(args.device) - began) / len(part))
    for name, values in seconds.items():
        record(f"scores, {name}", values, "s a chain")
    for name, wanted in (("fp32", "55, better 85"), ("bf16", "130")):
        pairs_of_rounds = zip(seconds["authors"], seconds[name], strict=True)
        record(f"scores: authors / ours {name}", [a / b for a, b in pairs_of_rounds], wanted=wanted)
    in_fp32, in_bf16 = labels(chains, scores["fp32"]), labels(chains, scores["bf16"])
    changed = sum(a != b for a, b in zip(in_fp32, in_bf16, strict=True))
    count = len(in_fp32)
    record("labels that bf16 changes", 100 * changed / count, f"% of {count}")
    if args.device == "cpu" and not args.skip_memory:
        command = [sys.executable, __file__, str(args.chains), "--memory-only"]
        sys.stdout.flush()
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
