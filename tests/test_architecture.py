"""Arrows point one way: records <- parts <- methods <- cli; importing is cheap."""

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
    "outputs": {"errors"},
    "devices": {"errors"},
    "threads": set(),
    "tasks": {"config", "errors", "records", "disk", "outputs"},
    "evaluation": {"config", "errors", "records", "tasks"},
    "segments": {"config", "errors", "records", "tasks", "evaluation", "students"},
    "students": {"config", "errors", "disk", "records", "tasks", "devices"},
    "training": {"config", "errors", "disk", "records", "tasks", "students"},
    "generation": {"config", "errors", "records", "tasks", "students", "threads"},
    "teaching": {"config", "errors", "records", "tasks", "students", "generation"},
    "quality": {"config", "errors", "records", "tasks", "students", "devices"},
    "experiment": {
        "errors",
        "records",
        "config",
        "disk",
        "lock",
        "threads",
        "tasks",
        "evaluation",
        "segments",
        "students",
        "training",
        "generation",
    },
    "report": {"errors", "disk", "records", "evaluation", "experiment", "methods"},
}


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.startswith("smallsteps.")
        ):
            yield node.module.split(".")[1]


def test_each_room_imports_only_what_it_may():
    for room, allowed in MAY_IMPORT.items():
        files = (ROOT / room).rglob("*.py") if (ROOT / room).is_dir() else [ROOT / f"{room}.py"]
        for file in files:
            wrong = set(imports(file)) - allowed - {room, "__version__"}
            assert not wrong, f"{file.relative_to(ROOT)} imports {wrong}"


def test_nobody_but_the_command_line_imports_the_report():
    for file in ROOT.rglob("*.py"):
        if file.relative_to(ROOT).parts[0] not in ("cli", "report", "__init__.py"):
            assert "report" not in set(imports(file)), file


def test_importing_the_package_loads_no_torch():
    code = "import sys, smallsteps, smallsteps.cli.main; print('torch' in sys.modules, 'transformers' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False", "False"]


WITHOUT_CYCLES = ("students", "training")
"""Rooms whose modules import each other in one direction only."""


def imported_modules(path):
    """Modules of the package that `path` imports anywhere, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_modules_import_each_other_in_a_circle_not_even_inside_functions():
    files = {
        ".".join(["smallsteps", *file.relative_to(ROOT).with_suffix("").parts]): file
        for room in WITHOUT_CYCLES
        for file in (ROOT / room).rglob("*.py")
    }
    graph = {
        name: {module for module in imported_modules(file) if module in files}
        for name, file in files.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' imports '.join(reversed(error.args[1]))}")
