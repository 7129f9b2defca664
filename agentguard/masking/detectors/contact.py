"""E-mail addresses."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentguard.masking.finding import Finding
from agentguard.masking.page import Page

_LOCAL_PART = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%&'*+/=?^_`{|}~-")
_LOCAL_LENGTH = 64
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?![^\W_])")
_FILES = frozenset(
    {"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "html", "json", "js", "ts", "mp4", "pdf", "xml", "yaml", "yml"}
)


class Emails:
    """EMAIL_ADDRESS: a local part of RFC 5322 without quotes, and a domain with a top level made of letters."""

    name = "email"

    def find(self, page: Page) -> Iterator[Finding]:
        """Addresses around each @."""
        text = page.text
        at = text.find("@")
        while at != -1:
            start = _local_start(text, at)
            domain = _DOMAIN.match(text, at + 1) if start < at else None
            if domain and not _is_not_mail(text, start, at, domain):
                yield Finding(start, domain.end(), "EMAIL_ADDRESS", 0.95, self.name)
            at = text.find("@", at + 1)


def _local_start(text: str, at: int) -> int:
    start, least = at, max(0, at - _LOCAL_LENGTH)
    while start > least and ((c := text[start - 1]) in _LOCAL_PART or (c > "\x7f" and c.isalnum())):
        start -= 1
    part = text[start:at]
    cut = max(part.rfind(mark) for mark in ("=", "/", "?", "&", "|", "{", "`", "'")) + 1
    start += cut
    while start < at and text[start] in ".-!#$%^}~+*":
        start += 1
    return start


def _is_not_mail(text: str, start: int, at: int, domain: re.Match[str]) -> bool:
    local = text[start:at]
    if local == "git" or domain.group().rpartition(".")[2].lower() in _FILES:
        return True
    return text[at - 1] == "."
