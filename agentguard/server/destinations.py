"""Where a webhook may go: a URL that names no place inside, judged by the addresses that it leads to.

Rules:
- https, a host, a port of 1 to 65535; no user or password in it; a number that is not a plain IP address is no host;
- the addresses that the host has at the moment of sending are what is judged, and every one of them must pass;
- an address passes if it is global unicast: loopback, private, shared, link-local, multicast, reserved ranges and tunnels into
  them do not, in whatever form they are written;
- a host that the settings allow by name may use http, and may have loopback and private addresses: nothing else;
- the metadata services of clouds never pass.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import httpx

from agentguard.errors import ConfigurationError

_NUMBERS = re.compile(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*", re.IGNORECASE)
_METADATA = frozenset(
    map(
        ip_address,
        ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"),
    )
)
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_TUNNELS = (IPv6Network("2002::/16"), IPv6Network("2001::/32"))
_PROTOCOL = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
"""Addresses of protocols and relays, which Python's tables call global in some versions."""
_NAT64 = IPv6Network("64:ff9b::/96")
_ALLOWABLE: tuple[IPv4Network | IPv6Network, ...] = (
    *map(IPv4Network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")),
    *map(IPv6Network, ("::1/128", "fc00::/7")),
)


class DestinationRefused(Exception):
    """A URL, or an address that it leads to, where no webhook goes. The message names host and reason, never the path."""


def check_url(text: str, allowed_hosts: Collection[str]) -> httpx.URL:
    """The URL in a text. Raises ConfigurationError where no webhook could ever go to it."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise ConfigurationError("a webhook's URL is not one; write https://host/path") from None
    host = host_of(url)
    problem = _problem(url, host, host in allowed_hosts)
    if problem:
        raise ConfigurationError(f"the webhook to {host or 'nowhere'!r}: {problem}")
    return url


def host_of(url: httpx.URL) -> str:
    """The host in the one form in which two spellings of it are equal."""
    return url.raw_host.decode("ascii").lower().rstrip(".")


def check_address(address: str, host: str, allowed_hosts: Collection[str]) -> None:
    """Return if a webhook to `host` may go to this address. Raises DestinationRefused."""
    try:
        found = _meant(ip_address(address))
    except ValueError:
        raise DestinationRefused(f"{host} has an address that is none") from None
    if found in _METADATA or not (_is_global(found) or (host in allowed_hosts and _allowable(found))):
        told = "allow the host by name if it is meant" if _allowable(found) else "no webhook goes there"
        raise DestinationRefused(f"{host} leads to {found}, which is not a public address; {told}")


def _problem(url: httpx.URL, host: str, allowed: bool) -> str:
    if url.userinfo:
        return "a user or password has no place in the URL"
    if url.scheme not in ("https", "http"):
        return "only https is spoken"
    if url.scheme == "http" and not allowed:
        return "write https://, or allow the host by name in AGENTGUARD_SERVER_WEBHOOK_ALLOW_HOSTS"
    if not host or "%" in host:
        return "a host is missing in the URL"
    if _NUMBERS.fullmatch(host) and not _is_address(host):
        return "the host is a number in disguise; write the name"
    if url.port is not None and not 0 < url.port < 65536:
        return "the port is none"
    return ""


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address inside an IPv6 one that only wraps it."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv6Address):
        return address in _GLOBAL_UNICAST and not any(address in tunnel for tunnel in _TUNNELS)
    return not any(address in network for network in _PROTOCOL)


def _allowable(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in _ALLOWABLE)
