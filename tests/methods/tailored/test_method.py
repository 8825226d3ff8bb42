"""Tailored learning: what is asked, what is learnt, what arms cost, and that a run killed anywhere
ends the same."""

from __future__ import annotations

import json
import re
from contextlib import closing

import pytest
import yaml

from loopback import completion
from smallsteps.errors import DataError, RecipeError, TeacherError
from smallsteps.experiment.recipe import TailoredSettings, load_recipe, make_recipe
from smallsteps.experiment.results import read_results
from smallsteps.generation.access import Access
from smallsteps.generation.replies import ReplyStore
from smallsteps.methods.tailor import tailor
from smallsteps.methods.tailored.exam import Paper
from smallsteps.methods.tailored.method import (
    Bought,
    Lessons,
    collected,
    contrasts,
    fate,
    feedback_lessons,
    first_lessons,
    further_lessons,
    rationale_of,
    stop_reason,
    taught_up_to,
)
from smallsteps.records import Chain
from smallsteps.report.page import write_page
from smallsteps.tasks import get_task
from smallsteps.tasks.stories import make_chains
from smallsteps.teaching.lessons import TeacherReply
from smallsteps.teaching.story_solver import StorySolver
from tiny_runs import TINY_STUDENT, Listener, lasting, rows_of

TASK = get_task("stories")
WORDS = TailoredSettings()
PROBLEMS = [chain.problem for chain in make_chains(6, 5, "easy")]


def bought(id, round, text="The answer is 1.", problem="p", **more):
    return Bought(id, problem, round, text, **more)


# ---- what the teacher is asked ----


def test_feedback_is_asked_for_finished_mistakes_and_shows_them():
    papers = [
        Paper(PROBLEMS[0].id, 1, ("wrong", "worse"), 0, 4),
        Paper(PROBLEMS[1].id, 4, (), 0, 4),
    ]
    lessons = feedback_lessons(PROBLEMS, papers, 2, WORDS)
    assert [(one.problem, one.attempt) for one in lessons] == [(PROBLEMS[0], "wrong")]
    two = feedback_lessons(PROBLEMS, papers, 2, words(mistakes=3))
    assert [one.attempt for one in two] == ["wrong", "worse"] and len({one.id for one in two}) == 2


def words(**changes):
    return TailoredSettings(**{**WORDS.model_dump(), **changes})


def test_what_is_asked_again_without_a_mistake_is_a_sample_nobody_asked_for():
    had = [
        bought(one.id, 0, problem=one.problem.id, sample=one.sample)
        for one in first_lessons(PROBLEMS, words(rationales=2))
    ]
    further = further_lessons(PROBLEMS, had, 1, seed=0)
    first, second = ([next(further) for _ in PROBLEMS] for _ in range(2))
    assert {one.sample for one in first} == {2} and {one.sample for one in second} == {3}
    assert sorted(one.problem.id for one in first) == sorted(p.id for p in PROBLEMS)
    assert [one.problem for one in first] != PROBLEMS
    again = bought(
        f"{PROBLEMS[0].id}/0.1~1", 0, problem=PROBLEMS[0].id, sample=3
    )  # a reply that was asked for again
    own = [
        one
        for one, _ in zip(
            further_lessons(PROBLEMS, [*had, again], 1, 0, hint=True), PROBLEMS, strict=False
        )
    ]
    assert {one.sample for one in own if one.problem == PROBLEMS[0]} == {4} and all(
        one.hint for one in own
    )


@pytest.mark.parametrize("allowance", [0, 1, 150, 1000])
def test_a_portion_of_teaching_ends_where_its_tokens_are_spent(allowance):
    found = taught_up_to(
        allowance, further_lessons(PROBLEMS, [], 1, 0), StorySolver(), TASK, WORDS, 1
    )
    spent = [one.tokens for one in found]
    assert sum(spent) >= allowance or allowance == 0
    assert sum(spent[:-1]) < max(allowance, 1), "the reply before the last left something to spend"


def test_a_teacher_with_nothing_to_say_ends_it():
    class Silent:
        name = "silent"

        def explain(self, lessons):
            yield from (TeacherReply(lesson, None, "no reply") for lesson in lessons)

    found = taught_up_to(1000, further_lessons(PROBLEMS, [], 1, 0), Silent(), TASK, WORDS, 1)
    assert 1 <= len(found) <= 2 and all(one.dropped for one in found)


