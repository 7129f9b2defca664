"""Words of sessions, on a real server: what the user wrote, what results brought, and how often tools were called."""

from __future__ import annotations

import pytest

from agentguard.errors import GuardUnavailable
from agentguard.model.calls import Principal
from agentguard.session import SeenWords, Words
from agentguard.session.words import BROUGHT_MAX, DIGEST_BYTES, SAID_MAX
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from tests.session.made import email, principal, remember, sessions

pytestmark = pytest.mark.anyio

ANN = principal()
OLD, NEW = b"o" * 32, b"n" * 32
MANY = " ".join(f"w{number:06}" for number in range(14_000))


def words(*keys: bytes, tenant: str = "acme") -> Words:
    """What one process knows: each call stands for a process of its own."""
    return Words(names=Names(tenant), keys=keys or (OLD,))


async def seen(known: Words, connection: Connection, who: Principal = ANN) -> SeenWords:
    return (await known.read(connection, who)).words


async def test_another_process_knows_what_the_user_wrote(connection: Connection) -> None:
    """And that nothing else was written."""
    one = words()
    one.say(ANN, "Pay 50 to ann@acme.example")
    await seen(one, connection)

    found = await seen(words(), connection)

    assert found.user_wrote("ann@acme.example")
    assert found.user_wrote(50)
    assert not found.user_wrote("mark@evil.example")


async def test_another_process_knows_where_a_value_came_from(connection: Connection) -> None:
    """Each tool by itself; a value that nothing held came from nowhere."""
    one = words()
    one.bring(ANN, "read_mail", "mark@evil.example wants 50")
    await one.read(connection, ANN, source="read_mail")
    one.bring(ANN, "list_files", "50 files")
    await one.read(connection, ANN, source="list_files")

    found = await seen(words(), connection)

    assert found.came_from("mark@evil.example") == ["read_mail"]
    assert found.came_from(50) == ["list_files", "read_mail"]
    assert found.came_from("ann@acme.example") == []


async def test_only_what_is_new_is_read_and_written(connection: Connection) -> None:
    """The same words twice are stored once, and a process reads on from where it was."""
    one, other = words(), words()
    one.say(ANN, "Pay ann@acme.example")
    await seen(one, connection)
    await seen(other, connection)
    length = await connection.execute("STRLEN", Names("acme").said(ANN.scope))

    assert one.say(ANN, "Pay ann@acme.example") is False
    one.say(ANN, "and bob@acme.example")
    await seen(one, connection)

    assert (await seen(other, connection)).user_wrote("bob@acme.example")
    assert await connection.execute("STRLEN", Names("acme").said(ANN.scope)) < 3 * length


@pytest.mark.parametrize(
    ("who", "tenant"),
    [
        pytest.param(principal("thread-2"), "acme", id="another session"),
        pytest.param(ANN.model_copy(update={"user": "bob@acme.example"}), "acme", id="another user"),
        pytest.param(principal(tenant="other"), "other", id="another tenant"),
    ],
)
async def test_t35_words_of_one_session_are_nothing_in_another(
    connection: Connection, who: Principal, tenant: str
) -> None:
    """Nobody told there what the user wrote."""
    one = words()
    one.say(ANN, "Pay ann@acme.example")
    await seen(one, connection)

    found = await seen(words(tenant=tenant), connection, who)

    with pytest.raises(LookupError, match="nobody told"):
        found.user_wrote("ann@acme.example")


async def test_t34_nothing_in_redis_tells_a_word_without_the_key(connection: Connection) -> None:
    """No clear text, and digests that are others under another key."""
    one, other = words(OLD), words(NEW, tenant="acme")
    one.say(ANN, "Pay ann@acme.example")
    await seen(one, connection)
    stored = await connection.execute("GET", Names("acme").said(ANN.scope))

    assert b"ann" not in stored
    assert not (await seen(other, connection)).user_wrote("ann@acme.example")


async def test_a_new_key_still_finds_what_an_older_one_wrote(connection: Connection) -> None:
    """Rotation makes nobody forget."""
    one = words(OLD)
    one.say(ANN, "Pay ann@acme.example")
    one.bring(ANN, "read_mail", "mark@evil.example")
    await one.read(connection, ANN, source="read_mail")

    found = await seen(words(NEW, OLD), connection)

    assert found.user_wrote("ann@acme.example")
    assert found.came_from("mark@evil.example") == ["read_mail"]


