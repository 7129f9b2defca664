"""Erasing from the vaults of a tenant: what stands for a value, or all of a session.

Rules:
- each vault is opened and looked through, since only its key says what lies in it;
- what is erased from one session is erased under every token and stand-in that it has there;
- the vaults are cleared first, then every process is told (`erasures`), then limits forget the value;
- what can't be opened is counted, and left;
- with all of a session go the digests of its words; those of one value can't be read, and lapse with the session.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from agentguard.model.tokens import Token
from agentguard.session.ledger import Ledger
from agentguard.session.vault import ORIGINS, OWNER, VALUE, Vault
from agentguard.store.names import Names
from agentguard.store.redis import Connection, Part
from agentguard.store.seal import SealBroken

_AT_ONCE = 500

Identity = tuple[str, str]
Matches = Callable[[Token], bool]


class Opened(NamedTuple):
    """One vault, opened. `unreadable`: entries that no key here opens."""

    key: str
    session: str
    tokens: tuple[Token, ...]
    unreadable: int


class Found(NamedTuple):
    """What would be erased: for each vault its tokens, whole vaults by themselves; and what could not be looked at."""

    tokens: dict[str, tuple[Token, ...]]
    whole: bool
    unreadable: int

    @property
    def identities(self) -> set[Identity]:
        """The values."""
        return {token.identity for tokens in self.tokens.values() for token in tokens}

    @property
    def size(self) -> int:
        """How many tokens and stand-ins."""
        return sum(map(len, self.tokens.values()))


@dataclass(frozen=True, kw_only=True)
class Erasing:
    """Erases in one tenant. Each coroutine raises GuardUnavailable."""

    connection: Connection
    names: Names
    vault: Vault
    ledger: Ledger

    async def values(self, matches: Matches, *, session: str | None = None) -> Found:
        """The tokens of values that match, in one session or in all of the tenant."""
        opened = [each async for each in self._opened(session)]
        identities = {token.identity for each in opened for token in each.tokens if matches(token)}
        return _of(opened, identities)

    async def tokens(self, texts: Collection[str], *, session: str | None = None) -> Found:
        """The tokens of the values that these tokens stand for."""
        return await self.values(lambda token: token.text in texts, session=session)

    async def session(self, session: str) -> Found:
        """All of a session, whoever its users are."""
        opened = [each async for each in self._opened(session)]
        return Found({each.key: each.tokens for each in opened}, whole=True, unreadable=0)

    async def erase(self, found: Found, *, subjects: Collection[Identity]) -> int:
        """Erase it; `subjects` are the values that limits forget. Gives how many limits forgot something."""
        for key, tokens in found.tokens.items():
            fields = [mark + token.text for token in tokens for mark in (VALUE, ORIGINS)]
            parts = [fields[first : first + _AT_ONCE] for first in range(0, len(fields), _AT_ONCE)]
            all_of_it: list[Part] = ["DEL", key, *self._beside(key)]
            commands: list[list[Part]] = [all_of_it] if found.whole else [["HDEL", key, *part] for part in parts]
            await self.connection.pipeline(commands)
        await self.connection.execute("INCR", self.names.erasures)
        digests = [self.ledger.subject(identity) for identity in subjects]
        forgot = 0
        async for key in self.connection.keys(self.names.all_subjects):
            for first in range(0, len(digests), _AT_ONCE):
                forgot += bool(await self.connection.execute("ZREM", key, *digests[first : first + _AT_ONCE]))
        return forgot

    def _beside(self, vault: str) -> list[str]:
        """What else there is of the session whose vault this is: digests of its words, and counts."""
        session = vault.removeprefix(self.names.prefix + "vault:")
        return [f"{self.names.prefix}{kind}:{session}" for kind in ("said", "brought", "sources", "counts")]

    async def _opened(self, session: str | None) -> AsyncIterator[Opened]:
        async for key in self.connection.keys(self.names.vaults):
            fields = await self.connection.execute("HGETALL", key)
            stored = {
                (name.decode() if isinstance(name, bytes) else name): value for name, value in dict(fields).items()
            }
            opened = self._open(key, stored)
            if session is None or opened.session == session:
                yield opened

    def _open(self, key: str, stored: dict[str, bytes]) -> Opened:
        entries = {name[len(VALUE) :]: value for name, value in stored.items() if name.startswith(VALUE)}
        try:
            scope = self.vault.scope(self.names.tenant, stored.get(OWNER, b""))
        except SealBroken:
            return Opened(key, "", (), len(entries))
        tokens = []
        for text, value in entries.items():
            try:
                tokens.append(self.vault.read(self.names.tenant, scope, text, value, None).known.token)
            except SealBroken:
                continue
        return Opened(key, json.loads(scope)[0], tuple(tokens), len(entries) - len(tokens))


def _of(opened: Sequence[Opened], identities: set[Identity]) -> Found:
    tokens = {each.key: tuple(token for token in each.tokens if token.identity in identities) for each in opened}
    return Found(
        {key: found for key, found in tokens.items() if found},
        whole=False,
        unreadable=sum(each.unreadable for each in opened),
    )