# ---- what is learnt ----


def test_rationales_gather_over_rounds_up_to_a_cap_each_text_once():
    every = [
        bought("a", 0, "x"),
        bought("b", 1, "y"),
        bought("c", 1, "x"),
        bought("d", 2, None, dropped="wrong answer"),
        bought("e", 2, "z"),
        bought("f", 2, "z", problem="q"),
    ]
    assert [one.id for one in collected(every, WORDS)] == ["a", "b", "e", "f"]
    assert [one.id for one in collected(every, words(cap=2))] == ["b", "e", "f"]
    assert [one.id for one in collected(every, words(collect="replace"))] == ["e", "f"]


@pytest.mark.parametrize("segments", [None, "inter"])
def test_a_contrast_has_other_right_texts_of_its_question_and_its_mistakes(segments):
    problem, other = PROBLEMS[:2]
    texts = [
        "Ann has 3 pens, so she has 3. The answer is 3.",
        "She has 3. The answer is 3.",
        "The answer is 5.",
    ]
    chains = [
        Chain(own, rationale_of(bought(str(n), 0, text, own.id)))
        for n, (own, text) in enumerate(zip([problem, problem, other], texts, strict=True))
    ]
    found = contrasts(TASK, Lessons(chains, {problem.id: ("so 9. The answer is 9.",)}), segments)
    joined = {
        name: [" ".join(t for _, t in own) for own in c.positives] for name, c in found.items()
    }
    assert joined == {"0": [texts[1]], "1": [texts[0]], "2": []}
    assert [len(found[name].negatives) for name in "012"] == [1, 1, 0]
    assert found["0"].question == TASK.render(problem)
    kinds = {kind for own in found["0"].positives for kind, _ in own}
    assert kinds == {None} if segments is None else kinds <= {"ES", "AS"}
    assert contrasts(TASK, Lessons(chains, {}), segments) == {}


def test_when_to_stop():
    papers = [Paper("a", 0, ("x",), 0, 4), *(Paper(str(n), 4, (), 0, 4) for n in range(99))]
    unfinished = [Paper("a", 0, (), 4, 4)]
    gain = words(min_gain=1.0)
    assert stop_reason(1, papers, [0, 50], [], WORDS) is None
    assert stop_reason(0, unfinished, [0], [], WORDS) is None, (
        "who finishes no chain makes no mistake, and fails"
    )
    assert stop_reason(3, papers, [0, 50], [], WORDS) == "3 rounds are over"
    assert stop_reason(1, papers, [0, 50], [], words(rounds=1)) == "1 round is over"
    assert "less than 2 %" in str(stop_reason(1, papers, [0, 50], [], words(min_failed=2)))
    assert stop_reason(1, papers, [50, 50], [], gain) is None, (
        "the first student has no student before it"
    )
    assert "gained 0.5 points" in str(stop_reason(2, papers, [0, 50, 50.5], [], gain))
    unpaid = [bought("a", 0), bought("b", 0, None, dropped="not asked: limit of 5 calls: 5 spent")]
    assert "budget is spent" in str(stop_reason(1, papers, [0, 50], unpaid, WORDS))


def test_mistakes_are_repaired_and_broken_again():
    def exam(*mistaken):
        return [Paper(str(n), 0, ("x",) if wrong else (), 0, 1) for n, wrong in enumerate(mistaken)]

    assert fate(exam(True, True, False, False), exam(True, False, False, True)) == (1, 1)


# ---- the run ----


def content(**sections):
    base = {
        "arms": ["full"],
        "data": {
            "task": "stories",
            "count": 10,
            "validation_count": 3,
            "test_count": 3,
            "difficulty": "easy",
        },
        "student": {"name": "bundled"},
        "tailored": {"rounds": 2, "rationales": 2, "samples": 2},
        "train": {"budget": 4000, "evaluations": 1, "update_examples": 8, "learning_rate": 1e-3},
        "evaluation": {"batch_size": 32, "bootstrap": 100},
    }
    for name, value in sections.items():
        base[name] = {**base.get(name, {}), **value} if isinstance(value, dict) else value
    return base


@pytest.fixture(autouse=True)
def own_store(monkeypatch, tmp_path):
    monkeypatch.setattr("smallsteps.generation.settings.STORE", tmp_path / "replies.sqlite")


