"""Errors of tools, with nothing raw in what they show: text, arguments, notes, causes and groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentguard.errors import GuardUnavailable, ToolFailed

Mask = Callable[[Any], Any]

_LONGEST_CHAIN = 32
_FILE, _SECOND_FILE = "file name", "second file name"  # of an OSError, which keeps them outside its __dict__


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


def _chain(error: BaseException) -> list[BaseException]:
    """The error, its causes and contexts, each once, so many as are looked at."""
    found: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending and len(found) < _LONGEST_CHAIN:
        one = pending.pop(0)
        if one is not None and id(one) not in seen:
            seen.add(id(one))
            found.append(one)
            pending += [one.__cause__, one.__context__]
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
        copy.__notes__ = [mask(note) for note in getattr(error, "__notes__", ())]
        if not copy.__notes__:
            del copy.__notes__
    return copy


def _shown(error: BaseException) -> tuple[str, str] | None:
    """What an error shows of itself; None where that can't be read, as of groups in groups without end."""
    try:
        return str(error), repr(error)
    except Exception:  # noqa: BLE001 - any type's own code may run here
        return None


def _maskable(args: tuple[Any, ...], mask: Mask) -> tuple[Any, ...]:
    return tuple(_masked_or_named(arg, mask) for arg in args)


def _maskable_details(error: BaseException, mask: Mask) -> dict[str, Any]:
    files = {_FILE: error.filename, _SECOND_FILE: error.filename2} if isinstance(error, OSError) else {}
    return {
        name: _masked_or_named(value, mask) for name, value in {**vars(error), **files}.items() if value is not None
    }


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
        if isinstance(error, OSError) and isinstance(copy, OSError):
            copy.filename, copy.filename2 = details.pop(_FILE, None), details.pop(_SECOND_FILE, None)
        for name, value in details.items():
            setattr(copy, name, value)
        str(copy), repr(copy)
    except Exception:  # noqa: BLE001 - any type's own code may run here; whatever it raises means: not this way
        return None
    return copy


def _shows_raw(error: BaseException, mask: Mask) -> bool:
    texts = [str(error), repr(error), *map(str, getattr(error, "__notes__", ()))]
    return any(mask(text) != text for text in texts)


def _is_plain_group(group: BaseExceptionGroup[BaseException], mask: Mask) -> bool:
    """Whether nothing in a group, at any depth that is looked at, has to be masked."""
    pending: list[BaseException] = [group]
    for _ in range(_LONGEST_CHAIN):
        if not pending:
            return True
        one = pending.pop()
        texts = [str(one), repr(one), *map(str, getattr(one, "__notes__", ()))]
        if any(mask(text) != text for text in texts):
            return False
        if isinstance(one, BaseExceptionGroup):
            pending += one.exceptions
    return not pending
