"""Errors whose text no longer changes: what was looked at once is what everybody reads of them.

An error may make its text anew each time that it is asked, out of whatever its class likes. A class made for this one error stands in
front of its own and says the same for ever; for all else, `isinstance` too, the error stays what it was.
"""

from __future__ import annotations

from types import WrapperDescriptorType
from typing import Any

from agentguard.errors import ToolFailed

_KNOWN = frozenset({"datetime", "decimal", "enum", "fractions", "ipaddress", "pathlib", "uuid"})
"""Modules whose objects say the same each time."""


def tells_by_code(error: BaseException) -> bool:
    """Whether code written in Python makes what an error shows: its class's, or that of something it was made with."""
    return _is_written_in_python(type(error)) or any(map(_holds_code, error.args))


def fixed(error: BaseException, text: str, written: str) -> BaseException | None:
    """The error, from now on with this `str` and `repr`; a copy where its type takes no other class; None where neither can be."""
    kind: Any = type(error)
    says = {
        "__module__": kind.__module__,
        "__qualname__": kind.__qualname__,
        "__doc__": kind.__doc__,
        "__slots__": (),
        "__str__": lambda _: text,
        "__repr__": lambda _: written,
        "__reduce_ex__": lambda self, _: (_again, (kind, self.args, vars(self), text, written)),
    }
    try:
        made = type(kind)(kind.__name__, (kind,), says)
        return error if _is_turned(error, made) else _copy(error, made)
    except Exception:  # noqa: BLE001 - any type's own code may run here; whatever it raises means: not this way
        return None


def _again(kind: Any, args: tuple[Any, ...], held: dict[str, Any], text: str, written: str) -> BaseException:
    """Such an error out of a pickle, or as a copy."""
    error: BaseException = kind.__new__(kind, *args)
    error.args = args
    vars(error).update(held)
    return fixed(error, text, written) or ToolFailed(kind.__name__, text)


def _is_turned(error: BaseException, made: type[Any]) -> bool:
    """Whether the error is of this class now; built-in ones can't be."""
    try:
        error.__class__ = made
    except TypeError:
        return False
    return type(error) is made


def _copy(error: BaseException, made: type[Any]) -> BaseException:
    copy: BaseException = made.__new__(made, *error.args)
    copy.args = error.args
    vars(copy).update(vars(error))
    copy.__cause__, copy.__context__ = error.__cause__, error.__context__
    copy.__suppress_context__ = error.__suppress_context__
    return copy.with_traceback(error.__traceback__)


def _holds_code(value: object) -> bool:
    if isinstance(value, BaseException):
        return _is_written_in_python(type(value)) or any(_is_written_in_python(type(arg)) for arg in value.args)
    return _is_written_in_python(type(value))


def _is_written_in_python(kind: type) -> bool:
    return any(
        not isinstance(method, WrapperDescriptorType) and getattr(method, "__module__", "") not in _KNOWN
        for method in (kind.__str__, kind.__repr__)
    )
