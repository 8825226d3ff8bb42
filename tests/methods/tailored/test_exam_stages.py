"""Exams in the run folder: a killed exam loses at most a block."""

from __future__ import annotations

import pytest

from smallsteps.experiment import sampled
from smallsteps.experiment.recipe import make_recipe
from smallsteps.experiment.run import run
from smallsteps.methods.tailored import exam_stages
from tiny_tailored import tailored_content


def test_an_exam_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """A killed exam loses at most a block of questions."""
    monkeypatch.setattr(sampled, "BLOCK", 5)
    sizes = []
    sit = exam_stages.sit

    def interrupted_in_the_second_block(student, problems, *args, **more):
        sizes.append(len(problems))
        if len(sizes) == 2:
            raise KeyboardInterrupt
        return sit(student, problems, *args, **more)

    monkeypatch.setattr(exam_stages, "sit", interrupted_in_the_second_block)
    recipe = make_recipe(tailored_content(tailored={"rounds": 1}))
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "run")
    sizes[:] = [0, 0]
    run(recipe, tmp_path / "run")
    assert sizes[2:] == [5, 5, 5], "the first block of the first exam was kept"
