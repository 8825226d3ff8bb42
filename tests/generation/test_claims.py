"""Jobs that want the same reply: one asks, the others wait, and a silent one is not waited for."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from smallsteps.generation.claim_table import ClaimTable
from smallsteps.generation.claims import Claims
from smallsteps.generation.store_file import StoreFile


@pytest.fixture
def table(tmp_path: Path) -> ClaimTable:
    return ClaimTable(StoreFile(tmp_path / "r.sqlite"))


def short_lease(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr("smallsteps.generation.claims.LEASE_SECONDS", seconds)
    monkeypatch.setattr("smallsteps.generation.claims.POLL_SECONDS", 0.02)


def test_a_claim_ends_with_its_block_even_where_that_fails(table: ClaimTable) -> None:
    claims = Claims(table, lambda line: None)

    async def ask() -> None:
        async with claims.claimed("k"):
            holder = table.holder("k")
            assert holder is not None and holder.owner == claims.owner
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        asyncio.run(ask())
    assert table.holder("k") is None


def test_two_jobs_ask_one_after_the_other(
    table: ClaimTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_lease(monkeypatch, 15.0)
    order: list[str] = []

    async def ask(name: str, claims: Claims) -> None:
        async with claims.claimed("k"):
            order.append(f"{name} begins")
            await asyncio.sleep(0.05)
            order.append(f"{name} ends")

    async def both() -> None:
        jobs = [Claims(table, lambda line: None) for _ in range(2)]
        await asyncio.gather(ask("one", jobs[0]), ask("two", jobs[1]))

    asyncio.run(both())
    assert order == ["one begins", "one ends", "two begins", "two ends"]


def test_a_silent_claim_of_another_machine_is_named_once_and_taken_over(
    table: ClaimTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_lease(monkeypatch, 0.3)
    table.claim("k", "elsewhere:77:x", 600)
    lines: list[str] = []

    async def ask() -> None:
        async with Claims(table, lines.append).claimed("k"):
            pass

    began = time.monotonic()
    asyncio.run(ask())
    assert 0.25 < time.monotonic() - began < 10
    (line,) = lines
    assert line.startswith(
        "another process on elsewhere is asking for the same replies: waiting for it."
    )


def test_a_claim_that_is_renewed_is_waited_for_longer_than_a_lease(
    table: ClaimTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_lease(monkeypatch, 0.3)
    released: list[float] = []

    async def hold(claims: Claims) -> None:
        async with claims.renewed(), claims.claimed("k"):
            await asyncio.sleep(1.0)
            released.append(time.monotonic())

    async def wait(claims: Claims) -> None:
        await asyncio.sleep(0.05)
        async with claims.claimed("k"):
            assert released, "a lease has run out meanwhile, three times"

    async def both() -> None:
        await asyncio.gather(*(work(Claims(table, lambda line: None)) for work in (hold, wait)))

    asyncio.run(both())
