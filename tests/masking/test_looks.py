"""What objects of types of their own show of themselves is masked, whether it is one of their parts or not."""

from __future__ import annotations

import dataclasses
import enum
import json
from collections import ChainMap, Counter, OrderedDict, UserDict, defaultdict, namedtuple
from decimal import Decimal
from functools import cached_property
from http.cookies import SimpleCookie
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, PlainSerializer, PrivateAttr, RootModel, computed_field, model_serializer
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import to_jsonable_python

from agentguard.errors import GuardUnavailable
from agentguard.masking.looks import shows_more
from tests.masking.samples import IDS, MASKER, masked, token

MAIL = "anna.kowalska@mail.example"
CARD = 4111111111111111
TOKEN = token("EMAIL_ADDRESS", MAIL)


class Quiet(str):
    def __str__(self) -> str:
        return "***"

    __repr__ = __str__


class Small(int):
    def __str__(self) -> str:
        return "0"

    def __lt__(self, _: int) -> bool:
        return True

    __gt__ = __lt__
    __repr__ = __str__


class Empty(bytes):
    def __bytes__(self) -> bytes:
        return b""


class Lazy(dict[str, str]):
    def values(self) -> Any:
        return ["x" for _ in self]


class Shy(list[str]):
    def __iter__(self) -> Any:
        return iter(())


class Pair(namedtuple("Pair", "left right")):
    def __repr__(self) -> str:
        return f"{self.left}@{self.right}"


class Member(enum.Enum):
    LIST = (MAIL,)
    NUMBER = CARD


class Signed(enum.StrEnum):
    ANNA = "x"

    def __str__(self) -> str:
        return MAIL


class Computed(BaseModel):
    local: str = "anna.kowalska"
    domain: str = "mail.example"

    @computed_field  # type: ignore[prop-decorator]
    @cached_property
    def address(self) -> str:
        return f"{self.local}@{self.domain}"


class Private(BaseModel):
    number: int = 7
    _mail: str = PrivateAttr(default=MAIL)

    @model_serializer
    def written(self) -> dict[str, str]:
        return {"mail": self._mail}


Packed = Annotated[str, PlainSerializer(lambda text: text.replace("!", ""))]


class Parcel(BaseModel):
    letters: Packed = "!".join(MAIL)


class Shelf(BaseModel):
    parcels: list[Parcel] = [Parcel()]


@pydantic_dataclass
class Derived:
    local: str = "anna.kowalska"
    domain: str = "mail.example"

    @computed_field  # type: ignore[prop-decorator]
    @property
    def address(self) -> str:
        return f"{self.local}@{self.domain}"


@dataclasses.dataclass
class Joined:
    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"


class Unsaid(Exception):
    def __str__(self) -> str:
        return "failed"


def _caused() -> Exception:
    error = ValueError("x")
    error.__cause__ = KeyError(MAIL)
    error.add_note("see there")
    return error


OWN: dict[str, Any] = {
    "str": Quiet(MAIL),
    "int": Small(CARD),
    "bytes": Empty(MAIL.encode()),
    "dict": Lazy(mail=MAIL),
    "dict behind a proxy": MappingProxyType(Lazy(mail=MAIL)),
    "list": Shy([MAIL]),
    "namedtuple": Pair("anna.kowalska", "mail.example"),
    "maps in a chain": ChainMap({"mail": "x"}, {"mail": MAIL}),
    "cookies": SimpleCookie({"who": MAIL}),
    "enum of a tuple": Member.LIST,
    "enum of a number": Member.NUMBER,
    "enum's own text": Signed.ANNA,
    "computed field": Computed(),
    "serializer": Private(),
    "serializer of a type": Parcel(),
    "serializer of a type within": Shelf(),
    "computed field of a dataclass": Derived(),
    "dataclass's own text": Joined("anna.kowalska", "mail.example"),
    "exception's arguments": Unsaid(MAIL),
    "exception's cause": _caused(),
    "exceptions of a group": ExceptionGroup("several", [ValueError(MAIL)]),
}


def _shown(value: Any) -> str:
    """All forms in which a framework may show a value to a model."""
    written = to_jsonable_python(value, serialize_unknown=True, bytes_mode="utf8")
    return f"{value} {value!r} {[value]} {written} {json.dumps(value, default=str)}"


@pytest.mark.parametrize("value", OWN.values(), ids=OWN.keys())
def test_t26_nothing_that_an_object_shows_besides_its_parts_is_left(value: Any) -> None:
    """An object that shows a raw value in any form becomes what it shows, masked."""
    result = masked({"found": [value]})
    assert MAIL not in _shown(result)
    assert str(CARD) not in _shown(result)
    assert "_" in _shown(result)


def test_t26_a_computed_field_that_was_read_before_is_not_copied_in_clear() -> None:
    """What a model has kept of its computed fields is not in the masked copy of it."""
    value = Computed()
    assert value.address == MAIL
    assert TOKEN in str(masked(value))


def test_t26_an_object_that_cannot_be_shown_is_refused() -> None:
    """What its own code raises holds the value, and is not told."""

    class Broken(dict[str, str]):
        def __repr__(self) -> str:
            raise ValueError(MAIL)

    with pytest.raises(GuardUnavailable, match=r"Broken can't be shown \(ValueError\)") as told:
        masked([Broken(a="x")])
    assert MAIL not in str(told.value)


def test_t29_an_object_that_shows_itself_without_end_is_refused() -> None:
    """A cycle of objects of their own is no endless text."""
    value = UserDict[str, Any]()
    value["own"] = value
    with pytest.raises(GuardUnavailable):
        masked(ChainMap(value))


@dataclasses.dataclass
class Plain:
    note: str


class Usual(BaseModel):
    place: PurePosixPath = PurePosixPath("/in/x")
    price: Decimal = Decimal("1.50")


class Size(enum.Enum):
    BIG = {"litres": 3}


class Rooted(RootModel[dict[str, str]]): ...


PLAIN: dict[str, Any] = {
    "ordered": OrderedDict(a="x"),
    "counter": Counter(a=2),
    "default": defaultdict(list, a=["x"]),
    "own text": Joined("nobody", "here"),
    "computed": Computed(local="-", domain="-"),
    "dataclass": Plain("x"),
    "usual types": Usual(),
    "root": Rooted({"a": "x"}),
    "str": Quiet("x"),
    "int": Small(3),
    "enum": Size.BIG,
    "exception": Unsaid("x"),
}


@pytest.mark.parametrize("value", PLAIN.values(), ids=PLAIN.keys())
def test_an_object_that_shows_nothing_raw_comes_back_as_itself(value: Any) -> None:
    """Looking at what it shows changes nothing."""
    result = MASKER.mask(value, IDS)
    assert result.value is value
    assert not result.changed


def test_parts_are_masked_in_place_where_nothing_else_is_shown() -> None:
    """A type with text of its own stays, where its parts are all that it shows."""
    result = masked(Joined(MAIL, "nobody"))
    assert result == Joined(TOKEN, "nobody")


@pytest.mark.parametrize("kind", [Usual, Rooted, Plain, dict, OrderedDict, namedtuple("Row", "left right")])
def test_types_that_show_their_parts_alone_are_looked_at_once(kind: type) -> None:
    """The second look is for types whose own code may show more."""
    assert not shows_more(kind)
