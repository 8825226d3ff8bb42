"""Chains for a student that is to read paragraphs: multi-hop questions with their paragraphs and
the sentences that answer them.

    python benchmarks/multihop_chains.py DATA OUT.jsonl

DATA holds the folders hotpotqa, 2wikimultihopqa, hotpotqa_cot and ircot_annotations. The rationale
is what the data set names as supporting sentences (HotpotQA, 2WikiMultihopQA), or a model's own
reasoning over the paragraphs (hotpotqa_cot). The question is the question, the paragraphs that the
rationale draws on, and one other, in the order of the file. Questions that stand in
ircot_annotations are left out, so that a student trained on these chains has not seen those it
labels for `benchmarks/agreement.py`; so are answers that the task `text` cannot read back ("Vol.
2")."""

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
    """The supporting sentences as the rationale; their paragraphs and the first other one as what
    is read."""
    paragraphs = dict(row["context"])
    drawn_on = {title for title, _ in row["supporting_facts"]}
    other = next((title for title in paragraphs if title not in drawn_on), None)
    read = [
        " ".join(map(str.strip, paragraphs[t])) for t in paragraphs if t in drawn_on or t == other
    ]
    facts = [paragraphs[title][place].strip() for title, place in row["supporting_facts"]]
    return {"question": " ".join([row["question"], *read]), "rationale": " ".join(facts)}


def written(row: dict[str, Any]) -> dict[str, str]:
    read = [" ".join(map(str.strip, sentences)) for _, sentences in row["context"]]
    return {
        "question": " ".join([row["question"].strip(), *read]),
        "rationale": row["rationale"].strip(),
    }


def readable(answer: str) -> bool:
    try:
        get_task("text").gold(Problem(id="", question="", answer=answer))
    except DataError:
        return False
    return True


def multihop_chains(data: Path) -> list[dict[str, Any]]:
    """Chains as own data, one for each question."""
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
