"""Tokens and labels of sessions, on a real server."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agentguard.errors import GuardUnavailable
from agentguard.model.tokens import Known
from agentguard.session import News
from agentguard.store.embedded import Embedded
from agentguard.store.names import Names
from agentguard.store.redis import Connection
from agentguard.store.seal import SealBroken, Sealer
from tests.session.made import (
    DIGEST_KEY,
    NEWER_KEY,
    SEAL_KEY,
    TOOL,
    TTL_MS,
    Clock,
    email,
    principal,
    remember,
    sessions,
)

pytestmark = pytest.mark.anyio

ANN = principal()
NAMES = Names("acme")


async def test_another_process_reads_what_one_remembered(connection: Connection) -> None:
    """Value, type and origin; what nobody remembered is absent."""
    # given
    await remember(sessions(), connection, email(1), email(2))
    # when
    found = await sessions().fetch(connection, ANN, [email(2).text, "[EMAIL_zzzzzzzzzz]", email(1).text])
    # then
    assert found == {email(1).text: Known(email(1), (TOOL,)), email(2).text: Known(email(2), (TOOL,))}


async def test_what_a_process_stored_it_does_not_store_again(connection: Connection) -> None:
    """Nothing is unseen, and nothing has to be fetched."""
    # given
    known = sessions()
    # when
    await remember(known, connection, email(1), labels=("untrusted",))
    # then
    assert known.unseen(ANN, [email(1)], ["untrusted"], TOOL) is None
    assert known.cached(ANN, [email(1).text]) == ({email(1).text: Known(email(1), (TOOL,))}, ())


async def test_what_a_process_fetched_it_does_not_fetch_again(connection: Connection) -> None:
    """The rest is named as missing."""
    # given
    await remember(sessions(), connection, email(1))
    known = sessions()
    before = known.cached(ANN, [email(1).text, email(2).text, email(1).text])
    # when
    await known.fetch(connection, ANN, [email(1).text])
    # then
    assert before == ({}, (email(1).text, email(2).text))
    assert known.cached(ANN, [email(1).text, email(2).text])[1] == (email(2).text,)


async def test_only_what_is_new_is_news(connection: Connection) -> None:
    """Each token once, each label once, in their order."""
    # given
    known = sessions()
    await remember(known, connection, email(1), labels=("customer-data",))
    # when
    news = known.unseen(
        ANN, [email(1), email(3), email(2), email(3)], ["untrusted", "customer-data", "untrusted"], TOOL
    )
    # then
    assert news == News((email(3), email(2)), ("untrusted",))


async def test_a_token_has_every_tool_that_it_came_from(connection: Connection) -> None:
    """Origins merge, across processes, and a known token under a new origin is stored again."""
    # given
    one, two = sessions(), sessions()
    await remember(one, connection, email(1), origin="get_customer")
    # when
    await remember(two, connection, email(1), origin="read_page")
    await remember(one, connection, email(1), origin="a.search")
    # then
    origins = ("a.search", "get_customer", "read_page")
    assert (await sessions().fetch(connection, ANN, [email(1).text]))[email(1).text].origins == origins
    assert one.cached(ANN, [email(1).text])[0][email(1).text].origins == origins


async def test_an_origin_is_no_part_of_another(connection: Connection) -> None:
    """`send` is not found in `send_email`."""
    # given
    await remember(sessions(), connection, email(1), origin="send_email")
    # when
    await remember(sessions(), connection, email(1), origin="send")
    # then
    known = await sessions().fetch(connection, ANN, [email(1).text])
    assert known[email(1).text].origins == ("send", "send_email")


async def test_an_origin_with_a_line_break_is_refused(connection: Connection) -> None:
    """It would pass for two tools."""
    # given
    known = sessions()
    # when, then
    with pytest.raises(GuardUnavailable, match="line break"):
        await known.remember(connection, ANN, News((email(1),), ()), "one\ntwo")


async def test_two_processes_with_one_token_make_one_entry(connection: Connection) -> None:
    """The first entry stays as it is, sealed bytes and all."""
    # given
    await remember(sessions(), connection, email(1))
    before = await connection.execute("HGET", NAMES.vault(principal("thread-1").scope), "v:" + email(1).text)
    # when
    await remember(sessions(), connection, email(1))
    # then
    assert await connection.execute("HGET", NAMES.vault(principal("thread-1").scope), "v:" + email(1).text) == before
    assert await connection.execute("HLEN", NAMES.vault(principal("thread-1").scope)) == 3


async def test_500_new_tokens_take_one_round_trip(connection: Connection) -> None:
    """One EVALSHA, whatever the number."""
    # given
    await remember(sessions(), connection, email(0))
    tokens = [email(number) for number in range(1, 501)]
    known = sessions()
    await connection.execute("CONFIG", "RESETSTAT")
    # when
    await remember(known, connection, *tokens, labels=("untrusted",))
    # then
    stats = await connection.execute("INFO", "commandstats")
    assert stats["cmdstat_evalsha"]["calls"] == 1
    assert "cmdstat_eval" not in stats
    assert len(await sessions().fetch(connection, ANN, [token.text for token in tokens])) == 500


async def test_two_values_under_one_token_stop_the_call(connection: Connection) -> None:
    """The entry there stays, and the other tokens and labels of that call are no worse for it."""
    # given
    await remember(sessions(), connection, email(1, "ann@acme.example"))
    other = sessions()
    # when
    with pytest.raises(GuardUnavailable, match="two values"):
        await remember(other, connection, email(1, "bob@acme.example"), email(2), labels=("untrusted",))
    # then
    found = await sessions().fetch(connection, ANN, [email(1).text])
    assert found[email(1).text].token.value == "ann@acme.example"
    assert await sessions().labels(connection, ANN) == ("untrusted",)
    assert other.cached(ANN, [email(1).text]) == ({}, (email(1).text,))


async def test_a_token_that_another_process_stored_is_known_once_it_was_read(connection: Connection) -> None:
    """It is the same, though this process made it anew; with another origin or another label it is news."""
    # given
    other = sessions()
    await sessions().remember(connection, ANN, News((email(1),), ("crm",)), TOOL, ("crm",))
    await other.fetch(connection, ANN, [email(1).text])
    await other.labels(connection, ANN)
    # when, then
    assert other.unseen(ANN, [email(1)], ["crm"], TOOL) is None
    assert other.unseen(ANN, [email(1), email(1)], ["crm", "web"], TOOL) == News((email(1),), ("web",))
    assert other.unseen(ANN, [email(1)], ["crm"], "read_page") == News((email(1),), ())


async def test_another_spelling_of_a_known_value_is_known(connection: Connection) -> None:
    """What counts is what it stands for."""
    # given
    known, spelled = sessions(), email(1)._replace(canonical="one")
    await remember(known, connection, spelled)
    # when, then
    assert known.unseen(ANN, [spelled._replace(value="ONE")], [], TOOL) is None
    with pytest.raises(GuardUnavailable, match="two values"):
        known.unseen(ANN, [spelled, spelled._replace(canonical="two")], [], TOOL)


async def test_two_values_under_one_token_are_seen_in_this_process_too(connection: Connection) -> None:
    """Against what is known, and within one result."""
    # given
    known = sessions()
    await remember(known, connection, email(1))
    # when, then
    with pytest.raises(GuardUnavailable, match="two values"):
        known.unseen(ANN, [email(1, "bob@acme.example")], [], TOOL)
    with pytest.raises(GuardUnavailable, match="two values"):
        known.unseen(ANN, [email(2), email(2, "bob@acme.example")], [], TOOL)


async def test_an_entry_of_an_older_key_is_the_same_value(connection: Connection) -> None:
    """Rotating the key of the digests is no collision."""
    # given
    await remember(sessions(), connection, email(1))
    # when
    await remember(sessions(keys=[NEWER_KEY, DIGEST_KEY]), connection, email(1), origin="read_page")
    # then
    assert len(await sessions().fetch(connection, ANN, [email(1).text])) == 1


async def test_what_an_older_key_sealed_is_sealed_anew_when_it_is_used(connection: Connection) -> None:
    """Read or stored again under the new key it opens without the old one; what nobody used since does not."""
    # given
    tokens = [email(number) for number in range(3)]
    await remember(sessions(), connection, *tokens)
    rotated: dict[str, object] = {"sealer": Sealer([NEWER_KEY, SEAL_KEY]), "keys": [NEWER_KEY, DIGEST_KEY]}
    newest: dict[str, object] = {"sealer": Sealer([NEWER_KEY]), "keys": [NEWER_KEY]}
    # when
    await sessions(**rotated).fetch(connection, ANN, [email(0).text])
    await remember(sessions(**rotated), connection, email(1))
    # then
    assert len(await sessions(**newest).fetch(connection, ANN, [email(0).text, email(1).text])) == 2
    with pytest.raises(SealBroken):
        await sessions(**newest).fetch(connection, ANN, [email(2).text])
    await remember(sessions(**newest), connection, email(0), origin="read_page")


async def test_catching_up_reads_only_what_is_new(connection: Connection) -> None:
    """All of it at first, then what others put there, then nothing; after an erasure all of it again."""
    # given
    await remember(sessions(), connection, email(0), email(1))
    known = sessions()
    # when
    seen, first = await known.catch_up(connection, ANN, None)
    await remember(sessions(), connection, email(2))
    seen, second = await known.catch_up(connection, ANN, seen)
    same, third = await known.catch_up(connection, ANN, seen)
    await connection.execute("INCR", NAMES.erasures)
    _, fourth = await known.catch_up(connection, ANN, seen)
    # then
    assert [len(found) for found in (first, second, third, fourth)] == [2, 1, 0, 3]
    assert same == seen


async def test_t27_a_token_of_another_session_never_resolves(connection: Connection) -> None:
    """Neither from this process's memory nor from the server."""
    # given
    known = sessions()
    await remember(known, connection, email(1), by=principal("thread-1"))
    # when
    cached, missing = known.cached(principal("thread-2"), [email(1).text])
    found = await known.fetch(connection, principal("thread-2"), missing)
    # then
    assert (cached, missing, found) == ({}, (email(1).text,), {})


