"""`@guard.tool`: functions of every kind behind a guard, called as before."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import typing
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from agents import function_tool
from langchain_core.tools import tool as langchain_tool
from pydantic import Base64Bytes, BaseModel, EmailStr, SecretBytes

from agentguard.audit import read
from agentguard.errors import CallRefused, ConfigurationError, InvalidArguments, NoSession, RefusalReason
from agentguard.guard.pipeline import Guard
from agentguard.integrations import langchain, openai_agents
from agentguard.integrations.gated_functions import _Parameters
from agentguard.integrations.openai import dispatch
from agentguard.model.approvals import Decision
from tests.guard.world import World

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
EMAIL = "anna.kowalska@mail.example"
PIECES = ("write to anna.kowal", "ska@mail.exam", "ple, not to anybody else")


class Ran(list[Any]):
    """What ran, and functions of each kind that note it."""

    def sync(self, value: Any = None) -> str:
        """Give it back."""
        self.append(value)
        return f"write to {EMAIL}"

    async def coroutine(self, value: Any = None) -> str:
        """Give it back."""
        return self.sync(value)

    def generator(self, value: Any = None) -> Iterator[str]:
        """Give it back."""
        self.append(value)
        yield from PIECES

    async def async_generator(self, value: Any = None) -> AsyncIterator[str]:
        """Give it back."""
        self.append(value)
        for piece in PIECES:
            yield piece


KINDS = ("sync", "coroutine", "generator", "async_generator")
EACH_KIND = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def ran() -> Ran:
    """Functions that note their runs."""
    return Ran()


async def called(function: Callable[..., Any], *args: Any, **kwargs: Any) -> str:
    """Everything that a call of any kind gives, as one text."""
    given = function(*args, **kwargs)
    if isinstance(given, str):
        return given
    if inspect.isawaitable(given):
        return str(await given)
    return "".join([piece async for piece in given] if isinstance(given, AsyncIterator) else list(given))


class Called:
    """An object that is called like a coroutine function."""

    async def __call__(self, value: str) -> str:
        """Give an address."""
        return f"write to {EMAIL}"


class Yielding:
    """An object that is called like a generator of text."""

    def __call__(self, value: str) -> Iterator[str]:
        """Give it in pieces."""
        yield from PIECES


@pytest.mark.parametrize("function", [Called(), Yielding()], ids=["awaited", "in pieces"])
async def test_an_object_is_of_the_kind_that_its_call_is(function: Callable[..., Any], guard: Guard) -> None:
    """It runs, and what it gives is masked."""
    tool = guard.tool(name="echo")(function)
    with guard.session(user="ann@acme.example"):
        given = await called(tool, "x")
    assert given.startswith("write to [EMAIL_")
    assert EMAIL not in given


@EACH_KIND
async def test_a_function_keeps_its_kind_name_signature_types_and_docstring(kind: str, guard: Guard, ran: Ran) -> None:
    """For programs that look at it, and so for frameworks that make tools of functions."""
    bare = getattr(ran, kind)
    made = guard.tool(name="echo")(bare)

    for told in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
        assert told(made) is told(bare)
    assert (made.__name__, made.__doc__, made.__module__) == (bare.__name__, bare.__doc__, bare.__module__)
    assert list(inspect.signature(made).parameters) == ["value"]
    assert typing.get_type_hints(made) == typing.get_type_hints(bare)
    assert not hasattr(made, "__wrapped__")


@EACH_KIND
async def test_t26_what_it_gives_is_masked_and_the_call_is_on_record_once(
    kind: str, guard: Guard, world: World, ran: Ran
) -> None:
    """Positional or by name."""
    made = guard.tool(name="echo")(getattr(ran, kind))
    with guard.session(user="eve@acme.example"):
        first, second = await called(made, 1), await called(made, value=1)

    assert ran == [1, 1]
    assert first == second
    assert "write to [EMAIL_" in first
    assert EMAIL not in first
    kinds = [entry.kind for entry in read(world.settings.state_dir / "journal")][1:]
    assert kinds == ["judged", "settled"] * 2


@EACH_KIND
async def test_t24_a_denied_call_raises_and_does_not_run_nor_does_one_outside_a_session(
    kind: str, guard: Guard, ran: Ran
) -> None:
    """No way in but by the gate."""
    made = guard.tool(name="forbidden_thing")(getattr(ran, kind))
    with pytest.raises(NoSession):
        await called(made, 1)
    with guard.session(user="eve@acme.example"), pytest.raises(CallRefused, match="Nobody may do this"):
        await called(made, 1)

    assert ran == []


@pytest.mark.parametrize("kind", ["coroutine", "async_generator"])
async def test_a_call_that_people_reject_raises_with_their_words(
    kind: str, guard: Guard, world: World, ran: Ran
) -> None:
    """It waits where it is called."""
    made = guard.tool(name="refund")(getattr(ran, kind))
    with guard.session(user="eve@acme.example"):
        calling = asyncio.create_task(called(made, 1))
        [request] = await world.waiting()
        await world.decide(request, "ann", Decision.REJECT, "Not today")
        with pytest.raises(CallRefused, match="Not today") as refused:
            await calling

    assert refused.value.reason is RefusalReason.REJECTED
    assert ran == []


class Contact(BaseModel):
    """Whom to write to."""

    email: EmailStr
    since: date


async def test_values_of_python_come_in_as_the_annotations_say(guard: Guard) -> None:
    """Models, dates, sets: as they were; text for a date is read as one, and what fits no annotation is refused."""
    got: list[Any] = []

    @guard.tool(name="echo")
    def keep(contact: Contact, tags: set[str], day: date = date(2026, 1, 2)) -> None:
        got.append((contact, tags, day))

    contact = Contact(email="sales@acme.example", since=date(2020, 1, 1))
    wrong: Any = "no date"
    loose: Any = "2026-03-04"
    with guard.session(user="eve@acme.example"):
        keep(contact, {"a"})
        keep(contact, {"a"}, loose)
        with pytest.raises(InvalidArguments, match="day: date"):
            keep(contact, {"a"}, day=wrong)
        with pytest.raises(InvalidArguments, match="no JSON form"):
            keep(contact, {"a"}, wrong.__class__)
        with pytest.raises(TypeError, match="missing a required argument: 'tags'"):
            keep(contact)  # type: ignore[call-arg]

    assert got == [(contact, {"a"}, date(2026, 1, 2)), (contact, {"a"}, date(2026, 3, 4))]


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(bytes, b"an order"), (Base64Bytes, b"\xff an order"), (list[bytes], [b"an order"]), (SecretBytes, b"an order")],
    ids=["bytes", "base64", "list", "secret"],
)
async def test_bytes_reach_the_function_as_they_were_given(annotation: Any, value: Any, guard: Guard) -> None:
    """Not as the base64 of them."""
    ran: list[Any] = []

    async def echo(value: Any) -> None:
        ran.append(value)

    echo.__annotations__["value"] = annotation
    with guard.session(user="ann@acme.example"):
        await guard.tool(echo)(value)
    assert [getattr(each, "get_secret_value", lambda each=each: each)() for each in ran] == [value]


async def test_bytes_that_are_no_text_are_refused_where_they_would_become_other_bytes(guard: Guard) -> None:
    """JSON has text alone."""

    async def echo(value: bytes) -> None:
        raise AssertionError(value)

    with guard.session(user="ann@acme.example"), pytest.raises(InvalidArguments, match="no JSON form"):
        await guard.tool(echo)(b"\xff")


async def test_a_reader_who_stops_early_ends_the_tool_at_once(guard: Guard) -> None:
    """Its own `finally` has run when the reader's `aclose` returns, and not when somebody collects garbage."""
    ended: list[str] = []

    async def echo(value: Any = None) -> AsyncIterator[str]:
        try:
            yield "so far, so good. " * 1000
            yield "and more"
        finally:
            ended.append("ended")

    with guard.session(user="ann@acme.example"):
        pieces = guard.tool(echo)()
        await anext(pieces)
        await pieces.aclose()  # type: ignore[attr-defined]
    assert ended == ["ended"]


