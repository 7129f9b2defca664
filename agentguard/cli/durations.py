"""Durations as people type them."""

from __future__ import annotations

import re

from agentguard.errors import ConfigurationError
from agentguard.model.durations import UNITS


def milliseconds(text: str, *, option: str) -> int:
    """The milliseconds in `30m`, `12h` or `7d`. Raises ConfigurationError, naming the option."""
    matched = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if matched is None:
        raise ConfigurationError(f"{option} {text!r}: write a number and a unit, such as 30m, 12h or 7d")
    return int(matched[1]) * UNITS[matched[2]] * 1000
