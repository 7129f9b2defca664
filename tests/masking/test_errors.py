"""Errors of tools show nothing raw: not in their text, arguments, notes, causes or groups."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import subprocess
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, repeat

import pytest

from agentguard.errors import ToolFailed
from agentguard.masking import Masked, bare_error
from tests.masking.samples import IDS, MASKER, token

MAIL = "ann@acme.example"
TOKEN = token("EMAIL_ADDRESS", MAIL)


class Stubborn(Exception):
    """An error whose text is not made of its arguments."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._hidden = [address]
        self.holder = lambda: address

    def __str__(self) -> str:
        return f"no such user {self.holder()}"


class Demanding(Exception):
    """An error that is made with several arguments."""

    def __init__(self, code: int, address: str) -> None:
        super().__init__(f"{code}: {address}")
        self.code = code
        self.address = address


def _masked(error: BaseException) -> tuple[BaseException, Masked]:
    return MASKER.mask_error(error, IDS)


def _told(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + repr(error.args) + repr(vars(error))


SAME_TYPE = {
    "value": ValueError(f"bad {MAIL}"),
    "key": KeyError(MAIL),
    "os": FileNotFoundError(2, "No such file", f"/in/{MAIL}"),
    "structured": RuntimeError({"user": {"email": MAIL}}, 3),
    "demanding": Demanding(4, MAIL),
}


@pytest.mark.parametrize("error", SAME_TYPE.values(), ids=SAME_TYPE.keys())
def test_t26_an_error_that_can_carry_the_masked_text_keeps_its_type(error: Exception) -> None:
    """Same type, its arguments and attributes masked."""
    shown, result = _masked(error)
    assert type(shown) is type(error)
    assert MAIL not in _told(shown)
    assert TOKEN in str(shown)
    assert result.changed
    assert [one.text for one in result.tokens] == [TOKEN]


def test_attributes_that_are_clean_stay() -> None:
    """A code is still there for whoever catches the error."""
    shown, _ = _masked(Demanding(4, MAIL))
    assert isinstance(shown, Demanding)
    assert (shown.code, shown.address) == (4, TOKEN)


def _decode_error() -> Exception:
    return json.JSONDecodeError("bad", f'{{"email": "{MAIL}"', 3)


ANOTHER_TYPE = {
    "stubborn": Stubborn(MAIL),
    "unicode": UnicodeDecodeError("utf-8", MAIL.encode(), 0, 1, f"at {MAIL}"),
}


@pytest.mark.parametrize("error", ANOTHER_TYPE.values(), ids=ANOTHER_TYPE.keys())
def test_t26_an_error_that_cannot_becomes_tool_failed(error: Exception) -> None:
    """Where the type's own text would show the value, ToolFailed names the type and carries the masked text."""
    shown, _ = _masked(error)
    assert MAIL not in _told(shown)
    assert MAIL not in str(shown)
    assert type(error).__name__ in str(shown) or type(shown) is type(error)


def test_stubborn_becomes_tool_failed() -> None:
    """The kind is the type's name."""
    shown, _ = _masked(Stubborn(MAIL))
    assert isinstance(shown, ToolFailed)
    assert str(shown) == f"Stubborn: no such user {TOKEN}"


def test_t26_the_document_in_a_decode_error_is_masked() -> None:
    """Attributes beside the text hold raw results too."""
    assert MAIL not in _told(_masked(_decode_error())[0])


def test_t26_notes_causes_and_contexts_are_masked() -> None:
    """A clean error with a raw cause, context or note comes back without the raw value."""
    error = ValueError("outer")
    error.__cause__ = KeyError(MAIL)
    error.__cause__.__context__ = OSError(f"deep {MAIL}")
    error.__cause__.add_note(f"noted {MAIL}")
    shown, result = _masked(error)
    assert MAIL not in _told(shown)
    assert type(shown) is ValueError
    assert type(shown.__cause__) is KeyError
    assert result.changed


def test_t26_groups_are_masked() -> None:
    """A group that holds a raw value anywhere becomes one error with the masked text."""
    shown, _ = _masked(ExceptionGroup("several", [ValueError("x"), ExceptionGroup("inner", [KeyError(MAIL)])]))
    assert MAIL not in _told(shown)
    clean = ExceptionGroup("several", [ValueError("x")])
    assert _masked(clean)[0] is clean


def test_a_clean_error_comes_back_as_itself() -> None:
    """Nothing to mask: the very object, traceback and all."""
    error = ValueError("no such table")
    assert _masked(error) == (error, Masked(value="no such table", tokens=(), entities={}, changed=False))


def test_a_chain_that_bites_its_tail_ends() -> None:
    """Causes that form a ring are each masked once."""
    first, second = ValueError(MAIL), KeyError(MAIL)
    first.__context__, second.__context__ = second, first
    shown, _ = _masked(first)
    assert MAIL not in str(shown) + str(shown.__context__)


class Slotted(Exception):
    """An error that keeps a value outside of its `__dict__`."""

    __slots__ = ("address",)

    def __init__(self, address: str) -> None:
        super().__init__("failed")
        self.address = address


class Noting(Exception):
    """An error whose notes are its class's."""

    __notes__ = [f"noted {MAIL}"]


def _of_a_task_group(error: Exception) -> ExceptionGroup[Exception]:
    """As a group of tasks raises it, of which one failed while it handled `error`."""
    failed = RuntimeError("task failed")
    failed.__cause__ = error
    return ExceptionGroup("unhandled errors in a TaskGroup", [failed])


def _holding(error: Exception) -> ExceptionGroup[Exception]:
    error.address = MAIL  # type: ignore[attr-defined]
    return ExceptionGroup("several", [error])


GROUPS = {
    "cause": _of_a_task_group(ValueError(MAIL)),
    "cause's cause": _of_a_task_group(_of_a_task_group(ValueError(MAIL))),
    "attribute": _holding(ValueError("x")),
    "slot": ExceptionGroup("several", [Slotted(MAIL)]),
    "notes": ExceptionGroup("several", [Noting("x")]),
}


def _all(error: BaseException | None) -> list[BaseException]:
    """An error with all that hangs on it."""
    if error is None:
        return []
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return [error, *(each for one in (error.__cause__, error.__context__, *members) for each in _all(one))]


@pytest.mark.parametrize("error", GROUPS.values(), ids=GROUPS.keys())
def test_t26_what_hangs_on_the_members_of_a_group_is_masked(error: Exception) -> None:
    """The causes, notes and attributes of members, which a traceback prints and a program reads, hold nothing raw."""
    outer = RuntimeError("tool failed")
    outer.__cause__ = error
    shown, _ = _masked(outer)
    assert MAIL not in "".join(_told(one) + str(getattr(one, "address", "")) for one in _all(shown))


OUTSIDE = {
    "slot": (Slotted(MAIL), "address"),
    "import": (ImportError("no such module", name="shop", path=f"/in/{MAIL}"), "path"),
    "name": (NameError("no such name", name=MAIL), "name"),
    "value": (StopIteration(MAIL), "value"),
}


@pytest.mark.parametrize(("error", "attribute"), OUTSIDE.values(), ids=OUTSIDE.keys())
def test_t26_what_an_error_keeps_outside_of_its_dict_is_masked(error: Exception, attribute: str) -> None:
    """Slots and members of built-in errors."""
    shown, _ = _masked(error)
    assert type(shown) is type(error)
    assert TOKEN in getattr(shown, attribute)


def test_t26_notes_of_a_class_are_masked() -> None:
    """Notes are shown wherever they stand."""
    assert MAIL not in "".join(traceback.format_exception(_masked(Noting("x"))[0]))


class Changing(Exception):
    """An error that says something else each time that it is asked."""

    def __init__(self, *args: object, said: Iterable[str] = ()) -> None:
        super().__init__(*args)
        self.holder = chain(said, repeat(f"write to {MAIL}"))

    def __str__(self) -> str:
        return next(self.holder)


@dataclass
class ChangingArgument:
    """What an error was made with, that says something else each time."""

    number: int = 3

    def __str__(self) -> str:
        self.number += 1
        return "nothing" if self.number < 9 else f"write to {MAIL}"


CHANGING = {
    "at once": lambda: Changing(said=["no such row"]),
    "later": lambda: Changing(said=["no such row"] * 3),
    "much later": lambda: Changing(said=["no such row"] * 30),
    "with an argument": lambda: Changing(MAIL, said=["no such row"] * 3),
    "by its argument": lambda: ValueError(ChangingArgument()),
    "in a cause": lambda: _caused(ValueError("no such row"), Changing(said=["no such row"] * 2)),
    "beside a raw cause": lambda: _caused(Changing(said=["no such row"]), ValueError(MAIL)),
    "in a group": lambda: ExceptionGroup("several", [Changing(said=["no such row"] * 6)]),
}


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("make", CHANGING.values(), ids=CHANGING.keys())
def test_t26_a_text_that_changes_is_what_was_masked_for_ever(make: Callable[[], Exception]) -> None:
    """However often it is read after, by whoever prints it, an error says what was looked at."""
    error = make()
    shown, masked = _masked(error)
    read = [str(shown) for _ in range(40)] + ["".join(traceback.format_exception(shown)) for _ in range(40)]
    assert MAIL not in "".join(read)
    assert set(read[:40]) == {masked.value}
    assert isinstance(shown, (type(error), ToolFailed))


def test_an_error_with_words_of_its_own_stays_itself() -> None:
    """The very object, with its type, for whoever catches it; one whose code makes its text is held to that text."""
    error = subprocess.CalledProcessError(3, ["ls"])
    said = str(error)
    shown, _ = _masked(error)
    assert shown is error
    assert isinstance(shown, subprocess.CalledProcessError)
    assert (str(shown), shown.returncode, type(shown).__name__) == (said, 3, "CalledProcessError")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_a_copy_of_such_an_error_says_the_same(copied: Callable[[BaseException], BaseException]) -> None:
    """In another process too, by its type and with what it holds."""
    error = subprocess.CalledProcessError(3, ["mail", MAIL])
    shown = copied(_masked(error)[0])
    assert isinstance(shown, subprocess.CalledProcessError)
    assert (shown.returncode, shown.cmd) == (3, ["mail", TOKEN])
    assert TOKEN in str(shown)
    assert MAIL not in _told(shown)


class Sealed(BaseException):
    """Stops a program, and can't be made without its address."""

    def __new__(cls, *, address: str) -> Sealed:
        return super().__new__(cls, address)

    def __init__(self, *, address: str) -> None:
        super().__init__()
        self.holder = lambda: address

    def __str__(self) -> str:
        return f"stopped by {self.holder()}"


class SealedExit(Sealed, SystemExit):
    """The same, with a status to exit with."""


def _exit_of_its_own() -> BaseException:
    error = SealedExit(address=MAIL)
    error.code = 4
    return error


def _many() -> BaseException:
    return BaseExceptionGroup("many", [KeyboardInterrupt(f"{number} {MAIL}") for number in range(100)])


def _deep() -> BaseException:
    error: BaseException = KeyboardInterrupt(MAIL)
    for _ in range(50):
        error = BaseExceptionGroup("deep", [error])
    return error


STOPS: dict[str, tuple[Callable[[], BaseException], type[BaseException]]] = {
    "exit": (lambda: SystemExit(MAIL), SystemExit),
    "sealed": (lambda: Sealed(address=MAIL), BaseException),
    "sealed exit": (_exit_of_its_own, SystemExit),
    "group": (lambda: BaseExceptionGroup(MAIL, [SystemExit(MAIL), ValueError(MAIL)]), BaseExceptionGroup),
    "many": (_many, BaseExceptionGroup),
    "deep": (_deep, BaseExceptionGroup),
}


@pytest.mark.parametrize(("make", "kind"), STOPS.values(), ids=STOPS.keys())
def test_t26_what_stops_a_program_still_does(make: Callable[[], BaseException], kind: type[BaseException]) -> None:
    """What is no `Exception` stays none, and what it is of those that Python has."""
    error = make()
    shown, _ = _masked(error)
    assert isinstance(shown, kind)
    assert not isinstance(shown, Exception)
    assert MAIL not in "".join(map(_told, _all(shown)))
    assert getattr(shown, "code", None) in (None, 4, TOKEN)


@pytest.mark.parametrize(("make", "kind"), STOPS.values(), ids=STOPS.keys())
def test_t26_of_what_can_not_be_masked_the_kind_is_left(
    make: Callable[[], BaseException], kind: type[BaseException]
) -> None:
    """Where masking fails, the program stops all the same, and nothing is told."""
    shown = bare_error(make(), "its text can't be shown")
    assert isinstance(shown, kind)
    assert MAIL not in "".join(map(_told, _all(shown)))


def test_the_members_of_a_group_that_stops_a_program_are_told_apart() -> None:
    """`except*` finds what it looks for."""
    shown, _ = _masked(_deep())
    assert isinstance(shown, BaseExceptionGroup)
    assert [type(one) for one in shown.exceptions] == [KeyboardInterrupt]


def test_a_cancellation_of_a_scope_keeps_its_words() -> None:
    """A scope of anyio knows its own cancellations by their text, however much it looks like a number of somebody."""
    error = asyncio.CancelledError("Cancelled by cancel scope 202-555-0147")
    error.__cause__ = ValueError(MAIL)
    shown, _ = _masked(error)
    assert type(shown) is asyncio.CancelledError
    assert shown.args == error.args
    assert MAIL not in "".join(map(_told, _all(shown)))
