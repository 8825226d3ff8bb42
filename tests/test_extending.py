"""One entry of each registry, added from outside the package, is known wherever names are."""

from dataclasses import replace

import pytest

from smallsteps.errors import RecipeError
from smallsteps.evaluation.comparison import compare_scores
from smallsteps.evaluation.grade import grade
from smallsteps.evaluation.metrics import METRICS, Metric, mean_over_items
from smallsteps.experiment.recipe import make_recipe
from smallsteps.methods.as_es.arms import as_es_arms
from smallsteps.quality.aspects import ASPECTS, Aspect
from smallsteps.quality.rated import Rated
from smallsteps.quality.scorer import Scorer
from smallsteps.quality.sensitivity import matrix_table
from smallsteps.records import Prediction, Problem
from smallsteps.segments.label import segment_chains
from smallsteps.segments.strategies import STRATEGIES, Strategy, per_chain
from smallsteps.tasks import TASKS, get_task
from smallsteps.tasks.files import read_chains, write_rows
from smallsteps.tasks.free_text import TEXT
from smallsteps.tasks.stories import make_chains


def test_a_segmentation_is_an_arm_of_recipes_and_has_a_beta_where_it_has_scores(monkeypatch):
    length = Strategy("length", per_chain(lambda c, p: [float(len(x)) for x in p]), "high")
    with pytest.raises(RecipeError, match="unknown arm 'ases-uni-length'"):
        make_recipe({"arms": ["direct", "ases-uni-length"]})
    monkeypatch.setitem(STRATEGIES, "length", length)
    recipe = make_recipe({"arms": ["direct", "ases-uni-length"], "sweep": {"beta": [0.5, 1.0]}})
    names = [arm.name for arm in as_es_arms(recipe, "ases-uni-length")]
    assert names == ["ases-uni-length-beta=0.5", "ases-uni-length-beta=1"]
    chains = make_chains(6, seed=3)
    segments = segment_chains(chains, "length", task=get_task("stories"))
    assert {segment.kind for row in segments for segment in row} == {"ES", "AS"}


def test_a_segmentation_by_a_trained_student_waits_for_the_direct_student(monkeypatch):
    certain = Strategy("certain", per_chain(lambda c, p: [1.0] * len(p)), "high", scorer="trained")
    monkeypatch.setitem(STRATEGIES, "certain", certain)
    recipe = make_recipe({"arms": ["ases-dual-certain"]})
    (arm,) = as_es_arms(recipe, "ases-dual-certain")
    needed = [label for _, label in arm.trainings(recipe, 0)]
    assert needed == ["ases-dual-certain, seed 0", "direct, seed 0"], "its scorer is trained too"
    with pytest.raises(RecipeError, match="'certain' reads a student trained on whole chains"):
        segment_chains(make_chains(1, seed=3), "certain", task=get_task("stories"))


def test_a_task_is_read_and_graded_by_name_in_every_language(monkeypatch, tmp_path):
    monkeypatch.setitem(TASKS, "towns", replace(TEXT, name="towns"))
    row = {"question": "Where does Ann live?", "rationale": "In Italy.", "answer": "Rome"}
    write_rows(tmp_path / "towns.jsonl", [row])
    task = get_task("towns")
    (chain,) = read_chains(tmp_path / "towns.jsonl", task).chains
    assert chain.rationale.text == "In Italy. The answer is Rome."
    assert get_task("towns-de").close("Ja.", "Rom") == "Ja. Die Antwort ist Rom."
    assert make_recipe({"data": {"task": "towns", "chains": "towns.jsonl"}}).data.task == "towns"


def test_a_metric_has_intervals_paired_tests_and_a_signature(monkeypatch):
    exact = mean_over_items(lambda item, _: float(item.hypothesis == item.reference))
    monkeypatch.setitem(METRICS, "verbatim", Metric("verbatim", "vb", exact, binary=True))
    task = replace(TEXT, metric="verbatim")
    problems = [Problem(f"q{n}", "?", "Rome") for n in range(20)]

    def graded(right):
        answers = ["Rome" if n < right else "rome" for n in range(20)]
        return grade(
            [
                Prediction(f"p{n}", f"q{n}", answer, ((None, answer),), answer, "end")
                for n, answer in enumerate(answers)
            ],
            problems,
            task,
        )

    score, baseline = graded(15), graded(5)
    assert score.value == 75 and score.signature().startswith("vb = 75.0 ")
    assert compare_scores(score, baseline).p_mcnemar == pytest.approx(2 / 2**10)


def test_an_aspect_is_measured_written_and_tabled(monkeypatch):
    brevity = Aspect("brevity", lambda item, _: 1 / len(item.steps), lowered_by=("repeat",))
    monkeypatch.setitem(ASPECTS, "brevity", brevity)
    problem = Problem("q", "Where does Ann live?", context=(("Ann", ("Ann lives in Rome.",)),))
    full, empty = (Rated.of(problem, text) for text in ("Ann lives in Rome. So it is Rome.", ""))
    qualities = Scorer().score([full, empty])
    assert [quality["brevity"] for quality in qualities] == [0.5, 0.0]
    assert list(qualities[0].to_row())[-1] == "brevity"
    assert "**1.00**" in matrix_table({"brevity": {"repeat": 1.0, "drop": 0.5}})
