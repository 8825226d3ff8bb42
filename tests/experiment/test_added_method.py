"""A method that lies outside the package: one folder with `config.py`, `before.py` and `arms.py`."""

import pytest

import smallsteps.methods
from smallsteps.experiment.method import methods
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.run import run
from tiny_runs import tiny_content

CONFIG = """
from smallsteps.experiment.method import Method

METHOD = Method(name="last-sentence", arm_names=lambda: ["last-sentence"], needs_chains=True)
"""
BEFORE = """
def check(recipe, names, task, access, causal):
    pass

def check_data(recipe, names, data):
    pass

def variants(recipe, names):
    return list(names)

def models(recipe, names):
    return len(names)

def chain_arms(recipe, names):
    return []

def plan(recipe, names, questions, in_all):
    return []

def next_command(recipe, out, student):
    return ["smallsteps", "solve", str(student), "your question"]
"""
ARMS = '''
from dataclasses import dataclass, replace

from smallsteps.experiment.outcome import ChainSelection, place_of
from smallsteps.methods.baselines.method import direct_student
from smallsteps.segments.examples import build_examples
from smallsteps.tasks.sentences import last_sentence


@dataclass(frozen=True)
class LastSentence:
    """Trains on the closing sentence alone."""

    name: str = "last-sentence"
    method: str = "last-sentence"
    selection: ChainSelection = ChainSelection()

    def against(self, names):
        return []

    def run(self, lab, seed):
        chains = lab.train_chains(self.selection)
        examples = [
            replace(example, target=last_sentence(example.target))
            for example in build_examples(chains, [], lab.task, "direct")
        ]

        def train(folder):
            job = lab.chain_job(self.selection, seed, folder, self.name)
            return job.train_one(direct_student(job), examples, [])

        place = f"arms/{place_of(self.name, seed)}/training"
        trained = lab.train_once(place, self.name, train)
        return lab.outcome(self.name, seed, self.selection, trained)


class Run:
    def arms(self, name):
        return [LastSentence()]

    def prepare(self):
        pass

    def results(self, graded):
        return None


def open_run(lab, names):
    return Run()
'''


@pytest.fixture
def added_method(tmp_path, monkeypatch):
    """A folder with a method beside the package's own."""
    folder = tmp_path / "last_sentence"
    folder.mkdir()
    for name, text in (
        ("__init__", ""),
        ("config", CONFIG),
        ("before", BEFORE),
        ("arms", ARMS),
    ):
        (folder / f"{name}.py").write_text(text)
    paths = [*smallsteps.methods.__path__, str(tmp_path)]
    monkeypatch.setattr(smallsteps.methods, "__path__", paths)
    methods.cache_clear()
    yield
    methods.cache_clear()


def test_a_method_is_added_by_one_folder(added_method, tmp_path):
    recipe = make_recipe(tiny_content(arms=["direct", "last-sentence"], train={"budget": 1500}))
    results = run(recipe, tmp_path / "run")
    assert [(arm.name, arm.method) for arm in results.arms] == [
        ("direct", "baselines"),
        ("last-sentence", "last-sentence"),
    ]
    (test,) = results.comparisons
    assert (test.arm, test.against) == ("last-sentence", "direct")
    assert (tmp_path / "run" / results.arms[1].student).is_dir()