async def test_t26_an_error_comes_masked(guard: Guard) -> None:
    """Of its own type."""

    @guard.tool(name="echo")
    async def fail() -> None:
        raise LookupError(f"no {EMAIL}")

    with guard.session(user="eve@acme.example"), pytest.raises(LookupError) as raised:
        await fail()

    assert "no [EMAIL_" in str(raised.value)
    assert raised.value.__context__ is None


@pytest.mark.parametrize("kind", ["generator", "async_generator"])
async def test_a_reader_who_stops_early_leaves_a_call_that_is_settled(
    kind: str, guard: Guard, world: World, ran: Ran
) -> None:
    """Nobody knows how much of it ran, and that is on record."""
    made = guard.tool(name="echo")(getattr(ran, kind))
    with guard.session(user="eve@acme.example"):
        pieces = made("x" * 10)
        first = await anext(pieces) if kind == "async_generator" else next(pieces)
        await pieces.aclose() if kind == "async_generator" else pieces.close()

    assert first == "write to "
    outcomes = [
        entry.body["outcome"] for entry in read(world.settings.state_dir / "journal") if entry.kind == "settled"
    ]
    assert outcomes == ["unknown"]


def test_a_method_is_given_bound(guard: Guard, ran: Ran) -> None:
    """In its class there is no object yet that a model could give."""
    with pytest.raises(ConfigurationError, match=r"Ran.sync is a method of a class; give the method of an object"):
        guard.tool(Ran.sync)
    with guard.session(user="eve@acme.example"):
        guard.tool(name="echo")(ran.sync)(1)

    assert ran == [1]


