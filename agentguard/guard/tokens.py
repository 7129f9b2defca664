"""A session's tokens and labels, as the pipeline needs them: local where this process knows them, Redis where not."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

from agentguard.guard.link import Link
from agentguard.masking import Form, KnownValues, TokenIds, Wanted, form_wanted
from agentguard.model.calls import Principal, Tool
from agentguard.model.tokens import Known, Token
from agentguard.policy import Reveal
from agentguard.session import Collided, News, Seen, Sessions
from agentguard.store import inherited
from agentguard.store.background import Background

SESSIONS_KEPT = 1_024

RECALL_SECONDS = 1.0
"""How old what is known of other processes' part in a session, and of erasures, may be when a call is made."""


_Read = Future[tuple[Seen, list[Known]]]
_NOTHING: tuple[float, int, _Read | None] = (0.0, 0, None)


class _Recalled(NamedTuple):
    at: float
    seen: Seen
    pid: int


@dataclass(frozen=True, kw_only=True)
class TokenBook:
    """Reads and writes what a session knows. A token of another session or tenant never resolves.

    `forms`: the entity types that some tool gets in a place which takes no token, and in which forms it takes them.
    """

    keys: tuple[bytes, ...] = field(repr=False)
    sessions: Sessions
    background: Background
    link: Link
    forms: dict[str, tuple[Form, ...]] = field(default_factory=dict)
    _recalled: dict[tuple[str, str | None], _Recalled] = field(default_factory=dict)
    _reading: dict[tuple[str, str | None], tuple[float, int, _Read | None]] = field(default_factory=dict, repr=False)
    _expected: dict[str, tuple[Reveal, ...]] = field(default_factory=dict)
    _ids: dict[tuple[str, str | None], TokenIds] = field(default_factory=dict)

    def ids(self, principal: Principal) -> TokenIds:
        """The token ids of this principal's session."""
        key = (principal.session, principal.user)
        ids = self._ids.get(key)
        if ids is None:
            if len(self._ids) >= SESSIONS_KEPT:
                self._ids.clear()
            ids = self._ids[key] = TokenIds(self.keys, principal.tenant, principal.scope, KnownValues(), self.forms)
            self._recalled.pop(key, None)  # these know nothing yet: what was read for others is read anew
        return ids

    def expect(self, tool: Tool, reveals: tuple[Reveal, ...]) -> None:
        """From now on the model is given stand-ins where this tool gets a value in a place that takes no token."""
        if not reveals or self._expected.get(tool.name) == reveals:
            return
        self._expected[tool.name] = reveals
        wanted = Wanted.of(tool.schema)
        for reveal in reveals:
            place = wanted.at(reveal.parameter.split("."))
            for entity_type in reveal.entity_types:
                form = form_wanted(place.takes, entity_type)
                forms = self.forms.get(entity_type, ())
                if form is not None and form not in forms:
                    self.forms[entity_type] = (*forms, form)

    def begin(self, principal: Principal) -> None:
        """A session that is new here and everywhere: nobody has put anything into it."""
        self.ids(principal)
        self._keep_recalled(principal, _Recalled(time.monotonic(), Seen(), inherited.pid))

    def fresh(self, principal: Principal) -> TokenIds | None:
        """What `recall` gives, where that needs no look."""
        key = (principal.session, principal.user)
        recalled = self._recalled.get(key)
        if recalled is None or recalled.pid != inherited.pid or time.monotonic() - recalled.at > RECALL_SECONDS:
            return None
        return self._ids.get(key)

    async def recall(self, principal: Principal) -> TokenIds:
        """The token ids of this principal's session, which go by what other processes have seen in it and what was erased.

        As of RECALL_SECONDS ago at most.
        """
        if (ids := self.fresh(principal)) is not None:
            return ids
        key = (principal.session, principal.user)
        recalled, now = self._recalled.get(key), time.monotonic()
        before = recalled.seen if recalled is not None and key in self._ids else None
        at, reading = self._catching(key, principal, before, now)
        seen, found = await self.background.follow(reading)
        if self._recalled.get(key) is not recalled:
            return self.ids(principal)  # another call that waited with this one was first
        self._reading.pop(key, None)
        if before is not None and before.erasures != seen.erasures:
            self._ids.pop(key, None)
        ids = self.ids(principal)
        if ids.known is not None:
            ids.known.learn((entry.token.entity_type, entry.token.value) for entry in found)
        self._keep_recalled(principal, _Recalled(at, seen, inherited.pid))
        return ids

    def _catching(
        self, key: tuple[str, str | None], principal: Principal, before: Seen | None, now: float
    ) -> tuple[float, _Read]:
        """The read that every call of the session waits for, but those that come too late for it; and when it began."""
        at, pid, reading = self._reading.get(key, _NOTHING)
        if reading is None or _failed(reading) or pid != inherited.pid or now - at > RECALL_SECONDS:
            at, reading = now, self.background.start(lambda: self._catch_up(principal, before))
            self._reading[key] = (at, inherited.pid, reading)
        return at, reading

    def _keep_recalled(self, principal: Principal, recalled: _Recalled) -> None:
        if len(self._recalled) >= SESSIONS_KEPT:
            self._recalled.clear()
        self._recalled[principal.session, principal.user] = recalled

    async def resolve(self, principal: Principal, texts: Iterable[str]) -> dict[str, Known]:
        """What these tokens stand for; a text that is no token of this session is absent."""
        wanted = list(dict.fromkeys(texts))
        if not wanted:
            return {}
        known, missing = self.sessions.cached(principal, wanted)
        if not missing:
            return known
        return known | await self.background.hop(lambda: self._fetch(principal, missing))

    async def labels(self, principal: Principal) -> tuple[str, ...]:
        """The labels that results have put on the session so far."""
        return await self.background.hop(lambda: self._labels(principal))

    async def remember(self, principal: Principal, tokens: Sequence[Token], labels: Sequence[str], origin: str) -> None:
        """Keep new tokens and labels: one round trip for all of them, none where nothing is new."""
        try:
            news = self.sessions.unseen(principal, tokens, labels, origin)
            if news is not None:
                await self.background.hop(lambda: self._remember(principal, news, origin, labels))
        except Collided as collided:
            self.ids(principal).avoid(collided.texts)
            raise

    async def _fetch(self, principal: Principal, texts: Sequence[str]) -> dict[str, Known]:
        async with self.link.using() as there:
            return await self.sessions.fetch(there.connection, principal, texts)

    async def _catch_up(self, principal: Principal, before: Seen | None) -> tuple[Seen, list[Known]]:
        async with self.link.using() as there:
            return await self.sessions.catch_up(there.connection, principal, before)

    async def _labels(self, principal: Principal) -> tuple[str, ...]:
        async with self.link.using() as there:
            return await self.sessions.labels(there.connection, principal)

    async def _remember(self, principal: Principal, news: News, origin: str, labels: Sequence[str]) -> None:
        async with self.link.using() as there:
            await self.sessions.remember(there.connection, principal, news, origin, labels)


def _failed(reading: _Read) -> bool:
    return reading.done() and (reading.cancelled() or reading.exception() is not None)
