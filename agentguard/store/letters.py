"""Letters: values that one side seals for the other, which alone can open them.

X25519 with a key made for one letter, HKDF-SHA256, AES-256-GCM. The context (what the letter is for) is bound to it, and so are both
public keys. A letter says nothing of who wrote it: it lies in something that is signed.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agentguard.errors import ConfigurationError
from agentguard.store.base64_text import decoded
from agentguard.store.seal import KEY_BYTES, SealBroken, Sealer

PREFIX = "x25519:"


def write_letter(box: str, plain: bytes, context: str) -> str:
    """`plain`, sealed for whoever has the private half of `box`, as base64. Raises ConfigurationError for what is no box."""
    raw = decoded(box.removeprefix(PREFIX)) if box.startswith(PREFIX) else None
    if raw is None or len(raw) != KEY_BYTES:
        raise ConfigurationError("there is no box of the agent's side to write to; its version may be older")
    own = X25519PrivateKey.generate()
    public = own.public_key().public_bytes_raw()
    sealed = Sealer([_key(own.exchange(X25519PublicKey.from_public_bytes(raw)), public, raw)]).seal(plain, context)
    return base64.b64encode(public + sealed).decode()


@dataclass(frozen=True)
class LetterBox:
    """Opens letters; `keys` are 32 bytes each, newest first."""

    keys: Sequence[bytes] = field(repr=False)

    @property
    def public(self) -> str:
        """What others write letters to."""
        return PREFIX + base64.b64encode(self._private(self.keys[0]).public_key().public_bytes_raw()).decode()

    def open(self, letter: str, context: str) -> bytes:
        """What a letter says. Raises SealBroken."""
        raw = decoded(letter)
        if raw is None or len(raw) <= KEY_BYTES:
            raise SealBroken
        public, sealed = raw[:KEY_BYTES], raw[KEY_BYTES:]
        return Sealer([self._shared(key, public) for key in self.keys]).open(sealed, context)

    def _shared(self, key: bytes, public: bytes) -> bytes:
        private = self._private(key)
        try:
            secret = private.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError:  # a point of low order
            raise SealBroken from None
        return _key(secret, public, private.public_key().public_bytes_raw())

    @staticmethod
    def _private(key: bytes) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(key)


def _key(secret: bytes, writer: bytes, box: bytes) -> bytes:
    info = b"agentguard letter 1\n" + writer + box
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(secret)
