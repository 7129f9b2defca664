"""Where webhooks may go (T30)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.errors import ConfigurationError
from agentguard.server.destinations import DestinationRefused, check_address, check_url, host_of

INSIDE = [
    "127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "0.0.0.0",
    "169.254.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1",
    "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1", "100::1",
]  # fmt: skip
METADATA = [
    "169.254.169.254",
    "169.254.170.2",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
]
NEVER = [*METADATA, "169.254.0.1", "224.0.0.1", "0.0.0.0", "::", "fe80::1", "ff02::1", "240.0.0.1", "2002:7f00:1::"]
ALLOWABLE = ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "::1", "fd12:3456::1", "::ffff:127.0.0.1"]
PUBLIC = ["8.8.8.8", "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", INSIDE)
def test_t30_an_address_inside_is_refused(address: str) -> None:
    """In whatever form it is written; the refusal names the host."""
    with pytest.raises(DestinationRefused, match="hooks"):
        check_address(address, "hooks.acme.example", frozenset())


@pytest.mark.parametrize("address", NEVER)
def test_t30_metadata_and_link_local_are_refused_even_where_the_host_is_allowed(address: str) -> None:
    """A name that was allowed may be turned there later."""
    with pytest.raises(DestinationRefused):
        check_address(address, "hooks.acme.example", {"hooks.acme.example"})


@pytest.mark.parametrize("address", ALLOWABLE)
def test_an_allowed_host_may_be_inside(address: str) -> None:
    """Only the host that is named."""
    check_address(address, "hooks.acme.example", {"hooks.acme.example"})
    with pytest.raises(DestinationRefused, match="allow the host by name"):
        check_address(address, "hooks.acme.example", {"other.acme.example"})


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_passes(address: str) -> None:
    """Without being allowed by name."""
    check_address(address, "hooks.acme.example", frozenset())


@pytest.mark.parametrize("address", ["", "localhost", "127.1", "fe80::1%eth0", "1.2.3.4.5"])
def test_what_is_no_address_is_refused(address: str) -> None:
    """A resolver that answers nonsense leads nowhere."""
    with pytest.raises(DestinationRefused):
        check_address(address, "hooks.acme.example", {"hooks.acme.example"})


@given(
    st.ip_addresses(network="127.0.0.0/8")
    | st.ip_addresses(network="10.0.0.0/8")
    | st.ip_addresses(network="169.254.0.0/16")
)
def test_t30_no_wrapping_brings_an_inner_address_through(address: object) -> None:
    """Mapped into IPv6, by NAT64 or by 6to4."""
    number = int(address)  # type: ignore[call-overload]
    wrapped = [
        f"::ffff:{address}",
        f"64:ff9b::{number >> 16:x}:{number & 0xFFFF:x}",
        f"2002:{number >> 16:x}:{number & 0xFFFF:x}::1",
    ]
    refused = [_refuses(text) for text in wrapped]
    assert refused == [True, True, True]


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.acme.example/x", "ftp://hooks.acme.example/x", "file:///etc/passwd", "hooks.acme.example", "", "https://",
        "https:///x", "//hooks.acme.example/x", "https://user:pw@hooks.acme.example/x", "https://a.example\\@127.0.0.1/x",
        "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://127.1/", "https://0177.0.0.1/", "https://0/",
        "https://１２７.0.0.1/", "https://[fe80::1%25eth0]/", "https://hooks.acme.example:0/", "https://hooks.acme.example:99999/",
        "https://hooks.acme.example\t/", "gopher://hooks.acme.example/",
    ],
)  # fmt: skip
def test_t30_a_url_that_is_not_a_plain_https_one_does_not_load(url: str) -> None:
    """User and password, numbers in disguise, zones and odd ports neither."""
    with pytest.raises(ConfigurationError):
        check_url(url, frozenset())


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.acme.example/x?y=1",
        "https://hooks.acme.example:8443/",
        "https://93.184.215.14/",
        "https://bücher.example/",
    ],
)
def test_a_plain_https_url_loads(url: str) -> None:
    """Ports and international names too."""
    assert check_url(url, frozenset()).scheme == "https"


def test_http_takes_a_host_that_is_allowed_by_name() -> None:
    """In any case, with or without the last dot."""
    assert host_of(check_url("http://HOOKS.acme.example./x", {"hooks.acme.example"})) == "hooks.acme.example"


def test_the_path_is_not_shown() -> None:
    """It is often the secret of the receiver."""
    with pytest.raises(ConfigurationError) as refused:
        check_url("http://hooks.acme.example/services/T0000-canary", frozenset())
    assert "canary" not in str(refused.value)


def _refuses(address: str) -> bool:
    try:
        check_address(address, "hooks.acme.example", frozenset())
    except DestinationRefused:
        return True
    return False
