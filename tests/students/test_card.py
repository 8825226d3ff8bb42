"""A model card has metadata that the Hub reads, whatever the titles and names in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from huggingface_hub import EvalResult, ModelCard
from hypothesis import given
from hypothesis import strategies as st

from smallsteps.disk import CARD, damage, seal
from smallsteps.students.card import (
    SMOLLM2_HUB,
    CardContent,
    Origin,
    card_metadata,
    card_text,
    fenced,
    origin_of,
    plain,
    table,
    write_card,
)
from smallsteps.students.drive import Drive
from smallsteps.students.dual import DualStudent
from smallsteps.students.loading import load, load_student
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare

Tiny = Callable[..., Student]
NASTY = 'a: "b"\n---\nlicense: mit <script>`x`</script> | # [x](y)'


def test_a_saved_student_carries_a_card_that_the_hub_library_reads(
    tiny: Tiny, tmp_path: Path
) -> None:
    student = prepare(tiny("qwen"), "svamp", path="direct")
    student.save(tmp_path / "m")
    data = ModelCard.load(tmp_path / "m" / CARD).data
    assert data.library_name == "transformers" and data.pipeline_tag == "text-generation"
    assert data.language == "en" and "chain-of-thought" in data.tags
    assert data.license is None and data.base_model is None and data.eval_results is None
    text = (tmp_path / "m" / CARD).read_text(encoding="utf-8")
    assert "Its license is not known here" in text
    assert "apply_chat_template" in text and "smallsteps solve" in text


def test_the_base_model_is_passed_on_from_card_to_card(tiny: Tiny, tmp_path: Path) -> None:
    student = prepare(tiny("qwen"), "svamp", path="direct")
    student.name = "smollm2"
    student.save(tmp_path / "first")
    assert card_metadata(tmp_path / "first")["license"] == "apache-2.0"
    again = load_student(tmp_path / "first", device="cpu")
    again.save(tmp_path / "second")
    assert card_metadata(tmp_path / "second")["base_model"] == SMOLLM2_HUB


def test_a_path_never_becomes_a_base_model(tmp_path: Path) -> None:
    assert origin_of("owner/model") == Origin("owner/model", None, "Base model: owner/model.")
    assert origin_of("bundled").license == "apache-2.0"
    assert origin_of(str(tmp_path)).base_model is None
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / CARD).write_text("---\nbase_model: /home/me/secret\n---\n")
    assert origin_of(str(tmp_path)).base_model is None


@pytest.mark.parametrize("front", ["", "no front", "---\n- a\n---\n", "---\n: : {\n---\n"])
def test_a_damaged_card_tells_nothing_and_raises_nothing(tmp_path: Path, front: str) -> None:
    (tmp_path / CARD).write_text(front)
    assert card_metadata(tmp_path) == {}


def test_text_of_users_cannot_break_out_of_yaml_or_markdown(tiny: Tiny, tmp_path: Path) -> None:
    figure = EvalResult(
        task_type="text-generation",
        dataset_type=NASTY,
        dataset_name=NASTY,
        metric_type="accuracy",
        metric_value=41.2,
    )
    content = CardContent(
        title=NASTY,
        figures=[figure],
        tags=[NASTY],
        sections=[("Results", [table(["arm"], [[NASTY]]), fenced(NASTY)])],
    )
    student = prepare(tiny("t5"), "svamp", path="direct")
    path = write_card(tmp_path, student, Origin(), content)
    data = ModelCard.load(path).data
    assert data.license is None and NASTY in data.tags
    assert data.eval_results[0].dataset_name == NASTY
    body = path.read_text(encoding="utf-8").split("\n---\n", 1)[1]
    outside = body.replace(fenced(NASTY), "")
    assert "<script>" not in outside and "\n---\n" not in outside


@given(st.text(max_size=60))
def test_any_title_gives_yaml_that_reads_back(title: str) -> None:
    assert "\n" not in plain(title) and "<" not in plain(title)
    assert yaml.safe_load(yaml.safe_dump({"title": title}))["title"] == title


def test_a_fence_is_longer_than_the_backticks_inside() -> None:
    assert fenced("a ```` b").startswith("`````\n")


def test_a_pair_has_a_card_for_itself_and_one_for_each_half(tiny: Tiny, tmp_path: Path) -> None:
    halves = [prepare(tiny("t5"), "svamp", path="dual", role=kind) for kind in ("ES", "AS")]
    pair = DualStudent(*halves, Drive(task="svamp", path="dual"))
    pair.save(tmp_path / "pair")
    whole = (tmp_path / "pair" / CARD).read_text(encoding="utf-8")
    assert "models[len(segments) % 2]" in whole and "segment-wise" in whole
    half = (tmp_path / "pair" / "es" / CARD).read_text(encoding="utf-8")
    assert "one half of a pair" in half and "Use the folder above" in half
    assert isinstance(load(tmp_path / "pair", device="cpu"), DualStudent)


def test_a_task_of_the_users_own_program_gives_a_card_without_a_program(tiny: Tiny) -> None:
    student = tiny("t5")
    student.drive = Drive(task="mine")
    assert "How to use it" not in card_text(student, Origin())
    student.drive = None
    assert "the program that taught it" in card_text(student, Origin())


def test_no_manifest_names_a_card_so_that_its_figures_may_come_later(
    tiny: Tiny, tmp_path: Path
) -> None:
    prepare(tiny("t5"), "svamp", path="direct").save(tmp_path / "m")
    seal(tmp_path, "manifest.json")
    seal(tmp_path / "m", "COMPLETE", sorted((tmp_path / "m").iterdir()))
    (tmp_path / "m" / CARD).write_text("another card")
    assert damage(tmp_path, "manifest.json") == []
    assert damage(tmp_path / "m", "COMPLETE") == []
