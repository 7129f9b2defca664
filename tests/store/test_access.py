"""The two users of a shared Redis: each side works under its own, and neither writes what the other one says."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from agentguard.approval import Brake, Desk, Grants
from agentguard.config import Settings, open_desk
from agentguard.errors import CallRefused, GuardUnavailable
from agentguard.guard.pipeline import Guard
from agentguard.model.approvals import Decision, Found, Grant, Scope, State
from agentguard.model.calls import ToolCall
from agentguard.store.access import AGENT, APPROVERS, AclUser, prefixes_of
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.approval.server import Server
from tests.guard.test_editing import TOLD
from tests.guard.world import World
from tests.store.redis_server import needs_redis_server, running, running_securely

pytestmark = [pytest.mark.anyio, needs_redis_server]

PASSWORD = "made-up-too"
ANN = "ann@acme.example"
POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: on-call}, critical: deny}
tools:
  find_customer: {risk: low, labels: [customer-data]}
  refund: {risk: high, labels: [], grants: {for: 30m, uses: 3, same: [order_id]}}
  close_account: {risk: high, labels: [], once: args.account}
  echo: {risk: low, labels: []}
rules:
  - {id: careful, tools: [refund], when: '"customer-data" in session.labels', ask: on-call}
limits:
  refunds: {tools: [refund], max: 100, over: 1h, deny: true}
approvals:
  on-call: {approvers: [group:on-call], deadline: 20s}
"""


@dataclass(frozen=True)
class Shared:
    """A server with both users, as each of three reaches it."""

    admin: str
    agent: str
    people: str


@asynccontextmanager
async def with_users(admin: str, tenant: str) -> AsyncIterator[Shared]:
    """Both users on a server, and where each finds it."""
    connection = await Connection.open(admin)
    for user in (AGENT, APPROVERS):
        _, name, *rules = user.line(PASSWORD, prefixes_of([tenant])).split()
        await connection.execute("ACL", "SETUSER", name, *rules)
    await connection.close()
    yield Shared(admin=admin, agent=_as(AGENT, admin), people=_as(APPROVERS, admin))


def _as(user: AclUser, url: str) -> str:
    scheme, _, rest = url.partition("://")
    place = rest.rpartition("@")[2]
    return f"{scheme}://{quote(user.name)}:{PASSWORD}@{place}"


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Redis on a socket."""
    with running(tmp_path_factory.mktemp("r")) as server:
        yield server.url


@pytest.fixture(scope="module")
def tls_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Redis with TLS."""
    with running_securely(tmp_path_factory.mktemp("t")) as server:
        yield server.url()


@pytest.fixture(scope="module")
def valkey_9_url() -> Iterator[str]:
    """Valkey."""
    server = Server()
    server.start()
    yield server.url
    server.remove()


@pytest.fixture(params=["redis_url", "tls_url", "valkey_9_url"], ids=["Redis", "Redis with TLS", "Valkey"])
async def shared(request: pytest.FixtureRequest, tenant: str) -> AsyncIterator[Shared]:
    """Each server with both users."""
    async with with_users(str(request.getfixturevalue(request.param)), tenant) as users:
        yield users


@pytest.fixture(params=["redis_url", "valkey_9_url"], ids=["Redis", "Valkey"])
async def users(request: pytest.FixtureRequest, tenant: str) -> AsyncIterator[Shared]:
    """Both kinds of server, without TLS, which makes no difference to rules."""
    async with with_users(str(request.getfixturevalue(request.param)), tenant) as made:
        yield made


@pytest.fixture
def world(state_dir: Path, shared: Shared, tenant: str) -> World:
    """A world whose agent is Redis's agent."""
    made = World(folder=state_dir, redis_url=shared.agent, tenant=tenant)
    (made.policies / "policy.yaml").write_text(POLICY)
    return made


@asynccontextmanager
async def at_the_desk(world: World, shared: Shared) -> AsyncIterator[Desk]:
    """The approvers' side, under its own user."""
    settings = Settings(redis_url=shared.people, state_dir=world.folder / "people", config_dir=world.folder / "config")
    async with open_desk(world.policies, settings, tenant=world.tenant) as desk:
        yield desk


