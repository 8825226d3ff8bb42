"""Recipes: strict keys, changes on the command line, digests, every bundled one resolves."""

import re
from importlib import resources

import pytest
import yaml

from smallsteps.errors import RecipeError, TrainingError
from smallsteps.experiment.recipe import (
    Recipe,
    apply_changes,
    load_recipe,
    make_recipe,
    of_launch,
    recipe_content,
    recipe_names,
)
from smallsteps.experiment.run import run

COMPARISONS = [name for name in recipe_names() if not name.startswith("student/")]
RECIPES = resources.files("smallsteps") / "recipes"


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_bundled_recipe_resolves_and_says_what_it_is(name):
    recipe = load_recipe(name)
    assert recipe.about
    assert make_recipe(yaml.safe_load(recipe.to_yaml())) == recipe


@pytest.mark.parametrize("name", recipe_names())
def test_no_line_of_a_bundled_recipe_is_longer_than_100_columns(name):
    lines = (RECIPES / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 100] == []


@pytest.mark.parametrize("name", recipe_names())
def test_a_bundled_recipe_says_what_it_is_in_one_paragraph_below_200_characters(name):
    about = recipe_content(name)["about"]
    assert 0 < len(about) < 200
    assert " ".join(about.split()) == about


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
        (
            "train.learnin_rate=1",
            r"unknown key 'train.learnin_rate'. Did you mean 'learning_rate'\?",
        ),
        ("arms=[dirct]", r"unknown arm 'dirct'. Did you mean 'direct'\?"),
        ("seeds=[]", "seeds"),
        (
            "train.passes=-1",
            "train.passes: expected a number above 0, got -1. Type for example train.passes=20$",
        ),
        ("nonsense", "expected key=value"),
        ("title.x=3", "'title' is a value"),
        ("arms=[direct,direct]", "named twice"),
    ],
)
def test_a_wrong_word_is_named(change, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("demo", [change])


WRONG = {
    # numbers
    "train.passes=inf": "train.passes: expected a number above 0, got inf. Type for example train.passes=20",
    "train.passes=1e9": "train.passes: expected a number above 0 and of at most 1e+06, got 1e+09",
    "train.passes=true": "train.passes: expected a number above 0, got true",
    "train.passes=": "train.passes: expected a number above 0, got nothing",
    "train.learning_rate=inf": "train.learning_rate: expected a number above 0 or a list of numbers above 0, or null, got inf. "
    "Type for example train.learning_rate=1e-3",
    "train.learning_rate=.nan": "train.learning_rate: expected a number above 0 or a list of numbers above 0, or null, got nan",
    "train.budget=1.5": "train.budget: expected a whole number of at least 1, or null, got 1.5",
    "train.budget=1e30": "train.budget: expected a whole number of at least 1, or null, got 1e+30",
    "train.warmup_share=1": "expected a number of at least 0 and below 1, got 1",
    "train.weight_decay=nan": "train.weight_decay: expected a number of at least 0, got nan",
    "segmentation.beta=0": "segmentation.beta: expected a number above 0, got 0",
    "segmentation.gamma=-inf": "segmentation.gamma: expected a number of at least 0, got -inf",
    "seeds=[-1]": "seeds[0]: expected a whole number of at least 0, got -1.",
    "seeds=[0, 4294967296]": "seeds[1]: expected a whole number of at least 0 and below 4,294,967,296, got 4294967296.",
    "seeds=[.inf]": "seeds[0]: expected a whole number of at least 0, got inf.",
    "seeds=[true]": "seeds: expected a list (not empty) of whole numbers of at least 0, got [True].",
    "sweep.beta=[true]": "sweep: expected `name: value` lines with lists of numbers of at least 0, got",
    "seeds=[1, 1]": "seeds: 1 is named twice",
    "seeds=3": "seeds: expected a list (not empty) of whole numbers of at least 0, got 3. Type for example seeds=[0]",
    "data.limit=-1": "data.limit: expected a whole number of at least 1, or null, got -1",
    "data.limit=0": "data.limit: expected a whole number of at least 1, or null, got 0",
    "data.count=nan": "data.count: expected a whole number of at least 10, got nan",
    "data.split_seed=-1": "data.split_seed: expected a whole number of at least 0, got -1",
    "evaluation.bootstrap=1e12": "expected a whole number from 100 to 10,000,000, got 1e+12",
    "student.dropout=nan": "student.dropout: expected a number of at least 0 and below 1, or null, got nan",
    "student.lora=-1": "student.lora: expected a whole number of at least 0, got -1",
    "sweep.beta=[]": "sweep.beta: expected a list (not empty) of numbers of at least 0, got [].",
    "sweep.beta=[.nan]": "sweep.beta[0]: expected a number of at least 0, got nan.",
    "sweep.beta=[1, -1]": "sweep.beta[1]: expected a number of at least 0, got -1.",
    "sweep.beta=[0]": "sweep.beta: expected numbers above 0, got 0",
    "sweep.gamma=[1, 1.00]": "sweep.gamma: 1 is named twice",
    "sweep.data.limit=[2.5]": "sweep.data.limit: expected whole numbers above 0, got 2.5",
    "sweep.data.limit=[0]": "sweep.data.limit: expected whole numbers above 0, got 0",
    "sweep.data.limit=[9, 9]": "sweep.data.limit: 9 is named twice",
    "sweep.data.count=[9]": "sweep knows beta, gamma and data.limit, not 'data.count'",
    "sweep.alpha=[1]": "sweep knows beta, gamma and data.limit, not 'alpha'",
    "tailored.teacher.price_in=-1": "tailored.teacher.price_in: expected a number of at least 0, got -1",
    "tailored.teacher.price_out=.nan": "tailored.teacher.price_out: expected a number of at least 0, got nan",
    "tailored.teacher.money=-inf": "tailored.teacher.money: expected a number of at least 0, or null, got -inf",
    "tailored.teacher.calls=1e30": "tailored.teacher.calls: expected a whole number of at least 0, or null",
    "tailored.teacher.timeout=inf": "tailored.teacher.timeout: expected a number above 0, got inf",
    "tailored.teacher.temperature=1e-30": "expected 0 (greedy) or a number from 0.01 to 1000, got 1e-30",
    "tailored.temperature=nan": "tailored.temperature: expected a number of at least 0.01, got nan",
    "tailored.min_gain=nan": "tailored.min_gain: expected a number of at least -100, or null, got nan",
    "guided.reinforce.kl=inf": "guided.reinforce.kl: expected a number of at least 0, got inf",
    "guided.reader.extra_body={a: .inf}": "guided.reader.extra_body: not JSON (Out of range float values",
    # shapes
    "train=3": "train: expected a section of `key: value` lines, got 3.",
    "train=[1]": "train: expected a section of `key: value` lines, got [1].",
    "train.dtype=float23": "train.dtype: expected one of float32, bfloat16, got 'float23'. Did you mean 'float32'?",
    "data.chains=[]": "data.chains: expected text (not empty) or a list (not empty) of texts, got []",
    'data.chains=""': "data.chains: expected text (not empty)",
    "data.columns=[a]": "data.columns: expected `name: value` lines with texts, got ['a'].",
    "arms=direct": "arms: expected a list (not empty) of texts, got 'direct'",
    "title=3": "title: expected text, got 3",
    "student.name=": "student.name: expected text (not empty), got nothing",
    # key=value
    "arms=[direct": "'arms=[direct':1: not valid YAML: expected ',' or ']', but got '<stream end>'.",
    'x="': "'x=\"':1: not valid YAML: found unexpected end of stream.",
    "x=*y": "'x=*y':1: not valid YAML: anchors (&name) and aliases (*name) are not read",
    "x=@z": "'x=@z':1: not valid YAML: found character '@' that cannot start any token.",
    "x=%": "'x=%':1: not valid YAML: expected alphabetic or numeric character",
    "x=!!python/object:os.system {}": "not valid YAML: could not determine a constructor for the tag",
    "x=" + "[" * 10_000: ":1: not valid YAML: nested more than 20 levels deep.",
    "x=" + "9" * 5000: "not valid YAML: Exceeds the limit (4300 digits)",
    "x={a: 1, a: 2}": "not valid YAML: the key 'a' stands twice.",
    "x={1: 2}": "not valid YAML: expected a name before the colon, got '1'.",
    "title=\udcff": "not valid YAML: a character that no text has (0xdcff).",
    "title=\0": "not valid YAML: a character that no text has (0x0).",
    "=3": "expected key=value, found '=3'",
    "a.b": "expected key=value, found 'a.b'",
    "a..b=1": "expected key=value, found 'a..b=1'",
    ".a=1": "expected key=value, found '.a=1'",
    " =1": "expected key=value, found ' =1'",
    "title.x=3": "'title.x=3': 'title' is a value, it holds no key 'x'",
    "arms.0=direct": "'arms.0=direct': 'arms' is a value, it holds no key '0'",
    "a b=1": "unknown key 'a b'.",
}


@pytest.mark.parametrize("change", WRONG, ids=lambda change: ascii(change[:40]))
def test_a_wrong_change_is_one_line_that_names_it(change):
    with pytest.raises(RecipeError, match=re.escape(WRONG[change])) as caught:
        load_recipe("demo", [change])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_several_wrong_keys_are_counted():
    with pytest.raises(RecipeError, match=r"^demo: train.budget: .* \(2 more keys are wrong\)$"):
        load_recipe("demo", ["train.passes=0", "train.budget=0", "evaluation.batch_size=0"])


FILES = {
    "latin": ("title: caf\u00e9\n".encode("latin-1"), r":1: not UTF-8 \(byte 0xe9\)"),
    "utf16": ("title: x\n".encode("utf-16"), "UTF-16, expected UTF-8"),
    "utf16 without mark": ("title: x\n".encode("utf-16-le"), "expected text, found a binary file"),
    "binary": (bytes(range(256)), "expected text, found a binary file"),
    "deep": (b"x: " + b"[" * 10_000, ":1: not valid YAML: nested more than 20 levels deep"),
    "deep blocks": (
        b"\n".join(b" " * n + b"x:" for n in range(1000)),
        r":\d+: not valid YAML: nested more than",
    ),
    "empty": (b"", "empty; expected `key: value` lines"),
    "a comment": (b"# nothing\n", "empty; expected `key: value` lines"),
    "a list": (b"- direct\n", "expected `key: value` lines, found a list"),
    "a number": (b"0\n", "expected `key: value` lines, found a int"),
    "twice": (
        b"title: a\nseeds: [0]\ntitle: b\n",
        ":3: not valid YAML: the key 'title' stands twice",
    ),
    "object": (
        b"x: !!python/object/apply:os.system ['true']\n",
        ":1: not valid YAML: could not determine",
    ),
    "laughs": (b"a: &a [x, x]\nb: &b [*a, *a]\n", r":1: not valid YAML: anchors \(&name\)"),
    "merge": (
        b"a: {<<: {title: x}}\n",
        ":1: not valid YAML: could not determine a constructor for the tag",
    ),
    "broken": (b"arms: [direct\nseeds: [0]\n", r":2: not valid YAML: expected ',' or '\]'"),
    "tab": (
        b"train:\n\tpasses: 3\n",
        ":2: not valid YAML: found character '.t' that cannot start any token",
    ),
    "two documents": (
        b"title: a\n---\ntitle: b\n",
        ":2: not valid YAML: but found another document",
    ),
    "huge": (b"#" * 10_000_001, "larger than 10,000,000 bytes"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_no_recipe_is_named_in_one_line(tmp_path, kind):
    content, message = FILES[kind]
    path = tmp_path / "my.yaml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=message) as caught:
        load_recipe(str(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_recipe_file_is_read_with_its_byte_order_mark(tmp_path):
    (tmp_path / "my.yaml").write_bytes(b"\xef\xbb\xbftitle: x\nseeds: [0]\n")
    assert load_recipe(str(tmp_path / "my.yaml")).title == "x"


def test_yaml_means_what_people_mean(tmp_path):
    (tmp_path / "my.yaml").write_text(
        "title: 2024-01-31\ntrain: {learning_rate: 1e-3, budget: 1e6}\n"
    )
    recipe = load_recipe(str(tmp_path / "my.yaml"))
    assert (recipe.title, recipe.train.learning_rate, recipe.train.budget) == (
        "2024-01-31",
        1e-3,
        1_000_000,
    )


def test_a_folder_is_no_recipe_file(tmp_path):
    (tmp_path / "demo.yaml").mkdir()
    with pytest.raises(RecipeError, match=r"no recipe file .*demo\.yaml \(it is a folder\)"):
        load_recipe(str(tmp_path / "demo.yaml"))


def test_a_section_that_null_left_out_takes_keys():
    recipe = load_recipe("tailored/demo", ["guided=null", "tailored.rounds=2"])
    assert recipe.tailored.rounds == 2
    assert load_recipe("demo", ["data.validation=null"]).data.validation is None


def test_a_missing_recipe_names_the_nearest():
    with pytest.raises(RecipeError, match="Did you mean 'demo'"):
        load_recipe("demmo")
    with pytest.raises(RecipeError, match="no recipe file"):
        load_recipe("not-there.yaml")


def test_learning_rates_to_search_among_are_a_list_also_on_the_command_line():
    recipe = load_recipe("demo", ["train.learning_rate=[5e-4,1e-3]"])
    assert recipe.train.rates == [5e-4, 1e-3]


@pytest.mark.parametrize("change", ["sweep.data.limit=[5, 9]", "sweep={data.limit: [5, 9]}"])
def test_a_sweep_over_chains_is_named_as_the_setting_or_by_its_key(change):
    assert load_recipe("demo", [change]).sweep == {"data.limit": [5, 9]}


def test_changes_are_read_as_yaml_and_exponents_as_numbers():
    recipe = load_recipe("demo", ["train.learning_rate=1e-4", "seeds=[3,4]", "data.task=stories"])
    assert recipe.train.learning_rate == 1e-4
    assert recipe.seeds == [3, 4]


def test_the_digest_depends_on_the_content_and_not_on_device_or_title():
    plain = Recipe()
    assert plain.digest() == make_recipe({"student": {"device": "cuda"}}).digest()
    assert plain.digest() == make_recipe({"title": "another", "about": "words"}).digest()
    assert plain.digest() != make_recipe({"seeds": [1]}).digest()


def test_an_old_key_is_an_error_that_names_the_new_one():
    with pytest.raises(RecipeError, match=r"'train.fair'. It is called 'train.until' now\.$"):
        load_recipe("demo", ["train.fair=passes"])


def test_until_the_plateau_no_other_figure_than_the_metric_chooses_the_checkpoint():
    content = {"train": {"until": "plateau"}, "evaluation": {"checkpoint": "train_loss"}}
    with pytest.raises(RecipeError, match=r"evaluation.checkpoint: .*, not train_loss: take the"):
        make_recipe(content)


@pytest.mark.parametrize("section", ["tailored.teacher", "guided.reader"])
def test_a_password_in_a_url_is_refused_and_not_repeated(section):
    content = {}
    apply_changes(
        content, [f"{section}.name=m", f"{section}.base_url=http://user:hunter2@127.0.0.1:1/v1"]
    )
    with pytest.raises(RecipeError, match="carries a user name or a password") as error:
        make_recipe(content)
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "url", ["localhost:8000/v1", "http://h:99999/v1", "http://", "http://[::1/v1", "", "ftp://h"]
)
def test_a_url_that_is_none_is_refused_with_its_place(url):
    with pytest.raises(RecipeError, match=r"guided[.]reader[.]base_url: .*(expected|[Pp]ort|IPv6)"):
        make_recipe({"guided": {"reader": {"name": "m", "base_url": url}}})


def test_a_password_in_a_wrong_place_is_not_repeated():
    with pytest.raises(RecipeError, match=r"tailored[.]teacher") as error:
        make_recipe({"tailored": {"teacher": "http://user:hunter2@127.0.0.1:1/v1"}})
    assert "hunter2" not in str(error.value)


def test_extra_parameters_change_the_digest_and_patience_does_not():
    def digest(**teacher):
        budget = {"budget": 1000}
        return make_recipe(
            {"arms": ["tailored-full"], "tailored": {"teacher": teacher}, "train": budget}
        ).digest()

    assert (
        digest()
        == digest(patience=5)
        == digest(extra_body={})
        != digest(extra_body={"reasoning_effort": "low"})
    )


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("budget=6000", "train.budget"),
        ("train.batch_size=8", "train.update_examples' or 'evaluation.batch_size"),
    ],
)
def test_a_key_in_the_wrong_section_is_told_where_it_belongs(change, key):
    with pytest.raises(RecipeError, match=f"Did you mean '{key}'"):
        load_recipe("demo", [change])


def test_settings_of_the_generator_are_shown_beside_bundled_data_alone():
    own = load_recipe("demo", ["data.chains=my.jsonl", "data.task=numbers"])
    assert "difficulty" in own.to_yaml() and "test_count" in own.to_yaml()
    for key in ("difficulty", "test_count", "validation_count"):
        assert f"{key}:" not in own.applicable_yaml()
        assert f"{key}:" in load_recipe("demo").applicable_yaml()
    assert "noise:" in load_recipe("guided/demo").applicable_yaml()
    reader = load_recipe("guided/demo", ["guided.reader.name=./folder"])
    assert "noise:" not in reader.applicable_yaml()


def test_the_precision_of_accelerates_config_is_that_of_the_recipe(monkeypatch):
    recipe = make_recipe({"arms": ["direct"]})
    assert of_launch(recipe) is recipe
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    launched = of_launch(recipe)
    assert launched.train.dtype == "bfloat16" and of_launch(launched) is launched
    with pytest.raises(TrainingError, match="dtype is float32, but accelerate's config says"):
        of_launch(make_recipe({"arms": ["direct"], "train": {"dtype": "float32"}}))


def test_deepspeed_is_refused_before_any_work(monkeypatch, tmp_path):
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(TrainingError, match="asks for DeepSpeed"):
        run(make_recipe({"arms": ["direct"]}), tmp_path / "run")
    assert not (tmp_path / "run").exists()
