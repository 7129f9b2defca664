"""What sessions have seen: the tokens that the model was given, and the labels that results brought.

Rules:
- a token of one session or tenant is nothing in another;
- labels only grow, and neither a label nor a token lapses while its session goes on;
- a token that stands for one value never comes to stand for another: two values under one token stop the call;
- what this process has stored or read it does not store or read again, unless something was erased since;
- what an older key sealed is sealed anew when it is read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from agentguard.errors import GuardUnavailable
from agentguard.model.calls import Principal
from agentguard.model.tokens import Known, Token
from agentguard.session.memory import SESSIONS_KEPT, TOKENS_KEPT, Memory
from agentguard.session.vault import ORIGINS, VALUE, Vault, origin_line, split_origins
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from agentguard.store.scripts import script_of
from agentguard.store.seal import Sealer

TTL_MS = 7 * 24 * 60 * 60 * 1000
"""How long what a session left is kept after it was last used."""

_AT_ONCE = 1_000
"""Tokens that are read in one command."""


_REMEMBER, _RESEAL = script_of("agentguard.session", "remember"), script_of("agentguard.session", "reseal")


class News(NamedTuple):
    """Tokens and labels to store. Both empty: the session's keys only need their time to live again."""

    tokens: tuple[Token, ...]
    labels: tuple[str, ...]


class Collided(GuardUnavailable):
    """Two values came to the same text. `texts`: those that stand for other values in the vault."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__("vault", "two values came to the same token, so neither is stored; call again")
        self.texts = tuple(texts)


class Seen(NamedTuple):
    """How far a process has read a session: what was erased in the tenant until then, the size of the vault, its tokens' texts."""

    erasures: int = 0
    size: int = 0
    texts: frozenset[str] = frozenset()


