"""Where objects are built: settings, files and keys become a guard or a desk.

Settings come from the environment: AGENTGUARD_REDIS_URL, AGENTGUARD_STATE_DIR, AGENTGUARD_CONFIG_DIR, AGENTGUARD_KEYS.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from agentguard.approval import Channel, Desk, RecordMac, Roster
from agentguard.approval import read_roster as roster_of
from agentguard.audit import Journal
from agentguard.errors import ConfigurationError, GuardUnavailable
from agentguard.guard.asking import Asking
from agentguard.guard.binding import Binding
from agentguard.guard.budgets import Budgets
from agentguard.guard.judging import Judging
from agentguard.guard.link import Link
from agentguard.guard.pipeline import Guard
from agentguard.guard.principals import Principals
from agentguard.guard.records import Records
from agentguard.guard.requests import Requests
from agentguard.guard.settling import Settling
from agentguard.guard.spent import Spent
from agentguard.guard.tokens import TokenBook
from agentguard.masking import DEFAULT_DETECTORS, Detector, Masker
from agentguard.masking.checks import check_masking
from agentguard.model.approvals import Assurance
from agentguard.model.problems import Problem
from agentguard.policy import Check, NotUsable, Pins, Policy, Source, lint, load, read_lock, with_used
from agentguard.policy.layout import ROOT
from agentguard.session import Ledger, Sessions
from agentguard.store.background import Background
from agentguard.store.embedded import Embedded, Lease
from agentguard.store.keys import Keyring, SigningKey
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from agentguard.store.seal import Sealer

APPROVERS = "approvers.yaml"
CASES = ".cases.yaml"
LIBRARY = "library:"
CLOSE_SECONDS = 10.0


class Settings(BaseSettings):
    """What a deployment sets; everything has a default that works for one user on one machine."""

    model_config = SettingsConfigDict(env_prefix="AGENTGUARD_", extra="ignore", frozen=True)

    redis_url: str = Field(default="", repr=False)  # it may hold a password
    """redis://, rediss:// or unix://; empty: the embedded server in the state directory."""

    state_dir: Path = Field(default_factory=lambda: Path.home() / ".local" / "state" / "agentguard")
    """Journal, keyring and the embedded server's data."""

    config_dir: Path = Field(default_factory=lambda: Path.home() / ".config" / "agentguard")
    """The user's own signing key, and the tokens of `agentguard serve`."""

    keys: Path | None = None
    """The keyring of the agent's side; by default in the state directory. Several machines share one."""

    deployment: str = ""
    """The name of this deployment, shown to approvers."""


def open_guard(
    policies: str | Path = "tool_policies",
    *,
    agent: str = "agent",
    tenant: str = "default",
    settings: Settings | None = None,
    detectors: Sequence[Detector] = (),
) -> Guard:
    """The guard of one agent under the policies in a folder (or one file). `detectors`: on top of those that masking has anyway.

    Nothing is started until a call needs it. Raises PolicyError (every problem with file:line:column) or ConfigurationError.
    """
    settings = settings or Settings()
    policy = read_policies(Path(policies))
    keyring = _keyring(settings)
    names = Names(tenant)
    binding = Binding(key=keyring.derive("binding")[0])
    background = Background()
    server = Server(settings=settings)
    mac = RecordMac(keys=keyring.derive("request"))
    link = Link(
        url=server.url,
        channel=lambda connection: Channel(connection=connection, names=names, mac=mac),
    )
    journal = Journal(
        settings.state_dir / "journal", keys=keyring.derive("journal"), policy_version=policy.version, now_ms=_now_ms
    )
    records = Records(journal=journal, binding=binding)
    masker = masker_of(policy, detectors)
    tokens = TokenBook(
        keys=keyring.derive("tokens"),
        sessions=Sessions(names=names, sealer=Sealer(keyring.derive("vault")), keys=keyring.derive("vault values")),
        background=background,
        link=link,
    )
    budgets = Budgets(
        background=background,
        link=link,
        ledger=Ledger(names=names, key=keyring.derive("subjects")[0]),
        binding=binding,
    )
    asking = Asking(
        requests=Requests(background=background, link=link),
        spent=Spent(settings.state_dir / "spent"),
        binding=binding,
        sealer=Sealer(keyring.derive("input")),
        people=lambda: read_roster(Path(policies)),
        records=records,
        masked_words=lambda principal, words: str(masker.mask(words, tokens.ids(principal)).value),
        assurance=assurance_of(settings),
        deployment=settings.deployment,
    )
    return Guard(
        policy=policy,
        masker=masker,
        principals=Principals(tenant=tenant, agent=agent),
        tokens=tokens,
        judging=Judging(tokens=tokens, budgets=budgets),
        records=records,
        asking=asking,
        settler=Settling(masker=masker, tokens=tokens, records=records, asking=asking, budgets=budgets),
        closing=Closer(background=background, link=link, journal=journal, server=server),
    )


