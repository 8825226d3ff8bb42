"""The stage `data`: three parts without a common question, made once and read as they were."""

import pytest

from smallsteps import streams
from smallsteps.errors import DataError
from smallsteps.experiment.data import check_answers, load_data
from smallsteps.experiment.folder import run_folder
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.stored_rows import ProblemsOnDisk, StoredRows
from smallsteps.records import Problem
from smallsteps.tasks.files import write_rows
from smallsteps.teaching.feedback import Feedback, append_feedback
from tiny_runs import tiny_content

from .pen_rows import chain_rows, recipe_of


def loaded(recipe, folder, chains=True):
    with run_folder(folder / "run", recipe.digest(), recipe.to_yaml()) as run:
        return load_data(recipe, run, chains)


@pytest.fixture
def file(tmp_path):
    write_rows(tmp_path / "chains.jsonl", chain_rows(30))
    return str(tmp_path / "chains.jsonl")


def judged(tmp_path, row, verdict="wrong", edited=None, rationale=None):
    """Appends a judgement of the chain of a row; returns the file."""
    judgement = Feedback(
        id=row["id"],
        question=row["question"],
        rationale=rationale or "I guess. The answer is 1.",
        answer="1",
        verdict=verdict,
        edited=edited,
        student="bundled",
        time="2026-01-31T12:00:00+00:00",
    )
    append_feedback(tmp_path / "feedback.jsonl", judgement)
    return str(tmp_path / "feedback.jsonl")


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


# ---- feedback ----


def row_of(problem):
    number = int(problem.id[1:])
    return chain_rows(1, number)[0]


def test_edited_chains_join_the_training_chains_and_the_file_is_read_once(tmp_path, file):
    plain = loaded(recipe_of({"chains": file}), tmp_path / "plain")
    row = row_of(plain.train[0])
    right = int(row["answer"])
    feedback = judged(tmp_path, row, edited=f"Adding 2 gives {right}. The answer is {right}.")
    recipe = recipe_of({"chains": file, "feedback": feedback})
    data = loaded(recipe, tmp_path / "taught")
    assert data.train_chains[:-1] == plain.train_chains
    edited = data.train_chains[-1]
    assert edited.problem == plain.train[0] and edited.rationale.author == "feedback"
    assert edited.rationale.text == f"Adding 2 gives {right}. The answer is {right}."
    assert (data.train, data.validation, data.test) == (plain.train, plain.validation, plain.test)
    assert data.feedback.wrong_texts() == {row["id"]: ["I guess. The answer is 1."]}
    (tmp_path / "feedback.jsonl").unlink()
    assert loaded(recipe, tmp_path / "taught") == data, "a run keeps the feedback it began with"


@pytest.mark.parametrize("chains", [True, False])
def test_questions_of_validation_and_test_are_never_trained_on(tmp_path, file, chains):
    plain = loaded(recipe_of({"chains": file}), tmp_path / "plain", chains)
    for problem in (plain.validation[0], plain.test[0]):
        row = row_of(problem)
        # another id, another case: what counts is the question
        shouted = {"id": "new", "question": row["question"].upper()}
        edited = f"So {row['answer']}. The answer is {row['answer']}."
        judged(tmp_path, shouted, edited=edited, rationale=f"Guess {problem.id}.")
    new = {"id": "new", "question": "Bo has 90 pens and buys 2. How many pens does he have?"}
    feedback = judged(tmp_path, new, edited="90 + 2 = 92. The answer is 92.")
    data = loaded(recipe_of({"chains": file, "feedback": feedback}), tmp_path / "run", chains)
    assert data.train[:-1] == plain.train
    assert (data.train[-1].question, data.train[-1].answer) == (new["question"], "92")
    assert (data.validation, data.test) == (plain.validation, plain.test)
    assert data.facts["feedback"]["unused"] == {"question of validation or test": 2}
    assert data.facts["feedback"]["new_questions"] == 1
    assert data.facts["train"] == len(data.train_chains or data.train)


def test_a_question_of_a_further_test_set_is_not_trained_on(tmp_path, file):
    write_rows(tmp_path / "further.jsonl", chain_rows(1, 90))
    edited = {"edited": "90 + 2 = 92. The answer is 92."}
    judged(tmp_path, chain_rows(1, 90)[0], **edited)
    feedback = judged(tmp_path, chain_rows(1, 3)[0], edited="Two more: 5. The answer is 5.")
    further = {"also_test": {"svamp": str(tmp_path / "further.jsonl")}}
    data = loaded(recipe_of({"chains": file, "feedback": feedback, **further}), tmp_path / "run")
    assert data.facts["feedback"]["unused"]["question of validation or test"] >= 1
    assert not any("90 pens" in problem.question for problem in data.train)


def test_a_training_chain_that_was_judged_wrong_is_left_out(tmp_path, file):
    plain = loaded(recipe_of({"chains": file}), tmp_path / "plain")
    rejected = plain.train_chains[0]
    feedback = judged(tmp_path, row_of(rejected.problem), rationale=rejected.rationale.text)
    data = loaded(recipe_of({"chains": file, "feedback": feedback}), tmp_path / "run")
    assert data.train_chains == plain.train_chains[1:]
    assert data.facts["feedback"]["removed"] == 1


def test_people_s_chains_replace_rationales_that_they_judged_wrong(tmp_path):
    rows = chain_rows(30)
    write_rows(tmp_path / "rows.jsonl", rows)
    plain = loaded(recipe_of({"chains": str(tmp_path / "rows.jsonl")}), tmp_path / "plain", False)
    row = row_of(plain.train[0])
    edited = f"Two more: {row['answer']}. The answer is {row['answer']}."
    feedback = judged(tmp_path, row, rationale=row["rationale"], edited=edited)
    data = rationales_of(tmp_path, rows, feedback=feedback)
    assert data.train_rationales[row["id"]].text == edited
    other = data.train[1].id
    assert data.train_rationales[other].text == row_of(data.train[1])["rationale"]


def test_the_parts_of_many_chains_stay_on_the_disk_and_are_the_same(tmp_path, file, monkeypatch):
    recipe = recipe_of({"chains": file})
    data = loaded(recipe, tmp_path)
    monkeypatch.setattr(streams, "KEPT", 2)
    with run_folder(tmp_path / "run", recipe.digest(), recipe.to_yaml()) as run:
        stored = load_data(recipe, run, True)
    for name in ("train", "validation", "test", "train_chains", "validation_chains", "gold"):
        kind = ProblemsOnDisk if name in ("train", "validation") else StoredRows
        assert isinstance(getattr(stored, name), kind)
        assert list(getattr(stored, name)) == getattr(data, name)
    texts = stored.texts
    assert not isinstance(texts, list) and list(texts) == data.texts
    assert len(texts) == 48 and [texts[place] for place in range(-1, 48)] == [
        data.texts[-1],
        *data.texts,
    ]
    assert texts[1:4] == data.texts[1:4]
