"""The connection: scripts that are never sent twice, reads that end, and faults in plain words."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from redis.exceptions import TimeoutError as TimeoutLater

from agentguard.errors import ConfigurationError, GuardUnavailable
from agentguard.store.embedded import Embedded, Lease
from agentguard.store.redis import BUDGET_SECONDS, Connection, Script
from tests.store.rude import RudeServer
from tests.store.scripts import run

pytestmark = pytest.mark.anyio

ADD = Script("add", "return redis.call('INCRBY', KEYS[1], ARGV[1])")
SECRET = "4111 1111 1111 1111"


@pytest.fixture
def lease(state_dir: Path) -> Iterator[Lease]:
    """A server of the test's own."""
    held = Embedded.acquire(state_dir)
    yield held
    held.release()


@pytest.fixture
async def own(lease: Lease) -> AsyncIterator[Connection]:
    """A connection to it."""
    opened = await Connection.open(lease.url)
    yield opened
    await opened.close()


def server_pid(state_dir: Path) -> int:
    """The process of the test's own server."""
    return int((state_dir / "valkey" / "valkey.pid").read_text())


async def test_a_script_runs_and_replies_in_bytes(connection: Connection, tenant: str) -> None:
    """Text, bytes and integers go in as they are."""
    echo = Script("echo", "return {KEYS[1], ARGV[1], ARGV[2], ARGV[3]}")

    assert await connection.run(echo, [tenant], ["é", b"\xff\x00", 7]) == [
        tenant.encode(),
        "é".encode(),
        b"\xff\x00",
        b"7",
    ]


async def test_a_script_that_the_server_has_forgotten_is_sent_whole(connection: Connection, tenant: str) -> None:
    """NOSCRIPT says that nothing ran, so it runs now, once."""
    assert await connection.run(ADD, [tenant], [1]) == 1
    await connection.execute("SCRIPT", "FLUSH")

    assert await connection.run(ADD, [tenant], [1]) == 2


async def test_a_pipeline_is_answered_in_order(connection: Connection, tenant: str) -> None:
    """One reply for each command; none for none."""
    commands = [["SET", tenant, "1"], ["GET", tenant], ["DEL", tenant]]

    assert await connection.pipeline(commands) == [True, b"1", 1]
    assert await connection.pipeline([]) == []


async def test_t5_a_server_killed_and_started_again_is_found_again(
    own: Connection, lease: Lease, state_dir: Path
) -> None:
    """Pooled sockets that died meanwhile cost nothing: the next script runs, once, on what was acknowledged before."""
    assert await asyncio.gather(*(own.run(ADD, ["n"], [1]) for _ in range(8)))
    os.kill(server_pid(state_dir), signal.SIGKILL)
    again = await asyncio.to_thread(Embedded.acquire, state_dir)

    assert await own.run(ADD, ["n"], [1]) == 9
    assert await own.execute("GET", "n") == b"9"
    again.release()


async def test_t5_a_server_that_is_gone_is_said_at_once_and_found_when_it_is_back(
    own: Connection, state_dir: Path
) -> None:
    """It recovers alone, with no new connection object."""
    os.kill(server_pid(state_dir), signal.SIGKILL)
    began = time.monotonic()

    with pytest.raises(GuardUnavailable, match="can't be reached"):
        await own.run(ADD, ["n"], [1])
    assert time.monotonic() - began < 1

    again = await asyncio.to_thread(Embedded.acquire, state_dir)
    assert await own.run(ADD, ["n"], [1]) == 1
    again.release()


