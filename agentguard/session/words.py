"""What the user wrote in a session, and what results brought into it, as keyed digests of its terms; and how often tools were called.

Rules:
- only digests are kept, keyed for this session alone: nobody reads the words back, and the words of one session are nothing in another;
- capped: over the cap, and over the length of a text that is looked at, what is not found is unknown, never absent;
- results that nobody kept (the policy read none of them then) make what results brought unknown;
- digests only grow; what this process has read it does not read again.
"""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from threading import Lock
from typing import NamedTuple

from agentguard.errors import GuardUnavailable
from agentguard.model.calls import Principal
from agentguard.model.canonical import canonical_json
from agentguard.model.provenance import RESULT_WINDOW, Value, stands_in
from agentguard.model.wording import Terms, terms_of, wanted_of
from agentguard.session.sessions import TTL_MS
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from agentguard.store.scripts import script_of

DIGEST_BYTES = 8
SAID_MAX, BROUGHT_MAX = 20_000, 60_000
"""Digests of a session that are kept: of what the user wrote, of what results brought."""
DIGESTS_KEPT = 500_000
"""Digests of all sessions that this process keeps in memory."""
SESSIONS_KEPT = 1_024

_MARK = bytes(DIGEST_BYTES)
_ANYTHING = ""
"""The term of every text, so that an empty one counts as written."""
_WORDS = script_of("agentguard.session", "words")


class Standing(NamedTuple):
    """A session as Redis has it: its labels, how often each tool was called, and its words."""

    labels: tuple[str, ...]
    counts: Mapping[str, int]
    words: SeenWords


@dataclass(slots=True)
class _Log:
    """Digests of one kind: all that are known here, how far Redis was read, and what must still be written."""

    known: set[bytes] = field(default_factory=set)
    read: int = 0
    pending: dict[bytes, None] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        return _MARK in self.known

    def learn(self, tail: bytes, length: int) -> None:
        self.known.update(tail[at : at + DIGEST_BYTES] for at in range(0, len(tail), DIGEST_BYTES))
        self.read = length


@dataclass(slots=True)
class _Session:
    """What this process knows of one session's words."""

    said: _Log = field(default_factory=_Log)
    brought: _Log = field(default_factory=_Log)
    sources: set[str] = field(default_factory=set)

    @property
    def size(self) -> int:
        return len(self.said.known) + len(self.brought.known)


@dataclass(frozen=True)
class SeenWords:
    """The words of one session, as far as they were read."""

    session: _Session
    hashes: tuple[blake2b, ...]

    def user_wrote(self, value: Value) -> bool:
        """See Provenance.user_wrote."""
        said = self.session.said
        if not said.known:
            raise LookupError("nobody told what the user wrote")
        if self._stands_in(said, "", wanted_of(value)):
            return True
        if said.is_over:
            raise LookupError("the user wrote more than is kept")
        return False

    def came_from(self, value: Value) -> list[str]:
        """See Provenance.came_from."""
        wanted = wanted_of(value, window=RESULT_WINDOW)
        if self.session.brought.is_over or not wanted:
            raise LookupError("too much, or too common, to tell")
        return [tool for tool in sorted(self.session.sources) if self._stands_in(self.session.brought, tool, wanted)]

    def _stands_in(self, log: _Log, source: str, wanted: Sequence[Sequence[str]]) -> bool:
        def found(keyed: blake2b) -> bool:
            of_source = _of_source(keyed, source)
            return stands_in(wanted, lambda term: _digest(of_source, term) in log.known)

        return any(map(found, self.hashes))


