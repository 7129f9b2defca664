"""A keyed hash for many short messages under one key."""

from __future__ import annotations

from hashlib import sha256

_BLOCK = 64
_INNER, _OUTER = bytes(byte ^ 0x36 for byte in range(256)), bytes(byte ^ 0x5C for byte in range(256))


class KeyedHash:
    """HMAC-SHA256 (RFC 2104) of `prefix` and a message.

    The key's two blocks and the prefix are hashed once, which for a short message is most of the work.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes, prefix: bytes = b"") -> None:
        block = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self._inner, self._outer = sha256(block.translate(_INNER) + prefix), sha256(block.translate(_OUTER))

    def digest(self, message: bytes) -> bytes:
        """The hash of a message: 32 bytes."""
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()
