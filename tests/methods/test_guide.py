"""The runner: every arm against a reader on loopback, what lies in the run folder, kills, and what
is refused."""

from __future__ import annotations

import json
import re
import zlib

import pytest

from loopback import completion
from smallsteps.errors import DataError, RecipeError, TeacherError, UserError
from smallsteps.experiment.recipe import (
    GuidedSettings,
    guided_arms,
    load_recipe,
    make_recipe,
    recipe_names,
)
from smallsteps.experiment.results import read_results
from smallsteps.generation.access import Access
from smallsteps.methods.guide import guide
from smallsteps.report.page import write_page
from smallsteps.report.terminal import results_table
from smallsteps.students.loading import load_student
from smallsteps.tasks.facts import make_chains
from smallsteps.tasks.files import write_rows
from tiny_runs import TINY_STUDENT, Commands, lasting, rows_of

KEY = "sk-only-in-the-environment"
GOLD = {
    (" ".join(s for _, own in c.problem.context for s in own), c.problem.question): c
    for seed in (101, 201, 301, 501)
    for c in make_chains(80, seed, 2)
}


def content(store, **sections):
    own = {
        "arms": ["standard", "distilled", "both"],
        "data": {
            "task": "facts",
            "count": 12,
            "validation_count": 4,
            "test_count": 6,
            "difficulty": "easy",
            "split_seed": 1,
        },
        "student": {"scratch": TINY_STUDENT},
        "guided": {
            "reader": {"name": "m", "store": str(store)},
            "max_new_tokens": 12,
            "samples": 2,
            "reinforce": {"steps": 2, "prompts": 2, "samples": 2, "evaluations": 1},
        },
        "train": {"budget": 3000, "evaluations": 1, "update_examples": 4, "learning_rate": 1e-3},
        "evaluation": {"batch_size": 8, "bootstrap": 100},
    }
    for name, value in sections.items():
        both = isinstance(value, dict) and name in own
        own[name] = {**own[name], **value} if both else value
    return own


def knows(body, times, right=lambda question: True):
    """A reader that reasons well where it is asked to, and alone knows every second question; a
    rationale confuses it."""
    said = body["messages"][-1]["content"]
    chain = next(
        c for (context, question), c in GOLD.items() if context in said and question in said
    )
    answer = chain.problem.answer if right(chain.problem) else "nowhere"
    if "step by step" in said:
        return (
            200,
            completion(
                chain.rationale.text.replace("The answer is", "Prediction:").replace(
                    chain.problem.answer, answer
                )
            ),
            {},
        )
    alone = "Reasoning:" not in said and len(chain.problem.id) % 2 == 0
    return (
        200,
        completion(answer if alone or answer in said.split("Reasoning:")[-1] else "nowhere"),
        {},
    )


@pytest.fixture
def recipe_of(tmp_path, server):
    server.answer = knows

    def make(**sections):
        found = content(tmp_path / "replies.sqlite", **sections)
        found["guided"]["reader"] = {"base_url": server.url, **found["guided"]["reader"]}
        return make_recipe(found)

    return make


@pytest.fixture
def run(tmp_path):
    return lambda recipe, name="run": guide(recipe, tmp_path / name, access=Access(None, KEY))


