"""Reading and writing: every row comes through or is refused with file, line, id and the next
step."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallsteps.errors import DataError, RecipeError
from smallsteps.tasks import TASKS, get_task
from smallsteps.tasks.files import (
    RowCounts,
    iter_chains,
    read_chains,
    read_problems,
    read_rationales,
    read_rows,
    write_rows,
)

NUMBERS = get_task("gsm8k")
TEXT = get_task("text")
GOOD = {"id": "q1", "question": "How many?", "rationale": "3 + 4 = 7.", "answer": "7"}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(row, row, …)` makes a chain file; a text is written as it stands, bytes too."""

    def make(*rows: Mapping[str, Any] | str | bytes, name: str = "chains.jsonl") -> Path:
        path = tmp_path / name
        lines = [
            row if isinstance(row, str | bytes) else json.dumps(row, ensure_ascii=False)
            for row in rows
        ]
        path.write_bytes(
            b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines)
        )
        return path

    return make


def but(**changes: Any) -> dict[str, Any]:
    """The good row with changes; None takes a field out."""
    return {name: value for name, value in {**GOOD, **changes}.items() if value is not None}


# --- what comes out
# -------------------------------------------------------------------------------------------------


def test_a_row_becomes_a_problem_and_a_closed_rationale(write: Write) -> None:
    extra = {
        "choices": None,
        "context": [["T", ["One.", "Two."]]],
        "group": "g",
        "level": 3,
        "correct": True,
    }
    file = read_chains(write(but(**extra)), NUMBERS)
    (chain,) = file.chains
    assert (chain.problem.id, chain.problem.question, chain.problem.answer) == (
        "q1",
        "How many?",
        "7",
    )
    assert chain.problem.context == (("T", ("One.", "Two.")),)
    assert chain.problem.group == "g"
    assert chain.problem.meta == {"level": 3}
    assert chain.rationale.text == "3 + 4 = 7. The answer is 7."
    assert (chain.rationale.problem_id, chain.rationale.correct) == ("q1", True)
    assert (file.rows, file.wrong, file.wrong_ids, file.closed) == (1, 0, (), 1)


def test_keep_adds_nothing_and_needs_no_answer(write: Write) -> None:
    path = write(but(rationale=" 3 + 4 = 7\n", answer=None))
    assert read_chains(path, NUMBERS, closing="keep").chains[0].rationale.text == " 3 + 4 = 7\n"


def test_a_closing_of_its_own_stays_and_gives_the_answer_where_there_is_none(write: Write) -> None:
    chain = read_chains(write(but(rationale="So 7. The answer is 7", answer=None)), NUMBERS).chains[
        0
    ]
    assert chain.rationale.text == "So 7. The answer is 7"
    assert chain.problem.answer == "7"


def test_an_earlier_phrase_is_no_closing(write: Write) -> None:
    chain = read_chains(write(but(rationale="The answer is 5? No. 3 + 4 = 7.")), NUMBERS).chains[0]
    assert chain.rationale.text.endswith("3 + 4 = 7. The answer is 7.")


def test_wrong_rows_are_left_out_and_counted_or_kept_with_the_answer_they_reach(
    write: Write,
) -> None:
    path = write(
        GOOD,
        but(id="stated", correct=False, predicted="8"),
        but(id="closing", rationale="So 9. The answer is 9."),
        but(id="predicted", predicted="6"),
        but(id="unread", predicted=None, correct=False),
    )
    file = read_chains(path, NUMBERS)
    assert [chain.problem.id for chain in file.chains] == ["q1"]
    assert (file.rows, file.wrong) == (5, 4)
    assert file.wrong_ids == ("stated", "closing", "predicted", "unread")
    kept = read_chains(path, NUMBERS, allow_wrong=True)
    ends = {chain.problem.id: chain.rationale.text.rpartition(" is ")[2] for chain in kept.chains}
    assert ends == {"q1": "7.", "stated": "8.", "closing": "9.", "predicted": "6.", "unread": "7."}
    assert [chain.rationale.correct for chain in kept.chains] == [None, False, False, False, False]
    assert {chain.problem.answer for chain in kept.chains} == {"7"}


