"""Amounts: a number, or an error."""

from __future__ import annotations

import pytest

from agentguard.policy.amounts import amount


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (5, 5.0),
        (5.5, 5.5),
        (-5, -5.0),
        (0, 0.0),
        ("12", 12.0),
        ("12.50", 12.5),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("1E+22", 1e22),
        ("0", 0.0),
    ],
)
def test_a_number_or_its_text_is_an_amount(value: object, number: float) -> None:
    """As JSON writes numbers."""
    assert amount(value) == number


@pytest.mark.parametrize(
    "value",
    [
        True,
        False,
        None,
        [],
        {},
        [5],
        "",
        " 5",
        "5 ",
        "+5",
        "05",
        "5.",
        ".5",
        "1,000",
        "1_000",
        "$5",
        "5 EUR",
        "0x10",
        "nan",
        "Infinity",
        "1e999",
        "٥",
        "５",
        "1e",
        "--5",
        "5\n",
        "9" * 31,
        10**400,
        float("nan"),
        float("inf"),
    ],
)
def test_whatever_else_is_an_error_without_the_value(value: object) -> None:
    """No guess at what a text may mean."""
    with pytest.raises((ValueError, OverflowError)) as error:
        amount(value)
    assert str(error.value) in ("not an amount", "int too large to convert to float")
