"""Cuts give back the segments that they were made of."""

from __future__ import annotations

import pytest

from smallsteps.errors import InternalError
from smallsteps.records import Chain, Problem, Rationale, Segment
from smallsteps.segments.cuts import Cuts


def chain(name: str, text: str) -> Chain:
    return Chain(Problem(name, "How many?", "3"), Rationale(f"{name}/r", name, text))


def segments(of: Chain, *texts: str, kinds: str = "EAEA") -> list[Segment]:
    id = of.rationale.id
    return [
        Segment(f"{id}/{n}", id, "ES" if kind == "E" else "AS", text)
        for n, (text, kind) in enumerate(zip(texts, kinds, strict=False))
    ]


CHAINS = [chain("a", "Zwölf, so 3. "), chain("b", "𝟛 pens. The answer is 3."), chain("c", "3")]
CUT = [
    segments(CHAINS[0], "Zwölf, ", "so 3. "),
    segments(CHAINS[1], "𝟛 pens. ", "The ", "answer is 3.", kinds="AEA"),
    segments(CHAINS[2], "3", kinds="A"),
]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 1, 0)])
def test_segments_come_back_in_any_order(order):
    cuts = Cuts(CUT)
    assert len(cuts) == 3
    for place in order:
        assert cuts.of(CHAINS[place]) == CUT[place]


def test_chains_may_be_added_after_others_were_read():
    cuts = Cuts(CUT[:1])
    assert cuts.of(CHAINS[0]) == CUT[0]
    cuts.add(CUT[1])
    assert cuts.of(CHAINS[1]) == CUT[1] and cuts.of(CHAINS[0]) == CUT[0]


def test_a_chain_that_was_not_cut_or_has_another_text_is_refused():
    cuts = Cuts(CUT)
    with pytest.raises(InternalError, match=r"d/r: the chain has no segments"):
        cuts.of(chain("d", "3"))
    with pytest.raises(InternalError, match=r"b/r: its segments joined are not the rationale"):
        cuts.of(chain("b", "The answer is 3."))
    with pytest.raises(InternalError, match="has no segments"):
        Cuts().of(CHAINS[0])
