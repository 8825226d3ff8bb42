"""The column that probably holds a missing field: the exact option to type, or COLUMN."""

from __future__ import annotations

import pytest

from smallsteps.errors import DataError
from smallsteps.tasks import get_task
from smallsteps.tasks.column_guesses import columns_option
from smallsteps.tasks.fields import FIELDS
from smallsteps.tasks.files import at, read_chains, read_problems, write_rows

CHAIN = "1 + 1 = 2. The answer is 2."


@pytest.mark.parametrize(
    ("row", "fields", "option"),
    [
        ({"question": "1 + 1?", "worked out": CHAIN}, ["rationale"], "'rationale=worked out'"),
        ({"question": "1 + 1?", "x": CHAIN, "y": "short"}, ["rationale"], "rationale=x"),
        # a chain under the name of the answer; an answer under it stays one
        ({"question": "1 + 1?", "answer": CHAIN}, ["rationale"], "rationale=answer"),
        ({"question": "1 + 1?", "answer": "2"}, ["rationale"], "rationale=COLUMN"),
        ({"exercise": "1 + 1?", "why": CHAIN}, ["question"], "question=exercise"),
        ({"a": "What is 1 + 1?", "b": CHAIN}, ["question"], "question=a"),
        ({"question": "1 + 1?", "note": "n", "result": 2}, ["answer"], "answer=result"),
        ({"question": "1 + 1?", "note": "n"}, ["answer"], "answer=COLUMN"),
        ({"question": "1 + 1?", "passage": [["T", ["S."]]]}, ["context"], "context=passage"),
    ],
)
def test_a_column_is_guessed_by_its_name_or_by_what_stands_in_it(row, fields, option) -> None:
    assert columns_option(row, fields, FIELDS) == f"--columns {option}"


def test_two_fields_get_two_columns() -> None:
    row = {"prompt_text": "What is 1 + 1?", "text": CHAIN}
    assert columns_option(row, ["question", "rationale"], FIELDS) == (
        "--columns question=prompt_text --columns rationale=text"
    )


def test_what_a_message_says_to_type_reads_the_file(tmp_path) -> None:
    """The trap: COLUMN, which nobody can type."""
    file = tmp_path / "rows.jsonl"
    write_rows(file, [{"exercise": "What is 1 + 1?", "worked": CHAIN, "result": "2"}])
    task = get_task("numbers")
    message = (
        r"no field 'question' and no 'rationale'\. The row has: exercise, worked, result\. "
        r"Add them, or name their columns: --columns question=exercise --columns rationale=worked\."
    )
    with pytest.raises(DataError, match=message):
        read_chains(file, task)
    columns = {"question": "exercise", "rationale": "worked"}
    assert read_chains(file, task, columns).chains[0].rationale.text == CHAIN
    (problem,) = read_problems(file, task, {"question": "exercise"})
    with pytest.raises(DataError, match=r"Add an `answer` .*: --columns answer=result\."):
        task.gold(problem)


def test_an_id_stands_once_in_a_message(tmp_path) -> None:
    with pytest.raises(DataError, match=r"^f\.jsonl:3 \(q7\): no context\.$"), at("f.jsonl:3 (q7)"):
        raise DataError("q7: no context.")
    with pytest.raises(DataError, match=r"^f\.jsonl:3: bad$"), at("f.jsonl:3"):
        raise DataError("bad")