@pytest.mark.slow
async def test_t5_a_frozen_server_is_given_up_within_the_budget(own: Connection, lease: Lease, state_dir: Path) -> None:
    """Commands, scripts, pipelines, blocking reads and new connections all end, and all work again afterwards."""
    pid = server_pid(state_dir)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()

    came = await asyncio.gather(
        own.run(ADD, ["n"], [1]),
        own.execute("GET", "n"),
        own.pipeline([["GET", "n"]]),
        own.read_stream("events", "0", 100),
        Connection.open(lease.url),
        *(own.execute("TIME") for _ in range(40)),
        return_exceptions=True,
    )
    took = time.monotonic() - began
    os.kill(pid, signal.SIGCONT)

    assert {type(one) for one in came} == {GuardUnavailable}
    assert took < BUDGET_SECONDS + 1
    assert await own.execute("TIME")
    assert await own.read_stream("events", "0", 10) == []


async def test_a_script_whose_reply_is_lost_is_not_sent_again() -> None:
    """It may have run, so nobody but its caller may repeat it."""
    with RudeServer() as server:
        line = await Connection.open(server.url)
        with pytest.raises(GuardUnavailable, match="can't be reached"):
            await line.run(ADD, ["n"], [1])
        await line.close()

    assert server.heard == [b"EVALSHA"]


async def test_a_write_whose_reply_is_lost_is_not_sent_again() -> None:
    """Only plain reads are."""
    with RudeServer() as server:
        line = await Connection.open(server.url)
        with pytest.raises(GuardUnavailable):
            await line.execute("SET", "n", "1")
        with pytest.raises(GuardUnavailable):
            await line.pipeline([["GET", "n"], ["DEL", "n"]])
        await line.close()

    assert server.heard.count(b"SET") == 1
    assert server.heard.count(b"GET") == 1


async def test_a_read_whose_reply_is_lost_is_asked_once_more() -> None:
    """And then no more."""
    with RudeServer() as server:
        line = await Connection.open(server.url)
        with pytest.raises(GuardUnavailable):
            await line.execute("GET", "n")
        await line.close()

    assert server.heard == [b"GET", b"GET"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"-LOADING Redis is loading the dataset in memory", "still loading"),
        (b"-READONLY You can't write against a read only replica.", "read-only replica"),
        (b"-OOM command not allowed when used memory > 'maxmemory'.", "memory is full"),
        (b"-MISCONF Errors writing to the AOF file", "can't write to its disk"),
        (b"-MASTERDOWN Link with MASTER is down", "lost its primary"),
        (b"-CLUSTERDOWN Hash slot not served", "cluster is down"),
        (b"-MOVED 3999 127.0.0.1:6381", "one node of a cluster"),
        (b"-NOAUTH Authentication required.", "wants a user and password"),
        (b"-NOPERM User agent has no permissions to access the '4111 1111 1111 1111' key", "may not do this"),
        (b"-WRONGTYPE Operation against a key holding the wrong kind of value", "something else stands"),
        (b"-BUSY Redis is busy running a script.", "script keeps it busy"),
        (b"-NOREPLICAS Not enough good replicas to write.", "too few replicas"),
        (b"-ERR user_script:1: '4111 1111 1111 1111' is not an integer", r"refused a command \(ERR\)"),
        (b"-4111 1111 1111 1111", "can't be reached or did not answer"),
        (b"?what", "can't be reached"),
    ],
    ids=lambda value: value.split()[0].decode() if isinstance(value, bytes) else "",
)
async def test_t5_every_error_reply_is_a_fault_in_words_without_values(reply: bytes, words: str) -> None:
    """The reason can be read; what the server quoted cannot."""
    with RudeServer(reply + b"\r\n") as server:
        line = await Connection.open(server.url)
        with pytest.raises(GuardUnavailable, match=words) as caught:
            await line.run(ADD, [SECRET], [SECRET])
        await line.close()

    assert "1111" not in str(caught.value)
    assert caught.value.component == "redis"
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


async def test_t5_a_full_server_takes_no_script(own: Connection) -> None:
    """Nothing is evicted to make room."""
    await own.execute("CONFIG", "SET", "maxmemory", "1")

    with pytest.raises(GuardUnavailable, match="memory is full"):
        await own.run(ADD, ["n"], [1])


