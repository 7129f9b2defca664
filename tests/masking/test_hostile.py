"""Huge, deep, cyclic and crafted values: a clear answer in bounded time, never a pass unmasked."""

from __future__ import annotations

import gc
import itertools
import time
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from agentguard.errors import GuardUnavailable
from agentguard.masking import DEFAULT_DETECTORS, Finding, Limits, Masker, Page
from agentguard.masking.keys import Plan
from tests.masking.samples import IDS, MASKER, found, masked, token

TOKEN = token("EMAIL_ADDRESS", "ann@acme.example")


def _deep(levels: int, wrap: Callable[[Any], Any]) -> Any:
    value: Any = "ann@acme.example"
    for _ in range(levels):
        value = wrap(value)
    return value


def _ring() -> list[Any]:
    ring: list[Any] = []
    ring += [ring, {"a": ring}]
    return ring


def _bomb() -> list[Any]:
    value: list[Any] = ["x"] * 10
    for _ in range(20):
        value = [value] * 10
    return value


REFUSED: dict[str, Callable[[], Any]] = {
    "deep-lists": lambda: _deep(10_000, lambda inner: [inner]),
    "deep-dicts": lambda: _deep(10_000, lambda inner: {"a": inner}),
    "ring": _ring,
    "bomb": _bomb,
    "deep-json": lambda: '{"a":' * 10_000,
    "huge-integer": lambda: {"account_id": 10**100_000},
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
def test_t29_what_has_no_end_is_refused(make: Callable[[], Any]) -> None:
    """Depth, rings and bombs end in an error that says so, with no recursion."""
    value = make()
    started = time.process_time()
    with pytest.raises(GuardUnavailable, match=r"^masking: "):
        MASKER.mask(value, IDS)
    assert time.process_time() - started < 10


def test_t29_limits_are_exact() -> None:
    """At the limit it works, over it the value is refused, and the error holds none of it."""
    masker = Masker(limits=Limits(characters=16, nodes=4, depth=2))
    assert masker.mask("ann@acme.example", IDS).value == TOKEN
    assert masker.mask([["x"]], IDS).value == [["x"]]
    for value in ("ann@acme.example!", [1, 2, 3, 4], [[["x"]]]):
        with pytest.raises(GuardUnavailable) as caught:
            masker.mask(value, IDS)
        assert "ann" not in str(caught.value)
    with pytest.raises(GuardUnavailable, match="more than 16 characters"):
        masker.find("ann@acme.example!")


def test_t29_many_keys() -> None:
    """100,000 keys are masked, each with its value."""
    value = {f"k{number}": "x" for number in range(100_000)} | {"email": "ann@acme.example"}
    result = masked(value)
    assert len(result) == 100_001
    assert result["email"] == TOKEN


HUGE: dict[str, Callable[[], Any]] = {
    "text": lambda: "lorem ipsum dolor " * 2_700_000,
    "one-word": lambda: "x" * 49_999_999,
    "personal-keys": lambda: {f"k{number}@mail.example": "x" for number in range(20_000)},
    "rows": lambda: {"columns": ["id", "full_name"], "rows": [[number, "x"] for number in range(20_000)]},
}


@pytest.mark.slow
@pytest.mark.parametrize("make", HUGE.values(), ids=HUGE.keys())
def test_t29_huge_values_take_bounded_time(make: Callable[[], Any]) -> None:
    """Fifty megabytes of text, and tens of thousands of keys and rows, take seconds."""
    value = make()
    started = time.process_time()
    MASKER.mask(value, IDS)
    assert time.process_time() - started < 30


def test_t29_memory_is_bounded_by_the_size_of_the_value() -> None:
    """Ten megabytes of text, with something to find in them, take no more than a few times as much."""
    text = "lorem ipsum dolor sit amet, ann@acme.example, " * 2_000 + "lorem ipsum dolor " * 560_000
    tracemalloc.start()
    try:
        MASKER.mask(text, IDS)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * len(text)


def _nested_group() -> BaseException:
    error: Exception = ValueError("ann@acme.example")
    for _ in range(5_000):
        error = ExceptionGroup("several", [error])
    return error


def _long_chain() -> BaseException:
    error: BaseException = ValueError("ann@acme.example")
    for _ in range(10_000):
        outer = RuntimeError("failed")
        outer.__cause__, error = error, outer
    return error


def _own_cause() -> BaseException:
    error, other = ValueError("ann@acme.example"), KeyError("x")
    error.__context__, other.__context__ = other, error
    return error


@pytest.mark.parametrize("make", [_nested_group, _long_chain, _own_cause], ids=["groups", "causes", "circle"])
def test_t29_errors_without_end_are_masked_as_far_as_anybody_sees(make: Callable[[], BaseException]) -> None:
    """Deep groups, long chains and circles of causes end, and nothing raw is in what is left."""
    shown, _ = MASKER.mask_error(make(), IDS)
    seen, pending = 0, [shown]
    while pending and seen < 100:
        error = pending.pop()
        seen += 1
        assert "ann@acme" not in str(error)
        pending += [one for one in (error.__cause__, error.__context__) if one is not None]


ODD = {
    "nan": float("nan"),
    "infinity": float("-inf"),
    "surrogate": "\udc80 ann@acme.example",
    "huge-float": 1.7e308,
    "complex": 1j,
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD.keys())
def test_t29_odd_values_are_masked_or_left(value: Any) -> None:
    """Numbers that are none, and text that has no UTF-8 form."""
    assert "ann@" not in repr(masked({"x": [value], "account_id": value}))


SIZE = 300_000
CRAFTED = {
    "digits": "1" * SIZE,
    "digit-space": "1 " * (SIZE // 2),
    "digit-dash": "1-" * (SIZE // 2),
    "digit-dot": "1." * (SIZE // 2),
    "plus": "+1" * (SIZE // 2),
    "brackets": "(1" * (SIZE // 2),
    "at": "@" * SIZE,
    "at-letters": "a@" * (SIZE // 2),
    "long-local-part": "a" * SIZE + "@b.example",
    "labels": "a@" + "a." * (SIZE // 2),
    "dashed-labels": ("a@" + "a-" * 40 + ".") * (SIZE // 83),
    "colons": ":" * SIZE,
    "hex-colons": "ab:" * (SIZE // 3),
    "equals": "a=" * (SIZE // 2),
    "key-value": "name: x " * (SIZE // 8),
    "percent": "%41" * (SIZE // 3),
    "escapes": "\\u0041" * (SIZE // 6),
    "entities": "&#64;" * (SIZE // 5),
    "zero-width": "\u200b" * SIZE,
    "cyrillic": "a\u0430" * (SIZE // 2),
    "a-long-word-beside-cyrillic": "\u044f " + "a" * SIZE,
    "a-long-word-beside-greek": "a" * SIZE + " \u03b1a",
    "jwt": "eyJ" * (SIZE // 3),
    "jwt-dots": "eyJhbGciOi." * (SIZE // 11),
    "pem": "-----BEGIN PRIVATE KEY-----" * (SIZE // 27),
    "prefixes": "sk-" * (SIZE // 3),
    "iban": "GB29 " * (SIZE // 5),
    "base58": "1A" * (SIZE // 2),
    "tokens": "a_0123456789" * (SIZE // 12),
    "open-json": '{"a":["' * 100 + "x" * SIZE,
    "quotes": '{"' + '\\"' * (SIZE // 2),
    "commas": "a,b\n" + "," * SIZE,
    "spaces-in-a-record": "a: b\nname: x" + " " * SIZE + "y\nc: d",
    "commas-in-a-record": "a: b\nname: x" + "," * SIZE + "y\nc: d",
    "spaces-in-an-item": "a: b\n- x" + " " * SIZE + "y\nc: d",
    "table": "a|b\n" * (SIZE // 4),
    "url": "http://" + "a:" * (SIZE // 2),
    "base64": "QUJD" * (SIZE // 4),
}


@pytest.mark.slow
@pytest.mark.parametrize("text", CRAFTED.values(), ids=CRAFTED.keys())
def test_t28_a_crafted_text_takes_linear_time(text: str) -> None:
    """No text makes a pattern run away: 300 kB take seconds at most, alone and as a value."""
    started = time.process_time()
    MASKER.mask(text, IDS)
    assert time.process_time() - started < 8


def test_t29_a_long_text_is_masked_to_its_end() -> None:
    """Nothing is cut: the last word of two megabytes counts as the first."""
    text = "ann@acme.example" + " lorem ipsum" * 170_000 + " ann@acme.example"
    assert masked(text) == TOKEN + " lorem ipsum" * 170_000 + f" {TOKEN}"


class Broken:
    """A detector with a fault, whose error would tell what it saw."""

    name = "broken"

    def find(self, page: Page) -> Iterable[Finding]:
        """Fail."""
        raise RuntimeError(f"can't read {page.text}")


def test_a_detector_that_fails_blocks_the_value() -> None:
    """The error names the detector and holds nothing of the value, not even as its cause."""
    masker = Masker([*DEFAULT_DETECTORS, Broken()])
    with pytest.raises(GuardUnavailable) as caught:
        masker.mask("secret words", IDS)
    assert str(caught.value) == "masking: detector broken failed"
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


class Words:
    """A detector of one's own: a fixed word."""

    name = "words"

    def find(self, page: Page) -> Iterable[Finding]:
        """The word, wherever it stands."""
        at = page.text.find("falcon")
        return [Finding(at, at + 6, "PROJECT", 0.9, self.name)] if at >= 0 else []


def test_a_detector_of_ones_own() -> None:
    """Any object with a name and `find` takes part; what it finds gets tokens of its type."""
    result = Masker([Words()]).mask({"note": "about falcon, ann@acme.example"}, IDS)
    assert result.value == {"note": f"about {token('PROJECT', 'falcon')}, ann@acme.example"}


class Reaching:
    """A detector whose finding covers the whole page."""

    name = "reaching"

    def find(self, page: Page) -> Iterable[Finding]:
        """Everything."""
        return [Finding(0, len(page.text), "ALL", 0.9, self.name)]


def test_a_finding_over_several_leaves_is_cut_at_their_borders() -> None:
    """Each leaf is masked by itself; shapes hold."""
    assert Masker([Reaching()]).mask(["ab", {"k": "cd"}], IDS).value == [token("ALL", "ab"), {"k": token("ALL", "cd")}]


def test_text_that_forges_the_separator_is_still_searched() -> None:
    """The character that joins leaves may stand in a text."""
    assert found("a\x1fann@acme.example\x1fb") == [("EMAIL_ADDRESS", "ann@acme.example")]


def _plans() -> int:
    gc.collect()
    return sum(type(one) is Plan for one in gc.get_objects())


def test_t29_what_is_kept_of_objects_is_bounded_whatever_types_stand_under_their_keys() -> None:
    """A tool that gives the same keys with other types each time makes masking slower, and no process larger."""
    masker, types = Masker(), ("x", 1, 1.5, True, None, [], {}, ())
    letters = map("".join, itertools.product("abcdefgh", repeat=3))
    values = [{name: one, "n": other} for name in letters for one in types for other in types][:10_000]
    before = _plans()

    changed = [masker.mask(value, IDS).changed for value in values]

    assert not any(changed)
    assert _plans() - before < 5_000
