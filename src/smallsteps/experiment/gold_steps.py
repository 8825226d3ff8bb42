"""The steps of gold chains, and the places where a gold prefix ends.

Bundled word problems: the steps are what the generator knows. Elsewhere: the equations of the gold
chain whose arithmetic holds (`evaluation/steps.py`). Chains without a step are counted and left
out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from smallsteps.evaluation.steps import GoldSteps
from smallsteps.generation.draft import GivenPrefix
from smallsteps.records import Chain, Kind, Segment
from smallsteps.segments.split import split
from smallsteps.tasks.equations import Equation, find_equations
from smallsteps.tasks.stories import story_of


@dataclass(frozen=True)
class StepChain:
    """A gold chain with its steps."""

    chain: Chain
    steps: GoldSteps
    cuts: tuple[int, ...]
    """For each step but the last: where the gold prefix ends that holds this step and no later
    one, as an offset in the rationale."""


def step_chains(chains: Sequence[Chain], language: str, most: int) -> tuple[list[StepChain], int]:
    """The first `most` chains that have a step, and how many without one stand before the last of
    them."""
    chosen: list[StepChain] = []
    without = 0
    for chain in chains:
        if len(chosen) == most:
            break
        stepped = with_steps(chain, language)
        if stepped is None:
            without += 1
        else:
            chosen.append(stepped)
    return chosen, without


def with_steps(chain: Chain, language: str) -> StepChain | None:
    """The chain with its steps; None: it has none."""
    text = chain.rationale.text
    equations = find_equations(text)
    story = story_of(chain.problem)
    if story is not None:
        of_story = [find_equations(step.equation)[0] for step in story.steps]
        steps = GoldSteps(tuple(of_story), exact=True)
    else:
        steps = GoldSteps(tuple(equation for equation in equations if equation.holds))
    places = [place for place in steps.align(equations) if place is not None]
    if not places or len(places) < len(steps):
        return None
    written = [equations[place] for place in places]
    return StepChain(chain, steps, tuple(_cuts(text, written, language)))


def _cuts(text: str, equations: Sequence[Equation], language: str) -> list[int]:
    """Where each prefix ends: after the sub-sentence of its last equation; where this holds the
    next one too, before that."""
    ends = list(accumulate(len(piece) for piece in split(text, language)))
    cuts = []
    for equation, following in pairwise(equations):
        end = next(end for end in ends if end >= equation.end)
        cuts.append(max(equation.end, min(end, following.start)))
    return cuts


def given_prefix(chain: Chain, cut: int, segments: Sequence[Segment] | None) -> GivenPrefix:
    """The chain up to `cut`, as a student reads it that writes segments like these; None: whole
    chains."""
    text = chain.rationale.text
    if segments is None:
        return GivenPrefix(begun=text[:cut].strip())
    complete: list[tuple[Kind, str]] = []
    start = 0
    for segment in segments:
        if start + len(segment.text.rstrip()) > cut:
            break
        complete.append((segment.kind, segment.text.strip()))
        start += len(segment.text)
    begun = text[start:cut].strip()
    following = segments[len(complete)].kind if len(complete) < len(segments) else "ES"
    first = complete[0][0] if complete else following
    if first == "AS":  # ES and AS take turns, ES first
        complete.insert(0, ("ES", ""))
    return GivenPrefix(tuple(complete), begun)
