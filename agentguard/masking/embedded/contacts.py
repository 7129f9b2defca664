"""People as mail and address books write them: cards of RFC 6350, and `Ann Lee <ann@acme.example>`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentguard.masking.embedded.inner import Inner, Region
from agentguard.masking.fields import Fields
from agentguard.masking.fitting import looks_like_a_name
from agentguard.masking.keys import Key, Said

_CARD = re.compile(r"[Bb](?i:EGIN:VCARD.*?(?:END:VCARD|\Z))", re.DOTALL)
_LINE = re.compile(r"^(?:item[0-9]+\.)?([A-Z]{1,10})((?:;[^:\r\n]*)?):([^\r\n]*)", re.MULTILINE | re.IGNORECASE)
_PARTS: dict[str, tuple[str | None, ...]] = {
    "FN": ("PERSON",),
    "N": ("PERSON", "PERSON", "PERSON"),
    "NICKNAME": ("PERSON",),
    "BDAY": ("DATE_OF_BIRTH",),
    "ADR": ("ADDRESS", "ADDRESS", "ADDRESS", "CITY", None, "ZIP_CODE"),
    "TEL": ("PHONE_NUMBER",),
    "EMAIL": ("EMAIL_ADDRESS",),
    "LABEL": ("ADDRESS",),
}
_ADDRESS = re.compile(r"<(?=[^\s<>@]{1,64}@[^\s<>@]{1,253}>)")
_NAME_BEFORE = re.compile(
    r"""(?:^|(?<=[\s,;:"'(]))"?([^\W\d_][^\s<>"@,;:()]*(?:,?[ ][^\s<>"@,;:()]+){1,4})"?[ ]{0,2}\Z"""
)
_LONGEST_NAME = 120


def card_regions(text: str, _: Fields, said: Said) -> Iterator[Region]:
    """Every card of a person."""
    for card in _CARD.finditer(text):
        parts = [part for line in _LINE.finditer(text, *card.span()) for part in _of_line(text, line, said)]
        yield Region(*card.span(), parts, card.end() == len(text))


def _of_line(text: str, line: re.Match[str], said: Said) -> Iterator[Inner]:
    start = line.start(3)
    for entity in _PARTS.get(line.group(1).upper(), ()):
        end = text.find(";", start, line.end(3))
        end = line.end(3) if end == -1 else end
        if entity is not None and start < end:
            yield Inner(start, end, Key(entity, line.group(1).lower()), said[1])
        start = end + 1


def mailbox_parts(text: str, said: Said) -> Iterator[Inner]:
    """The name in front of each address in angle brackets."""
    for address in _ADDRESS.finditer(text):
        match = _NAME_BEFORE.search(text, max(0, address.start() - _LONGEST_NAME), address.start())
        if match is not None and looks_like_a_name(match.group(1)):
            yield Inner(*match.span(1), Key("PERSON", "mailbox", shaped=True), said[1])