@pytest.fixture(scope="module")
def four_arms(tmp_path_factory):
    place = tmp_path_factory.mktemp("four")
    recipe = make_recipe(
        content(
            arms=["t0-only", "full", "blind", "no-contrast"],
            tailored={"teacher": {"store": str(place / "s")}},
        )
    )
    return recipe, place / "run", tailor(recipe, place / "run")


def rounds_of(results):
    """(arm, round) → the record of that round."""
    return {(row.arm, row.round): row for row in results.methods["tailored"].rounds}


def test_arms_cost_the_same_teacher_and_training_tokens(four_arms):
    _, _, found = four_arms
    rows = rounds_of(found)
    assert [arm.name for arm in found.arms] == ["t0-only", "full", "blind", "no-contrast"]
    dearest = 130
    for arm in ("t0-only", "blind"):
        for number in (1, 2):
            paid, wanted = (
                rows[arm, number].teacher_tokens,
                rows["full", number].teacher_tokens,
            )
            assert wanted <= paid <= wanted + dearest, "the last reply may go over"
    for arm in ("t0-only", "blind", "no-contrast"):
        assert rows[arm, 2].train_tokens == pytest.approx(rows["full", 2].train_tokens, rel=0.2)
    assert rows["full", 1].usable > 0 and rows["no-contrast", 2].usable is None


def test_tokens_of_positives_and_negatives_are_counted_beside_the_anchors(four_arms):
    _, _, found = four_arms
    rows = rounds_of(found)
    assert found.methods["tailored"].equal == "anchors"
    assert rows["full", 1].all_tokens > 1.3 * rows["full", 1].train_tokens
    assert rows["no-contrast", 1].all_tokens == rows["no-contrast", 1].train_tokens
    arm = next(arm for arm in found.arms if arm.name == "full")
    assert arm.all_tokens == sum(rows["full", number].all_tokens for number in (1, 2))


def test_arms_can_be_equal_in_all_tokens(tmp_path):
    recipe = make_recipe(content(arms=["full", "no-contrast"], tailored={"equal": "all"}))
    found = tailor(recipe, tmp_path / "run")
    rows = rounds_of(found)
    for number in (1, 2):
        full, plain = rows["full", number], rows["no-contrast", number]
        assert plain.all_tokens == pytest.approx(full.all_tokens, rel=0.2)
        assert plain.train_tokens > 1.2 * full.train_tokens
    assert "all tokens" in write_page(tmp_path / "run").read_text(encoding="utf-8")


def test_the_rounds_lie_in_the_run_folder_as_they_were_returned(four_arms):
    _, out, found = four_arms
    assert read_results(out) == found
    full = [row for row in found.methods["tailored"].rounds if row.arm == "full"]
    assert [row.round for row in full] == [0, 1, 2]
    assert full[0].calls == 0 and full[1].calls == 20 and full[1].kept == 20
    assert {row.against for row in found.comparisons} == {"full"}
    arm = next(arm for arm in found.arms if arm.name == "full")
    assert (out / arm.student / "config.json").is_file()


def test_each_question_has_its_fate_and_each_rationale_its_lineage(four_arms):
    _, out, _ = four_arms
    fates = rows_of(out / "arms/full-seed0/fates.jsonl")
    assert len(fates) == 10 and all(len(row["mistaken"]) == 3 for row in fates)
    for row in fates:
        feedback = [one for one in row["rationales"] if one["round"] == 1]
        assert len(feedback) == row["mistaken"][1]
        assert all(one["mistake"] == row["wrong"][1] for one in feedback)
    blind = rows_of(out / "arms/blind-seed0/fates.jsonl")
    assert not any(one.get("mistake") for row in blind for one in row["rationales"])


def test_arms_that_learn_the_same_share_a_student(four_arms):
    _, out, _ = four_arms
    assert sorted(p.name for p in (out / "start/seed0").iterdir()) == [
        "round-0",
        "round-1-plain",
        "round-1-triplet",
    ]


def test_the_same_call_again_asks_nobody_and_changes_nothing(four_arms, monkeypatch):
    recipe, out, found = four_arms

    def nobody(*_):
        raise AssertionError("asked again")

    monkeypatch.setattr(StorySolver, "explain", nobody)
    assert tailor(recipe, out) == found