def test_every_arm_runs_and_says_what_it_cost(recipe_of, run, tmp_path, server):
    arms = [
        arm for arm in guided_arms() if not arm.endswith("-confidence")
    ]  # needs the reader's weights
    found = run(recipe_of(arms=arms))
    assert [arm.name for arm in found.arms] == arms
    part = found.methods["guided"]
    for row in part.guidance:
        name = row.arm
        assert sum(row.turned.values()) == 6
        small_writes = name not in ("standard", "cot", "cot-sc", "gold-facts", "random-context")
        assert (row.small_tokens > 0) == small_writes, name
        assert (row.large_tokens > 0) == (name != "small"), name
    guidance = {row.arm: row for row in part.guidance}
    assert guidance["both-sc"].small_tokens > guidance["both"].small_tokens, "samples are paid for"
    assert guidance["cot-sc"].large_tokens == 2 * guidance["cot"].large_tokens
    by_name = {arm.name: arm.value for arm in found.arms}
    assert by_name["cot"] == by_name["cot-sc"] == 100 and by_name["gold-facts"] == 100
    assert part.yields == {"replies": 12, "parsed": 12, "right": 12, "kept": 12}
    assert {row.arm for row in part.refinement} == {"aspects", "task", "both", "raft", "dpo"}
    for row in part.refinement:
        assert row.steps == 2 and row.stopped is None
        assert {"reward", "kl", "no_signal"} <= set(row.last)
    assert [arm.name for arm in found.arms if arm.control] == [
        arm for arm in arms if arm.endswith(("-gold", "-other", "-masked", "-facts", "-context"))
    ]
    assert found.best.name in (
        "unfiltered",
        "distilled",
        "aspects",
        "task",
        "both",
        "raft",
        "dpo",
    )
    assert (tmp_path / "run" / found.best.folder / "config.json").is_file(), (
        "what `smallsteps guide --guide` takes"
    )
    against = {(row.arm, row.against) for row in found.comparisons}
    assert {("distilled", "standard"), ("both", "standard"), ("both", "distilled")} <= against
    page = write_page(tmp_path / "run").read_text()
    own = rows_of(tmp_path / "run/arms/both-seed0/guided.jsonl")
    assert all(None not in row["quality"].values() and len(row["quality"]) == 8 for row in own), (
        "all eight aspects"
    )
    assert (
        "Refinement" in page
        and "built-in" not in page
        and "wrong → right" in page
        and KEY not in page
    )
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()


def test_every_student_is_chosen_on_validation_and_no_step_is_a_candidate_too(
    recipe_of, run, tmp_path
):
    """By what the reader answers with its rationales; lowest training loss decides nothing."""
    found = run(
        recipe_of(
            arms=["standard", "unfiltered", "distilled", "both", "small"], train={"evaluations": 2}
        )
    )
    rows = {arm.name: arm for arm in found.arms}
    assert rows["standard"].validation is None
    for name in ("unfiltered", "distilled", "small"):
        trained = json.loads((tmp_path / f"run/seed0/{name}/trained.json").read_text())
        assert trained["validation"] == rows[name].validation
        assert 0 <= trained["validation"] <= 100
        assert rows[name].student == f"seed0/{name}/{trained['folders']['metric']}"
    (refined,) = found.methods["guided"].refinement
    assert refined.start == rows["distilled"].validation
    assert refined.value == rows["both"].validation >= refined.start
    guides = [rows[name].validation for name in ("unfiltered", "distilled", "both")]
    assert found.best.validation == max(guides)


BARE = {
    "numbers": (
        lambda n: {
            "question": f"Who has {n} pens and {n} more? How many pens?",
            "answer": str(2 * n),
        },
        (),
    ),
    "strategyqa": (lambda n: {"question": f"Is {n} even?", "answer": n % 2 == 0}, ()),
    "text": (lambda n: {"question": f"What is the name of {n}?", "answer": f"name {n}"}, ()),
    "commonsenseqa": (
        lambda n: {
            "question": f"Where is {n}?",
            "choices": [f"shop {n}", f"bank {n}"],
            "answer": f"bank {n}",
        },
        (),
    ),
}


@pytest.mark.parametrize("task", BARE)
def test_a_task_without_contexts_works_and_what_needs_one_is_null(
    task, recipe_of, run, tmp_path, server
):
    made, _ = BARE[task]
    rows = [{"id": str(n), **made(n)} for n in range(1, 31)]
    write_rows(tmp_path / "own.jsonl", rows)
    gold = {
        row["question"]: {True: "yes", False: "no"}.get(row["answer"], row["answer"])
        for row in rows
    }

    def reads(body, times):
        said = body["messages"][-1]["content"]
        answer = next(gold for question, gold in gold.items() if question in said)
        thinks = "step by step" in said
        return (
            200,
            completion(
                f"It says so. So it is {answer}. Prediction: {answer}" if thinks else answer
            ),
            {},
        )

    server.answer = reads
    arms = ["standard", "cot-sc"]
    if task == "numbers":  # the arms that look at quality and at gold answers
        arms += [
            "small",
            "distilled",
            "both",
            "distilled-quality",
            "distilled-gold",
            "distilled-masked",
        ]
    found = run(recipe_of(arms=arms, data={"chains": str(tmp_path / "own.jsonl"), "task": task}))
    rows = {arm.name: arm for arm in found.arms}
    assert list(rows) == arms and {row.metric for row in rows.values()} == {"accuracy"}
    assert {
        row.value for name, row in rows.items() if name not in ("small", "distilled-masked")
    } == {100}
    assert "Guidance" in write_page(tmp_path / "run").read_text()
    if "distilled" in arms:
        part = found.methods["guided"]
        (quality,) = [row.quality for row in part.guidance if row.arm == "distilled"]
        assert {"coherence", "readability", "fluency", "naturalness"} == set(quality)
        assert "reward_factuality" not in part.refinement[0].last
    lines = rows_of(tmp_path / f"run/arms/{arms[-1]}-seed0/guided.jsonl")
    assert all(row["quality"]["factuality"] is None for row in lines)
    assert all(row["quality"]["coherence"] is not None for row in lines)


