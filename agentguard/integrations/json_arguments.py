"""The arguments of a call as a model writes them: JSON text, read strictly.

Whatever two readers might take for different calls is refused: duplicate keys, NaN and infinities, anything but one object.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from agentguard.model.canonical import DEPTH_MAX

LENGTH_MAX = 10_000_000
"""Characters. Longer texts are refused unread."""


class UnreadableArguments(ValueError):
    """The text is not one JSON object. The message names the rule, never a value."""


def read_arguments(text: object) -> dict[str, Any]:
    """The arguments in `text`. An empty text means none, as some models write it. Raises UnreadableArguments."""
    if not isinstance(text, str):
        raise UnreadableArguments("the arguments are not JSON text")
    if len(text) > LENGTH_MAX:
        raise UnreadableArguments(f"the arguments are longer than {LENGTH_MAX} characters")
    try:
        arguments = json.loads(text or "{}", object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except UnreadableArguments:
        raise
    except json.JSONDecodeError as error:
        raise UnreadableArguments(f"not valid JSON at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise UnreadableArguments(f"nested deeper than {DEPTH_MAX} levels") from None
    except ValueError:
        raise UnreadableArguments("a number is too long") from None
    if not isinstance(arguments, dict):
        raise UnreadableArguments("the arguments are not a JSON object; write {...}")
    return arguments


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UnreadableArguments("a key stands twice in one object")
    return found


def _no_constant(_: str) -> NoReturn:
    raise UnreadableArguments("NaN and infinities are not JSON")
