"""The domain of an e-mail address or of a URL: the function `domain(text)` of conditions.

Rules:
- one plain address (`ann@acme.example`) or one absolute URL; lower-case, as in DNS (xn--), without a trailing dot;
- whatever two programs could read differently has no domain: lists, display names, user names in URLs, backslashes,
  white space, escapes in a host. The function then fails, and a condition that fails counts as met.
"""

from __future__ import annotations

import ipaddress
import re

_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@([^@/?#\\\s:,;<>()\"\[\]%]{1,255})")
_URL = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*://(\[[0-9A-Fa-f:.]{2,45}\]|[^@/?#\\\s:,;<>()\"\[\]%]{1,255})(?::[0-9]{0,5})?(?:[/?#][^\s\\]*)?"
)
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*")
_DISPUTED = frozenset("ßς\u200c\u200d")
"""Characters that the two generations of IDNA turn into different domains."""
_NONE = "no domain"


def domain(text: str) -> str:
    """The domain of an address or a URL. Raises LookupError, without the text."""
    found = _ADDRESS.fullmatch(text) or _URL.fullmatch(text)
    if found is None:
        raise LookupError(_NONE)
    host = found[1]
    return _address(host[1:-1]) if host.startswith("[") else _ascii(host)


def _ascii(host: str) -> str:
    if _DISPUTED & set(host):
        raise LookupError(_NONE)
    try:
        plain = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise LookupError(_NONE) from None
    if _HOST.fullmatch(plain) is None:
        raise LookupError(_NONE)
    return plain


def _address(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise LookupError(_NONE) from None
