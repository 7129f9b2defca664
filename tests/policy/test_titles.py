"""Titles: a template that can do little, over masked arguments, and never fails."""

from __future__ import annotations

import time

import pytest

from agentguard.model.record import Json
from agentguard.policy.titles import LENGTH_MAX, BadTitle, compile_title, render_title


@pytest.mark.parametrize(
    ("template", "arguments", "expected"),
    [
        ("Export {{ args.days }} days", {"days": 7}, "Export 7 days"),
        ("{{ tool }}: {{ args['a b'] }}", {"a b": "x"}, "t: x"),
        ("{{ args.items }}", {"items": "mine"}, "mine"),
        ("{{ args.a.b.c }}", {"a": {"b": {"c": 1}}}, "1"),
        ("{{ args.a[1] }}", {"a": [1, 2]}, "2"),
        ("{% if args.n is defined and args.n %}N{% else %}none{% endif %}", {}, "none"),
        ("{{ args.to | join(', ') | upper }}", {"to": ["a", "b"]}, "A, B"),
        ("two\n  lines", {}, "two lines"),
    ],
)
def test_a_title_prints_arguments(template: str, arguments: dict[str, Json], expected: str) -> None:
    """A dot or bracket reads an argument, `if` chooses, a few filters shape."""
    assert render_title(compile_title(template), "t", arguments) == expected


@pytest.mark.parametrize(
    "template",
    [
        "{{ x }}",
        "{{ args.x",
        "{% for x in args.a %}{{ x }}{% endfor %}",
        "{{ range(10) }}",
        "{{ args.x.upper() }}",
        "{{ 'a' * 1000000 }}",
        "{{ args.x + 'a' }}",
        "{% set y = 1 %}",
        "{% include 'x' %}",
        "{% macro m() %}{% endmacro %}",
        "{{ args.x | center(100000) }}",
        "{{ args.x | attr('__class__') }}",
        "{{ cycler }}",
        "{{ args | tojson }}",
        "{{ args.x is callable }}",
    ],
)
def test_a_title_that_could_do_more_does_not_load(template: str) -> None:
    """Loops, calls, arithmetic, other names and other filters are refused."""
    with pytest.raises(BadTitle):
        compile_title(template)


@pytest.mark.parametrize(
    ("template", "arguments"),
    [
        ("{{ args.missing }}", {}),
        ("{{ args.a.__class__ }}", {"a": "x"}),
        ("{{ args.a.b }}", {"a": 5}),
        ("{{ args.a[7] }}", {"a": [1]}),
        ("{{ args.a | round }}", {"a": "x"}),
        ("{{ args.a | join }}", {"a": 5}),
        ("{{ args.a }}", {"a": ""}),
    ],
)
def test_a_title_that_fails_is_the_tools_name(template: str, arguments: dict[str, Json]) -> None:
    """A card always has a title, and rendering never raises."""
    assert render_title(compile_title(template), "send_email", arguments) == "send_email"


def test_t17_a_long_title_is_cut_and_says_so() -> None:
    """The cut names how much is missing."""
    title = render_title(compile_title("{{ args.x }}"), "t", {"x": "y" * 1000})

    assert title == "y" * LENGTH_MAX + "… (800 more characters)"


def test_t29_a_huge_argument_takes_no_time() -> None:
    """A megabyte of text is cut like any other."""
    started = time.process_time()

    render_title(compile_title("{{ args.x | upper }}"), "t", {"x": "y" * 1_000_000})

    assert time.process_time() - started < 1
