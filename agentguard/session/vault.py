"""How a token lies in Redis: a keyed digest of its value, then the value sealed for this token of this session alone.

Rules:
- what is sealed for one tenant, session or token opens for no other;
- the digest tells two values apart without opening either, and is of no use without the key;
- whose session a vault is lies in it too, sealed: else nobody could find a person's values in all of them;
- what an older key sealed is sealed anew when it is read.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from agentguard.model.calls import Principal
from agentguard.model.canonical import canonical_json
from agentguard.model.tokens import Known, Token
from agentguard.store.seal import Sealer

MAC_BYTES = 16
VALUE, ORIGINS = "v:", "o:"
"""What stands before a token's text in the names of the vault's fields."""

OWNER = "s"
"""The field that says whose session it is."""


class Entry(NamedTuple):
    """A token as it lies in the vault, and as it should lie there where an older key sealed it."""

    known: Known
    anew: bytes | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Vault:
    """Writes and reads a token's entry. `keys` are for the digests, newest first."""

    sealer: Sealer
    keys: Sequence[bytes] = field(repr=False)

    def entry(self, principal: Principal, token: Token) -> tuple[str, bytes, bytes]:
        """A token as the script takes it: text, digests under each key, sealed value."""
        return self._entry(principal.tenant, principal.scope, token)

    def read(self, tenant: str, scope: str, text: str, stored: bytes, origins: bytes | None) -> Entry:
        """A token from its entry. Raises SealBroken where the entry is not this token's."""
        opened = self.sealer.opened(stored[MAC_BYTES:], _context(tenant, scope, text))
        token = Token(text, *json.loads(opened.plain))
        known = Known(token, *split_origins(origins))
        if opened.is_newest:
            return Entry(known, None)
        _, macs, sealed = self._entry(tenant, scope, token)
        return Entry(known, macs[:MAC_BYTES] + sealed)

    def owner(self, tenant: str, scope: str) -> bytes:
        """What says whose session a vault is."""
        return self.sealer.seal(scope.encode(errors="surrogatepass"), _owner_context(tenant))

    def scope(self, tenant: str, owner: bytes) -> str:
        """Whose session a vault is. Raises SealBroken."""
        return self.sealer.open(owner, _owner_context(tenant)).decode(errors="surrogatepass")

    def _entry(self, tenant: str, scope: str, token: Token) -> tuple[str, bytes, bytes]:
        plain = canonical_json(token[1:]).encode()
        context = _context(tenant, scope, token.text)
        named = f"{context}\n{canonical_json(token.identity)}".encode()
        macs = b"".join(hmac.digest(key, named, "sha256")[:MAC_BYTES] for key in self.keys)
        return token.text, macs, self.sealer.seal(plain, context)


def origin_line(tool: str, labels: Iterable[str]) -> str:
    """A result that tokens came from, as the script keeps it: the tool, and the labels of the result."""
    return "\t".join([tool, *sorted(labels)]) if tool else ""


def split_origins(lines: bytes | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tools and the labels in lines as the script keeps them, both sorted."""
    written = [line.split("\t") for line in lines.decode().split("\n")] if lines else []
    tools, labels = {tool for tool, *_ in written}, {label for _, *labels in written for label in labels}
    return tuple(sorted(tools)), tuple(sorted(labels))


def _context(tenant: str, scope: str, text: str) -> str:
    return canonical_json(["vault", tenant, scope, text])


def _owner_context(tenant: str) -> str:
    return canonical_json(["vault owner", tenant])
