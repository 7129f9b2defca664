"""What each detector finds, and what looks alike and is not it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.masking.samples import MASKER, found

FOUND = {
    "email": ("write to ann@acme.example today", "EMAIL_ADDRESS", "ann@acme.example"),
    "email-plus": ("to: ann.k+news@mail.acme.example.", "EMAIL_ADDRESS", "ann.k+news@mail.acme.example"),
    "email-mailto": ('<a href="mailto:ann@acme.example">', "EMAIL_ADDRESS", "ann@acme.example"),
    "email-brackets": ("Ann <ann@acme.example>", "EMAIL_ADDRESS", "ann@acme.example"),
    "email-umlaut": ("an jörg@müller.example", "EMAIL_ADDRESS", "jörg@müller.example"),
    "email-query": ("https://acme.example/?mail=ann@acme.example&x=1", "EMAIL_ADDRESS", "ann@acme.example"),
    "phone-us": ("(202) 555-0147", "PHONE_NUMBER", "(202) 555-0147"),
    "phone-us-dashes": ("reach 202-555-0147 now", "PHONE_NUMBER", "202-555-0147"),
    "phone-us-dots": ("202.555.0147", "PHONE_NUMBER", "202.555.0147"),
    "phone-us-extension": ("202-555-0147 x12", "PHONE_NUMBER", "202-555-0147 x12"),
    "phone-us-plus": ("+1 (202) 555-0147", "PHONE_NUMBER", "+1 (202) 555-0147"),
    "phone-e164": ("+12025550147", "PHONE_NUMBER", "+12025550147"),
    "phone-uk": ("+44 7700 900123", "PHONE_NUMBER", "+44 7700 900123"),
    "phone-uk-national": ("07700 900 123", "PHONE_NUMBER", "07700 900 123"),
    "phone-de": ("+49 (0)30 901820", "PHONE_NUMBER", "+49 (0)30 901820"),
    "phone-fr": ("06 12 34 56 78", "PHONE_NUMBER", "06 12 34 56 78"),
    "phone-fr-dots": ("01.84.17.61.18", "PHONE_NUMBER", "01.84.17.61.18"),
    "phone-in": ("+91 98765 43210", "PHONE_NUMBER", "+91 98765 43210"),
    "phone-00": ("0044 7700 900123", "PHONE_NUMBER", "0044 7700 900123"),
    "phone-by-word": ("call me at 467 3395", "PHONE_NUMBER", "467 3395"),
    "phone-bare-by-word": ("phone: 2025550147", "PHONE_NUMBER", "2025550147"),
    "card": ("4111 1111 1111 1111", "CREDIT_CARD", "4111 1111 1111 1111"),
    "card-dashes": ("5555-5555-5555-4444", "CREDIT_CARD", "5555-5555-5555-4444"),
    "card-plain": ("paid with 4111111111111111", "CREDIT_CARD", "4111111111111111"),
    "card-amex": ("3782 822463 10005", "CREDIT_CARD", "3782 822463 10005"),
    "card-rare-by-word": ("my card 6304000000000000", "CREDIT_CARD", "6304000000000000"),
    "card-bad-sum-by-word": ("credit card 4111 1111 1111 1112", "CREDIT_CARD", "4111 1111 1111 1112"),
    "iban": ("pay to DE89370400440532013000 please", "IBAN_CODE", "DE89370400440532013000"),
    "iban-spaces": ("GB29 NWBK 6016 1331 9268 19", "IBAN_CODE", "GB29 NWBK 6016 1331 9268 19"),
    "iban-lower-case": ("gb29nwbk60161331926819", "IBAN_CODE", "gb29nwbk60161331926819"),
    "iban-bad-sum-by-word": ("my iban is DE88370400440532013000", "IBAN_CODE", "DE88370400440532013000"),
    "ssn": ("536-22-1234", "US_SSN", "536-22-1234"),
    "ssn-by-word": ("SSN 536 22 1234", "US_SSN", "536 22 1234"),
    "ssn-bare-by-word": ("social security number: 536221234", "US_SSN", "536221234"),
    "itin": ("912-70-1234", "US_ITIN", "912-70-1234"),
    "ipv4": ("from 203.0.113.9:8080", "IP_ADDRESS", "203.0.113.9"),
    "ipv6": ("peer 2001:db8::8a2e:370:7334 left", "IP_ADDRESS", "2001:db8::8a2e:370:7334"),
    "ipv6-full": ("2001:0db8:0000:0000:0000:8a2e:0370:7334", "IP_ADDRESS", "2001:0db8:0000:0000:0000:8a2e:0370:7334"),
    "mac": ("at 00:1b:44:11:3a:b7", "MAC_ADDRESS", "00:1b:44:11:3a:b7"),
    "mac-dashes": ("at 00-1B-44-11-3A-B7", "MAC_ADDRESS", "00-1B-44-11-3A-B7"),
    "url-login": ("postgres://app:s3cret@db.example:5432/main", "URL", "postgres://app:s3cret@db.example:5432/main"),
    "bitcoin": ("1BoatSLRHtKNngkdXEeobR76b53LETtpyT", "CRYPTO", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"),
    "bech32": (
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "CRYPTO",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    ),
    "ethereum": (
        "0x" + "52908400098527886E0F7030069857D2E4169EE7",
        "CRYPTO",
        "0x52908400098527886E0F7030069857D2E4169EE7",
    ),
    "aws": ("AKIA" + "Z" * 16, "API_KEY", "AKIA" + "Z" * 16),
    "github": ("ghp_" + "a1" * 18, "API_KEY", "ghp_" + "a1" * 18),
    "openai": ("sk-" + "proj-" + "a1" * 18, "API_KEY", "sk-proj-" + "a1" * 18),
    "stripe": ("sk_" + "live_" + "a1" * 12, "API_KEY", "sk_live_" + "a1" * 12),
    "jwt": (
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiJhbm4ifQ." + "c2lnbmF0dXJl",
        "JWT",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl",
    ),
}

NOT_FOUND = {
    "package": "npm i @types/node@18.2.1",
    "git-remote": "git@github.com:acme/thing.git",
    "retina-image": "logo@2x.png",
    "handle": "thanks @ann for this",
    "epoch-seconds": "ts 1699999999",
    "epoch-milliseconds": '{"created": 1699999999123}',
    "epoch-fraction": "1699999999.123456",
    "order": "Order 1234567890 has shipped",
    "order-dashes": "order id 202-555-0147",
    "date-time": "2024-05-01 10:20:30",
    "date-dots": "01.02.2024 - 03.04.2024",
    "years": "1990-2005",
    "amount": "$1,234,567.89 and 1 234 567 EUR",
    "isbn": "ISBN 978-3-16-148410-0",
    "uuid": "550e8400-e29b-41d4-a716-446655440000",
    "sha": "9c1185a5c5e9fc54612808977ee8f548b2258d31",
    "sixteen-digits": "1234567812345678",
    "card-bad-sum": "4111 1111 1111 1112",
    "tracking": "tracking 4111111111111111",
    "float": "0.4111111111111111",
    "iban-bad-sum": "DE88370400440532013000",
    "nine-digits": "536221234",
    "part-number": "part 536-22-12345",
    "ssn-zeros": "000-22-1234",
    "loopback": "127.0.0.1 and ::1 and 0.0.0.0",
    "version": "version 10.20.30.40",
    "short-version": "1.2.3.4",
    "network": "10.20.30.0/24 and 2001:db8:1::/48",
    "octet": "300.1.2.3",
    "clock": "12:30:45",
    "ratio": "a::b",
    "url": "https://acme.example:8443/path?x=1",
    "base58-bad-sum": "1BoatSLRHtKNngkdXEeobR76b53LETtpyU",
    "sk-word": "sk-learn and task-force",
    "begin": "-----BEGIN CERTIFICATE-----",
}


@pytest.mark.parametrize(("text", "entity_type", "value"), FOUND.values(), ids=FOUND.keys())
def test_finds_its_data(text: str, entity_type: str, value: str) -> None:
    """A detector finds exactly the span, under Presidio's name."""
    assert (entity_type, value) in found(text)


