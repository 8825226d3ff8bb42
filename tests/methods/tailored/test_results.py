"""The records of tailored learning in results.json."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from smallsteps.experiment.results import method_results
from smallsteps.methods.tailored.results import TailoredResults


def test_the_record_is_found_by_the_name_of_the_method() -> None:
    assert method_results("tailored") is TailoredResults


def test_only_the_two_ways_of_being_equal_are_known() -> None:
    assert TailoredResults(teacher="solver", equal="all", rounds=[]).equal == "all"
    with pytest.raises(ValidationError, match="'anchors' or 'all'"):
        TailoredResults(teacher="solver", equal="positives", rounds=[])
