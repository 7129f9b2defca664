"""Arguments through models and functions: what is judged is what runs, and no refusal tells a value."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import re
import uuid
import warnings
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import InitVar, dataclass
from typing import Annotated, Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import (
    AfterValidator,
    AliasChoices,
    Base64Bytes,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretBytes,
    SecretStr,
    field_serializer,
    field_validator,
)
from pydantic.dataclasses import dataclass as pydantic_dataclass

from agentguard.errors import ConfigurationError, InvalidArguments
from agentguard.guard.snapshot import read_again, take_snapshot
from agentguard.integrations.functions import FunctionTool
from agentguard.integrations.json_arguments import UnreadableArguments, read_arguments
from agentguard.integrations.parsing import dump, parsed, parsed_values, validate
from agentguard.model.canonical import canonical_json

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    y: float


class Secretive(BaseModel):
    shown: int

    @field_serializer("shown")
    def hide(self, _: int) -> str:
        return "same for all"


class Nested(BaseModel):
    name: str
    id: uuid.UUID = Field(default_factory=uuid.uuid4)


# -- the dump -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "dumped"),
    [
        (1, 1),
        (1.0, 1.0),
        (True, True),
        (SecretStr("s3cret"), "s3cret"),
        (SecretBytes(b"s3cret"), "s3cret"),
        (b"text", "text"),
        (bytearray(b"text"), "text"),
        (Colour.RED, "red"),
        (Point(1, 2.0), {"x": 1, "y": 2.0}),
        (Secretive(shown=7), {"shown": 7}),
        ({3, 1, 2}, [1, 2, 3]),
        (deque([Secretive(shown=7)]), [{"shown": 7}]),
        (("a", [1]), ["a", [1]]),
        ({1: "a", "1": "b"}, {"int:1": "a", "1": "b"}),
        (decimal.Decimal("1.10"), "1.10"),
        (datetime.date(2026, 11, 23), "2026-11-23"),
    ],
    ids=repr,
)
def test_every_value_has_a_json_form_that_tells_it_from_others(value: Any, dumped: Any) -> None:
    """Fields are read, not serializers: two different values never look alike."""
    assert dump(value) == dumped
    assert type(dump(value)) is type(dumped)


@given(json_values)
def test_json_is_its_own_dump(value: Any) -> None:
    """What a model wrote comes out as it went in, type for type."""
    assert canonical_json(dump(value)) == canonical_json(value)


def test_what_has_no_json_form_is_refused() -> None:
    """It could be neither judged nor shown."""

    class Holder(BaseModel):
        anything: Any

    with pytest.raises(InvalidArguments, match="no JSON form"):
        parsed(Holder(anything=object()), {}, tool="t")


class Aliased(BaseModel):
    model_config = ConfigDict(extra="allow")

    amount: int = Field(alias="a")


@pydantic_dataclass(config=ConfigDict(extra="allow"))
class Open:
    x: int


class Key(enum.StrEnum):
    A = "a"


def _aliased(order: Aliased) -> Any:
    return order.amount


def _keyed(amounts: dict[Annotated[int | str, Field(union_mode="left_to_right")], int]) -> Any:
    return amounts


def _open(order: Open) -> Any:
    return vars(order)


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        pytest.param(
            _aliased, {"order": {"a": 1_000_000, "amount": 1}}, id="a field by its alias, and more by its name"
        ),
        pytest.param(_keyed, {"amounts": {"1": 1_000_000, "int:1": 1}}, id="keys of two types"),
    ],
)
def test_t1_two_values_under_one_name_are_refused(function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    """Policy and people would see the one, and the tool would run with the other."""
    with pytest.raises(InvalidArguments, match="the name of another"):
        take_snapshot(FunctionTool.of(function), canonical_json(arguments))


def test_t1_arguments_of_a_model_that_takes_more_by_its_own_names_are_refused_too() -> None:
    """At the top as in the depth."""
    given = {"a": 1_000_000, "amount": 1}

    with pytest.raises(InvalidArguments, match="the name of another"):
        parsed(Aliased.model_validate(given), given, tool="t")


def test_t1_whatever_a_dataclass_takes_besides_its_fields_is_judged_with_them() -> None:
    """Its tool can read it."""
    snapshot = take_snapshot(FunctionTool.of(_open), canonical_json({"order": {"x": 1, "hidden": 2}}))

    assert snapshot.arguments == {"order": {"x": 1, "hidden": 2}}


def test_t1_what_can_be_read_only_once_is_refused() -> None:
    """Judging it leaves nothing of it to the tool: a list of what to keep would be empty."""

    class Keeping(BaseModel):
        keep: Iterable[int]

    with pytest.raises(InvalidArguments, match="only once"):
        parsed(Keeping.model_validate({"keep": [1, 2]}), {"keep": [1, 2]}, tool="t")


def test_t26_a_secret_is_hidden_wherever_it_is_and_nothing_else_with_it() -> None:
    """In a list, a set, a mapping and a model; what is judged holds it."""

    class Deep(BaseModel):
        many: list[SecretStr | int]
        some: set[SecretStr]
        by_key: dict[Key, SecretStr]

    tool = FunctionTool.of(lambda deep: None, name="deep")
    given = Deep.model_validate({"many": [SecretStr("s1"), 5], "some": {SecretStr("s2")}, "by_key": {"a": "s3"}})

    found = parsed_values(tool.model, [("deep", given)], {}, tool="deep")

    assert found.snapshot == {"deep": {"many": ["s1", 5], "some": ["s2"], "by_key": {"a": "s3"}}}
    assert found.shown == {
        "deep": {"many": ["[secret]", 5], "some": ["[secret]"], "by_key": {"a": "[secret]"}},
    }


def test_members_of_a_text_enumeration_are_keys_like_their_text() -> None:
    """A model wrote the text."""

    def take(amounts: dict[Key, int]) -> Any:
        return amounts

    assert take_snapshot(FunctionTool.of(take), canonical_json({"amounts": {"a": 1}})).arguments == {
        "amounts": {"a": 1}
    }


def _same(a: int, b: str, c: float, d: bool, e: None, f: str = "f") -> Any:
    return a, b, c, d, e, f


AS_GIVEN = {"a": 1, "b": "b", "c": 1.5, "d": True, "e": None, "f": "g"}


def test_what_parsing_leaves_as_it_was_is_judged_by_the_text_that_was_given() -> None:
    """No value is another, and none was made up."""
    tool = FunctionTool.of(_same)
    text = canonical_json(AS_GIVEN)

    snapshot = take_snapshot(tool, text)

    assert tool.parse(AS_GIVEN).as_given
    assert (snapshot.text, snapshot.input_text, snapshot.shown_text) == (text, text, None)
    assert tool.call(snapshot.ready) == tuple(AS_GIVEN.values())


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"a": True}, id="true for 1"),
        pytest.param({"a": 1.0}, id="1.0 for 1"),
        pytest.param({"a": "1"}, id="text for 1"),
        pytest.param({"c": 2}, id="2 for 2.0"),
        pytest.param({"d": 1}, id="1 for true"),
        pytest.param({"d": "yes"}, id="yes for true"),
    ],
)
def test_t1_what_parsing_changes_is_judged_as_the_tool_gets_it(changes: dict[str, Any]) -> None:
    """However much it looks like, or equals, what was given."""
    tool = FunctionTool.of(_same)
    given = {**AS_GIVEN, **changes}

    snapshot = take_snapshot(tool, canonical_json(given))

    assert not tool.parse(given).as_given
    assert snapshot.text == canonical_json(vars(snapshot.ready))
    assert snapshot.text != canonical_json(given)


def test_t1_a_default_is_judged_with_what_was_given() -> None:
    """All that was given is as it was, and the tool gets more."""
    given = {name: value for name, value in AS_GIVEN.items() if name != "f"}

    snapshot = take_snapshot(FunctionTool.of(_same), canonical_json(given))

    assert snapshot.arguments == {**given, "f": "f"}


def test_t1_a_validator_that_gives_something_else_is_believed() -> None:
    """Even of the same type."""

    def pay(amount: Annotated[int, AfterValidator(lambda amount: amount * 100)]) -> Any:
        return amount

    assert take_snapshot(FunctionTool.of(pay), canonical_json({"amount": 1_000})).arguments == {"amount": 100_000}


# -- what default factories made up ---------------------------------------------------------------------------------


def _create(
    name: str,
    head: Nested,
    many: list[Nested],
    by_key: dict[str, Nested],
    key: Annotated[uuid.UUID, Field(default_factory=uuid.uuid4)],
    other: Annotated[uuid.UUID, Field(validation_alias=AliasChoices("second", "third"), default_factory=uuid.uuid4)],
) -> Any:
    """Create."""
    return name, head, many, by_key, key, other


GIVEN = {
    "name": "n",
    "head": {"name": "h"},
    "many": [{"name": "a"}, {"name": "b", "id": "12345678-1234-5678-1234-567812345678"}],
    "by_key": {"k": {"name": "c"}},
}


@dataclass
class Initial:
    x: int
    command: InitVar[str] = ""
    kind: ClassVar[str] = "initial"

    def __post_init__(self, command: str) -> None:
        self.run = command


class Constructed(BaseModel):
    x: int = Field(alias="ex")
    _run: str = PrivateAttr(default="")

    def __init__(self, ex: int, command: str = "", **_: Any) -> None:
        super().__init__(ex=ex)
        self._run = command


class Classy(BaseModel):
    inner: Constructed


UNSEEN: dict[str, tuple[Any, Any]] = {
    "InitVar": (Initial, {"x": 1, "command": "rm"}),
    "InitVar of pydantic's": (pydantic_dataclass(Initial), {"x": 1, "command": "rm"}),
    "InitVar in a list": (list[Initial], [{"x": 1, "command": "rm"}]),
    "constructor": (Constructed, {"ex": 1, "command": "rm"}),
    "constructor within": (list[Classy], [{"inner": {"ex": 1, "command": "rm"}}]),
}


@pytest.mark.parametrize(("annotation", "given_to_it"), UNSEEN.values(), ids=UNSEEN.keys())
def test_t1_what_a_type_takes_and_shows_in_no_field_is_refused(annotation: Any, given_to_it: Any) -> None:
    """It would reach the tool, and neither policy nor people nor the journal would know."""
    with pytest.raises(InvalidArguments, match="shows in none of its fields"):
        _taking(annotation).parse({"value": given_to_it})


def test_a_constructor_that_takes_its_fields_alone_is_fine() -> None:
    """By name and by alias."""
    assert _taking(Classy).parse({"value": {"inner": {"ex": 1}}}).snapshot == {"value": {"inner": {"x": 1}}}


def _taking(annotation: Any) -> FunctionTool:
    def run(value: Any) -> Any:
        return value

    run.__annotations__["value"] = annotation
    return FunctionTool.of(run)


@dataclass
class Script:
    lines: list[bytes]


BYTES: dict[str, tuple[Any, Any, Any, bytes]] = {
    "bytes": (bytes, "rm -rf /", "rm -rf /", b"rm -rf /"),
    "what base64 decodes": (Base64Bytes, "cm0gLXJmIC8=", "rm -rf /", b"rm -rf /"),
    "in a dataclass": (Script, {"lines": ["rm -rf /"]}, {"lines": ["rm -rf /"]}, Script([b"rm -rf /"])),
    "no text": (Base64Bytes, "/w==", "base64:/w==", b"\xff"),
    "text that looks like no text": (bytes, "base64:/w==", "base64:YmFzZTY0Oi93PT0=", b"base64:/w=="),
}


@pytest.mark.parametrize(("annotation", "written", "judged", "given_to_tool"), BYTES.values(), ids=BYTES.keys())
def test_t1_bytes_are_judged_as_the_text_that_the_tool_gets(
    annotation: Any, written: Any, judged: Any, given_to_tool: Any
) -> None:
    """A condition that looks for `rm` finds it, and no two values look alike."""
    tool = _taking(annotation)
    parsed = tool.parse({"value": written})
    assert parsed.snapshot == {"value": judged}
    assert tool.call(parsed.ready) == given_to_tool


def test_t1_parsing_the_input_again_gives_the_same_snapshot() -> None:
    """What factories made up, at any depth, is part of the input from then on."""
    tool = FunctionTool.of(_create)

    first = take_snapshot(tool, canonical_json(GIVEN))
    again = read_again(tool, first.input_text)

    assert again.text == first.text
    assert take_snapshot(tool, canonical_json(GIVEN)).text != first.text
    assert first.arguments["many"][1]["id"] == "12345678-1234-5678-1234-567812345678"
    assert "id" not in GIVEN["head"]  # type: ignore[operator]


@pytest.mark.parametrize("name", ["second", "third"])
def test_a_value_that_was_given_is_never_made_up(name: str) -> None:
    """Under whichever of its names it was given."""
    mine = str(uuid.uuid4())

    snapshot = take_snapshot(FunctionTool.of(_create), canonical_json({**GIVEN, name: mine}))

    assert snapshot.arguments["other"] == mine
    assert [key for key in ("second", "third") if key in snapshot.input] == [name]


# -- refusals -------------------------------------------------------------------------------------------------------


class Strict(BaseModel):
    model_config = {"extra": "forbid"}

    count: int = Field(default=1, le=5)
    kind: Literal["a", "b"] = "a"
    code: str = Field(default="x", pattern="^[a-z]$", max_length=20)
    when: datetime.date | None = None
    by_name: dict[str, int] = {}
    picky: str = ""

    @field_validator("picky")
    @classmethod
    def refuse(cls, text: str) -> str:
        if text:
            raise ValueError(f"I don't like {text}")
        return text


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"count": 999}, "count: less_than_equal (le=5)"),
        ({"count": "PLANTED"}, "count: int_parsing"),
        ({"kind": "PLANTED"}, "kind: literal_error (expected='a' or 'b')"),
        ({"code": "PLANTED"}, "code: string_pattern_mismatch (pattern=^[a-z]$)"),
        ({"when": "PLANTED"}, "when: date_from_datetime_parsing"),
        ({"by_name": {"PLANTED@x": "a"}}, "by_name.?: int_parsing"),
        ({"picky": "PLANTED"}, "picky: value_error"),
        ({"planted@x": 1}, "?: extra_forbidden"),
        ({"extra": 1}, "extra: extra_forbidden"),
    ],
    ids=str,
)
def test_t26_a_refusal_tells_path_and_rule_and_no_value(arguments: dict[str, Any], told: str) -> None:
    """Not in the text, and not in the chain of causes that a tracer prints."""
    with pytest.raises(InvalidArguments) as raised:
        validate(Strict, arguments, tool="t")

    assert str(raised.value) == f"invalid arguments: {told}"
    assert raised.value.__suppress_context__


# -- functions ------------------------------------------------------------------------------------------------------


def test_a_function_runs_with_what_its_annotations_made_of_the_arguments() -> None:
    """Dates are dates, models are models."""
    seen: list[Any] = []

    def take(day: datetime.date, point: Nested, colour: Colour = Colour.RED) -> None:
        seen.extend([day, point.name, colour])

    FunctionTool.of(take).call({"day": "2026-11-23", "point": {"name": "p"}})

    assert seen == [datetime.date(2026, 11, 23), "p", Colour.RED]


@pytest.mark.parametrize("name", ["schema", "copy", "json", "model_name", "validate", "dict"])
def test_a_parameter_may_be_named_like_anything_of_pydantics(name: str) -> None:
    """Users don't know those names, and need not."""
    seen: list[Any] = []
    scope: dict[str, Any] = {"seen": seen}
    exec(f"def take({name}: str): seen.append({name})", scope)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tool = FunctionTool.of(scope["take"])

    tool.call({name: "a"})

    assert seen == ["a"]
    assert tool.parse({name: "a"}).snapshot == {name: "a"}
    assert list(tool.schema["properties"]) == [name]


