"""The comparison with encoder-decoder students: every arm on the same data and budget, graded once,
readable after."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

import smallsteps
from smallsteps.disk import file_digest, read_manifest, write_manifest
from smallsteps.errors import DataError, RecipeError, RunFolderError
from smallsteps.experiment import job as job_module
from smallsteps.experiment.folder import run_folder
from smallsteps.experiment.further import read_test_sets
from smallsteps.experiment.job import TrainingJob
from smallsteps.experiment.regrading import regraded_further
from smallsteps.experiment.reporter import Silent
from smallsteps.experiment.results import read_results
from smallsteps.experiment.run import run
from smallsteps.experiment.run_facts import BudgetFacts
from smallsteps.methods.as_es.arms import AsEsArm
from smallsteps.students.dual import DualStudent
from smallsteps.students.loading import load
from smallsteps.students.student import Student
from tiny_runs import Listener, lasting, rows_of, tiny_content, weights

ARMS = [
    "direct",
    "ases-uni-inter",
    "ases-uni-ent",
    "ases-uni-ent*",
    "ases-cue-gold",
    "ases-dual-rouge",
    "ases-dual-loss",
    "ases-uni-bleu",
]
"""Every path and every strategy."""


NINE = {"id": "n", "question": "What is 9 plus 2?", "answer": "11"}


class Spied:
    """One run of all arms with what its parts were called with."""

    def __init__(self, out):
        self.out = out
        self.listener = Listener()
        self.fits = []
        self.cuts = []
        self.asked = []
        further = out.parent / "multiarith.jsonl"
        rows = [
            {"id": f"m{i}", "question": f"What is {i} plus 2?", "answer": str(i + 2)}
            for i in range(3)
        ]
        further.write_text("".join(json.dumps(row) + "\n" for row in rows))
        second = out.parent / "b.jsonl"
        second.write_text(json.dumps(rows[0]) + "\n" + json.dumps(rows[0] | NINE) + "\n")
        self.recipe = smallsteps.experiment.recipe.make_recipe(
            tiny_content(
                arms=ARMS,
                data={"also_test": {"multiarith": str(further), "multiarith/b": str(second)}},
                train={"budget": 3000},
                evaluation={"paper_protocol": True, "segment_bleu": True},
            )
        )
        with pytest.MonkeyPatch.context() as patch:
            self.spy(patch)
            self.results = run(self.recipe, out, self.listener)
        self.rows = {arm.name: arm for arm in self.results.arms}

    def spy(self, patch):
        fit, cut, answers = job_module.Training, AsEsArm.cut, TrainingJob.answers

        def fit_spy(student, train, validation, settings, out, **words):
            self.fits.append(
                (out.relative_to(self.out).parts[1], student, train, validation, settings)
            )
            return fit(student, train, validation, settings, out, **words)

        def cut_spy(arm, lab, seed, folder, chains, scorer):
            self.cuts.append((arm.strategy, len(chains), scorer))
            return cut(arm, lab, seed, folder, chains, scorer)

        def answers_spy(workshop, student, problems, label=None, **given):
            if not given:  # no gold prefixes
                self.asked.append((workshop.label, [problem.id for problem in problems], label))
            return answers(workshop, student, problems, label, **given)

        patch.setattr(job_module, "Training", fit_spy)
        patch.setattr(AsEsArm, "cut", cut_spy)
        patch.setattr(TrainingJob, "answers", answers_spy)


@pytest.fixture(scope="module")
def spied(tmp_path_factory):
    return Spied(tmp_path_factory.mktemp("all") / "run")


def test_every_arm_is_graded_on_the_same_problems(spied):
    assert list(spied.rows) == ARMS
    for row in spied.rows.values():
        assert row.n == 6 and 0 <= row.low <= row.value <= row.high <= 100
        assert sum(row.stopped.values()) == 6 and row.unparsed + row.missing <= 6
        assert row.seconds_per_answer > 0 and row.seconds > 0
        predictions = rows_of(spied.out / row.folder / "predictions.jsonl")
        assert [p["problem_id"] for p in predictions] == [
            p["id"] for p in rows_of(spied.out / "problems.jsonl")
        ]
        assert len(rows_of(spied.out / row.folder / "grades.jsonl")) == 6
        assert set(row.metrics) == {"bleu", "rouge_l"}
        assert all(0 <= m.low <= m.value <= m.high <= 100 for m in row.metrics.values())


def test_every_arm_trains_on_the_same_chains_and_none_on_those_it_is_measured_by(spied):
    seen = {}
    for place, _, train, validation, _ in spied.fits:
        known = seen.setdefault(place, (set(), set()))
        known[0].update(example.problem_id for example in train)
        known[1].update(example.problem_id for example in validation)
    assert len(seen) == len(ARMS)
    assert len({tuple(map(frozenset, sets)) for sets in seen.values()}) == 1
    train, validation = next(iter(seen.values()))
    test = {row["id"] for row in rows_of(spied.out / "problems.jsonl")}
    assert len(train) == 24 and len(validation) == 4
    assert not train & validation and not (train | validation) & test


def test_the_budget_ends_within_one_update_and_the_halves_of_a_pair_share_it(spied):
    budget = spied.results.budget.tokens
    assert budget == 3000
    shares = {}
    for place, _, _, _, settings in spied.fits:
        shares.setdefault(place, []).append(settings.budget)
    for row in spied.rows.values():
        own = shares[row.folder.split("/")[1]]
        assert len(own) == (2 if "dual" in row.name else 1)
        assert sum(own) == pytest.approx(budget, abs=1) and all(share > 0 for share in own)
        curves = rows_of(spied.out / row.folder / "curves.jsonl")
        halves = {curve.get("half") for curve in curves} - {"pair"}
        for half in halves:
            tokens = [curve["tokens"] for curve in curves if curve.get("half") == half]
            share = own[0] if half in (None, "ES") else own[1]
            assert tokens[-1] >= share and (len(tokens) == 1 or tokens[-2] < share), (
                "the update that reaches it is last"
            )
        assert row.train_tokens == sum(
            max(c["tokens"] for c in curves if c.get("half") == half) for half in halves
        )


def test_scorers_are_the_direct_student_of_lowest_validation_loss_and_the_untrained_one(spied):
    scorers = {strategy: scorer for strategy, _, scorer in spied.cuts}
    held = json.loads((spied.out / "arms/direct-seed0/training/trained.json").read_text())
    chosen = str(spied.out / "arms/direct-seed0/training" / held["folders"]["validation_loss"])
    assert scorers["ent"].name == scorers["loss"].name == chosen
    losses = {
        row["update"]: row["validation_loss"]
        for row in rows_of(spied.out / spied.rows["direct"].folder / "curves.jsonl")
        if row.get("validation_loss") is not None
    }
    assert chosen.endswith(f"candidate-{min(losses, key=losses.get)}")
    assert (
        scorers["ent*"].name == str(spied.out / "base" / "student")
        and scorers["ent*"].drive is None
    )
    assert all(scorers[strategy] is None for strategy in ("inter", "gold", "rouge", "bleu"))
    assert all(count == 28 for _, count, _ in spied.cuts), "training and validation chains"


def test_tokens_of_the_scorer_stand_beside_the_budget(spied):
    for name, row in spied.rows.items():
        trained = name.endswith(("-ent", "-loss"))
        assert row.scorer_tokens == (spied.rows["direct"].train_tokens if trained else None)


def test_the_test_part_is_read_once_for_the_main_figure(spied):
    test = [row["id"] for row in rows_of(spied.out / "problems.jsonl")]
    main = [
        label
        for _, ids, label in spied.asked
        if label and label.endswith(", answers") and ids == test
    ]
    assert sorted(main) == sorted(f"{name}, seed 0, answers" for name in ARMS)
    measured = [ids for _, ids, label in spied.asked if label is None]
    assert measured and all(not set(ids) & set(test) for ids in measured), (
        "choices of checkpoints see validation alone"
    )


def test_the_graded_student_is_the_one_that_validation_chose(spied):
    for row in spied.rows.values():
        held = json.loads(
            (spied.out / row.folder).parent.joinpath("training", "trained.json").read_text()
        )
        assert row.student.endswith(held["folders"]["metric"])
        assert row.validation == held["validation"]
        values = [c["metric"] for c in held["curves"] if c.get("metric") is not None]
        assert len(values) == 2 and row.validation == max(values), (
            "a dual pair is measured as a pair"
        )


def test_the_student_handed_out_is_chosen_on_validation_and_not_on_the_test_set(spied):
    best = max(spied.rows.values(), key=lambda row: row.validation)
    chosen = spied.results.best
    assert (chosen.name, chosen.folder) == (best.name, best.student)
    assert chosen.validation == best.validation


def test_every_student_loads_and_answers(spied):
    for name, row in spied.rows.items():
        student = load(spied.out / row.student)
        assert isinstance(student, DualStudent if "dual" in name else Student)
        assert student.drive.task == "stories" and student.drive.path == (
            "direct" if name == "direct" else name.split("-")[1].replace("cue", "uni")
        )
        assert student.architecture == "encoder-decoder"
        if isinstance(student, DualStudent):
            assert (student.es.drive.role, student.as_.drive.role) == ("ES", "AS")
        elif name != "direct":
            assert student.drive.cue == ("cue" in name)
    solver = smallsteps.load(str(spied.out / spied.results.best.folder))
    assert solver("How many pens?").problem_id == "question"


def test_kinds_stand_in_predictions_where_they_are_known(spied):
    for name, row in spied.rows.items():
        kinds = {
            segment[0]
            for prediction in rows_of(spied.out / row.folder / "predictions.jsonl")
            for segment in prediction["segments"]
        }
        assert kinds <= ({"ES", "AS"} if "dual" in name or "cue" in name else {None})


def test_paired_tests_are_against_direct(spied):
    assert [row.arm for row in spied.results.comparisons] == ARMS[1:]
    for row in spied.results.comparisons:
        gap = spied.rows[row.arm].value - spied.rows["direct"].value
        assert (row.against, row.seed) == ("direct", 0)
        assert row.difference == pytest.approx(gap)
        assert row.low <= row.difference <= row.high and 0 <= row.p_mcnemar <= 1
    assert spied.results.pooled == [] == spied.results.pooled_comparisons


def test_the_paper_protocol_takes_the_best_of_three_checkpoints_on_the_test_set(spied):
    assert [row.name for row in spied.results.paper_protocol] == ARMS
    for row in spied.results.paper_protocol:
        assert set(row.values) == {"train_loss", "validation_loss", "bleu"}, (
            "segment_bleu gives the third"
        )
        assert row.value == max(row.values.values()) == row.values[row.checkpoint]


def test_further_test_sets_are_graded_by_their_own_task(spied):
    further = spied.results.further_tests
    assert [(row.test_set, row.name, row.task, row.dataset, row.n) for row in further] == [
        *(("multiarith", name, "multiarith", "test", 3) for name in ARMS),
        *(("multiarith/b", name, "multiarith", "b", 2) for name in ARMS),
    ]
    assert [row.value for row in further[: len(ARMS)]] == [
        row.further["multiarith"].value for row in spied.results.arms
    ]


def test_arms_are_compared_on_further_test_sets_as_on_the_test_problems(spied):
    pairs = [(row.arm, row.against) for row in spied.results.comparisons]
    tests = spied.results.further_comparisons
    assert [(row.test_set, row.arm, row.against) for row in tests] == [
        (name, *pair) for name in ("multiarith", "multiarith/b", None) for pair in pairs
    ]
    assert {row.seed for row in tests} == {0}
    joined = spied.results.further_joined
    assert [row.name for row in joined] == ARMS
    assert {row.n for row in joined} == {4}, "a question of two sets counts once"


def test_a_run_of_an_older_version_gets_its_further_tests_by_the_same_command(tmp_path):
    rows = [{"id": "m1", "question": "What is 1 plus 2?", "answer": "3"}]
    (tmp_path / "more.jsonl").write_text(json.dumps(rows[0]) + "\n")
    recipe = smallsteps.experiment.recipe.make_recipe(
        tiny_content(
            arms=["base", "direct"],
            train={"budget": 1000},
            data={"also_test": {"multiarith": str(tmp_path / "more.jsonl")}},
        )
    )
    out = tmp_path / "run"
    first = run(recipe, out, Silent())
    for folder in ("further", "arms/base-seed0/further", "arms/direct-seed0/further"):
        shutil.rmtree(out / folder)
    content = json.loads((out / "results.json").read_text())
    del content["further_comparisons"], content["further_joined"]
    for row in content["arms"]:
        del row["further"]
    for row in content["further_tests"]:
        del row["test_set"]
    (out / "results.json").write_text(json.dumps(content))
    signed = read_manifest(out, "manifest.json")
    signed["results.json"] = file_digest(out / "results.json")
    write_manifest(out, "manifest.json", signed)
    assert read_results(out).further_comparisons == []
    listener = Listener()
    assert run(recipe, out, listener) == first
    assert not [bar for bar in listener.bars if bar.startswith(("training", "answering"))]
    assert (out / "arms/direct-seed0/further/multiarith.jsonl").is_file()


def test_questions_and_answers_of_further_test_sets_stay_with_the_run(spied):
    """The trap: the files that the recipe names may be gone when arms are compared again."""
    sets = read_test_sets(spied.out, spied.recipe.data.also_test)
    assert [len(problems) for _, problems in sets.values()] == [3, 2]
    for arm in spied.results.arms:
        scores = regraded_further(spied.out, arm, sets)
        assert list(scores) == ["multiarith", "multiarith/b"]


def test_gold_chains_lie_beside_the_results_with_the_entropy_of_each_token(spied):
    problems = {row["id"] for row in rows_of(spied.out / "problems.jsonl")}
    rows = rows_of(spied.out / "gold.jsonl")
    assert {row["problem_id"] for row in rows} == problems
    for row in rows:
        chain = "".join(segment["text"] for segment in row["segments"])
        assert chain and chain == "".join(token["text"] for token in row["tokens"])
        assert all(token["entropy"] >= 0 for token in row["tokens"])


def test_what_is_trained_on_is_said_before_training(spied):
    lines = "\n".join(spied.listener.lines)
    assert "overlap 0" in lines and "3,000 training tokens an arm" in lines
    assert lines.index("direct, seed 0:") < lines.index("direct, seed 0: acc")
    for label in ("ases-dual-loss, seed 0, ES half:", "ases-dual-loss, seed 0, AS half:"):
        after = lines[lines.index(label) :]
        assert after.index("reads") < after.index("writes") < after.index("acc =")
    assert {"training direct, seed 0", "answering direct, seed 0, answers"} <= spied.listener.bars


def test_the_same_recipe_twice_gives_the_same_figures_and_weights(spied, recipe_of, tmp_path):
    recipe = recipe_of(arms=["direct", "ases-dual-ent"], train={"budget": 1500})
    first, second = (run(recipe, tmp_path / name) for name in ("a", "b"))
    assert lasting(first) == lasting(second) and weights(tmp_path / "a") == weights(tmp_path / "b")
    again = run(
        recipe_of(arms=["direct", "ases-dual-ent"], train={"budget": 1500}, seeds=[1]),
        tmp_path / "c",
    )
    assert weights(tmp_path / "a") != weights(tmp_path / "c") and again.arms[0].seed == 1


def test_seeds_are_pooled_and_passes_can_be_what_is_equal(recipe_of, tmp_path):
    recipe = recipe_of(
        arms=["direct", "ases-uni-gold"], seeds=[0, 1], train={"until": "passes", "passes": 1.0}
    )
    results = run(recipe, tmp_path / "run")
    assert [row.seed for row in results.arms] == [0, 0, 1, 1]
    assert [(row.name, row.n, row.seeds) for row in results.pooled] == [
        ("direct", 6, [0, 1]),
        ("ases-uni-gold", 6, [0, 1]),
    ]
    assert [(row.arm, row.against, row.seed, row.n) for row in results.pooled_comparisons] == [
        ("ases-uni-gold", "direct", None, 6)
    ]
    assert [row.seed for row in results.comparisons] == [0, 1]
    assert results.budget == BudgetFacts(until="passes", tokens=None, passes=1.0, update_examples=8)
    for row in results.arms:
        assert row.passes == pytest.approx(1.0, abs=0.35)
    tokens = {row.name: row.train_tokens for row in results.arms}
    assert tokens["ases-uni-gold"] > 1.5 * tokens["direct"], "each segment reads the question again"


def test_a_budget_in_passes_is_what_direct_costs(recipe_of, tmp_path):
    recipe = recipe_of(
        arms=["ases-uni-inter", "direct"],
        train={"budget": None, "passes": 1.0, "update_examples": 4},
    )
    results = run(recipe, tmp_path / "run")
    rows = {row.name: row for row in results.arms}
    assert rows["direct"].passes == pytest.approx(1.0, abs=0.1)
    assert rows["direct"].train_tokens == results.budget.tokens
    assert rows["ases-uni-inter"].passes < 0.8


def test_folds_score_each_chain_by_a_student_that_has_not_seen_it(recipe_of, tmp_path, monkeypatch):
    cuts, fits, cut, fit = [], [], AsEsArm.cut, job_module.Training

    def cut_spy(arm, lab, seed, folder, chains, scorer):
        cuts.append(({chain.problem.id for chain in chains}, scorer.name))
        return cut(arm, lab, seed, folder, chains, scorer)

    def fit_spy(student, train, validation, settings, out, **words):
        fits.append((str(out), {example.problem_id for example in train}))
        return fit(student, train, validation, settings, out, **words)

    monkeypatch.setattr(AsEsArm, "cut", cut_spy)
    monkeypatch.setattr(job_module, "Training", fit_spy)
    recipe = recipe_of(arms=["ases-uni-loss"], segmentation={"folds": 2}, train={"budget": 1500})
    results = run(recipe, tmp_path / "run")
    assert len(cuts) == 2 and len(set().union(*(ids for ids, _ in cuts))) == 28
    for ids, scorer in cuts:
        seen = next(train for out, train in fits if scorer.startswith(out))
        assert not ids & seen and len(seen) == 12
    assert len(fits) == 3, "two scorers and the arm; no direct student that nobody asked for"
    assert results.arms[0].scorer_tokens >= 2 * 1500, "both scorers"


def test_lora_is_merged_into_an_ordinary_folder(recipe_of, tmp_path):
    results = run(recipe_of(arms=["ases-cue-inter"], student={"lora": 4}), tmp_path / "run")
    folder = tmp_path / "run" / results.best.folder
    assert not list(folder.glob("adapter*"))
    model = AutoModelForSeq2SeqLM.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert len(tokenizer) <= model.get_input_embeddings().weight.shape[0]
    ids = tokenizer("Ann has 3 pens. <es>", return_tensors="pt")["input_ids"]
    assert model.generate(ids, min_new_tokens=3, max_new_tokens=3).shape == (1, 4)
    base = load_file(tmp_path / "run/base/student/model.safetensors")
    merged = load_file(folder / "model.safetensors")
    assert merged.keys() == base.keys()
    changed = [name for name in base if not torch.equal(base[name], merged[name])]
    assert any("SelfAttention.q" in name for name in changed)
    assert not any("layer_norm" in name for name in changed), "no adapter is there"


REPORTS = [
    {
        "id": f"r{i}",
        "findings": f"脑部放射性分布{i}未见异常。   肺部见结节影{i}，SUVmax：{i}.2。   肝脏{i}放射性分布均匀。",
        "impression": f"1、肺部结节{i}，高代谢。  余躯干未见其他异常代谢征象。",
    }
    for i in range(20)
]


@pytest.fixture
def reports(tmp_path, recipe_of):
    """`reports(arms=[...], ...)`: a recipe on twenty small PET reports."""
    source = tmp_path / "reports.jsonl"
    source.write_text(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in REPORTS), encoding="utf-8"
    )
    scratch = {
        "tokenizer": "characters",
        "vocabulary": 200,
        "d_model": 32,
        "d_kv": 8,
        "heads": 4,
        "d_ff": 32,
        "layers": 1,
    }

    def make(**sections):
        base = tiny_content(
            data={"chains": str(source), "task": "pet"},
            student={"scratch": scratch},
            train={"budget": 1500},
        )
        for name, value in sections.items():
            base[name] = (
                {**base[name], **value} if isinstance(value, dict) and name in base else value
            )
        return recipe_of(**base)

    return make


def test_reports_are_answered_region_by_region_and_graded_whole(reports, tmp_path):
    arms = ["direct-report", "direct", "ases-dual-inter"]
    results = run(reports(arms=arms, evaluation={"segment_bleu": True}), tmp_path / "run")
    for row in results.arms:
        assert row.metric == "bleu" and row.n == 2
        assert set(row.metrics) == {"rouge_l", "missing_ratio"}
        folder = tmp_path / "run" / row.folder
        parts = rows_of(folder.parent / "answers" / "parts.jsonl")
        assert len(parts) == (2 if row.name == "direct-report" else 6)
        assert (
            len(rows_of(folder / "predictions.jsonl")) == len(rows_of(folder / "grades.jsonl")) == 2
        )
        assert row.seconds_per_answer == pytest.approx(
            sum(p["seconds"] for p in parts) / 2, abs=1e-5
        )
    assert {row.against for row in results.comparisons} == {"direct"}, (
        "not the first arm that is called direct-..."
    )
    gold = rows_of(tmp_path / "run" / "gold.jsonl")
    assert [row["problem_id"] for row in gold] == [
        row["id"] for row in rows_of(tmp_path / "run" / "problems.jsonl")
    ]
    for row in gold:
        text = "".join(segment["text"] for segment in row["segments"])
        assert text.startswith("肺部结节") and text == "".join(
            token["text"] for token in row["tokens"]
        )


def test_a_sweep_over_gamma_thins_the_normal_regions_of_every_arm_but_whole_reports(
    reports, tmp_path
):
    recipe = reports(
        arms=["direct", "direct-report", "ases-uni-bleu"], sweep={"gamma": [0, 1], "beta": [1]}
    )
    results = run(recipe, tmp_path / "run", heard := Listener())
    assert [row.name for row in results.arms] == [
        "direct-gamma=0",
        "direct-gamma=1",
        "direct-report",
        "ases-uni-bleu-beta=1-gamma=0",
        "ases-uni-bleu-beta=1-gamma=1",
    ]
    pairs = {row.arm: row.against for row in results.comparisons}
    assert pairs["ases-uni-bleu-beta=1-gamma=1"] == "direct-gamma=1", "on the same regions"
    examples = {
        label.split(",")[0]: int(line.split()[2])
        for label, line in zip(heard.lines, heard.lines[1:], strict=False)
        if line.strip().startswith("training on")
    }
    assert (
        examples["direct-gamma=0"] == 16
        and examples["direct-gamma=1"] == 32
        and examples["direct-report"] == 16
    )


REFUSED = [
    (
        {"arms": ["direct-report"]},
        RecipeError,
        "direct-report is for reports; the task 'stories' has no parts. Use direct",
    ),
    (
        {"sweep": {"gamma": [0.5]}},
        RecipeError,
        r"sweep\.gamma leaves out normal regions of reports; the task 'stories' has none",
    ),
    (
        {"train": {"source_limit": 12}},
        DataError,
        r"needs \d+ tokens, .* reads 12. Shorten the question or raise source_limit",
    ),
]


@pytest.mark.parametrize(("change", "error", "message"), REFUSED)
def test_what_cannot_be_done_is_refused_before_the_first_arm(
    recipe_of, tmp_path, change, error, message
):
    recipe = recipe_of(**{"arms": ["direct"], **change})
    with pytest.raises(error, match=message):
        run(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "arms").exists()


def test_an_unknown_key_of_a_student_from_scratch_is_named(recipe_of):
    with pytest.raises(RecipeError, match=r"'student\.scratch\.layer'\. Did you mean 'layers'"):
        recipe_of(arms=["direct"], student={"scratch": {"layer": 3}})


def test_gold_segments_are_asked_for_before_the_first_arm(recipe_of, tmp_path):
    rows = [
        {"id": f"q{i}", "question": f"What is {i} plus 1?", "rationale": "I add.", "answer": i + 1}
        for i in range(20)
    ]
    (tmp_path / "chains.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = recipe_of(
        arms=["direct", "ases-uni-gold"],
        data={"chains": str(tmp_path / "chains.jsonl"), "task": "numbers"},
    )
    with pytest.raises(
        DataError, match="ases-uni-gold needs labelled segments, and 18 of 18 chains have none"
    ):
        run(recipe, tmp_path / "run")
    assert not (tmp_path / "run" / "arms").exists()


def test_long_questions_are_answered_whole_where_long_examples_are_left_out(recipe_of, tmp_path):
    recipe = recipe_of(train={"source_limit": 60, "overlong": "drop", "budget": 1000})
    results = run(recipe, tmp_path / "run")
    assert results.arms[0].n == 6 and results.arms[0].missing == 0


def test_a_folder_with_results_of_an_older_version_is_refused_before_any_work(recipe_of, tmp_path):
    recipe, out = recipe_of(), tmp_path / "run"
    with run_folder(out, recipe.digest(), recipe.to_yaml(), Silent()):
        pass
    (out / "results.json").write_text('{"title": "tiny", "arms": []}')
    with pytest.raises(RunFolderError, match=r"results\.json: no schema_version, .* an older"):
        run(recipe, out)
    assert not (out / "data").exists()
    assert json.loads((out / "results.json").read_text())["title"] == "tiny", "left as it was"
