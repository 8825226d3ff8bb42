from __future__ import annotations

from pathlib import Path

JOB = "smallsteps.cli.run_listing.list_runs"


def test_defaults(passed):
    assert passed(JOB, "runs") == (Path("runs"), False)


def test_options(passed):
    assert passed(JOB, "runs", "elsewhere", "--json") == (Path("elsewhere"), True)
