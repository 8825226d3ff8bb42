"""An exported folder is whole, loads everywhere, and answers as before."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import smallsteps as ss
from plain_transformers import run_programs
from publishing.test_run_cards import run_with_students
from smallsteps.disk import CARD, digests
from smallsteps.errors import RecipeError, StudentError
from smallsteps.generation.generator import NO_CAP, Decoding
from smallsteps.generation.solve import solve
from smallsteps.publishing.export import (
    exported_files,
    plan_export,
    server_name,
    student_folder,
    write_export,
)
from smallsteps.publishing.hub import Upload, plan_upload
from smallsteps.records import Problem
from smallsteps.students.card import card_metadata
from smallsteps.students.drive import Drive
from smallsteps.students.driving import PLACEHOLDER
from smallsteps.students.dual import DualStudent
from smallsteps.students.loading import load, load_student
from smallsteps.students.lora import LoraSettings, add_lora
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from smallsteps.tasks.files import write_rows

Tiny = Callable[..., Student]


def saved(tiny: Tiny, folder: Path, style: str = "qwen", path: str = "direct") -> Path:
    student = tiny(style)
    student.model.config.max_position_embeddings = 2048  # random weights hardly end by themselves
    return prepare(student, "svamp", path=path, max_segments=4).save(folder)


def programs_of(folder: Path) -> list[tuple[str, str]]:
    """The program on the card of a folder."""
    text = (folder / CARD).read_text(encoding="utf-8")
    return [(str(folder), code) for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL)]


def answer(student: Student | DualStudent) -> str:
    problem, decoding = Problem("q", PLACEHOLDER.question), Decoding(max_new_tokens=NO_CAP)
    (prediction,) = solve(student, [problem], "svamp", None, decoding)
    # random weights write special tokens too, which plain transformers leaves out
    return " ".join(re.sub(r"<\|.*?\|>", "", prediction.text).split())


def test_an_exported_folder_answers_by_plain_transformers_as_before_the_export(
    tiny: Tiny, tmp_path: Path
) -> None:
    places = {
        "direct": saved(tiny, tmp_path / "a"),
        "segments": saved(tiny, tmp_path / "b", path="uni"),
        "t5": saved(tiny, tmp_path / "c", style="t5", path="uni"),
    }
    folders = {name: ss.export(place, tmp_path / "to" / name) for name, place in places.items()}
    programs = [program for folder in folders.values() for program in programs_of(folder)]
    texts = run_programs(programs)
    assert len(texts) == len(places)
    for text, (name, place) in zip(texts, places.items(), strict=True):
        before = answer(load_student(place, device="cpu"))
        assert " ".join(text.split()) == before != "", name
        assert answer(load_student(folders[name], device="cpu")) == before


def test_lora_adapters_are_merged(tiny: Tiny, tmp_path: Path) -> None:
    student = prepare(tiny("qwen"), "svamp", path="direct")
    add_lora(student, LoraSettings(rank=4))
    for name, weight in student.model.named_parameters():
        if "lora_B" in name:
            weight.data += 0.3
    folder = ss.export(student, tmp_path / "to")
    assert not list(folder.glob("*adapter*"))
    assert answer(load_student(folder, device="cpu")) == answer(student)
    assert [path.name for path in tmp_path.iterdir()] == ["to"], "nothing half-written is left"


def test_all_ends_of_a_reply_travel_and_no_sampling_does(tiny: Tiny, tmp_path: Path) -> None:
    place = saved(tiny, tmp_path / "a")
    path = place / "generation_config.json"
    path.write_text(json.dumps({"eos_token_id": [0, 2], "temperature": 0.7, "do_sample": True}))
    content = json.loads((ss.export(place, tmp_path / "to") / path.name).read_text())
    assert content["eos_token_id"] == [0, 2] and content["pad_token_id"] == 2
    assert "temperature" not in content and "do_sample" not in content


def test_only_files_of_the_student_are_copied(tiny: Tiny, tmp_path: Path) -> None:
    place = saved(tiny, tmp_path / "a")
    for name in ("COMPLETE", "optimizer.pt", "notes.txt", "pretraining.json"):
        (place / name).write_text("x")
    folder = ss.export(place, tmp_path / "to")
    names = {path.name for path in folder.iterdir()}
    assert {"model.safetensors", "tokenizer.json", "smallsteps.json", CARD} <= names
    assert not names & {"COMPLETE", "optimizer.pt", "notes.txt", "pretraining.json"}
    assert sorted(names) == plan_export(place, tmp_path / "other").files == exported_files(folder)


def test_a_pair_is_exported_with_both_halves(tiny: Tiny, tmp_path: Path) -> None:
    halves = [prepare(tiny("t5"), "svamp", path="dual", role=kind) for kind in ("ES", "AS")]
    DualStudent(*halves, Drive(task="svamp", path="dual")).save(tmp_path / "a")
    folder = ss.export(tmp_path / "a", tmp_path / "to")
    assert isinstance(load(folder, device="cpu"), DualStudent)
    assert {f"{half}/{CARD}" for half in ("es", "as")} <= set(exported_files(folder))
    assert exported_files(folder) == plan_export(tmp_path / "a", tmp_path / "x").files


def test_a_run_gives_its_best_student_with_the_figures_of_the_run(
    tiny: Tiny, tmp_path: Path
) -> None:
    results = run_with_students(tiny, tmp_path / "run")
    best = tmp_path / "run" / str(results.arms[0].student)
    before = digests(tmp_path / "run", "")
    folder = ss.export(best, tmp_path / "to")
    assert card_metadata(folder)["model-index"][0]["results"]
    assert card_metadata(folder)["base_model"] == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert digests(tmp_path / "run", "") == before, "the run folder is as it was"


def test_an_export_for_a_server_says_how_to_serve_it(tiny: Tiny, tmp_path: Path) -> None:
    place = saved(tiny, tmp_path / "a", style="llama", path="uni")
    ollama = ss.export(place, tmp_path / "ollama", "ollama")
    assert (ollama / "Modelfile").read_text().startswith("FROM .\n")
    assert "ollama create a -f Modelfile" in (ollama / CARD).read_text(encoding="utf-8")
    vllm = ss.export(place, tmp_path / "vllm", "vllm")
    assert "vllm serve . " in (vllm / CARD).read_text(encoding="utf-8")
    assert (vllm / "prompt.jinja").is_file()


@pytest.mark.parametrize(
    ("folder", "form", "message"),
    [
        ("a", "gguf", r"--format 'gguf' is not known\..*Known: hf, ollama, vllm"),
        ("missing/x", "hf", r"no such folder"),
        ("plain", "hf", r"plain has no smallsteps\.json: it was not trained by smallsteps"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_writes_nothing(
    tiny: Tiny, tmp_path: Path, folder: str, form: str, message: str
) -> None:
    saved(tiny, tmp_path / "a")
    tiny("qwen").save(tmp_path / "plain")
    with pytest.raises((RecipeError, StudentError), match=message):
        plan_export(tmp_path / folder, tmp_path / "to", form)
    assert not (tmp_path / "to").exists()


def test_a_folder_with_files_is_not_replaced(tiny: Tiny, tmp_path: Path) -> None:
    place = saved(tiny, tmp_path / "a")
    with pytest.raises(RecipeError, match=r"--to .*a: not empty\. Name a new folder"):
        plan_export(place, place)
    (tmp_path / "empty").mkdir()
    write_export(plan_export(place, tmp_path / "empty"))
    assert (tmp_path / "empty" / "config.json").is_file()


def test_a_run_without_students_has_nothing_to_export(tiny: Tiny, tmp_path: Path) -> None:
    run_with_students(tiny, tmp_path)
    path = tmp_path / "results.json"
    content = json.loads(path.read_text())
    content["best"] = None
    path.write_text(json.dumps(content))
    with pytest.raises(StudentError, match=r"no student was trained in this run"):
        student_folder(tmp_path)


def test_servers_call_the_model_as_its_card_does_and_not_as_the_new_folder(
    tiny: Tiny, tmp_path: Path
) -> None:
    results = run_with_students(tiny, tmp_path / "run", title="Pens & boxes")
    best = tmp_path / "run" / str(results.arms[0].student)
    assert plan_export(best, tmp_path / "out").name == "pens-boxes-direct"
    again = ss.export(best, tmp_path / "out")
    assert plan_export(again, tmp_path / "copy").name == "pens-boxes-direct"
    place = saved(tiny, tmp_path / "My Student")
    assert plan_export(place, tmp_path / "copy").name == "my-student"


@given(st.text(max_size=200))
def test_any_title_gives_a_name_that_ollama_takes(title: str) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,79}", server_name(title))


def test_cards_and_commands_ask_a_question_of_the_run(tiny: Tiny, tmp_path: Path) -> None:
    """The trap: a question that is not from the user's data, whose answer says nothing of it."""
    results = run_with_students(tiny, tmp_path / "run")
    best = tmp_path / "run" / str(results.arms[0].student)
    (tmp_path / "run" / "data").mkdir()
    question = "Bo's 3 boxes hold 4 pens each. How many pens?"
    write_rows(tmp_path / "run/data/problems.jsonl", [{"id": "1", "question": question}])
    plan = plan_export(best, tmp_path / "to")
    assert plan.commands() == [f'smallsteps solve {tmp_path / "to"} "{question}"']
    text = (write_export(plan) / CARD).read_text(encoding="utf-8")
    assert f'smallsteps solve . "{question}"' in text and f"question = {question!r}" in text
    assert "The question comes from the data of its run." in text
    again = plan_export(plan.to, tmp_path / "again", "ollama")
    assert question in " ".join(again.commands()), "the run is far away now"
    again_text = (write_export(again) / CARD).read_text(encoding="utf-8")
    assert f"question = {question!r}" in again_text
    assert "The question comes from the data of its run." in again_text
    warning = f"the card shows a question of your data: take it out of {tmp_path / 'to' / CARD}"
    assert any(line.startswith(warning) for line in plan_upload(plan.to, Upload("me/a")))
    (written,) = ss.write_cards(tmp_path / "run")
    assert f"question = {question!r}" in written.read_text(encoding="utf-8")
