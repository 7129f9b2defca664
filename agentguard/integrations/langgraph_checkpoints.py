"""Checkpoints of LangGraph that hold nothing readable: `InMemorySaver(serde=sealed_serializer(guard))`, and so for every other saver.

The middleware keeps tokens in the state, but what a caller gives `invoke` is in the first checkpoint before any middleware sees it, and so
is whatever else a graph keeps. Sealed (AES-256-GCM, with the guard's own keys), none of it can be read or changed where it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass

from agentguard.errors import GuardUnavailable
from agentguard.guard.pipeline import Guard
from agentguard.integrations.extras import needed_from

with needed_from("langchain"):
    from langgraph.checkpoint.serde.base import CipherProtocol, SerializerProtocol
    from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
    from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

_NAME = "agentguard"


def sealed_serializer(guard: Guard) -> SerializerProtocol:
    """What a saver takes as `serde`. A checkpoint that was changed, or not sealed, is not read: GuardUnavailable."""
    return SealedSerializer(_Cipher(guard), JsonPlusSerializer())


class SealedSerializer(EncryptedSerializer):
    """LangGraph's own, but for what is not sealed: that is refused, not read."""

    def loads_typed(self, data: tuple[str, bytes]) -> object:
        """See SerializerProtocol.loads_typed."""
        if not data[0].endswith(f"+{_NAME}"):
            raise GuardUnavailable("keys", "a checkpoint is not sealed; start a new thread")
        return super().loads_typed(data)


@dataclass(frozen=True)
class _Cipher(CipherProtocol):
    guard: Guard

    def encrypt(self, plaintext: bytes) -> tuple[str, bytes]:
        return _NAME, self.guard.seal(plaintext)

    def decrypt(self, ciphername: str, ciphertext: bytes) -> bytes:
        return self.guard.unseal(ciphertext)