def test_a_null_prediction_is_wrong(write: Write) -> None:
    path = write(GOOD, json.dumps({**GOOD, "id": "q2", "predicted": None}))
    assert read_chains(path, NUMBERS).wrong_ids == ("q2",)


def test_numbers_and_truth_values_are_taken_as_text(write: Write) -> None:
    chains = read_chains(write(but(id=7, answer=7.0), but(id=8, answer=7)), NUMBERS).chains
    assert [(c.problem.id, c.problem.answer) for c in chains] == [("7", "7"), ("8", "7")]
    assert chains[0].rationale.text.endswith("The answer is 7.")
    yes = read_chains(write(but(answer=True)), get_task("strategyqa")).chains[0]
    assert yes.problem.answer == "yes"


def test_rows_without_ids_are_named_by_their_line(write: Write) -> None:
    chains = read_chains(write(but(id=None), "", but(id=None)), NUMBERS).chains
    assert [chain.problem.id for chain in chains] == ["line-000001", "line-000003"]


def test_columns_are_mapped(write: Write) -> None:
    path = write(
        {"n": 1, "Q": "How many?", "cot": "3 + 4 = 7.", "final": 7, "answer": "not this one"}
    )
    columns = {"question": "Q", "rationale": "cot", "answer": "final", "id": "n"}
    chain = read_chains(path, NUMBERS, columns).chains[0]
    assert (chain.problem.id, chain.problem.answer, chain.problem.meta) == ("1", "7", {})


def test_byte_order_mark_crlf_and_unicode_line_separators_are_accepted(write: Write) -> None:
    row = json.dumps(but(question="a\u2028b"), ensure_ascii=False)
    path = write(b"\xef\xbb\xbf" + row.encode() + b"\r", json.dumps(but(id="q2")) + "\r\n")
    assert [chain.problem.question for chain in read_chains(path, NUMBERS).chains] == [
        "a\u2028b",
        "How many?",
    ]


def test_gold_letters_become_choices(write: Write) -> None:
    row = but(answer="B", choices=["zoo", "river"], rationale="Beavers swim.")
    chain = read_chains(write(row), get_task("commonsenseqa")).chains[0]
    assert chain.problem.answer == "river"
    assert chain.rationale.text == "Beavers swim. The answer is river."


@pytest.mark.parametrize(
    ("context", "read"),
    [
        ("One.", (("", ("One.",)),)),
        (["One.", "Two."], (("", ("One.",)), ("", ("Two.",)))),
        ([["T", "One."]], (("T", ("One.",)),)),
        ([["", ["One.", "Two."]]], (("", ("One.", "Two.")),)),
    ],
)
def test_context_comes_in_several_shapes(write: Write, context: Any, read: Any) -> None:
    assert read_chains(write(but(context=context)), NUMBERS).chains[0].problem.context == read


def test_gold_segments_joined_are_the_text(write: Write) -> None:
    closing = "The answer is 7."
    pieces = [{"kind": "ES", "text": "3 and 4, "}, {"kind": "AS", "text": "so 7."}]
    row = but(rationale="3 and 4, so 7.", segments=pieces)
    whole = but(
        id="q2",
        rationale=f"3 and 4, so 7. {closing}",
        segments=[*pieces, {"kind": "ES", "text": f" {closing}"}],
    )
    last_es = but(id="q3", rationale="7 pens ", segments=[{"kind": "ES", "text": "7 pens "}])
    chains = read_chains(write(row, whole, last_es), NUMBERS).chains
    assert all("".join(text for _, text in c.rationale.gold) == c.rationale.text for c in chains)
    assert chains[0].rationale.gold == (("ES", "3 and 4, "), ("AS", "so 7. "), ("ES", closing))
    assert chains[2].rationale.gold == (("ES", f"7 pens. {closing}"),)


def test_reports_give_a_chain_a_region(write: Write) -> None:
    row = {
        "id": "r",
        "findings": "肝右叶囊肿。      前列腺增大。",
        "impression": "1、肝囊肿。  2、前列腺增生。",
    }
    file = read_chains(write(row), get_task("pet"))
    assert [c.rationale.text for c in file.chains] == ["肝囊肿。", "前列腺增生。"]
    assert file.rows == 1
    problems = read_problems(write({"id": "r", "findings": "肝右叶囊肿。"}), get_task("pet"))
    assert problems[0].answer is None


