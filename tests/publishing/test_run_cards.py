"""Cards of a run: the figures of its results, the recipe without the user's folders, again and again
the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard

import smallsteps as ss
from report.conftest import plateau_results, trained
from smallsteps.cli.main import main
from smallsteps.disk import CARD, damage
from smallsteps.errors import RunFolderError
from smallsteps.experiment.folder import complete
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.result_record import Figure
from smallsteps.experiment.results import Results, write_results
from smallsteps.experiment.score_results import FurtherResult
from smallsteps.publishing.run_cards import card_of_run, public, write_cards
from smallsteps.students.student import Student
from smallsteps.students.tokens import prepare
from tiny_runs import tiny_content

Tiny = Callable[..., Student]
RECIPE = {
    "title": "Mine",
    "data": {"chains": "/home/me/secret/chains.jsonl", "task": "svamp", "test_count": 500},
    "student": {"name": "smollm2", "lora": 8},
    "tailored": None,
}


def run_with_students(
    tiny: Tiny, folder: Path, recipe: dict[str, object] = RECIPE, title: str = "Mine"
) -> Results:
    """A finished run whose arms have students."""
    results = plateau_results(arms=[trained("direct", 20.0, 10.0, 12.0)])
    arm = results.arms[0].model_copy(update={"student": "arms/direct-seed0/training/candidate-3"})
    results = results.model_copy(update={"arms": [arm], "title": title})
    assert arm.student is not None
    prepare(tiny("qwen"), "svamp", path="direct").save(folder / arm.student)
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    write_results(folder, results)
    return results


def test_the_card_has_the_figures_of_the_run_with_their_intervals(
    tiny: Tiny, tmp_path: Path
) -> None:
    results = run_with_students(tiny, tmp_path)
    (path,) = write_cards(tmp_path)
    assert path.name == CARD and path.parent == tmp_path / str(results.arms[0].student)
    card, arm = ModelCard.load(path), results.arms[0]
    (figure,) = [row for row in card.data.eval_results if row.metric_type == arm.metric]
    assert figure.metric_value == round(arm.value, 2) and figure.dataset_split == "test"
    assert figure.metric_args["low"] == round(arm.low, 2)
    assert figure.metric_args["high"] == round(arm.high, 2) and figure.metric_args["n"] == arm.n
    assert card.data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert card.data.license == "apache-2.0" and "lora" in card.data.tags
    assert "learns whole chains" in card.text and arm.signature in card.text
    assert f"{arm.train_tokens:,}" in card.text


def test_figures_on_further_test_sets_stand_on_the_card(tiny: Tiny, tmp_path: Path) -> None:
    results = run_with_students(tiny, tmp_path)
    arm = results.arms[0]
    fields = arm.model_dump() | {"name": "direct", "task": "asdiv", "n": 70, "seeds": [0]}
    further = FurtherResult(
        test_set="easy", **{key: fields[key] for key in FurtherResult.model_fields if key in fields}
    )
    figure = Figure(value=31.25, low=20.0, high=42.0)
    arms = [arm.model_copy(update={"further": {"easy": figure}})]
    update = {"arms": arms, "further_tests": [further]}
    write_results(tmp_path, results.model_copy(update=update))
    (path,) = write_cards(tmp_path)
    card = ModelCard.load(path)
    (row,) = [row for row in card.data.eval_results if row.dataset_name == "easy"]
    assert (row.dataset_type, row.metric_value) == ("asdiv", 31.25)
    assert row.metric_args == {"confidence": 0.95, "low": 20.0, "high": 42.0, "n": 70}
    assert "| Accuracy, easy | 31.2 | 20.0 to 42.0 | 70 |" in card.text


def test_no_folder_of_the_users_machine_stands_in_a_card(tiny: Tiny, tmp_path: Path) -> None:
    run_with_students(tiny, tmp_path)
    (path,) = write_cards(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert "chains: chains.jsonl" in text
    assert "/home/me" not in text and "secret" not in text and str(tmp_path) not in text
    assert "test_count" not in text, "a setting of bundled data"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("~/a/b.jsonl", "b.jsonl"),
        ("data/b.jsonl", "b.jsonl"),
        ("C:\\me\\b.jsonl", "b.jsonl"),
        ("hub:owner/set:train", "hub:owner/set:train"),
        ("owner/model", "owner/model"),
        ({"a": [], "b": [None, "/x/y"]}, {"b": [None, "y"]}),
    ],
)
def test_files_stand_with_their_names_alone(value: object, shown: object) -> None:
    assert public(value) == shown


def test_data_sets_of_the_hub_are_named_and_others_are_not(tiny: Tiny, tmp_path: Path) -> None:
    recipe = {**RECIPE, "data": {"chains": ["hub:owner/set:train", "mine.jsonl"]}}
    run_with_students(tiny, tmp_path, recipe)
    (path,) = write_cards(tmp_path)
    assert ModelCard.load(path).data.datasets == ["owner/set"]


def test_a_title_that_is_yaml_and_html_stays_a_title(tiny: Tiny, tmp_path: Path) -> None:
    title = 'x: "y"\n---\nlicense: mit\n<script>alert(1)</script>'
    run_with_students(tiny, tmp_path, title=title)
    (path,) = write_cards(tmp_path)
    data = ModelCard.load(path).data
    assert data.license == "apache-2.0" and data.model_name.startswith('x: "y" --- license')
    assert "<script>" not in path.read_text(encoding="utf-8").split("\n---\n", 1)[1]


def test_a_folder_that_is_no_finished_run_gets_no_cards(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"The run has not finished"):
        write_cards(tmp_path)


def test_a_damaged_recipe_is_one_line(tiny: Tiny, tmp_path: Path) -> None:
    run_with_students(tiny, tmp_path)
    (tmp_path / "recipe.yaml").write_text("- [")
    with pytest.raises(RunFolderError, match=r"recipe\.yaml: damaged\. Type the run's command"):
        write_cards(tmp_path)


def test_the_student_of_a_run_is_found_from_its_folder_alone(tiny: Tiny, tmp_path: Path) -> None:
    results = run_with_students(tiny, tmp_path)
    found = card_of_run(tmp_path / str(results.arms[0].student))
    assert found is not None and found[1].figures
    assert card_of_run(tmp_path) is None


def test_a_checkpoint_that_validation_did_not_choose_keeps_its_origin_and_gets_no_figures(
    tiny: Tiny, tmp_path: Path
) -> None:
    """The trap: a card that knows neither run nor base model, or figures of another checkpoint."""
    results = run_with_students(tiny, tmp_path / "run")
    chosen = tmp_path / "run" / str(results.arms[0].student)
    other = chosen.with_name("candidate-1")
    shutil.copytree(chosen, other)
    text = (ss.export(other, tmp_path / "to") / CARD).read_text(encoding="utf-8")
    card = ModelCard(text)
    assert card.data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert card.data.license == "apache-2.0" and not card.data.eval_results
    assert "of the arm `direct` (" in text and "), seed 0, of an experiment" in text
    assert "`arms/direct-seed0/training/candidate-1` in its run folder" in text
    assert "no figures of it here: validation did not choose it." in text
    assert "## How it was taught" in text and "## Data" in text and "## Results" not in text
    (tmp_path / "run/results.json").unlink()
    (tmp_path / "run/run.json").write_text("{}")
    early = (ss.export(chosen, tmp_path / "early") / CARD).read_text(encoding="utf-8")
    assert "its run has not finished" in early and "chains.jsonl" in early
    assert ModelCard(early).data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"


def test_a_run_writes_its_cards_and_goes_on_as_if_they_were_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = make_recipe(tiny_content(arms=["direct"]))
    (tmp_path / "tiny.yaml").write_text(recipe.to_yaml())
    call = ["run", str(tmp_path / "tiny.yaml"), "--out", str(tmp_path / "run"), "--threads", "1"]
    assert main(call) == 0
    (card,) = [path for path in (tmp_path / "run").rglob(CARD) if "## Results" in path.read_text()]
    first = card.read_text(encoding="utf-8")
    assert "Trained from scratch: there is no base model" in first
    assert complete(tmp_path / "run/arms/direct-seed0/training")
    card.unlink()  # as if the first call had been killed before it
    capsys.readouterr()
    assert main(call) == 0
    assert card.read_text(encoding="utf-8") == first
    assert "damaged" not in capsys.readouterr().out
    assert damage(card.parent, "COMPLETE") == []
