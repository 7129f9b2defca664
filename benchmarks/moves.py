"""What the moves of a request cost in bare scripts of the same run, and whether many open requests slow a decision.

Open, vote and redeem are made through the channel on a real server that syncs each write; a bare move is an EVALSHA that writes as
many bytes into one hash. Rounds of both take turns, and figures are ratios of medians. Then so many requests are left open, and votes are
measured again. Exit code 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from agentguard.approval import Channel, RecordMac, Restraint, Stored, sign_vote
from agentguard.approval.channel import LEASE_MS
from agentguard.model.approvals import Card, Decision, Request, State, Vote
from agentguard.model.calls import Principal
from agentguard.model.facts import Facts
from agentguard.model.verdicts import Effect, Need, Risk, Verdict
from agentguard.store.embedded import Embedded
from agentguard.store.keys import SigningKey
from agentguard.store.names import Names
from agentguard.store.redis import Connection, Script

GOAL_MOVES, GOAL_OPEN = 1.5, 1.2
BARE = Script("bare", "redis.call('HSET', KEYS[1], 'value', ARGV[1]) return {'done', redis.call('TIME')[1]}")
KEY = SigningKey.new()
ARGUMENTS = '{"customer":"[PERSON_k3q7xz2m4c]","limit":500,"note":"' + "x" * 400 + '"}'
SEALED = secrets.token_bytes(600)
RESTRAINT = Restraint(pending=1_000_000, per_minute=1_000_000, after_rejection_ms=600_000)
"""More than is asked here, and counted as less would be."""


def a_request() -> Request:
    """A request as an agent opens it: about 2 kB of record."""
    need = Need(name="on-call", approvers=("group:on-call",), deadline_seconds=3600)
    verdict = Verdict(
        tool="export", risk=Risk.HIGH, effect=Effect.ASK, clauses=(), needs=(need,), policy_version="sha256:0"
    )
    card = Card(
        title="Export 500 customers", tool="export", agent="clerk", user="dan@acme.example", session="thread-1",
        risk="high", reasons=("rule bulk-export",), arguments=ARGUMENTS,
    )  # fmt: skip
    return Request(
        id=secrets.token_hex(16),
        principal=Principal(tenant="moves", agent="clerk", user="dan@acme.example", session=secrets.token_hex(4)),
        call_id=secrets.token_hex(4),
        tool="export",
        digest=secrets.token_hex(32),
        model_digest=secrets.token_hex(32),
        card=card,
        verdict=verdict,
        facts=Facts(),
        assurance="separate",
    )


def a_vote(request: Request) -> Vote:
    """An approval of it, signed."""
    return sign_vote(
        request, person="ann", groups=("on-call",), approvals=("on-call",), decision=Decision.APPROVE, comment="",
        card_digest=request.card.digest(), time_ms=request.opened_ms, signer="ann", key=KEY,
    )  # fmt: skip


async def opened(channel: Channel) -> tuple[float, Request]:
    """Seconds of one opening, and the request."""
    request = channel._timed(a_request())
    started = time.perf_counter()
    word, _ = await channel._try_open(request, SEALED, "", RESTRAINT)
    took = time.perf_counter() - started
    if word != "created":
        raise RuntimeError(f"a request was not opened: {word}")
    return took, request


async def moves(channel: Channel) -> float:
    """Seconds of opening, deciding and redeeming one request; signing and reading in between are not counted."""
    took, request = await opened(channel)
    stored = await channel.read(request.id)
    vote = a_vote(stored.request)
    started = time.perf_counter()
    await channel.vote(vote, stored.version, State.APPROVED)
    took += time.perf_counter() - started
    approved: Stored = await channel.read(request.id)
    started = time.perf_counter()
    await channel.redeem(approved, secrets.token_hex(16), lease_ms=LEASE_MS)
    return took + time.perf_counter() - started


async def decision(channel: Channel) -> float:
    """Seconds of one vote on a request that was opened for it."""
    _, request = await opened(channel)
    stored = await channel.read(request.id)
    vote = a_vote(stored.request)
    started = time.perf_counter()
    await channel.vote(vote, stored.version, State.APPROVED)
    return time.perf_counter() - started


async def bare(connection: Connection, sizes: Sequence[int]) -> float:
    """Seconds of three scripts that write so many bytes."""
    names, took = Names("bare"), 0.0
    for size in sizes:
        value = secrets.token_bytes(size)
        started = time.perf_counter()
        await connection.run(BARE, [names.request(secrets.token_hex(16))], [value])
        took += time.perf_counter() - started
    return took


async def sizes_of(channel: Channel) -> list[int]:
    """The bytes that each of the three moves writes: its record, its vote, its claim, and the event of each."""
    request = channel._timed(a_request())
    vote = a_vote(request)
    event = len(request.id) + 40
    return [
        len(request.canonical()) + len(SEALED) + 64 + 3 * 64 + event,
        len(vote.canonical()) + event,
        32 + 13 + event,
    ]


async def fill(channel: Channel, count: int) -> None:
    """Leave so many requests open."""
    at_once = 64
    for _ in range(0, count, at_once):
        await asyncio.gather(*(opened(channel) for _ in range(at_once)))


async def main(*, rounds: int, open_requests: int) -> int:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="ag-") as folder:
        lease = Embedded.acquire(Path(folder))
        connection = await Connection.open(lease.url)
        channel = Channel(connection=connection, names=Names("moves"), mac=RecordMac(keys=[b"k" * 32]))
        await channel.learn_time()
        sizes = await sizes_of(channel)
        for _ in range(20):
            await moves(channel), await bare(connection, sizes)
        ours, floor, few = [], [], []
        for _ in range(rounds):
            ours.append(await moves(channel))
            floor.append(await bare(connection, sizes))
            few.append(await decision(channel))
        ratio = median(ours) / median(floor)
        print(f"open, vote and redeem write {sizes} bytes; appendfsync always")
        print(f"together: {ratio:.2f} of three bare EVALSHA that write as many bytes; goal {GOAL_MOVES}")
        await fill(channel, open_requests)
        many, floor_then = [], []
        for _ in range(rounds):
            many.append(await decision(channel))
            floor_then.append(await bare(connection, sizes))
        slower = (median(many) / median(floor_then)) / (median(few) / median(floor))
        pending: Any = await connection.execute("ZCARD", channel.names.pending)
        print(
            f"a decision among {pending} open requests: {slower:.2f} of one among few, in bare scripts; goal {GOAL_OPEN}"
        )
        await connection.close()
        lease.release()
    return 0 if ratio <= GOAL_MOVES and slower <= GOAL_OPEN else 1


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    options.add_argument("--rounds", type=int, default=400)
    options.add_argument("--open-requests", type=int, default=100_000)
    wanted = options.parse_args()
    sys.exit(asyncio.run(main(rounds=wanted.rounds, open_requests=wanted.open_requests)))
