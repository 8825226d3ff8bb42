"""Arms that learn whole chains."""

from smallsteps.experiment.outcome import ChainSelection
from smallsteps.methods.baselines.direct import DirectArm, direct_arms
from tiny_labs import tiny_lab


def test_a_sweep_of_gamma_runs_direct_once_for_each_value(recipe_of):
    data = {"task": "pet", "chains": "x"}
    recipe = recipe_of(arms=["direct", "direct-report"], data=data, sweep={"gamma": [0, 1.5]})
    arms = direct_arms(recipe, "direct")
    assert [arm.name for arm in arms] == ["direct-gamma=0", "direct-gamma=1.5"]
    assert [arm.selection.gamma for arm in arms] == [0, 1.5]
    (report,) = direct_arms(recipe, "direct-report")
    assert report.name == "direct-report" and report.selection.whole_report


def test_the_baseline_names_no_arm_to_be_compared_with_and_needs_no_other_training(recipe_of):
    arm = DirectArm(ChainSelection())
    assert arm.against(["direct", "ases-uni-ent"]) == []
    assert arm.trainings(recipe_of(), 3) == [(arm, "direct, seed 3")]


def test_a_student_trained_on_some_chains_has_a_stage_of_its_own(tmp_path):
    with tiny_lab(tmp_path, train={"budget": 800, "evaluations": 1}) as lab:
        arm = DirectArm(ChainSelection())
        chains = lab.train_chains(arm.selection)[:8]
        trained = arm.train_on(lab, 0, "scorers/some", chains, ", without fold 0")
        assert trained.folder("validation_loss").is_relative_to(lab.run.path / "scorers/some")
        assert "direct, seed 0, without fold 0:" in lab.reporter.lines
        assert not (lab.run.path / "arms").exists()
