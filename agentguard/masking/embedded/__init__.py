"""Fields inside a text: where a text holds JSON, tables, markup, records or `key: value`, which part of it stands under which key."""

from __future__ import annotations

from agentguard.masking.embedded.escapes import escapes, is_escaped
from agentguard.masking.embedded.inner import Inner, Region, Spelling
from agentguard.masking.embedded.pairs import pairs_in
from agentguard.masking.embedded.reading import fields_in, regions_in
from agentguard.masking.embedded.records import is_record_line
from agentguard.masking.embedded.tables import is_header_line, may_become_header

__all__ = [
    "Inner",
    "Region",
    "Spelling",
    "escapes",
    "fields_in",
    "is_escaped",
    "is_header_line",
    "is_record_line",
    "may_become_header",
    "pairs_in",
    "regions_in",
]