class Sessions:
    """The sessions of one tenant. `unseen` and `cached` are local and thread-safe; a coroutine makes one round trip."""

    def __init__(
        self,
        *,
        names: Names,
        sealer: Sealer,
        keys: Sequence[bytes],
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        ttl_ms: int = TTL_MS,
        sessions_kept: int = SESSIONS_KEPT,
        tokens_kept: int = TOKENS_KEPT,
    ) -> None:
        if not keys:
            raise GuardUnavailable("vault", "there is no key for the digests of values")
        self._names = names
        self._vault = Vault(sealer=sealer, keys=tuple(keys))
        self._now_ms = now_ms
        self._ttl_ms = ttl_ms
        self._erasures = 0
        self._memory = Memory(fresh_ms=ttl_ms // 2, sessions_kept=sessions_kept, tokens_kept=tokens_kept)

    def unseen(self, principal: Principal, tokens: Sequence[Token], labels: Sequence[str], origin: str) -> News | None:
        """What of this must be remembered, or None: nothing. Raises GuardUnavailable for two values under one token."""
        now_ms, labels = self._now_ms(), tuple(labels)
        unsure, new_labels, due = self._memory.look(principal, tokens, labels, origin, now_ms)
        new = _new_among(unsure, origin, labels) if unsure else ()
        if due:
            return News(new, tuple(dict.fromkeys((*self._memory.labels(principal, now_ms), *labels))))
        return News(new, new_labels) if new or new_labels else None

    async def remember(
        self, connection: Connection, principal: Principal, news: News, origin: str, labels: Iterable[str] = ()
    ) -> None:
        """Store what is new, in one move whatever its size. `origin` is the tool whose result it came from, `labels` that result's.

        Raises GuardUnavailable, for two values under one token as well.
        """
        _check_origin(origin)
        now_ms = self._now_ms()
        entries = [part for token in news.tokens for part in self._vault.entry(principal, token)]
        owner = self._vault.owner(principal.tenant, principal.scope)
        line = origin_line(origin, labels)
        arguments = [self._ttl_ms, owner, line, len(news.labels), *news.labels, *entries]
        origins = await connection.run(_REMEMBER, self._keys(principal), arguments)
        if len(origins) != len(news.tokens) or None in origins:
            raise Collided([token.text for token, its in zip(news.tokens, origins, strict=False) if its is None])
        stored = [Known(token, *split_origins(lines)) for token, lines in zip(news.tokens, origins, strict=True)]
        self._memory.learn(principal, stored, news.labels, now_ms)

    def cached(self, principal: Principal, texts: Iterable[str]) -> tuple[dict[str, Known], tuple[str, ...]]:
        """What is known here of these tokens, and the texts that must be fetched."""
        wanted = tuple(dict.fromkeys(texts))
        found = self._memory.tokens(principal, wanted, self._now_ms())
        return found, tuple(text for text in wanted if text not in found)

    async def fetch(self, connection: Connection, principal: Principal, texts: Iterable[str]) -> dict[str, Known]:
        """What these tokens stand for; a text that is no token of this session is absent. Raises GuardUnavailable."""
        wanted = tuple(dict.fromkeys(texts))
        if not wanted:
            return {}
        now_ms = self._now_ms()
        vault, _ = self._keys(principal)
        values, origins, *_ = await connection.pipeline(
            [
                ["HMGET", vault, *(VALUE + text for text in wanted)],
                ["HMGET", vault, *(ORIGINS + text for text in wanted)],
                *self._keep_alive(principal),
            ]
        )
        found: dict[str, Known] = {}
        anew: list[str | bytes] = []
        for text, value, lines in zip(wanted, values, origins, strict=True):
            if value is not None:
                entry = self._vault.read(principal.tenant, principal.scope, text, value, lines)
                found[text] = entry.known
                anew += [] if entry.anew is None else [text, value, entry.anew]
        self._memory.learn(principal, found.values(), (), now_ms)
        if anew:
            await connection.run(_RESEAL, [vault], anew)
        return found

    async def catch_up(
        self, connection: Connection, principal: Principal, before: Seen | None
    ) -> tuple[Seen, list[Known]]:
        """What other processes have put into the session since `before` (None: all of it). Raises GuardUnavailable.

        Where something was erased in the tenant, this process forgets all that it knew, and reads anew.
        """
        vault, _ = self._keys(principal)
        erased, size = await connection.pipeline([["GET", self._names.erasures], ["HLEN", vault]])
        erasures = int(erased or 0)
        if erasures != self._erasures:
            self._memory.forget()
            self._erasures = erasures
        if before is not None and (erasures, size) == before[:2]:
            return before, []
        since = before.texts if before is not None and erasures == before.erasures else frozenset()
        fields = await connection.execute("HKEYS", vault) if size else []
        texts = frozenset(field.decode()[len(VALUE) :] for field in fields if field.startswith(VALUE.encode()))
        found: list[Known] = []
        new = sorted(texts - since)
        for first in range(0, len(new), _AT_ONCE):
            found += (await self.fetch(connection, principal, new[first : first + _AT_ONCE])).values()
        return Seen(erasures, size, texts), found

    async def labels(self, connection: Connection, principal: Principal) -> tuple[str, ...]:
        """The session's labels, sorted: those in Redis, and those this process put there. Raises GuardUnavailable."""
        now_ms = self._now_ms()
        _, key = self._keys(principal)
        members, *_ = await connection.pipeline([["SMEMBERS", key], *self._keep_alive(principal)])
        stored = tuple(member.decode() for member in members)
        self._memory.learn(principal, (), stored, now_ms)
        return self.with_own(principal, stored)

    def with_own(self, principal: Principal, stored: Iterable[str]) -> tuple[str, ...]:
        """Labels that were read, and those that this process put there, sorted."""
        return tuple(sorted({*stored, *self._memory.labels(principal, self._now_ms())}))

    def _keys(self, principal: Principal) -> tuple[str, str]:
        if principal.tenant != self._names.tenant:
            raise GuardUnavailable("vault", "this is another tenant's guard")
        return self._names.vault(principal.scope), self._names.labels(principal.session)

    def _keep_alive(self, principal: Principal) -> list[list[str | bytes | int]]:
        return [["PEXPIRE", key, self._ttl_ms] for key in self._keys(principal)]


def _new_among(tokens: Iterable[tuple[Token, Known | None]], origin: str, labels: tuple[str, ...]) -> tuple[Token, ...]:
    """Those that must be stored, each as it was spelled first. Raises GuardUnavailable for two values under one text."""
    found: dict[str, Token] = {}
    for token, known in tokens:
        if not _is_known(token, known, origin, labels):
            other = found.setdefault(token.text, token)
            if other is not token and other.identity != token.identity:
                raise Collided([token.text])
    return tuple(found.values())


def _is_known(token: Token, known: Known | None, origin: str, labels: tuple[str, ...]) -> bool:
    """Whether this token is stored with this origin and these labels. Raises GuardUnavailable where another value's is."""
    if known is None:
        return False
    if known.token is not token and known.token.identity != token.identity:
        raise Collided([token.text])
    if not origin or known.labels == labels:
        return not origin or origin in known.origins
    return origin in known.origins and (not known.labels or set(labels) <= set(known.labels))


def _check_origin(origin: str) -> None:
    if "\n" in origin or "\t" in origin:
        raise GuardUnavailable("vault", "the name of a tool holds a line break")