@pytest.mark.parametrize(
    ("field", "key"),
    [
        (email(1).text, NAMES.vault(principal("thread-2").scope)),
        (email(2).text, NAMES.vault(principal("thread-1").scope)),
    ],
    ids=["another session", "another token"],
)
async def test_t27_an_entry_that_somebody_copied_does_not_open(connection: Connection, field: str, key: str) -> None:
    """Whoever can write to the server can't make a token stand for another value: the call stops."""
    # given
    await remember(sessions(), connection, email(1))
    stored = await connection.execute("HGET", NAMES.vault(principal("thread-1").scope), "v:" + email(1).text)
    # when
    await connection.execute("HSET", key, "v:" + field, stored)
    # then
    session = "thread-2" if key == NAMES.vault(principal("thread-2").scope) else "thread-1"
    with pytest.raises(SealBroken):
        await sessions().fetch(connection, principal(session), [field])


async def test_t35_tenants_do_not_meet(connection: Connection) -> None:
    """The same session, token and label in another tenant are others."""
    # given
    await remember(sessions("acme"), connection, email(1), labels=("untrusted",))
    there = principal(tenant="globex")
    # when
    found = await sessions("globex").fetch(connection, there, [email(1).text])
    labels = await sessions("globex").labels(connection, there)
    # then
    assert (found, labels) == ({}, ())


