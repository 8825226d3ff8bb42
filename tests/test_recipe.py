"""Recipes: strict keys, changes on the command line, digests, every bundled one resolves."""

import pytest
import yaml

from smallsteps.errors import RecipeError
from smallsteps.recipe import Recipe, apply_changes, load_recipe, make_recipe, parse_arm, recipe_names

COMPARISONS = [name for name in recipe_names() if not name.startswith("student/")]


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_bundled_recipe_resolves_and_says_what_it_is(name):
    recipe = load_recipe(name)
    assert recipe.about
    assert make_recipe(yaml.safe_load(recipe.to_yaml())) == recipe


def test_the_published_tables_and_figures_are_there():
    wanted = {
        "demo",
        "as-es/gsm8k",
        "as-es/pet",
        "as-es/table-1",
        "as-es/table-2",
        "as-es/table-3",
        "as-es/figure-3",
        "as-es/figure-4",
    }
    assert wanted <= set(recipe_names())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("train.learnin_rate=1", r"unknown key 'train.learnin_rate'. Did you mean 'learning_rate'\?"),
        ("arms=[dirct]", r"unknown arm 'dirct'. Did you mean 'direct'\?"),
        ("seeds=[]", "seeds"),
        ("train.passes=-1", "train.passes: .*greater than 0"),
        ("nonsense", "expected key=value"),
        ("title.x=3", "'title' is a value"),
        ("arms=[direct,direct]", "named twice"),
    ],
)
def test_a_wrong_word_is_named(change, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("demo", [change])


def test_a_missing_recipe_names_the_nearest():
    with pytest.raises(RecipeError, match="Did you mean 'demo'"):
        load_recipe("demmo")
    with pytest.raises(RecipeError, match="no recipe file"):
        load_recipe("not-there.yaml")


def test_changes_are_read_as_yaml_and_exponents_as_numbers():
    recipe = load_recipe("demo", ["train.learning_rate=1e-4", "seeds=[3,4]", "data.task=stories"])
    assert recipe.train.learning_rate == 1e-4
    assert recipe.seeds == [3, 4]


def test_the_digest_hangs_on_the_content_and_not_on_the_device():
    plain = Recipe()
    assert plain.digest() == make_recipe({"student": {"device": "cuda"}}).digest()
    assert plain.digest() != make_recipe({"seeds": [1]}).digest()


def test_arm_names_are_taken_apart():
    spec = parse_arm("ases-cue-ent*")
    assert (spec.path, spec.strategy, spec.cue, spec.slug) == ("uni", "ent*", True, "ases-cue-ent-star")
    assert parse_arm("ases-dual-inter").path == "dual"


@pytest.mark.parametrize("section", ["tailored.teacher", "guided.reader"])
def test_a_password_in_a_url_is_refused_and_not_repeated(section):
    content = {}
    apply_changes(content, [f"{section}.name=m", f"{section}.base_url=http://user:hunter2@127.0.0.1:1/v1"])
    with pytest.raises(RecipeError, match="carries a user name or a password") as error:
        make_recipe(content)
    assert "hunter2" not in str(error.value)


def test_a_password_in_a_wrong_place_is_not_repeated():
    with pytest.raises(RecipeError, match=r"tailored[.]teacher") as error:
        make_recipe({"tailored": {"teacher": "http://user:hunter2@127.0.0.1:1/v1"}})
    assert "hunter2" not in str(error.value)


def test_extra_parameters_change_the_digest_and_patience_does_not():
    def digest(**teacher):
        budget = {"budget": 1000}
        return make_recipe({"arms": ["full"], "tailored": {"teacher": teacher}, "train": budget}).digest()

    assert digest() == digest(patience=5) == digest(extra_body={}) != digest(extra_body={"reasoning_effort": "low"})
