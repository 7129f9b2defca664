"""`agentguard serve`: settings, files and keys become a running server.

Rules:
- everything that can be wrong in settings and files is said before anything listens;
- the key must be that of the signer that approvers.yaml names; where there is none yet, one is made and the line to add is said;
- it listens on loopback unless told otherwise; off loopback without TLS it says so in the log.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Set
from contextlib import suppress
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI

from agentguard.approval import Roster
from agentguard.audit import Journal
from agentguard.config import APPROVERS, Settings, journal_keys, keyring_of, open_connection, read_policies
from agentguard.config.clock import now_ms
from agentguard.config.fresh import Fresh
from agentguard.config.notifiers import installed_place, named_places
from agentguard.config.people import people_of
from agentguard.errors import ConfigurationError, Fault
from agentguard.policy.layout import ROOT
from agentguard.server import tokens
from agentguard.server.app import Parts, SlackOffice, create_app
from agentguard.server.lines import Line
from agentguard.server.local_login import is_loopback, local_login
from agentguard.server.oidc import provider_of
from agentguard.server.records import Records
from agentguard.server.rotas import Rotas
from agentguard.server.settings import ServerSettings, token_path
from agentguard.server.unmasking import Unmasking
from agentguard.server.webhooks import page_at, webhooks_of
from agentguard.store.keys import SigningKey
from agentguard.store.seal import Sealer

HOST = "127.0.0.1"
PORT = 8642
GRACE_SECONDS = 10
_log = logging.getLogger("agentguard.server")


def serve(
    policies: Path,
    *,
    settings: Settings,
    server: ServerSettings,
    host: str = HOST,
    port: int = PORT,
    tenant: str = "default",
    log_in: str | None = None,
    announce: Callable[[str], None] = print,
) -> None:
    """Serve until interrupted. Raises ConfigurationError, and Fault where it can't start.

    `log_in`: for whom a login link is announced, for development on this machine.
    """
    public_url = server.public_url or _address(server, host, port)
    parts = parts_of(policies, settings=settings, server=server, tenant=tenant, public_url=public_url)
    if log_in is not None:
        local = local_login(_known(log_in, parts.roster()), host, public_url)
        parts = replace(parts, local=local)
        announce(f"log in as {local.person}, on this machine alone: {local.link(public_url)}")
    app = create_app(parts)
    listening = listener(app, host=host, port=port, server=server)
    _warn(server, settings, host)
    try:
        asyncio.run(_reach(parts))
    except Fault as error:
        where = "; AGENTGUARD_REDIS_URL says where" if settings.redis_url else ""
        raise Fault(f"the server did not start on {host}:{port}: {error}{where}") from None
    with suppress(SystemExit):  # uvicorn's way to say that it could not start
        listening.run()
    if not listening.started:
        raise Fault(f"the server did not start on {host}:{port}; the lines above say why")


async def _reach(parts: Parts) -> None:
    """Raise Fault where Redis does not answer, and ConfigurationError where the embedded one has no place to be.

    Uvicorn, which connects as it starts, would tell that with a traceback.
    """
    async with parts.connect():
        pass


def parts_of(policies: Path, *, settings: Settings, server: ServerSettings, tenant: str, public_url: str) -> Parts:
    """What the settings and files make. Raises ConfigurationError."""
    folder = policies.parent if policies.is_file() else policies
    roster = people_of(policies)
    token_file = token_path(settings, server)
    tokens_now = Fresh(paths=(token_file,), read=lambda: tokens.read(token_file))
    tokens_now()
    webhooks, slack = webhooks_of(server, public_url), _slack(server, public_url)
    places = tuple(installed_place(name, page_at(public_url)) for name in dict.fromkeys(server.notifiers))
    told = {place.name for place in places}.union(*(some.names for some in (webhooks, slack) if some is not None))
    _must_have_places(policies, folder, told)
    return Parts(
        connect=lambda: open_connection(settings),
        tenant=tenant,
        roster=roster,
        tokens=tokens_now,
        signer=server.signer,
        key=signer_key(settings, server, roster()),
        now_ms=now_ms,
        webhooks=webhooks,
        slack=slack,
        places=places,
        is_https=public_url.startswith("https:"),
        has_neighbours=_has_neighbours(public_url),
        provider=provider_of(server, public_url),
        records=Records(directory=settings.state_dir / "journal", tenant=tenant, keys=lambda: _journal_keys(settings)),
        step_up_seconds=server.step_up_seconds,
        retry_seconds=server.webhook_retry_seconds,
        unmasking=_unmasking(settings, server, roster()),
        rotas=Rotas(folder=folder, roster=roster).ask,
    )


def _has_neighbours(public_url: str) -> bool:
    """Whether browsers send a cookie of this server to other ports of its host: http keeps none apart, and loopback counts as secure."""
    url = urlsplit(public_url)
    return url.scheme != "https" or is_loopback(url.hostname or "") or (url.hostname or "").endswith(".localhost")


def _must_have_places(policies: Path, folder: Path, there: Set[str]) -> None:
    """Raise ConfigurationError where the policy beside approvers.yaml sends requests to a place that this server doesn't have.

    One that tells nobody at all, such as a server of pages alone, says so in the log.
    """
    if not (folder / ROOT).exists():
        return
    try:
        missing = named_places(read_policies(policies).document) - there
    except ConfigurationError:
        _log.warning(
            "the policy here does not load, so nobody looked whether it sends requests to places that are not here"
        )
        return
    told = f"policy sends requests to {', '.join(sorted(missing))}, which this server does not have"
    if missing and there:
        raise ConfigurationError(f"{told}; it has {', '.join(sorted(there))}. Set what is missing, or correct `notify`")
    if missing:
        _log.warning("%s: it tells nobody, so another server must", told)


def _unmasking(settings: Settings, server: ServerSettings, roster: Roster) -> Unmasking | None:
    """Who may look at real values; None where the settings name nobody. Raises ConfigurationError."""
    if not server.unmask_group:
        return None
    if not roster.members(f"group:{server.unmask_group}"):
        raise ConfigurationError(f"AGENTGUARD_SERVER_UNMASK_GROUP: {APPROVERS} has nobody in that group")
    path = settings.keys or settings.state_dir / "keys.json"
    if not path.exists():
        raise ConfigurationError(
            "AGENTGUARD_SERVER_UNMASK_GROUP needs the agent side's keyring on this machine: set AGENTGUARD_KEYS, or leave it empty"
        )
    keyring = keyring_of(settings)
    journal = Journal(
        settings.state_dir / "journal", keys=keyring.derive("journal"), policy_version="none", now_ms=now_ms
    )
    return Unmasking(group=server.unmask_group, sealer=Sealer(keyring.derive("input")), journal=journal)


class Listener(uvicorn.Server):
    """Uvicorn, whose open screens are let go when it stops: they would keep it waiting."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        live = getattr(getattr(self.config.app, "state", None), "live", None)
        if live is not None:
            live.stop()
        await super().shutdown(sockets)


