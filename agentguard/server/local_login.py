"""A login for development: a link that `serve` prints, for one person, on this machine alone.

Rules:
- it exists only where the server listens on loopback and people reach it there: anything else is an error before anything listens;
- it opens for a caller on loopback, at a loopback name, and for nobody else, whatever they know;
- its secret stands behind the `#`, so that no log and no history of a proxy has it; opening the link logs nobody in, a button does.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request

from agentguard.errors import ConfigurationError


@dataclass(frozen=True, kw_only=True)
class LocalLogin:
    """One person's way in, as long as this process lives."""

    person: str
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)

    def link(self, address: str) -> str:
        """What is printed."""
        return f"{address.rstrip('/')}/login/local#{self.secret}"

    def opens(self, request: Request, shown: str) -> bool:
        """Whether this caller, who shows this secret, is let in."""
        return self.is_here(request) and hmac.compare_digest(shown.encode(), self.secret.encode())

    def is_here(self, request: Request) -> bool:
        """Whether the caller is on this machine, and asks for it by a name of loopback."""
        caller = request.client.host if request.client is not None else ""
        return is_loopback(caller) and is_loopback(request.url.hostname or "") and not _was_forwarded(request)


def local_login(person: str, host: str, public_url: str) -> LocalLogin:
    """The way in for a person. Raises ConfigurationError off loopback."""
    if not is_loopback(host) or not is_loopback(urlsplit(public_url).hostname or ""):
        raise ConfigurationError(
            "--local-login is for this machine alone: listen on loopback, without AGENTGUARD_SERVER_PUBLIC_URL, or set up a login "
            "provider (AGENTGUARD_SERVER_OIDC_ISSUER)"
        )
    return LocalLogin(person=person)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _was_forwarded(request: Request) -> bool:
    """A proxy on this machine makes everybody a caller on loopback."""
    return any(name in request.headers for name in ("forwarded", "x-forwarded-for", "x-forwarded-host", "via"))
