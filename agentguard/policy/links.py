"""Links in a text: the function `links(text)` of conditions.

Rules:
- whatever a mail or chat program would make a link of: with a scheme, with `www.`, or a host with a path behind it;
- each as it is written, without the punctuation around it; in the order of the text, each once.
"""

from __future__ import annotations

import re
import unicodedata

TEXT_MAX = 200_000
_STOP = r"\s<>\"'`|\\^{}\[\]\u201c\u201d\u00ab\u00bb"
_LINK = re.compile(
    rf"(?i)\b(?:[a-z][a-z0-9+.-]{{1,20}}:/{{1,3}}[^{_STOP}]+|www\.[^{_STOP}]+|(?:[\w-]{{1,63}}\.){{1,8}}[a-z]{{2,24}}(?::\d{{1,5}})?/[^{_STOP}]*)"
)
_AFTER = ".,;:!?)*_~"


def links(text: str) -> list[str]:
    """The links in a text. Raises ValueError for one that is too long to look at."""
    if len(text) > TEXT_MAX:
        raise ValueError("too long")
    return list(dict.fromkeys(found[0].rstrip(_AFTER) for found in _LINK.finditer(unicodedata.normalize("NFKC", text))))
