"""The stage `data`: three parts without a common question, made once and read as they were."""

import json

import pytest

from smallsteps.errors import DataError, RecipeError
from smallsteps.experiment.data import (
    check_answers,
    check_bundled,
    load_data,
    read_json_lines,
    read_parts,
)
from smallsteps.experiment.folder import run_folder
from smallsteps.experiment.recipe import make_recipe
from smallsteps.records import Problem
from smallsteps.tasks import get_task
from smallsteps.tasks.files import write_rows
from tiny_runs import tiny_content


def chain_rows(count, first=1):
    numbers = range(first, first + count)
    return [
        {
            "id": f"q{n}",
            "question": f"Ann has {n} pens and buys 2. How many pens does she have?",
            "rationale": f"{n} + 2 = {n + 2}. The answer is {n + 2}.",
            "answer": str(n + 2),
        }
        for n in numbers
    ]


def recipe_of(data):
    return make_recipe({**tiny_content(), "data": {"task": "numbers", **data}})


def loaded(recipe, folder, chains=True):
    with run_folder(folder / "run", recipe.digest(), recipe.to_yaml()) as run:
        return load_data(recipe, run, chains)


@pytest.fixture
def file(tmp_path):
    write_rows(tmp_path / "chains.jsonl", chain_rows(30))
    return str(tmp_path / "chains.jsonl")


@pytest.mark.parametrize("task", ["stories", "facts"])
@pytest.mark.parametrize("chains", [True, False])
def test_bundled_parts_have_the_sizes_asked_for_and_no_common_question(tmp_path, task, chains):
    recipe = make_recipe(tiny_content(data={"task": task, "test_count": 9}))
    data = loaded(recipe, tmp_path, chains)
    parts = (data.train, data.validation, data.test)
    assert [len(part) for part in parts] == [24, 4, 9]
    questions = [{data.task.render(problem) for problem in part} for part in parts]
    assert not questions[0] & questions[1] and not (questions[0] | questions[1]) & questions[2]
    assert len(data.train_chains) == (24 if chains else 0)
    assert {chain.problem.id for chain in data.gold} == {problem.id for problem in data.test}
    assert loaded(recipe, tmp_path, chains) == data, "read back as it was made"


def test_another_split_seed_draws_other_questions(tmp_path):
    train = [
        loaded(make_recipe(tiny_content(data={"split_seed": seed})), tmp_path / str(seed)).train
        for seed in (0, 1)
    ]
    assert train[0] != train[1]


@pytest.mark.parametrize("chains", [True, False])
def test_one_file_is_split_and_files_of_validation_and_test_are_kept_apart(tmp_path, file, chains):
    data = loaded(recipe_of({"chains": file}), tmp_path / "split", chains)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [24, 3, 3]
    write_rows(tmp_path / "v.jsonl", chain_rows(4, 50))
    write_rows(tmp_path / "t.jsonl", chain_rows(5, 70))
    files = {"validation": str(tmp_path / "v.jsonl"), "test": str(tmp_path / "t.jsonl")}
    data = loaded(recipe_of({"chains": file, **files}), tmp_path / "files", chains)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [30, 4, 5]


def test_a_test_file_without_chains_has_problems_and_no_gold(tmp_path, file):
    rows = [{k: v for k, v in row.items() if k != "rationale"} for row in chain_rows(5, 70)]
    write_rows(tmp_path / "t.jsonl", rows)
    data = loaded(recipe_of({"chains": file, "test": str(tmp_path / "t.jsonl")}), tmp_path)
    assert len(data.test) == 5 and data.gold == []


def test_a_limit_takes_the_first_rows_of_the_files(tmp_path, file):
    recipe = recipe_of({"chains": file, "limit": 20})
    train, validation, test, facts = read_parts(recipe.data, get_task("numbers"))
    assert facts["chains"] == 20
    ids = {chain.problem.id for chain in (*train, *validation, *test)}
    assert ids == {f"q{n}" for n in range(1, 21)}


def test_an_id_in_two_files_is_refused(tmp_path, file):
    write_rows(tmp_path / "more.jsonl", chain_rows(1, 7))
    recipe = recipe_of({"chains": [file, str(tmp_path / "more.jsonl")]})
    with pytest.raises(DataError, match=r"^q7: this id stands in two of the files"):
        read_parts(recipe.data, get_task("numbers"))