async def test_what_is_no_text_is_refused_without_quoting_it(connection: Connection) -> None:
    """A lone surrogate can't be sent; the error does not hold the value, nor does its context show it."""
    with pytest.raises(GuardUnavailable, match="can't be written") as caught:
        await connection.execute("SET", "key", SECRET + "\udc80")

    assert SECRET not in str(caught.value)
    assert await connection.execute("PING")


async def test_t37_five_hundred_callers_share_few_sockets(own: Connection) -> None:
    """They wait for each other, and none fails."""
    replies = await asyncio.gather(*(own.run(ADD, ["n"], [1]) for _ in range(500)))
    clients = await own.execute("INFO", "clients")

    assert sorted(replies) == list(range(1, 501))
    assert clients["connected_clients"] <= 9


async def test_a_stream_is_read_from_the_last_seen_id(connection: Connection, tenant: str) -> None:
    """What was seen does not come again; with nothing new the read ends empty."""
    first = (await connection.execute("XADD", tenant, "*", "kind", "opened")).decode()
    second = (await connection.execute("XADD", tenant, "*", "kind", "voted", "request", b"\xff")).decode()

    assert await connection.read_stream(tenant, first, 1) == [(second, {"kind": b"voted", "request": b"\xff"})]
    assert await connection.read_stream(tenant, second, 1) == []


async def test_the_newest_event_is_where_a_reader_begins(connection: Connection, tenant: str) -> None:
    """Before any there is an id too, from which the first one is read."""
    none = await connection.newest(tenant)
    first = (await connection.execute("XADD", tenant, "*", "kind", "opened")).decode()

    assert await connection.newest(tenant) == first
    assert [id_ for id_, _ in await connection.read_stream(tenant, none, 1)] == [first]


async def test_a_blocked_read_is_woken_by_an_event(connection: Connection, tenant: str) -> None:
    """While it blocks, commands go on beside it."""
    reading = asyncio.create_task(connection.read_stream(tenant, "0", 5_000))
    await connection.execute("XADD", tenant, "*", "kind", "opened")

    assert [fields for _, fields in await reading] == [{"kind": b"opened"}]


async def test_a_cancelled_read_leaves_the_connection_usable(connection: Connection, tenant: str) -> None:
    """The next read gets its own answer, not the late one of the read before."""
    reading = asyncio.create_task(connection.read_stream(tenant, "0", 5_000))
    await connection.execute("PING")
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await connection.execute("XADD", tenant, "*", "kind", "opened")

    assert [fields for _, fields in await connection.read_stream(tenant, "0", 1_000)] == [{"kind": b"opened"}]


async def test_cancelled_scripts_leave_no_answer_for_others(connection: Connection, tenant: str) -> None:
    """A hundred that are cut short at any point take nothing from the pool and mix up no replies."""
    running = [asyncio.create_task(connection.run(ADD, [tenant], [1])) for _ in range(100)]
    await asyncio.sleep(0.002)
    assert [task.cancel() for task in running]
    await asyncio.gather(*running, return_exceptions=True)

    echo = Script("echo", "return ARGV[1]")
    replies = await asyncio.gather(*(connection.run(echo, [], [number]) for number in range(50)))
    assert replies == [str(number).encode() for number in range(50)]


async def test_whoever_waits_for_a_reply_is_counted_as_long_as_they_do(own: Connection, tenant: str) -> None:
    """However it ends; nothing would give way to who is gone for ever."""
    sleeping = asyncio.create_task(own.execute("BLPOP", tenant, 5))
    await asyncio.sleep(0.05)
    waits = own.commands.in_use
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    with pytest.raises(GuardUnavailable):
        await own.pipeline([["PING"], ["NO-SUCH-COMMAND"]])
    await own.execute("PING")

    assert (waits, own.commands.in_use) == (1, 0)