@pytest.mark.parametrize(
    "more", [{"segments": "inter"}, {"contrast": "dpo", "collect": "replace"}, {"start": "restart"}]
)
def test_other_words_run_too(tmp_path, more):
    found = tailor(make_recipe(content(tailored=more)), tmp_path / "run")
    rounds = found.methods["tailored"].rounds
    assert [row.round for row in rounds] == [0, 1, 2]
    assert "segments" in more or rounds[1].usable > 0
    drive = json.loads((tmp_path / "run" / found.best.folder / "smallsteps.json").read_text())
    assert ((drive["max_segments"] or 0) > 2) == ("segments" in more), (
        "from the longest chain it learnt from"
    )


def test_a_run_killed_anywhere_ends_the_same(command, tmp_path):
    (tmp_path / "recipe.yaml").write_text(
        yaml.safe_dump(
            content(
                arms=["full", "t0-only"], tailored={"teacher": {"store": str(tmp_path / "store")}}
            )
        )
    )
    arguments = ("run", str(tmp_path / "recipe.yaml"), "--threads", "1", "--out")
    assert command(*arguments, str(tmp_path / "whole")) == 0, command.errors()
    cut = str(tmp_path / "cut")
    for point in (
        "before-manifest:start/seed0/round-0/exam/block-000",
        "after:start/lessons",
        "before-manifest:start/seed0/round-1-triplet/training",
        "before-manifest:arms/full-seed0/lessons-1",
        "before-manifest:arms/t0-only-seed0/round-2/test",
        "after:results",
    ):
        assert command(*arguments, cut, fail_at=point) == -9, f"{point}: {command.errors()}"
    assert command(*arguments, cut) == 0, command.errors()
    whole, other = (lasting(read_results(tmp_path / name)) for name in ("whole", "cut"))
    assert whole == other
    assert (tmp_path / "cut/report.html").is_file()
    for name in ("fates.jsonl", "grades.jsonl"):
        path = f"arms/full-seed0/{name}"
        assert (tmp_path / "whole" / path).read_text() == (tmp_path / "cut" / path).read_text()


def causal_student(tiny, folder):
    """A tiny causal student with room for demonstrations, saved."""
    student = tiny("llama")
    student.model.config.max_position_embeddings = 2048
    student.save(folder)
    return str(folder)


def test_demonstrations_are_training_questions_and_go_with_the_student(tmp_path, tiny):
    recipe = make_recipe(
        content(
            student={"name": causal_student(tiny, tmp_path / "student")},
            tailored={"demonstrations": 2, "rounds": 1},
            train={"overlong": "drop", "source_limit": 2000, "target_limit": 2000},
        )
    )
    tailor(recipe, tmp_path / "run")
    trained = rows_of(tmp_path / "run/start/lessons/bought.jsonl")
    right = {row["text"] for row in trained if "dropped" not in row}
    folder = read_results(tmp_path / "run").best.folder
    drive = json.loads((tmp_path / "run" / folder / "smallsteps.json").read_text())
    questions = {row["question"] for row in rows_of(tmp_path / "run/data/train.jsonl")}
    assert len(drive["demonstrations"]) == 2
    for question, rationale in drive["demonstrations"]:
        assert rationale in right and question in questions


