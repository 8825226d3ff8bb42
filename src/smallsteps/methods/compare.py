"""The comparison: does training on segments beat training on whole chains, on this data, at the same cost?

    data → scorer where a strategy needs one → for each arm and seed: segments → training → answers → grades
         → intervals and paired tests → results.json, report.html

Every arm gets the same chains, base student, seeds and budget (training tokens, or passes). The test part is read once,
by the checkpoint that validation chose. Everything lies in stages of one run folder: killed anywhere, the same call goes on.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from smallsteps.errors import RecipeError
from smallsteps.evaluation.grade import Score, compare_scores, get_metric, grade, pool_scores
from smallsteps.methods.arm import PAPER_CRITERIA, Trained, Workshop
from smallsteps.methods.as_es import count_tokens, segment, segment_by_folds, train_as_es
from smallsteps.methods.direct import train_direct
from smallsteps.methods.material import Material, load_material, read_json_lines
from smallsteps.recipe import ArmSpec, Recipe, parse_arm
from smallsteps.records import Chain, Prediction, Problem, Segment
from smallsteps.runs import Reporter, RunFolder, Silent, fail_point, provenance, write_json
from smallsteps.segments.examples import build_examples
from smallsteps.segments.label import get_strategy
from smallsteps.students.scores import token_scores
from smallsteps.students.scratch import ScratchSettings, from_scratch
from smallsteps.students.student import load, load_student
from smallsteps.students.tokens import prepare
from smallsteps.tasks import Task
from smallsteps.tasks.files import write_rows

BASELINE = "direct"


@dataclass(frozen=True)
class Variant:
    """An arm with the knobs that a sweep turns."""

    spec: ArmSpec
    beta: float
    gamma: float
    name: str

    @property
    def slug(self) -> str:
        return self.name.replace("*", "-star").replace("=", "")


def variants(recipe: Recipe) -> list[Variant]:
    """The recipe's arms, each once a value of the sweep that concerns it."""
    words = recipe.segmentation
    found: list[Variant] = []
    for name in recipe.arms:
        spec = parse_arm(name)
        plain = Variant(spec, words.beta, words.gamma, name)
        own = [plain]
        if spec.strategy is not None and get_strategy(spec.strategy).direction and "beta" in recipe.sweep:
            own = [replace(plain, beta=value, name=f"{name}-beta={value:g}") for value in recipe.sweep["beta"]]
        if "gamma" in recipe.sweep:
            own = [
                replace(v, gamma=value, name=f"{v.name}-gamma={value:g}")
                for v in own
                for value in recipe.sweep["gamma"]
            ]
        found += own
    return found


def compare(recipe: Recipe, out: Path | str, reporter: Reporter | None = None, command: str = "") -> dict[str, Any]:
    """Runs the recipe in the folder `out`, or goes on with it; returns the content of results.json.

    Raises UserError where something cannot be done as asked.
    """
    reporter = reporter or Silent()
    began = time.monotonic()
    run = RunFolder(Path(out), recipe.digest(), recipe.to_yaml())
    with run.locked():
        comparison = Comparison(recipe, run, reporter)
        results = comparison.run()
        results["command"] = command
        results["provenance"] = {
            **provenance(),
            "seconds": round(time.monotonic() - began, 1),
            "recipe": recipe.digest(),
        }
        write_json(run.path / "results.json", results)
        fail_point("after:results")
    return results


