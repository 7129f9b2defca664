"""Errors of tools, with nothing raw in what they show: text, arguments, notes, causes and groups.

Rules:
- what was masked is what everybody reads: a text that code makes anew each time is made for the last time here;
- what is no `Exception` stays none, and what it is (an exit with its status, an interrupt): it stops a program, and goes on to.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any

from agentguard.errors import GuardUnavailable, ToolFailed
from agentguard.model.fixed_text import fixed, tells_by_code

Mask = Callable[[Any], Any]

_LONGEST_CHAIN = 32
_MOST_MEMBERS = 1000
_PYTHONS = frozenset({"builtins", "asyncio.exceptions"})
_OF_A_SCOPE = "Cancelled by cancel scope "
_NOT_TOLD = frozenset({"obj", "__suppress_context__"})
"""Members that no error shows: where an attribute was missing, and how a chain is printed."""


def masked_error(error: BaseException, mask: Mask) -> BaseException:
    """The error itself where nothing in it had to be masked; else a masked copy with masked causes."""
    chain = _chain(error)
    copies = {id(one): _masked_one(one, mask) for one in chain}
    if all(copies[id(one)] is one for one in chain) and len(chain) < _LONGEST_CHAIN:
        return error
    for one in chain:
        if copies[id(one)] is one:
            copies[id(one)] = _rebuilt(one, one.args, _maskable_details(one, _same)) or _stand_in(
                one, mask(str(one)), mask
            )
    for one in chain:
        copy = copies[id(one)]
        copy.__cause__ = copies.get(id(one.__cause__))
        copy.__context__ = copies.get(id(one.__context__))
        copy.__suppress_context__ = one.__suppress_context__
    return copies[id(error)]


def told_error(error: BaseException) -> str:
    """The text of an error that no tool raised but gave; with all else that it shows, where that is more."""
    text, first = str(error), error.args[0] if len(error.args) == 1 else ""
    chain = _chain(error, members=True)
    written = f"{type(error).__name__}({first!r})" if error.args else f"{type(error).__name__}()"
    if repr(error) == written and text in (first, repr(first)) and len(chain) == 1 and not _notes(error):
        return text
    return "\n".join([text, *(said for one in chain for said in (repr(one), *_notes(one)))])


def _chain(error: BaseException, *, members: bool = False) -> list[BaseException]:
    """The error, its causes and contexts, with the members of groups or without, each once, so many as are looked at."""
    found: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending and len(found) < _LONGEST_CHAIN:
        one = pending.pop(0)
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            found.append(one)
            pending += [one.__cause__, one.__context__]
            pending += one.exceptions if members and isinstance(one, BaseExceptionGroup) else ()
    return found


def bare_error(error: BaseException, text: str) -> BaseException:
    """What stands for an error of which nothing is shown: ToolFailed; for what is no `Exception`, one that stops a program like it."""
    return _stand_in(error, text, lambda value: value if _is_small(value) else text)


def says_nothing(error: BaseException) -> bool:
    """Whether an error that stops a program has nothing of a tool's in it: an interrupt, a status to exit with, a task's end."""
    if isinstance(error, GeneratorExit):
        return True
    if error.__cause__ or error.__context__ or isinstance(error, BaseExceptionGroup) or tells_by_code(error):
        return False
    held = (*error.args, *vars(error).values(), *_members(error).values())
    return _is_of_a_scope(error) or all(map(_is_small, held))


def _is_small(value: Any) -> bool:
    """Whether a value is nothing, or a number that a program may end with."""
    return value is None or (type(value) is int and 0 <= value < 256)


def _is_of_a_scope(error: BaseException) -> bool:
    """Whether anyio cancelled a task: it finds its own cancellations again by their text."""
    first = error.args[0] if error.args else None
    return type(error).__module__ == "asyncio.exceptions" and type(first) is str and first.startswith(_OF_A_SCOPE)


def _masked_one(error: BaseException, mask: Mask) -> BaseException:
    """The error where it shows nothing raw, else a copy of its type, else what stands for it. Causes are left to the caller."""
    shown = _shown(error)
    if shown is None:
        return _stand_in(error, "its text can't be read", mask)
    masked_shown = tuple(mask(text) for text in shown)
    if isinstance(error, BaseExceptionGroup):
        return error if _is_plain_group(error, mask) else _stand_in(error, masked_shown[0], mask)
    if _is_of_a_scope(error):
        return error
    args, details = _maskable(error.args, mask), _maskable_details(error, mask)
    is_clean = masked_shown == shown and args == error.args and details == _maskable_details(error, _same)
    copy = error if is_clean else _rebuilt(error, args, details)
    if copy is not None:
        copy = _saying(copy, shown if is_clean else None)
    if copy is None or (not is_clean and (_shows_raw(copy, mask) or (shown[0] and not str(copy)))):
        copy = _stand_in(error, masked_shown[0], mask)
        copy.__notes__ = [mask(note) for note in _notes(error)]
        if not copy.__notes__:
            del copy.__notes__
    return copy


def _saying(error: BaseException, shown: tuple[str, ...] | None) -> BaseException | None:
    """The error, which says for ever what it says now, or `shown`; None where it can't be held to that."""
    if not tells_by_code(error):
        return error
    said = shown or _shown(error)
    return None if said is None else fixed(error, said[0], said[1])