@pytest.mark.parametrize("text", NOT_FOUND.values(), ids=NOT_FOUND.keys())
def test_leaves_alone_what_only_looks_alike(text: str) -> None:
    """Numbers and words of other kinds raise no alarm."""
    assert found(text) == []


def test_private_key_is_found_whole() -> None:
    """A block of PEM is one finding, from its first mark to its last."""
    key = "-----BEGIN PRIVATE KEY-----\n" + "MIIabc+/\n" * 5 + "-----END PRIVATE KEY-----"
    assert found(f"key:\n{key}\nend") == [("PRIVATE_KEY", key)]


def test_private_key_that_is_cut_off_is_found_to_the_end() -> None:
    """Without its end mark the rest of the text counts as key."""
    text = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIabc+/\n" * 5
    [(entity_type, value)] = found(text)
    assert entity_type == "PRIVATE_KEY"
    assert value == text.rstrip()


def test_findings_carry_offsets_score_and_detector() -> None:
    """Offsets count characters, also behind characters of several bytes."""
    text = "Grüße 😀 ann@acme.example"
    [finding] = MASKER.find(text)
    assert text[finding.start : finding.end] == "ann@acme.example"
    assert 0.5 <= finding.score <= 1
    assert finding.detector == "email"


def test_findings_do_not_overlap_and_are_in_order() -> None:
    """Where patterns meet, one finding stays."""
    text = "GB29NWBK60161331926819 4111111111111111 postgres://ann:pw@acme.example/x 202-555-0147 ann@acme.example"
    findings = MASKER.find(text)
    assert [finding.entity_type for finding in findings] == [
        "IBAN_CODE",
        "CREDIT_CARD",
        "URL",
        "PHONE_NUMBER",
        "EMAIL_ADDRESS",
    ]
    assert all(a.end <= b.start for a, b in pairwise(findings))