@pytest.mark.parametrize(
    ("task", "arms", "message"),
    [
        (
            "numbers",
            ["standard", "gold-facts"],
            "'gold-facts' needs `supporting_facts` in every test row",
        ),
        (
            "numbers",
            ["standard", "random-context"],
            "'random-context' needs `context` in every test row",
        ),
        ("pet", ["standard"], "'pet': its answers are whole texts, measured by bleu"),
    ],
)
def test_what_a_task_cannot_have_is_refused_before_the_first_call(
    task, arms, message, recipe_of, run, tmp_path, server
):
    rows = [{"id": str(n), "question": f"How many is {n}?", "answer": str(n)} for n in range(30)]
    if task == "pet":
        rows = [
            {"id": str(n), "findings": f"Brain: normal {n}.", "impression": f"Brain: normal {n}."}
            for n in range(30)
        ]
    write_rows(tmp_path / "own.jsonl", rows)
    with pytest.raises(UserError, match=message):
        run(recipe_of(arms=arms, data={"chains": str(tmp_path / "own.jsonl"), "task": task}))
    assert not server.bodies


def test_the_same_call_again_asks_nobody_and_changes_nothing(recipe_of, run, server):
    first = run(recipe_of())
    asked = len(server.bodies)
    assert run(recipe_of()) == first and len(server.bodies) == asked
    elsewhere = run(recipe_of(), "other")
    assert len(server.bodies) == asked, "another folder finds the replies in the store"
    assert [arm.value for arm in elsewhere.arms] == [arm.value for arm in first.arms]


def test_a_run_killed_anywhere_ends_the_same(recipe_of, tmp_path, monkeypatch, server):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    recipe = recipe_of()
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    command = Commands(tmp_path / "stderr")
    try:
        arguments = ("run", str(tmp_path / "recipe.yaml"), "--out")
        assert command(*arguments, str(tmp_path / "whole")) == 0, command.errors()
        points = (
            "before-manifest:replies",
            "before-manifest:seed0/distilled",
            "after:seed0/both",
            "before-manifest:seed0/rationales/both-1",
            "after:arms/both-seed0/outcomes",
            "after:results",
        )
        for point in points:
            assert command(*arguments, str(tmp_path / "cut"), fail_at=point) == -9, (
                f"{point}: {command.errors()}"
            )
        assert command(*arguments, str(tmp_path / "cut")) == 0, command.errors()
    finally:
        command.close()
    whole, cut = (lasting(read_results(tmp_path / name)) for name in ("whole", "cut"))
    assert whole == cut
    texts = [
        [
            row["rationale"]
            for row in rows_of(tmp_path / name / "arms/both-seed0/outcomes/outcomes.jsonl")
        ]
        for name in ("whole", "cut")
    ]
    assert texts[0] == texts[1] and (tmp_path / "cut/report.html").is_file()


def test_wrong_replies_are_not_learnt_and_unfiltered_learns_them(recipe_of, run, tmp_path, server):
    server.answer = lambda body, times: knows(
        body, times, lambda problem: int(problem.id.split("-")[-1]) % 2 == 0
    )
    found = run(recipe_of(arms=["standard", "unfiltered", "distilled"]))
    replies = rows_of(tmp_path / "run/replies/replies.jsonl")
    assert 0 < found.methods["guided"].yields["kept"] == sum(row["correct"] for row in replies) < 12
    assert all(
        "answer is" not in row["rationale"] and "Prediction" not in row["rationale"]
        for row in replies
    )


