"""`agentguard redis-acl`: the two users that a Redis shared by agents and approvers should have."""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from agentguard.cli.screen import note, say
from agentguard.store.access import AGENT, APPROVERS, prefixes_of

Tenants = Annotated[
    list[str] | None, typer.Option("--tenant", help="Only this tenant's keys. Repeat for more; by default all.")
]


def redis_acl(tenants: Tenants = None) -> None:
    """Print the lines of an ACL file for the agent's and the approvers' user; their new passwords go to stderr, once."""
    prefixes = prefixes_of(tenants or [])
    for user in (AGENT, APPROVERS):
        password = secrets.token_urlsafe(32)
        say(user.line(password, prefixes))
        note(f"password of {user.name}: {password}")
