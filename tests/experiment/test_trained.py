"""What a training leaves comes back as it was, also from a run folder that was moved."""

from smallsteps.experiment.trained import Part, Trained


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