async def test_an_empty_text_is_something_that_the_user_wrote(connection: Connection) -> None:
    """Told is told: nothing stands in it."""
    one = words()
    one.say(ANN, "")

    assert not (await seen(one, connection)).user_wrote("ann@acme.example")


async def test_over_the_cap_what_is_not_found_is_unknown(connection: Connection) -> None:
    """For the process that told, and for others; what was found before stays found, and Redis keeps no more than the cap."""
    one = words()
    one.say(ANN, "Pay ann@acme.example")
    await seen(one, connection)
    one.say(ANN, MANY)
    await seen(one, connection)

    for found in (await seen(one, connection), await seen(words(), connection)):
        assert found.user_wrote("ann@acme.example")
        with pytest.raises(LookupError, match="more than is kept"):
            found.user_wrote("mark@evil.example")
    assert await connection.execute("STRLEN", Names("acme").said(ANN.scope)) <= (SAID_MAX + 1) * DIGEST_BYTES


async def test_results_over_the_cap_make_every_origin_unknown(connection: Connection) -> None:
    """An attacker who floods the session can't hide where a value came from; the user's words stay known."""
    one = words()
    one.say(ANN, "Pay ann@acme.example")
    for page in range(3):
        one.bring(ANN, "read_page", MANY.replace("w", f"x{page}"))
        await one.read(connection, ANN, source="read_page")

    found = await seen(words(), connection)

    with pytest.raises(LookupError, match="too much"):
        found.came_from("mark@evil.example")
    assert found.user_wrote("ann@acme.example")
    assert await connection.execute("STRLEN", Names("acme").brought(ANN.scope)) <= (BROUGHT_MAX + 1) * DIGEST_BYTES


async def test_results_that_nobody_kept_make_every_origin_unknown(connection: Connection) -> None:
    """A policy that began to ask in the middle of a session can't know what came before."""
    await remember(sessions(), connection, email(1), labels=("untrusted",))
    one = words()
    one.bring(ANN, "read_mail", "mark@evil.example")
    await one.read(connection, ANN, source="read_mail")

    with pytest.raises(LookupError, match="too much"):
        (await seen(words(), connection)).came_from("mark@evil.example")


async def test_calls_are_counted_in_every_process(connection: Connection) -> None:
    """One move counts and tells; labels of the session are told with it."""
    await remember(sessions(), connection, labels=("untrusted",))
    await words().read(connection, ANN, count="search")
    await words().read(connection, ANN, count="send_email")

    standing = await words().read(connection, ANN, count="search")

    assert standing.counts == {"search": 2, "send_email": 1}
    assert standing.labels == ("untrusted",)


@pytest.mark.slow
async def test_every_key_of_a_thousand_sessions_has_a_time_to_live(connection: Connection) -> None:
    """What a session leaves behind goes away by itself."""
    one = words()
    for number in range(1_000):
        who = principal(f"thread-{number}")
        one.say(who, "Pay ann@acme.example 50")
        one.bring(who, "read_mail", "mark@evil.example")
        await one.read(connection, who, count="read_mail", source="read_mail")

    keys = await connection.execute("KEYS", "*")
    lives = await connection.pipeline([["PTTL", key] for key in keys])

    assert len(keys) == 4_000
    assert min(lives) > 0


async def test_a_process_keeps_a_bounded_number_of_sessions_and_digests(connection: Connection) -> None:
    """What it forgot it reads again."""
    one = Words(names=Names("acme"), keys=[OLD], digests_kept=2_000)
    for number in range(60):
        who = principal(f"thread-{number}")
        one.say(who, " ".join(f"name{number}x{each}" for each in range(50)))
        await seen(one, connection, who)

    assert sum(session.size for session in one._sessions.values()) < 4_000
    assert (await seen(one, connection, principal("thread-0"))).user_wrote("name0x7")


async def test_another_tenants_session_is_refused(connection: Connection) -> None:
    """A guard of one tenant reads no other's keys."""
    with pytest.raises(GuardUnavailable):
        await words().read(connection, principal(tenant="other"))