async def waiting(desk: Desk) -> str:
    """The request that waits, once one does."""
    async with asyncio.timeout(10):
        while not (found := await desk.list()):
            await asyncio.sleep(0.01)
    return found[0].request.id


async def test_both_sides_work_under_their_users(world: World, shared: Shared) -> None:
    """Ask, edit, approve with a grant, use it, freeze, lift, settle, list and revoke: every move of either side."""
    with world.open() as guard, guard.session(user=ANN, id="thread"):
        async with at_the_desk(world, shared) as desk:
            # an edit, a vote with a grant, the permit, a use of the grant
            await world.call(guard, "find_customer", customer_id=7)
            call = asyncio.create_task(world.call(guard, "refund", "c1", order_id=7, amount=90.0))
            request = await waiting(desk)
            shown, bob = await desk.show(request), world.keys["bob"]
            edit = await desk.edit(request, {"amount": 5.0}, person="bob", key=bob, card_digest=shown.card_digest)
            await desk.answered(edit)
            await desk.decide(
                request,
                person="bob",
                key=bob,
                decision=Decision.APPROVE,
                card_digest=(await desk.show(request)).card_digest,
                grant=Grant(seconds=60, uses=1, session=True),
            )
            assert await call == f"{TOLD.format('amount=5.0')}refunded"
            assert await world.call(guard, "refund", "c2", order_id=7, amount=1.0) == "refunded"

            # a grant that is listed and revoked
            grants = Grants(channel=desk.channel)
            assert [each.used for each in await grants.list()] == [1]
            await grants.revoke(request, desk.roster, person="bob", key=bob)

            # a freeze, and its lift
            brake = Brake(channel=desk.channel, roster=desk.roster)
            order = await brake.freeze(Scope.TENANT, "", reason="why", person="bob", key=bob)
            assert await _frozen(world, guard)
            await brake.lift(order, reason="", person="cem", key=world.keys["cem"])

            # a deed that is settled
            deed = await _failed_deed(world, guard, desk)
            await desk.settle(deed, Found.DID_NOT, person="bob", key=bob)
            assert await desk.undone() == ()
            assert [one.state for one in await desk.list([State.DONE])] == [State.DONE]


async def _frozen(world: World, guard: Guard) -> bool:
    async with asyncio.timeout(20):
        while True:
            try:
                await world.call(guard, "echo", value=1)
            except CallRefused:
                return True


async def _failed_deed(world: World, guard: Guard, desk: Desk) -> str:
    async with asyncio.timeout(20):
        while True:
            try:
                await world.call(guard, "echo", value=1)
                break
            except CallRefused:
                await asyncio.sleep(0.01)
    undertaking = await guard.once.begin(guard.principals.current(), _call(), ["d" * 32])
    await guard.once.end(undertaking, State.FAILED)
    (run,) = await desk.undone()
    return run.subject


def _call() -> ToolCall:
    return ToolCall(tool="close_account", arguments={"account": 1})


@pytest.mark.parametrize(
    ("user", "keys"),
    [
        (AGENT, ("votes", "settled", "freezes", "lift", "revoked")),
        (APPROVERS, ("request", "claim", "deed", "vault", "uses", "grants")),
    ],
    ids=["agent", "approvers"],
)
async def test_t13_t32_no_command_writes_what_the_other_side_says(
    users: Shared, tenant: str, user: AclUser, keys: tuple[str, ...]
) -> None:
    """Every command of the server that writes, aimed at such keys: none is permitted. Asked of the server itself."""
    # given
    connection = await Connection.open(users.admin)
    known = (await connection.execute("COMMAND")).values()
    commands = [each for each in known if "write" in each["flags"] and each["first_key_pos"] > 0]
    tries = [(each["name"], _aimed(each, _key(tenant, key))) for each in commands for key in keys]

    # when
    said = await asyncio.gather(*(connection.execute("ACL", "DRYRUN", user.name, *words) for _, words in tries))
    permitted = [name for (name, _), answer in zip(tries, said, strict=True) if answer == b"OK"]
    await connection.close()

    # then
    assert len(commands) > 80
    assert permitted == []


