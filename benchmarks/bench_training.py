"""Training speed: real (unpadded) tokens per second of our `fit` beside transformers'
Seq2SeqTrainer, in one process.

    python benchmarks/bench_training.py path/to/gsm8k_cot_llama3_70b/train.jsonl

Unmerged AS-ES examples (strategy `inter`) of GSM8K chains, a model of Flan-T5-small's shape with
random weights, updates of 64 examples, fp32, two threads. Seq2SeqTrainer runs with shuffled batches
of 64, and with its sampling by length. Then, for a small causal model, both by our `fit`: one pass
over whole chains, and each example alone. Arms take turns within each round, so that other load on
the machine slows all of them.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import torch
from measure import add_options, now, record, record_peak
from measure import prepare as prepare_device
from transformers import (
    DataCollatorForSeq2Seq,
    LlamaConfig,
    LlamaForCausalLM,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    T5Config,
    T5ForConditionalGeneration,
    TrainerCallback,
)
from transformers.trainer_callback import PrinterCallback

from smallsteps.records import Example
from smallsteps.segments.examples import build_examples
from smallsteps.segments.label import segment_chains
from smallsteps.students.scratch import byte_tokenizer
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import get_task
from smallsteps.tasks.files import read_chains
from smallsteps.training.encode import encode
from smallsteps.training.fit import fit
from smallsteps.training.settings import TrainSettings

TASK = get_task("gsm8k")


class Clock(TrainerCallback):
    """Measures the seconds of Seq2SeqTrainer's steps, without fetching and padding its batches."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on_step_begin(self, args, state, control, **kwargs) -> None:
        self.began = now(args.device.type)

    def on_step_end(self, args, state, control, **kwargs) -> None:
        self.seconds += now(args.device.type) - self.began


class Counting(DataCollatorForSeq2Seq):
    """The usual collator, which also counts real and padded tokens."""

    real = padded = 0

    def __call__(self, features, return_tensors=None):
        batch = super().__call__(features, return_tensors)
        self.real += sum(len(row["input_ids"]) + len(row["labels"]) for row in features)
        self.padded += batch["input_ids"].numel() + batch["labels"].numel()
        return batch


