"""Long texts are read in another way only where they are written so, and what is hidden there is found as in a short one."""

from __future__ import annotations

import time
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.masking.fields import Fields
from agentguard.masking.sheet import Sheet
from agentguard.masking.windows import windows
from tests.masking.samples import found

MAIL = "ann@acme.example"
LINE = "the parcel was left with a neighbour, total: 12 and nobody opened the door\n"
FILLER = LINE * 200
HIDINGS = {
    "percent": MAIL.replace("@", "%40"),
    "percent-twice": quote(quote(MAIL, safe=""), safe=""),
    "entity": MAIL.replace("@", "&#64;"),
    "zero-width": MAIL.replace("@", "\u200b@"),
    "homoglyph": MAIL.replace("e", "\u0435"),
    "quoted-printable": MAIL.replace("@", "=40"),
    "markdown": "ann@ac**me**.example",
    "brackets": MAIL.replace("@", "[at]"),
}
PLACES = {"first": ("", FILLER), "between": (FILLER, FILLER), "last": (FILLER, "")}


def _page(text: str) -> str:
    return Sheet.of_text(text, Fields()).page.text


@pytest.mark.parametrize(("before", "after"), PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("hidden", HIDINGS.values(), ids=HIDINGS)
def test_t25_a_hidden_value_in_a_long_text_is_found(hidden: str, before: str, after: str) -> None:
    """Wherever it stands, and as itself."""
    assert found(f"{before}mail {hidden} today\n{after}") == [("EMAIL_ADDRESS", hidden)]


def test_t25_a_hidden_token_longer_than_a_window_is_found_whole() -> None:
    """No window ends within a word."""
    web_token = f"eyJhbGciOiJIUzI1NiJ9%2EeyJ{'ab3XyZ' * 1000}%2E{'q9R' * 500}"

    assert found(f"{FILLER}cookie {web_token} set\n{FILLER}") == [("JWT", web_token)]


@pytest.mark.parametrize("mark", ["-----BEGIN%20PRIVATE%20KEY-----", "-----B\u200bEGIN PRIVATE KEY-----"], ids=ascii)
def test_t25_a_key_whose_first_line_is_hidden_is_found_to_its_end(mark: str) -> None:
    """A block goes on for longer than a window."""
    body = "\n".join("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7" for _ in range(100))
    key = f"{mark}\n{body}\n-----END PRIVATE KEY-----"

    assert ("PRIVATE_KEY", key) in found(f"{FILLER}{key}\n{LINE}")


def test_a_long_text_is_not_read_twice_for_one_escape() -> None:
    """What is searched grows by the surroundings of what is written in another way."""
    text = f"{FILLER}ratio: 5%20\n{FILLER}"

    assert len(_page(text)) < len(text) + 4_000


@given(
    text=st.text(alphabet="ab \n", max_size=40).map(lambda piece: piece * 200),
    places=st.lists(st.integers(0, 7_999), max_size=8).map(sorted),
)
def test_windows_hold_every_change_and_what_stands_around_it(text: str, places: list[int]) -> None:
    """They are in order and apart, and end between words."""
    changed = [(at, at + 1) for at in places if at < len(text)]

    found_ = windows(text, changed)

    assert all(any(s <= max(0, a - 512) and min(len(text), b + 512) <= e for s, e in found_) for a, b in changed)
    assert all(before[1] < after[0] for before, after in pairwise(found_))
    assert all(start == 0 or text[start - 1] in " \n" for start, _ in found_)
    assert all(end == len(text) or text[end] in " \n" for _, end in found_)


@pytest.mark.parametrize(
    "text", ["%41" * 400_000, "a" * 600_000 + "%41" * 200_000, "x=4A " * 60_000], ids=["one change", "late", "all"]
)
def test_t25_windows_of_a_hostile_text_take_bounded_time(text: str) -> None:
    """A text of one word, and one that changes everywhere."""
    began = time.process_time()
    found(text)
    assert time.process_time() - began < 15
