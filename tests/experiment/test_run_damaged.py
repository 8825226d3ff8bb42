"""Any file of a finished run truncated, changed or deleted: the same command names it and makes it
anew with the same results, or ends in one error that names it."""

import json
import shutil

import pytest

from smallsteps.disk import damage
from smallsteps.errors import UserError
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.run import run
from smallsteps.generation.access import Access
from smallsteps.report.page import write_page
from tiny_guided import KEY, facts_reader, guided_content
from tiny_runs import Listener, tiny_content
from tiny_tailored import tailored_content


def truncated(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flipped(path):
    content = bytearray(path.read_bytes())
    if content:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)


def deleted(path):
    path.unlink()


SPOIL = (truncated, flipped, deleted)


class Damaged:
    """A finished run, copied for each damage."""

    def __init__(self, out, run_in):
        self.out, self.run_in = out, run_in
        run_in(out, Listener())
        self.files = sorted(
            str(path.relative_to(out))
            for path in out.rglob("*")
            if path.is_file() and path.name != ".lock"
        )
        self.whole = self.state(out)

    def state(self, out):
        """Figures, weights and what was written, seconds apart."""
        found = {"results.json": plain(json.loads((out / "results.json").read_text()))}
        for path in sorted(out.rglob("*")):
            name = str(path.relative_to(out))
            if path.suffix == ".safetensors":
                found[name] = path.read_bytes()
            elif path.suffix == ".jsonl" and path.is_file():
                found[name] = [
                    plain(json.loads(line)) for line in path.read_text().split("\n")[:-1]
                ]
        return found

    def after(self, out, *damages):
        """The lines that the run says after these (file, damage), and its error if there is one."""
        shutil.copytree(self.out, out)
        for name, spoil in damages:
            spoil(out / name)
        listener = Listener()
        try:
            self.run_in(out, listener)
        except UserError as error:
            return listener.lines, str(error)
        return listener.lines, None

    def check(self, out, *damages):
        lines, error = self.after(out, *damages)
        names = [name.split("/")[-1] for name, _ in damages]
        if error is not None:
            assert any(name in error for name in names), error
            assert "\n" not in error
        else:
            assert self.state(out) == self.whole, damages
            for manifest in out.rglob("manifest.json"):
                assert damage(manifest.parent, "manifest.json") == []
        return lines, error


def plain(content):
    """What must repeat exactly: everything but times and how the run was asked for."""
    if isinstance(content, dict):
        return {
            name: plain(value)
            for name, value in content.items()
            if "seconds" not in name and name not in ("command", "provenance")
        }
    if isinstance(content, list):
        return [plain(value) for value in content]
    return content


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    recipe = make_recipe(
        tiny_content(
            arms=["direct", "ases-uni-ent", "ases-dual-inter"],
            train={"budget": 1500, "evaluations": 1},
        )
    )

    def run_in(out, listener):
        run(recipe, out, listener)
        write_page(out)

    return Damaged(tmp_path_factory.mktemp("whole") / "run", run_in)


def candidate_of(comparison, arm):
    names = [name for name in comparison.files if name.startswith(f"arms/{arm}")]
    return next(name for name in names if name.endswith("model.safetensors"))


@pytest.mark.parametrize("spoil", SPOIL)
def test_damaged_weights_never_answer(comparison, tmp_path, spoil):
    """The answers are gone as well, so that they have to be written again."""
    weights = candidate_of(comparison, "direct-seed0")
    answers = "arms/direct-seed0/answers/parts.jsonl"
    lines, error = comparison.check(tmp_path / "run", (weights, spoil), (answers, deleted))
    assert error is None
    assert any(
        f"{weights}: damaged; arms/direct-seed0/training is made again" in line for line in lines
    )


def test_half_of_a_pair_is_made_again(comparison, tmp_path):
    weights = next(
        n for n in comparison.files if "dual" in n and "/es/candidate" in n and "model" in n
    )
    _, error = comparison.check(tmp_path / "run", (weights, flipped))
    assert error is None


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("results.json", truncated),
        ("results.json", flipped),
        ("report.html", deleted),
        ("data/train.jsonl", flipped),
        ("arms/direct-seed0/training/trained.json", truncated),
        ("arms/direct-seed0/training/manifest.json", deleted),
        ("arms/direct-seed0/page/predictions.jsonl", flipped),
        ("segments/ent-seed0/segments.jsonl", truncated),
        ("base/student/model.safetensors", flipped),
    ],
)
def test_a_damaged_file_is_made_anew(comparison, tmp_path, name, spoil):
    lines, error = comparison.check(tmp_path / "run", (name, spoil))
    assert error is None
    if spoil is not deleted:
        assert any(f"{name}: damaged" in line for line in lines), lines


def test_an_undamaged_run_says_nothing_of_damage(comparison, tmp_path):
    lines, error = comparison.check(tmp_path / "run")
    assert error is None
    assert not any("damaged" in line or "made again" in line for line in lines)


def sweep(damaged, folder):
    """Every file in turn, each in every way; all failures at once."""
    failures = []
    for number, name in enumerate(damaged.files):
        for spoil in SPOIL:
            try:
                damaged.check(folder / f"{number}", (name, spoil))
            except Exception as error:  # also what no run may end in
                failures.append(
                    f"{name} {spoil.__name__}: {type(error).__name__} {str(error)[:300]}"
                )
            shutil.rmtree(folder / f"{number}", ignore_errors=True)
    assert not failures, "\n".join(failures)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_any_damaged_file_of_a_comparison_is_made_anew_or_named(comparison, tmp_path):
    sweep(comparison, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_any_damaged_file_of_tailored_learning_is_made_anew_or_named(tmp_path):
    recipe = make_recipe(
        tailored_content(tailored={"teacher": {"store": str(tmp_path / "replies.sqlite")}})
    )

    def run_in(out, listener):
        run(recipe, out, listener)
        write_page(out)

    sweep(Damaged(tmp_path / "whole", run_in), tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_any_damaged_file_of_a_guided_run_is_made_anew_or_named(tmp_path, server):
    server.answer = facts_reader
    content = guided_content(tmp_path / "replies.sqlite")
    content["guided"]["reader"]["base_url"] = server.url
    recipe = make_recipe(content)

    def run_in(out, listener):
        run(recipe, out, listener, access=Access(None, KEY))
        write_page(out)

    sweep(Damaged(tmp_path / "whole", run_in), tmp_path)
