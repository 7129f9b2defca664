"""The connection on a Redis that somebody else runs: over a socket, over TLS with a password, and when it says no."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from agentguard.errors import GuardUnavailable
from agentguard.store.redis import Connection, Script
from tests.store.redis_server import PASSWORD, RedisServer, SecureServer, needs_redis_server, running, running_securely

pytestmark = [pytest.mark.anyio, needs_redis_server]

ADD = Script("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])")
FOR_EVER = Script("for ever", "while true do end")

KEYS_THAT_LOAD_SLOWLY = 400
"""Makes 40 kB: a server that loads looks for commands every 1,024 bytes, here about every tenth key."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the servers of this module keep their data."""
    return tmp_path_factory.mktemp("r")


@pytest.fixture(scope="module")
def secure(folder: Path) -> Iterator[SecureServer]:
    """A server with TLS and a password that all tests here share."""
    with running_securely(folder / "secure") as server:
        yield server


@pytest.fixture(scope="module")
def strict(folder: Path) -> Iterator[SecureServer]:
    """The same, for clients with a certificate alone."""
    with running_securely(folder / "strict", "--tls-auth-clients", "yes") as server:
        yield server


@pytest.fixture
def server(state_dir: Path) -> Iterator[RedisServer]:
    """A server of the test's own."""
    with running(state_dir) as started:
        yield started


@pytest.fixture
async def line(server: RedisServer) -> AsyncIterator[Connection]:
    """A connection to it."""
    opened = await Connection.open(server.url)
    yield opened
    await opened.close()


async def failure(url: str) -> str:
    """What is said where nothing can be asked at this address."""
    with pytest.raises(GuardUnavailable) as caught:
        await Connection.open(url)
    assert caught.value.component == "redis"
    return str(caught.value)


async def refusal(line: Connection) -> str:
    """What is said where a script is not run."""
    with pytest.raises(GuardUnavailable) as caught:
        await line.run(ADD, ["n"], [1])
    assert caught.value.component == "redis"
    return str(caught.value)


async def test_scripts_pipelines_and_streams_work_as_on_the_embedded_server(line: Connection) -> None:
    """The same replies in the same shapes, also after the server has forgotten its scripts."""
    reading = asyncio.create_task(line.read_stream("events", "0", 5_000))
    assert await line.run(ADD, ["n"], [2]) == 2
    await line.execute("SCRIPT", "FLUSH")

    assert await line.run(ADD, ["n"], [1]) == 3
    assert await line.pipeline([["GET", "n"], ["HSET", "h", "a", b"\xff"], ["HGETALL", "h"]]) == [
        b"3",
        1,
        {b"a": b"\xff"},
    ]
    event = await line.execute("XADD", "events", "*", "kind", "opened", "request", b"\xff")
    assert await reading == [(event.decode(), {"kind": b"opened", "request": b"\xff"})]
    assert await line.read_stream("events", event.decode(), 1) == []


async def test_tls_with_a_password_works(secure: SecureServer) -> None:
    """Commands, scripts and blocking reads, through sockets of their own."""
    line = await Connection.open(secure.url())
    reading = asyncio.create_task(line.read_stream("events", "0", 5_000))

    assert sorted(await asyncio.gather(*(line.run(ADD, ["n"], [1]) for _ in range(50)))) == list(range(1, 51))
    await line.execute("XADD", "events", "*", "kind", "opened")
    assert [fields for _, fields in await reading] == [{"kind": b"opened"}]
    await line.close()


async def test_a_client_certificate_lets_in(strict: SecureServer) -> None:
    """The URL names its files."""
    certificate, key = strict.client
    line = await Connection.open(
        strict.url(options=f"ssl_ca_certs={strict.authority}&ssl_certfile={certificate}&ssl_keyfile={key}")
    )

    assert await line.run(ADD, ["n"], [1]) == 1
    await line.close()


async def test_without_the_client_certificate_nobody_comes_in(strict: SecureServer) -> None:
    """The password alone is not enough there."""
    assert "can't be reached" in await failure(strict.url())


@pytest.mark.parametrize(
    ("host", "options"),
    [
        pytest.param("localhost", "", id="signed by nobody that is known"),
        pytest.param("127.0.0.1", None, id="another name in the certificate"),
    ],
)
async def test_a_certificate_that_proves_nothing_is_not_talked_to(
    secure: SecureServer, host: str, options: str | None
) -> None:
    """No password is sent to whoever answers there."""
    said = await failure(secure.url(host=host, options=options))

    assert "can't be reached" in said
    assert PASSWORD not in said


async def test_no_line_without_tls_where_the_server_speaks_tls(secure: SecureServer) -> None:
    """It fails, and there is no second try in clear."""
    assert "can't be reached" in await failure(f"redis://:{PASSWORD}@127.0.0.1:{secure.port}/0")


