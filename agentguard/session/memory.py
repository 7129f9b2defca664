"""What this process knows of the sessions it has seen, so that Redis is not asked twice.

Rules:
- bounded: the sessions, and each session's tokens, that were used last are kept;
- what was stored or read more than half a time to live ago is not known any more: it is stored or read again, and so
  stays alive;
- thread-safe; a forked child starts with nothing.
"""

from __future__ import annotations

import os
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import NamedTuple

from agentguard.model.calls import Principal
from agentguard.model.tokens import Known, Token

SESSIONS_KEPT = 1_024
TOKENS_KEPT = 10_000


class _Dated(NamedTuple):
    known: Known
    since_ms: int


Look = tuple[list[tuple[Token, Known | None]], tuple[str, ...], bool]
"""Tokens that are not known just so, with what is known of each; labels that are not; and whether the session's keys are due to get
their time to live again."""


@dataclass(slots=True, kw_only=True)
class _Session:
    """One session: `touched_ms` is when its keys in Redis last got their full time to live, as far as known here."""

    touched_ms: int
    tokens: OrderedDict[str, _Dated] = field(default_factory=OrderedDict)
    labels: dict[str, int] = field(default_factory=dict)


class Memory:
    """A bounded memory of sessions. `fresh_ms`: how long something counts as known."""

    def __init__(self, *, fresh_ms: int, sessions_kept: int = SESSIONS_KEPT, tokens_kept: int = TOKENS_KEPT) -> None:
        self._fresh_ms = fresh_ms
        self._sessions_kept = sessions_kept
        self._tokens_kept = tokens_kept
        self._begin_anew()
        _after_fork(self)

    def tokens(self, principal: Principal, texts: Iterable[str], now_ms: int) -> dict[str, Known]:
        """Those of these tokens that are known."""
        with self._lock:
            session = self._session(principal, now_ms)
            found: dict[str, Known] = {}
            for text in texts:
                dated = session.tokens.get(text)
                if dated is not None and now_ms - dated.since_ms < self._fresh_ms:
                    session.tokens.move_to_end(text)
                    found[text] = dated.known
            return found

    def labels(self, principal: Principal, now_ms: int) -> tuple[str, ...]:
        """Every label that this process has seen on the session, however long ago: labels only grow."""
        with self._lock:
            return tuple(self._session(principal, now_ms).labels)

    def look(
        self, principal: Principal, tokens: Sequence[Token], labels: tuple[str, ...], origin: str, now_ms: int
    ) -> Look:
        """What of a result's tokens and labels is not known just so, with this origin and all of these labels; under one lock."""
        stale = now_ms - self._fresh_ms
        unsure: list[tuple[Token, Known | None]] = []
        with self._lock:
            session = self._session(principal, now_ms)
            for token in tokens:
                dated = session.tokens.get(token.text)
                known = dated.known if dated is not None and dated.since_ms > stale else None
                if known is None or known.token != token or known.labels != labels or origin not in known.origins:
                    unsure.append((token, known))
            new = [label for label in labels if session.labels.get(label, stale) <= stale]
            return unsure, tuple(dict.fromkeys(new)) if new else (), session.touched_ms <= stale

    def learn(self, principal: Principal, known: Iterable[Known], labels: Sequence[str], now_ms: int) -> None:
        """These are in Redis as of now, and its keys have their full time to live."""
        with self._lock:
            session = self._session(principal, now_ms)
            session.touched_ms = now_ms
            session.labels.update(dict.fromkeys(labels, now_ms))
            for one in known:
                session.tokens[one.token.text] = _Dated(one, now_ms)
                session.tokens.move_to_end(one.token.text)
            while len(session.tokens) > self._tokens_kept:
                session.tokens.popitem(last=False)

    def forget(self) -> None:
        """Know no token of any session any more. Labels stay: they only grow."""
        with self._lock:
            for session in self._sessions.values():
                session.tokens.clear()

    def _session(self, principal: Principal, now_ms: int) -> _Session:
        key = (principal.tenant, principal.session, principal.user)
        session = self._sessions.get(key)
        if session is None:
            session = self._sessions[key] = _Session(touched_ms=now_ms)
            if len(self._sessions) > self._sessions_kept:
                self._sessions.popitem(last=False)
        else:
            self._sessions.move_to_end(key)
        return session

    def _begin_anew(self) -> None:
        self._lock = Lock()
        self._sessions: OrderedDict[tuple[str, str, str | None], _Session] = OrderedDict()


def _after_fork(memory: Memory) -> None:
    known = weakref.ref(memory)

    def drop() -> None:
        if (alive := known()) is not None:
            alive._begin_anew()

    os.register_at_fork(after_in_child=drop)
