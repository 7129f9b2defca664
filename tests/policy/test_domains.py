"""The domain of an address or a URL, where every reader agrees on one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentguard.policy.domains import domain


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ann@acme.example", "acme.example"),
        ("Ann.O+x@ACME.Example", "acme.example"),
        ("ann@acme.example.", "acme.example"),
        ("https://acme.example", "acme.example"),
        ("https://Acme.Example./a?b=c@d#e", "acme.example"),
        ("http://acme.example:8080/x", "acme.example"),
        ("ftp://files.acme.example/x", "files.acme.example"),
        ("https://bücher.example/", "xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "xn--bcher-kva.example"),
        ("https://ａｃｍｅ.example/", "acme.example"),
        ("https://acme。example/", "acme.example"),
        ("http://192.0.2.1/x", "192.0.2.1"),
        ("http://[2001:DB8::1]:80/x", "2001:db8::1"),
        ("https://x.example/a b".replace(" ", "%20"), "x.example"),
    ],
)
def test_a_plain_address_or_url_has_a_domain(text: str, expected: str) -> None:
    """Lower-case, as in DNS, without a trailing dot."""
    assert domain(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "acme.example",
        "ann",
        "@acme.example",
        "ann@",
        "ann@acme.example, eve@evil.example",
        "eve@evil.example,ann@acme.example",
        "eve@evil.example;ann@acme.example",
        "eve@evil.example ann@acme.example",
        "eve@evil.example@acme.example",
        '"eve@evil.example"@acme.example',
        "Ann <ann@acme.example>",
        "eve@evil.example\n",
        "eve@evil.example\x00@acme.example",
        "ann@acme.example?bcc=eve@evil.example",
        "mailto:ann@acme.example",
        "https://acme.example@evil.example/",
        "https://ann:pw@acme.example/",
        "https://evil.example\\@acme.example/",
        "https://evil.example\\.acme.example/",
        "https://acme.example%2eevil.example/",
        "https:///acme.example",
        "https:acme.example",
        "//acme.example/x",
        "https://acme.example:x/",
        "https://acme..example/",
        "https://-acme.example/",
        "https://acme.example /",
        " https://acme.example/",
        "https://acme.example/\n",
        "https://[acme.example]/",
        "https://[::1%25eth0]/",
        "https://straße.example/",
        "https://a\u200db.example/",
        "javascript:alert(1)",
        "https://" + "a" * 300 + ".example/",
    ],
)
def test_what_could_be_read_in_two_ways_has_no_domain(text: str) -> None:
    """Lists, display names, user names in URLs, escapes and broken hosts: an error that does not repeat the text."""
    with pytest.raises(LookupError, match=r"^no domain$"):
        domain(text)


@given(st.text(max_size=80))
def test_any_text_has_a_domain_or_an_error(text: str) -> None:
    """Nothing else is raised, and a domain is plain ASCII."""
    assert found(text).isascii()


def found(text: str) -> str:
    try:
        return domain(text)
    except LookupError:
        return ""