class Adder:
    """An object that can be called."""

    def __call__(self, a: int, b: int = 1) -> int:
        return a + b


def _add(a: int, b: int) -> int:
    return a + b


@pytest.mark.parametrize(
    "function", [Adder(), functools.partial(_add, b=1), Adder().__call__], ids=["object", "partial", "method"]
)
def test_whatever_can_be_called_is_a_tool(function: Callable[..., int]) -> None:
    """Given a name where it has none."""
    tool = FunctionTool.of(function, name="add")

    assert tool.call({"a": "2"}) == 3


def test_the_type_of_the_result_need_not_be_known() -> None:
    """It is no part of the schema."""

    def take(a: int) -> Missing:  # type: ignore[name-defined]  # noqa: F821
        return a

    assert FunctionTool.of(take).call({"a": 1}) == 1


def _generator() -> Iterator[int]:
    yield 1


async def _async_generator() -> AsyncIterator[int]:
    yield 1


def _unknown(a: Missing) -> None: ...  # type: ignore[name-defined]  # noqa: F821


def _no_schema(a: Iterator) -> None: ...  # type: ignore[type-arg]


def _iterable(a: Iterable[int]) -> None: ...


def _inner_iterable(a: dict[str, Iterable[int]]) -> None: ...


def _positional(a: int, /) -> None: ...


