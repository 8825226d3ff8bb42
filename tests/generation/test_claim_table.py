"""Claims: one owner at a time, and none that outlives its process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from smallsteps.generation.claim_table import ClaimTable, new_owner
from smallsteps.generation.store_file import StoreFile


def table_in(folder: Path) -> ClaimTable:
    return ClaimTable(StoreFile(folder / "r.sqlite"))


def test_a_claim_is_held_by_one_and_ends_by_itself(tmp_path: Path) -> None:
    one, other = table_in(tmp_path), table_in(tmp_path)
    assert one.claim("k", "one", 60) and one.claim("k", "one", 60), "its owner may renew it"
    assert not other.claim("k", "other", 60)
    one.release("k", "one")
    assert other.claim("k", "other", -1)
    assert one.claim("k", "one", 60), "the other's has run out"
    other.release("k", "other")
    assert not other.claim("k", "other", 60), "nobody releases what is another's"


def test_the_claim_of_a_killed_process_of_this_machine_is_void_and_that_of_another_machine_is_not(
    tmp_path: Path,
) -> None:
    table, owner = table_in(tmp_path), new_owner()
    host, _, number = owner.rsplit(":", 2)
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert table.claim("k", f"{host}:{gone.pid}:{number}", 60) and table.claim("k", "me", 60)
    assert table.claim("other", f"elsewhere:{gone.pid}:{number}", 60) and not table.claim(
        "other", "me", 60
    )
    assert table.claim("mine", owner, 60) and not table.claim("mine", "me", 60)


def test_a_claim_is_renewed_by_its_owner_and_void_only_where_it_was_not(tmp_path: Path) -> None:
    table = table_in(tmp_path)
    assert table.claim("k", "elsewhere:1:x", 60)
    seen = table.holder("k")
    assert seen is not None and seen.host == "elsewhere"
    table.renew("elsewhere:1:x", 61)
    table.void("k", seen)
    assert not table.claim("k", "me", 60), "it gave a sign of life"
    again = table.holder("k")
    assert again is not None
    table.void("k", again)
    assert table.claim("k", "me", 60)