@pytest.mark.parametrize("password", ["hunter2", quote("hunter2/?#@", safe="")], ids=["plain", "quoted"])
async def test_a_wrong_password_is_said_and_not_shown(secure: SecureServer, password: str) -> None:
    """Over TLS too."""
    said = await failure(secure.url(password=password))

    assert "it refused the user or password" in said
    assert "hunter2" not in said


async def test_a_missing_password_is_said(secure: SecureServer) -> None:
    """The server is there, and says nothing to strangers."""
    assert "it wants a user and password" in await failure(secure.server.url)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        pytest.param("-evalsha -eval", "its user may not do this", id="no scripts"),
        pytest.param("resetkeys ~other:*", "its user may not do this", id="no such key"),
        pytest.param(
            "-incrby", "it refused a command", id="no such command, said in the middle of a script without a code"
        ),
    ],
)
async def test_a_user_who_may_not_do_this_is_said(server: RedisServer, rules: str, words: str) -> None:
    """The name and the password are right, and the access rules say no."""
    server.say(f"ACL SETUSER agent on >{PASSWORD} ~* &* +@all")
    line = await Connection.open(server.url.replace("://", f"://agent:{PASSWORD}@"))
    assert await line.run(ADD, ["n"], [1]) == 1

    server.say(f"ACL SETUSER agent {rules}")
    assert words in await refusal(line)
    await line.close()


async def test_t5_a_full_server_takes_no_script_and_loses_nothing(server: RedisServer, line: Connection) -> None:
    """With maxmemory and noeviction it says so, keeps what it has, and goes on when there is room."""
    assert await line.run(ADD, ["n"], [1]) == 1
    server.say("CONFIG SET maxmemory 1")

    assert "its memory is full, so it takes no writes" in await refusal(line)
    assert await line.execute("GET", "n") == b"1"

    server.say("CONFIG SET maxmemory 64mb")
    assert await line.run(ADD, ["n"], [1]) == 2


async def test_t5_a_replica_takes_no_script(server: RedisServer, line: Connection) -> None:
    """After a failover that the deployment's address did not follow."""
    with socket.create_server(("127.0.0.1", 0)) as primary:
        server.say(f"REPLICAOF 127.0.0.1 {primary.getsockname()[1]}")

        assert "it is a read-only replica" in await refusal(line)
        server.say("CONFIG SET replica-serve-stale-data no")
        assert "it has lost its primary" in await refusal(line)

    server.say("REPLICAOF NO ONE")
    assert await line.run(ADD, ["n"], [1]) == 1


async def test_t6_too_few_replicas_take_no_script(server: RedisServer, line: Connection) -> None:
    """A primary that would lose what it acknowledges says no."""
    server.say("CONFIG SET min-replicas-to-write 1")

    assert "too few replicas are connected" in await refusal(line)


async def test_t5_a_busy_server_says_so(server: RedisServer, line: Connection) -> None:
    """Somebody's endless script holds everybody up; it is killed, and all goes on."""
    server.say("CONFIG SET busy-reply-threshold 20")
    stranger = await Connection.open(server.url)
    stuck = asyncio.create_task(stranger.run(FOR_EVER, [], []))
    async with asyncio.timeout(20):
        while b"BUSY" not in await asyncio.to_thread(server.say, "PING"):
            await asyncio.sleep(0.01)

    assert "a script keeps it busy" in await refusal(line)

    server.say("SCRIPT KILL")
    with pytest.raises(GuardUnavailable, match="refused a command"):
        await stuck
    assert await line.run(ADD, ["n"], [1]) == 1
    await stranger.close()


@pytest.mark.slow
async def test_t5_a_server_that_still_loads_its_data_says_so(state_dir: Path) -> None:
    """After a restart it answers before it knows anything; nothing is decided on that."""
    with running(state_dir, "--appendonly", "no", "--rdbcompression", "no") as server:
        line = await Connection.open(server.url)
        await line.pipeline([["SET", f"key-{number}", "x" * 100] for number in range(KEYS_THAT_LOAD_SLOWLY)])
        await line.pipeline([["SET", "n", 41], ["SAVE"]])
        server.stop()
        server.start(
            "--key-load-delay", "20000", "--loading-process-events-interval-bytes", "1024", ready=b"-LOADING"
        )  # fmt: skip

        assert "it is still loading its data" in await failure(server.url)
        assert "it is still loading its data" in await refusal(line)

        server.say("CONFIG SET key-load-delay 0")
        async with asyncio.timeout(10):
            while not server.say("PING").startswith(b"+PONG"):
                await asyncio.sleep(0.01)
        assert await line.run(ADD, ["n"], [1]) == 42
        await line.close()


async def test_t5_a_server_killed_and_started_again_is_found_again(server: RedisServer, line: Connection) -> None:
    """Pooled sockets that died cost nothing, and what was acknowledged is there."""
    assert await asyncio.gather(*(line.run(ADD, ["n"], [1]) for _ in range(8)))
    server.stop()
    assert "can't be reached" in await refusal(line)

    server.start()
    assert await line.run(ADD, ["n"], [1]) == 9
