"""LaTeX and Markdown around answers."""

from __future__ import annotations

import time

import pytest

from smallsteps.tasks.latex import EXPRESSION, plain_latex, unwrapped, without_emphasis


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"\frac34", "3/4"),
        (r"2\frac{1}{2}", "2 1/2"),
        (r"-\tfrac{\text{3}}{4}", "-3/4"),
        (r"\frac{x}{2}", EXPRESSION),
        (r"\frac{\frac{1}{2}}{3}", EXPRESSION),
        (r"10^{-2}", "10^-2"),
        (r"\$5 \% \left( 3 \right)", "$5 % ( 3 )"),
        (r"\boxed{\text{yes}}", "yes"),
        ("no formula", "no formula"),
    ],
)
def test_formulas_become_what_a_person_would_type(text: str, plain: str) -> None:
    assert " ".join(plain_latex(text).split()) == plain


def test_wrappers_are_opened_and_emphasis_goes() -> None:
    assert unwrapped(r"$\boxed{\mathbf{\text{B}}}$") == "$B$"
    assert without_emphasis("**7** of `8` and <b>9</b>, 2**3") == "7 of 8 and 9, 2**3"


@pytest.mark.parametrize("piece", [r"\frac{", r"\text{", "{", "}", "\\", r"\frac12", r"\boxed{7}"])
def test_formulas_take_linear_time(piece: str) -> None:
    start = time.perf_counter()
    plain_latex(piece * (50_000 // len(piece)))
    assert time.perf_counter() - start < 2
