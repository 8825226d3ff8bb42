"""The built wheel holds every file of the package: a recipe or template that was left out would
fail only after `pip install`, never in a checkout."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "smallsteps"
READ_AT_RUN_TIME = {
    "students/bundled/model.safetensors",
    "students/bundled-causal/model.safetensors",
    "recipes/demo.yaml",
    "report/page.html",
    "py.typed",
}
"""One of each kind, so that an empty list of files cannot pass."""


def package_files():
    """Files of the package as git knows them; without git, all that lie there."""
    git = shutil.which("git") and (ROOT / ".git").exists()
    if git:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=SOURCE, capture_output=True, text=True, check=True
        )
        found = {name for name in listed.stdout.split("\0") if name and (SOURCE / name).is_file()}
    else:
        kept = (
            path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts
        )
        found = {path.relative_to(SOURCE).as_posix() for path in kept}
    assert found >= READ_AT_RUN_TIME
    return found


def data_files():
    return {name for name in package_files() if not name.endswith(".py")}


def declared():
    """Files that `package-data` of pyproject.toml names."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"][
        "setuptools"
    ]
    patterns = settings["package-data"]["smallsteps"]
    return {
        path.relative_to(SOURCE).as_posix() for pattern in patterns for path in SOURCE.glob(pattern)
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Names in a wheel of what git knows, built with the build backend of pyproject.toml, without
    network."""
    setuptools = pytest.importorskip("setuptools")
    if int(setuptools.__version__.split(".")[0]) < 77:
        pytest.skip(f"pyproject.toml asks for setuptools 77, {setuptools.__version__} is installed")
    # a copy: a build writes beside its source, and takes along what an earlier build left there
    folder = tmp_path_factory.mktemp("wheel")
    for name in [
        "pyproject.toml",
        "README.md",
        "LICENSE",
        *(f"src/smallsteps/{name}" for name in package_files()),
    ]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    code = "from setuptools.build_meta import build_wheel; build_wheel('dist')"
    built = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr[-2000:]
    with zipfile.ZipFile(next((folder / "dist").glob("smallsteps-*.whl"))) as archive:
        return set(archive.namelist())


def test_the_package_data_of_pyproject_names_every_file_that_is_no_module():
    left_out = data_files() - declared()
    assert not left_out, (
        f"not in [tool.setuptools.package-data] of pyproject.toml: {sorted(left_out)}"
    )


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(wheel):
    inside = {name.removeprefix("smallsteps/") for name in wheel if name.startswith("smallsteps/")}
    assert inside == package_files()
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"smallsteps"}


def test_the_wheel_holds_the_licence_and_the_command(wheel):
    names = {name.split(".dist-info/")[1] for name in wheel if ".dist-info/" in name}
    assert {"METADATA", "entry_points.txt", "licenses/LICENSE"} <= names
