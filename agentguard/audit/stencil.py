"""Journal records of one kind in which only a few members differ: the JSON of all others is written once.

Rules:
- what a stencil gives is byte for byte what the record itself would give;
- a member that has no JSON form gives no line.
"""

from __future__ import annotations

from collections.abc import Collection

from pydantic_core import to_json

from agentguard.errors import GuardUnavailable
from agentguard.model.record import Json, Record


class Stencil:
    """The JSON of records like `sample`, in which the members named by `varying` differ."""

    __slots__ = ("_form", "_kind")

    def __init__(self, sample: Record, varying: Collection[str]) -> None:
        self._kind = type(sample).__name__
        members = [_member(sample, name, varies=name in varying) for name in type(sample).model_fields]
        self._form = b"{%b}" % b",".join(members)

    def filled(self, *members: Json | bytes) -> bytes:
        """The record with these as its varying members, in the order of its fields; bytes are JSON already.

        Raises GuardUnavailable("journal", ...).
        """
        line: bytes | None
        try:
            line = self._form % tuple([one if type(one) is bytes else to_json(one) for one in members])
        except ValueError:
            line = None
        if line is None:
            raise no_json_form(self._kind)
        return line


def no_json_form(kind: str) -> GuardUnavailable:
    """The fault for a record that can't be written."""
    return GuardUnavailable("journal", f"a record ({kind}) has no JSON form")


def _member(sample: Record, name: str, *, varies: bool) -> bytes:
    """One member as `%` takes it."""
    if varies:
        return b'"%b":%%b' % name.encode()
    return sample.__pydantic_serializer__.to_json(sample, include={name})[1:-1].replace(b"%", b"%%")
