"""Every arm's examples are checked before the first arm trains, and all arms leave out the same odd
chains."""

import json
import re
from dataclasses import replace

import pytest

from smallsteps.errors import RunFolderError, TrainingError
from smallsteps.experiment import job as job_module
from smallsteps.experiment.check import _spread, check_chain_arms
from smallsteps.experiment.run import run
from smallsteps.methods.baselines.direct import direct_arms
from smallsteps.tasks import get_task
from smallsteps.tasks.stories import make_chains
from tiny_labs import tiny_lab
from tiny_runs import rows_of


@pytest.fixture
def fits(monkeypatch):
    """What `fit` was asked to train, in order: (folder, training examples, student)."""
    calls, fit = [], job_module.Training

    def spy(student, train, validation, settings, out, **words):
        calls.append((out, train, student))
        return fit(student, train, validation, settings, out, **words)

    monkeypatch.setattr(job_module, "Training", spy)
    return calls


def write_chains(path, count, odd=()):
    """Bundled chains as a file; those at the places `odd` say their answer before they end."""
    with path.open("w") as file:
        for place, (problem, rationale) in enumerate(make_chains(count, 7, "easy")):
            text = rationale.text
            if place in odd:
                text = f"However, the answer is {problem.answer}, {text}"
            row = {"id": problem.id, "question": problem.question, "rationale": text}
            file.write(json.dumps(row | {"answer": problem.answer}) + "\n")
    return str(path)


def test_one_odd_chain_is_left_out_of_every_arm_and_shown_before_training(
    recipe_of, listener, tmp_path, fits
):
    chains = write_chains(tmp_path / "chains.jsonl", 100, odd=(0,))
    recipe = recipe_of(
        arms=["direct", "ases-uni-rouge", "ases-dual-ent"],
        data={"chains": chains, "task": "gsm8k"},
        train={"budget": 600, "validation_chains": 4, "evaluations": 1},
    )
    results = run(recipe, tmp_path / "run", listener)
    assert results.data.odd == 1
    problems = [{example.problem_id for example in train} for _, train, _ in fits]
    odd = rows_of(tmp_path / "chains.jsonl")[0]["id"]
    train = {row["problem"]["id"] for row in rows_of(tmp_path / "run/data/train.jsonl")}
    assert odd in train, "the data stage keeps it; choose another place if the split changes"
    assert problems[0] == train - {odd} and problems[1] == train - {odd}
    assert problems[2] | problems[3] == train - {odd}, "the halves of a pair together"
    lines = "\n".join(listener.lines)
    said = "chains left out: 1 (1 with a stop sign before their end, 0 over a limit), in every arm"
    assert lines.index(said) < lines.index("direct, seed 0:")
    assert "the target carries the stop sign of task gsm8k" in lines


def test_a_run_does_not_grow_by_an_arm_that_leaves_out_what_the_others_have_learnt_from(
    recipe_of, tmp_path
):
    """The trap: whole chains may name their answer early, segments may not."""
    chains = write_chains(tmp_path / "chains.jsonl", 100, odd=(0,))
    small, larger, largest = (
        recipe_of(
            arms=arms,
            data={"chains": chains, "task": "gsm8k"},
            train={"budget": 600, "validation_chains": 4, "evaluations": 1},
            evaluation={"why_problems": 0},
        )
        for arms in (
            ["direct"],
            ["direct", "answer-only"],
            ["direct", "answer-only", "ases-uni-rouge"],
        )
    )
    out = tmp_path / "run"
    run(small, out)
    run(larger, out)
    before = (out / "run.json").read_bytes()
    with pytest.raises(
        RunFolderError,
        match=r"cannot grow by arms ases-uni-rouge: 1 chain \(first .* have learnt from it\. Choose",
    ):
        run(largest, out)
    assert (out / "run.json").read_bytes() == before
    assert run(larger, out).data.odd == 0, "the run is as it was"


def test_many_odd_chains_are_refused_before_the_first_arm_trains(recipe_of, tmp_path, fits):
    chains = write_chains(tmp_path / "chains.jsonl", 100, odd=range(0, 100, 20))
    recipe = recipe_of(
        arms=["direct", "ases-uni-ent"],
        data={"chains": chains, "task": "gsm8k"},
        train={"budget": 600},
    )
    with pytest.raises(
        TrainingError,
        match=r"carries the stop sign of task gsm8k .* of 90 chains are like this, more than the 2 %.*early_stop=drop",
    ):
        run(recipe, tmp_path / "run")
    assert fits == [] and not (tmp_path / "run").exists()


def test_an_arm_that_cannot_be_trained_is_named_before_the_first_arm_trains(
    recipe_of, tmp_path, fits
):
    recipe = recipe_of(
        arms=["direct", "ases-dual-bleu"], segmentation={"beta": 1e-9}, train={"budget": 600}
    )
    with pytest.raises(
        TrainingError, match=r"ases-dual-bleu, seed 0: no segment is AS.*Change segmentation\.beta"
    ):
        run(recipe, tmp_path / "run")
    assert fits == []


