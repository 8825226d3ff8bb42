"""Every arm against a reader on loopback: what it costs, what the page shows, what the rows must
hold, and which student is handed out."""

from __future__ import annotations

import zlib
from pathlib import Path
from types import SimpleNamespace

import pytest

from loopback import completion
from smallsteps.errors import RecipeError, TeacherError, UserError
from smallsteps.experiment.grading import GradedArm, best_student
from smallsteps.experiment.trained import Trained
from smallsteps.methods.guided.arms import GuidedArm
from smallsteps.methods.guided.config import arm_names
from smallsteps.methods.guided.rationales import GuidedAnswer
from smallsteps.report.page import write_page
from smallsteps.report.terminal import results_table
from smallsteps.tasks.facts import make_chains
from smallsteps.tasks.files import write_rows
from tiny_guided import KEY, facts_reader, name_rows, names_reader
from tiny_runs import rows_of

WITHOUT_A_WRITER = (
    "guided-standard",
    "guided-cot",
    "guided-cot-sc",
    "guided-gold-facts",
    "guided-random-context",
)


def test_every_arm_runs_and_says_what_it_cost(recipe_of, run_recipe, tmp_path, server):
    # those that end in -confidence need the reader's weights
    arms = [arm for arm in arm_names() if not arm.endswith("-confidence")]
    results = run_recipe(recipe_of(arms=arms))
    assert [arm.name for arm in results.arms] == arms
    assert {arm.method for arm in results.arms} == {"guided"}
    part = results.methods["guided"]
    for row in part.guidance:
        assert sum(row.turned.values()) == 6
        assert (row.small_tokens > 0) == (row.arm not in WITHOUT_A_WRITER), row.arm
        assert (row.large_tokens > 0) == (row.arm != "guided-small"), row.arm
    guidance = {row.arm: row for row in part.guidance}
    both, voting = guidance["guided-both"], guidance["guided-both-sc"]
    assert voting.small_tokens > both.small_tokens, "samples are paid for"
    assert guidance["guided-cot-sc"].large_tokens == 2 * guidance["guided-cot"].large_tokens
    values = {arm.name: arm.value for arm in results.arms}
    assert values["guided-cot"] == values["guided-cot-sc"] == values["guided-gold-facts"] == 100
    assert part.yields == {"replies": 12, "parsed": 12, "right": 12, "kept": 12}
    refined = [f"guided-{kind}" for kind in ("aspects", "task", "both", "raft", "dpo")]
    assert [row.arm for row in part.refinement] == refined
    for row in part.refinement:
        assert row.steps == 2 and row.stopped is None
        assert {"reward", "kl", "no_signal"} <= set(row.last)
    assert [arm.name for arm in results.arms if arm.control] == [
        arm for arm in arms if arm.endswith(("-gold", "-other", "-masked", "-facts", "-context"))
    ]
    assert results.best.name in ("guided-unfiltered", "guided-distilled", *refined)
    assert (tmp_path / "run" / results.best.folder / "config.json").is_file(), (
        "what `smallsteps guide --guide` takes"
    )
    against = [(row.arm, row.against) for row in results.comparisons]
    assert ("guided-both", "guided-standard") in against
    assert ("guided-distilled", "guided-standard") in against
    assert ("guided-both", "guided-distilled") in against
    page = write_page(tmp_path / "run").read_text()
    rows = rows_of(tmp_path / "run/arms/guided-both-seed0/page/guided.jsonl")
    assert all(len(row["quality"]) == 8 for row in rows)
    assert all(None not in row["quality"].values() for row in rows), "all eight aspects"
    assert "Refinement" in page and "wrong → right" in page
    assert "built-in" not in page and KEY not in page
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()


def facts_reader_and_judge(body, times):
    """The reader, and the judge `j`, which gives 2 to 4."""
    if body["model"] != "j":
        return facts_reader(body, times)
    return 200, completion(f"Score: {2 + len(body['messages'][-1]['content']) % 3}"), {}


def judged_by(recipe_of, server, tmp_path, arms, **judge):
    server.answer = facts_reader_and_judge
    settings = {"name": "endpoint:j", "base_url": server.url}
    settings |= {"store": str(tmp_path / "ratings.sqlite"), **judge}
    guided = recipe_of().guided.model_dump()
    return recipe_of(arms=arms, guided={**guided, "judge": settings})