def test_a_question_of_the_training_part_in_the_test_file_is_refused(tmp_path, file):
    write_rows(tmp_path / "t.jsonl", [{**row, "id": f"t{row['id']}"} for row in chain_rows(3)])
    recipe = recipe_of({"chains": file, "test": str(tmp_path / "t.jsonl")})
    with pytest.raises(DataError, match="q1"):
        loaded(recipe, tmp_path)


def test_too_few_questions_for_three_parts_are_refused(tmp_path):
    write_rows(tmp_path / "few.jsonl", chain_rows(2))
    with pytest.raises(DataError, match="2 rows hold 2 different questions, too few"):
        loaded(recipe_of({"chains": str(tmp_path / "few.jsonl")}), tmp_path)


def test_an_exam_needs_gold_answers():
    problems = [Problem("a", "?", "1"), Problem("b", "?")]
    check_answers(problems[:1])
    with pytest.raises(DataError, match=r"^b: an exam needs gold answers"):
        check_answers(problems)


def test_only_tasks_with_a_generator_have_bundled_chains():
    content = tiny_content()
    check_bundled(make_recipe(content).data)
    with pytest.raises(RecipeError, match=r"not 'numbers': set data\.task"):
        check_bundled(make_recipe(tiny_content(data={"task": "numbers"})).data)


def test_a_line_separator_inside_a_chain_does_not_cut_its_row(tmp_path):
    row = {"text": "one\u2028two\x85three"}
    (tmp_path / "rows.jsonl").write_text(
        json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    assert read_json_lines(tmp_path / "rows.jsonl") == [row]


def rationales_of(tmp_path, rows, **data):
    """The run's data with rationales beside its questions: those of training and validation."""
    write_rows(tmp_path / "rows.jsonl", rows)
    recipe = recipe_of({"chains": str(tmp_path / "rows.jsonl"), **data})
    with run_folder(tmp_path / "run", recipe.digest(), recipe.to_yaml()) as run:
        data = load_data(recipe, run, chains=False, rationales=True)
        again = load_data(recipe, run, chains=False, rationales=True)
    assert again == data
    return data


def test_rationales_beside_questions_are_kept_where_rows_have_them_wrong_ones_too(tmp_path):
    rows = chain_rows(30)
    rows[0]["rationale"] = "1 + 2 = 4. The answer is 4."
    del rows[1]["rationale"]
    data = rationales_of(tmp_path, rows)
    kept = {**data.train_rationales, **data.validation_rationales}
    problems = {problem.id for problem in (*data.train, *data.validation)}
    assert set(kept) == problems - {"q2"}, "of no test question"
    assert [name for name, item in kept.items() if item.correct is False] == ["q1"]
    assert data.train_chains == [] and set(data.train_rationales) <= {p.id for p in data.train}


def test_rationales_of_a_validation_file_have_ids_of_their_own(tmp_path):
    rows = [{**row, "id": f"q{n}"} for n, row in enumerate(chain_rows(12, first=50))]
    del rows[0]["rationale"]
    write_rows(tmp_path / "validation.jsonl", rows)
    data = rationales_of(tmp_path, chain_rows(30), validation=str(tmp_path / "validation.jsonl"))
    assert "q0" not in data.validation_rationales and len(data.validation_rationales) == 11
    assert data.validation_rationales["q1"].text.startswith("51 + 2")
    assert data.train_rationales[data.train[0].id].text.startswith(f"{data.train[0].id[1:]} + 2")


def test_an_id_in_two_files_has_no_rationale_of_its_own(tmp_path):
    write_rows(tmp_path / "more.jsonl", chain_rows(2, first=3))
    files = [str(tmp_path / "rows.jsonl"), str(tmp_path / "more.jsonl")]
    with pytest.raises(DataError, match="q3: this id stands in two of the files"):
        rationales_of(tmp_path, chain_rows(30), chains=files)


def test_bundled_questions_have_rationales(tmp_path):
    recipe = make_recipe(tiny_content(data={"task": "facts"}))
    with run_folder(tmp_path / "run", recipe.digest(), recipe.to_yaml()) as run:
        data = load_data(recipe, run, chains=False, rationales=True)
    assert set(data.train_rationales) == {problem.id for problem in data.train}
    assert set(data.validation_rationales) == {problem.id for problem in data.validation}
    chains = loaded(recipe, tmp_path / "other")
    assert chains.train_rationales == data.train_rationales
