"""The task in the language of its data: named, or guessed and said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smallsteps.cli.main import main
from smallsteps.errors import RecipeError
from smallsteps.experiment.data_parts import data_task
from smallsteps.experiment.recipe import make_recipe
from smallsteps.tasks.spoken import task_for

CHINESE = [
    {
        "id": "1",
        "question": "小明有3个苹果，又买了5个苹果。他一共有多少个苹果？",
        "rationale": "小明有3个苹果，又买了5个苹果，所以一共有3 + 5 = 8个苹果。",
        "answer": "8",
    },
    {
        "id": "2",
        "question": "一个盒子有6个鸡蛋，3个盒子有多少个鸡蛋？",
        "rationale": "一个盒子有6个鸡蛋，有3个盒子，共有18个鸡蛋。答案是18。",
        "answer": "18",
    },
]


@pytest.fixture
def chinese(tmp_path: Path) -> str:
    path = tmp_path / "zh.jsonl"
    path.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in CHINESE), encoding="utf-8"
    )
    return str(path)


def test_the_guess_is_said_and_a_named_language_is_not_guessed(chinese):
    said: list[str] = []
    assert task_for("numbers", [chinese], say=said.append).name == "numbers-zh"
    assert said == [
        "language: Chinese (zh), guessed; the task becomes numbers-zh. If that is wrong, "
        "name the task numbers-en."
    ]
    assert task_for("numbers-en", [chinese], say=said.append).name == "numbers"
    assert task_for("numbers", [chinese], language="de", say=said.append).name == "numbers-de"
    assert task_for("pet", [], say=said.append).name == "pet"
    assert len(said) == 1
    with pytest.raises(RecipeError, match="no language 'chinese'"):
        task_for("numbers", [chinese], language="chinese")


def test_a_recipe_names_the_language_or_has_it_guessed(chinese):
    def task(**data):
        return data_task(
            make_recipe({"title": "t", "data": {"chains": chinese, **data}}, "test").data
        ).name

    assert task() == "numbers-zh"
    assert task(language="ja") == "numbers-ja"
    assert task(task="gsm8k-en") == "gsm8k"
    with pytest.raises(
        RecipeError, match=r"data\.language: the bundled chains are English, not 'zh'"
    ):
        task(chains="bundled", language="zh")


@pytest.mark.parametrize("strategy", ["bleu", "rouge"])
def test_chinese_chains_get_scores_and_segments_of_both_kinds(chinese, strategy, tmp_path, capfd):
    """With English words every score was 0.0 and every chain one ES segment."""
    out = tmp_path / "segments.jsonl"
    assert main(["segment", chinese, "--strategy", strategy, "--out", str(out)]) == 0
    captured = capfd.readouterr()
    assert "language: Chinese (zh), guessed" in captured.err
    for line in out.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        assert {segment["kind"] for segment in row["segments"]} == {"ES", "AS"}
        assert max(segment["score"] for segment in row["segments"]) > 0
        assert row["chain"].endswith(f"答案是{row['answer']}。")


def test_grade_reads_the_language_of_the_gold_file(chinese, tmp_path, capfd):
    said = tmp_path / "said.jsonl"
    rows = [{"id": "1", "text": "3 + 5 = 8。答案是8个。"}, {"id": "2", "text": "答案是3万。"}]
    said.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8"
    )
    assert main(["grade", str(said), chinese, "--json"]) == 0
    captured = capfd.readouterr()
    assert (
        json.loads(captured.out)["value"] == 50.0
        and json.loads(captured.out)["task"] == "numbers-zh"
    )
    assert "guessed" in captured.err
