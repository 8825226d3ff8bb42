"""Prompts of judges: bundled ones, and a user's own folder."""

from __future__ import annotations

import pytest

from smallsteps.errors import RecipeError
from smallsteps.quality.aspects import ASPECTS
from smallsteps.quality.judge_prompts import read_judge_prompts
from smallsteps.quality.prompted_judge import read_rating


def test_every_aspect_but_readability_has_a_prompt_that_explains_it_and_asks_for_a_score():
    prompts = read_judge_prompts()
    assert list(prompts) == [aspect for aspect in ASPECTS if aspect != "readability"]
    for aspect, prompt in prompts.items():
        (system, explanation), (user, question) = prompt.templates
        assert (system, user) == ("system", "user") and f"its {aspect}." in explanation
        assert question.endswith("Reply with one line: Score: N")
        assert read_rating(question) is None, "a model that repeats the prompt rates nothing"
        shows_context = "{{ context }}" in question
        assert shows_context == (ASPECTS[aspect].needs == "context")


def test_files_of_a_folder_replace_bundled_prompts_and_add_aspects(tmp_path):
    (tmp_path / "fluency.txt").write_text("[user]\n{{ rationale }} Score: N")
    (tmp_path / "readability.txt").write_text("[user]\nIs it easy? {{ rationale }} Score: N")
    prompts = read_judge_prompts(str(tmp_path))
    assert list(prompts) == list(ASPECTS)
    assert prompts["fluency"].fill({"rationale": "So."}, "p") == (("user", "So. Score: N"),)
    assert prompts["factuality"] == read_judge_prompts()["factuality"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no prompt in it. Add factuality.txt"),
        ({"factualty.txt": "[user]\nx"}, "named after no aspect. Did you mean 'factuality'"),
        ({"fluency.txt": "Rate it."}, r"begin each message with a line \[system\]"),
        (
            {"fluency.txt": "[user]\n{{ answer }}"},
            "'answer' is undefined. A prompt may name question, context, rationale",
        ),
    ],
)
def test_a_folder_that_cannot_be_used_is_one_line(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(RecipeError, match=message):
        read_judge_prompts(str(tmp_path))


def test_a_missing_folder_is_named():
    with pytest.raises(RecipeError, match="judge prompts nowhere: no such folder"):
        read_judge_prompts("nowhere")
