"""Frozen records: whatever is written to YAML, Redis, HTTP or the journal."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from agentguard.model.canonical import canonical_json

Json = Any
"""A JSON value: dict with string keys, list, str, int, float, bool or None."""


class Record(BaseModel):
    """A strict, frozen value that reads back exactly what it wrote.

    Bytes never stand in a record; times are integers, milliseconds since 1970 UTC, named `..._ms`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    def canonical(self) -> str:
        """The one JSON text of this record: equal records give equal texts."""
        return canonical_json(self.model_dump(mode="json"))

    @classmethod
    def read(cls, text: str | bytes) -> Self:
        """The record in a JSON text. Raises pydantic's ValidationError."""
        return cls.model_validate_json(text)
