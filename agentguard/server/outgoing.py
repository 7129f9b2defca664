"""One POST to a place outside, to the very address that was judged.

Rules:
- the host is resolved once for each attempt, every address is judged, and the connection goes to one of those;
- the certificate is still checked against the host's name;
- no redirect is followed, no proxy or .netrc of the environment used, no connection kept, and the reply's body is not read;
- the whole attempt has one time limit.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from agentguard.approval import NotDelivered
from agentguard.server.destinations import DestinationRefused, check_address, host_of

CONNECT_SECONDS = 5.0
ATTEMPT_SECONDS = 15.0
PORTS = {"https": 443, "http": 80}

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


async def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses that the system's resolver gives. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """Sends to judged addresses only."""

    client: httpx.AsyncClient
    allowed_hosts: Collection[str] = ()
    resolve: Resolve = resolve
    attempt_seconds: float = ATTEMPT_SECONDS

    async def post(self, url: httpx.URL, body: bytes, headers: Mapping[str, str]) -> None:
        """Return once the receiver answered with 2xx. Raises NotDelivered."""
        try:
            async with asyncio.timeout(self.attempt_seconds):
                status = await self._try_each(url, await self._addresses(url), body, headers)
        except TimeoutError:
            raise NotDelivered("no answer in time") from None
        except DestinationRefused as refused:
            raise NotDelivered(str(refused)) from None
        except httpx.HTTPError as error:
            raise NotDelivered(f"could not be sent ({type(error).__name__})") from None
        if not 200 <= status < 300:
            raise NotDelivered(f"answered {status}", gone=status == httpx.codes.GONE)

    async def _addresses(self, url: httpx.URL) -> Sequence[str]:
        """Where the host is now, all judged. Raises DestinationRefused, NotDelivered."""
        host = host_of(url)
        try:
            found = await self.resolve(host, url.port or PORTS[url.scheme])
        except (OSError, UnicodeError):
            raise NotDelivered("its host has no address now") from None
        for address in found:
            check_address(address, host, self.allowed_hosts)
        if not found:
            raise NotDelivered("its host has no address now")
        return found

    async def _try_each(self, url: httpx.URL, addresses: Sequence[str], body: bytes, headers: Mapping[str, str]) -> int:
        """The status from the first address that takes a connection; nothing was sent to one that did not."""
        for address in addresses[:-1]:
            try:
                return await self._send(url, address, body, headers)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._send(url, addresses[-1], body, headers)

    async def _send(self, url: httpx.URL, address: str, body: bytes, headers: Mapping[str, str]) -> int:
        request = self.client.build_request(
            "POST",
            url.copy_with(host=address),
            content=body,
            headers={**headers, "host": url.netloc.decode("ascii"), "content-type": "application/json"},
            extensions={"sni_hostname": host_of(url)},
        )
        response = await self.client.send(request, stream=True)
        try:
            return response.status_code
        finally:
            await response.aclose()


@asynccontextmanager
async def open_outgoing(
    allowed_hosts: Collection[str] = (), *, trust: ssl.SSLContext | None = None, resolve: Resolve = resolve
) -> AsyncIterator[Outgoing]:
    """The way out on the running loop. `trust` are other certificate authorities than the usual ones."""
    logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it logs each URL, whose path is often a secret
    async with httpx.AsyncClient(
        verify=trust or httpx.create_ssl_context(),
        trust_env=False,
        follow_redirects=False,
        timeout=httpx.Timeout(ATTEMPT_SECONDS, connect=CONNECT_SECONDS),
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"user-agent": "agentguard", "accept": "*/*", "accept-encoding": "identity"},
    ) as client:
        yield Outgoing(client=client, allowed_hosts=allowed_hosts, resolve=resolve)
