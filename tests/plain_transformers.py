"""Runs the programs of model cards where smallsteps cannot be imported."""

from __future__ import annotations

import json
import subprocess
import sys

RUNNER = """
import contextlib, io, json, os, sys, warnings
sys.modules["smallsteps"] = None  # an import of it fails
warnings.simplefilter("ignore")
import transformers
transformers.logging.set_verbosity_error()
texts = []
for folder, code in json.load(sys.stdin):
    os.chdir(folder)
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(compile(code, folder, "exec"), {})
    texts.append(output.getvalue())
json.dump(texts, sys.stdout)
"""


def run_programs(programs: list[tuple[str, str]]) -> list[str]:
    """What each (folder, program) prints, in one process without smallsteps."""
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUNNER],
        input=json.dumps(programs),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr[-2000:]
    return json.loads(process.stdout)
