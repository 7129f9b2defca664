"""Settings, and the keys that they lead to."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from agentguard.audit import KeptCalls
from agentguard.errors import ConfigurationError
from agentguard.model.approvals import Assurance
from agentguard.store.keys import Keyring, SigningKey, is_sealed
from agentguard.store.seal import Sealer


class Settings(BaseSettings):
    """What a deployment sets; everything has a default that works for one user on one machine."""

    model_config = SettingsConfigDict(env_prefix="AGENTGUARD_", extra="ignore", frozen=True)

    redis_url: str = Field(default="", repr=False)  # it may hold a password
    """redis://, rediss:// or unix://; empty: the embedded server in the state directory."""

    redis_wait: int = Field(default=0, ge=0, le=100)
    """How many replicas must have a decision before it counts; with 0 the primary's disk is enough."""

    roster_keys: str = ""
    """Public keys, with commas, one of which must have signed approvers.yaml; empty: the file's own protection is enough."""

    state_dir: Path = Field(default_factory=lambda: Path.home() / ".local" / "state" / "agentguard")
    """Journal, keyring and the embedded server's data."""

    config_dir: Path = Field(default_factory=lambda: Path.home() / ".config" / "agentguard")
    """The user's own signing key, and the tokens of `agentguard serve`."""

    keys: Path | None = None
    """The keyring of the agent's side; by default in the state directory. Several machines share one."""

    session_days: int = Field(default=7, ge=1, le=365)
    """How many days after its last use a session's tokens, their values and its labels lapse."""

    replay_days: int = Field(default=0, ge=0, le=365)
    """How many days calls are kept, sealed, so that `agentguard policy replay` can try another policy on them; 0: not at all."""

    deployment: str = ""
    """The name of this deployment, shown to approvers."""


def assurance_of(settings: Settings) -> Assurance:
    """What a signature is worth here: little where the agent could reach an approver's key or their server itself.

    "same-user" with the embedded server, with Redis on this machine, and where the agent's own configuration folder has a signing key
    that no passphrase seals.
    """
    here = not settings.redis_url or urlsplit(settings.redis_url).hostname in (None, "localhost", "127.0.0.1", "::1")
    has_keys = any(not is_sealed(file) for file in (settings.config_dir / "keys").glob("*.key"))
    return "same-user" if here or has_keys else "separate"


def keyring_of(settings: Settings) -> Keyring:
    """The keys of the agent's side, made where there are none yet."""
    return Keyring.load_or_create(settings.keys or settings.state_dir / "keys.json")


def journal_keys(settings: Settings) -> tuple[bytes, ...]:
    """The keys that the journal is chained with, newest first."""
    return keyring_of(settings).derive("journal")


def kept_calls(settings: Settings, keyring: Keyring) -> KeptCalls:
    """Where calls are kept for replay."""
    return KeptCalls(
        directory=settings.state_dir / "replay",
        sealer=Sealer(keyring.derive("replay")),
        days=settings.replay_days,
        now_ms=lambda: time.time_ns() // 1_000_000,
    )


def own_key(
    settings: Settings, name: str | None, passphrase: Callable[[], str] | None = None
) -> tuple[str, SigningKey]:
    """The person's name and signing key in the configuration folder; `passphrase` is asked for where it is sealed with one.

    Raises ConfigurationError where it isn't clear whose.
    """
    folder = settings.config_dir / "keys"
    found = {file.stem: file for file in sorted(folder.glob("*.key"))}
    if name is None and len(found) == 1:
        name = next(iter(found))
    if name is None:
        known = ", ".join(found) or "none"
        raise ConfigurationError(
            f"whose key? keys in {folder}: {known}; `agentguard init` makes one, --as NAME chooses"
        )
    if name not in found:
        raise ConfigurationError(f"no key of {name!r} in {folder}; `agentguard init --name {name}` makes one")
    return name, SigningKey.load(found[name], passphrase)
