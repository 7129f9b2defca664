"""A session's words, as the pipeline needs them: what the user wrote, and where the values in a call's arguments came from.

Rules:
- nothing is kept that no clause of the policy asks for, and a call that reads none of it touches Redis not at all;
- what the user wrote is stored as soon as it is told, and again with the next call that reads it, if it could not be;
- what a result brought is stored before the result is returned;
- a token stands for its value, wherever values are compared.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic_core import to_json

from agentguard.errors import GuardUnavailable
from agentguard.guard.link import Link
from agentguard.masking import Masked, TokenIds
from agentguard.model.calls import Principal
from agentguard.model.provenance import Value
from agentguard.model.record import Json
from agentguard.model.tokens import Token
from agentguard.policy import Policy, SessionPart
from agentguard.session import SeenWords, Standing, Words
from agentguard.store.background import Background

_log = logging.getLogger("agentguard.guard")
_BROUGHT = SessionPart.BROUGHT  # Python 3.11 looks a member of an Enum up in Python each time that it is named


@dataclass(frozen=True, kw_only=True)
class CallWords:
    """The words of a session, asked about one call: a token of it is read as the value that it stands for."""

    seen: SeenWords
    ids: TokenIds
    tokens: Mapping[str, Token]

    def user_wrote(self, value: Value) -> bool:
        """See Provenance.user_wrote."""
        return self.seen.user_wrote(self._resolved(value))

    def came_from(self, value: Value) -> list[str]:
        """See Provenance.came_from."""
        return self.seen.came_from(self._resolved(value))

    def _resolved(self, value: Value) -> Value:
        return resolved(value, self.ids, self.tokens) if isinstance(value, str) and self.tokens else value


@dataclass(frozen=True, kw_only=True)
class WordBook:
    """Reads and writes the words of sessions. Each coroutine raises GuardUnavailable."""

    words: Words
    background: Background
    link: Link

    def told(self, policy: Policy, principal: Principal, text: str) -> None:
        """The user wrote this. Nobody waits until it is stored: the next call that reads it stores it too."""
        if self._is_new(policy, principal, text):
            self.background.start(lambda: self._store(principal))

    async def tell(self, policy: Policy, principal: Principal, text: str) -> None:
        """The user wrote this, and it is stored when this returns."""
        if self._is_new(policy, principal, text):
            await self.background.hop(lambda: self._read(principal, "", ""))

    async def read(self, principal: Principal, *, count: str = "") -> Standing:
        """The session as it stands: one round trip. `count`: the tool that is called."""
        return await self.background.hop(lambda: self._read(principal, count, ""))

    def are_kept(self, policy: Policy) -> bool:
        """Whether a clause reads what results bring into sessions."""
        return _BROUGHT in policy.kept

    async def keep(self, principal: Principal, tool: str, masked: Masked, ids: TokenIds) -> None:
        """What a result brings into the session: one round trip, none where nothing is new."""
        tokens = {token.text: token for token in masked.tokens}
        shown = "\n".join(_texts(_as_json(masked.value)))
        text = f"{shown}\n{resolved(shown, ids, tokens)}" if tokens else shown
        if self.words.bring(principal, tool, text):
            await self.background.hop(lambda: self._read(principal, "", tool))

    def _is_new(self, policy: Policy, principal: Principal, text: str) -> bool:
        return SessionPart.SAID in policy.kept and self.words.say(principal, text)

    async def _read(self, principal: Principal, count: str, source: str) -> Standing:
        async with self.link.using() as there:
            return await self.words.read(there.connection, principal, count=count, source=source)

    async def _store(self, principal: Principal) -> None:
        try:
            await self._read(principal, "", "")
        except GuardUnavailable as error:
            _log.warning("what the user wrote is not stored yet: %s", error)


def resolved(text: str, ids: TokenIds, tokens: Mapping[str, Token]) -> str:
    """A text with the values of these tokens in their place."""
    for name, token in tokens.items():
        if not name.startswith("[") and name in text:
            text = text.replace(name, token.value)
    pieces: list[str] = []
    done = 0
    for start, end, name in ids.read(text) if tokens else ():
        if name in tokens:
            pieces += (text[done:start], tokens[name].value)
            done = end
    return "".join([*pieces, text[done:]])


def _as_json(value: object) -> Json:
    """A result as JSON; what has no JSON form is written as Python does."""
    if isinstance(value, str):
        return value
    try:
        return json.loads(to_json(value, fallback=repr, inf_nan_mode="strings"))
    except (TypeError, ValueError, RecursionError):
        return repr(value)


def _texts(value: Json) -> Iterator[str]:
    """All text and numbers in a JSON value, names of keys too."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item.values(), *item]
        elif isinstance(item, list):
            waiting += item
        elif item is not None and not isinstance(item, bool):
            yield str(item)