def read_policies(folder: Path) -> Policy:
    """The policy in a folder, checked against the people beside it. Raises PolicyError.

    A policy that asks somebody and has no approvers.yaml beside it is refused: nobody could ever approve.
    """
    return load(_sources(folder), checks=_checks(read_roster(folder)), pins=read_pins(folder))


def read_library(folder: Path) -> Policy:
    """The policy in a folder; its approvals are checked against people only if there is an approvers.yaml. Raises PolicyError."""
    return load(_sources(folder), checks=_library_checks(folder), pins=read_pins(folder))


def policy_warnings(folder: Path) -> tuple[Problem, ...]:
    """What loads and is surely not meant. Raises PolicyError for what does not load."""
    return lint(_sources(folder), checks=_library_checks(folder), pins=read_pins(folder))


def has_people(folder: Path) -> bool:
    """Whether there is an approvers.yaml beside the policy."""
    return (_folder(folder) / APPROVERS).exists()


def read_roster(folder: Path) -> Roster:
    """The people of approvers.yaml beside the policy; nobody where there is no such file. Raises PolicyError."""
    file = _folder(folder) / APPROVERS
    return roster_of(_read_text(file), str(file)) if has_people(folder) else Roster(people={})


def read_pins(folder: Path) -> Pins | None:
    """What tools.lock.json beside the policy pins; None where there is no such file. Raises PolicyError."""
    file = lock_file(folder)
    return read_lock(_read_text(file), str(file)) if file.exists() else None


def lock_file(folder: Path) -> Path:
    """Where the pins of a policy stand."""
    return _folder(folder) / "tools.lock.json"


def policy_files(folder: Path) -> list[Path]:
    """The policy files of a folder (or the one file given). Raises PolicyError where there is none."""
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise ConfigurationError(f"{folder}: no such folder; `agentguard init {folder}` writes a first policy")
    found = sorted(file for file in folder.glob("*.yaml") if _is_policy(file))
    if not found:
        raise ConfigurationError(f"{folder}: no policy in it; `agentguard init {folder}` writes a first one")
    return found


def policy_library() -> Path:
    """The policies that agentguard ships."""
    return Path(str(files("agentguard") / "tool_policies"))


def case_sources(folder: Path) -> list[Source]:
    """The cases beside the policies of a folder."""
    return [_source(file) for file in sorted(_folder(folder).glob(f"*{CASES}"))]


def masker_of(policy: Policy, detectors: Sequence[Detector] = ()) -> Masker:
    """The masker that a policy's `masking` section describes, with these detectors beside the default ones."""
    return Masker([*DEFAULT_DETECTORS, *detectors], fields=policy.masking.fields, actions=policy.masking.actions)


def assurance_of(settings: Settings) -> Assurance:
    """What a signature is worth here: little where the agent could reach an approver's key or their server itself.

    "same-user" with the embedded server, with Redis on this machine, and where a signing key lies in the agent's own configuration folder.
    """
    here = not settings.redis_url or urlsplit(settings.redis_url).hostname in (None, "localhost", "127.0.0.1", "::1")
    has_keys = any((settings.config_dir / "keys").glob("*.key"))
    return "same-user" if here or has_keys else "separate"


def journal_keys(settings: Settings) -> tuple[bytes, ...]:
    """The keys that the journal is chained with, newest first."""
    return _keyring(settings).derive("journal")


def own_key(settings: Settings, name: str | None) -> tuple[str, SigningKey]:
    """The person's name and signing key in the configuration folder. Raises ConfigurationError where it isn't clear whose."""
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
    return name, SigningKey.load(found[name])


