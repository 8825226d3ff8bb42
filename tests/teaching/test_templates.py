"""What a prompt file may do, and that nothing in it hangs, fills memory or reaches out."""

from __future__ import annotations

import time

import pytest

from smallsteps.teaching.templates import TemplateFault, compiled, render

VALUES = {"question": "How many pens?", "closing": "The answer is 7."}
FIELDS = (*VALUES, "attempt")


def rendered(template: str) -> str:
    return render(compiled(template, FIELDS), VALUES)


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ question|upper }} {{ question.lower() }}", "HOW MANY PENS? how many pens?"),
        (
            "{% for w in question.split() %}{{ loop.index }}:{{ w }} {% endfor %}",
            "1:How 2:many 3:pens? ",
        ),
        ("{% for i in range(3) %}{{ i * 2 + 1 }}{% endfor %}", "135"),
        ('{{ [question, closing]|join(" / ") }}', "How many pens? / The answer is 7."),
        ('{{ question ~ " " ~ closing }}', "How many pens? The answer is 7."),
        ("{{ question[:3] }}{{ question[0] }}", "HowH"),
        ("{% if closing %}yes{% else %}no{% endif %}", "yes"),
        ('{{ attempt|default("none") }}', "none"),
        ("{% set x = 5 %}{{ x / 2 }} {{ -x }} {{ x in [1, 5] }}", "2.5 -5 True"),
        ('{{ question.replace("pens", "pencils") }}', "How many pencils?"),
        ("{% raw %}{{ x }}{% endraw %}{# a remark #}", "{{ x }}"),
        (
            "{{ 4 is divisibleby(2) }} {{ 3 is odd }} {{ attempt is defined }} {{ 5 is gt 3 }}",
            "True True False True",
        ),
        ("{% for i in range(9000) %}a word {% endfor %}", "a word " * 9000),
    ],
)
def test_what_a_prompt_needs_works(template: str, text: str) -> None:
    assert rendered(template) == text


GROWN = "{% set a = 'aaaaaaaaaa' %}"


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% include 'x' %}", "'include' is not allowed"),
        ("{% extends 'x' %}", "'extends' is not allowed"),
        ("{% import 'x' as y %}", "'import' is not allowed"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "'macro' is not allowed"),
        ("{% set x %}a{% endset %}", "is not allowed"),
        ("{% for i in range(9) recursive %}{{ loop(range(9)) }}{% endfor %}", "a recursive loop"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{{ 'a' + 1 }}", "can only concatenate str"),
        ("{{ attempt }}", "'attempt' is undefined"),
        ("{{ attempt.upper() }}", "'attempt' is undefined"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ lipsum(n=10**9) }}", "'lipsum' is undefined"),
        ("{{ question|center(10**9) }}", "No filter named 'center'"),
        ("{% for i in range(10**9) %}x{% endfor %}", "a range of 1,000,000,000 numbers"),
        (
            "{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}",
            "more than 100,000 steps",
        ),
        (
            "{% for i in range(9999) %}{{ question * 1000 }}{% endfor %}",
            "longer than 1,000,000|100,000 steps",
        ),
        ("{{ 'a' * 10**9 }}", "grows beyond 1,000,000"),
        ("{{ 10**9 * 'a' }}", "grows beyond 1,000,000"),
        ("{{ [1] * 10**9 }}", "grows beyond 1,000,000"),
        (
            GROWN + "{% set a = a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a ~ a %}" * 12,
            "grows beyond 1,000,000",
        ),
        (GROWN + "{% set a = a + a %}" * 40, "grows beyond 1,000,000"),
        (GROWN + "{% set a = a.replace('a', 'aaaaaaaaaa') %}" * 12, "grows beyond 1,000,000"),
        (GROWN + "{% set a = a|replace('a', 'aaaaaaaaaa') %}" * 12, "grows beyond 1,000,000"),
        (GROWN + "{% set a = a.join(a) %}" * 12, "grows beyond 1,000,000"),
        (
            "{% set a = [1] %}" + "{% set a = [a, a, a, a] %}" * 30,
            "a list stands where text is expected",
        ),
        ("{% set a = 99 %}" + "{% set a = a * a %}" * 60, "a number is too large"),
        ("{{ 10 ** (10 ** 10) }}", "a number is too large"),
        ("{{ '%1000000000s' % 'a' }}", "formatting by % is not allowed"),
        ("{{ '{:>1000000000}'.format('a') }}", "unsafe"),
        ("{{ 'a'.ljust(10**9) }}", "unsafe"),
        ("{{ '%1000000000s' is divisibleby(5) }}", "cannot be interpreted as an integer"),
        ("{{ '%1000000000s' is odd }}", "cannot be interpreted as an integer"),
        ("{{ question is filter('x') }}", "No test named 'filter'"),
        ("{{ 1.5|round(999999999) }}", "rounding to 999999999 digits"),
        ("{{ 1.5|round(999999999, 'ceil') }}", "takes from 1 to 2|takes"),
        ("{% set a = ('ab ' * 300000).split() %}" * 100, "more than 100,000 steps"),
        ("{{ 1 }}" * 50_000, "more than 5,000 places"),
        ("{{ question.__class__.__mro__ }}", "unsafe"),
        ("{{ question['__class__'] }}", "unsafe"),
        ("{{ question.upper.__self__ }}", "unsafe"),
        ("{{ self }}", "stands where text is expected"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "too deep or too large"),
        ("{{ question", "unexpected end of template"),
        ("{% if question %}", "Unexpected end of template"),
    ],
)
def test_what_would_hang_grow_or_reach_out_is_a_fault_within_a_second(
    template: str, message: str
) -> None:
    began = time.monotonic()
    with pytest.raises(TemplateFault, match=message):
        rendered(template)
    assert time.monotonic() - began < 5


def test_a_fault_knows_its_line() -> None:
    for template in (
        "a\n\n{{ 1 / 0 }}",
        "a\n\n{% include 'x' %}",
        "a\n\n{{ nothing }}",
        "a\n\n{{ (1 }}",
    ):
        with pytest.raises(TemplateFault) as fault:
            rendered(template)
        assert fault.value.line == 3
