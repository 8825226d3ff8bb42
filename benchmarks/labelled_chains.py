"""Chains with labels of ES and AS, as rows that `smallsteps segment --agreement` reads.

    python benchmarks/labelled_chains.py DATA/ircot_annotations ircot.jsonl
    smallsteps segment ircot.jsonl --agreement --whole-segments --task text --closing keep
    python benchmarks/labelled_chains.py bundled labelled.jsonl
    smallsteps segment labelled.jsonl --agreement --task stories

IRCoT: in 69 chains, people noted for every sentence which paragraph it uses. A sentence that uses a
paragraph is ES, and one that uses none is AS. The question includes the paragraphs. The paper made
such a check by hand on 100 sub-sentences (Appendix B: `ent` 76.9 %, `inter` 51.9 % agreement).

Bundled: 500 chains of word problems of medium difficulty, with a seed that no recipe trains on. The
generator knows which sub-sentences are extractive.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smallsteps.errors import DataError, UserError
from smallsteps.tasks.files import write_rows
from smallsteps.tasks.stories import make_chains


def annotated(folder: Path) -> Iterator[dict[str, Any]]:
    """Rows of IRCoT's annotations, one segment for each sentence."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise DataError(f"{folder}: no .jsonl file there; give the folder ircot_annotations.")
    for file in files:
        for line in file.read_text(encoding="utf-8").rstrip("\n").split("\n"):
            row = json.loads(line)
            paragraphs = " ".join(
                sentence for _, paragraph in row["context"] for sentence in paragraph
            )
            sentences = [step["sentence"] + " " for step in row["steps"]]
            sentences[-1] = sentences[-1].rstrip()
            kinds = ["ES" if step["titles"] else "AS" for step in row["steps"]]
            yield {
                "id": row["id"],
                "question": f"{row['question']} {paragraphs}",
                "rationale": "".join(sentences),
                "answer": row["answer"],
                "segments": [
                    {"kind": kind, "text": text}
                    for kind, text in zip(kinds, sentences, strict=True)
                ],
            }


def bundled(count: int = 500, seed: int = 500) -> Iterator[dict[str, Any]]:
    """Rows of bundled word problems with the generator's labels."""
    for chain in make_chains(count, seed, "medium"):
        yield {
            "id": chain.problem.id,
            "question": chain.problem.question,
            "rationale": chain.rationale.text,
            "answer": chain.problem.answer,
            "segments": [{"kind": kind, "text": text} for kind, text in chain.rationale.gold],
        }


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Write chains with labels of ES and AS.")
    parser.add_argument("data", help="folder ircot_annotations, or the word bundled")
    parser.add_argument("out", type=Path)
    options = parser.parse_args(arguments)
    try:
        rows = bundled() if options.data == "bundled" else annotated(Path(options.data))
        print(f"{write_rows(options.out, rows)} chains in {options.out}")
    except UserError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
