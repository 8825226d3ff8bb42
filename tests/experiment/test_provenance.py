"""Provenance names what a reader needs to repeat a figure."""

import json
import sys

import smallsteps
from smallsteps.experiment.folder import run_folder
from smallsteps.experiment.provenance import hardware, package_version, provenance, threads


def test_a_run_folder_keeps_versions_hardware_and_threads(tmp_path):
    with run_folder(tmp_path / "run", "a", "title: x\n") as run:
        kept = json.loads((run.path / "run.json").read_text())["provenance"]
    assert kept["versions"]["torch"] == package_version("torch")
    assert kept["versions"]["smallsteps"] == smallsteps.__version__
    assert "cores" in kept["hardware"] and kept["python"].count(".") == 2
    assert set(kept["threads"]) == {"training", "decoding"}


def test_what_is_not_there_is_none_and_no_error(monkeypatch, tmp_path):
    assert package_version("no-such-package") is None
    monkeypatch.setattr("smallsteps.experiment.provenance.__file__", str(tmp_path / "x.py"))
    assert provenance()["commit"] is None


def test_asking_for_hardware_and_threads_loads_no_torch(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch")
    assert threads() is None and " cores" in hardware()
    assert "torch" not in sys.modules
