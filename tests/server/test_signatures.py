"""Signatures of webhooks, verified by the reference implementation."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from agentguard.errors import ConfigurationError
from agentguard.server.signatures import WebhookSecret, signed_headers

SECRET = WebhookSecret(b"s" * 32)


def test_the_published_example_gives_the_published_signature() -> None:
    """The vector of the Standard Webhooks reference."""
    secret = WebhookSecret.parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(body=st.text(st.characters(exclude_categories=["Cs"])), message_id=st.from_regex(r"\Amsg_[a-z0-9_]{1,40}\Z"))
def test_the_reference_verifies_every_body(body: str, message_id: str) -> None:
    """Whatever the bytes."""
    headers = signed_headers(message_id, int(time.time()), body.encode(), [SECRET])
    Webhook(SECRET.text).verify(body, headers, json_parse=False)


def test_t9_a_rotated_secret_verifies_with_the_old_and_the_new() -> None:
    """One header, a signature of each; a stranger's secret verifies none."""
    # given
    new, old, strange = WebhookSecret.new(), WebhookSecret.new(), WebhookSecret.new()

    # when
    headers = signed_headers("msg_1", int(time.time()), b"{}", [new, old])

    # then
    assert headers["webhook-signature"].count("v1,") == 2
    Webhook(new.text).verify(b"{}", headers)
    Webhook(old.text).verify(b"{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(strange.text).verify(b"{}", headers)


@pytest.mark.parametrize(
    "change",
    [{"webhook-id": "msg_2"}, {"webhook-timestamp": str(int(time.time()) - 60)}],
    ids=["another id", "another time"],
)
def test_t9_id_and_time_are_signed_too(change: dict[str, str]) -> None:
    """None of the headers can be changed."""
    headers = signed_headers("msg_1", int(time.time()), b"{}", [SECRET]) | change
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET.text).verify(b"{}", headers)


@pytest.mark.parametrize(
    "text",
    ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!!", "whsec_" + "QUFB" * 40],
    ids=["empty", "nothing", "short", "no prefix", "not base64", "long"],
)
def test_what_is_no_secret_does_not_load_and_is_not_shown(text: str) -> None:
    """The error holds no part of it."""
    with pytest.raises(ConfigurationError, match="whsec_") as refused:
        WebhookSecret.parse(text)
    assert text.removeprefix("whsec_")[:8] not in str(refused.value) or len(text) < 8


def test_a_secret_does_not_show_itself() -> None:
    """Neither its key nor its text is in what a log or a traceback prints."""
    assert "sss" not in repr(SECRET)
    assert WebhookSecret.parse(SECRET.text).key == SECRET.key
