"""Model files: no remote code runs and nothing is unpickled, wherever a model is loaded; what
cannot be read says why."""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from transformers import BertConfig, BertForSequenceClassification

import smallsteps
from smallsteps.cli.main import main
from smallsteps.errors import RecipeError, StudentError
from smallsteps.quality.model_judges import EncoderJudge, NliJudge
from smallsteps.students.loading import load_student
from smallsteps.students.pretrained import ModelFiles, by_every_process
from smallsteps.students.settings import BUNDLED_STUDENTS
from smallsteps.students.student import Student

Tiny = Callable[..., Student]
SOURCE = Path(smallsteps.__file__).parent
LOADER = SOURCE / "students/pretrained.py"
FOLDERS = (SOURCE, Path(__file__).parents[2] / "benchmarks", Path(__file__).parents[2] / "docs")
CONVERTERS = (SOURCE / "students/gguf_conversion.py", SOURCE / "students/gguf_tokenizer.py")
"""Make the folder that `LOADER` then reads, from a GGUF file."""
LOADERS = {
    "load_student": load_student,
    "judge": lambda folder: NliJudge(str(folder), "cpu"),
    "encoder": lambda folder: EncoderJudge(str(folder), "cpu"),
}


def calls(path: Path) -> Iterator[tuple[ast.Call, str]]:
    """Each call of a file with the last part of the name that is called."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            yield (
                node,
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", ""),
            )


def constants(call: ast.Call) -> dict[str, Any]:
    return {
        k.arg: k.value.value for k in call.keywords if k.arg and isinstance(k.value, ast.Constant)
    }


def test_models_are_loaded_in_one_place_without_remote_code_and_pickles() -> None:
    files = [path for folder in FOLDERS for path in folder.rglob("*.py")]
    assert LOADER in files and len(files) > 100
    for path in files:
        for call, name in calls(path):
            where, given = f"{path}:{call.lineno}", constants(call)
            if name in ("from_pretrained", "pipeline", "SentenceTransformer", "AutoPeftModel"):
                assert path in (LOADER, *CONVERTERS) and name == "from_pretrained", where
                assert given.get("trust_remote_code") is False, where
                assert given.get("use_safetensors") is True or "dtype" not in {
                    k.arg for k in call.keywords
                }, where
            if name == "load" and isinstance(call.func, ast.Attribute):
                module = getattr(call.func.value, "id", "")
                assert module not in ("pickle", "joblib", "dill"), where
                assert module != "torch" or given.get("weights_only") is True, where


@pytest.fixture
def foreign(tiny: Tiny, tmp_path: Path) -> Path:
    """A folder that wants to run Python code of its own, which leaves a trace."""
    folder = tmp_path / "foreign"
    tiny("t5").save(folder)
    trace = tmp_path / "trace"
    (folder / "code.py").write_text(f"open({str(trace)!r}, 'w').close()\nclass Any: pass\n")
    config = json.loads((folder / "config.json").read_text())
    kinds = ("Model", "ModelForSequenceClassification", "ModelForSeq2SeqLM", "Tokenizer")
    classes = ["AutoConfig", *(f"Auto{kind}" for kind in kinds)]
    config |= {"model_type": "own", "auto_map": dict.fromkeys(classes, "code.Any")}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(autouse=True)
def yes_to_every_question(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who types `y` when transformers asks whether to run the code."""
    monkeypatch.setattr("builtins.input", lambda *_: "y")


@pytest.mark.parametrize("loader", LOADERS)
def test_code_that_comes_with_a_model_never_runs(foreign: Path, loader: str) -> None:
    with pytest.raises(
        StudentError, match=r"needs Python code that comes with it .*never runs"
    ) as refused:
        LOADERS[loader](foreign)
    assert "\n" not in str(refused.value) and str(foreign) in str(refused.value)
    assert not (foreign.parent / "trace").exists()