def test_problems_need_a_question_alone(write: Write) -> None:
    (problem,) = read_problems(write({"question": "How many?"}), NUMBERS)
    assert (problem.id, problem.answer) == ("line-000001", None)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("NaN", None),
        ("-Infinity", None),
        ("1e999", None),
        ("9" * 5000, "9" * 1000),
        ('"\\ud83d"', "?"),
        ('{"\\ud83d": [NaN, 1]}', {"?": [None, 1]}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ('"</s>"', "</s>"),
    ],
)
def test_no_value_of_a_column_without_meaning_breaks_a_run(
    write: Write, raw: str, kept: Any
) -> None:
    """The trap: it is read, and breaks what writes it hours later."""
    row = json.dumps(GOOD).replace("}", f', "score": {raw}}}')
    (chain,) = read_chains(write(row), NUMBERS).chains
    assert chain.problem.meta == {"score": kept}
    write_rows(write(name="out.jsonl"), [chain.problem.to_row()])


def test_a_column_without_meaning_may_be_nested_without_end(write: Write) -> None:
    row = json.dumps(GOOD).replace("}", f', "deep": {"[" * 500}{"]" * 500}}}')
    (chain,) = read_chains(write(row), NUMBERS).chains
    write_rows(write(name="out.jsonl"), [chain.problem.to_row()])


def test_a_column_given_for_a_field_may_be_empty_in_later_rows(write: Write) -> None:
    path = write({"q": "How many?", "note": "a"}, {"q": "Why?"})
    assert [p.group for p in read_problems(path, NUMBERS, {"question": "q", "group": "note"})] == [
        "a",
        None,
    ]


def test_problems_need_no_column_that_is_named_for_chains(write: Write) -> None:
    path = write({"q": "How many?", "answer": "7"})
    assert len(read_problems(path, NUMBERS, {"question": "q", "rationale": "cot"})) == 1


