"""Canonical JSON: one text for one value, so that a digest over it binds the value.

Rules:
- keys are strings, sorted by code point; no white space; text as it is (no ASCII escapes, no normalisation);
- integers are written as integers, of any size; floats always carry '.' or 'e': 1, 1.0, true and "1" are four values;
- NaN, infinities, lone surrogates, non-string keys, cycles, and nesting over 64 levels are refused;
- anything that is not dict, list, tuple, str, int, float, bool or None is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from typing import Any

from pydantic_core import from_json

from agentguard.errors import NotCanonical

DEPTH_MAX = 64
INTEGER_BITS_MAX = 4096

_encoder = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False
)


def _encode_by(encoder: json.JSONEncoder) -> Callable[[Any, int], Sequence[str]]:
    """What `encoder.encode` does, in pieces. It makes the C encoder anew for each value, which costs more than to encode a small one."""
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return lambda value, _: [encoder.encode(value)]
    pieces: Callable[[Any, int], Sequence[str]] = make(
        None, encoder.default, json.encoder.encode_basestring, None, encoder.key_separator, encoder.item_separator,
        encoder.sort_keys, encoder.skipkeys, encoder.allow_nan,
    )  # fmt: skip
    return pieces


_encode = _encode_by(_encoder)


def canonical_json(value: Any) -> str:
    """The canonical text of `value`. Raises NotCanonical with the path of the first offence."""
    if not _is_canonical(value):
        _find_offence(value)
    return "".join(_encode(value, 0))


def read_canonical(text: str) -> Any:
    """A fresh value from its canonical text, no part of which is kept: half of the time of json's own scanner."""
    return from_json(text, cache_strings="keys")


def _is_canonical(value: Any) -> bool:
    """Whether nothing in `value` offends, without the path to anything. Bounded depth, no recursion."""
    stack: list[tuple[Any, int]] = [(value, 1) if type(value) in _NESTED else ((value,), 0)]
    while stack:
        parts, depth = stack.pop()
        if depth > DEPTH_MAX:
            return False
        if type(parts) is dict:
            for key in parts:
                if type(key) is not str or not (key.isascii() or _is_text(key)):
                    return False
            parts = parts.values()
        for part in parts:
            kind = type(part)
            if (kind is str and part.isascii()) or (kind is int and part.bit_length() <= INTEGER_BITS_MAX):
                continue
            if kind in _NESTED:
                stack.append((part, depth + 1))
            elif not _is_fine(part, kind):
                return False
    return True


def _is_fine(part: Any, kind: type) -> bool:
    """Whether what is no short integer, no ASCII and has no parts may be written."""
    if kind is str:
        return _is_text(part)
    return math.isfinite(part) if kind is float else kind is bool or part is None


def _find_offence(value: Any) -> None:
    """Raise NotCanonical with the path of the first offence."""
    stack: list[tuple[Any, int, tuple[str | int, ...]]] = [(value, 1, ())]
    while stack:
        item, depth, path = stack.pop()
        kind = type(item)
        if kind is str:
            _check_text(item, path)
        elif kind is dict:
            _check_depth(depth, path)
            for key, inner in item.items():
                if type(key) is not str:
                    raise NotCanonical(_written(path), "keys must be text")
                _check_text(key, path)
                stack.append((inner, depth + 1, (*path, key)))
        elif kind is list or kind is tuple:
            _check_depth(depth, path)
            stack.extend((inner, depth + 1, (*path, index)) for index, inner in enumerate(item))
        elif kind is float or kind is int:
            _check_number(item, path)
        elif kind is not bool and item is not None:
            raise NotCanonical(_written(path), f"{kind.__name__} has no JSON form")


def _check_text(text: str, path: tuple[str | int, ...]) -> None:
    if not _is_text(text):
        raise NotCanonical(_written(path), "text holds a lone surrogate")


def _check_number(number: int | float, path: tuple[str | int, ...]) -> None:
    if isinstance(number, float) and not math.isfinite(number):
        raise NotCanonical(_written(path), "NaN and infinities have no JSON form")
    if isinstance(number, int) and number.bit_length() > INTEGER_BITS_MAX:
        raise NotCanonical(_written(path), "an integer of more than a thousand digits")


def _check_depth(depth: int, path: tuple[str | int, ...]) -> None:
    if depth > DEPTH_MAX:
        raise NotCanonical(_written(path[:3]) + "...", f"nested deeper than {DEPTH_MAX} levels")


def _written(path: tuple[str | int, ...]) -> str:
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else f".{_safe(step)}" for step in path)


def _safe(key: str) -> str:
    """A key may be personal itself or unprintable: only plain identifiers are shown."""
    return key if key.isascii() and key.isidentifier() and len(key) <= 40 else "?"


def _is_text(text: str) -> bool:
    """Whether a text can be written: no lone surrogate is in it."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_NESTED = frozenset({dict, list, tuple})
