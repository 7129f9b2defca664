"""What conditions read as `params.<role>`."""

from __future__ import annotations

import pytest

from agentguard.model.record import Json
from agentguard.policy.roles import role_values


@pytest.mark.parametrize(
    ("arguments", "paths", "expected"),
    [
        pytest.param({"to": "a"}, ["to"], ["a"], id="text"),
        pytest.param({"to": ["a", ["b"]], "cc": "c"}, ["to", "cc"], ["a", "b", "c"], id="lists are flat"),
        pytest.param({}, ["to"], [], id="absent"),
        pytest.param({"to": None, "cc": [None, "a"]}, ["to", "cc"], ["a"], id="null"),
        pytest.param({"to": [{"mail": "a", "name": "n"}, {"mail": "b"}]}, ["to.mail"], ["a", "b"], id="through a list"),
        pytest.param({"to": {"mail": "a", "name": {"first": "n"}}}, ["to"], ["a", "n"], id="all of an object"),
        pytest.param({"to": "a"}, ["to.mail"], ["a"], id="another shape than expected still counts"),
        pytest.param({"to": ["a", {"mail": "b"}]}, ["to.mail"], ["a", "b"], id="mixed shapes"),
        pytest.param({"to": {"name": "n"}}, ["to.mail"], [], id="another key"),
        pytest.param({"n": 5, "x": 1.5, "b": True}, ["n", "x", "b"], ["5", "1.5", "true"], id="numbers as in JSON"),
        pytest.param({"to": ""}, ["to"], [""], id="empty text is a value"),
    ],
)
def test_a_role_is_a_flat_list_of_text(arguments: dict[str, Json], paths: list[str], expected: list[str]) -> None:
    """Whatever the shape of the arguments, the condition gets text."""
    assert role_values(arguments, paths) == expected
