"""Bounds on steps, time and sizes, by hand. See `test_templates.py` for whole templates."""

from __future__ import annotations

import pytest
from jinja2.exceptions import TemplateRuntimeError

from smallsteps.teaching import template_limits
from smallsteps.teaching.template_limits import (
    FILTERS,
    MAX_CHARACTERS,
    MAX_STEPS,
    TESTS,
    TextMethod,
    bounded_join,
    bounded_range,
    bounded_replace,
    check_scalar,
    check_size,
    count_step,
    metered,
)


def test_steps_are_counted_for_each_rendering_anew() -> None:
    for _ in range(2):
        with metered():
            for _ in range(MAX_STEPS):
                count_step()
            with pytest.raises(TemplateRuntimeError, match="more than 100,000 steps"):
                count_step()


def test_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 4.9, 5.1])
    monkeypatch.setattr(template_limits.time, "monotonic", lambda: next(clock))
    with metered():
        count_step()
        with pytest.raises(TemplateRuntimeError, match="longer than 5 seconds"):
            count_step()


def test_a_value_is_refused_before_it_is_made() -> None:
    with metered():
        check_size(MAX_CHARACTERS)
        with pytest.raises(TemplateRuntimeError, match="grows beyond 1,000,000"):
            check_size(MAX_CHARACTERS + 1)
        with pytest.raises(TemplateRuntimeError, match="grows beyond"):
            bounded_replace("a" * 1000, "a", "b" * 1001)
        with pytest.raises(TemplateRuntimeError, match="grows beyond"):
            bounded_join(["a"] * 1001, "b" * 1000)


def test_joining_and_replacing_do_what_python_does() -> None:
    with metered():
        assert bounded_join([1, "a", 2.5], "-") == "1-a-2.5"
        assert bounded_replace("aXbX", "X", "--") == "a--b--"
        assert TextMethod("a,b", "split")(",") == ["a", "b"]
        assert TextMethod("-", "join")(["a", "b"]) == "a-b"


def test_lists_are_no_text() -> None:
    with pytest.raises(TemplateRuntimeError, match="a list stands where text is expected"):
        check_scalar(["a"])


def test_a_range_is_bounded() -> None:
    assert list(bounded_range(1, 7, 2)) == [1, 3, 5]
    with pytest.raises(TemplateRuntimeError, match="a range of 10,001 numbers"):
        bounded_range(10_001)


def test_filters_and_tests_agree_with_python() -> None:
    with metered():
        assert FILTERS["round"](2.345, 2) == round(2.345, 2)
        assert FILTERS["int"]("12") == 12 and FILTERS["int"]("x", 3) == 3
        assert (FILTERS["first"]("abc"), FILTERS["last"]("abc")) == ("a", "c")
        assert FILTERS["list"]("ab") == ["a", "b"] and FILTERS["length"]("ab") == 2
        with pytest.raises(TemplateRuntimeError, match="rounding to 101 digits"):
            FILTERS["round"](1.5, 101)
    assert TESTS["odd"](3) and TESTS["even"](4) and TESTS["divisibleby"](9, 3)
    with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
        TESTS["odd"]("%1000000000s")
