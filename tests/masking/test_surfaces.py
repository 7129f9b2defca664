"""Every shape that a tool takes or returns is masked inside, and comes back in the same shape."""

from __future__ import annotations

import datetime
import enum
import json
from collections import OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass
from decimal import Decimal
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict

from agentguard.errors import GuardUnavailable
from agentguard.masking import Masker
from tests.masking.samples import IDS, MASKER, masked, token

MAIL = "ann@acme.example"
TOKEN = token("EMAIL_ADDRESS", MAIL)

Pair = namedtuple("Pair", "left right")


@dataclass(frozen=True, slots=True)
class Customer:
    full_name: str
    note: str


class Ticket(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")

    title: str
    contact: str


class Place(enum.Enum):
    MAIL = MAIL


SHAPES: dict[str, tuple[Any, Any]] = {
    "text": (f"to {MAIL}", f"to {TOKEN}"),
    "dict-value": ({"x": MAIL}, {"x": TOKEN}),
    "dict-key": ({MAIL: 1}, {TOKEN: 1}),
    "nested": ({"a": [{"b": (MAIL,)}]}, {"a": [{"b": (TOKEN,)}]}),
    "tuple": ((1, MAIL), (1, TOKEN)),
    "set": ({MAIL}, {TOKEN}),
    "frozenset": (frozenset({MAIL}), frozenset({TOKEN})),
    "deque": (deque([MAIL], maxlen=3), deque([TOKEN], maxlen=3)),
    "named-tuple": (Pair(1, MAIL), Pair(1, TOKEN)),
    "ordered-dict": (OrderedDict(b=MAIL, a=1), OrderedDict(b=TOKEN, a=1)),
    "proxy": (MappingProxyType({"x": MAIL}), {"x": TOKEN}),
    "bytes": (MAIL.encode(), TOKEN.encode()),
    "bytearray": (bytearray(MAIL, "ascii"), bytearray(TOKEN, "ascii")),
    "latin-1": (b"\xfc " + MAIL.encode(), b"\xfc " + TOKEN.encode()),
    "enum": (Place.MAIL, TOKEN),
    "path": (PurePosixPath(f"/in/{MAIL}"), PurePosixPath(f"/in/{TOKEN}")),
    "number": ({"card": 4111111111111111}, {"card": token("CREDIT_CARD", "4111111111111111")}),
    "dataclass": (Customer("Ann Lee", MAIL), Customer(token("PERSON", "Ann Lee"), TOKEN)),
    "model": (Ticket(title="t", contact=MAIL), Ticket(title="t", contact=TOKEN)),
    "model-extra": (Ticket(title="t", contact="-", cc=MAIL), Ticket(title="t", contact="-", cc=TOKEN)),
    "content-blocks": (
        [{"type": "text", "text": MAIL}, {"type": "json", "json": {"k": MAIL}}],
        [{"type": "text", "text": TOKEN}, {"type": "json", "json": {"k": TOKEN}}],
    ),
    "image-url": ({"image_url": f"https://a.example/i?u={MAIL}"}, {"image_url": f"https://a.example/i?u={TOKEN}"}),
    "birth-date": ({"dob": datetime.date(1980, 2, 29)}, {"dob": token("DATE_OF_BIRTH", "1980-02-29")}),
    "exception-inside": ([ValueError(MAIL)], [TOKEN]),
    "label-and-value": (
        [{"key": "full name", "value": "Ann Lee"}, {"key": "colour", "value": "Ann Lee Blue"}],
        [
            {"key": "full name", "value": token("PERSON", "Ann Lee")},
            {"key": "colour", "value": f"{token('PERSON', 'Ann Lee')} Blue"},
        ],
    ),
    "columns-and-rows": (
        {"columns": ["id", {"name": "full_name"}], "rows": [[1, "Ann Lee"], (2, "Bo"), ["odd"]]},
        {
            "columns": ["id", {"name": "full_name"}],
            "rows": [[1, token("PERSON", "Ann Lee")], (2, token("PERSON", "Bo")), ["odd"]],
        },
    ),
}


@pytest.mark.parametrize(("value", "expected"), SHAPES.values(), ids=SHAPES.keys())
def test_t26_masks_inside_every_shape(value: Any, expected: Any) -> None:
    """The value planted in a shape is gone, and the shape is the same."""
    result = MASKER.mask(value, IDS)
    assert result.value == expected
    assert type(result.value) is type(expected)
    assert result.changed


def test_default_dict_keeps_its_factory() -> None:
    """Subclasses of dict keep what they carry beside their items."""
    value = defaultdict(list, a=MAIL)
    result = masked(value)
    assert result == {"a": TOKEN}
    assert result.default_factory is list


UNCHANGED: dict[str, Any] = {
    "none": None,
    "bool": True,
    "float": 1.50,
    "nan": float("nan"),
    "big-int": 10**40,
    "decimal": Decimal("1.50"),
    "date": datetime.date(2024, 5, 1),
    "time-delta": datetime.timedelta(days=1),
    "uuid": UUID("550e8400-e29b-41d4-a716-446655440000"),
    "empty": {},
    "clean": {"b": [1, 2.0, "x", None], "a": ("y", {"z"})},
    "lone-surrogate": "a \ud800 b",
    "nul": "a\x00b\x1fc",
}


@pytest.mark.parametrize("value", UNCHANGED.values(), ids=UNCHANGED.keys())
def test_what_is_clean_comes_back_as_the_same_object(value: Any) -> None:
    """Nothing is copied, ordered or spelled anew."""
    result = MASKER.mask(value, IDS)
    assert result.value is value
    assert not result.changed
    assert result.tokens == ()


def test_parts_that_did_not_change_are_the_same_objects() -> None:
    """Only containers around a masked leaf are new, and the input itself is left as it was."""
    clean = {"rows": [1, 2]}
    value = {"b": clean, "a": [MAIL]}
    result = masked(value)
    assert result["b"] is clean
    assert list(result) == ["b", "a"]
    assert value == {"b": clean, "a": [MAIL]}


def test_t26_a_value_next_to_a_lone_surrogate_is_found() -> None:
    """Text that has no UTF-8 form is still searched."""
    assert masked(f"\ud800 {MAIL}") == f"\ud800 {TOKEN}"


def test_keys_that_become_one_text_keep_apart() -> None:
    """Redacting two keys to the same words loses neither entry."""
    masker = Masker(actions={"EMAIL_ADDRESS": "redact"})
    value = {"ann@acme.example": 1, "bob@acme.example": 2}
    assert list(masker.mask(value, IDS).value.values()) == [1, 2]


def test_findings_do_not_reach_across_leaves() -> None:
    """Neighbours that would read as one number are two values."""
    value = ["4111 1111", "1111 1111"]
    assert masked(value) is value


UNREADABLE = {
    "generator": (x for x in [MAIL]),
    "object": object(),
    "class": int,
    "function": len,
    "iterator": iter([MAIL]),
}


@pytest.mark.parametrize("value", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_t29_what_cannot_be_read_is_refused(value: Any) -> None:
    """An object of unknown type is never passed unmasked, and the error names the type alone."""
    with pytest.raises(GuardUnavailable, match=r"masking: a value of type \w+ can't be read"):
        MASKER.mask({"x": value}, IDS)


ANN, BO, ACCOUNT = token("PERSON", "Ann Lee"), token("PERSON", "Bo"), token("ACCOUNT_ID", "1234567")

JSON_TEXTS = {
    "spacing-and-numbers": (
        '{ "email" : "ann@acme.example",\n "n": 1.50, "e":1E5 }',
        f'{{ "email" : "{TOKEN}",\n "n": 1.50, "e":1E5 }}',
    ),
    "number-gets-quotes": ('{"account_id": 1234567}', f'{{"account_id": "{ACCOUNT}"}}'),
    "escapes": ('{"m":"ann\\u0040acme.example"}', f'{{"m":"{TOKEN}"}}'),
    "line-break-before": ('{"m":"mail:\\nann@acme.example"}', f'{{"m":"mail:\\n{TOKEN}"}}'),
    "names": ('[{"full_name": "Ann Lee"}]', f'[{{"full_name": "{ANN}"}}]'),
    "sibling": ('{"name": "Ann Lee", "email": null}', f'{{"name": "{ANN}", "email": null}}'),
    "cut-off": (
        '[{"full_name": "Ann Lee"}, {"full_name": "Bo',
        f'[{{"full_name": "{ANN}"}}, {{"full_name": "{BO}',
    ),
    "key": ('{"ann@acme.example": 1}', f'{{"{TOKEN}": 1}}'),
}


@pytest.mark.parametrize(("text", "expected"), JSON_TEXTS.values(), ids=JSON_TEXTS.keys())
def test_json_in_text_is_masked_in_place(text: str, expected: str) -> None:
    """What is not masked stays as it was, to the byte."""
    assert masked(text) == expected


def test_json_in_json_in_text_stays_json() -> None:
    """Two levels of escaping: both still parse, numbers that became tokens are quoted at their own level."""
    inner = {"full_name": "Ann Lee", "account_id": 1234567, "note": 'a "quoted" word'}
    value = json.dumps({"body": json.dumps({"payload": json.dumps(inner)})})
    result = json.loads(json.loads(json.loads(masked(value))["body"])["payload"])
    assert result == {
        "full_name": token("PERSON", "Ann Lee"),
        "account_id": token("ACCOUNT_ID", "1234567"),
        "note": 'a "quoted" word',
    }


TEXTS = {
    "csv": (
        "id,full_name,plan,note\n1,Ann Lee,gold,ok\n2,Bo Ray,free,ok",
        "id,full_name,plan,note\n1,{a},gold,ok\n2,{b},free,ok",
    ),
    "csv-quotes": ('id;"full name"\n1;"Ann Lee"\n2;"Bo Ray"', 'id;"full name"\n1;"{a}"\n2;"{b}"'),
    "csv-then-prose": ("id,full_name\n1,Ann Lee\nDone in 3 s.", "id,full_name\n1,{a}\nDone in 3 s."),
    "markdown": (
        "| id | full name |\n|---|---|\n| 1 | Ann Lee |\n| 2 | Bo Ray |",
        "| id | full name |\n|---|---|\n| 1 | {a} |\n| 2 | {b} |",
    ),
    "lines": ("Name: Ann Lee\nEmail: -\nFull name: Bo Ray", "Name: {a}\nEmail: -\nFull name: {b}"),
    "pairs": ('full_name="Ann Lee" age=4', 'full_name="{a}" age=4'),
    "query": ("GET /u?full_name=Ann Lee&x=1", "GET /u?full_name={a}&x=1"),
    "attributes": ("<user full_name='Ann Lee' id='4'/>", "<user full_name='{a}' id='4'/>"),
    "yaml": ("- full_name: Ann Lee\n  id: 4", "- full_name: {a}\n  id: 4"),
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS.keys())
def test_fields_inside_text(text: str, expected: str) -> None:
    """Tables, pairs and lines in a text say what their values are."""
    assert masked(text) == expected.format(a=token("PERSON", "Ann Lee"), b=token("PERSON", "Bo Ray"))


def test_a_masked_value_tells_its_tokens_and_entities_once() -> None:
    """Each token once, findings counted by type."""
    result = MASKER.mask([MAIL, MAIL, {"full_name": "Ann Lee"}], IDS)
    assert [one.text for one in result.tokens] == [TOKEN, token("PERSON", "Ann Lee")]
    assert result.entities == {"EMAIL_ADDRESS": 2, "PERSON": 1}


ACTIONS = {
    "token": ({}, TOKEN),
    "redact": ({"EMAIL_ADDRESS": "redact"}, "[EMAIL_ADDRESS redacted]"),
    "mask": ({"*": "mask"}, "a***@acme.example"),
    "allow": ({"EMAIL_ADDRESS": "allow", "*": "redact"}, MAIL),
}


@pytest.mark.parametrize(("actions", "expected"), ACTIONS.values(), ids=ACTIONS.keys())
def test_action_by_entity_type(actions: dict[str, str], expected: str) -> None:
    """An entity type's own action comes before that of `*`."""
    result = Masker(actions=actions).mask(MAIL, IDS)
    assert result.value == expected
    assert result.entities == {"EMAIL_ADDRESS": 1}
    assert bool(result.tokens) is (expected == TOKEN)


def test_unknown_action_is_an_error() -> None:
    """An action that nothing carries out is refused when the masker is made."""
    with pytest.raises(ValueError, match="unknown masking action 'shred'; write one of: allow, token, "):
        Masker(actions={"PERSON": "shred"})


def test_a_value_that_is_certain_at_one_place_is_masked_at_all() -> None:
    """The key `id` speaks against a card number, but not where the same number is a card elsewhere in the value."""
    card = "4111 1111 1111 1111"
    assert masked({"id": card}) == {"id": card}
    both = masked({"id": card, "card": card})
    assert both == {"id": token("CREDIT_CARD", card), "card": token("CREDIT_CARD", card)}
