"""Where Redis is: the one URL that a deployment sets.

The URL says where and as whom. How commands are sent (timeouts, retries, number of sockets) is not its business: a URL that sets any of
it is refused, and no message repeats a part of the URL, which may hold a password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio.connection import parse_url

from agentguard.errors import ConfigurationError

SCHEMES = frozenset({"redis", "rediss", "unix"})
_OPTIONS = frozenset({"db"})
_TLS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_PLACE = frozenset({"username", "password", "connection_class", "host", "port", "path", "db"})


SENTINEL, SENTINEL_PORT = "+sentinel", 26379
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Monitored:
    """A primary that sentinels watch: where they are, what they call it, and a URL that says as whom it is reached."""

    sentinels: tuple[tuple[str, int], ...]
    name: str
    url: str


def monitored(url: str) -> Monitored | None:
    """What a URL of sentinels says; None for one of a server. Raises ConfigurationError."""
    scheme, _, rest = url.partition("://")
    if scheme not in (f"redis{SENTINEL}", f"rediss{SENTINEL}"):
        return None
    place, _, options = rest.partition("?")
    who, at, place = place.rpartition("@")
    hosts, _, path = place.partition("/")
    name, _, database = path.partition("/")
    found = [_HOST.fullmatch(host) for host in hosts.split(",")]
    if options or not name or name.isdigit() or not all(found) or not (database or "0").isdigit():
        raise _wrong("that is no address of sentinels, which is redis+sentinel://HOST:26379,HOST:26379/NAME/0")
    sentinels = tuple((each[1].strip("[]"), int(each[2] or SENTINEL_PORT)) for each in found if each is not None)
    return Monitored(sentinels, name, f"{scheme.removesuffix(SENTINEL)}://{who}{at}/{database or 0}")


def address(url: str) -> dict[str, Any]:
    """What redis-py needs to connect there. Raises ConfigurationError."""
    if "cluster" in url.partition("://")[0]:
        raise _wrong("a cluster is not supported, for one guard speaks to one node; name a server, or its sentinels")
    try:
        split = urlsplit(url)
        parsed: dict[str, Any] = dict(parse_url(url))
    except ValueError:
        raise _wrong("it is no address of Redis") from None
    if split.scheme not in SCHEMES:
        raise _wrong("it is no address of Redis")
    if not parsed.get("path" if split.scheme == "unix" else "host"):
        raise _wrong("it names no host and no socket")
    if split.scheme != "unix" and not _is_database(split.path):
        raise _wrong("what follows the host must be the number of a database")
    options = _OPTIONS | (_TLS_OPTIONS if split.scheme == "rediss" else frozenset())
    if not parsed.keys() <= _PLACE | options or split.fragment:
        raise _wrong(
            f"after '?' only {', '.join(sorted(options))} may be set; quote '?' and '#' in a password as %3F, %23"
        )
    return parsed


def _is_database(path: str) -> bool:
    number = path.removeprefix("/")
    return not number or (number.isascii() and number.isdigit())


def _wrong(what: str) -> ConfigurationError:
    return ConfigurationError(
        f"AGENTGUARD_REDIS_URL: {what}; write redis://HOST:6379/0, rediss://USER:PASSWORD@HOST:6379/0 or unix:///PATH"
    )