def test_page_and_table_appear_where_replies_are_missing_and_nothing_is_counted(
    recipe_of, run, tmp_path, server
):
    """Empty and refused replies are wrong answers; no reply says what it cost; some hold no answer
    even when asked twice."""

    def answers(body, times):
        if body["messages"][-1]["content"] == "Prediction:":  # asked a second time
            return 200, completion("..."), {}
        status, content, headers = knows(body, times)
        content.pop("usage")
        number = zlib.crc32(body["messages"][0]["content"].encode()) % 6
        if number == 0:
            content = completion("")
        elif number == 1:
            content = completion("I cannot say.")
        elif number == 2:
            content = completion(None, refusal="I must not.")
        return status, content, headers

    server.answer = answers
    found = run(
        recipe_of(
            arms=[
                "standard",
                "cot",
                "cot-sc",
                "small",
                "distilled",
                "both",
                "distilled-sc",
                "gold-facts",
            ]
        )
    )
    part = found.methods["guided"]
    sources = {row.arm: row.read_from for row in part.guidance}
    assert (
        any(row.get("none") for row in sources.values()) and sum(sources["standard"].values()) == 6
    )
    assert part.yields["replies"] == 12 > part.yields["parsed"]
    page = write_page(tmp_path / "run").read_text()
    assert "Guidance" in page and "no answer" in page
    assert results_table(found).row_count >= 8


def test_a_run_that_trains_nobody_names_no_student(recipe_of, run, tmp_path):
    found = run(recipe_of(arms=["standard", "cot"]))
    assert found.best is None
    assert "Best student" not in write_page(tmp_path / "run").read_text()


def test_what_no_arm_needs_is_not_trained(recipe_of, run, tmp_path):
    run(recipe_of(arms=["standard", "small"]))
    assert [
        path.name for path in (tmp_path / "run/seed0").iterdir() if path.name != "rationales"
    ] == ["small"]
    run(recipe_of(arms=["standard", "cot", "gold-facts"]), "bare")
    assert not (tmp_path / "bare/seed0").exists() and not (tmp_path / "bare/replies").exists()


def test_a_spent_limit_stops_with_everything_kept(recipe_of, run, server):
    recipe = recipe_of()
    reader = recipe.guided.reader.model_copy(update={"calls": 9, "concurrency": 1})
    limited = recipe.model_copy(
        update={"guided": recipe.guided.model_copy(update={"reader": reader})}
    )
    with pytest.raises(
        TeacherError, match=r"replies did not come.*not asked: .*the same command goes on"
    ):
        run(limited)
    assert len(server.bodies) == 9
    found = run(recipe)
    assert found.methods["guided"].yields["replies"] == 12
    whole = len(server.bodies)
    run(recipe_of(), "again")
    assert len(server.bodies) == whole


@pytest.mark.parametrize(
    ("said", "error", "message"),
    [
        (
            lambda body, times: (200, completion(""), {}),
            TeacherError,
            "answers none of the first 3 requests: empty reply",
        ),
        (
            lambda body, times: (200, completion("Prediction:"), {}),
            TeacherError,
            "not one of 6 replies could be read",
        ),
        (
            lambda body, times: knows(body, times, lambda problem: False),
            DataError,
            "not one of 12 replies of 'm' was right",
        ),
    ],
)
def test_a_reader_of_no_use_ends_the_run_by_name(recipe_of, run, server, said, error, message):
    server.answer = said
    arms = ["cot", "standard"] if error is TeacherError else ["standard", "distilled"]
    with pytest.raises(error, match=message):
        run(recipe_of(arms=arms))


def test_a_reader_that_cannot_be_asked_shows_before_any_training(tmp_path):
    found = content(tmp_path / "replies.sqlite")
    found["guided"]["reader"]["base_url"] = "https://nobody.invalid/v1"
    with pytest.raises(RecipeError, match="OPENAI_API_KEY"):
        guide(make_recipe(found), tmp_path / "run", access=Access(None, None))
    assert not list((tmp_path / "run").glob("seed*"))


