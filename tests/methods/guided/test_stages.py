"""The stages of a run: nothing is bought or made twice, and a run killed anywhere ends the same."""

from __future__ import annotations

import pytest
import torch

from loopback import completion
from smallsteps.errors import DataError, TeacherError
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.results import read_results
from smallsteps.students.loading import load_student
from tiny_guided import facts_reader, guided_content
from tiny_runs import lasting, rows_of


def test_a_run_killed_anywhere_ends_the_same(recipe_of, tmp_path, monkeypatch, server, command):
    recipe = recipe_of()
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    arguments = ("run", str(tmp_path / "recipe.yaml"), "--out")
    assert command(*arguments, str(tmp_path / "whole")) == 0, command.errors()
    for point in (
        "before-manifest:replies",
        "before-manifest:seed0/distilled",
        "after:seed0/both",
        "before-manifest:seed0/rationales/both-1",
        "after:arms/guided-both-seed0/outcomes",
        "after:results",
    ):
        code = command(*arguments, str(tmp_path / "cut"), fail_at=point)
        assert code == -9, f"{point}: {command.errors()}"
    assert command(*arguments, str(tmp_path / "cut")) == 0, command.errors()
    whole, cut = (lasting(read_results(tmp_path / name)) for name in ("whole", "cut"))
    assert whole == cut
    answers = "arms/guided-both-seed0/outcomes/outcomes.jsonl"
    rationales = [
        [row["rationale"] for row in rows_of(tmp_path / name / answers)]
        for name in ("whole", "cut")
    ]
    assert rationales[0] == rationales[1] and (tmp_path / "cut/report.html").is_file()


def test_a_spent_limit_stops_with_everything_kept(recipe_of, run_recipe, server):
    recipe = recipe_of()
    reader = recipe.guided.reader.model_copy(update={"calls": 9, "concurrency": 1})
    limited = recipe.model_copy(
        update={"guided": recipe.guided.model_copy(update={"reader": reader})}
    )
    with pytest.raises(
        TeacherError, match=r"replies did not come.*not asked: .*run the same command again"
    ):
        run_recipe(limited)
    assert len(server.bodies) == 9
    results = run_recipe(recipe)
    assert results.methods["guided"].yields["replies"] == 12
    calls = len(server.bodies)
    run_recipe(recipe_of(), "again")
    assert len(server.bodies) == calls, "replies paid before and after the stop are in the store"


@pytest.mark.parametrize("fluency", [True, False])
def test_fluency_is_measured_under_the_distilled_student_unless_it_is_left_out(
    recipe_of, run_recipe, tmp_path, fluency
):
    guided = guided_content(tmp_path / "replies.sqlite")["guided"]
    arms = ["guided-standard", "guided-distilled"]
    results = run_recipe(recipe_of(arms=arms, guided={**guided, "fluency": fluency}))
    (row,) = [row for row in results.methods["guided"].guidance if row.quality]
    assert ("fluency" in row.quality) == fluency
    assert "factuality" in row.quality


@pytest.mark.parametrize(
    ("answer", "arm", "error", "message"),
    [
        (
            lambda body, times: (200, completion(""), {}),
            "guided-cot",
            TeacherError,
            "answers none of the first 3 requests: empty reply",
        ),
        (
            lambda body, times: (200, completion("Prediction:"), {}),
            "guided-cot",
            TeacherError,
            "not one of 6 replies could be read",
        ),
        (
            lambda body, times: facts_reader(body, times, lambda problem: False),
            "guided-distilled",
            DataError,
            "not one of 12 replies of 'm' was right",
        ),
    ],
)
def test_a_reader_of_no_use_ends_the_run_by_name(
    recipe_of, run_recipe, server, answer, arm, error, message
):
    server.answer = answer
    arms = [arm, "guided-standard"] if arm == "guided-cot" else ["guided-standard", arm]
    with pytest.raises(error, match=message):
        run_recipe(recipe_of(arms=arms))


def test_a_folder_reads_and_its_weights_tell_how_sure_it_is(run_recipe, tmp_path):
    """The bundled student as reader: it reasons badly, and says something."""
    load_student("bundled").save(tmp_path / "reader")
    content = guided_content(
        tmp_path / "own.sqlite",
        arms=["guided-standard", "guided-untrained-confidence", "guided-untrained-gold"],
    )
    content["guided"]["reader"] |= {"name": str(tmp_path / "reader"), "cot_tokens": 40}
    results = run_recipe(make_recipe(content))
    assert all(row.large_tokens > 0 for row in results.methods["guided"].guidance)


def test_a_reader_in_a_folder_has_the_dtype_of_the_evaluation(run_recipe, tmp_path, monkeypatch):
    load_student("bundled").save(tmp_path / "reader")
    content = guided_content(
        tmp_path / "own.sqlite",
        arms=["guided-standard", "guided-gold-facts"],
        evaluation={"dtype": "bfloat16"},
    )
    content["guided"]["reader"] |= {"name": str(tmp_path / "reader")}
    readers = []

    def opened(*arguments, **settings):
        readers.append(load_student(*arguments, **settings))
        return readers[-1]

    monkeypatch.setattr("smallsteps.students.loading.load_student", opened)
    run_recipe(make_recipe(content))
    assert [reader.dtype for reader in readers] == [torch.bfloat16]