def test_a_chat_model_judges_and_rewards_and_no_rating_is_bought_twice(
    recipe_of, run_recipe, tmp_path, server
):
    arms = ["guided-standard", "guided-cot", "guided-both", "guided-distilled-quality"]
    recipe = judged_by(recipe_of, server, tmp_path, arms)
    results = run_recipe(recipe)
    part = results.methods["guided"]
    assert {row.judge for row in part.judge} == {"endpoint:j"}, "measured, on bundled facts too"
    (reasoned,) = [row for row in part.guidance if row.arm == "guided-cot"]
    assert 0.25 <= reasoned.quality["factuality"] <= 0.75 and "fluency" in reasoned.quality
    rated = [body for body in server.bodies if body["model"] == "j"]
    texts = [str(body["messages"]) for body in rated]
    assert len(set(texts)) == len(texts) and {body["max_tokens"] for body in rated} == {64}
    assert all("fluency" not in text and "readability" not in text for text in texts)
    run_recipe(recipe, "again")
    assert sum(body["model"] == "j" for body in server.bodies) == len(rated)


def test_a_judge_without_a_key_or_beyond_its_limit_ends_the_run_before_any_training(
    recipe_of, run_recipe, tmp_path, server
):
    arms = ["guided-standard", "guided-distilled"]
    elsewhere = judged_by(recipe_of, server, tmp_path, arms, base_url="https://nobody.invalid/v1")
    with pytest.raises(RecipeError, match="OPENAI_API_KEY goes to"):
        run_recipe(elsewhere)
    limited = judged_by(recipe_of, server, tmp_path, arms, calls=30)
    with pytest.raises(TeacherError, match=r"judge 'j': .*limit of 30 calls"):
        run_recipe(limited, "limited")
    assert sum(body["model"] == "j" for body in server.bodies) == 30
    for folder in ("run", "limited"):
        assert not list((tmp_path / folder).glob("seed*/distilled"))
    more = judged_by(recipe_of, server, tmp_path, arms, calls=3000)
    assert run_recipe(more, "limited").methods["guided"].judge, "the same folder goes on"


def test_a_judge_whose_ratings_cannot_be_read_ends_the_run_before_any_training(
    recipe_of, run_recipe, tmp_path, server
):
    recipe = judged_by(recipe_of, server, tmp_path, ["guided-standard", "guided-distilled"])
    server.answer = lambda body, times: (
        (200, completion("Good."), {}) if body["model"] == "j" else facts_reader(body, times)
    )
    with pytest.raises(TeacherError, match=r"ratings could be read.*guided\.judge\.prompts"):
        run_recipe(recipe)
    assert not list((tmp_path / "run").glob("seed*/distilled"))


BARE = {
    "numbers": lambda n: {
        "question": f"Who has {n} pens and {n} more? How many pens?",
        "answer": str(2 * n),
    },
    "strategyqa": lambda n: {"question": f"Is {n} even?", "answer": n % 2 == 0},
    "text": lambda n: {"question": f"What is the name of {n}?", "answer": f"name {n}"},
    "commonsenseqa": lambda n: {
        "question": f"Where is {n}?",
        "choices": [f"shop {n}", f"bank {n}"],
        "answer": f"bank {n}",
    },
}
"""Task → row of a question without a context."""


@pytest.mark.parametrize("task", BARE)
def test_a_task_without_contexts_works_and_what_needs_one_is_null(
    task, recipe_of, run_recipe, tmp_path, server
):
    rows = [{"id": str(n), **BARE[task](n)} for n in range(1, 31)]
    write_rows(tmp_path / "own.jsonl", rows)
    answers = {
        row["question"]: {True: "yes", False: "no"}.get(row["answer"], row["answer"])
        for row in rows
    }

    def reads(body, times):
        request = body["messages"][-1]["content"]
        answer = next(answer for question, answer in answers.items() if question in request)
        if "step by step" in request:
            answer = f"It says so. So it is {answer}. Prediction: {answer}"
        return 200, completion(answer), {}

    server.answer = reads
    arms = ["guided-standard", "guided-cot-sc"]
    if task == "numbers":  # the arms that look at quality and at gold answers
        arms += [
            "guided-small",
            "guided-distilled",
            "guided-both",
            "guided-distilled-quality",
            "guided-distilled-gold",
            "guided-distilled-masked",
        ]
    data = {"chains": str(tmp_path / "own.jsonl"), "task": task}
    results = run_recipe(recipe_of(arms=arms, data=data))
    by_name = {arm.name: arm for arm in results.arms}
    assert list(by_name) == arms and {arm.metric for arm in results.arms} == {"accuracy"}
    without_the_answer = ("guided-small", "guided-distilled-masked")
    assert {arm.value for arm in results.arms if arm.name not in without_the_answer} == {100}
    assert "Guidance" in write_page(tmp_path / "run").read_text()
    if "guided-distilled" in arms:
        part = results.methods["guided"]
        (quality,) = [row.quality for row in part.guidance if row.arm == "guided-distilled"]
        assert {"coherence", "readability", "fluency", "naturalness"} == set(quality)
        assert "reward_factuality" not in part.refinement[0].last
    lines = rows_of(tmp_path / f"run/arms/{arms[-1]}-seed0/page/guided.jsonl")
    assert all(row["quality"]["factuality"] is None for row in lines)
    assert all(row["quality"]["coherence"] is not None for row in lines)