def test_progress_is_said_while_a_long_file_is_read(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("smallsteps.tasks.files.PROGRESS_SECONDS", 0.0)
    path = write(*({"question": f"{n}?"} for n in range(2_500)))
    said: list[str] = []
    read_problems(path, NUMBERS, say=said.append)
    assert said == [f"{path}: 1,000 rows read", f"{path}: 2,000 rows read"]


# --- what is refused
# ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], r"chains\.jsonl: the file is empty\. Expected one JSON object a line"),
        (["", "  "], r"chains\.jsonl: the file is empty"),
        (
            [GOOD, '{"id": '],
            r"chains\.jsonl:2: broken JSON \(Expecting value at column 7\).*one whole JSON object",
        ),
        (
            ["[", GOOD],
            r"chains\.jsonl:2: broken JSON: expected `,` or `\]` after object 1 of the list",
        ),
        ([f"[{json.dumps(GOOD)}, 7]"], r"chains\.jsonl:2: expected a JSON object, got a number"),
        ([f"[{json.dumps(GOOD)}] {{}}"], r"chains\.jsonl:1: text after the end of the list"),
        (['{"id": 1, "id": 2}'], r"chains\.jsonl:1: the key 'id' stands twice in the row"),
        (['{"a": ' + "[" * 100_000], r"chains\.jsonl:1: broken JSON \(nested too deeply\)"),
        (
            [GOOD, "7"],
            r"chains\.jsonl:2: expected a JSON object, got a number: '7'\. Write each row as",
        ),
        (
            [but(rationale=None)],
            r"chains\.jsonl:1 \(q1\): no field 'rationale'\. The row has: id, .*--columns "
            r"rationale=",
        ),
        ([but(question=None)], r"chains\.jsonl:1 \(q1\): no field 'question'"),
        ([but(rationale=["a"])], r"\(q1\): field 'rationale' must be text, got a list: \[\"a\"\]"),
        ([but(question=5)], r"\(q1\): field 'question' must be text, got a number: 5"),
        ([but(answer=["7"])], r"\(q1\): field 'answer' must be text or a number, got a list"),
        (
            ['{"question": "q", "rationale": "r", "answer": NaN}'],
            r":1 \(line-000001\): field 'answer' must be text or a",
        ),
        (
            ['{"question": "q", "rationale": "r", "answer": Infinity}'],
            r"'answer' .* got no finite number: inf",
        ),
        (
            ['{"question": "q", "rationale": "r", "answer": 1e999}'],
            r"'answer' .* got no finite number: inf",
        ),
        (
            ['{"question": "q", "rationale": "r", "answer": %s}' % ("9" * 5000)],
            r":1 \(line-000001\): field 'answer' must be text or a number, got a number of 5,000 "
            r"digits: 9{57}\.\.\.",
        ),
        (
            [json.dumps(GOOD).replace('"q1"', "9" * 4991)],
            r":1: field 'id' must be text or a number, got a number of 4,991 digits",
        ),
        (
            [json.dumps(GOOD).replace('"How many?"', "9" * 4991)],
            r"field 'question' must be text, got a number of 4,991 digits",
        ),
        ([json.dumps(but(context=[["T", ["\ud83d"]]]))], r"field 'context' holds half a character"),
        ([json.dumps(but(choices=["\ud83d", "b"]))], r"field 'choices' holds half a character"),
        ([json.dumps(but(group="\ud83d"))], r"field 'group' holds half a character"),
        ([json.dumps(but(id="\ud83d"))], r"field 'id' holds half a character"),
        (['{"\\ud83d": 1}'], r"no field 'question' and no 'rationale'\. The row has: \?\."),
        (
            [but(context=[["T", ["a"]]], supporting_facts=7)],
            r"\(q1\): field 'supporting_facts' must be a list .* got 7",
        ),
        (
            [but(id=True)],
            r"chains\.jsonl:1: field 'id' must be text or a number, got a truth value",
        ),
        ([but(id={})], r"chains\.jsonl:1: field 'id' must be text or a number, got an object"),
        (
            [but(rationale=" \n")],
            r"\(q1\): field 'rationale' is empty\. Fill it in, or take the row out",
        ),
        ([but(question="")], r"\(q1\): field 'question' is empty"),
        (
            [GOOD, but(id="q2"), GOOD],
            r"chains\.jsonl:3: the id 'q1' stands on line 1 already\. Ids must be unique",
        ),
        ([GOOD, but(id=None)], r"chains\.jsonl:2: no field 'id'\. .*give every row an id, or none"),
        (
            [GOOD, '{"id": "q2", "question": "caf\xe9"}'.encode("latin1")],
            r":2: not UTF-8 \(byte 30 .* 0xe9\)\. Read as WINDOWS-1252 it says 'stion\": "
            r"\"café\"}'.*iconv -f WINDOWS-1252 -t",
        ),
        (
            [but(answer=None)],
            r"\(q1\): neither an answer nor a closing such as 'The answer is …\.'.*Add an `answer`",
        ),
        ([but(answer="many")], r"\(q1\): the answer 'many' cannot be read back .*--task text"),
        (
            ['{"question": "\\ud83d", "rationale": "r", "answer": 1}'],
            r"half a character \(\\ud83d, a lone sur",
        ),
        ([but(correct="maybe")], r"field 'correct' must be true, false or null, got \"maybe\""),
        (
            [but(choices=["one"])],
            r"field 'choices' must be a list of two texts or more, got \[\"one\"\]",
        ),
        ([but(context=[["T", 5]])], r"field 'context' must be a list of paragraphs"),
        (
            [but(segments=[{"kind": "XS", "text": "3"}])],
            r"field 'segments' must be a list of \{\"kind\": \"ES\" or \"AS\"",
        ),
        (
            [but(segments=[{"kind": "ES", "text": "3 + 4 =7."}])],
            r"'segments' joined are not the rationale; they differ at character 8: '7\.' against ' "
            r"7\.'",
        ),
        (
            [but(correct=False)],
            r"chains\.jsonl: no chain left, each of its 1 rows ends in a wrong answer.* from "
            r"Python, read_chains\(\.\.\., "
            r"allow_wrong=True\) keeps such rows",
        ),
        (
            [
                but(
                    choices=["park", "bank"],
                    answer="bank",
                    rationale="So it is. The answer is bank.",
                )
            ],
            r"\(q1\): the answer 'bank' cannot be read back by task 'gsm8k'\. The rows have "
            r"`choices`.*--task commonsen",
        ),
    ],
)
def test_what_is_wrong_is_named_with_the_next_step(
    write: Write, rows: list[Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_chains(write(*rows), NUMBERS)


def test_choices_that_the_task_does_not_read_are_why_every_row_seems_wrong(write: Write) -> None:
    """The letter of the row becomes its choice; `numbers` reads the letter of the closing as a
    word."""
    file = write(but(choices=["park", "bank", "zoo"], answer="B", rationale="So the answer is B."))
    message = r"no chain left.* have `choices`.* add --task commonsenseqa\."
    with pytest.raises(DataError, match=message):
        read_chains(file, get_task("numbers"))
    assert len(read_chains(file, get_task("commonsenseqa")).chains) == 1


ODD: list[Any] = [
    None,
    True,
    0,
    10**20,
    float("nan"),
    float("inf"),
    "",
    " ",
    "</s>",
    "<think>",
    "#### 7",
    "x\n#### 7",
    "\ud83d",
    "\x00",
    "[",
    "{}",
    [],
    {},
    ["a"],
    ["A) a", "B) b"],
    {"text": ["a"], "label": []},
    {"A": 1},
    [{"label": "A", "text": "a"}],
    {"title": ["T"], "sentences": [["s."]]},
    {"title": [1], "sentences": [[2]]},
    [["T", 0]],
    [{"title": "T"}],
    [{"role": None}],
    [{"role": "user", "content": [1]}],
    {"stem": 5},
]
NAMES = (
    "id",
    "_id",
    "question",
    "rationale",
    "answer",
    "predicted",
    "correct",
    "segments",
    "choices",
    "context",
    "group",
    "messages",
    "prompt",
    "completion",
    "instruction",
    "options",
    "answerKey",
    "supporting_facts",
    "extra",
    "a\ud83d",
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None
)
@given(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(ODD), max_size=3),
    st.sampled_from(sorted(TASKS)),
)
def test_any_row_is_read_or_refused_in_one_line(
    tmp_path: Path, changes: dict[str, Any], task: str
) -> None:
    path = tmp_path / "odd.jsonl"
    path.write_text(json.dumps({**GOOD, "findings": "肝囊肿。", **changes}), encoding="utf-8")
    try:
        problems = read_problems(path, get_task(task))
        read_chains(path, get_task(task), allow_wrong=True)
    except DataError as error:
        assert str(error).isprintable(), error
        assert len(str(error)) < 600
    else:
        write_rows(tmp_path / "out.jsonl", [problem.to_row() for problem in problems])


def test_a_missing_file_offers_the_nearest_name(write: Write, tmp_path: Path) -> None:
    path = write(GOOD)
    with pytest.raises(
        DataError, match=r"chain\.jsonl: no such file\. Did you mean .*chains\.jsonl\?"
    ):
        read_chains(tmp_path / "chain.jsonl", NUMBERS)
    with pytest.raises(
        DataError, match=r"a folder, not a file\. Name one of its files: chains\.jsonl\."
    ):
        read_chains(path.parent, NUMBERS)
    with pytest.raises(DataError, match=r"no such file, and no folder .*nowhere\."):
        read_chains(tmp_path / "nowhere" / "x.jsonl", NUMBERS)


def test_a_column_that_is_not_there_is_named(write: Write) -> None:
    path = write({"Question": "How many?", "cot": "7.", "answer": 7})
    with pytest.raises(
        DataError, match=r"chains\.jsonl:1: no column 'question_'.*Did you mean 'Question'\?"
    ):
        read_chains(path, NUMBERS, {"question": "question_"})
    with pytest.raises(
        RecipeError,
        match=r"--columns rational=cot: no field 'rational'\. Did you mean 'rationale'\?",
    ):
        read_chains(path, NUMBERS, {"rational": "cot"})
    with pytest.raises(
        RecipeError, match=r"--columns: 'question' and 'rationale' are both to be column 'cot'"
    ):
        read_chains(path, NUMBERS, {"question": "cot", "rationale": "cot"})


# --- writing
# --------------------------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.dictionaries(st.text(), JSON), min_size=1, max_size=5))
def test_rows_in_are_rows_out(tmp_path: Path, rows: list[dict[str, Any]]) -> None:
    assert write_rows(tmp_path / "rows.jsonl", rows) == len(rows)
    assert [row for _, row in read_rows(tmp_path / "rows.jsonl")] == rows


WORDS = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=30).filter(
    lambda t: t.strip()
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.lists(st.tuples(WORDS, WORDS, st.integers(-(10**9), 10**9)), min_size=1, max_size=5))
def test_chains_end_in_an_answer_that_reads_back(
    tmp_path: Path, rows: list[tuple[str, str, int]]
) -> None:
    write_rows(
        tmp_path / "c.jsonl", [{"question": q, "rationale": r, "answer": a} for q, r, a in rows]
    )
    file = read_chains(tmp_path / "c.jsonl", NUMBERS, allow_wrong=True)
    assert len(file.chains) == len(rows)
    for chain, (question, rationale, answer) in zip(file.chains, rows, strict=True):
        assert chain.problem.question == question
        assert chain.rationale.text.startswith(rationale.strip())
        assert NUMBERS.extract(chain.rationale.text, False, chain.problem) == str(answer)


