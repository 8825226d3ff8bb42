"""The registry of methods: every arm belongs to one method, and old names say the new one."""

import re
from types import SimpleNamespace

import pytest

from smallsteps.experiment.method import (
    baseline_of,
    method_of,
    methods,
    methods_of,
    needs_chains,
    recipe_arm,
)


def recipe(*arms, baseline=None):
    return SimpleNamespace(arms=arms, baseline=baseline)


def test_every_folder_of_a_method_is_in_the_registry_and_baselines_come_first():
    assert next(iter(methods())) == "baselines"
    assert {"baselines", "as-es", "tailored", "guided"} <= set(methods())
    assert all(name == method.name for name, method in methods().items())


def test_no_two_methods_have_an_arm_of_the_same_name():
    names = [name for method in methods().values() for name in method.arm_names()]
    assert len(names) == len(set(names))
    for method in methods().values():
        assert all(method_of(name) is method for name in method.arm_names())
        assert method.baseline is None or method.baseline in method.arm_names()


def test_an_old_name_says_the_new_one():
    renamed = [(m, old, new) for m in methods().values() for old, new in m.renamed.items()]
    assert renamed
    for method, old, new in renamed:
        assert new in method.arm_names()
        with pytest.raises(ValueError, match=re.escape(f"{old!r} is called {new!r} now")):
            method_of(old)


def test_an_unknown_arm_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match=r"unknown arm 'derect'\. Did you mean 'direct'\?"):
        method_of("derect")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ases-rouge", "ases-uni-rouge"),
        ("rouge", "ases-uni-rouge"),
        ("uni-rouge", "ases-uni-rouge"),
        ("ases_uni_rouge", "ases-uni-rouge"),
        ("ases-rogue", "ases-uni-rouge"),
        ("ent", "ases-uni-ent"),
        ("ases-ent*", "ases-uni-ent*"),
        ("dual", "ases-dual-rouge"),
        ("dual-ent", "ases-dual-ent"),
        ("as-es", "ases-uni-rouge"),
        ("tailored", "tailored-full"),
        ("distill", "guided-distilled"),
        ("fewshot", "base-fewshot"),
        ("selftraining", "self-training"),
        ("Direct", "direct"),
    ],
)
def test_a_part_of_a_name_means_the_arm_that_people_use_first(typed, meant):
    message = rf"unknown arm '{re.escape(typed)}'\. Did you mean '{re.escape(meant)}'\?"
    with pytest.raises(ValueError, match=message):
        method_of(typed)


def test_a_name_with_a_word_of_no_arm_means_none():
    for typed in ("xyz", "", "zero-shot"):
        with pytest.raises(ValueError, match=rf"unknown arm '{typed}'\. Known are"):
            method_of(typed)


def test_arms_are_grouped_by_method_in_the_order_of_the_recipe():
    arms = ("ases-uni-ent", "direct", "guided-standard", "ases-uni-inter")
    assert methods_of(recipe(*arms)) == {
        "as-es": ["ases-uni-ent", "ases-uni-inter"],
        "baselines": ["direct"],
        "guided": ["guided-standard"],
    }


def test_chains_are_needed_where_one_arm_learns_from_them():
    assert needs_chains(recipe("guided-standard", "direct"))
    assert not needs_chains(recipe("guided-standard", "tailored-full"))


@pytest.mark.parametrize(
    ("arms", "named", "baseline"),
    [
        (("ases-uni-ent", "direct"), None, "direct"),  # a method's baseline, wherever it stands
        (("ases-uni-ent", "ases-uni-inter"), None, "ases-uni-ent"),  # else the first
        (("ases-uni-ent", "direct"), "ases-uni-ent", "ases-uni-ent"),  # the recipe decides
    ],
)
def test_the_baseline_is_the_recipes_else_a_methods_else_the_first(arms, named, baseline):
    assert baseline_of(recipe(*arms, baseline=named)) == baseline


def test_an_arm_of_a_sweep_belongs_to_the_arm_that_its_name_begins_with():
    arms = recipe("ases-uni-ent", "ases-uni-ent*")
    assert recipe_arm(arms, "ases-uni-ent-beta=0.8") == "ases-uni-ent"
    assert recipe_arm(arms, "ases-uni-ent*-beta=0.8") == "ases-uni-ent*"
