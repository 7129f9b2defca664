"""What masking gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from agentguard.model.tokens import Token


class Masked(NamedTuple):
    """A masked value. `tokens`: those that stand in it now, each once. `entities`: how many findings of which type.

    `hidden`: what was replaced by something else than a token, to be found again later.
    `changed` is whether anything was replaced; if not, `value` is the very object that came in.
    """

    value: Any
    tokens: tuple[Token, ...]
    entities: Mapping[str, int]
    changed: bool
    hidden: tuple[Token, ...] = ()
