"""The teacher's replies in the run folder: a teacher of no use, a spent budget, a stored reply."""

from __future__ import annotations

from contextlib import closing

import pytest

from smallsteps.errors import DataError
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.run import run
from smallsteps.experiment.stored_data import read_json_lines
from smallsteps.generation.access import Access
from smallsteps.generation.replies import ReplyStore
from smallsteps.generation.solve import solve
from smallsteps.methods.tailored import exam_stages
from smallsteps.records import Problem
from smallsteps.students.loading import load_student
from smallsteps.tasks import get_task
from tiny_tailored import (
    KEY,
    sums_recipe,
    tailored_content,
    write_json_lines,
)


def test_a_teacher_of_whom_nothing_can_be_kept_ends_the_run_before_the_first_exam(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(exam_stages, "sit", lambda *_, **__: pytest.fail("an exam for nothing"))
    rows = [{"id": f"q{n}", "question": f"{n} + 1?", "answer": str(n + 1)} for n in range(20)]
    replies = [{"id": row["id"], "rationale": "The answer is 99."} for row in rows]
    questions = write_json_lines(tmp_path / "q.jsonl", rows)
    teacher = {"name": write_json_lines(tmp_path / "replies.jsonl", replies)}
    recipe = make_recipe(
        tailored_content(
            data={"chains": questions, "task": "numbers"},
            tailored={"rationales": 1, "teacher": teacher},
        )
    )
    with pytest.raises(
        DataError, match=r"not one of \d+ rationales .* was kept \(wrong answer: \d+"
    ):
        run(recipe, tmp_path / "run")


def test_a_second_file_for_other_questions_ends_the_run_before_the_first_exam(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(exam_stages, "sit", lambda *_, **__: pytest.fail("an exam for nothing"))
    rows = [{"id": f"q{n}", "question": f"{n} + 1?", "answer": str(n + 1)} for n in range(20)]
    first = [{**row, "rationale": f"The answer is {row['answer']}."} for row in rows]
    second = [{**row, "id": f"other-{row['id']}"} for row in first]
    teacher = {
        "name": write_json_lines(tmp_path / "first.jsonl", first),
        "corrections": write_json_lines(tmp_path / "second.jsonl", second),
    }
    recipe = make_recipe(
        tailored_content(
            data={"chains": write_json_lines(tmp_path / "q.jsonl", rows), "task": "numbers"},
            tailored={"rationales": 1, "teacher": teacher},
        )
    )
    with pytest.raises(
        DataError, match=r"corrections: .*second\.jsonl has no row for any of the 16 .*'q\d+'"
    ):
        run(recipe, tmp_path / "run")


def test_over_an_endpoint_a_budget_that_is_spent_ends_the_rounds_and_nothing_shows_the_key(
    tmp_path, server, listener
):
    """Against a server on loopback: T_0 is bought once for all arms, the key stands in no file of
    the run."""
    arms = ["tailored-full", "tailored-t0-only"]
    store = str(tmp_path / "store")
    recipe = sums_recipe(tmp_path, server, arms, base_url=server.url, store=store, calls=20)
    results = run(recipe, tmp_path / "run", listener, access=Access(key=KEY))
    assert server.calls == 20, "the limit holds for all arms together"
    ends = "ends after round 2: the teacher's budget is spent"
    assert any(ends in line for line in listener.lines)
    assert any("16 calls" in line for line in listener.lines), (
        "the forecast comes before the first call"
    )
    assert [row.round for row in results.methods["tailored"].rounds] == [0, 1, 2, 0, 1, 2]
    for path in [*(tmp_path / "run").rglob("*"), *tmp_path.glob("store*")]:
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    assert KEY not in "".join(listener.lines)


def test_an_exported_store_gives_the_same_run_without_a_key_and_without_a_call(
    tmp_path, server, monkeypatch
):
    store = "smallsteps.generation.settings.STORE"
    monkeypatch.setattr(store, tmp_path / "first.sqlite")
    recipe = sums_recipe(tmp_path, server, ["tailored-full", "tailored-t0-only"], rounds=2)
    run(recipe, tmp_path / "bought", access=Access(server.url, KEY))
    calls = server.calls
    with (
        closing(ReplyStore(tmp_path / "first.sqlite")) as first,
        closing(ReplyStore(tmp_path / "second.sqlite")) as second,
    ):
        first.export(tmp_path / "replies.jsonl")
        second.take_over(tmp_path / "replies.jsonl")
    monkeypatch.setattr(store, tmp_path / "second.sqlite")
    monkeypatch.setattr("smallsteps.generation.access.on_this_machine", lambda url: False)
    run(recipe, tmp_path / "replayed", access=Access(server.url, None))
    assert server.calls == calls
    lasting_files = {
        "replies.jsonl",
        "fates.jsonl",
        "grades.jsonl",
        "papers.jsonl",
        "model.safetensors",
    }
    paths = [path for path in (tmp_path / "bought").rglob("*") if path.name in lasting_files]
    assert {path.name for path in paths} == lasting_files and len(paths) > 10
    for path in paths:
        replayed = tmp_path / "replayed" / path.relative_to(tmp_path / "bought")
        assert path.read_bytes() == replayed.read_bytes(), path


def test_two_files_of_chains_teach_beside_direct_and_self_training_in_one_run(tmp_path, listener):
    """T_0 comes from the first file; the second one answers mistakes, and gives `tailored-t0-only`
    its further rationales. The chains of `direct` are those of T_0."""
    questions = [
        {"id": f"q{n}", "question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(20)
    ]
    first = [{**row, "rationale": "We add.", "predicted": row["answer"]} for row in questions]
    second = [
        {**row, "rationale": f"One more is {row['answer']}.", "predicted": row["answer"]}
        for row in questions[:15]
    ]
    chains = write_json_lines(tmp_path / "first.jsonl", first)
    teacher = {
        "name": chains,
        "corrections": write_json_lines(tmp_path / "second.jsonl", second),
        "retries": 0,
    }
    arms = ["direct", "self-training", "tailored-full", "tailored-t0-only"]
    further_rows = write_json_lines(
        tmp_path / "further.jsonl", [{"id": "z", "question": "What is 90 + 1?", "answer": "91"}]
    )
    recipe = make_recipe(
        tailored_content(
            arms=arms,
            data={"chains": chains, "task": "numbers", "also_test": {"numbers": further_rows}},
            tailored={"rationales": 1, "teacher": teacher},
            baselines={"rounds": 1, "samples": 2},
        )
    )
    results = run(recipe, tmp_path / "run", listener)
    assert any("mistakes in " in line and "are answered by" in line for line in listener.lines)
    assert [arm.name for arm in results.arms] == arms
    assert {(pair.arm, pair.against) for pair in results.comparisons} >= {
        ("self-training", "direct"),
        ("tailored-full", "direct"),
        ("tailored-t0-only", "direct"),
        ("tailored-t0-only", "tailored-full"),
    }

    def kept(place):
        rows = read_json_lines(tmp_path / "run" / place / "replies.jsonl")
        return [row for row in rows if row.get("dropped") is None]

    train = read_json_lines(tmp_path / "run/data/train.jsonl")
    assert len(kept("start/lessons")) == len(train)
    assert {row["text"] for row in kept("start/lessons")} == {
        f"We add. The answer is {chain['problem']['answer']}." for chain in train
    }
    places = sorted(path.name for path in (tmp_path / "run/start/seed0").iterdir())
    assert places == ["round-0", "round-1-plain"], "one rationale has no positive to compare with"
    assert [(row.name, row.n) for row in results.further_tests] == [(arm, 1) for arm in arms]
    full = next(arm for arm in results.arms if arm.name == "tailored-full")
    (answer,) = read_json_lines(
        tmp_path / "run/arms/tailored-full-seed0/answers-numbers/parts.jsonl"
    )
    student = load_student(tmp_path / "run" / full.student, device="cpu")
    problem = Problem("z", "What is 90 + 1?", "91")
    (expected,) = solve(student, [problem], get_task("numbers"))
    assert answer["text"] == expected.text, "the student that the arm hands out answers"
    further = kept("arms/tailored-t0-only-seed0/lessons-1")
    corrections = kept("arms/tailored-full-seed0/lessons-1")
    assert corrections and all(row["mistake"] for row in corrections)
    assert further and not any(row.get("mistake") for row in further)
    assert all(row["text"].startswith("One more is") for row in [*further, *corrections])
