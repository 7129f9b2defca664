"""Plain scalars of YAML: the value that one stands for, and those that readers disagree about."""

from __future__ import annotations

import math
import re

from agentguard.model.record import Json

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_WORDS_OF_YAML_1_1 = frozenset(
    form for word in ("yes", "no", "on", "off") for form in (word, word.title(), word.upper())
)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z")
_SEXAGESIMAL = re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?\Z")
_ODD_NUMBER = re.compile(
    r"[-+]?(?:0[0-9_]+|0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+|[0-9][0-9_]*_[0-9_.]*|[0-9]{19,})\Z"
)
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF|nan|NaN|NAN)\Z")


def surprise(text: str) -> tuple[str, str] | None:
    """Why a plain scalar is refused: some YAML reader would make something else of it."""
    shown = text[:40]
    if text in _WORDS_OF_YAML_1_1:
        truth = "true" if text.lower() in ("yes", "on") else "false"
        return f"{shown} may be read as a boolean", f'write {truth}, or quote it: "{shown}"'
    if _SEXAGESIMAL.match(text):
        return f"{shown} may be read as a number in base 60", f'quote it: "{shown}"'
    if _ODD_NUMBER.match(text):
        return (
            f"{shown} may be read as another number",
            f'write it in decimal without leading zeros, or quote it: "{shown}"',
        )
    if _NOT_FINITE.match(text) or (_FLOAT.match(text) and not math.isfinite(float(text))):
        return f"{shown} is not a finite number", f'write a number, or quote it: "{shown}"'
    return None


def plain_value(text: str) -> Json:
    """The value of a plain scalar that is no surprise: null, a boolean, a number, or text."""
    if text in _NULL:
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _FLOAT.match(text) else text
