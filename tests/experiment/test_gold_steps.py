"""Steps of gold chains, and gold prefixes as each student reads them."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest

from smallsteps.evaluation.steps import NextStep
from smallsteps.experiment.gold_steps import given_prefix, step_chains, with_steps
from smallsteps.records import Chain, Kind, Problem, Rationale, Segment
from smallsteps.segments.label import segment_chains
from smallsteps.tasks import get_task
from smallsteps.tasks.equations import find_equations
from smallsteps.tasks.stories import make_chains
from smallsteps.tasks.story import STYLES

TEXT = "Ann has 3 x 4 = 12 pens. She gives 5 away, so 12 - 5 = 7 are left. The answer is 7."


def chain(text: str, name: str = "p") -> Chain:
    return Chain(Problem(name, "How many?", "7"), Rationale(f"{name}/gold", name, text))


def cut_texts(text: str) -> list[str]:
    stepped = with_steps(chain(text), "en")
    assert stepped is not None
    return [text[:cut] for cut in stepped.cuts]


def test_the_steps_of_any_chain_are_its_equations_that_hold() -> None:
    stepped = with_steps(chain("3 + 4 = 7, 2x + 3 = 9, 7 + 1 = 8."), "en")
    assert stepped is not None and not stepped.steps.exact
    assert [int(e.result) for e in stepped.steps.equations] == [7, 8]
    assert with_steps(chain("It is seven."), "en") is None
    assert with_steps(chain("3 + 4 = 8."), "en") is None


def test_a_prefix_ends_with_the_sub_sentence_of_its_last_step() -> None:
    assert cut_texts(TEXT) == ["Ann has 3 x 4 = 12 pens. "]
    assert cut_texts("3 + 4 = 7 pens; then 7 + 1 = 8, and 8 / 2 = 4.") == [
        "3 + 4 = 7 pens; ",
        "3 + 4 = 7 pens; then 7 + 1 = 8, ",
    ]


def test_a_prefix_never_holds_the_next_step_also_where_both_share_a_sub_sentence() -> None:
    assert cut_texts("So 3 + 4 = 7 and 7 + 1 = 8 pens.") == ["So 3 + 4 = 7 and "]
    assert cut_texts("So 3 x 4 = 12 + 5 = 17 pens.") == ["So 3 x 4 = 12"]


def test_bundled_problems_have_the_steps_of_their_story_in_every_style() -> None:
    for made in make_chains(50, 4, "hard", styles=STYLES):
        stepped = with_steps(made, "en")
        assert stepped is not None and stepped.steps.exact
        text = made.rationale.text
        assert len(stepped.steps) == made.problem.meta["steps"] == len(stepped.cuts) + 1
        for place, cut in enumerate(stepped.cuts, start=1):
            assert stepped.steps.right(text[:cut]) == [n < place for n in range(len(stepped.steps))]
            judged = NextStep(stepped.steps, place, text[:cut])
            assert judged.right(text) and not judged.right(text[:cut])


def test_chains_without_steps_are_counted_until_enough_are_there() -> None:
    chains = [chain("Seven.", "a"), chain(TEXT, "b"), chain("Eight.", "c"), chain(TEXT, "d")]
    chains.append(chain("Nine.", "e"))
    stepped, without = step_chains(chains, "en", most=2)
    assert [s.chain.problem.id for s in stepped] == ["b", "d"] and without == 2
    stepped, without = step_chains(chains, "en", most=9)
    assert len(stepped) == 2 and without == 3


def segment(kind: Kind, text: str) -> Segment:
    return Segment("s", "p/gold", kind, text)


def test_whole_chains_begin_with_the_prefix() -> None:
    given = given_prefix(chain(TEXT), len("Ann has 3 x 4 = 12 pens. "), None)
    assert given.segments == () and given.begun == "Ann has 3 x 4 = 12 pens."


@pytest.mark.parametrize(
    ("cut", "segments", "begun"),
    [
        ("a b. ", [("ES", "a b.")], ""),
        ("a b. c d, ", [("ES", "a b.")], "c d,"),
        ("a b. c d, e f. ", [("ES", "a b."), ("AS", "c d, e f.")], ""),
        ("a b. c d, e f. g", [("ES", "a b."), ("AS", "c d, e f.")], "g"),
    ],
)
def test_a_prefix_that_ends_inside_a_segment_begins_it(
    cut: str, segments: list[tuple[Kind, str]], begun: str
) -> None:
    parts = [segment("ES", "a b. "), segment("AS", "c d, e f. "), segment("ES", "g h.")]
    given = given_prefix(chain("a b. c d, e f. g h."), len(cut), parts)
    assert (list(given.segments), given.begun) == (segments, begun)


def test_segments_take_turns_from_es_on_also_where_the_chain_opens_with_as() -> None:
    parts = [segment("AS", "a b, c. "), segment("ES", "d.")]
    opened = chain("a b, c. d.")
    assert given_prefix(opened, len("a b, "), parts).segments == (("ES", ""),)
    assert given_prefix(opened, len("a b, c. "), parts).segments == (("ES", ""), ("AS", "a b, c."))


@pytest.mark.parametrize("strategy", ["gold", "rouge", "inter"])
def test_prefixes_of_bundled_chains_are_cut_without_loss(strategy: str) -> None:
    task = get_task("stories")
    chains = make_chains(20, 6, "medium")
    cuts = segment_chains(chains, strategy, task=task)
    for made, segments in zip(chains, cuts, strict=True):
        stepped = with_steps(made, "en")
        assert stepped is not None
        for cut in stepped.cuts:
            given = given_prefix(made, cut, segments)
            texts = [text for _, text in given.segments if text] + [given.begun]
            assert task.joiner.join(texts).strip() == made.rationale.text[:cut].strip()
            kinds = [kind for kind, _ in given.segments]
            assert kinds == ["ES", "AS"] * (len(kinds) // 2) + ["ES"] * (len(kinds) % 2)
            assert find_equations(made.rationale.text[:cut])


DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the real data sets are not beside the repository")
def test_real_chains_are_right_at_every_step_and_no_prefix_holds_the_next_one() -> None:
    file = DATA / "gsm8k_cot_llama3_70b/train.jsonl"
    with file.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in islice(lines, 1500)]
    chains = [chain(row["rationale"], row["id"]) for row in rows if row["correct"]]
    stepped, without = step_chains(chains, "en", len(chains))
    assert without < 0.04 * len(chains)
    for found in stepped:
        text = found.chain.rationale.text
        assert all(found.steps.right(text))
        for place, cut in enumerate(found.cuts, start=1):
            assert found.steps.right(text[:cut])[:place] == [True] * place
            judged = NextStep(found.steps, place, text[:cut])
            assert judged.right(text) and not judged.right(text[:cut])