def test_equal_rewards_and_a_runaway_student_are_named_stops(recipe_of, run, tmp_path, server):
    words = GuidedSettings.model_validate(content("x")["guided"]).model_dump()
    own = {**words, "reader": {**words["reader"], "store": str(tmp_path / "replies.sqlite")}}
    own["reader"].pop("base_url")
    dry = {**own, "reinforce": {**words["reinforce"], "steps": 6, "patience": 2, "longest": 1}}
    found = run(recipe_of(arms=["standard", "task"], guided=dry), "dry")
    (row,) = found.methods["guided"].refinement
    assert row.steps == 2 and row.stopped.startswith("no-signal")
    assert "ended early" in write_page(tmp_path / "dry").read_text()
    away = {
        **own,
        "reinforce": {
            **words["reinforce"],
            "steps": 6,
            "learning_rate": 0.05,
            "kl_limit": 1e-4,
            "longest": 500,
        },
    }
    away["max_new_tokens"] = 30
    recipe = recipe_of(arms=["standard", "aspects"], guided=away, train={"budget": 30_000})
    (row,) = run(recipe, "away").methods["guided"].refinement
    assert row.stopped.startswith(("kl", "no-signal")) and row.steps < 7


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"context": None}, "context"),
        ({"context": []}, "context"),
        ({"supporting_facts": [["Nobody", 0]]}, "Nobody"),
        ({"answer": None}, "answer"),
    ],
)
def test_rows_that_cannot_be_read_are_named(recipe_of, run, tmp_path, row, message):
    rows = []
    for chain in make_chains(20, 3, 2):
        p = chain.problem
        rows.append(
            {
                "id": p.id,
                "question": p.question,
                "answer": p.answer,
                "context": [[t, list(s)] for t, s in p.context],
                "supporting_facts": p.meta["supporting_facts"],
            }
        )
    rows[4] = {k: v for k, v in (rows[4] | row).items() if v is not None}
    write_rows(tmp_path / "own.jsonl", rows)
    with pytest.raises(UserError, match=message):
        run(
            recipe_of(
                arms=["standard", "gold-facts"],
                data={"chains": str(tmp_path / "own.jsonl"), "task": "facts"},
            )
        )


def test_a_device_that_is_not_there_shows_before_anything_is_read(recipe_of, run, server):
    with pytest.raises(RecipeError, match=r"student\.device cuda:99: "):
        run(recipe_of(student={"device": "cuda:99"}))
    assert not server.bodies


def test_a_judge_that_is_none_shows_before_the_first_call(recipe_of, run, tmp_path, server):
    load_student("bundled").save(tmp_path / "t5")
    own = {**content("x")["guided"], "judge": str(tmp_path / "t5")}
    own["reader"]["store"] = str(tmp_path / "replies.sqlite")
    with pytest.raises(UserError, match="judge"):
        run(recipe_of(guided=own))
    assert not server.bodies


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"arms": ["distiled", "standard"]}, "distiled.*distilled"),
        ({"arms": ["distilled"]}, "name it among them"),
        ({"guided": {"readr": {}}}, "guided.readr.*reader"),
        ({"tailored": {}}, "not both"),
        ({"train": {"budget": None}}, "needs train.budget"),
        (
            {"guided": {"reader": {"name": "trained"}}, "data": {"task": "hotpotqa"}},
            "bundled facts only",
        ),
        ({"guided": {"reinforce": {"estimator": "a2c"}}}, "estimator"),
    ],
)
def test_words_that_cannot_be_are_refused(tmp_path, changes, message):
    with pytest.raises(RecipeError, match=message):
        make_recipe(content(tmp_path / "x", **changes))


def test_confidence_and_uplift_need_the_weights_of_the_reader(recipe_of, run, server):
    own = {**content("x")["guided"], "reinforce": {"uplift": True}}
    own["reader"]["store"] = recipe_of().guided.reader.store
    for changes in ({"arms": ["standard", "distilled-confidence"]}, {"guided": own}):
        with pytest.raises(RecipeError, match="need the reader's weights"):
            run(recipe_of(**changes))
    assert not server.bodies


def test_a_folder_reads_and_its_weights_tell_how_sure_it_is(run, tmp_path):
    """The bundled student as reader: it reasons badly, and says something."""
    load_student("bundled").save(tmp_path / "reader")
    own = {
        **content("x")["guided"],
        "reader": {
            "name": str(tmp_path / "reader"),
            "store": str(tmp_path / "own.sqlite"),
            "cot_tokens": 40,
        },
    }
    found = run(
        make_recipe(
            content("x", arms=["standard", "untrained-confidence", "untrained-gold"], guided=own)
        )
    )
    assert all(row.large_tokens > 0 for row in found.methods["guided"].guidance)


