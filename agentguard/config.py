"""Where objects are built: settings, files and keys become a guard or a desk.

Settings come from the environment: AGENTGUARD_REDIS_URL, AGENTGUARD_STATE_DIR, AGENTGUARD_CONFIG_DIR, AGENTGUARD_KEYS.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from agentguard.approval import Channel, Desk, Roster
from agentguard.audit import Journal
from agentguard.errors import ConfigurationError, PolicyError
from agentguard.guard.asking import Asking
from agentguard.guard.binding import Binding
from agentguard.guard.link import Link
from agentguard.guard.pipeline import Guard
from agentguard.guard.principals import Principals
from agentguard.guard.records import Records
from agentguard.guard.settling import Settling
from agentguard.guard.tokens import TokenBook
from agentguard.masking import Masker
from agentguard.model.problems import Place, Problem
from agentguard.policy import Policy, Source, load
from agentguard.session import Sessions
from agentguard.store.background import Background
from agentguard.store.embedded import Embedded, Lease
from agentguard.store.keys import Keyring
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from agentguard.store.seal import Sealer

APPROVERS = "approvers.yaml"


class Settings(BaseSettings):
    """What a deployment sets; everything has a default that works for one user on one machine."""

    model_config = SettingsConfigDict(env_prefix="AGENTGUARD_", extra="ignore", frozen=True)

    redis_url: str = ""
    """redis://, rediss:// or unix://; empty: the embedded server in the state directory."""

    state_dir: Path = Field(default_factory=lambda: Path.home() / ".local" / "state" / "agentguard")
    """Journal, keyring and the embedded server's data."""

    config_dir: Path = Field(default_factory=lambda: Path.home() / ".config" / "agentguard")
    """The user's own signing key, and the tokens of `agentguard serve`."""

    keys: Path | None = None
    """The keyring of the agent's side; by default in the state directory. Several machines share one."""

    deployment: str = ""
    """The name of this deployment, shown to approvers and readable in conditions."""


def open_guard(
    policies: str | Path = "tool_policies",
    *,
    agent: str = "agent",
    tenant: str = "default",
    settings: Settings | None = None,
) -> Guard:
    """The guard of one agent under the policies in a folder (or one file).

    Nothing is started until a call needs it. Raises PolicyError (every problem with file:line:column) or ConfigurationError.
    """
    settings = settings or Settings()
    policy, _ = read_policies(Path(policies))
    keyring = Keyring.load_or_create(settings.keys or settings.state_dir / "keys.json")
    names = Names(tenant)
    binding = Binding(key=keyring.derive("binding")[0])
    background = Background()
    server = Server(settings=settings)
    request_keys = keyring.derive("request")
    link = Link(
        url=server.url,
        channel=lambda connection: Channel(connection=connection, names=names, mac_keys=request_keys),
    )
    journal = Journal(
        directory=settings.state_dir / "journal", keys=keyring.derive("journal"), policy_version=policy.version
    )
    records = Records(journal=journal, binding=binding)
    masker = masker_of(policy)
    tokens = TokenBook(
        keys=keyring.derive("tokens"),
        sessions=Sessions(names=names, sealer=Sealer(keyring.derive("vault")), keys=keyring.derive("vault values")),
        background=background,
        link=link,
    )
    asking = Asking(
        background=background,
        link=link,
        binding=binding,
        sealer=Sealer(keyring.derive("input")),
        roster=lambda: read_roster(Path(policies)),
        records=records,
        assurance="separate" if settings.redis_url else "same-user",
        deployment=settings.deployment,
    )
    return Guard(
        policy=policy,
        masker=masker,
        principals=Principals(tenant=tenant, agent=agent),
        tokens=tokens,
        records=records,
        asking=asking,
        settler=Settling(masker=masker, tokens=tokens, records=records, asking=asking),
        closing=Closer(background=background, link=link, journal=journal, server=server),
    )


def read_policies(folder: Path) -> tuple[Policy, Roster]:
    """The policy in a folder, checked against the people beside it. Raises PolicyError."""
    files = policy_files(folder)
    roster = read_roster(folder)
    sources = [Source(file=str(file), text=read_text(file)) for file in files]
    return load(sources, checks=[*roster.checks(), masking_checks]), roster
