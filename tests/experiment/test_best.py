"""The student handed to users is chosen on validation: neither by the test set nor by one lucky
seed."""

from smallsteps.experiment.best import Candidate, best_on_validation


def test_the_arm_is_chosen_by_its_mean_over_seeds_and_not_by_one_lucky_seed():
    lucky = [Candidate("lucky", 0, 90.0, "l0"), Candidate("lucky", 1, 10.0, "l1")]
    steady = [Candidate("steady", 0, 60.0, "s0"), Candidate("steady", 1, 62.0, "s1")]
    found = best_on_validation([*lucky, *steady])
    assert (found.name, found.seed, found.folder) == ("steady", 1, "s1")
    assert found.validation == 62.0


def test_of_equal_arms_the_earlier_is_taken_and_unmeasured_ones_come_last():
    equal = [Candidate("a", 0, 5.0, ""), Candidate("b", 0, 5.0, "")]
    unmeasured = [Candidate("a", 0, None, ""), Candidate("b", 0, 0.0, "")]
    assert best_on_validation(equal).name == "a"
    assert best_on_validation(unmeasured).name == "b"
    assert best_on_validation([Candidate("a", 0, None, "f")]).folder == "f"