@asynccontextmanager
async def open_connection(settings: Settings) -> AsyncIterator[Connection]:
    """A connection on the running loop, and the embedded server under it where no URL is set."""
    server = Server(settings=settings)
    try:
        connection = await Connection.open(await asyncio.to_thread(server.url))
        try:
            yield connection
        finally:
            await connection.close()
    finally:
        await asyncio.to_thread(server.close)


@asynccontextmanager
async def open_desk(policies: Path, settings: Settings, *, tenant: str = "default") -> AsyncIterator[Desk]:
    """The approvers' side: requests to look at and decide. It holds none of the agent's keys."""
    roster = read_roster(policies)
    async with open_connection(settings) as connection:
        yield Desk(channel=Channel(connection=connection, names=Names(tenant)), roster=roster)


@dataclass(kw_only=True)
class Server:
    """The address of Redis; the embedded server is started when it is first asked for, and again in a forked child."""

    settings: Settings
    _lease: Lease | None = None
    _pid: int = 0

    def url(self) -> str:
        """Where Redis is; the embedded server runs there when this returns. Raises GuardUnavailable or ConfigurationError."""
        if self.settings.redis_url:
            return self.settings.redis_url
        held = self._lease if self._pid == os.getpid() else None
        self._lease, self._pid = Embedded.acquire(self.settings.state_dir), os.getpid()
        if held is not None:
            held.release()
        return self._lease.url

    def close(self) -> None:
        """Let the embedded server go; its last user stops it."""
        if self._lease is not None and self._pid == os.getpid():
            self._lease.release()
        self._lease = None


@dataclass(frozen=True, kw_only=True)
class Closer:
    """Closes what a guard holds, in the order in which each needs the next."""

    background: Background
    link: Link
    journal: Journal
    server: Server

    def close(self) -> None:
        """Close journal, line, loop and embedded server, whatever fails on the way. Redis may be gone by now."""
        with ExitStack() as stack:
            stack.callback(self.server.close)
            stack.callback(self.background.close)
            stack.callback(self._close_link)
            stack.callback(self.journal.close)

    def _close_link(self) -> None:
        with suppress(TimeoutError, GuardUnavailable):
            self.background.start(self.link.close).result(timeout=CLOSE_SECONDS)


def _keyring(settings: Settings) -> Keyring:
    return Keyring.load_or_create(settings.keys or settings.state_dir / "keys.json")


def _sources(folder: Path) -> list[Source]:
    """The policy files of a folder, and those that they take in. Raises PolicyError."""
    own = {file.resolve(): _source(file) for file in policy_files(folder)}

    def find(entry: str, user: Source) -> Source:
        file, shown = _meant(entry, user)
        resolved = file.resolve()
        return own.get(resolved) or Source(file=shown, text=_read_text(file))

    return with_used(list(own.values()), find)


def _meant(entry: str, user: Source) -> tuple[Path, str]:
    """The file that an entry of `use` means, and what it is called in messages. Raises NotUsable."""
    shipped = entry.startswith(LIBRARY)
    if user.file.startswith(LIBRARY) and not shipped:
        raise NotUsable(f"{entry!r} is no policy of the library", f"a shipped policy takes in {LIBRARY}NAME only")
    file = policy_library() / f"{entry.removeprefix(LIBRARY)}.yaml" if shipped else Path(user.file).parent / entry
    if file.name in (ROOT, APPROVERS) or file.name.endswith(CASES):
        raise NotUsable(f"{file.name} is no file of tools and rules", "take in files of tools and rules only")
    if not file.is_file():
        there = sorted(each.stem for each in policy_library().glob("*.yaml") if _is_policy(each) and each.name != ROOT)
        instead = f"there are: {', '.join(there)}" if shipped else f"write a path relative to {user.file}"
        raise NotUsable(f"there is no {entry!r}", instead)
    return file, entry if shipped else os.path.normpath(file)


def _is_policy(file: Path) -> bool:
    return file.name != APPROVERS and not file.name.endswith(CASES)


def _checks(roster: Roster) -> list[Check]:
    return [*roster.checks(), check_masking]


def _library_checks(folder: Path) -> list[Check]:
    return _checks(read_roster(folder)) if has_people(folder) else [check_masking]


def _folder(path: Path) -> Path:
    return path.parent if path.is_file() else path


def _source(file: Path) -> Source:
    return Source(file=str(file), text=_read_text(file))


def _read_text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: can't be read ({type(error).__name__}); it must be UTF-8 text") from None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
