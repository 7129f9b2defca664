"""Errors of tools, with nothing raw in what they show: text, arguments, notes, causes and groups."""

from __future__ import annotations

from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any

from agentguard.errors import GuardUnavailable, ToolFailed

Mask = Callable[[Any], Any]

_LONGEST_CHAIN = 32
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
            copies[id(one)] = _rebuilt(one, one.args, _maskable_details(one, _same)) or ToolFailed(
                type(one).__name__, mask(str(one))
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


def _masked_one(error: BaseException, mask: Mask) -> BaseException:
    """The error where it shows nothing raw, else a copy of its type, else ToolFailed. Causes are left to the caller."""
    shown = _shown(error)
    if shown is None:
        return ToolFailed(type(error).__name__, "its text can't be read")
    masked_shown = tuple(mask(text) for text in shown)
    if isinstance(error, BaseExceptionGroup):
        return error if _is_plain_group(error, mask) else ToolFailed(type(error).__name__, masked_shown[0])
    args, details = _maskable(error.args, mask), _maskable_details(error, mask)
    if masked_shown == shown and args == error.args and details == _maskable_details(error, _same):
        return error
    copy = _rebuilt(error, args, details)
    if copy is None or _shows_raw(copy, mask) or (shown[0] and not str(copy)):
        copy = ToolFailed(type(error).__name__, masked_shown[0])
        copy.__notes__ = [mask(note) for note in _notes(error)]
        if not copy.__notes__:
            del copy.__notes__
    return copy


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
        not _shows_raw(one, mask) and _maskable_details(one, mask) == _maskable_details(one, _same) for one in found
    )
