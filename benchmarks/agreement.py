"""How well segmentation strategies agree with gold labels, of people (IRCoT) or of the generator
(bundled problems).

IRCoT: in 69 chains, people noted for every sentence which paragraph it uses. As gold labels, a
sentence that uses a paragraph is ES, and one that uses none is AS. The question given to the
strategies includes the paragraphs. Labels are given to whole sentences. The paper made such a check
by hand on 100 sub-sentences (Appendix B: `ent` 76.9 %, `inter` 51.9 % agreement).

Bundled: 500 chains of word problems of medium difficulty, with a seed that no recipe trains on. The
generator knows which sub-sentences are extractive.

    python benchmarks/agreement.py DATA/ircot_annotations [--student DIR] [--untrained-student DIR]
    python benchmarks/agreement.py bundled [--student DIR] [--untrained-student DIR]

prints a Markdown table: agreement and Cohen's kappa with 95 % intervals over chains. `--student`
adds `ent` and `loss`, `--untrained-student` adds `ent*`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from smallsteps.errors import DataError, UserError
from smallsteps.records import Chain, Kind, Problem, Rationale
from smallsteps.segments.agreement import Agreement, compare_kinds
from smallsteps.segments.label import label_pieces
from smallsteps.segments.split import split
from smallsteps.segments.strategies import Scoring, gold_kinds
from smallsteps.students.student import Student
from smallsteps.tasks.base import Task
from smallsteps.tasks.stories import make_chains


def read_annotations(folder: Path) -> tuple[list[Chain], list[list[str]], list[list[Kind]]]:
    """Chains whose questions include the paragraphs, the sentences of each chain, and the label of
    each sentence."""
    chains: list[Chain] = []
    sentences: list[list[str]] = []
    gold: list[list[Kind]] = []
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise DataError(f"{folder}: no .jsonl file there; give the folder ircot_annotations.")
    for file in files:
        for line in file.read_text(encoding="utf-8").rstrip("\n").split("\n"):
            row = json.loads(line)
            paragraphs = " ".join(
                sentence for _, paragraph in row["context"] for sentence in paragraph
            )
            pieces = [step["sentence"] + " " for step in row["steps"]]
            pieces[-1] = pieces[-1].rstrip()
            problem = Problem(
                id=row["id"], question=f"{row['question']} {paragraphs}", answer=row["answer"]
            )
            chains.append(
                Chain(problem, Rationale(f"{row['id']}/chain", row["id"], "".join(pieces)))
            )
            sentences.append(pieces)
            gold.append(["ES" if step["titles"] else "AS" for step in row["steps"]])
    return chains, sentences, gold


def bundled(
    count: int = 500, seed: int = 500
) -> tuple[list[Chain], list[list[str]], list[list[Kind]]]:
    """Bundled word problems: chains, their sub-sentences, and the generator's labels."""
    chains = make_chains(count, seed, "medium")
    pieces = [split(chain.rationale.text) for chain in chains]
    kinds = [
        gold_kinds(chain, sub_sentences)
        for chain, sub_sentences in zip(chains, pieces, strict=True)
    ]
    return chains, pieces, kinds


def agreement(
    data: str, students: dict[str, Student | None], task: Task, beta: float = 1.0
) -> dict[str, Agreement]:
    """Strategy → agreement with gold labels.

    students: strategy → the student that scores for it; None: the strategy needs none.
    """
    chains, pieces, gold = bundled() if data == "bundled" else read_annotations(Path(data))
    return {
        name: compare_kinds(
            label_pieces(chains, pieces, name, Scoring(task, student), beta=beta)[0], gold
        )
        for name, student in students.items()
    }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description="Agreement of segmentation strategies with gold labels."
    )
    parser.add_argument("data", help="folder ircot_annotations, or the word bundled")
    parser.add_argument("--student", help="a direct student: adds ent and loss")
    parser.add_argument(
        "--untrained-student", help="the same student before fine-tuning: adds ent*"
    )
    parser.add_argument("--beta", type=float, default=1.0)
    options = parser.parse_args(arguments)
    students: dict[str, Student | None] = {"inter": None, "bleu": None, "rouge": None}
    if options.student or options.untrained_student:
        from smallsteps.students.loading import load_student

        if options.student:
            students |= dict.fromkeys(("ent", "loss"), load_student(options.student))
        if options.untrained_student:
            students["ent*"] = load_student(options.untrained_student)
    from smallsteps.tasks import get_task

    try:
        result_of_strategy = agreement(
            options.data,
            students,
            get_task("stories" if options.data == "bundled" else "text"),
            options.beta,
        )
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print("| strategy | kappa | agreement % | AS % | AS % of gold | pieces | chains |")
    print("|---|---|---|---|---|---|---|")
    for name, result in result_of_strategy.items():
        kappa = (
            f"{result.kappa:.2f} [{result.kappa_interval[0]:.2f}, {result.kappa_interval[1]:.2f}]"
        )
        share = (
            f"{result.share:.1f} [{result.share_interval[0]:.1f}, {result.share_interval[1]:.1f}]"
        )
        print(
            f"| `{name}` | {kappa} | {share} | {result.abstractive:.1f} "
            f"| {result.gold_abstractive:.1f} | {result.n} | {result.chains} |"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
