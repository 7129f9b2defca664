"""How a token lies in Redis: a keyed digest of its value, then the value sealed for this token of this session alone.

Rules:
- what is sealed for one tenant, session or token opens for no other;
- the digest tells two values apart without opening either, and is of no use without the key.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass

from agentguard.model.calls import Principal
from agentguard.model.canonical import canonical_json
from agentguard.model.tokens import Known, Token
from agentguard.store.seal import Sealer

MAC_BYTES = 16
VALUE, ORIGINS = "v:", "o:"
"""What stands before a token's text in the names of the vault's fields."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Vault:
    """Writes and reads a token's entry. `keys` are for the digests, newest first."""

    sealer: Sealer
    keys: Sequence[bytes]

    def entry(self, principal: Principal, token: Token) -> tuple[str, bytes, bytes]:
        """A token as the script takes it: text, digests under each key, sealed value."""
        plain = canonical_json(token[1:]).encode()
        context = _context(principal, token.text)
        named = f"{context}\n{canonical_json(token.identity)}".encode()
        macs = b"".join(hmac.digest(key, named, "sha256")[:MAC_BYTES] for key in self.keys)
        return token.text, macs, self.sealer.seal(plain, context)

    def known(self, principal: Principal, text: str, stored: bytes, origins: bytes | None) -> Known:
        """A token from its entry. Raises SealBroken where the entry is not this token's."""
        said = json.loads(self.sealer.open(stored[MAC_BYTES:], _context(principal, text)))
        return Known(Token(text, *said), split_origins(origins))


def split_origins(lines: bytes | None) -> tuple[str, ...]:
    """Origins as the script writes them, sorted."""
    return tuple(sorted(lines.decode().split("\n"))) if lines else ()


def _context(principal: Principal, text: str) -> str:
    return canonical_json(["vault", principal.tenant, principal.scope, text])