# ---- what the rows must hold ----


@pytest.mark.parametrize(
    ("task", "arm", "message"),
    [
        ("numbers", "guided-gold-facts", "needs `supporting_facts` in every test row"),
        ("numbers", "guided-random-context", "needs `context` in every test row"),
        ("pet", "guided-cot", "'pet': its answers are whole texts, measured by bleu"),
    ],
)
def test_what_a_task_cannot_have_is_refused_before_the_first_call(
    task, arm, message, recipe_of, run_recipe, tmp_path, server
):
    rows = [{"id": str(n), "question": f"How many is {n}?", "answer": str(n)} for n in range(30)]
    if task == "pet":
        rows = [
            {"id": str(n), "findings": f"Brain: normal {n}.", "impression": f"Brain: normal {n}."}
            for n in range(30)
        ]
    write_rows(tmp_path / "own.jsonl", rows)
    data = {"chains": str(tmp_path / "own.jsonl"), "task": task}
    named = message if task == "pet" else f"{arm!r} {message}"
    with pytest.raises(UserError, match=named):
        run_recipe(recipe_of(arms=["guided-standard", arm], data=data))
    assert not server.bodies


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"context": None}, "context"),
        ({"context": []}, "context"),
        ({"supporting_facts": [["Nobody", 0]]}, "Nobody"),
        ({"answer": None}, "answer"),
    ],
)
def test_rows_that_cannot_be_read_are_named(recipe_of, run_recipe, tmp_path, row, message):
    rows = []
    for chain in make_chains(20, 3, 2):
        problem = chain.problem
        rows.append(
            {
                "id": problem.id,
                "question": problem.question,
                "answer": problem.answer,
                "context": [[title, list(sentences)] for title, sentences in problem.context],
                "supporting_facts": problem.meta["supporting_facts"],
            }
        )
    rows[4] = {name: value for name, value in (rows[4] | row).items() if value is not None}
    write_rows(tmp_path / "own.jsonl", rows)
    data = {"chains": str(tmp_path / "own.jsonl"), "task": "facts"}
    with pytest.raises(UserError, match=message):
        run_recipe(recipe_of(arms=["guided-standard", "guided-gold-facts"], data=data))


# ---- the run ----


def test_the_same_call_again_asks_nobody_and_changes_nothing(recipe_of, run_recipe, server):
    first = run_recipe(recipe_of())
    calls = len(server.bodies)
    assert run_recipe(recipe_of()) == first and len(server.bodies) == calls
    elsewhere = run_recipe(recipe_of(), "other")
    assert len(server.bodies) == calls, "another folder finds the replies in the store"
    assert [arm.value for arm in elsewhere.arms] == [arm.value for arm in first.arms]


def test_page_and_table_appear_where_replies_are_missing_and_nothing_is_counted(
    recipe_of, run_recipe, tmp_path, server
):
    """Empty and refused replies are wrong answers; no reply says what it cost; some hold no answer
    even when asked twice."""

    def answers(body, times):
        if body["messages"][-1]["content"] == "Prediction:":  # asked a second time
            return 200, completion("..."), {}
        status, content, headers = facts_reader(body, times)
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
    kinds = [
        "standard",
        "cot",
        "cot-sc",
        "small",
        "distilled",
        "both",
        "distilled-sc",
        "gold-facts",
    ]
    results = run_recipe(recipe_of(arms=[f"guided-{kind}" for kind in kinds]))
    part = results.methods["guided"]
    sources = {row.arm: row.read_from for row in part.guidance}
    assert any(row.get("none") for row in sources.values())
    assert sum(sources["guided-standard"].values()) == 6
    assert part.yields["replies"] == 12 > part.yields["parsed"]
    page = write_page(tmp_path / "run").read_text()
    assert "Guidance" in page and "no answer" in page
    assert results_table(results).row_count >= 8


def test_a_run_that_trains_nobody_names_no_student(recipe_of, run_recipe, tmp_path):
    results = run_recipe(recipe_of(arms=["guided-standard", "guided-cot"]))
    assert results.best is None and results.methods["guided"].yields is None
    assert "Best student" not in write_page(tmp_path / "run").read_text()