def _stand_in(error: BaseException, text: str, mask: Mask) -> BaseException:
    """Another error with this text: ToolFailed; for one that stops a program, what it is of those that Python has."""
    if isinstance(error, Exception):
        return ToolFailed(type(error).__name__, text)
    if isinstance(error, BaseExceptionGroup):
        return BaseExceptionGroup(text, _members_masked(error, mask))
    kind = next(kind for kind in type(error).__mro__ if kind.__module__ in _PYTHONS)
    stopping: BaseException = kind(text if kind is type(error) else f"{type(error).__name__}: {text}")
    if isinstance(error, SystemExit) and isinstance(stopping, SystemExit) and _is_small(error.code):
        stopping.code = error.code
    return stopping


def _members_masked(group: BaseExceptionGroup[BaseException], mask: Mask) -> list[BaseException]:
    """What a group holds at any depth, each masked; without its text where it holds more than is looked at."""
    pending, members = [group], list[BaseException]()
    while pending and len(members) < _MOST_MEMBERS:
        for one in pending.pop().exceptions:
            if isinstance(one, BaseExceptionGroup):
                pending.append(one)
            else:
                members.append(one)
    looked_at = [masked_error(one, mask) for one in members[:_LONGEST_CHAIN]]
    rest = [bare_error(one, "one of many") for one in members[_LONGEST_CHAIN:]]
    return [*looked_at, *rest] or [bare_error(KeyboardInterrupt(), "a group without end")]


def _shown(error: BaseException) -> tuple[str, ...] | None:
    """What an error shows of itself, its text first; None where that can't be read, as of groups in groups without end."""
    try:
        return str(error), repr(error), *_notes(error)
    except Exception:  # noqa: BLE001 - any type's own code may run here
        return None


def _notes(error: BaseException) -> list[str]:
    return [str(note) for note in getattr(error, "__notes__", ())]


def _maskable(args: tuple[Any, ...], mask: Mask) -> tuple[Any, ...]:
    return tuple(_masked_or_named(arg, mask) for arg in args)


def _maskable_details(error: BaseException, mask: Mask) -> dict[str, Any]:
    details = {**vars(error), **_members(error)}
    return {name: _masked_or_named(value, mask) for name, value in details.items() if value is not None}


def _members(error: BaseException) -> dict[str, Any]:
    """What an error keeps outside of its `__dict__`: the file names of an OSError, slots, ..."""
    kinds = [kind for kind in type(error).__mro__ if kind not in BaseException.__mro__]
    names = [name for kind in kinds for name, held in vars(kind).items() if isinstance(held, MemberDescriptorType)]
    return {name: getattr(error, name) for name in names if name not in _NOT_TOLD and hasattr(error, name)}


def _masked_or_named(value: Any, mask: Mask) -> Any:
    """The masked value; for an object that can't be read, the name of its type."""
    try:
        return mask(value)
    except GuardUnavailable:
        return f"<{type(value).__name__}>"


def _same(value: Any) -> Any:
    return value


def _rebuilt(error: BaseException, args: tuple[Any, ...], details: dict[str, Any]) -> BaseException | None:
    """A new error of the same type, its own constructor left out; None where the type does not allow that."""
    kind = type(error)
    try:
        copy = kind.__new__(kind, *args)
        copy.args = args
        for name, value in details.items():
            setattr(copy, name, value)
        str(copy), repr(copy)
    except Exception:  # noqa: BLE001 - any type's own code may run here; whatever it raises means: not this way
        return None
    return copy


def _shows_raw(error: BaseException, mask: Mask) -> bool:
    return any(mask(text) != text for text in (str(error), repr(error), *_notes(error)))


def _is_plain_group(group: BaseExceptionGroup[BaseException], mask: Mask) -> bool:
    """Whether nothing has to be masked in a group: its members at any depth that is looked at, their causes, what they hold."""
    found = _chain(group, members=True)
    return len(found) < _LONGEST_CHAIN and all(
        _saying(one, None) is one
        and not _shows_raw(one, mask)
        and _maskable_details(one, mask) == _maskable_details(one, _same)
        for one in found
    )
