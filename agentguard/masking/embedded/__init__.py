"""Fields inside a text: where a text holds JSON, tables, markup, records or `key: value`, which part of it stands under which key."""

from __future__ import annotations

from agentguard.masking.embedded.inner import Inner, Spelling
from agentguard.masking.embedded.reading import fields_in, regions_in

__all__ = ["Inner", "Spelling", "fields_in", "regions_in"]