def test_what_is_written_is_utf8_lf_and_unescaped(tmp_path: Path) -> None:
    write_rows(tmp_path / "new" / "rows.jsonl", [{"text": "é 肝 \u2028"}])
    assert (tmp_path / "new" / "rows.jsonl").read_bytes() == '{"text": "é 肝 \u2028"}\n'.encode()


def test_an_error_while_writing_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_rows(path, [{"n": 1}])

    def failing() -> Iterator[dict[str, int]]:
        yield {"n": 2}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_rows(path, failing())
    with pytest.raises(ValueError, match="Out of range float"):
        write_rows(path, [{"n": float("nan")}])
    assert path.read_text() == '{"n": 1}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_rationales_are_read_as_they_stand_where_rows_have_one(write: Write) -> None:
    path = write(
        {"id": "a", "question": "q", "rationale": "It is so.", "predicted": "x", "answer": "y"},
        {"id": "b", "question": "q", "rationale": "It is so.", "predicted": "Y", "answer": "y"},
        {"id": "c", "question": "q", "answer": "y"},
        {"id": "d", "question": "q", "rationale": "So it is.", "answer": "y"},
    )
    rationales = read_rationales(path, "text")
    assert {name: item.correct for name, item in rationales.items()} == {
        "a": False,
        "b": True,
        "d": None,
    }
    assert rationales["d"].text == "So it is." and rationales["d"].problem_id == "d"


