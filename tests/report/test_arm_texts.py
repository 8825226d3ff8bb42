"""Every arm that a recipe may name is explained on the page."""

from __future__ import annotations

import pytest

from smallsteps.experiment.method import methods
from smallsteps.report.arm_texts import arm_text

from .conftest import MakeRun, plateau_results, read


@pytest.mark.parametrize("method", methods().values(), ids=lambda method: method.name)
def test_every_arm_of_a_method_is_explained_in_words_of_its_own(method) -> None:
    texts = {name: arm_text(name) for name in method.arm_names()}
    assert all(texts.values()), [name for name, text in texts.items() if not text]
    assert len(set(texts.values())) == len(texts)


def test_the_page_explains_its_arms(make_run: MakeRun) -> None:
    text = read(make_run(plateau_results())).text
    assert "base the student as it is, not trained" in text
    assert "ases-uni-rouge learns segments, cut by ROUGE with the question; one model" in text


def test_an_arm_of_a_joined_run_is_explained_as_in_its_own() -> None:
    assert arm_text("ases-uni-ent-beta=0.8@mine") == arm_text("ases-uni-ent")
