"""What calls have used of their limits, in a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from agentguard.errors import GuardUnavailable
from agentguard.model.limits import LARGEST, Amount, Charge, IfOver
from agentguard.model.tokens import Token
from agentguard.session import Goal, Ledger
from agentguard.store.names import Names
from agentguard.store.redis import Connection

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000


def ledger(lease_ms: int = 30_000) -> Ledger:
    """The limits of one tenant."""
    return Ledger(names=Names("acme"), key=b"k" * 32, lease_ms=lease_ms)


def cents(
    amount: int, most: int = 1000, *, limit: str = "paid", if_over: IfOver = IfOver.REFUSE, **more: int
) -> Charge:
    """A charge of so many cents, of at most so many."""
    return Charge(
        limit=limit,
        scope=("user=ann",),
        amount=Amount(*divmod(amount * 10**7, 10**9)),
        most=Amount(*divmod(most * 10**7, 10**9)),
        window_ms=more.get("window_ms", HOUR_MS),
        if_over=if_over,
    )


def people(most: int, if_over: IfOver = IfOver.REFUSE, window_ms: int = 0) -> Charge:
    """A limit on people."""
    return Charge("read", ("session=s",), Amount(0, 0), Amount(most, 0), window_ms, if_over, subjects="PERSON")


def persons(*names: str) -> list[Token]:
    """A token for each name, whose text differs between sessions."""
    return [Token(f"[PERSON_{index}]", "PERSON", name) for index, name in enumerate(names)]


async def spend(connection: Connection, *charges: Charge, hold: str = "h") -> tuple[str, tuple[str, ...]]:
    """Spend, by a call of its own."""
    return tuple(await ledger().charge(connection, Goal.SPEND, charges, hold=hold, call="c"))  # type: ignore[return-value]


async def hold(connection: Connection, *charges: Charge, name: str, lease_ms: int = 30_000) -> str:
    """Hold: the word that comes back."""
    return (await ledger(lease_ms).charge(connection, Goal.HOLD, charges, hold=name, call="c")).word


async def count(connection: Connection, charge: Charge, tokens: Sequence[Token], call: str = "c") -> str:
    """Count a result: the word that comes back."""
    return (await ledger().count(connection, [charge], tokens, call=call)).word


async def counters(connection: Connection) -> list[bytes]:
    """Every key there is."""
    return list(await connection.execute("KEYS", "ag:*"))


async def test_ten_small_amounts_trigger_as_one_large_one(connection: Connection) -> None:
    """A dime a hundred times is ten, to the cent; not one cent more."""
    words = [await spend(connection, cents(10)) for _ in range(100)]

    assert set(words) == {("spent", ())}
    assert await spend(connection, cents(1)) == ("refused", ("paid",))
    assert await spend(connection, cents(0)) == ("spent", ())


@pytest.mark.parametrize(("amount", "word"), [(1000, "spent"), (1001, "refused"), (10**17, "refused")])
async def test_the_most_may_be_used_and_no_more(connection: Connection, amount: int, word: str) -> None:
    """The boundary is inside."""
    assert (await spend(connection, cents(amount)))[0] == word


async def test_64_concurrent_charges_never_exceed_a_budget(connection: Connection) -> None:
    """Of 64 at once, as many are spent as there is room for, and the others are refused."""
    charged = await asyncio.gather(*(spend(connection, cents(99), hold=f"h{index}") for index in range(64)))

    assert [word for word, _ in charged].count("spent") == 10


async def test_64_concurrent_holds_never_exceed_a_budget(connection: Connection) -> None:
    """What is held leaves as little room as what is spent."""
    asks = cents(99, if_over=IfOver.ASK)
    moves = (ledger().charge(connection, Goal.HOLD, [asks], hold=f"h{index}", call="c") for index in range(64))

    assert [charged.over for charged in await asyncio.gather(*moves)].count(()) == 10


async def test_all_limits_are_charged_or_none(connection: Connection) -> None:
    """One that refuses keeps the others as they were."""
    first, second = cents(400, limit="first"), cents(2000, limit="second")

    assert await spend(connection, first, second) == ("refused", ("second",))
    assert await spend(connection, cents(1000, limit="first")) == ("spent", ())


async def test_over_a_limit_that_asks_the_others_are_held(connection: Connection) -> None:
    """While people think, what it takes from limits with room is kept for it."""
    charged = await spend(connection, cents(400, limit="first"), cents(2000, limit="second", if_over=IfOver.ASK))

    assert charged == ("held", ("second",))
    assert (await spend(connection, cents(601, limit="first"), hold="other"))[0] == "refused"
    assert (await spend(connection, cents(600, limit="first"), hold="other"))[0] == "spent"


async def test_what_people_agreed_to_counts_over_the_limit(connection: Connection) -> None:
    """An approved call is charged, and the next one is over."""
    assert (await spend(connection, cents(5000, if_over=IfOver.TAKE)))[0] == "spent"
    assert (await spend(connection, cents(1)))[0] == "refused"


async def test_an_amount_beyond_all_numbers_stays_over(connection: Connection) -> None:
    """Charges that add up to more than a number can hold never wrap or round to less."""
    huge = cents(1, if_over=IfOver.TAKE)._replace(amount=Amount(LARGEST, 0))
    for index in range(20):
        await spend(connection, huge, hold=f"h{index}")

    assert (await spend(connection, cents(1, most=10**14)))[0] == "refused"


async def test_a_hold_is_renewed_spent_or_given_back(connection: Connection) -> None:
    """The same hold again is one hold; spent it counts once; given back not at all."""
    mine = cents(600)

    assert [await hold(connection, mine, name="a") for _ in range(3)] == ["held"] * 3
    assert (await spend(connection, mine, hold="b"))[0] == "refused"
    assert (await spend(connection, mine, hold="a"))[0] == "spent"
    assert await hold(connection, cents(400), name="c") == "held"
    await ledger().give_back(connection, [cents(400)], hold="c")
    assert (await spend(connection, cents(400), hold="d"))[0] == "spent"


async def test_a_hold_that_nobody_renews_lapses(connection: Connection) -> None:
    """A crash before the permit gives it back after its lease."""
    assert await hold(connection, cents(1000), name="crashed", lease_ms=1) == "held"
    await asyncio.sleep(0.005)

    assert (await spend(connection, cents(1000)))[0] == "spent"


async def test_what_was_spent_counts_until_its_window_is_over(connection: Connection) -> None:
    """And never a moment less, however the window is cut."""
    window = cents(1000, window_ms=300)
    started = asyncio.get_running_loop().time()
    assert (await spend(connection, window))[0] == "spent"

    while (await spend(connection, window))[0] == "refused":
        await asyncio.sleep(0.01)

    assert 0.3 <= asyncio.get_running_loop().time() - started < 2


async def test_counters_do_not_outlive_what_they_count(connection: Connection) -> None:
    """Each key has a time to live, a little over its window."""
    await spend(connection, cents(1))
    await count(connection, people(3, window_ms=HOUR_MS), persons("Ann"))

    lives = [int(await connection.execute("PTTL", key)) for key in await counters(connection)]

    assert len(lives) == 2
    assert all(HOUR_MS < life <= HOUR_MS + 120_000 for life in lives)


async def test_limits_of_others_are_others(connection: Connection) -> None:
    """Another user, another limit, another tenant: budgets of their own."""
    await spend(connection, cents(1000))
    elsewhere = Ledger(names=Names("other"), key=b"k" * 32)

    assert (await spend(connection, cents(1000)._replace(scope=("user=bob",))))[0] == "spent"
    assert (await spend(connection, cents(1000, limit="another")))[0] == "spent"
    assert (await elsewhere.charge(connection, Goal.SPEND, [cents(1000)], hold="h", call="c")).word == "spent"


async def test_a_hundred_small_reads_trip_like_one_export(connection: Connection) -> None:
    """Each person counts once, in whatever session and spelling of the token."""
    words = [await count(connection, people(20), persons(f"Person {index}", "Ann")) for index in range(25)]

    assert words == ["counted"] * 19 + ["withheld"] * 6
    assert await count(connection, people(20), persons("Ann", "Person 3", "Person 3")) == "counted"
    assert await count(connection, people(40), persons(*(f"Person {index}" for index in range(41)))) == "withheld"


async def test_64_concurrent_readers_never_exceed_a_limit_on_subjects(connection: Connection) -> None:
    """Of 64 results at once with three new people each, as many are counted as there is room for."""
    results = [persons(*(f"Person {reader} {index}" for index in range(3))) for reader in range(64)]

    words = await asyncio.gather(*(count(connection, people(20), result) for result in results))

    assert words.count("counted") == 6


async def test_a_result_without_room_counts_nobody(connection: Connection) -> None:
    """What is not handed out was not seen."""
    assert await count(connection, people(3), persons("a", "b", "c", "d")) == "withheld"
    assert await count(connection, people(3), persons("e", "f", "g")) == "counted"


async def test_a_call_whose_result_was_withheld_asks_the_next_time(connection: Connection) -> None:
    """That call alone; with a limit that denies, small reads go on until there is no room."""
    asks, denies = people(3, IfOver.ASK), people(3, IfOver.REFUSE)._replace(limit="strict")
    for charge in (asks, denies):
        await count(connection, charge, persons("a", "b", "c", "d"), call="export")

    async def over(charge: Charge, call: str) -> tuple[str, ...]:
        return (await ledger().charge(connection, Goal.SPEND, [charge], hold="h", call=call)).over

    assert await over(asks, "export") == ("read",)
    assert await over(asks, "another") == ()
    assert await over(denies, "export") == ()


async def test_a_full_limit_on_subjects_stops_the_next_call(connection: Connection) -> None:
    """Before its tool runs; what people agreed to leaves it full."""
    await count(connection, people(3, IfOver.TAKE), persons("a", "b", "c", "d", "e"))

    assert (await spend(connection, people(3)))[1] == ("read",)
    assert await count(connection, people(3), persons("z")) == "withheld"


async def test_only_the_type_that_a_limit_names_is_counted(connection: Connection) -> None:
    """A hundred e-mail addresses are no person."""
    addresses = [Token(f"[EMAIL_{index}]", "EMAIL_ADDRESS", f"p{index}@mail.example") for index in range(100)]

    assert await count(connection, people(1), addresses) == "counted"


async def test_a_counter_that_holds_what_no_counter_holds_stops_the_call(connection: Connection) -> None:
    """What somebody wrote into Redis by hand is never read as room."""
    await spend(connection, cents(1))
    (key,) = await counters(connection)
    await connection.execute("HSET", key, "b:99999999999999", "nonsense")

    with pytest.raises(GuardUnavailable, match="redis"):
        await spend(connection, cents(1))
