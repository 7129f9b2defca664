"""Made-up and well-known tools, each labelled by hand: whether calling it has an effect, or only reads.

A line is `label | name | description | parameters`. `effect`: something outside is changed, sent, run, spent, or an address of the model's
choice is reached. `read`: nothing is, but for a log of the reading. Written before anything classified them. Half of the lines, by a
digest of the name, are for working on the classifier; the other half are held out.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import NamedTuple

from agentguard.model.listings import Listing

_TYPES = {"n": "number", "i": "integer", "b": "boolean", "l": "array", "o": "object"}


class Labelled(NamedTuple):
    """A tool, and whether it has an effect."""

    listing: Listing
    has_effect: bool

    @property
    def held_out(self) -> bool:
        """Whether nobody may look at it while working on the classifier."""
        return hashlib.sha256(self.listing.name.encode()).digest()[0] % 2 == 1


def labelled() -> list[Labelled]:
    """All of them."""
    lines = (files(__package__) / "tools.txt").read_text(encoding="utf-8").splitlines()
    return [_read(line) for line in lines if line and not line.startswith("#")]


def _read(line: str) -> Labelled:
    label, name, description, parameters = (part.strip() for part in line.split("|"))
    if label not in ("effect", "read"):
        raise ValueError(f"{label!r} is no label: {name}")
    properties = {}
    for parameter in parameters.split():
        key, _, kind = parameter.partition(":")
        properties[key] = {"type": _TYPES.get(kind, "string")}
    schema = {"type": "object", "properties": properties}
    return Labelled(Listing(name=name, description=description, input_schema=schema), label == "effect")
