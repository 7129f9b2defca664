"""Signatures of outgoing webhooks, after the Standard Webhooks specification.

Rules:
- a secret is `whsec_` and the base64 of 24 to 64 random bytes; anything else does not load;
- signed is `{id}.{timestamp}.{body}`, HMAC-SHA256, the body being the very bytes that are sent;
- with several secrets (rotation) the header carries one signature of each, newest first.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from agentguard.errors import ConfigurationError

PREFIX = "whsec_"
BYTES_MIN, BYTES_MAX = 24, 64


@dataclass(frozen=True, slots=True, repr=False)
class WebhookSecret:
    """A secret that the receiver knows too."""

    key: bytes

    @classmethod
    def new(cls) -> WebhookSecret:
        """A fresh secret."""
        return cls(secrets.token_bytes(32))

    @classmethod
    def parse(cls, text: str) -> WebhookSecret:
        """The secret in a text. Raises ConfigurationError, whose message does not hold it."""
        key = _decoded(text.removeprefix(PREFIX)) if text.startswith(PREFIX) else None
        if key is None or not BYTES_MIN <= len(key) <= BYTES_MAX:
            raise ConfigurationError(
                f"a webhook secret is {PREFIX} and the base64 of {BYTES_MIN} to {BYTES_MAX} random bytes; "
                "`openssl rand -base64 32` makes them"
            )
        return cls(key)

    @property
    def text(self) -> str:
        """The secret as it is configured."""
        return PREFIX + base64.b64encode(self.key).decode()

    def sign(self, message_id: str, timestamp: int, body: bytes) -> str:
        """One entry of the signature header."""
        signed = f"{message_id}.{timestamp}.".encode() + body
        return "v1," + base64.b64encode(hmac.digest(self.key, signed, hashlib.sha256)).decode()


def signed_headers(message_id: str, timestamp: int, body: bytes, by: Sequence[WebhookSecret]) -> dict[str, str]:
    """The three headers of one attempt to send `body`; `timestamp` is in seconds since 1970 UTC."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(secret.sign(message_id, timestamp, body) for secret in by),
    }


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
