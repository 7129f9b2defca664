"""Hosts in lists, addresses in networks."""

from __future__ import annotations

import pytest

from agentguard.policy.hosts import host_in, ip_in

OWN = ["acme.example", "*.acme.example", "192.0.2.7"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://acme.example/x", True),
        ("https://ACME.example.", True),
        ("https://a.b.acme.example:8443/?q#f", True),
        ("ann@acme.example", True),
        ("http://192.0.2.7/", True),
        ("https://notacme.example/", False),
        ("https://acme.example.evil.example/", False),
        ("https://evil.example/acme.example", False),
        ("https://evil.example/?u=https://acme.example", False),
        ("https://evil.example#acme.example", False),
        ("https://acme.examp1e/", False),
        ("https://аcme.example/", False),  # a Cyrillic а
        ("http://[2001:db8::1]/", False),
    ],
)
def test_the_host_decides_and_nothing_else_of_a_url(url: str, expected: bool) -> None:
    """Case and a trailing dot don't count; a name that only looks alike does not."""
    assert host_in(url, OWN) is expected


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.example@evil.example/",
        "https://evil.example\\@acme.example/",
        "https://acme.example\t.evil.example/",
        "//acme.example/",
        "acme.example",
        "https:///acme.example",
        "https://%61cme.example/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "ann@acme.example, bob@evil.example",
        "",
    ],
)
def test_a_disputed_url_is_an_error(url: str) -> None:
    """Two programs could take it to two hosts."""
    with pytest.raises(LookupError):
        host_in(url, OWN)


@pytest.mark.parametrize("entry", ["", "*", "acme.*", "*.*.example", "https://acme.example", "acme.example/x", "127.1"])
def test_an_entry_that_is_no_host_is_an_error(entry: str) -> None:
    """And not an entry that never matches."""
    with pytest.raises((ValueError, LookupError)):
        host_in("https://acme.example/", ["acme.example", entry])


def test_a_wildcard_is_not_its_own_host() -> None:
    """It is what lies below."""
    assert not host_in("https://acme.example/", ["*.acme.example"])
    assert not host_in("https://acme.example/", [])


@pytest.mark.parametrize(
    ("ip", "network", "expected"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3", "10.1.2.3", True),
        ("::ffff:10.1.2.3", "10.0.0.0/8", True),
        ("::ffff:a01:203", "10.0.0.0/8", True),
        ("2001:db8::1", "2001:db8::/32", True),
        ("[2001:db8::1]", "2001:db8::/32", True),
        ("2001:db8::1", "10.0.0.0/8", False),
        ("169.254.169.254", "169.254.0.0/16", True),
        ("::1", "::1/128", True),
    ],
)
def test_an_address_lies_in_a_network(ip: str, network: str, expected: bool) -> None:
    """Also one of IPv4 that IPv6 carries."""
    assert ip_in(ip, network) is expected


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("localhost", "127.0.0.0/8"),
        ("127.1", "127.0.0.0/8"),
        ("2130706433", "127.0.0.0/8"),
        ("0x7f.0.0.1", "127.0.0.0/8"),
        ("0177.0.0.1", "127.0.0.0/8"),
        ("127.0.0.1 ", "127.0.0.0/8"),
        ("127.0.0.1/8", "127.0.0.0/8"),
        ("127.0.0.1:80", "127.0.0.0/8"),
        ("fe80::1%eth0", "fe80::/10"),
        ("１27.0.0.1", "127.0.0.0/8"),
        ("64:ff9b::a01:203", "10.0.0.0/8"),
        ("2002:a01:203::", "10.0.0.0/8"),
        ("::10.1.2.3", "10.0.0.0/8"),
        ("10.0.0.1", "10.0.0.1/8"),
        ("10.0.0.1", "10.0.0.0/33"),
        ("10.0.0.1", "ten"),
        ("", "10.0.0.0/8"),
    ],
)
def test_a_disputed_address_or_network_is_an_error(ip: str, network: str) -> None:
    """Names, short and octal forms, zones, and addresses that others would deliver elsewhere."""
    with pytest.raises(ValueError, match=r"address|network"):
        ip_in(ip, network)
