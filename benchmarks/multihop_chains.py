"""Chains for a student that reads paragraphs: multi-hop questions, their paragraphs, and the
sentences that answer them.

    python benchmarks/multihop_chains.py DATA OUT.jsonl

DATA has the folders hotpotqa, 2wikimultihopqa, hotpotqa_cot and ircot_annotations. The rationale is
the data set's supporting sentences (HotpotQA, 2WikiMultihopQA) or a model's reasoning over the
paragraphs (hotpotqa_cot). The question is followed by the paragraphs that the rationale uses and
one other, in the order of the file. Questions of ircot_annotations are left out, so that
`segment --agreement` labels chains that the student has not seen. So are answers that the task
`text` cannot read back ("Vol. 2").
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from smallsteps.errors import DataError
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.files import write_rows

SUPPORTED = ("hotpotqa/train", "hotpotqa/dev", "hotpotqa/dev_fullwiki", "2wikimultihopqa/dev")
WRITTEN = ("hotpotqa_cot/gold_context", "hotpotqa_cot/react_gpt4")


def rows(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def supported(row: dict[str, Any]) -> dict[str, str]:
    """Question with the supporting paragraphs and the first other one; the supporting sentences as
    rationale."""
    paragraphs = dict(row["context"])
    supporting = {title for title, _ in row["supporting_facts"]}
    other = next((title for title in paragraphs if title not in supporting), None)
    read = [
        " ".join(map(str.strip, paragraphs[t])) for t in paragraphs if t in supporting or t == other
    ]
    facts = [paragraphs[title][place].strip() for title, place in row["supporting_facts"]]
    return {"question": " ".join([row["question"], *read]), "rationale": " ".join(facts)}


def written(row: dict[str, Any]) -> dict[str, str]:
    """Question with all paragraphs, and a model's rationale."""
    read = [" ".join(map(str.strip, sentences)) for _, sentences in row["context"]]
    return {
        "question": " ".join([row["question"].strip(), *read]),
        "rationale": row["rationale"].strip(),
    }


def readable(answer: str) -> bool:
    """Whether the task `text` reads the answer back."""
    try:
        get_task("text").gold(Problem(id="", question="", answer=answer))
    except DataError:
        return False
    return True


def multihop_chains(data: Path) -> list[dict[str, Any]]:
    """Rows of chains, one for each question."""
    labelled = sorted((data / "ircot_annotations").glob("*.jsonl"))
    seen = {row["question"].strip() for file in labelled for row in rows(file)}
    chains = []
    for names, make in ((SUPPORTED, supported), (WRITTEN, written)):
        for name in names:
            for number, row in enumerate(rows(data / f"{name}.jsonl")):
                chain = make(row)
                question, answer = row["question"].strip(), str(row["answer"])
                if question in seen or not chain["rationale"] or not readable(answer):
                    continue
                seen.add(question)
                chains.append({"id": f"{name}/{number}", **chain, "answer": answer})
    return chains


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Chains of multi-hop questions with their paragraphs."
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    chains = multihop_chains(options.data)
    write_rows(options.out, chains)
    print(f"{len(chains)} chains in {options.out}")


if __name__ == "__main__":
    main()
