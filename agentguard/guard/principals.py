"""Who the calls of this context are made for."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from agentguard.errors import ConfigurationError, NoSession
from agentguard.masking import visible
from agentguard.model.calls import Principal

SESSIONS_KEPT = 1_024
LENGTH_MAX = 512
"""Characters of a user, a session's id or a run."""


@dataclass(frozen=True, kw_only=True)
class Principals:
    """Opens sessions of one agent in one tenant, and says which one is open here.

    A session follows the context: threads and tasks that copy it see it, others don't. `began` is told of each session that is new, so
    that no other process knows it.
    """

    tenant: str
    agent: str
    began: Callable[[Principal], None] = lambda _: None
    _current: ContextVar[Principal | None] = field(
        default_factory=lambda: ContextVar("agentguard_principal", default=None)
    )
    _asked: ContextVar[str] = field(default_factory=lambda: ContextVar("agentguard_asked", default=""))
    _heard: dict[tuple[str, str | None], str] = field(default_factory=dict, repr=False)

    @contextmanager
    def session(
        self,
        *,
        user: str | None = None,
        id: str | None = None,
        run: str = "",
        autonomous: bool = False,
        asked: str = "",
    ) -> Iterator[Principal]:
        """Open a session on behalf of `user`, or of nobody where `autonomous` says so. `asked` is what the user wrote."""
        if (user is None or not str(user).strip()) is not autonomous or (autonomous and user is not None):
            raise ConfigurationError(
                "a session needs either the user on whose behalf the agent acts, guard.session(user='ann@acme.example'), "
                "or guard.session(autonomous=True), which nobody can confirm for"
            )
        if id is not None and not str(id).strip():
            raise ConfigurationError(
                "a session's id is empty; leave it out for a new one, or give the conversation's own id"
            )
        principal = Principal(
            tenant=self.tenant,
            agent=self.agent,
            user=None if autonomous else _plain("user", user),
            session=_plain("id", id) or secrets.token_hex(8),
            run=_plain("run", run) or "",
        )
        if id is None:
            self.began(principal)
        before, asked_before = self._current.set(principal), self._asked.set(asked)
        try:
            yield principal
        finally:
            self._asked.reset(asked_before)
            self._current.reset(before)

    def current(self) -> Principal:
        """The session that is open here. Raises NoSession."""
        principal = self._current.get()
        if principal is None:
            raise NoSession(
                "no session is open here: wrap the agent's run in `with guard.session(user='ann@acme.example', id='thread-1'):`"
            )
        return principal

    def heard(self, principal: Principal, text: str) -> None:
        """The user of a session wrote this; kept in memory alone, for the last sessions."""
        key = (principal.session, principal.user)
        self._heard.pop(key, None)
        self._heard[key] = text
        while len(self._heard) > SESSIONS_KEPT:
            self._heard.pop(next(iter(self._heard)))

    def asked(self) -> str:
        """What the user of the open session wrote last, as far as anybody said it."""
        principal = self.current()
        return self._heard.get((principal.session, principal.user)) or self._asked.get()


def _plain(what: str, text: object) -> str | None:
    """The text, if people can be shown it and compare it by eye. Raises ConfigurationError."""
    if text is None:
        return None
    if not isinstance(text, str) or len(text) > LENGTH_MAX or visible(text) != text or "\n" in text or "\t" in text:
        raise ConfigurationError(
            f"a session's {what} is text of at most {LENGTH_MAX} characters, none of them invisible or a line break"
        )
    return text