def test_students_may_write_as_many_segments_as_their_longest_chain_has_and_a_quarter_more(
    recipe_of, tmp_path, fits
):
    chains = tmp_path / "chains.jsonl"
    long = " ".join(f"Then she has {n}." for n in range(2, 18))
    with chains.open("w") as file:
        for n in range(40):
            row = {"id": f"q{n}", "question": f"What is {n} plus 1?", "answer": str(n + 1)}
            file.write(json.dumps(row | {"rationale": long}) + "\n")
    recipe = recipe_of(
        arms=["ases-uni-inter"],
        data={"chains": str(chains), "task": "gsm8k"},
        train={"budget": 300, "evaluations": 1},
    )
    results = run(recipe, tmp_path / "run")
    ((_, examples, student),) = fits
    assert max(len(example.prefix) + 1 for example in examples) == 17
    assert student.drive.max_segments == 21 < get_task("gsm8k").max_segments
    saved = json.loads((tmp_path / "run" / results.best.folder / "smallsteps.json").read_text())
    assert saved["max_segments"] == 21, "so that `solve` knows it"


def test_the_checks_of_all_arms_load_the_student_once(recipe_of, tmp_path, monkeypatch, fits):
    loads, load = [], job_module.load_student

    def spy(*words, **settings):
        loads.append(len(fits))
        return load(*words, **settings)

    monkeypatch.setattr(job_module, "load_student", spy)
    arms = ["direct", "ases-uni-inter", "ases-uni-rouge", "ases-dual-bleu", "answer-only"]
    run(recipe_of(arms=arms, train={"budget": 300, "evaluations": 1}), tmp_path / "run")
    before_training = [fitted for fitted in loads if fitted == 0]
    assert len(before_training) == 2, "for the checks, and for the training of the first arm"
    roles = [student.drive.role for _, _, student in fits if student.drive.path == "dual"]
    assert roles == ["ES", "AS"], "halves that are checked share a model, not what they write"


def test_what_is_planned_is_said_with_the_models_and_tokens_of_all_arms_and_seeds(
    recipe_of, listener, tmp_path
):
    recipe = recipe_of(
        arms=["direct", "ases-dual-gold"], seeds=[0, 1], train={"budget": 600, "evaluations": 1}
    )
    results = run(recipe, tmp_path / "run", listener)
    total = sum(row.train_tokens for row in results.arms)
    (line,) = (line for line in listener.lines if line.startswith("checked before training"))
    assert line.startswith("checked before training: 2 arms, 6 models, about ")
    said = int(line.split("about ")[1].split()[0].replace(",", ""))
    assert said == pytest.approx(total, rel=0.2), (
        "the last update of a seed may be longer or shorter"
    )


def test_few_updates_and_problems_are_warned_of_once_before_training(recipe_of, tmp_path, listener):
    """The trap: every arm ends at 0 %, and nothing says why."""
    recipe = recipe_of(arms=["direct", "ases-dual-inter"], train={"budget": 3000})
    run(recipe, tmp_path / "run", listener, command="smallsteps compare my.jsonl")
    (few,) = [line for line in listener.lines if line.startswith("few updates: ")]
    assert re.match(
        r"few updates: a model makes \d+ \(.*\) to \d+ \(.*\) of 8 examples\. Fewer", few
    )
    assert "(ases-dual-inter, " in few
    assert re.search(r"For more, type --budget \d+0$", few)
    (problems,) = [line for line in listener.lines if line.startswith("few problems: ")]
    assert "over 6 test problems; 15 to 85 over 4 for validation" in problems
    lines = "\n".join(listener.lines)
    assert lines.index(problems) < lines.index(few) < lines.index("direct, seed 0:")


def test_arms_whose_tokens_differ_by_whole_updates_are_named():
    plans = {"direct": {"tokens": {"": 1000}}, "dual": {"tokens": {"ES": 600, "AS": 520}}}
    assert _spread(plans) == pytest.approx(0.12)
    assert _spread({"direct": {"tokens": {"": 1000}}}) == 0


def test_training_texts_are_read_again_only_for_students_that_get_characters(tiny, tmp_path):
    with tiny_lab(tmp_path) as lab:
        arms = direct_arms(lab.recipe, "direct")
        check_chain_arms(lab, arms)
        assert list(lab.job(0, tmp_path).texts) == []
        tiny("t5").save(tmp_path / "octal")  # knows no 8 and no 9
        other = replace(lab, base_folder=tmp_path / "octal", check_student=None)
        other.adds_characters = True
        check_chain_arms(other, arms)
        assert other.check_student.drive.characters
        assert other.job(0, tmp_path).texts == lab.data.texts != []