def _underscore(_a: int) -> None: ...


@pytest.mark.parametrize(
    "function",
    [
        _generator,
        _async_generator,
        _unknown,
        _iterable,
        _inner_iterable,
        _positional,
        _underscore,
        lambda *args: None,
        lambda **kwargs: None,
        Adder(),
    ],
    ids=[
        "generator",
        "async generator",
        "unknown type",
        "iterable",
        "iterable within",
        "positional",
        "underscore",
        "*args",
        "**kwargs",
        "no name",
    ],
)
def test_what_no_model_could_call_is_refused_when_the_tool_is_made(function: Callable[..., Any]) -> None:
    """Not at the first call."""
    with pytest.raises(ConfigurationError):
        FunctionTool.of(function)


# -- JSON as models write it ----------------------------------------------------------------------------------------


@given(st.dictionaries(st.text(max_size=5), json_values, max_size=4))
def test_any_plain_object_is_read_as_it_was_written(arguments: dict[str, Any]) -> None:
    """Type for type."""
    assert canonical_json(read_arguments(canonical_json(arguments))) == canonical_json(arguments)


@given(st.text(max_size=30))
def test_any_text_is_an_object_or_is_refused_without_a_value(text: str) -> None:
    """No other error, whatever a model writes."""
    try:
        read, told = read_arguments(text), ""
    except UnreadableArguments as error:
        read, told = {}, str(error)

    assert isinstance(read, dict)
    assert re.fullmatch(
        r"|not valid JSON at line \d+, column \d+|a key stands twice in one object|[A-Za-z ]+; write {...}|NaN [a-z A-Z]+",
        told,
    )


@pytest.mark.parametrize("text", [None, b"{}", 1, "x" * 10_000_001], ids=["none", "bytes", "number", "too long"])
def test_what_is_no_text_or_far_too_long_is_refused(text: Any) -> None:
    """Unread."""
    with pytest.raises(UnreadableArguments):
        read_arguments(text)


def test_no_text_at_all_means_no_arguments() -> None:
    """Some models write it so for a tool without parameters."""
    assert read_arguments("") == {}
