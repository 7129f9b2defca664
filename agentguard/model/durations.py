"""Durations as people write them in files: a number and a unit, such as 30s, 10m, 4h or 1d."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

DURATION_SECONDS_MAX = 30 * 86400
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
"""How many seconds each unit is."""
_FORM = (  # what `_check` takes, for editors: at most 30 days
    r"^(?:(?:[1-9][0-9]{0,5}|1[0-9]{6}|2[0-4][0-9]{5}|25[0-8][0-9]{4}|259[01][0-9]{3}|2592000)s"
    r"|(?:[1-9][0-9]{0,3}|[1-3][0-9]{4}|4[0-2][0-9]{3}|43[01][0-9]{2}|43200)m"
    r"|(?:[1-9][0-9]?|[1-6][0-9]{2}|7[01][0-9]|720)h|(?:[1-9]|[12][0-9]|30)d)$"
)


def _check(text: str) -> str:
    found = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", text)
    if found is None or int(found[1]) * UNITS[found[2]] > DURATION_SECONDS_MAX:
        what = f"{text[:80]!r} is not a duration of at most 30 days"
        raise PydanticCustomError("duration", "{what}", {"what": what, "instead": "write such as 30s, 10m, 4h or 1d"})
    return text


Duration = Annotated[str, AfterValidator(_check), WithJsonSchema({"type": "string", "pattern": _FORM})]


def seconds_of(duration: Duration) -> int:
    """How long it is."""
    return int(duration[:-1]) * UNITS[duration[-1]]