def test_a_file_without_the_column_of_rationales_has_none(write: Write) -> None:
    columns = {"question": "q", "rationale": "cot"}
    bare = write({"q": "Who?", "answer": "y"})
    assert read_rationales(bare, "text", columns) == {}
    full = write({"q": "Who?", "answer": "y", "cot": "So it is."})
    assert [item.text for item in read_rationales(full, "text", columns).values()] == ["So it is."]


def test_chains_come_one_by_one_and_are_those_of_the_whole_file(write: Write) -> None:
    wrong = {**GOOD, "id": "q2", "predicted": "8"}
    broken = {**GOOD, "id": "q3", "rationale": ""}
    path = write(GOOD, wrong, {**GOOD, "id": "q4"}, broken)
    counts = RowCounts()
    chains = iter_chains(path, "numbers", counts=counts)
    assert [next(chains).problem.id, next(chains).problem.id] == ["q1", "q4"]
    assert (counts.rows, counts.wrong_ids, counts.closed) == (3, ["q2"], 2)
    with pytest.raises(DataError, match=r"\.jsonl:4 \(q3\): field 'rationale' is empty"):
        next(chains)


def test_a_made_name_and_the_id_of_a_later_row_are_told_apart(write: Write) -> None:
    rows = [{**GOOD, "id": None}, {**GOOD, "id": "line-000001"}]
    with pytest.raises(DataError, match="'line-000001' stands on line 1 already"):
        read_chains(write(*rows), "numbers")