def _key(tenant: str, kind: str) -> str:
    name = getattr(Names(tenant), kind)
    return str(name if isinstance(name, str) else name("x" * 32))


def _aimed(command: dict[str, Any], target: str) -> list[str]:
    words = ["1"] * max(abs(command["arity"]), command["first_key_pos"] + 1)
    words[0], words[command["first_key_pos"]] = command["name"], target
    return words


@pytest.mark.parametrize(
    "script",
    [
        "return redis.call('HSET', ARGV[1], 'vote:bob', '{}')",
        "return redis.call('HSET', ARGV[1], 'resolution', 'approved')",
        "return redis.call('DEL', ARGV[1])",
        "return redis.call('RENAME', ARGV[2], ARGV[1])",
        "return redis.call('COPY', ARGV[2], ARGV[1])",
        "return redis.call('RESTORE', ARGV[1], 0, redis.call('DUMP', ARGV[2]))",
        "redis.setresp(3) return redis.pcall('SET', ARGV[1], 'x')['ok']",
    ],
)
async def test_t13_t32_no_script_of_the_agents_user_writes_a_vote(users: Shared, tenant: str, script: str) -> None:
    """Commands inside a script are held to the caller's rules."""
    names = Names(tenant)
    connection, admin = await Connection.open(users.agent), await Connection.open(users.admin)
    await connection.execute("HSET", names.request("a" * 32), "vote:bob", "{}")
    with suppress(GuardUnavailable):
        await connection.execute("EVAL", script, 1, names.events, names.votes("b" * 32), names.request("a" * 32))
    assert await admin.execute("EXISTS", names.votes("b" * 32)) == 0
    await connection.close()
    await admin.close()


NOT_A_KEY = {"tenant", "prefix", "vaults", "all_subjects"}


@pytest.mark.parametrize("kind", sorted({name for name in vars(Names) if not name.startswith("_")} - NOT_A_KEY))
def test_every_key_has_a_writer(kind: str) -> None:
    """A key that no user may write would fail at a deployment's Redis first; add its kind to one of the lists."""
    member = vars(Names)[kind]
    values = inspect.signature(member).parameters if callable(member) else {}
    key = getattr(Names("t"), kind)
    key = key(*["x" for name in values if name != "self"]) if callable(key) else key
    assert any(fnmatchcase(key, f"ag:{{t}}:{pattern}") for pattern in (*AGENT.writes, *APPROVERS.writes))


@pytest.mark.parametrize("user", [AGENT, APPROVERS], ids=["agent", "approvers"])
async def test_neither_user_takes_from_a_stream_or_administers(users: Shared, tenant: str, user: AclUser) -> None:
    """No trimming, deleting, flushing or configuring."""
    # given
    events = Names(tenant).events
    commands = [f"XTRIM {events} MAXLEN 0", f"XDEL {events} 1-1", f"DEL {events}", f"UNLINK {events}", "FLUSHALL"]
    commands += [
        "CONFIG GET maxmemory",
        "ACL LIST",
        "KEYS *",
        "SCRIPT FLUSH",
        "FUNCTION LIST",
        "SHUTDOWN",
        "REPLICAOF a 1",
    ]
    connection = await Connection.open(users.admin)

    # when
    tries = (connection.execute("ACL", "DRYRUN", user.name, *command.split()) for command in commands)
    said = await asyncio.gather(*tries)
    await connection.close()

    # then
    assert b"OK" not in said


async def test_t35_a_user_of_one_tenant_reaches_no_other(users: Shared) -> None:
    """Its rules name the tenant's keys alone."""
    connection = await Connection.open(users.agent)
    with pytest.raises(GuardUnavailable, match="may not do this"):
        await connection.execute("HGETALL", Names("another").request("a" * 32))
    await connection.close()
