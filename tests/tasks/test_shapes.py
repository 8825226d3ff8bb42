"""Rows as the hub has them come out as rows of ours: question, rationale and answer told apart,
guesses counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smallsteps.errors import DataError
from smallsteps.tasks import get_task
from smallsteps.tasks.files import ChainFile, read_chains, read_problems, write_rows

Row = dict[str, Any]
ASKED, REPLY = "Ann has 3 pens and buys 4. How many?", "Ann has 3 + 4 = 7 pens. The answer is 7."


def chains(
    tmp_path: Path, *rows: Row, task: str = "gsm8k", columns: Row | None = None
) -> tuple[ChainFile, str]:
    path = tmp_path / "rows.jsonl"
    write_rows(path, rows)
    said: list[str] = []
    found = read_chains(path, get_task(task), columns, say=said.append)
    return found, "".join(said).removeprefix(f"{path}: ")


def turns(
    *texts: str, role: str = "role", content: str = "content", names: str = "user assistant"
) -> list[Row]:
    roles = names.split() * len(texts)
    return [{role: name, content: text} for name, text in zip(roles, texts, strict=False)]


@pytest.mark.parametrize(
    ("row", "shape"),
    [
        ({"messages": turns(ASKED, REPLY)}, "chats (`messages`)"),
        (
            {"messages": [{"role": "system", "content": "Be brief."}, *turns(ASKED, REPLY)]},
            "chats (`messages`)",
        ),
        ({"messages": json.dumps(turns(ASKED, REPLY))}, "chats (`messages`)"),
        ({"messages": turns([{"type": "text", "text": ASKED}], REPLY)}, "chats (`messages`)"),  # type: ignore[arg-type]
        (
            {"conversations": turns(ASKED, REPLY, role="from", content="value", names="human gpt")},
            "ShareGPT chats (`conversations`)",
        ),
        (
            {"prompt": turns(ASKED), "completion": turns(REPLY, names="assistant")},
            "chats (`prompt`)",
        ),
        (
            {"instruction": ASKED, "input": "", "output": REPLY},
            "Alpaca rows (`instruction`, `output`)",
        ),
        ({"prompt": ASKED, "completion": REPLY}, "`prompt` and `completion`"),
        ({"query": ASKED, "response": REPLY}, "`query` and `response`"),
        ({"problem": ASKED, "solution": REPLY}, "`problem` and `solution`"),
        ({"question": ASKED, "solution": REPLY, "answer": 7}, "`question` and `solution`"),
    ],
)
def test_a_question_and_a_reply_are_found_under_their_usual_names(
    tmp_path: Path, row: Row, shape: str
) -> None:
    found, said = chains(tmp_path, row)
    (chain,) = found.chains
    assert (chain.problem.question, chain.rationale.text, chain.problem.answer) == (
        ASKED,
        REPLY,
        "7",
    )
    assert said == f"read as {shape} (1 row)"


def test_alpacas_input_belongs_to_the_question(tmp_path: Path) -> None:
    found, _ = chains(
        tmp_path, {"instruction": "How many?", "input": "Ann has 3 pens.", "output": REPLY}
    )
    assert found.chains[0].problem.question == "How many?\nAnn has 3 pens."


@pytest.mark.parametrize(
    ("reply", "text", "answer"),
    [
        ("So 3 + 4 = 7.\n#### 7", "So 3 + 4 = 7. The answer is 7.", "7"),
        ("So 3 + 4 = 7 pens.", "So 3 + 4 = 7 pens. The answer is 7.", "7"),
        ("<think>Perhaps 9?</think>So 3 + 4 = 7.<|im_end|>", "So 3 + 4 = 7. The answer is 7.", "7"),
    ],
)
def test_the_answer_of_a_reply_is_what_the_task_reads_off_it(
    tmp_path: Path, reply: str, text: str, answer: str
) -> None:
    found, _ = chains(tmp_path, {"messages": turns(ASKED, reply)})
    assert (found.chains[0].rationale.text, found.chains[0].problem.answer) == (text, answer)


def test_a_thought_beside_the_reply_is_taken_out_and_counted(tmp_path: Path) -> None:
    asked, replied = turns(ASKED, REPLY)
    found, said = chains(
        tmp_path, {"messages": [asked, {**replied, "reasoning_content": "Perhaps 9?"}]}
    )
    assert found.chains[0].rationale.text == REPLY
    assert said.endswith("; thoughts taken out of 1 row")


@pytest.mark.parametrize(
    "row",
    [
        {"problem": ASKED, "answer": 7},
        {"instruction": "Ann has 3 pens and buys 4.", "input": "How many?", "answer": 7},
        {"messages": turns(ASKED), "answer": 7},
        {"prompt": turns(ASKED), "answer": 7},
    ],
)
def test_a_problem_needs_no_reply(tmp_path: Path, row: Row) -> None:
    write_rows(tmp_path / "p.jsonl", [row])
    (problem,) = read_problems(tmp_path / "p.jsonl", get_task("gsm8k"))
    assert (" ".join(problem.question.split()), problem.answer) == (ASKED, "7")


def test_a_reply_that_reaches_another_answer_than_the_rows_is_wrong(tmp_path: Path) -> None:
    found, _ = chains(
        tmp_path,
        {"messages": turns(ASKED, REPLY), "answer": "7"},
        {"messages": turns("And 5?", "So 3 + 5 = 9."), "answer": "8"},
        {"messages": turns("And 6?", "So 3 + 6 = 8.\n#### 8"), "answer": "9"},
    )
    assert (len(found.chains), found.wrong) == (1, 2)


def test_a_last_sentence_is_no_answer(tmp_path: Path) -> None:
    """The trap: read leniently, a task of words takes any last sentence for the answer."""
    with pytest.raises(DataError, match="neither an answer nor a closing"):
        chains(
            tmp_path, {"messages": turns("Where?", "Ann moved to Rome in the spring.")}, task="text"
        )


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        (
            turns("a", "b", "c", "d"),
            r"has the turns user, assistant, user, assistant\. .*write a longer chat as several",
        ),
        (
            turns("a", names="assistant"),
            r"has the turns assistant\. A chain is one question of the user",
        ),
        (
            [{"role": "tool", "content": "a"}],
            r"field 'messages', turn 1: the role is 'tool'\. Known: system,",
        ),
        ([{"role": "user", "content": None}], r"turn 1: no text\. Expected `content`"),
        (
            [{"role": "user", "content": [{"type": "image"}]}],
            r"turn 1: a part that is no text \(image\)",
        ),
        (["hello"], r"turn 1: expected \{\"role\": …, \"content\": …\}, got 'hello'"),
    ],
)
def test_a_chat_that_is_no_question_and_reply_is_refused(
    tmp_path: Path, messages: Any, message: str
) -> None:
    with pytest.raises(DataError, match=rf"rows\.jsonl:1: .*{message}"):
        chains(tmp_path, {"messages": messages})


def test_gsm8ks_own_rows_are_rationale_and_answer(tmp_path: Path) -> None:
    solution = "She sold 48/2 = <<48/2=24>>24 clips in May.\nShe sold 48+24 = <<48+24=72>>72 in all.\n#### 72"
    text = "She sold 48/2 = 24 clips in May.\nShe sold 48+24 = 72 in all."
    for row, columns in (
        ({"question": "How many?", "answer": solution}, None),
        ({"question": "How many?", "answer": solution}, {"rationale": "answer"}),
        ({"question": "How many?", "rationale": solution}, None),
        ({"question": "How many?", "rationale": solution, "answer": "72"}, None),
    ):
        found, said = chains(tmp_path, row, columns=columns)
        (chain,) = found.chains
        assert (chain.rationale.text, chain.problem.answer) == (f"{text} The answer is 72.", "72")
        assert (
            said
            == "read as GSM8K rows (`#### answer`) (1 row); calculator annotations taken out of 1 row"
        )
    write_rows(tmp_path / "p.jsonl", [{"question": "How many?", "answer": "So.\n#### 1,072"}])
    assert read_problems(tmp_path / "p.jsonl", get_task("gsm8k"))[0].answer == "1,072"


def test_a_heading_is_no_answer(tmp_path: Path) -> None:
    text = "#### Step 1\nSo 3 + 4 = 7."
    found, _ = chains(tmp_path, {"question": "How many?", "rationale": text, "answer": 7})
    assert found.chains[0].rationale.text == f"{text} The answer is 7."


def test_control_tokens_are_taken_out_and_counted(tmp_path: Path) -> None:
    row = {"question": f"<s>{ASKED}", "rationale": "So 3 + 4 = 7.</s>", "answer": "7.<|im_end|>"}
    plain = {"question": "Is 3 < 4?", "rationale": "Yes, [3] < 4, so 1.", "answer": "1"}
    found, said = chains(tmp_path, row, plain)
    first, second = found.chains
    assert (first.problem.question, first.problem.answer) == (ASKED, "7.")
    assert first.rationale.text == "So 3 + 4 = 7. The answer is 7."
    assert second.rationale.text == "Yes, [3] < 4, so 1. The answer is 1."
    assert said == "control tokens taken out of 1 row"


def test_a_rationale_that_is_a_thought_alone_is_refused(tmp_path: Path) -> None:
    row = {"question": ASKED, "rationale": "<think>3 + 4 = 7", "answer": "7"}
    with pytest.raises(
        DataError, match=r"rows\.jsonl:1: field 'rationale' holds a thought and no reply after it"
    ):
        chains(tmp_path, row)


def test_a_row_in_our_shape_stays_as_it_is(tmp_path: Path) -> None:
    row = {
        "question": "How many?",
        "rationale": "7.",
        "answer": "7",
        "prompt": "x",
        "completion": "y",
        "messages": 5,
    }
    found, said = chains(tmp_path, row)
    assert found.chains[0].problem.meta == {"prompt": "x", "completion": "y", "messages": 5}
    assert said == ""