def listener(app: FastAPI, *, host: str, port: int, server: ServerSettings, line: type[Line] = Line) -> Listener:
    """What listens for `app`: HTTP/1.1 alone, and no word of a proxy's about who calls. `line`: one caller's connection."""
    if (server.tls_certificate is None) != (server.tls_key is None):
        raise ConfigurationError("AGENTGUARD_SERVER_TLS_CERTIFICATE and AGENTGUARD_SERVER_TLS_KEY go together")
    return Listener(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http=line,
            ws="none",
            lifespan="on",
            proxy_headers=False,
            server_header=False,
            ssl_certfile=server.tls_certificate,
            ssl_keyfile=server.tls_key,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
    )


def signer_key(settings: Settings, server: ServerSettings, roster: Roster) -> SigningKey:
    """The server's signing key, if approvers.yaml knows it. Raises ConfigurationError, which says what to add there."""
    path = server.signer_key or settings.config_dir / "signers" / f"{server.signer}.key"
    if not path.exists():
        SigningKey.new().save(path)
    key = SigningKey.load(path)
    signer = roster.signers.get(server.signer)
    if signer is None or key.public not in signer.keys:
        wrong = "does not list this server" if signer is None else f"has another key for {server.signer!r}"
        raise ConfigurationError(
            f"{APPROVERS} {wrong}, so its votes would not count. If it may sign for the people it authenticates, put there:\n"
            f'signers:\n  {server.signer}: {{key: "{key.public}", speaks_for: everyone}}'
        )
    return key


def _address(server: ServerSettings, host: str, port: int) -> str:
    scheme = "http" if server.tls_certificate is None else "https"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _warn(server: ServerSettings, settings: Settings, host: str) -> None:
    """Say what is allowed, and unwise."""
    if not is_loopback(host) and server.tls_certificate is None:
        _log.warning(
            "listening on %s without TLS: tokens and decisions can be read and changed on the way; set "
            "AGENTGUARD_SERVER_TLS_CERTIFICATE and _TLS_KEY, or put a proxy with TLS before a loopback address",
            host,
        )
    if server.webhook_urls and not server.public_url and not is_loopback(host):
        _log.warning(
            "links in webhooks begin with %s, which leads nowhere from elsewhere: set AGENTGUARD_SERVER_PUBLIC_URL",
            host,
        )
    if not token_path(settings, server).exists() and not server.oidc_issuer:
        _log.warning(
            "nobody can log in here yet: set AGENTGUARD_SERVER_OIDC_ISSUER, or make a token with `agentguard token create NAME`"
        )


def _slack(server: ServerSettings, public_url: str) -> SlackOffice | None:
    """The Slack that the settings ask for. Raises ConfigurationError."""
    if not server.slack_bot_token.get_secret_value():
        if server.slack_channels:
            raise ConfigurationError(
                "AGENTGUARD_SERVER_SLACK_CHANNELS needs AGENTGUARD_SERVER_SLACK_BOT_TOKEN: without it no channel is told"
            )
        return None
    try:
        opening: Any = import_module("agentguard.server.slack.office")
    except ImportError as error:
        raise ConfigurationError(f"Slack needs {error.name}: pip install 'agentguard[slack]'") from None
    made: SlackOffice | None = opening.slack_of(server, public_url)
    return made


def _known(person: str, roster: Roster) -> str:
    """The person of approvers.yaml that a name means. Raises ConfigurationError."""
    name = roster.find(person)
    if name is None:
        raise ConfigurationError(
            f"{person[:80]!r} is not in {APPROVERS}; people there: {', '.join(sorted(roster.people))}"
        )
    return name


def _journal_keys(settings: Settings) -> tuple[bytes, ...] | None:
    """The keys of a journal that lies here; they are never made here."""
    keyring = settings.keys or settings.state_dir / "keys.json"
    return journal_keys(settings) if keyring.exists() else None