def test_demonstrations_are_refused_for_an_encoder_decoder_before_the_teacher_is_asked(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(StorySolver, "explain", lambda *_: pytest.fail("asked"))
    recipe = make_recipe(content(tailored={"demonstrations": 2}))
    with pytest.raises(
        RecipeError, match="bundled is an encoder-decoder: demonstrations are for causal"
    ):
        tailor(recipe, tmp_path / "run")


PUBLISHED = [
    f"tailored/{name}"
    for name in ("gsm8k", "svamp", "multiarith", "commonsenseqa", "strategyqa", "own")
]
PUBLISHED += [f"{name}-causal" for name in PUBLISHED if name != "tailored/own"]
QUESTIONS = {
    "commonsenseqa": {
        "question": "Where is {n} at home?",
        "choices": ["river", "zoo"],
        "answer": "river",
    },
    "strategyqa": {"question": "Is {n} a number?", "answer": "yes"},
}
"""Rows of tasks whose answers are no numbers."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_recipe_runs_with_stand_ins(name, tmp_path, tiny):
    """A tiny student, a few questions and a file of replies; all other words as they stand."""
    task = load_recipe(name).data.task
    row = QUESTIONS.get(task, {"question": "What is {n} plus 1?", "answer": "{n1}"})
    rows = []
    for n in range(12):
        texts = {k: v.format(n=n, n1=n + 1) if isinstance(v, str) else v for k, v in row.items()}
        rows.append({"id": f"q{n}", **texts})
    replies = [
        {"id": row["id"], "rationale": f"We {word}. The answer is {row['answer']}."}
        for row in rows
        for word in ("count", "look")
    ]
    for file, found in (("questions", rows), ("replies", replies)):
        (tmp_path / f"{file}.jsonl").write_text("".join(json.dumps(one) + "\n" for one in found))
    own = [
        f"data.chains={tmp_path / 'questions.jsonl'}",
        f"tailored.teacher.name={tmp_path / 'replies.jsonl'}",
        "data.test=null",
    ]
    small = [
        "seeds=[0]",
        "train.budget=900",
        "train.evaluations=1",
        "evaluation.bootstrap=100",
        "tailored.rounds=2",
        f"student.scratch={json.dumps(TINY_STUDENT)}",
    ]
    if name.endswith("-causal"):
        small[-1] = f"student.name={causal_student(tiny, tmp_path / 'student')}"
    recipe = load_recipe(name, [*own, *small])
    found = tailor(recipe, tmp_path / "run")
    assert [arm.name for arm in found.arms] == recipe.arms
    assert found.methods["tailored"].rounds[1].kept > 0


# ---- what is refused ----


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": ["ful"]}, "unknown arm 'ful' of tailored learning.*full"),
        ({"arms": ["t0-only"]}, "name it among them"),
        ({"tailored": {"segments": "ent"}}, "none of inter, bleu, rouge"),
        ({"tailored": {"round": 2}}, "unknown key 'tailored.round'.*rounds"),
        ({"tailored": {"teacher": {"nam": "x"}}}, "unknown key 'tailored.teacher.nam'.*name"),
        ({"train": {"budget": None}}, "needs train.budget"),
    ],
)
def test_words_that_cannot_be_are_refused(changes, message):
    with pytest.raises(RecipeError, match=message):
        make_recipe(content(**changes))


def test_questions_without_answers_are_no_exam(tmp_path):
    (tmp_path / "q.jsonl").write_text(
        "".join(json.dumps({"id": str(n), "question": f"{n} + 1?"}) + "\n" for n in range(20))
    )
    recipe = make_recipe(content(data={"chains": str(tmp_path / "q.jsonl"), "task": "numbers"}))
    with pytest.raises(DataError, match=r"needs gold answers.*teach"):
        tailor(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_whom_nothing_can_be_kept_ends_the_run_before_the_first_exam(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(
        "smallsteps.methods.tailored.rounds.sit",
        lambda *_, **__: pytest.fail("an exam for nothing"),
    )
    rows = [{"id": f"q{n}", "question": f"{n} + 1?", "answer": str(n + 1)} for n in range(20)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "bought.jsonl").write_text(
        "".join(
            json.dumps({"id": row["id"], "rationale": "The answer is 99."}) + "\n" for row in rows
        )
    )
    recipe = make_recipe(
        content(
            data={"chains": str(tmp_path / "q.jsonl"), "task": "numbers"},
            tailored={"rationales": 1, "teacher": {"name": str(tmp_path / "bought.jsonl")}},
        )
    )
    with pytest.raises(
        DataError, match=r"not one of \d+ rationales .* was kept \(wrong answer: \d+"
    ):
        tailor(recipe, tmp_path / "run")


def test_an_exam_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """A killed exam loses at most a block of questions."""
    import smallsteps.methods.tailored.rounds as module

    monkeypatch.setattr(module, "BLOCK", 5)
    asked = []
    real = module.sit

    def counted(student, problems, *args, **more):
        asked.append(len(problems))
        if len(asked) == 2:
            raise KeyboardInterrupt
        return real(student, problems, *args, **more)

    monkeypatch.setattr(module, "sit", counted)
    recipe = make_recipe(content(tailored={"rounds": 1}))
    with pytest.raises(KeyboardInterrupt):
        tailor(recipe, tmp_path / "run")
    asked[:] = [0, 0]
    tailor(recipe, tmp_path / "run")
    assert asked[2:] == [5, 5, 5], "the first block of the first exam was kept"


KEY = "sk-never-to-be-seen-0123456789"


def asked_over_an_endpoint(folder, server, arms, **teacher):
    """A recipe whose teacher is the server on loopback; it is right."""
    rows = [
        {"id": f"q{n}", "question": f"What is {n} + 1?", "answer": str(n + 1)} for n in range(20)
    ]
    (folder / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def answer(body, times):
        number = int(re.search(r"What is (\d+) \+ 1", body["messages"][-1]["content"])[1])
        return (
            200,
            completion(f"We add: {number} + 1 = {number + 1}. The answer is {number + 1}."),
            {},
        )

    server.answer = answer
    data = {"chains": str(folder / "q.jsonl"), "task": "numbers"}
    teacher = {"name": "m", "retries": 0, **teacher}
    return make_recipe(
        content(arms=arms, data=data, tailored={"rationales": 1, "rounds": 3, "teacher": teacher})
    )


def test_over_an_endpoint_a_budget_that_is_spent_ends_the_rounds_and_nothing_shows_the_key(
    tmp_path, server
):
    """Against a server on loopback: T_0 is bought once for all arms, the key stands in no file of
    the run."""
    store = str(tmp_path / "store")
    recipe = asked_over_an_endpoint(
        tmp_path, server, ["full", "t0-only"], base_url=server.url, store=store, calls=20
    )
    told = Listener()
    found = tailor(recipe, tmp_path / "run", told, access=Access(key=KEY))
    assert server.calls == 20, "the limit holds for all arms together"
    assert any("ends after round 2: the teacher's budget is spent" in line for line in told.lines)
    assert any("16 calls" in line for line in told.lines), (
        "the forecast comes before the first call"
    )
    assert [row.round for row in found.methods["tailored"].rounds] == [0, 1, 2, 0, 1, 2]
    for path in [*(tmp_path / "run").rglob("*"), *tmp_path.glob("store*")]:
        assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    assert KEY not in "".join(told.lines)


def test_an_exported_store_gives_the_same_run_without_a_key_and_without_a_call(
    tmp_path, server, monkeypatch
):
    monkeypatch.setattr("smallsteps.generation.settings.STORE", tmp_path / "first.sqlite")
    recipe = asked_over_an_endpoint(tmp_path, server, ["full", "t0-only"])
    tailor(recipe, tmp_path / "bought", access=Access(server.url, KEY))
    calls = server.calls
    with (
        closing(ReplyStore(tmp_path / "first.sqlite")) as first,
        closing(ReplyStore(tmp_path / "second.sqlite")) as second,
    ):
        first.export(tmp_path / "replies.jsonl")
        second.take_over(tmp_path / "replies.jsonl")
    monkeypatch.setattr("smallsteps.generation.settings.STORE", tmp_path / "second.sqlite")
    monkeypatch.setattr("smallsteps.generation.access.on_this_machine", lambda url: False)
    tailor(recipe, tmp_path / "replayed", access=Access(server.url, None))
    assert server.calls == calls
    same = 0
    for path in (tmp_path / "bought").rglob("*"):
        if (
            path.name in ("bought.jsonl", "fates.jsonl", "grades.jsonl", "model.safetensors")
            or path.name == "papers.jsonl"
        ):
            assert (
                path.read_bytes()
                == (tmp_path / "replayed" / path.relative_to(tmp_path / "bought")).read_bytes()
            ), path
            same += 1
    assert same > 10


def test_a_teacher_who_cannot_be_asked_shows_before_the_first_exam(tmp_path, server, monkeypatch):
    monkeypatch.setattr(
        "smallsteps.methods.tailored.rounds.sit", lambda *_, **__: pytest.fail("sat an exam")
    )
    nobody = asked_over_an_endpoint(tmp_path, server, ["full"], base_url="http://127.0.0.1:9/v1")
    with pytest.raises(TeacherError, match="cannot connect to"):
        tailor(nobody, tmp_path / "nobody")
    keyless = asked_over_an_endpoint(
        tmp_path, server, ["full"], base_url="https://somewhere.invalid/v1"
    )
    with pytest.raises(RecipeError, match="OPENAI_API_KEY"):
        tailor(keyless, tmp_path / "keyless")
