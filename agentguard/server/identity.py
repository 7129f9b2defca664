"""Who somebody is to this server, by whichever way they came in."""

from __future__ import annotations

from typing import Literal

from agentguard.model.record import Record

How = Literal["token", "oidc", "local", "slack", "key"]


class Identity(Record):
    """A person of approvers.yaml, authenticated.

    `session`: a random id of the login (a token's own id for a token). `authenticated_ms`: when the person last proved who they are, 0
    where nobody said. `groups`: those that the login confirmed; None where it confirms none, and approvers.yaml alone counts.
    `may_decide` is False for a token that may only read. `email`: their address in approvers.yaml when they logged in. `key_sha256`: the
    hash of a key that the pages of this login alone keep, where its cookie may reach others; empty where it can't.
    """

    person: str
    how: How
    session: str
    authenticated_ms: int = 0
    groups: tuple[str, ...] | None = None
    may_decide: bool = True
    email: str = ""
    key_sha256: str = ""
