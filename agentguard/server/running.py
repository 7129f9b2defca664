"""`agentguard serve`: settings, files and keys become a running server.

Rules:
- everything that can be wrong in settings and files is said before anything listens;
- the key must be that of the signer that approvers.yaml names; where there is none yet, one is made and the line to add is said;
- it listens on loopback unless told otherwise; off loopback without TLS it says so in the log.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from agentguard.approval import Roster
from agentguard.config import APPROVERS, Settings, open_connection, read_roster
from agentguard.errors import ConfigurationError, Fault
from agentguard.server import tokens
from agentguard.server.app import Parts, create_app
from agentguard.server.fresh import Fresh
from agentguard.server.settings import ServerSettings, token_path
from agentguard.server.webhooks import webhooks_of
from agentguard.store.keys import SigningKey

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
) -> None:
    """Serve until interrupted. Raises ConfigurationError, and Fault where it can't start."""
    public_url = server.public_url or _address(server, host, port)
    app = create_app(parts_of(policies, settings=settings, server=server, tenant=tenant, public_url=public_url))
    _warn(server, settings, host)
    listening = listener(app, host=host, port=port, server=server)
    with suppress(SystemExit):  # uvicorn's way to say that it could not start
        listening.run()
    if not listening.started:
        raise Fault(f"the server did not start on {host}:{port}; the lines above say why")


def parts_of(policies: Path, *, settings: Settings, server: ServerSettings, tenant: str, public_url: str) -> Parts:
    """What the settings and files make. Raises ConfigurationError."""
    folder = policies.parent if policies.is_file() else policies
    roster = Fresh(path=folder / APPROVERS, read=lambda: read_roster(policies))
    token_file = token_path(settings, server)
    tokens_now = Fresh(path=token_file, read=lambda: tokens.read(token_file))
    tokens_now()
    return Parts(
        connect=lambda: open_connection(settings),
        tenant=tenant,
        roster=roster,
        tokens=tokens_now,
        signer=server.signer,
        key=signer_key(settings, server, roster()),
        now_ms=lambda: time.time_ns() // 1_000_000,
        webhooks=webhooks_of(server, public_url),
    )


def listener(app: FastAPI, *, host: str, port: int, server: ServerSettings) -> uvicorn.Server:
    """What listens for `app`: HTTP/1.1 alone, and no word of a proxy's about who calls."""
    if (server.tls_certificate is None) != (server.tls_key is None):
        raise ConfigurationError("AGENTGUARD_SERVER_TLS_CERTIFICATE and AGENTGUARD_SERVER_TLS_KEY go together")
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            http="h11",
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
    if not _is_loopback(host) and server.tls_certificate is None:
        _log.warning(
            "listening on %s without TLS: tokens and decisions can be read and changed on the way; set "
            "AGENTGUARD_SERVER_TLS_CERTIFICATE and _TLS_KEY, or put a proxy with TLS before a loopback address",
            host,
        )
    if server.webhook_urls and not server.public_url and not _is_loopback(host):
        _log.warning(
            "links in webhooks begin with %s, which leads nowhere from elsewhere: set AGENTGUARD_SERVER_PUBLIC_URL",
            host,
        )
    if not token_path(settings, server).exists():
        _log.warning("there are no tokens yet, so nobody can decide here; `agentguard token create NAME` makes one")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
