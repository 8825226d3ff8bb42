"""What an arm is called, in folders and in messages."""

import pytest

from smallsteps.experiment.method import methods
from smallsteps.experiment.outcome import ChainSelection, folder_name, label_of, place_of


def test_a_place_names_arm_and_seed_and_a_message_does():
    assert place_of("direct", 3) == "direct-seed3"
    assert label_of("direct", 3) == "direct, seed 3"


@pytest.mark.parametrize("method", methods())
def test_no_two_arms_of_a_method_share_a_folder_and_no_name_is_awkward(method):
    names = methods()[method].arm_names()
    folders = {folder_name(f"{name}-beta=0.8") for name in names}
    assert len(folders) == len(names)
    assert not any(character in "".join(folders) for character in '*=/\\:"?<>| ')


def test_the_direct_student_of_whole_reports_learns_regions():
    selection = ChainSelection(gamma=0.5, whole_report=True)
    assert selection.of_direct() == ChainSelection(gamma=0.5)