def reply_to(body, times):
    """Right with reasoning; alone, every question twice as likely wrong."""
    said = body["messages"][-1]["content"]
    number = re.search(r"Who is (\d+)", said)[1]
    if "step by step" in said:
        return (
            200,
            completion(f"Page {number} says so. It is name {number}. Prediction: name {number}"),
            {},
        )
    return 200, completion(f"name {number}" if int(number) % 3 == 0 else "nobody"), {}


def test_a_lexical_judge_that_fails_on_real_text_ends_the_run_before_anything_is_trained(
    recipe_of, run, tmp_path, server, listener
):
    """Its scores would be rewarded. The replies are kept, and the same folder goes on where it is
    told to."""
    server.answer = reply_to
    rows = [
        {
            "id": str(n),
            "question": f"Who is {n}?",
            "answer": f"name {n}",
            "context": [[f"Page {n}", [f"Here stands name {n}."]]],
        }
        for n in range(30)
    ]
    write_rows(tmp_path / "own.jsonl", rows)
    data = {"chains": str(tmp_path / "own.jsonl"), "task": "hotpotqa"}
    with pytest.raises(
        RecipeError, match=r"lexical judge hardly tells .*: .*0\.\d\d.*judge_min_auc=0"
    ):
        run(recipe_of(data=data))
    asked = len(server.bodies)
    assert asked == 24, "what the students learn from, and no more"
    run(recipe_of(data=data, arms=["standard", "distilled", "task"]), "task")
    recipe = recipe_of(data=data)
    allowed = recipe.model_copy(
        update={"guided": recipe.guided.model_copy(update={"judge_min_auc": 0.0})}
    )
    assert allowed.digest() == recipe.digest(), "the same run"
    found = guide(allowed, tmp_path / "run", listener, access=Access(None, KEY))
    assert any("AUC; 0.5 is chance" in line for line in listener.lines)
    assert any(line.strip().startswith("logicality: 0.") for line in listener.lines)
    assert {row.aspect for row in found.methods["guided"].judge} >= {
        "factuality",
        "logicality",
        "consistency",
    }
    assert "perturbation" in write_page(tmp_path / "run").read_text()


@pytest.mark.parametrize(
    "name",
    [name for name in recipe_names() if name.startswith("guided/") and name != "guided/demo"],
)
def test_a_published_recipe_runs_with_stand_ins(name, tmp_path, server, tiny):
    """A tiny student of the same architecture, a dozen questions and a reader on loopback; all
    other words as they stand."""
    server.answer = reply_to
    rows = [
        {
            "id": str(n),
            "question": f"Who is {n}?",
            "answer": f"name {n}",
            "context": [[f"Page {n}", [f"Here stands name {n}.", "So."]]],
            "supporting_facts": [[f"Page {n}", 0]],
        }
        for n in range(12)
    ]
    write_rows(tmp_path / "own.jsonl", rows)
    published = load_recipe(name)
    if "Qwen" in published.student.name:
        tiny("qwen").save(tmp_path / "student")
        student = f"student.name={tmp_path / 'student'}"
    else:
        student = f"student.scratch={json.dumps(TINY_STUDENT)}"
    assert published.guided.judge == "cross-encoder/nli-deberta-v3-base", (
        "lexical judges fail on real text"
    )
    arms = [arm for arm in published.arms if not arm.endswith("-confidence")]
    recipe = load_recipe(
        name,
        [
            f"data.chains={tmp_path / 'own.jsonl'}",
            "data.validation=null",
            "data.test=null",
            student,
            f"arms=[{', '.join(arms)}]",
            f"guided.reader.base_url={server.url}",
            f"guided.reader.store={tmp_path / 'replies.sqlite'}",
            "seeds=[0]",
            "train.budget=600",
            "train.evaluations=1",
            "evaluation.bootstrap=100",
            "guided.samples=2",
            "guided.max_new_tokens=8",
            "guided.reinforce.steps=1",
            "guided.reinforce.prompts=2",
            "guided.reinforce.evaluations=1",
            "guided.judge=lexical",
            "guided.judge_min_auc=0",
        ],
    )
    found = guide(recipe, tmp_path / "run", access=Access(None, KEY))
    assert [arm.name for arm in found.arms] == arms and found.methods["guided"].yields["kept"] > 0