@pytest.mark.parametrize("block_ms", [0, -1])
async def test_a_read_without_an_end_is_refused(connection: Connection, block_ms: int) -> None:
    """BLOCK 0 sleeps through a black-holed link for ever."""
    with pytest.raises(ValueError, match="must have an end"):
        await connection.read_stream("events", "0", block_ms)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:6379",
        "http://localhost:6379",
        "redis://",
        "unix://",
        "redis://localhost/first",
        "redis://localhost/0?socket_timeout=99",
        "redis://localhost/0?max_connections=1000",
        "redis://localhost/0?decode_responses=true",
        "redis://localhost/0?ssl_ca_certs=/ca.pem",
        "rediss://localhost/0?ssl_cert_reqs=none",
        "rediss://localhost/0?ssl_check_hostname=false",
        "redis://:hunter2@localhost:sesame/0",
        "redis://:hunter2/sesame@localhost/0",
        "redis://:hunter2?sesame@localhost/0",
        "redis://:hunter2#sesame@localhost/0",
        "redis+sentinel://localhost/0",
    ],
)
async def test_a_wrong_url_is_a_wrong_setting_that_does_not_show_it(url: str) -> None:
    """The message says what to write; it may hold a password, so nothing of it is repeated."""
    with pytest.raises(ConfigurationError, match=r"AGENTGUARD_REDIS_URL: .*redis://HOST:6379/0") as caught:
        await Connection.open(url)

    assert "hunter2" not in str(caught.value)
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("url", ["unix:///nowhere/valkey.sock", "redis://127.0.0.1:1/0", "rediss://127.0.0.1:1/0"])
async def test_nobody_at_the_address_is_a_fault(url: str) -> None:
    """The setting may be right and the server down."""
    with pytest.raises(GuardUnavailable, match="can't be reached"):
        await Connection.open(url)


async def test_a_wrong_password_is_said(own: Connection, lease: Lease) -> None:
    """The reason is told, the password is not."""
    await own.execute("CONFIG", "SET", "requirepass", "right")

    with pytest.raises(GuardUnavailable, match="user or password") as caught:
        await Connection.open(lease.url.replace("unix://", "unix://:hunter2@"))
    await own.execute("CONFIG", "SET", "requirepass", "")

    assert "hunter2" not in str(caught.value)


def test_a_forked_child_takes_no_socket_from_its_parent(lease: Lease) -> None:
    """A child drops the connection and runs a loop; the parent's reads and writes on its own sockets go on unharmed."""
    said = run(
        """
        import asyncio, gc, os, sys
        from agentguard.store.redis import Connection
        url = sys.argv[1]
        held = {}

        async def child():
            held.clear()
            gc.collect()
            line = await Connection.open(url)
            await line.execute("SET", "child", "1")
            await line.close()

        async def parent():
            held["line"] = await Connection.open(url)
            mine = await held["line"].execute("CLIENT", "ID")
            if (pid := os.fork()) == 0:
                asyncio._set_running_loop(None)
                asyncio.run(child())
                os._exit(0)
            print(os.waitpid(pid, 0)[1])
            print(await held["line"].execute("GET", "child"), await held["line"].execute("CLIENT", "ID") == mine)
            await held["line"].close()

        asyncio.run(parent())
        """,
        lease.url,
    )

    assert said == ["0", "b'1' True"]


@pytest.mark.parametrize(
    "sources", [("return 1", "return 2"), ("return 1", "return 1 ")], ids=["other text", "white space"]
)
def test_scripts_are_known_by_their_text(sources: Sequence[str]) -> None:
    """Two scripts of one name are two."""
    assert len({Script("same", source).sha for source in sources}) == 2


async def test_a_socket_that_will_not_close_in_time_spoils_nothing(
    lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine redis-py gives up closing one; what was asked on it is answered already."""
    line = await Connection.open(lease.url)
    pool = line.commands.client.connection_pool
    close = pool.disconnect

    async def late() -> None:
        await close()
        raise TimeoutLater("Timed out closing connection after 2.0")

    monkeypatch.setattr(pool, "disconnect", late)
    await line.close()