def test_t24_a_second_gate_is_refused_everywhere(guard: Guard) -> None:
    """A call would be judged twice; each framework's own wrapper says what to give."""

    @guard.tool
    def echo(value: int) -> int:
        """Echo."""
        return value

    for wrap in (
        guard.tool,
        lambda given: dispatch(guard, {"echo": given}),
        lambda given: langchain.guard_tools(guard, [given]),
        lambda given: langchain.guard_tools(guard, [langchain_tool(given)]),
        lambda given: openai_agents.guard_tools(guard, [function_tool(given)]),
    ):
        with pytest.raises(ConfigurationError, match="guarded already"):
            wrap(echo)


def test_frameworks_make_tools_of_it_as_of_the_bare_one(guard: Guard) -> None:
    """Their schemas come from its signature, annotations that are text in its module included."""

    def echo(contact: Contact, times: int = 2) -> str:
        """Echo."""
        return f"{contact} {times}"

    made = guard.tool(echo)

    assert (
        langchain_tool(made).tool_call_schema.model_json_schema()
        == langchain_tool(echo).tool_call_schema.model_json_schema()
    )
    assert (
        function_tool(made, strict_mode=False).params_json_schema
        == function_tool(echo, strict_mode=False).params_json_schema
    )


@pytest.mark.parametrize(
    ("function", "told"),
    [
        (lambda *args: args, "can't be filled by name"),
        (lambda value, /: value, "can't be filled by name"),
        (lambda _value: _value, "is private"),
    ],
)
def test_a_signature_that_no_model_can_fill_is_refused(function: Any, told: str, guard: Guard) -> None:
    """At once, where it is decorated."""
    with pytest.raises(ConfigurationError, match=told):
        guard.tool(name="echo")(function)
    with pytest.raises(ConfigurationError, match="models call tools by"):
        guard.tool(lambda value: value)


@pytest.mark.slow
def test_type_checkers_know_as_much_of_it_as_of_the_bare_one() -> None:
    """By mypy, strict; each line that must be an error is one, since an ignore that ignores nothing is an error too."""
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "tests/integrations/typed_functions.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout


def spread(a: int, b: int = 2, *, c: int, d: int = 4) -> None:
    """Parameters of each kind that a tool may have."""


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        pytest.param((1,), {"c": 3}, id="what is needed"),
        pytest.param((1, 2), {"d": 4, "c": 3}, id="all, out of order"),
        pytest.param((), {"d": 4, "c": 3, "b": 2, "a": 1}, id="all by name, backwards"),
        pytest.param((1,), {"c": 3, "d": None}, id="an empty value"),
    ],
)
def test_arguments_are_bound_as_python_binds_them(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """By the same names, in the same order, and none that was not given."""
    signature = inspect.signature(spread)
    given = _Parameters.of(signature).given(args, kwargs)
    assert list(given.items()) == list(signature.bind(*args, **kwargs).arguments.items())


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        pytest.param((), {"c": 3}, id="one missing"),
        pytest.param((1,), {}, id="one by name missing"),
        pytest.param((1, 2, 3), {}, id="one by name given by place"),
        pytest.param((1, 2, 3), {"c": 3}, id="too many"),
        pytest.param((1,), {"c": 3, "a": 1}, id="one given twice"),
        pytest.param((1,), {"c": 3, "e": 5}, id="one unknown"),
        pytest.param((1,), {"e": 3}, id="one unknown in place of one missing"),
        pytest.param((1, 2), {"b": 3}, id="one given twice in place of one missing"),
    ],
)
def test_arguments_that_python_refuses_are_refused_in_its_words(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Whoever calls a gated function reads the same error as without the gate."""
    signature = inspect.signature(spread)
    with pytest.raises(TypeError) as bound:
        signature.bind(*args, **kwargs)
    with pytest.raises(TypeError) as refused:
        _Parameters.of(signature).given(args, kwargs)
    assert str(refused.value) == str(bound.value)