class Words:
    """The words of one tenant's sessions. `say` and `bring` are local and thread-safe; a coroutine makes one round trip.

    `keys`: for the digests, newest first.
    """

    def __init__(
        self, *, names: Names, keys: Sequence[bytes], ttl_ms: int = TTL_MS, digests_kept: int = DIGESTS_KEPT
    ) -> None:
        self._names = names
        self._keys = tuple(keys)
        self._ttl_ms = ttl_ms
        self._digests_kept = digests_kept
        self._grown = 0
        self._begin_anew()
        _after_fork(self)

    def say(self, principal: Principal, text: str) -> bool:
        """The user wrote this; whether any of it must still be stored."""
        terms = terms_of(text)
        return self._add(principal, "", terms, SAID_MAX)

    def bring(self, principal: Principal, tool: str, text: str) -> bool:
        """A result of this tool held this; whether any of it must still be stored."""
        return self._add(principal, tool, terms_of(text, window=RESULT_WINDOW), BROUGHT_MAX)

    async def read(
        self, connection: Connection, principal: Principal, *, count: str = "", source: str = ""
    ) -> Standing:
        """The session as it stands now. What was said or brought since is stored on the way; `count`: the tool that is called.

        Raises GuardUnavailable.
        """
        session = self._session(principal)
        said, brought = list(session.said.pending), list(session.brought.pending) if source else []
        arguments: list[str | bytes | int] = [
            self._ttl_ms,
            SAID_MAX * DIGEST_BYTES,
            BROUGHT_MAX * DIGEST_BYTES,
            b"".join(said),
            source,
            b"".join(brought),
            count,
            session.said.read,
            session.brought.read,
        ]
        reply = await connection.run(_WORDS, self._redis_keys(principal), arguments)
        labels, counts, said_tail, said_length, brought_tail, brought_length, sources = reply
        with self._lock:
            session.said.learn(said_tail, said_length)
            session.brought.learn(brought_tail, brought_length)
            session.sources.update(each.decode() for each in sources)
            for log, written in ((session.said, said), (session.brought, brought)):
                for digest in written:
                    log.pending.pop(digest, None)
            self._forget_some((len(said_tail) + len(brought_tail)) // DIGEST_BYTES)
        return Standing(
            labels=tuple(sorted(each.decode() for each in labels)),
            counts={name.decode(): int(times) for name, times in zip(counts[::2], counts[1::2], strict=True)},
            words=SeenWords(session, self._hashes(principal)),
        )

    def _add(self, principal: Principal, source: str, terms: Terms, most: int) -> bool:
        session = self._session(principal)
        log = session.brought if source else session.said
        keyed = _of_source(self._hashes(principal)[0], source)
        digests = {_digest(keyed, term) for term in (_ANYTHING, *terms.found)}
        if not terms.whole or len(digests) > most:
            digests = {*list(digests)[: most // 2], _MARK}
        with self._lock:
            new = digests - log.known
            is_first = bool(source) and source not in session.sources
            log.known |= new
            log.pending.update(dict.fromkeys(new))
            return bool(log.pending) or is_first

    def _session(self, principal: Principal) -> _Session:
        key = (principal.session, principal.user)
        with self._lock:
            session = self._sessions.setdefault(key, _Session())
            self._sessions.move_to_end(key)
            return session

    def _forget_some(self, grown: int) -> None:
        """Forget the sessions that were used longest ago, but for what is not stored yet."""
        self._grown += grown
        if self._grown < self._digests_kept // 10 and len(self._sessions) <= SESSIONS_KEPT:
            return
        self._grown = 0
        size = sum(session.size for session in self._sessions.values())
        for key, session in list(self._sessions.items())[:-1]:
            if size <= self._digests_kept and len(self._sessions) <= SESSIONS_KEPT:
                return
            if not session.said.pending and not session.brought.pending:
                size -= session.size
                del self._sessions[key]

    def _hashes(self, principal: Principal) -> tuple[blake2b, ...]:
        scope = canonical_json(["words", principal.tenant, principal.scope]).encode()
        return tuple(
            blake2b(key=blake2b(scope, key=key, digest_size=32).digest(), digest_size=DIGEST_BYTES)
            for key in self._keys
        )

    def _redis_keys(self, principal: Principal) -> list[str]:
        if principal.tenant != self._names.tenant:
            raise GuardUnavailable("vault", "this is another tenant's guard")
        names, scope = self._names, principal.scope
        words = [names.said(scope), names.brought(scope), names.sources(scope), names.counts(scope)]
        return [*words, names.labels(principal.session), names.vault(scope)]

    def _begin_anew(self) -> None:
        self._lock = Lock()
        self._sessions: OrderedDict[tuple[str, str | None], _Session] = OrderedDict()


def _of_source(keyed: blake2b, source: str) -> blake2b:
    """The hash for terms of one source."""
    of_source = keyed.copy()
    of_source.update(f"{len(source)}:{source}:".encode())
    return of_source


def _digest(keyed: blake2b, term: str) -> bytes:
    digest = keyed.copy()
    digest.update(term.encode(errors="surrogatepass"))
    return digest.digest()


def _after_fork(words: Words) -> None:
    known = weakref.ref(words)

    def drop() -> None:
        if (alive := known()) is not None:
            alive._begin_anew()

    os.register_at_fork(after_in_child=drop)