def test_a_lexical_judge_that_fails_on_real_text_ends_the_run_before_anything_is_trained(
    recipe_of, run_recipe, tmp_path, server, listener
):
    """Its scores would be rewarded. The replies are kept, and the same folder goes on where the
    recipe allows it."""
    server.answer = names_reader
    rows = [
        {name: value for name, value in row.items() if name != "supporting_facts"}
        for row in name_rows(30)
    ]
    write_rows(tmp_path / "own.jsonl", rows)
    data = {"chains": str(tmp_path / "own.jsonl"), "task": "hotpotqa"}
    with pytest.raises(
        RecipeError, match=r"lexical judge hardly tells .*: .*0\.\d\d.*judge_min_auc=0"
    ):
        run_recipe(recipe_of(data=data))
    assert len(server.bodies) == 24, "what the students learn from, and no more"
    assert not (tmp_path / "run/seed0").exists()
    unjudged = recipe_of(data=data, arms=["guided-standard", "guided-distilled", "guided-task"])
    run_recipe(unjudged, "task")
    recipe = recipe_of(data=data)
    allowed = recipe.model_copy(
        update={"guided": recipe.guided.model_copy(update={"judge_min_auc": 0.0})}
    )
    assert allowed.digest() == recipe.digest(), "the same run"
    results = run_recipe(allowed)
    assert any("AUC; 0.5 is chance" in line for line in listener.lines)
    assert any(line.strip().startswith("logicality: 0.") for line in listener.lines)
    judged = {row.aspect for row in results.methods["guided"].judge}
    assert judged >= {"factuality", "logicality", "consistency"}
    assert "perturbation" in write_page(tmp_path / "run").read_text()


# ---- which student is handed out ----


class StagesOf:
    """The stages of arms that are trained and have answered, and their writers; nothing is on
    disk."""

    def __init__(self, out: Path, names: list[str], validation: dict[tuple[str, int], float]):
        self.out, self.names, self.validation = out, names, validation
        self.writers = self

    def answers(self, kind, seed):
        return [GuidedAnswer("p", "7", "So it is 7.", "direct", 5, 5)]

    def quality(self, answers, seed):
        return None

    def student(self, name, seed):
        return self.out / f"seed{seed}/{name}"

    def fitted(self, name, seed):
        value = self.validation.get((name, seed))
        rows = [{"tokens": 9, "passes": 1.0, "seconds": 1.0, "evaluation_seconds": 2.0}]
        return Trained({}, 9, 1.0, 1.0, value, rows, 1e-3)

    def refined(self, name, seed):
        return SimpleNamespace(best=SimpleNamespace(value=self.validation[name, seed]))


def handed_out(out, names, validation, seeds=(0,)):
    """The student that a run of these arms (without prefix) hands out."""
    lab = SimpleNamespace(run=SimpleNamespace(path=out))
    stages = StagesOf(out, names, validation)
    arms = [GuidedArm(f"guided-{name}", stages) for name in names]
    graded = [
        GradedArm(arm, seed, arm.run(lab, seed), None, {}, {}, None, "")
        for seed in seeds
        for arm in arms
    ]
    return best_student(lab, graded)


def test_arm_and_seed_are_chosen_on_validation_alone(tmp_path):
    validation = {
        ("distilled", 0): 40.0,
        ("distilled", 1): 42.0,
        ("both", 0): 44.0,
        ("both", 1): 43.0,
    }
    chosen = handed_out(tmp_path, ["standard", "distilled", "both"], validation, seeds=(0, 1))
    assert (chosen.name, chosen.seed, chosen.folder) == ("guided-both", 0, "seed0/both")
    assert chosen.validation == 44.0


def test_what_answers_alone_and_what_votes_is_not_handed_out_while_a_student_guides(tmp_path):
    validation = {("small", 0): 90.0, ("distilled", 0): 10.0}
    names = ["standard", "small", "distilled", "distilled-sc"]
    assert handed_out(tmp_path, names, validation).name == "guided-distilled"
    assert handed_out(tmp_path, names[:2], validation).name == "guided-small"
    controls = ["standard", "small", "untrained", "random-context"]
    assert handed_out(tmp_path, controls, validation).name == "guided-small", "nobody else trains"


def test_where_nothing_was_trained_there_is_no_choice(tmp_path):
    assert handed_out(tmp_path, ["standard", "cot", "untrained"], {}) is None


def test_a_refined_student_costs_what_the_distilled_one_did_and_has_no_curve(tmp_path):
    """The evaluations of the distillation are those of another student."""
    lab = SimpleNamespace(run=SimpleNamespace(path=tmp_path))
    stages = StagesOf(tmp_path, ["distilled", "both"], {("both", 0): 44.0})
    distilled, refined = (
        GuidedArm(f"guided-{name}", stages).run(lab, 0).cost for name in ("distilled", "both")
    )
    assert [point.tokens for point in distilled["curve"]] == [9]
    assert refined == {**distilled, "curve": []}
