"""Sealing values before they go to Redis: AES-256-GCM with a random nonce.

A sealed value is: version byte, 12 bytes of nonce, ciphertext and tag. The context (what the value is for) is bound to it as
associated data: a value moved elsewhere does not open. Keys come newest first, for rotation.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from agentguard.errors import GuardUnavailable

VERSION = b"\x01"
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16


class SealBroken(GuardUnavailable):
    """A sealed value that does not open: changed, of another context, or sealed with a key that is gone."""

    def __init__(self) -> None:
        super().__init__("vault", "a sealed value does not open; it was changed, moved, or its key is gone")


class Unsealed(NamedTuple):
    """What was sealed, and whether the newest key sealed it."""

    plain: bytes
    is_newest: bool


class Sealer:
    """Seals with the newest key, opens with any. `keys` are 32 bytes each."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise GuardUnavailable("keys", f"sealing needs a key, and each key has {KEY_BYTES} bytes")
        self._ciphers = tuple(AESGCM(key) for key in keys)

    def seal(self, plain: bytes, context: str) -> bytes:
        """`plain`, sealed for this context."""
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + self._ciphers[0].encrypt(nonce, plain, _bound(context))

    def open(self, sealed: bytes, context: str) -> bytes:
        """What was sealed for this context. Raises SealBroken."""
        return self.opened(sealed, context).plain

    def opened(self, sealed: bytes, context: str) -> Unsealed:
        """What was sealed for this context, and whether with the newest key. Raises SealBroken."""
        nonce, rest = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        if sealed[:1] != VERSION or len(rest) < TAG_BYTES:
            raise SealBroken
        for number, cipher in enumerate(self._ciphers):
            try:
                return Unsealed(cipher.decrypt(nonce, rest, _bound(context)), number == 0)
            except InvalidTag:
                continue
        raise SealBroken


def _bound(context: str) -> bytes:
    """A session's name comes from outside: even one that is no valid text has its own context."""
    return context.encode(errors="surrogatepass")