async def test_t35_a_guard_of_one_tenant_serves_no_other(connection: Connection) -> None:
    """A principal of another tenant is refused, not looked up."""
    # when, then
    with pytest.raises(GuardUnavailable, match="tenant"):
        await sessions("acme").fetch(connection, principal(tenant="globex"), [email(1).text])
    with pytest.raises(GuardUnavailable, match="tenant"):
        await sessions("acme").labels(connection, principal(tenant="globex"))


async def test_t26_no_value_lies_in_clear_on_the_server(connection: Connection, state_dir: Path) -> None:
    """Neither in a reply nor in any file of the server."""
    # given
    canary = "canary-7431@acme.example"
    await remember(sessions(), connection, email(1, canary))
    # when
    stored = await connection.execute("HGETALL", NAMES.vault(principal("thread-1").scope))
    files = _contents(state_dir)
    # then
    assert canary.encode() not in repr(stored).encode()
    assert any(email(1).text.encode() in data for data in files)
    assert [data for data in files if canary.encode() in data or b"canary" in data] == []


def _contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def test_labels_are_sorted_and_only_grow(connection: Connection) -> None:
    """Of all processes; an old label is never taken away by a new one."""
    # given
    await remember(sessions(), connection, labels=("untrusted",))
    # when
    await remember(sessions(), connection, labels=("customer-data",))
    # then
    assert await sessions().labels(connection, ANN) == ("customer-data", "untrusted")


async def test_a_label_that_the_server_lost_is_not_lost_here(connection: Connection) -> None:
    """This process put it there, so it counts as long as this process lives."""
    # given
    known = sessions()
    await remember(known, connection, labels=("untrusted",))
    # when
    await connection.execute("FLUSHALL")
    # then
    assert await known.labels(connection, ANN) == ("untrusted",)


async def test_labels_and_tokens_survive_a_restart_of_everything(tmp_path: Path) -> None:
    """Of the process and of the server."""
    # given
    lease = Embedded().acquire(tmp_path)
    first = await Connection.open(lease.url)
    await remember(sessions(), first, email(1), labels=("untrusted",))
    await first.close()
    lease.release()
    # when
    lease = Embedded().acquire(tmp_path)
    second = await Connection.open(lease.url)
    labels = await sessions().labels(second, ANN)
    found = await sessions().fetch(second, ANN, [email(1).text])
    await second.close()
    lease.release()
    # then
    assert labels == ("untrusted",)
    assert found[email(1).text].token == email(1)


