"""E-mail addresses."""

from __future__ import annotations

import re
from typing import ClassVar

from agentguard.masking.anchors import Anchor
from agentguard.masking.finding import Finding
from agentguard.masking.page import Page

# RFC 5322 allows also "=/?&|{`'", but there an address in a query, a path or a quote begins.
_LOCAL_PART = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.!#$%*+^_}~-"
_NOT_FIRST = ".-!#$%^}~+*"
_LOCAL_LENGTH = 64
_DOMAIN = re.compile(r"(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}([^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?![^\W_])")
_FILES = frozenset(
    {"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "html", "json", "js", "ts", "mp4", "pdf", "xml", "yaml", "yml"}
)


class Emails:
    """EMAIL_ADDRESS: a local part of RFC 5322 without quotes, and a domain with a top level made of letters."""

    name = "email"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.AT})

    def find(self, page: Page) -> list[Finding]:
        """Addresses around each @."""
        text = page.text
        found: list[Finding] = []
        at = text.find("@")
        while at != -1:
            start = _local_start(text, at)
            domain = _DOMAIN.match(text, at + 1) if start < at else None
            if domain and not _is_not_mail(text, start, at, domain):
                found.append(Finding(start, domain.end(), "EMAIL_ADDRESS", 0.95, self.name))
            at = text.find("@", at + 1)
        return found


def _local_start(text: str, at: int) -> int:
    """Where the local part before an @ begins: read from right to left, then without the marks that can't come first."""
    least = at - _LOCAL_LENGTH if at > _LOCAL_LENGTH else 0
    start = least + len(text[least:at].rstrip(_LOCAL_PART))
    while start > least and (c := text[start - 1]) > "\x7f" and c.isalnum():
        start = least + len(text[least : start - 1].rstrip(_LOCAL_PART))
    return start if text[start] not in _NOT_FIRST else at - len(text[start:at].lstrip(_NOT_FIRST))


def _is_not_mail(text: str, start: int, at: int, domain: re.Match[str]) -> bool:
    if text[at - 1] == "." or text[start:at] == "git":
        return True
    return domain.group(1).lower() in _FILES
