"""All fields inside a text, whatever forms it has.

What comes back are spans of the text, so that whatever is not masked stays as it was, to the byte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from operator import attrgetter

from agentguard.masking.embedded.contacts import card_regions, mailbox_parts
from agentguard.masking.embedded.inner import Inner, Region
from agentguard.masking.embedded.json_text import json_regions
from agentguard.masking.embedded.markup import markup_regions
from agentguard.masking.embedded.pairs import pair_fields
from agentguard.masking.embedded.query import query_regions
from agentguard.masking.embedded.records import record_regions
from agentguard.masking.embedded.rows import row_regions
from agentguard.masking.embedded.tables import table_regions
from agentguard.masking.fields import Fields
from agentguard.masking.keys import Said

_Find = Callable[[str, Fields, Said], Iterable[Region]]


def _finders(text: str) -> list[_Find]:
    """What may find something here, the surest first; each is asked only where its marks stand."""
    lines, brackets = "\n" in text, "{" in text or "[" in text
    asked: list[_Find] = []
    if lines and "VCARD" in text:
        asked.append(card_regions)
    if "(" in text and ("ALUES" in text or "alues" in text or "olumns" in text or "ields" in text):
        asked.append(row_regions)
    if brackets and ('"' in text or "'" in text):
        asked.append(json_regions)
    if "<" in text and ">" in text:
        asked.append(markup_regions)
    if lines and ("|" in text or "\t" in text or ";" in text or "," in text):
        asked.append(table_regions)
    if "=" in text and ("&" in text or "?" in text):
        asked.append(query_regions)
    if lines and (":" in text or "=" in text):
        asked.append(record_regions)
    return asked


def regions_in(text: str, fields: Fields, said: Said) -> list[Region]:
    """The stretches of a text that have a form of their own, in order and apart."""
    found: list[Region] = []
    for find in _finders(text):
        found += _apart(find(text, fields, said), found)
        found.sort(key=_by_start)
    return found


def fields_in(text: str, fields: Fields, said: Said) -> list[Inner]:
    """Every part of a text that stands under a key, in order of place; parts do not overlap."""
    regions = regions_in(text, fields, said)
    parts = [part for region in regions for part in region.parts] if regions else []
    taken = [(region.start, region.end) for region in regions] if regions else ()
    if ":" in text or "=" in text:
        parts += pair_fields(text, fields, said[1], taken)
    if "@" in text and "<" in text:
        mailboxes = (Region(part.start, part.end, [part]) for part in mailbox_parts(text, said))
        parts += [part for region in _apart(mailboxes, regions) for part in region.parts]
    return _in_order(parts)


def _apart(found: Iterable[Region], others: list[Region]) -> list[Region]:
    """Those that touch none of the others. Both are in order."""
    kept, at = [], 0
    for region in found:
        while at < len(others) and others[at].end <= region.start:
            at += 1
        if at == len(others) or others[at].start >= region.end:
            kept.append(region)
    return kept


def _in_order(parts: list[Inner]) -> list[Inner]:
    if len(parts) < 2:
        return parts
    ordered: list[Inner] = []
    for part in sorted(parts, key=_by_start):
        if not ordered or part.start >= ordered[-1].end:
            ordered.append(part)
    return ordered


_by_start = attrgetter("start")