def theirs(
    student: Student, rows: list, updates: int, sampling: str, seed: int, dtype: str
) -> tuple[float, float]:
    """(real tokens per second, share of padding) of Seq2SeqTrainer."""
    with tempfile.TemporaryDirectory() as folder:
        arguments = Seq2SeqTrainingArguments(
            output_dir=folder,
            max_steps=updates,
            per_device_train_batch_size=64,
            train_sampling_strategy=sampling,
            use_cpu=student.device.type == "cpu",
            bf16=dtype == "bfloat16",
            report_to="none",
            disable_tqdm=True,
            logging_strategy="no",
            save_strategy="no",
            learning_rate=1e-4,
            weight_decay=0.01,
            log_level="error",
            dataloader_pin_memory=False,
        )
        data = [
            {
                "input_ids": list(r.source),
                "attention_mask": [1] * len(r.source),
                "labels": list(r.target),
            }
            for r in rows
        ]
        clock, counting = Clock(), Counting(student.tokenizer, student.model)
        trainer = Seq2SeqTrainer(
            student.model, arguments, train_dataset=data, data_collator=counting, callbacks=[clock]
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return counting.real / clock.seconds, 1 - counting.real / counting.padded


def ours(
    student: Student, examples: list[Example], updates: int, seed: int, tokens: int, dtype: str
) -> tuple[float, float, float]:
    """(real tokens per second, share of padding, seconds) of `fit`, optimizer step included."""
    settings = TrainSettings(
        passes=updates * 64 / len(examples),
        learning_rate=1e-4,
        evaluations=1,
        micro_batch_tokens=tokens,
        overlong="drop",
        early_stop="drop",
        source_limit=None,
        target_limit=None,
        dtype=dtype,
    )
    with tempfile.TemporaryDirectory() as folder:
        result = fit(student, examples, [], settings, Path(folder) / "run", task=TASK, seed=seed)
    return result.train_tokens / result.seconds, result.report.padding_share, result.seconds


def flan_t5_small(texts: list[str]) -> Student:
    """A model of Flan-T5-small's shape (77M random weights), and a tokenizer trained on the texts
    with filled-up vocabulary."""
    tokenizer = byte_tokenizer(texts, 8192)
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=32128,
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
    return Student(T5ForConditionalGeneration(config), tokenizer)


def small_causal(texts: list[str]) -> Student:
    """A small Llama with random weights, and a tokenizer trained on the texts."""
    tokenizer = byte_tokenizer(texts, 8192)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=8192,
        hidden_size=256,
        intermediate_size=704,
        num_hidden_layers=6,
        num_attention_heads=4,
        max_position_embeddings=2048,
        eos_token_id=1,
        bos_token_id=None,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    return prepare(Student(LlamaForCausalLM(config), tokenizer), TASK, path="uni")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chains", type=Path)
    parser.add_argument("--updates", type=int, default=2, help="updates of 64 an arm and round")
    parser.add_argument("--pool", type=int, default=300, help="chains that batches are drawn from")
    parser.add_argument(
        "--micro-batch-tokens", type=int, default=TrainSettings().micro_batch_tokens
    )
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--skip-causal", action="store_true")
    add_options(parser, rounds=3)
    options = parser.parse_args()
    prepare_device(options)

    chains = read_chains(options.chains, TASK).chains
    chains = random.Random(0).sample(chains, options.pool)
    segments = segment_chains(chains, "inter", task=TASK)
    texts = [text for chain in chains for text in (chain.problem.question, chain.rationale.text)]

    student = flan_t5_small(texts)
    student.model.to(options.device)
    tokens, dtype = options.micro_batch_tokens, options.dtype
    examples = build_examples(chains, segments, TASK, "uni")
    rows = encode(student, TASK, examples)
    print(
        f"{len(chains)} chains, {len(examples)} examples, "
        f"{sum(r.tokens for r in rows) / len(rows):.0f} tokens each"
    )
    speeds, padding = defaultdict(list), defaultdict(list)
    for turn in range(options.rounds):
        for sampling in ("random", "group_by_length"):
            speed, share = theirs(student, rows, options.updates, sampling, turn, dtype)
            speeds[sampling].append(speed)
            padding[sampling].append(share)
            record_peak(options.device, f"training, Seq2SeqTrainer {sampling}")
        speed, share, _ = ours(student, examples, options.updates, turn, tokens, dtype)
        record_peak(options.device, "training, smallsteps")
        speeds["smallsteps"].append(speed)
        padding["smallsteps"].append(share)
    for name, rates in speeds.items():
        record(f"training {dtype}, {name}", rates, "real tokens a second")
        record(f"training, {name}: padding", [100 * share for share in padding[name]], "%")
    for name, wanted in (("random", "2.2"), ("group_by_length", "")):
        ratios = [a / b for a, b in zip(speeds["smallsteps"], speeds[name], strict=True)]
        record(f"training {dtype}: ours / Seq2SeqTrainer {name}", ratios, wanted=wanted)

    if options.skip_causal:
        return
    student = small_causal(texts)
    student.model.to(options.device)
    some = list(zip(chains, segments, strict=True))[:64]
    examples = build_examples([c for c, _ in some], [s for _, s in some], TASK, "uni", causal=True)
    apart = [replace(e, problem_id=e.id) for e in examples]
    ratios = []
    for turn in range(options.rounds):
        updates = max(1, len(examples) // 64)
        together = ours(student, examples, updates, turn, tokens, dtype)[2]
        single = ours(student, apart, updates, turn, tokens, dtype)[2]
        ratios.append(single / together)
    record(f"causal: one pass against {len(examples)} examples of {len(some)} chains", ratios)


if __name__ == "__main__":
    main()
