"""`answer-only`: targets are the answer sentences that the task itself reads back."""

from pathlib import Path

import pytest

from smallsteps.errors import DataError
from smallsteps.experiment.outcome import ChainSelection
from smallsteps.methods.baselines.answer_only import AnswerOnlyArm, answers_alone
from smallsteps.records import Chain, Problem, Rationale
from smallsteps.tasks import TASKS, get_task
from smallsteps.tasks.files import read_problems
from tiny_labs import tiny_lab

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"
GENERATED = sorted(name for name, task in TASKS.items() if task.generate)


def chain_of(id="p", answer="7", rationale="r", **problem):
    text = f"3 + 4 = 7. The answer is {answer}."
    return Chain(Problem(id, "How many?", answer, **problem), Rationale(rationale, id, text))


@pytest.mark.parametrize("name", GENERATED)
def test_every_bundled_gold_answer_is_read_back_from_its_target(name):
    task = TASKS[name]
    chains = task.generate(200, 5, "medium")
    for chain in answers_alone(chains, task):
        read = task.extract(chain.rationale.text, False, chain.problem)
        assert task.same(read, chain.problem.answer), chain.rationale.text
        assert task.ends_chain(chain.rationale.text, chain.problem)


@pytest.mark.parametrize(
    ("name", "answer", "problem", "target"),
    [
        ("gsm8k", "1,000", {}, "The answer is 1,000."),
        ("asdiv", "3:30 p.m.", {}, "The answer is 3:30 p.m."),
        ("strategyqa", "yes", {}, "The answer is yes."),
        ("text", "Mount Everest", {}, "The answer is Mount Everest."),
        ("commonsenseqa", "B", {"choices": ("river bank", "desk")}, "The answer is desk."),
        ("gsm8k-zh", "7", {}, "答案是7。"),
    ],
)
def test_the_target_is_the_closing_in_the_words_of_the_task(name, answer, problem, target):
    task = get_task(name)
    (chain,) = answers_alone([chain_of(answer=answer, **problem)], task)
    assert chain.rationale.text == target
    read = task.extract(target, False, chain.problem)
    assert any(task.same(read, gold) for gold in (task.gold(chain.problem), answer))


def test_a_question_with_several_chains_is_learnt_once_and_gold_segments_are_dropped():
    first, second = chain_of(rationale="a"), chain_of(rationale="b")
    other = chain_of("q", "8", "c")
    kept = list(answers_alone([first, other, second], get_task("gsm8k")))
    assert [chain.rationale.id for chain in kept] == ["a", "c"]
    assert all(chain.rationale.gold == () for chain in kept)


def test_an_answer_that_cannot_be_read_back_is_named_by_its_chain():
    with pytest.raises(DataError, match=r"^r: the answer 'Seven\. Or eight' cannot be read back"):
        list(answers_alone([chain_of(answer="Seven. Or eight")], get_task("numbers")))


def test_the_student_reads_the_question_and_writes_the_answer_sentence_in_one_go(tmp_path):
    with tiny_lab(tmp_path) as lab:
        arm = AnswerOnlyArm()
        chains = lab.train_chains(ChainSelection())
        (part,) = arm.parts(lab.job(0, tmp_path), chains, chains[:2])
    golds = [f"The answer is {chain.problem.answer}." for chain in chains]
    assert [example.target for example in part.train] == golds
    assert all(example.prefix == () and example.kind is None for example in part.train)
    assert len(part.validation) == 2 and part.share == 1.0 and part.kind is None
    assert part.student.drive.path == "direct"
    assert arm.against(["direct"]) == []
    assert arm.trainings(lab.recipe, 1) == [(arm, "answer-only, seed 1")]


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not beside the repository")
@pytest.mark.parametrize(
    "place",
    ["gsm8k/train", "asdiv/test", "commonsenseqa/train", "strategyqa/train", "hotpotqa/dev"],
)
def test_every_gold_answer_of_real_data_is_read_back(place):
    task = get_task(place.split("/")[0])
    problems = read_problems(DATA / f"{place}.jsonl", task)
    chains = [Chain(p, Rationale(p.id, p.id, "x")) for p in problems]
    for chain in answers_alone(chains, task):
        read = task.extract(chain.rationale.text, False, chain.problem)
        gold = read if chain.problem.choices else chain.problem.answer
        assert read is not None and task.same(read, gold), chain