class Comparison:
    """One recipe at work in one run folder."""

    def __init__(self, recipe: Recipe, run: RunFolder, reporter: Reporter) -> None:
        self.recipe, self.run_folder, self.reporter = recipe, run, reporter
        self.material: Material = load_material(recipe, run)
        self.task: Task = self.material.task
        self.base_folder = self._base()
        facts = self.material.facts
        reporter.say(
            f"data: {facts['train']} chains to train on, {facts['validation']} for validation, {facts['test']} to test; "
            f"overlap {facts['overlap']}; left out as wrong {facts['wrong']}"
        )
        self.budget = recipe.train.budget or self._tokens_of_direct()
        if recipe.train.fair == "tokens":
            reporter.say(f"budget: {self.budget:,} training tokens an arm (source + target, no padding)")
        else:
            reporter.say(f"budget: {recipe.train.passes:g} passes over an arm's examples")

    # ---- the run ----

    def run(self) -> dict[str, Any]:
        """All arms at all seeds, graded and compared."""
        scores: dict[str, list[Score]] = {}
        arms: list[dict[str, Any]] = []
        students: dict[tuple[str, int], Path] = {}
        extra: dict[str, dict[str, list[Score]]] = {}
        paper: list[dict[str, Any]] = []
        everything = variants(self.recipe)
        for seed in self.recipe.seeds:
            for variant in everything:
                trained = self.trained(variant, seed)
                folder = self.answered(variant, seed, trained)
                row, score = self.graded(variant, seed, trained, folder)
                arms.append(row)
                scores.setdefault(variant.name, []).append(score)
                students[variant.name, seed] = self.run_folder.path / row["student"]
                self.reporter.say(f"{variant.name} (seed {seed}): {score.signature()}")
                for name, other in self.also_graded(variant, seed, trained).items():
                    extra.setdefault(name, {}).setdefault(variant.name, []).append(other)
                if self.recipe.evaluation.paper_protocol:
                    paper.append(self.paper_protocol(variant, seed, trained))
        self._page_material()
        return self._results(scores, arms, students, extra, paper)

    def workshop(self, variant: Variant, seed: int, out: Path) -> Workshop:
        """What the arm `variant` works with."""
        validation = self._problems(variant, [c.problem for c in self._validation()])
        return Workshop(
            recipe=self.recipe, task=self.task, seed=seed, out=out, base_folder=self.base_folder,
            texts=self.material.texts, validation_problems=validation, budget=self.budget, reporter=self.reporter,
            label=f"{variant.name}, seed {seed}",
        )  # fmt: skip

    def trained(
        self, variant: Variant, seed: int, name: str | None = None, chains: Sequence[Chain] | None = None
    ) -> Trained:
        """The trained arm, from its stage where that is complete."""
        place = f"arms/{name or variant.slug}-seed{seed}"
        train = self._chains(variant, chains if chains is not None else self.material.train, thin=True)
        validation = self._chains(variant, self._validation())

        def make(folder: Path) -> None:
            workshop = self.workshop(variant, seed, folder)
            if variant.spec.path == "direct":
                done = train_direct(workshop, train, validation)
            else:
                cut = self.segmented(variant, seed, train, validation)
                own = [cut[c.rationale.id] for c in train], [cut[c.rationale.id] for c in validation]
                done = train_as_es(workshop, variant.spec, (train, own[0]), (validation, own[1]))
            folders = {criterion: str(f.relative_to(folder)) for criterion, f in done.folders.items()}
            write_json(folder / "trained.json", {**asdict(done), "folders": folders})

        folder = self.run_folder.stage(f"{place}/training", make, keep=True)
        held = json.loads((folder / "trained.json").read_text(encoding="utf-8"))
        return Trained(**{**held, "folders": {criterion: folder / f for criterion, f in held["folders"].items()}})

    def segmented(
        self, variant: Variant, seed: int, train: Sequence[Chain], validation: Sequence[Chain]
    ) -> dict[str, list[Segment]]:
        """Rationale id → segments of training and validation chains, from their stage where that is complete."""
        strategy = variant.spec.strategy
        assert strategy is not None
        place = (
            f"segments/{variant.slug.removeprefix('ases-uni-').removeprefix('ases-cue-').removeprefix('ases-dual-')}"
        )
        if strategy in ("ent", "loss"):
            place += f"-seed{seed}"

        def make(folder: Path) -> None:
            workshop = self.workshop(variant, seed, folder)
            if strategy in ("ent", "loss") and self.recipe.segmentation.folds > 1:
                cut = self._by_folds(workshop, variant, seed, train, validation)
            else:
                every = [*train, *validation]
                scorer = self._scorer(variant, seed, strategy)
                self.reporter.say(f"{variant.name}: cutting {len(every)} chains by {strategy}")
                own = segment(workshop, every, strategy, scorer, variant.beta)
                cut = {chain.rationale.id: segments for chain, segments in zip(every, own, strict=True)}
            write_rows(folder / "segments.jsonl", (s.to_row() for segments in cut.values() for s in segments))

        folder = self.run_folder.stage(place, make)
        found: dict[str, list[Segment]] = {}
        for row in read_json_lines(folder / "segments.jsonl"):
            own = Segment.from_row(row)
            found.setdefault(own.rationale_id, []).append(own)
        return found

    def answered(self, variant: Variant, seed: int, trained: Trained) -> Path:
        """The stage that holds the arm's answers to the test problems, its grades and curves."""

        def make(folder: Path) -> None:
            student = load(trained.folder(self.recipe.evaluation.checkpoint), device=self.recipe.student.device,
                           dtype=self.recipe.evaluation.dtype)  # fmt: skip
            workshop = self.workshop(variant, seed, folder)
            began = time.monotonic()
            problems = self._problems(variant, self.material.test)
            predictions = workshop.answers(student, problems, workshop.label)
            seconds = (time.monotonic() - began) / len(problems)
            predictions = [replace(p, seconds=round(seconds, 6)) for p in predictions]
            score = self._grade(variant, predictions, seed)
            shown = self.task.assemble(problems, predictions) if self.task.assemble else predictions
            write_rows(folder / "parts.jsonl", (p.to_row() for p in predictions))
            write_rows(folder / "predictions.jsonl", (p.to_row() for p in shown))
            write_rows(folder / "grades.jsonl", (g.to_row() for g in score.grades))
            write_rows(folder / "curves.jsonl", trained.curves)

        return self.run_folder.stage(f"arms/{variant.slug}-seed{seed}/answers", make)

    def graded(self, variant: Variant, seed: int, trained: Trained, folder: Path) -> tuple[dict[str, Any], Score]:
        """The arm's row of results.json, and its score."""
        predictions = _predictions(folder / "parts.jsonl")
        score = self._grade(variant, predictions, seed)
        student = trained.folder(self.recipe.evaluation.checkpoint)
        row = {
            "name": variant.name, "seed": seed, **score.to_row(),
            "train_tokens": trained.train_tokens, "passes": round(trained.passes, 3), "seconds": round(trained.seconds, 2),
            "seconds_per_answer": predictions[0].seconds,
            "tokens_per_answer": round(sum(p.tokens for p in predictions) / len(predictions), 1),
            "student": str(student.relative_to(self.run_folder.path)), "folder": str(folder.relative_to(self.run_folder.path)),
            "beta": variant.beta, "metrics": self._further(variant, predictions),
        }  # fmt: skip
        scorer = _needs_direct(variant)
        if scorer:
            row["scorer_tokens"] = self.trained(self._direct(variant), seed).train_tokens
        return row, score

    def paper_protocol(self, variant: Variant, seed: int, trained: Trained) -> dict[str, Any]:
        """The best of the paper's three checkpoints *on the test set*: its protocol, which flatters; never the main figure."""
        found = {}
        for criterion in PAPER_CRITERIA:
            if criterion not in trained.folders:
                continue

            def make(folder: Path, criterion: str = criterion) -> None:
                student = load(
                    trained.folders[criterion], device=self.recipe.student.device, dtype=self.recipe.evaluation.dtype
                )
                predictions = self.workshop(variant, seed, folder).answers(
                    student, self._problems(variant, self.material.test)
                )
                write_rows(folder / "parts.jsonl", (p.to_row() for p in predictions))

            folder = self.run_folder.stage(f"arms/{variant.slug}-seed{seed}/paper-{criterion}", make)
            found[criterion] = self._grade(variant, _predictions(folder / "parts.jsonl"), seed)
        best = max(found, key=lambda criterion: found[criterion].value)
        values = {criterion: score.value for criterion, score in found.items()}
        return {"name": variant.name, "seed": seed, "metric": found[best].metric, "value": found[best].value,
                "checkpoint": best, "values": values}  # fmt: skip

    def also_graded(self, variant: Variant, seed: int, trained: Trained) -> dict[str, Score]:
        """Scores on the further test sets."""
        scores = {}
        for name, (task, problems) in self.material.also.items():

            def make(folder: Path, task: Task = task, problems: list[Problem] = problems) -> None:
                student = load(trained.folder(self.recipe.evaluation.checkpoint), device=self.recipe.student.device,
                               dtype=self.recipe.evaluation.dtype)  # fmt: skip
                workshop = replace(self.workshop(variant, seed, folder), task=task)
                write_rows(folder / "parts.jsonl", (p.to_row() for p in workshop.answers(student, problems)))

            folder = self.run_folder.stage(f"arms/{variant.slug}-seed{seed}/answers-{name}", make)
            scores[name] = grade(_predictions(folder / "parts.jsonl"), problems, task, dataset="test", seed=seed)
        return scores

    # ---- parts of it ----

    def _validation(self) -> list[Chain]:
        """The first validation chains, groups (reports) whole."""
        chains, limit = self.material.validation, self.recipe.train.validation_chains
        while (
            limit < len(chains)
            and chains[limit].problem.group
            and chains[limit].problem.group == chains[limit - 1].problem.group
        ):
            limit += 1
        return chains[:limit]

    def _grade(self, variant: Variant, predictions: Sequence[Prediction], seed: int) -> Score:
        return grade(predictions, self._problems(variant, self.material.test), self.task, dataset="test", seed=seed)

    def _further(self, variant: Variant, predictions: Sequence[Prediction]) -> dict[str, float]:
        """Metrics beside the main one: BLEU and ROUGE-L of whole chains, and for reports the missing ratio."""
        problems = self._problems(variant, self.material.test)
        if self.task.assemble is not None:
            names = [name for name in ("rouge_l", "missing_ratio") if name != self.task.metric]
            return {name: grade(predictions, problems, self.task, metric=name).value for name in names}
        gold = {chain.problem.id: chain.rationale.text for chain in self.material.gold}
        if set(gold) != {problem.id for problem in problems}:
            return {}
        return {
            name: grade(predictions, problems, self.task, metric=name, references=gold).value
            for name in ("bleu", "rouge_l")
        }

    def _chains(self, variant: Variant, chains: Sequence[Chain], thin: bool = False) -> list[Chain]:
        """The chains that the variant trains on or is validated with: whole reports, or regions, of which training may
        leave out normal ones (gamma)."""
        if variant.spec.whole_report:
            if self.task.whole_chains is None:
                raise RecipeError(
                    f"the arm direct-report is for reports; the task {self.task.name!r} has no parts. Use direct"
                )
            return self.task.whole_chains(chains)
        if thin and self.task.select is not None:
            return self.task.select(chains, variant.gamma, self.recipe.data.split_seed)
        return list(chains)

    def _problems(self, variant: Variant, problems: Sequence[Problem]) -> list[Problem]:
        """What the variant answers: regions, or whole reports."""
        return self.task.wholes(problems) if variant.spec.whole_report and self.task.wholes else list(problems)

    def _direct(self, variant: Variant) -> Variant:
        """The direct arm that scores for `variant`."""
        gamma = f"-gamma={variant.gamma:g}" if "gamma" in self.recipe.sweep else ""
        return Variant(parse_arm("direct"), self.recipe.segmentation.beta, variant.gamma, f"direct{gamma}")

    def _scorer(self, variant: Variant, seed: int, strategy: str) -> Any:
        """`ent`, `loss`: the direct student of lowest validation loss; `ent*`: the base student; else nobody."""
        if not get_strategy(strategy).needs_student:
            return None
        device = self.recipe.student.device
        if strategy == "ent*":
            return load_student(self.base_folder, device=device)
        return load_student(self.trained(self._direct(variant), seed).folder("validation_loss"), device=device)

    def _by_folds(
        self, workshop: Workshop, variant: Variant, seed: int, train: Sequence[Chain], validation: Sequence[Chain]
    ) -> dict[str, list[Segment]]:
        """Each training chain scored by a direct student trained on the other folds; validation by the first of them."""
        count, strategy = self.recipe.segmentation.folds, variant.spec.strategy
        assert strategy is not None
        ids = sorted({chain.problem.id for chain in train})
        fold_of = {identifier: index % count for index, identifier in enumerate(ids)}
        folds = [[c for c in train if fold_of[c.problem.id] == fold] for fold in range(count)]
        scorers = []
        for fold in range(count):
            rest = [c for c in train if fold_of[c.problem.id] != fold]
            trained = self.trained(
                self._direct(variant), seed, f"{self._direct(variant).slug}-without-fold{fold}", rest
            )
            scorers.append(load_student(trained.folder("validation_loss"), device=self.recipe.student.device))
        found = segment_by_folds(workshop, folds, strategy, scorers, variant.beta)
        held_out = segment(workshop, validation, strategy, scorers[0], variant.beta)
        return {**found, **{c.rationale.id: own for c, own in zip(validation, held_out, strict=True)}}

    def _tokens_of_direct(self) -> int:
        """What `passes` over the chains cost the direct arm."""
        direct = Variant(parse_arm("direct"), self.recipe.segmentation.beta, self.recipe.segmentation.gamma, BASELINE)
        workshop = self.workshop(direct, 0, self.run_folder.path)
        chains = self._chains(direct, self.material.train, thin=True)
        student = prepare(workshop.base(), self.task, path="direct", texts=workshop.texts)
        examples = build_examples(chains, [], self.task, "direct")
        return round(self.recipe.train.passes * count_tokens(student, workshop, examples))

    def _base(self) -> Path | str:
        """The untrained student: a name, or a folder made from scratch."""
        scratch = self.recipe.student.scratch
        if not scratch:
            return self.recipe.student.name

        def make(folder: Path) -> None:
            try:
                settings = ScratchSettings(**scratch)
            except TypeError as error:
                raise RecipeError(
                    f"student.scratch: {error}. Known: {', '.join(ScratchSettings.__dataclass_fields__)}"
                ) from None
            from_scratch(self.material.texts, settings, seed=0).save(folder / "student")

        return self.run_folder.stage("base", make) / "student"

    def _page_material(self) -> None:
        """Problems, gold chains and their entropies where the page looks for them."""
        wholes = self.task.wholes(self.material.test) if self.task.wholes else self.material.test
        write_rows(self.run_folder.path / "problems.jsonl", (p.to_row() for p in wholes))
        known = {problem.id for problem in wholes}
        gold = [chain for chain in self.material.gold if chain.problem.id in known]
        if not gold:
            return

        def make(folder: Path) -> None:
            write_rows(folder / "gold.jsonl", self._gold_rows(gold))

        shutil.copy(self.run_folder.stage("gold", make) / "gold.jsonl", self.run_folder.path / "gold.jsonl")

    def _gold_rows(self, gold: Sequence[Chain]) -> list[dict[str, Any]]:
        """Gold chains, cut by their labels or the first arm's strategy, with the direct student's entropy a token."""
        spec = next((v for v in variants(self.recipe) if v.spec.strategy), None)
        seed = self.recipe.seeds[0]
        strategy = (
            "gold" if all(c.rationale.gold for c in gold) else (spec.spec.strategy if spec else "inter") or "inter"
        )
        variant = spec or variants(self.recipe)[0]
        workshop = self.workshop(variant, seed, self.run_folder.path)
        segments = segment(workshop, gold, strategy, self._scorer(variant, seed, strategy), variant.beta)
        entropies: list[list[dict[str, Any]]] = [[] for _ in gold]
        direct = [name for name in ("direct",) if name in self.recipe.arms]
        if direct:
            student = load_student(
                self.trained(self._direct(variant), seed).folder("validation_loss"), device=self.recipe.student.device
            )
            pairs = [(self.task.render(c.problem), c.rationale.text) for c in gold]
            for index, scored in enumerate(token_scores(student, self.task, pairs)):
                entropies[index] = _entropy_tokens(gold[index].rationale.text, scored)
        return [
            {"problem_id": c.problem.id, "segments": [{"kind": s.kind, "text": s.text} for s in own], "tokens": tokens}
            for c, own, tokens in zip(gold, segments, entropies, strict=True)
        ]

    def _results(
        self,
        scores: dict[str, list[Score]],
        arms: list[dict[str, Any]],
        students: dict[tuple[str, int], Path],
        extra: dict[str, dict[str, list[Score]]],
        paper: list[dict[str, Any]],
    ) -> dict[str, Any]:
        pooled = {name: pool_scores(own) for name, own in scores.items()}
        baseline = next((name for name in pooled if name.startswith(BASELINE)), None)
        comparisons = []
        if baseline is not None:
            for name in pooled:
                if name != baseline:
                    comparisons += self._compared(name, scores[name], baseline, scores[baseline])
        best = _best(pooled)
        seed = max(range(len(self.recipe.seeds)), key=lambda i: _signed(scores[best][i]))
        chosen = students[best, self.recipe.seeds[seed]]
        return {
            "title": self.recipe.title,
            "arms": arms,
            "pooled": [{"name": name, **score.to_row()} for name, score in pooled.items()]
            if len(self.recipe.seeds) > 1
            else [],
            "comparisons": comparisons,
            "paper_protocol": paper,
            "also": {
                task: [{"name": name, **pool_scores(own).to_row()} for name, own in found.items()]
                for task, found in extra.items()
            },
            "data": self.material.facts,
            "budget": {"fair": self.recipe.train.fair, "tokens": self.budget, "passes": self.recipe.train.passes},
            "best": {
                "name": best,
                "seed": self.recipe.seeds[seed],
                "folder": str(chosen.relative_to(self.run_folder.path)),
            },
        }

    def _compared(self, name: str, own: list[Score], baseline: str, theirs: list[Score]) -> list[dict[str, Any]]:
        rows = []
        pairs: list[tuple[Any, Score, Score]] = [
            (seed, a, b) for seed, a, b in zip(self.recipe.seeds, own, theirs, strict=True)
        ]
        if len(pairs) > 1:
            pairs.append(("pooled", pool_scores(own), pool_scores(theirs)))
        for seed, mine, other in pairs:
            found = compare_scores(mine, other)
            rows.append({
                "arm": name, "against": baseline, "seed": seed, "difference": found.difference, "low": found.low,
                "high": found.high, "p_bootstrap": found.p_bootstrap, "p_mcnemar": found.p_mcnemar,
                "right_only": found.only_score, "wrong_only": found.only_baseline, "n": found.n,
            })  # fmt: skip
        return rows


def _needs_direct(variant: Variant) -> bool:
    return variant.spec.strategy in ("ent", "loss")


def _best(pooled: dict[str, Score]) -> str:
    return max(pooled, key=lambda name: _signed(pooled[name]))


def _signed(score: Score) -> float:
    """The figure such that higher is better."""
    return -score.value if get_metric(score.metric).lower_is_better else score.value


def _predictions(path: Path) -> list[Prediction]:
    return [Prediction.from_row(row) for row in read_json_lines(path)]


def _entropy_tokens(text: str, scored: Any) -> list[dict[str, Any]]:
    """The chain cut at its tokens, each with its entropy; text between tokens goes to the one before."""
    starts = [start for start, _ in scored.spans]
    if not starts:
        return []
    edges = [0, *starts[1:], len(text)]
    return [
        {"text": text[a:b], "entropy": round(e, 3)}
        for a, b, e in zip(edges[:-1], edges[1:], scored.entropy, strict=True)
        if b > a
    ]
