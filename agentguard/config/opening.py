"""Where objects are built: settings, files and keys become a guard or a desk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from agentguard.approval import Brake, Channel, Desk, RecordMac
from agentguard.audit import Journal
from agentguard.config.clock import now_ms
from agentguard.config.files import read_all, read_roster
from agentguard.config.masking import maskers_of
from agentguard.config.people import people_of
from agentguard.config.server import Closer, Server
from agentguard.config.settings import Settings, assurance_of, kept_calls, keyring_of
from agentguard.config.watching import Watched
from agentguard.guard.asking import Asking
from agentguard.guard.binding import Binding
from agentguard.guard.budgets import Budgets
from agentguard.guard.carding import Carding
from agentguard.guard.cases import Cases
from agentguard.guard.confirming import Confirming
from agentguard.guard.editing import Editing
from agentguard.guard.erasure import Erasure
from agentguard.guard.freezing import Freezing
from agentguard.guard.granting import Granting
from agentguard.guard.in_force import InForce
from agentguard.guard.judging import Judging
from agentguard.guard.link import Link
from agentguard.guard.offers import Offers
from agentguard.guard.once import Once
from agentguard.guard.pipeline import Guard
from agentguard.guard.principals import Principals
from agentguard.guard.records import Records
from agentguard.guard.requests import Requests
from agentguard.guard.settling import Settling
from agentguard.guard.spent import Spent
from agentguard.guard.tokens import TokenBook
from agentguard.guard.tracing import UNTRACED, Tracing
from agentguard.guard.words import WordBook
from agentguard.integrations.gated_functions import gated
from agentguard.masking import Detector
from agentguard.model.calls import Principal
from agentguard.session import Erasing, Habits, Ledger, Sessions, Vault, Words
from agentguard.store.background import Background
from agentguard.store.keys import Keyring
from agentguard.store.letters import LetterBox
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from agentguard.store.seal import Sealer

DAY_MS = 24 * 60 * 60 * 1000


def open_guard(
    policies: str | Path = "tool_policies",
    *,
    agent: str = "agent",
    tenant: str = "default",
    settings: Settings | None = None,
    detectors: Sequence[Detector] = (),
    tracing: Tracing | None = None,
) -> Guard:
    """The guard of one agent under the policies in a folder (or one file). `detectors`: on top of those that masking has anyway.

    `tracing`: whom calls are told to; OpenTelemetry where it is installed, and nobody where not (`UNTRACED` says so for both).

    Policy files that change later are taken in when they load, and change nothing when they don't (see `config.watching`).
    Nothing is started until a call needs it. Raises PolicyError (every problem with file:line:column) or ConfigurationError.
    """
    settings = settings or Settings()
    reading = read_all(Path(policies))
    keyring = keyring_of(settings)
    names = Names(tenant)
    binding = Binding(key=keyring.derive("binding")[0])
    background = Background()
    server = Server(settings=settings)
    mac = RecordMac(keys=keyring.derive("request"))
    link = Link(
        url=server.url,
        channel=lambda connection: Channel(connection=connection, names=names, mac=mac),
        replicas=settings.redis_wait,
    )
    journal = _journal(settings, keyring, reading.policy.version)
    in_force = Watched(
        folder=Path(policies),
        reading=reading,
        make=lambda policy: InForce(policy=policy, maskers=maskers_of(policy, detectors)),
        journal=journal,
    )
    kept = kept_calls(settings, keyring)
    kept.sweep()
    records = Records(journal=journal, binding=binding, kept=kept)
    session_ms = settings.session_days * DAY_MS
    tokens = TokenBook(
        keys=keyring.derive("tokens"),
        sessions=Sessions(
            names=names,
            sealer=Sealer(keyring.derive("vault")),
            keys=keyring.derive("vault values"),
            ttl_ms=session_ms,
        ),
        background=background,
        link=link,
    )
    words = WordBook(
        words=Words(names=names, keys=keyring.derive("words"), ttl_ms=session_ms),
        background=background,
        link=link,
    )
    budgets = Budgets(
        background=background,
        link=link,
        ledger=Ledger(names=names, key=keyring.derive("subjects")[0], session_ms=session_ms),
        binding=binding,
    )

    people = people_of(Path(policies), settings.trusted_keys)

    def masked_words(principal: Principal, words: str) -> str:
        return str(in_force().masker.mask(words, tokens.ids(principal)).value)

    freezing = Freezing(
        background=background, link=link, names=names, records=records, people=people, masked_words=masked_words
    )
    once = Once(background=background, link=link, binding=binding, records=records, people=people)
    carding = Carding(
        tokens=tokens,
        habits=Habits(names=names, key=keyring.derive("habits")[0]),
        background=background,
        link=link,
        deployment=settings.deployment,
    )
    principals = Principals(tenant=tenant, agent=agent, began=tokens.begin)
    judging = Judging(tokens=tokens, words=words, budgets=budgets, deployment=settings.deployment, now_ms=now_ms)
    offers = Offers(binding=binding)
    cases = Cases(
        in_force=in_force,
        principals=principals,
        tokens=tokens,
        judging=judging,
        records=records,
        carding=carding,
        offers=offers,
    )
    requests, sealer = Requests(background=background, link=link), Sealer(keyring.derive("input"))
    asking = Asking(
        requests=requests,
        spent=Spent(settings.state_dir / "spent"),
        binding=binding,
        sealer=sealer,
        people=people,
        records=records,
        freezing=freezing,
        editing=Editing(
            requests=requests,
            binding=binding,
            sealer=sealer,
            box=LetterBox(keyring.derive("letters")),
            people=people,
            records=records,
            cases=cases,
        ),
        cases=cases,
        granting=Granting(
            background=background,
            link=link,
            in_force=in_force,
            offers=offers,
            binding=binding,
            people=people,
            records=records,
        ),
        masked_words=masked_words,
        assurance=assurance_of(settings),
    )
    return Guard(
        in_force=in_force,
        principals=principals,
        tokens=tokens,
        words=words,
        judging=judging,
        records=records,
        freezing=freezing,
        once=once,
        confirming=Confirming(
            binding=binding, records=records, cases=cases, freezing=freezing, people=people, now_ms=now_ms
        ),
        asking=asking,
        cases=cases,
        settler=Settling(
            in_force=in_force,
            tokens=tokens,
            words=words,
            records=records,
            asking=asking,
            budgets=budgets,
            once=once,
        ),
        gate_function=gated,
        closing=Closer(freezing=freezing, background=background, link=link, journal=journal, server=server),
        tracing=_tracing_found() if tracing is None else tracing,
    )


def _tracing_found() -> Tracing:
    """OpenTelemetry where its interface is installed. Where the application has set up no SDK it does nothing."""
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        return UNTRACED
    found: Tracing = import_module("agentguard.integrations.otel").OpenTelemetry()
    return found


@asynccontextmanager
async def open_connection(settings: Settings) -> AsyncIterator[Connection]:
    """A connection on the running loop, and the embedded server under it where no URL is set."""
    server = Server(settings=settings)
    try:
        connection = await Connection.open(await asyncio.to_thread(server.url), replicas=settings.redis_wait)
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


@asynccontextmanager
async def open_brake(policies: Path, settings: Settings, *, tenant: str = "default") -> AsyncIterator[Brake]:
    """The same, to stop calls and let them go on."""
    async with open_desk(policies, settings, tenant=tenant) as desk:
        yield Brake(channel=desk.channel, roster=desk.roster)


@asynccontextmanager
async def open_erasure(settings: Settings, *, tenant: str = "default") -> AsyncIterator[Erasure]:
    """The agent's side, to erase values from the vaults of a tenant. It holds the keys that open them."""
    keyring, names = keyring_of(settings), Names(tenant)
    journal = _journal(settings, keyring, policy_version="none")
    try:
        async with open_connection(settings) as connection:
            erasing = Erasing(
                connection=connection,
                names=names,
                vault=Vault(sealer=Sealer(keyring.derive("vault")), keys=keyring.derive("vault values")),
                ledger=Ledger(names=names, key=keyring.derive("subjects")[0]),
            )
            binding = Binding(key=keyring.derive("binding")[0])
            yield Erasure(tenant=tenant, erasing=erasing, journal=journal, binding=binding)
    finally:
        journal.close()


def _journal(settings: Settings, keyring: Keyring, policy_version: str) -> Journal:
    """This machine's journal, for another writer."""
    return Journal(
        settings.state_dir / "journal", keys=keyring.derive("journal"), policy_version=policy_version, now_ms=now_ms
    )
