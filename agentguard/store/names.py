"""Every key that agentguard has in Redis.

All keys of a tenant share one hash tag, so that a script may touch any of them in Redis Cluster. What comes from outside (tenant,
session, run and call ids) is hashed where it could hold a separator or be long.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

_PLAIN = re.compile(r"[A-Za-z0-9_.@-]{1,64}")


ANY_TENANT = "ag:{*}:"
"""What a pattern begins with that means the keys of every tenant."""

EVERYBODY = "*"
"""The tenant whose freezes stop every tenant; a plain tenant's part of a key can't be this."""


@dataclass(frozen=True)
class Names:
    """The keys of one tenant."""

    tenant: str

    @cached_property
    def prefix(self) -> str:
        """What every key of the tenant begins with."""
        return f"ag:{{{_part(self.tenant)}}}:"

    @property
    def events(self) -> str:
        """Stream of what happened to requests."""
        return self.prefix + "events"

    @property
    def pending(self) -> str:
        """Sorted set of pending requests by deadline."""
        return self.prefix + "pending"

    @property
    def steps(self) -> str:
        """Sorted set of pending requests by when people are next to be reminded, or more of them may decide."""
        return self.prefix + "steps"

    @property
    def ended(self) -> str:
        """Sorted set of ended requests by the time they ended."""
        return self.prefix + "ended"

    def posted(self, channel: str, request_id: str) -> str:
        """The message that shows a request in a chat's channel; the approvers' side writes it."""
        return f"{self.prefix}posted:{_part(channel)}:{_part(request_id)}"

    def press(self, digest: str) -> str:
        """That somebody's press in a chat was acted on; the approvers' side writes it."""
        return f"{self.prefix}press:{_part(digest)}"

    def undelivered(self, request_id: str) -> str:
        """Hash of what of a request could not be told so far; the approvers' side writes it."""
        return f"{self.events}:webhooks:undelivered:{_part(request_id)}"

    def told(self, request_id: str) -> str:
        """Set of the places that a request was told; the approvers' side writes it."""
        return f"{self.events}:webhooks:told:{_part(request_id)}"

    def request(self, request_id: str) -> str:
        """Hash of a request; the agent's side writes it."""
        return f"{self.prefix}request:{_part(request_id)}"

    def votes(self, request_id: str) -> str:
        """Hash of the votes on a request; the approvers' side writes it."""
        return f"{self.prefix}votes:{_part(request_id)}"

    def claim(self, request_id: str) -> str:
        """Hash of who runs an approved request; the agent's side writes it."""
        return f"{self.prefix}claim:{_part(request_id)}"

    def call(self, session: str, run: str, call_id: str) -> str:
        """Index from a call id to its request."""
        return f"{self.prefix}call:{_part(session)}:{_part(run)}:{_part(call_id)}"

    def join(self, session: str, digest: str) -> str:
        """Index from a call's digest to its pending request in the session."""
        return f"{self.prefix}join:{_part(session)}:{_part(digest)}"

    def turn(self, turn: str) -> str:
        """Sorted set of the requests of one turn, by the time they were opened; the agent's side writes it."""
        return f"{self.prefix}turn:{_part(turn)}"

    def waiting(self, agent: str) -> str:
        """Sorted set of an agent's requests that may be waiting, by deadline; the agent's side writes it."""
        return f"{self.prefix}asking:waiting:{_part(agent)}"

    def asked(self, agent: str) -> str:
        """Sorted set of the requests that an agent opened in the last minute, by time; the agent's side writes it."""
        return f"{self.prefix}asking:minute:{_part(agent)}"

    def paused(self, agent: str) -> str:
        """Until when an agent that asked too often asks nobody; the agent's side writes it."""
        return f"{self.prefix}asking:paused:{_part(agent)}"

    def deed(self, deed_id: str) -> str:
        """Hash of the last attempt at what may happen once; the agent's side writes it."""
        return f"{self.prefix}deed:{_part(deed_id)}"

    @property
    def undone(self) -> str:
        """Sorted set of the deeds that began and are not known to be done, by time."""
        return self.prefix + "undone"

    def settled(self, fence: str) -> str:
        """A person's word on the run under this fence; the approvers' side writes it."""
        return f"{self.prefix}settled:{_part(fence)}"

    @property
    def freezes(self) -> str:
        """Hash of what is frozen, by scope and name; the approvers' side writes it."""
        return self.prefix + "freezes"

    def running(self, freeze_id: str) -> str:
        """The calls that ran already when a freeze reached their processes."""
        return f"{self.prefix}running:{_part(freeze_id)}"

    def lift(self, freeze_id: str) -> str:
        """A second person's word that ends a freeze; the approvers' side writes it."""
        return f"{self.prefix}lift:{_part(freeze_id)}"

    @property
    def erasures(self) -> str:
        """How many times something was erased from the tenant's vaults."""
        return self.prefix + "erasures"

    @property
    def vaults(self) -> str:
        """A pattern that the keys of all vaults match."""
        return f"{_escaped(self.prefix)}vault:*"

    @property
    def all_subjects(self) -> str:
        """A pattern that the keys of all limits' subjects match."""
        return f"{_escaped(self.prefix)}subjects:*"

    @property
    def grants(self) -> str:
        """Sorted set of the requests that were approved with a grant, by the time it ends; the agent's side writes it."""
        return self.prefix + "grants"

    def grants_of(self, agent: str, user: str, tool: str) -> str:
        """The same, of one agent and user with one tool."""
        return f"{self.prefix}grants:{_part(agent)}:{_part(user)}:{_part(tool)}"

    def uses(self, grant_id: str) -> str:
        """Hash of the uses of a grant; the agent's side writes it."""
        return f"{self.prefix}uses:{_part(grant_id)}"

    def revoked(self, grant_id: str) -> str:
        """A person's word that a grant ends; the approvers' side writes it."""
        return f"{self.prefix}revoked:{_part(grant_id)}"

    def vault(self, session: str) -> str:
        """Hash of a session's tokens, sealed."""
        return f"{self.prefix}vault:{_part(session)}"

    def labels(self, session: str) -> str:
        """Set of a session's labels."""
        return f"{self.prefix}labels:{_part(session)}"

    def said(self, session: str) -> str:
        """Digests of what the user wrote in a session."""
        return f"{self.prefix}said:{_part(session)}"

    def brought(self, session: str) -> str:
        """Digests of what results brought into a session."""
        return f"{self.prefix}brought:{_part(session)}"

    def sources(self, session: str) -> str:
        """Set of the tools whose results stand in `brought`."""
        return f"{self.prefix}sources:{_part(session)}"

    def counts(self, session: str) -> str:
        """Hash of how often each tool was called in a session."""
        return f"{self.prefix}counts:{_part(session)}"

    def amounts(self, limit: str, scope: str) -> str:
        """Hash of what a limit has counted, and what is held of it."""
        return f"{self.prefix}limit:{_part(limit)}:{_part(scope)}"

    def subjects(self, limit: str, scope: str) -> str:
        """Sorted set of the subjects that a limit has counted, by time."""
        return f"{self.prefix}subjects:{_part(limit)}:{_part(scope)}"

    def recipients(self, tool: str) -> str:
        """Sorted set of whom approved calls of a tool were for, by time."""
        return f"{self.prefix}recipients:{_part(tool)}"

    def usual(self, tool: str, argument: str) -> str:
        """List of the last amounts in an argument of approved calls of a tool."""
        return f"{self.prefix}usual:{_part(tool)}:{_part(argument)}"

    def repeat(self, person: str, key: str) -> str:
        """The answer that a caller of the API got under an idempotency key."""
        return f"{self.prefix}repeat:{_part(person)}:{_part(key)}"

    def pace(self, kind: str, caller: str) -> str:
        """How much of their pace a caller has used; the approvers' side writes it."""
        return f"{self.prefix}pace:{_part(kind)}:{_part(caller)}"

    def logged_out(self, login: str) -> str:
        """Mark of a login in the browser that its person ended."""
        return f"{self.prefix}logged-out:{_part(login)}"

    def withheld(self, limit: str, scope: str, call: str) -> str:
        """Mark of a call whose result a limit on subjects kept back."""
        return f"{self.prefix}withheld:{_part(limit)}:{_part(scope)}:{_part(call)}"


def tenant_in(key: str) -> str:
    """The tenant as it stands in a key of agentguard's: its name where that is plain, else `#` and the name's hash."""
    return key.partition("{")[2].partition("}")[0]


def _escaped(text: str) -> str:
    """Text that a pattern of Redis matches as it is."""
    return re.sub(r"([\\\[\]?*^-])", r"\\\1", text)


def _part(text: str) -> str:
    """A part of a key: the text where it is plain, else its hash, marked so that the two can't meet."""
    if _PLAIN.fullmatch(text):
        return text
    return "#" + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]
