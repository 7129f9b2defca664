"""Settings, and the keys that they lead to."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from agentguard.approval import is_public_key
from agentguard.audit import KeptCalls
from agentguard.errors import ConfigurationError
from agentguard.model.approvals import Assurance
from agentguard.store.keys import Keyring, SigningKey, is_sealed
from agentguard.store.seal import Sealer

_PREFIX = "AGENTGUARD_"
_NEARLY = 0.8
"""How alike two names are of which one is taken for a slip of the other; 1 is the same."""


class Settings(BaseSettings):
    """What a deployment sets; everything has a default that works for one user on one machine.

    Making one raises ConfigurationError, which names the variable and not its value.
    """

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="ignore", frozen=True)

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

    @property
    def trusted_keys(self) -> tuple[str, ...]:
        """The keys of `roster_keys`; none where anybody's approvers.yaml is taken."""
        return tuple(key.strip() for key in self.roster_keys.split(",")) if self.roster_keys.strip() else ()

    @field_validator("roster_keys")
    @classmethod
    def _keys(cls, text: str) -> str:
        if text.strip() and not all(is_public_key(key.strip()) for key in text.split(",")):
            raise ValueError("write public keys such as ed25519:..., with commas; `agentguard keys show` prints one")
        return text

    @model_validator(mode="wrap")
    @classmethod
    def _told(cls, given: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        refuse_misspelt(_PREFIX, cls.model_fields)
        try:
            return read(given)
        except ValidationError as error:
            wrong = wrong_settings(error, _PREFIX)
        raise wrong


def refuse_misspelt(prefix: str, names: Iterable[str]) -> None:
    """Raise ConfigurationError where the environment has a variable that is nearly one of these: nobody would read it."""
    known = [name.upper() for name in names]
    for variable in os.environ:
        name = variable.upper().removeprefix(prefix)
        near = get_close_matches(name, known, n=1, cutoff=_NEARLY)
        if len(name) < len(variable) and near and name not in known:
            raise ConfigurationError(f"{variable}: no such setting; did you mean {prefix}{near[0]}?")


def wrong_settings(error: ValidationError, prefix: str) -> ConfigurationError:
    """What is wrong with settings, each by the name of its variable and without its value."""
    problems = (
        f"{_variable(one['loc'], prefix)}: {one['msg'].removeprefix('Value error, ')}" for one in error.errors()
    )
    return ConfigurationError("\n".join(problems))


def _variable(path: tuple[int | str, ...], prefix: str) -> str:
    """The name of a variable; of a list, which value."""
    name, *inner = path
    return prefix + str(name).upper() + "".join(f", value {index + 1}" for index in inner if isinstance(index, int))


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
