"""What a training leaves comes back as it was, also from a run folder that was moved."""

from dataclasses import replace

from smallsteps.experiment.results import RateResult
from smallsteps.experiment.trained import BestSoFar, Part, Trained


def trained(folder, **changes):
    fields = {
        "folders": {"metric": folder / "candidate-6", "train_loss": folder / "candidate-9"},
        "train_tokens": 500,
        "passes": 2.5,
        "seconds": 1.25,
        "validation": 50.0,
        "curves": [{"update": 1, "tokens": 250}, {"update": 2, "tokens": 500}],
        "learning_rate": 1e-3,
    }
    return Trained(**{**fields, **changes})


def test_what_was_written_is_read_and_folders_move_with_the_run(tmp_path):
    (tmp_path / "here").mkdir()
    trained(tmp_path / "here").write(tmp_path / "here")
    assert Trained.read(tmp_path / "here") == trained(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    assert Trained.read(tmp_path / "there") == trained(tmp_path / "there")


def test_checkpoints_on_the_way_and_the_search_come_back_too(tmp_path):
    (tmp_path / "here").mkdir()
    best = BestSoFar(tmp_path / "here" / "candidate-6", 40.0, 250, 200, 1.0, 0.5)
    rate = RateResult(
        learning_rate=1e-3,
        validation=None,
        validation_loss=None,
        tokens=9,
        seconds=1.0,
        diverged=True,
    )
    left = trained(tmp_path / "here", trail=[best], search=[rate], plateau=False)
    left.write(tmp_path / "here")
    (tmp_path / "here").rename(tmp_path / "there")
    read = Trained.read(tmp_path / "there")
    assert read.trail == [replace(best, folder=tmp_path / "there" / "candidate-6")]
    assert (read.search, read.plateau) == ([rate], False)


def test_the_loss_on_validation_is_the_last_one_and_of_a_pair_the_mean(tmp_path):
    rows = [{"update": 1, "validation_loss": 3.0}, {"update": 2, "validation_loss": 1.0}]
    assert trained(tmp_path).validation_loss is None
    assert trained(tmp_path, curves=rows).validation_loss == 1.0
    pair = [{**rows[0], "half": "ES"}, {**rows[1], "half": "AS"}, {"update": 3, "half": "pair"}]
    assert trained(tmp_path, curves=pair).validation_loss == 2.0


def test_a_criterion_that_was_not_measured_falls_back_to_the_next(tmp_path):
    left = trained(tmp_path)
    assert left.folder("metric") == left.folder("bleu") == tmp_path / "candidate-6"
    assert left.folder("train_loss") == tmp_path / "candidate-9"


def test_tokens_of_a_contrast_count_beside_those_that_are_learnt(tmp_path):
    assert trained(tmp_path).all_tokens == 500
    rows = [{"update": 1, "all_tokens": 300}, {"update": 2, "all_tokens": 400}]
    assert trained(tmp_path, curves=rows).all_tokens == 700


def test_a_half_of_a_pair_is_named():
    assert Part(None, [], []).label("direct, seed 0") == "direct, seed 0"
    assert Part(None, [], [], kind="ES").label("dual, seed 0") == "dual, seed 0, ES half"
