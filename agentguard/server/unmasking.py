"""Unmasking: a person looks at the real value of an argument. Nobody may, unless the settings name a group; then it is on record first.

Rules:
- only people of that group, in approvers.yaml and by their login, and only with a fresh login;
- the record, with who looked at which argument of which request and never the value, is on the disk before the value is shown;
- the value is opened from what the agent's side sealed, so the server needs that side's keyring; without the setting it holds none of it;
- what policy did not reveal to the call is a token in there too, and stays one.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from agentguard.approval import Roster, Stored
from agentguard.audit import Journal
from agentguard.errors import DecisionRefused
from agentguard.guard.editing import input_context
from agentguard.model.events import Unmasked
from agentguard.model.record import Json
from agentguard.server.identity import Identity
from agentguard.store.seal import Sealer


@dataclass(frozen=True, kw_only=True)
class Unmasking:
    """Who may look, and what it takes."""

    group: str
    sealer: Sealer
    journal: Journal

    def may(self, identity: Identity, roster: Roster) -> bool:
        """Whether this person may look at values."""
        confirmed = identity.groups is None or self.group in identity.groups
        return identity.how != "token" and confirmed and self.group in roster.groups_of(identity.person)

    async def look(self, stored: Stored, argument: str, identity: Identity) -> Json:
        """The value of an argument. Raises DecisionRefused ("no_argument"), and GuardUnavailable where it can't be put on record."""
        request = stored.request
        values = json.loads(self.sealer.open(stored.sealed_input, input_context(request.id)))
        if argument not in values:
            raise DecisionRefused("no_argument", "the call has no such argument")
        line = Unmasked(
            principal=request.principal,
            tool=request.tool,
            request=request.id,
            argument=argument,
            person=identity.person,
            login=identity.how,
        )
        pending = self.journal.append("unmasked", line, durable=True)
        if pending is not None:
            await asyncio.wrap_future(pending)
        return values[argument]