@pytest.mark.parametrize("flag", ["--judge", "--encoder", "--student"])
def test_the_command_line_refuses_it_in_one_line_before_anything_is_scored(
    foreign: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    row = {"id": "a", "question": "Who?", "context": "Ann is here.", "rationale": "Ann is here."}
    (tmp_path / "r.jsonl").write_text(json.dumps(row) + "\n")
    assert (
        main(
            [
                "quality",
                str(tmp_path / "r.jsonl"),
                "--out",
                str(tmp_path / "q.jsonl"),
                flag,
                str(foreign),
            ]
        )
        == 2
    )
    said = capsys.readouterr().err
    assert "never runs" in said and "Traceback" not in said and not (tmp_path / "q.jsonl").exists()
    assert not (tmp_path / "trace").exists()


def test_a_known_architecture_is_read_by_transformers_own_code(foreign: Path) -> None:
    config = json.loads((foreign / "config.json").read_text())
    (foreign / "config.json").write_text(json.dumps({**config, "model_type": "t5"}))
    assert load_student(foreign).architecture == "encoder-decoder"
    assert not (foreign.parent / "trace").exists()


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "model.pt", "pytorch_model-00001-of-00002.bin"]
)
def test_pickled_weights_are_refused_with_the_way_out(
    tiny: Tiny, tmp_path: Path, loader: str, name: str
) -> None:
    tiny("t5").save(tmp_path / "m")
    (tmp_path / "m/model.safetensors").rename(tmp_path / "m" / name)
    convert = r"pickled \('.*'\).*Only safetensors are read.*import T5ForCond.* as M; M\.from"
    with pytest.raises(StudentError, match=convert):
        LOADERS[loader](tmp_path / "m")


@pytest.mark.parametrize("loader", LOADERS)
def test_an_adapter_brings_no_model_from_elsewhere(tiny: Tiny, tmp_path: Path, loader: str) -> None:
    tiny("t5").save(tmp_path / "m")
    (tmp_path / "m/adapter_config.json").write_text(
        '{"peft_type": "LORA", "base_model_name_or_path": "a/b"}'
    )
    with pytest.raises(StudentError, match=r"holds an adapter .*merge_and_unload"):
        LOADERS[loader](tmp_path / "m")


def test_a_kernel_from_the_hub_is_code_too(tiny: Tiny, tmp_path: Path) -> None:
    tiny("t5").save(tmp_path / "m")
    config = json.loads((tmp_path / "m/config.json").read_text())
    (tmp_path / "m/config.json").write_text(
        json.dumps({**config, "_attn_implementation": "owner/kernel"})
    )
    with pytest.raises(StudentError, match=r"asks for code from the hub .*'owner/kernel'"):
        load_student(tmp_path / "m")


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "model.safetensors",
            b"",
            r"model\.safetensors is cut off or damaged \(0 bytes\)\. Copy or",
        ),
        ("model.safetensors", b"\xff" * 100, r"damaged \(100 bytes\)\. Copy or fetch the folder"),
        ("config.json", b"[1, 2]", "config.json could not be read"),
        ("config.json", b"{", r"config\.json is cut off or damaged \(.* at column 2\)\. Copy or"),
        ("config.json", b"\xff\xfe", r"config\.json is damaged\. Copy or fetch the folder again"),
        ("config.json", b'{"model_type": "t5", "d_model": "x"}', "config.json could not be read"),
        ("tokenizer.json", b"{", r"tokenizer\.json is cut off or damaged"),
        ("tokenizer_config.json", b"[", r"tokenizer_config\.json is cut off or damaged"),
    ],
)
def test_damaged_files_are_named(
    tiny: Tiny, tmp_path: Path, loader: str, name: str, content: bytes, message: str
) -> None:
    tiny("t5").save(tmp_path / "m")
    _as_inference(tmp_path / "m")
    if loader == "encoder":
        _saved_bert(tiny, tmp_path / "m")
    (tmp_path / "m" / name).write_bytes(content)
    with pytest.raises(StudentError, match=message) as refused:
        LOADERS[loader](tmp_path / "m")
    assert "\n" not in str(refused.value)


def _as_inference(folder: Path) -> None:
    """Labels of natural-language inference, so that the weights are looked at."""
    config = json.loads((folder / "config.json").read_text())
    labels = {
        "id2label": {"0": "entailment", "1": "neutral", "2": "contradiction"},
        "num_labels": 3,
    }
    (folder / "config.json").write_text(json.dumps({**config, **labels}))


