"""Hosts and addresses: the functions `host_in(url, hosts)` and `ip_in(ip, network)` of conditions.

Rules:
- a host is what `domain` reads; an entry of a list is a host, or `*.` and a host for every host below it, itself left out;
- an address has one spelling: decimal, octal and short forms of IPv4 and addresses inside other addresses are disputed;
- what is disputed or can't be read is an error, and a condition that fails counts as met.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from functools import lru_cache

from agentguard.policy.domains import domain

_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def host_in(url: str, hosts: Sequence[str]) -> bool:
    """Whether the host of a URL, or of an address, is one of these. Raises LookupError or ValueError, without the text."""
    host = _undisputed(domain(url))
    wanted = [_entry(each) for each in hosts]
    return any(host.endswith(f".{name}") if below else host == name for below, name in wanted)


def ip_in(ip: str, network: str) -> bool:
    """Whether an address lies in a network, such as 10.0.0.0/8. Raises ValueError, without the text."""
    among = _network(network)
    address = _address(ip)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if mapped is not None:
        return _within(mapped, among)
    inside = _within(address, among)
    if not inside and any(_within(other, among) for other in _embedded(address)):
        raise ValueError("disputed address")
    return inside


@lru_cache(maxsize=1024)
def _entry(text: str) -> tuple[bool, str]:
    """Whether an entry means the hosts below it, and its host."""
    below = text.startswith("*.")
    try:
        host = _undisputed(domain(f"https://{text.removeprefix('*.')}/"))
    except LookupError:
        host = ""
    if not host or set("/?#") & set(text):
        raise ValueError("not a host")
    return below, host


def _undisputed(host: str) -> str:
    """A host that is no address, or one as everybody writes it."""
    if _NUMBER.fullmatch(host.rpartition(".")[2]):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise LookupError("disputed host") from None
    return host


@lru_cache(maxsize=256)
def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise ValueError("not a network") from None


def _address(text: str) -> Address:
    plain = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return ipaddress.ip_address(plain.replace("%", " "))  # an address with a zone is one for this machine alone
    except ValueError:
        raise ValueError("not an address") from None


def _within(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network


def _embedded(address: Address) -> list[Address]:
    """IPv4 addresses that some networks would deliver to instead."""
    if not isinstance(address, ipaddress.IPv6Address):
        return []
    found: list[Address] = []
    if address in _NAT64 or address in _COMPATIBLE:
        found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found.extend(address.teredo)
    return found
