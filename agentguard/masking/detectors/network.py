"""Addresses on a network: IP, MAC, and URLs that carry credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv6Address
from typing import ClassVar

from agentguard.masking.anchors import Anchor
from agentguard.masking.finding import Finding
from agentguard.masking.page import Page

_V4 = re.compile(r"[0-9](?<![0-9A-Za-z_.\-].)[0-9]{0,2}\.(?:[0-9]{1,3}\.){2}[0-9]{1,3}(?![0-9A-Za-z_]|\.[0-9])")
_OF_NO_HOST = ("127", "255")
_V4_FOR = re.compile(r"\b(?:ip|ips|ipv4|address|host|addr|client|server|remote|from|login|logged)\b")
_VERSION = re.compile(r"(?:\bv|version|release|build|upgrade[ds]? to|chapter|section)[ :=\"']*\Z")
# An anchor in the middle: text is searched for a colon, and what stands around it is read then.
_HEX_COLON = re.compile(r":[0-9A-Fa-f]{0,4}:")
_WIDE = re.compile(r"[0-9A-Fa-f:.]{2,45}")
_MAC = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}\Z")
_MAC_DASHED = re.compile(
    r"-[0-9A-Fa-f]{2}-(?<=[^0-9A-Za-z-][0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-)(?:[0-9A-Fa-f]{2}-){3}[0-9A-Fa-f]{2}(?![\w-])"
)
_PREFIX = re.compile(r"/[1-9][0-9]{0,2}(?![0-9A-Za-z])")
_HEX = frozenset("0123456789abcdefABCDEF:.")
_LOGIN = re.compile(r"://[^\s/@:\"'<>\x1f]{0,128}:[^\s/@\"'<>\x1f]{1,256}@[^\s\"'<>\x1f]{1,2000}")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{1,24}\Z")


class IpAddresses:
    """IP_ADDRESS, versions 4 and 6. Not: loopback, the unspecified, whole networks, and what stands after the word version."""

    name = "ip"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.DIGITS, Anchor.COLONS})

    def find(self, page: Page) -> list[Finding]:
        """IP addresses of both versions."""
        text = page.text
        found: list[Finding] = []
        for start, end, _ in page.digit_runs:
            if text.count(".", start, end) < 3:
                continue
            for match in _V4.finditer(text, start, end):
                score = _v4_score(page, match)
                if score:
                    found.append(Finding(match.start(), match.end(), "IP_ADDRESS", score, self.name))
        for start, end in _around_colons(text) if Anchor.COLONS in page.anchors else ():
            if _is_v6(text[start:end]) and not _is_network(page, start, end):
                found.append(Finding(start, end, "IP_ADDRESS", 0.9, self.name))
        return found


class MacAddresses:
    """MAC_ADDRESS: six pairs of hex digits between colons or dashes."""

    name = "mac"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.MAC, Anchor.COLONS})

    def find(self, page: Page) -> Iterator[Finding]:
        """MAC addresses."""
        text = page.text
        for start, end in _around_colons(text) if Anchor.COLONS in page.anchors else ():
            if _MAC.match(text[start:end]):
                yield Finding(start, end, "MAC_ADDRESS", 0.9, self.name)
        if Anchor.MAC in page.anchors:
            for match in _MAC_DASHED.finditer(text):
                yield Finding(match.start() - 2, match.end(), "MAC_ADDRESS", 0.8, self.name)


class UrlLogins:
    """URL: an address with a user and a password in it, whole. Other URLs are not personal."""

    name = "url_login"
    anchors: ClassVar[frozenset[int]] = frozenset({Anchor.LOGIN})

    def find(self, page: Page) -> Iterator[Finding]:
        """URLs with a login."""
        text = page.text
        if Anchor.AT not in page.anchors:
            return
        for match in _LOGIN.finditer(text):
            scheme = _SCHEME.search(text[max(0, match.start() - 25) : match.start()])
            if scheme:
                end = match.end() - len(match.group()) + len(match.group().rstrip(".,;:!?)]}"))
                yield Finding(match.start() - len(scheme.group()), end, "URL", 0.95, self.name)


def _v4_score(page: Page, match: re.Match[str]) -> float:
    octets = match.group().split(".")
    for octet in octets:
        if int(octet) > 255 or (octet[0] == "0" and len(octet) > 1):
            return 0.0
    if octets[0] in _OF_NO_HOST or match.group() == "0.0.0.0":  # noqa: S104 - compared with, not bound to
        return 0.0
    before = page.before(match.start())
    if _is_network(page, *match.span()):
        return 0.2
    if _VERSION.search(before) or "version" in page.key_at(match.start()).words:
        return 0.2
    short = sum(map(len, octets)) <= 5
    return 0.75 if not short or _V4_FOR.search(page.context(*match.span())) else 0.3


def _is_network(page: Page, start: int, end: int) -> bool:
    """Whether a span is the address of a network and not of a host: `203.0.113.0/24`."""
    return (
        page.text[end : end + 1] == "/"
        and page.text.endswith((".0", "::"), start, end)
        and _PREFIX.match(page.text, end) is not None
    )


def _around_colons(text: str) -> Iterator[tuple[int, int]]:
    """Stretches of hex digits, colons and dots that hold `:x:`, and end at no letter."""
    done = 0
    for match in _HEX_COLON.finditer(text):
        if match.start() < done:
            continue
        start, least = match.start(), max(done, match.start() - 45)
        while start > least and text[start - 1] in _HEX:
            start -= 1
        wide = _WIDE.match(text, start)
        if wide is None:
            continue
        done = wide.end()
        end = done
        while end > start and (text[end - 1] == "." or (text[end - 1] == ":" and text[end - 2 : end] != "::")):
            end -= 1
        if not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()) and end - start >= 3:
            yield start, end


def _is_v6(text: str) -> bool:
    if text.count(":") < 2 or (text.count("::") == 0 and text.count(":") < 6):
        return False
    try:
        address = IPv6Address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified) and len(text) > 4
