"""What objects of types of their own show of themselves beside their parts.

A class may show what none of its parts is: text that its own code makes, a computed field, what a serializer writes, content that its
`__iter__` or `values` leaves out. Whoever prints the object, or writes it as JSON, shows that to a model.
"""

from __future__ import annotations

from collections import ChainMap, deque
from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from pydantic_core import to_jsonable_python

from agentguard.masking.limits import refused

_BUILT_IN = frozenset(
    {"builtins", "collections", "collections.abc", "typing", "abc", "pydantic.main", "pydantic.root_model"}
)
_SHOWING = ("__str__", "__repr__", "__repr_args__", "__repr_str__", "__iter__", "keys", "values", "items")
_CONTENT = (dict, list, tuple, set, frozenset, deque)


@lru_cache(maxsize=4096)
def shows_more(kind: type) -> bool:
    """Whether objects of a type, which have parts, may show what none of them is."""
    if issubclass(kind, (ChainMap, MappingProxyType)):
        return True
    if hasattr(kind, "__pydantic_serializer__") and _is_serialized_by_code(
        getattr(kind, "__pydantic_core_schema__", None)
    ):
        return True
    own = (vars(base) for base in kind.__mro__ if base.__module__ not in _BUILT_IN)
    return any(_is_written(names[name]) for names in own for name in _SHOWING if name in names)


def looks(value: Any) -> list[str]:
    """All that an object with parts shows of itself; what `str` makes of it comes last. Raises GuardUnavailable."""
    try:
        return list(dict.fromkeys(map(plain_text, [*_written(value), repr(value), str(value)])))
    except Exception as error:  # noqa: BLE001 - the object's own code, and what it raises may hold a value
        why = f"a value of type {type(value).__name__} can't be shown ({type(error).__name__})"
    raise refused(why)


def said_besides(value: Any, plain: Any) -> Iterator[str]:
    """What an object without parts shows of itself that its content, `plain`, does not."""
    for said in map(plain_text, (repr(value), str(value))):
        if said not in (repr(plain), str(plain)):
            yield said


def plain_text(text: str) -> str:
    """The characters of a text, whatever methods of its own it has."""
    return str.__str__(text)


def _written(value: Any) -> Iterator[str]:
    for kind in _CONTENT:
        if isinstance(value, kind):
            yield kind.__repr__(value)
    if isinstance(value, Mapping):
        yield repr(list(value.items()))
    elif hasattr(value, "__pydantic_serializer__"):
        yield repr(to_jsonable_python(value, bytes_mode="base64", fallback=str))


def _is_serialized_by_code(schema: Any) -> bool:
    """Whether somebody's code says how a type of pydantic's, or what stands in it, is written; so too where that can't be known."""
    if not isinstance(schema, dict):
        return True
    pending: list[Any] = [schema]
    while pending:
        part = pending.pop()
        if isinstance(part, dict):
            written = part.get("serialization")
            if part.get("computed_fields") or (isinstance(written, dict) and _is_own(written.get("function"))):
                return True
            pending += [inner for key, inner in part.items() if key != "metadata"]
        elif isinstance(part, (list, tuple)):
            pending += part
    return False


def _is_own(function: Any) -> bool:
    return function is not None and not str(getattr(function, "__module__", "")).startswith("pydantic")


def _is_written(method: Any) -> bool:
    """Whether somebody wrote this method, for its own ends: not made for a namedtuple or a dataclass."""
    if getattr(method, "__module__", "") == "collections":
        return False
    code = getattr(getattr(method, "__wrapped__", None), "__code__", None)
    return code is None or code.co_filename != "<string>"
