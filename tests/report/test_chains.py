"""How much of a run's chains the page holds."""

from __future__ import annotations

import json

from smallsteps.experiment.page_files import GoldChain
from smallsteps.report.chains import _gold_cell, spread


def test_entries_that_fit_are_all_shown_and_others_evenly_up_to_the_bound() -> None:
    entries = [{"text": "x" * (n % 50)} for n in range(1_000)]
    assert spread(entries, most=10**6) == entries
    for most in (1, 100, 5_000, 20_000):
        kept = spread(entries, most)
        size = sum(len(json.dumps(entry, separators=(",", ":"))) for entry in kept)
        assert len(kept) == 1 or size <= most
        assert size > most / 2 or most <= 100


def test_signs_that_are_escaped_on_the_page_count_as_they_are_written() -> None:
    entries = [{"text": "<" * 100} for _ in range(100)]
    assert len(spread(entries, most=10_000)) <= 17


def test_a_gold_chain_says_which_segmentation_cut_it() -> None:
    labelled = GoldChain("p", (("ES", "So 7."),))
    cut = GoldChain("p", (("ES", "So 7."),), cut_by="inter")
    assert [_gold_cell(chain)["c"] for chain in (labelled, cut)] == [None, "inter"]
    assert _gold_cell(None) is None