def _saved_bert(tiny: Tiny, folder: Path) -> None:
    config = BertConfig(
        vocab_size=64,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        pad_token_id=0,
    )
    BertForSequenceClassification(config).save_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody/nothing-of-this-name", "could not be fetched from the hub"),
        ("/nowhere/at/all", "no such folder or file, and not a hub name"),
        ("gpt2", r"the hub knows this model as openai-community/gpt2\. Type that name"),
        ("t5-small", r"the hub knows this model as google-t5/t5-small\."),
        ("roberta-large-mnli", r"the hub knows this model as FacebookAI/roberta-large-mnli\."),
        ("distilgpt2", r"the hub knows this model as distilbert/distilgpt2\."),
        ("gpt3", "no such folder or file, and not a hub name"),
        ("~no-such-user-here/m", "no such folder|not a possible path"),
        ("", "no name given"),
        ("/", "has no config.json"),
        ("x" * 5000, "not a possible path"),
        ("a\0b", "no such folder|not a possible path"),
    ],
)
@pytest.mark.parametrize("loader", LOADERS)
def test_names_that_lead_nowhere_are_one_line(
    monkeypatch: pytest.MonkeyPatch, loader: str, name: str, message: str
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(StudentError, match=message) as refused:
        LOADERS[loader](name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("offline", "said", "reason"),
    [
        (True, "whatever", "HF_HUB_OFFLINE is set"),
        (False, "We couldn't connect to 'https://hub' to load the files", "no connection"),
        (
            False,
            "a/b is not a local folder and is not a valid model identifier listed on 'https://hub'",
            "it has no such model, or a private one",
        ),
        (False, "Something else.", "Something else"),
    ],
)
def test_why_the_hub_gave_nothing_is_said_in_a_few_words(
    monkeypatch: pytest.MonkeyPatch, offline: bool, said: str, reason: str
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(f"{said}\nCheckout your internet connection or see how to run offline.")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", refuse)
    with pytest.raises(StudentError) as refused:
        load_student("a/b")
    assert str(refused.value) == (
        f"a/b: no such folder, and config.json could not be fetched from the hub ({reason}). "
        "Check the name."
    )


@pytest.mark.parametrize("word", ["foo", "", "cpu:7", "meta"])
def test_devices_that_are_not_there_are_named_before_weights_are_read(word: str) -> None:
    for open_model in (load_student, NliJudge, EncoderJudge):
        with pytest.raises(RecipeError, match=f"device {word}: no such device"):
            open_model("bundled", device=word)


@pytest.mark.parametrize("name", BUNDLED_STUDENTS)
def test_bundled_students_are_models_of_one_tokenizer(name: str) -> None:
    files = ModelFiles.locate(name)
    assert Path(files.source).is_dir()
    assert files.tokenizer().get_vocab() == ModelFiles.locate("bundled").tokenizer().get_vocab()


def test_a_name_like_a_bundled_one_gets_the_nearest() -> None:
    with pytest.raises(
        StudentError,
        match=r"^bundled-casual: no such folder.*Did you mean 'bundled-causal'\? "
        r"Students without a hub: bundled, bundled-causal, smollm2\.$",
    ):
        ModelFiles.locate("bundled-casual")


def test_a_folder_above_students_names_them(tmp_path):
    place = tmp_path / "training" / "candidate-3"
    place.mkdir(parents=True)
    (place / "smallsteps.json").write_text("{}")
    with pytest.raises(
        StudentError, match=r"training: .* no config\.json\. Did you mean .*/candidate-3\?$"
    ):
        ModelFiles.locate(str(tmp_path / "training"))


def test_weights_whose_copy_was_cut_off_are_named_with_what_to_do(tiny: Tiny, tmp_path: Path):
    """The header is whole, so that only the end of the file is missing."""
    tiny("t5").save(tmp_path / "m")
    path = tmp_path / "m" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    message = (
        r"m: model\.safetensors is cut off or damaged \([\d,]+ bytes\)\. Copy or fetch the folder"
    )
    with pytest.raises(StudentError, match=message):
        load_student(tmp_path / "m")


def test_every_process_of_a_launch_reads_the_weights(monkeypatch):
    """Else transformers leaves all but the first with weights that are not there."""
    name = "FSDP_CPU_RAM_EFFICIENT_LOADING"
    monkeypatch.setenv(name, "true")
    with pytest.raises(KeyError), by_every_process():
        assert name not in os.environ
        raise KeyError
    assert os.environ[name] == "true"
    monkeypatch.delenv(name)
    with by_every_process():
        pass
    assert name not in os.environ