async def test_both_keys_lapse_after_the_time_to_live(connection: Connection) -> None:
    """Nothing stays for ever."""
    # when
    await remember(sessions(), connection, email(1), labels=("untrusted",))
    # then
    lives = await connection.pipeline(
        [["PTTL", NAMES.vault(principal("thread-1").scope)], ["PTTL", NAMES.labels("thread-1")]]
    )
    assert [0.9 * TTL_MS < left <= TTL_MS for left in lives] == [True, True]


@pytest.mark.parametrize("read", ["fetch", "labels"])
async def test_reading_a_session_keeps_it_alive(connection: Connection, read: str) -> None:
    """All of it: a label does not lapse because only tokens are read."""
    # given
    await remember(sessions(), connection, email(1), labels=("untrusted",))
    keys = [NAMES.vault(principal("thread-1").scope), NAMES.labels("thread-1")]
    await connection.pipeline([["PEXPIRE", key, 5_000] for key in keys])
    # when
    arguments = {"fetch": ([email(1).text],), "labels": ()}[read]
    await getattr(sessions(), read)(connection, ANN, *arguments)
    # then
    lives = await connection.pipeline([["PTTL", key] for key in keys])
    assert [left > 5_000 for left in lives] == [True, True]


async def test_after_half_the_time_to_live_a_session_is_stored_again(connection: Connection) -> None:
    """Labels that this process knows come back even if the server let them lapse, with no token or label in sight."""
    # given
    clock = Clock()
    known = sessions(now_ms=clock)
    await remember(known, connection, email(1), labels=("untrusted",))
    clock.ms += TTL_MS // 2 - 1
    early = known.unseen(ANN, [], [], TOOL)
    # when
    clock.ms += 1
    await connection.execute("FLUSHALL")
    await remember(known, connection)
    # then
    assert early is None
    assert await sessions().labels(connection, ANN) == ("untrusted",)
    assert known.unseen(ANN, [], [], TOOL) is None


async def test_after_half_the_time_to_live_a_token_is_read_and_stored_again(connection: Connection) -> None:
    """What is old here may be gone there."""
    # given
    clock = Clock()
    known = sessions(now_ms=clock)
    await remember(known, connection, email(1))
    # when
    clock.ms += TTL_MS // 2
    # then
    assert known.cached(ANN, [email(1).text]) == ({}, (email(1).text,))
    assert known.unseen(ANN, [email(1)], [], TOOL) == News((email(1),), ())


async def test_memory_is_bounded_and_forgetting_is_harmless(connection: Connection) -> None:
    """The oldest tokens and sessions are asked for again, and found."""
    # given
    known = sessions(tokens_kept=2, sessions_kept=2)
    await remember(known, connection, email(1), email(2), email(3))
    # when
    found, missing = known.cached(ANN, [email(1).text, email(2).text, email(3).text])
    known.cached(principal("thread-2"), [])
    known.cached(principal("thread-3"), [])
    # then
    assert (list(found), missing) == ([email(2).text, email(3).text], (email(1).text,))
    assert known.cached(ANN, [email(3).text]) == ({}, (email(3).text,))
    assert email(3).text in await known.fetch(connection, ANN, [email(3).text])


async def test_a_lost_server_stores_nothing_and_forgets_nothing(tmp_path: Path) -> None:
    """The call is told, and what was new stays new."""
    # given
    lease = Embedded().acquire(tmp_path)
    connection = await Connection.open(lease.url)
    known = sessions()
    news = known.unseen(ANN, [email(1)], ["untrusted"], TOOL)
    assert news is not None
    # when
    lease.release()
    with pytest.raises(GuardUnavailable, match="redis"):
        await known.remember(connection, ANN, news, TOOL)
    # then
    await connection.close()
    assert known.unseen(ANN, [email(1)], ["untrusted"], TOOL) == news


async def test_a_forked_child_starts_with_nothing(connection: Connection) -> None:
    """It asks the server for what its parent knew."""
    # given
    known = sessions()
    await remember(known, connection, email(1))
    # when
    status = _in_child(lambda: known.cached(ANN, [email(1).text]) == ({}, (email(1).text,)))
    # then
    assert status == 0


def _in_child(holds: Callable[[], bool]) -> int:
    """The exit status of a forked child: 0 where it finds this to hold."""
    child = os.fork()
    if child == 0:
        os._exit(0 if holds() else 1)
    return os.waitpid(child, 0)[1]


def test_sessions_without_a_key_are_refused() -> None:
    """Digests of values need one."""
    # when, then
    with pytest.raises(GuardUnavailable, match="no key"):
        sessions(keys=[])


async def test_a_value_sealed_with_a_lost_key_stops_the_call(connection: Connection) -> None:
    """A token that can't be opened is not taken for plain text."""
    # given
    await remember(sessions(), connection, email(1))
    # when, then
    with pytest.raises(SealBroken):
        await sessions(sealer=Sealer([NEWER_KEY])).fetch(connection, ANN, [email(1).text])
