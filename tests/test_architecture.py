"""Imports point one way: records <- parts <- experiment <- methods <- report, cli; importing is cheap."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import smallsteps

ROOT = Path(smallsteps.__file__).parent
MAY_IMPORT = {
    "records": {"errors"},
    "errors": set(),
    "strict_yaml": {"errors"},
    "config_errors": {"errors"},
    "config": {"errors", "config_errors", "strict_yaml"},
    "disk": {"errors"},
    "lock": {"errors"},
    "outputs": {"errors", "disk"},
    "devices": {"errors"},
    "faults": {"errors"},
    "threads": set(),
    "base_style": set(),
    "team": {"errors"},
    "streams": set(),
    "tasks": {"config", "errors", "records", "disk", "outputs", "streams"},
    "evaluation": {"config", "errors", "records", "tasks"},
    "segments": {
        "config",
        "errors",
        "records",
        "tasks",
        "evaluation",
        "students",
        "streams",
        "faults",
    },
    "students": {"config", "errors", "disk", "lock", "records", "tasks", "devices", "faults"},
    "training": {
        "config",
        "errors",
        "disk",
        "records",
        "tasks",
        "students",
        "team",
        "streams",
        "faults",
    },
    "generation": {"config", "errors", "records", "tasks", "students", "team", "threads", "faults"},
    "teaching": {
        "config",
        "errors",
        "faults",
        "records",
        "disk",
        "outputs",
        "tasks",
        "students",
        "generation",
    },
    "serving": {
        "base_style",
        "devices",
        "errors",
        "faults",
        "records",
        "tasks",
        "segments",
        "students",
        "generation",
        "teaching",
    },
    "quality": {
        "config",
        "devices",
        "disk",
        "errors",
        "faults",
        "evaluation",
        "generation",
        "records",
        "students",
        "tasks",
        "teaching",
    },
    "experiment": {
        "errors",
        "faults",
        "records",
        "config",
        "devices",
        "disk",
        "lock",
        "outputs",
        "teaching",
        "threads",
        "tasks",
        "evaluation",
        "segments",
        "students",
        "training",
        "generation",
        "streams",
        "team",
    },
    "methods": {
        "config",
        "devices",
        "disk",
        "errors",
        "faults",
        "evaluation",
        "experiment",
        "generation",
        "quality",
        "records",
        "segments",
        "students",
        "tasks",
        "teaching",
        "training",
        "streams",
        "team",
    },
    "report": {"base_style", "errors", "disk", "records", "evaluation", "experiment", "methods"},
    "publishing": {
        "errors",
        "faults",
        "disk",
        "outputs",
        "records",
        "tasks",
        "evaluation",
        "students",
        "experiment",
        "report",
    },
}


def rooms_imported(path):
    """Folders and modules of the package's root that `path` imports from."""
    known = {name.split(".")[1] for name in module_files()}
    parts = [module.split(".") for module in imported_modules(path)]
    return {part[1] for part in parts if part[0] == "smallsteps" and len(part) > 1} & known


def test_each_room_imports_only_what_it_may():
    for room, allowed in MAY_IMPORT.items():
        files = (ROOT / room).rglob("*.py") if (ROOT / room).is_dir() else [ROOT / f"{room}.py"]
        for file in files:
            wrong = rooms_imported(file) - allowed - {room}
            assert not wrong, f"{file.relative_to(ROOT)} imports {wrong}"


def test_nobody_but_the_command_line_and_publishing_imports_the_report():
    for file in ROOT.rglob("*.py"):
        if file.relative_to(ROOT).parts[0] not in (
            "cli",
            "publishing",
            "report",
            "__init__.py",
        ):
            assert "report" not in rooms_imported(file), file


def test_nobody_but_the_command_line_imports_the_server():
    for file in ROOT.rglob("*.py"):
        if file.relative_to(ROOT).parts[0] not in ("cli", "serving"):
            assert "serving" not in rooms_imported(file), file


@pytest.mark.parametrize(
    ("modules", "none_of"),
    [
        ("smallsteps, smallsteps.cli.main", ("torch", "transformers", "starlette", "uvicorn")),
        # a recipe that is refused should not wait for what only a training or a model needs
        ("smallsteps.experiment.run", ("transformers.trainer_utils", "torch._dynamo", "peft")),
    ],
)
def test_what_takes_seconds_to_load_is_loaded_where_it_is_needed(modules, none_of):
    code = f"import sys, {modules}; print([name for name in {none_of} if name in sys.modules])"
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout == "[]\n"


def module_files():
    """Dotted name → file of every module but the package's `__init__`, which only names the others
    and whose version they read."""
    files = {}
    for file in ROOT.rglob("*.py"):
        parts = file.relative_to(ROOT).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        files[".".join(["smallsteps", *parts])] = file
    del files["smallsteps"]
    return files


def imported_modules(path):
    """Modules that `path` imports anywhere, also inside functions and for types alone."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_modules_import_each_other_in_a_circle_not_even_inside_functions():
    files = module_files()
    graph = {
        name: {module for module in imported_modules(file) if module in files} - {name}
        for name, file in files.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' imports '.join(reversed(error.args[1]))}")


def test_every_module_has_a_test_file_of_its_name():
    for file in module_files().values():
        path = file.relative_to(ROOT)
        if path.name in ("__init__.py", "__main__.py"):
            continue
        test = Path(__file__).parent / path.parent / f"test_{path.name}"
        assert test.is_file(), f"{path} has no tests/{path.parent / test.name}"


def test_no_line_is_longer_than_100_columns_and_all_is_formatted():
    for file in ROOT.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        assert "fmt: skip" not in text and "fmt: off" not in text, file
        long = [n for n, line in enumerate(text.splitlines(), 1) if len(line) > 100]
        assert not long, f"{file.relative_to(ROOT)}:{long[0]} has more than 100 columns"


POSIX_ONLY = {"fcntl", "grp", "pty", "pwd", "resource", "termios"}


def test_no_module_imports_what_windows_lacks():
    for file in module_files().values():
        assert not POSIX_ONLY & set(imported_modules(file)), file


def test_no_two_classes_share_a_name():
    places = {}
    for file in module_files().values():
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(file.relative_to(ROOT).as_posix())
    twice = {name: files for name, files in places.items() if len(files) > 1}
    assert not twice
