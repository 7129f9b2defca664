"""What every notifier keeps, as tests: subclass `NotifierContract`, say what is tried, and run pytest over it.

class TestPager(NotifierContract):
    @asynccontextmanager
    async def trying(self) -> AsyncIterator[Trying]:
        with a_place_on_loopback() as place:
            yield Trying(notifier=Pager(place.url), told=lambda: place.texts, fail=place.go_down)
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, get_args

from agentguard.approval import Kind, NotDelivered, Notifier
from agentguard.model.approvals import State
from agentguard.testing.requests import a_shown, a_turn

HIDDEN = "\x1b[31m\u202eno\u200bthing\u2066\U000e0041\x07\r"
"""Characters that steer or hide, as an agent may write them into any field."""

LONG = 200_000
SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Trying:
    """A notifier, the texts that people at its place saw, in order, and what makes the place fail from then on."""

    notifier: Notifier
    told: Callable[[], Sequence[str]]
    fail: Callable[[], None]


class NotifierContract:
    """Subclass it, and give a notifier to try."""

    def trying(self) -> AbstractAsyncContextManager[Trying]:
        """A notifier of yours, new, and its place, which has not been told anything. Entered on the loop that then tells it."""
        raise NotImplementedError("say what is tried: def trying(self), an async context manager that gives a Trying")

    def test_it_has_the_form_of_a_notifier(self) -> None:
        """Two methods; it wants to be told that a request waits, and answers for every kind of turn."""

        async def check(one: Trying) -> None:
            _must(isinstance(one.notifier, Notifier), "it needs wants(turn) and tell(turn, shown)")
            shown = a_shown()
            answers = {kind: one.notifier.wants(a_turn(shown, kind)) for kind in get_args(Kind)}
            _must(answers["request.opened"] is True, "it must want to be told of requests that open")
            _must(set(map(type, answers.values())) == {bool}, "wants must answer True or False for every kind")

        self._try(check)

    def test_a_request_that_opens_is_told_with_its_risk_and_what_it_would_do(self) -> None:
        """So that people know what waits."""

        async def check(one: Trying) -> None:
            shown = a_shown(title="Export 500 customers")
            await one.notifier.tell(a_turn(shown), shown)
            _must(len(one.told()) == 1, "the place must be told once")
            _must("Export 500 customers" in one.told()[0], "the card's title must be told")
            _must("high" in one.told()[0].lower(), "the risk must be told in a word")

        self._try(check)

    def test_told_again_it_says_the_same(self) -> None:
        """A message may come twice: after a restart, from two servers."""

        async def check(one: Trying) -> None:
            shown = a_shown()
            await one.notifier.tell(a_turn(shown), shown)
            await one.notifier.tell(a_turn(shown), shown)
            _must(len(set(one.told())) == 1, "the same turn must be told in the same words")

        self._try(check)

    def test_told_late_it_offers_nothing_that_is_over(self) -> None:
        """What is told is what the request is now, or nothing."""

        async def check(one: Trying) -> None:
            over = a_shown(State.WITHDRAWN)
            await one.notifier.tell(a_turn(a_shown()), over)
            for text in one.told():
                _must("Waits for a decision" not in text, "a request that is over must not be said to wait")
                _must("Approve" not in text, "a request that is over must not be offered for approval")

        self._try(check)

    def test_nothing_that_an_agent_writes_steers_or_hides(self) -> None:
        """Control, bidirectional, zero-width and tag characters in every field."""

        async def check(one: Trying) -> None:
            texts: dict[str, Any] = dict.fromkeys(
                ("title", "agent", "user", "session", "deployment", "asked", "says"), HIDDEN
            )
            shown = a_shown(
                **texts, reasons=(HIDDEN,), oddities=(HIDDEN,), undo=HIDDEN, arguments=json.dumps({HIDDEN: HIDDEN})
            )
            await one.notifier.tell(a_turn(shown), shown)
            left = {character for text in one.told() for character in text} & set(HIDDEN) - set(
                map(chr, range(32, 127))
            )
            _must(not left, f"these came through: {sorted(map(ascii, left))}; `face_of(shown)` escapes them")

        self._try(check)

    def test_it_tells_nothing_that_the_card_does_not_show(self) -> None:
        """Neither who the user is in clear, nor what binds the call."""

        async def check(one: Trying) -> None:
            shown = a_shown()
            request = shown.stored.request
            await one.notifier.tell(a_turn(shown), shown)
            for secret in (request.principal.user or "", request.digest, request.model_digest):
                _must(all(secret not in text for text in one.told()), "it told what only the record holds")

        self._try(check)

    def test_a_place_that_is_down_is_not_delivered(self) -> None:
        """So that it is tried again, and others are told; no other error ends the server's work."""

        async def check(one: Trying) -> None:
            one.fail()
            shown = a_shown()
            try:
                await one.notifier.tell(a_turn(shown), shown)
            except NotDelivered as failure:
                _must(bool(str(failure)), "say how it failed")
            else:
                _must(False, "it must raise NotDelivered where the place did not take it")  # noqa: FBT003

        self._try(check)

    def test_a_very_long_request_is_told_or_not_delivered(self) -> None:
        """It fits the place, or is said not to."""

        async def check(one: Trying) -> None:
            shown = a_shown(arguments=json.dumps({"text": "x " * LONG}))
            try:
                await one.notifier.tell(a_turn(shown), shown)
            except NotDelivered:
                return
            _must(len(one.told()) == 1, "the place must be told once")

        self._try(check)

    def _try(self, check: Callable[[Trying], Awaitable[None]]) -> None:
        async def run() -> None:
            async with asyncio.timeout(SECONDS), self.trying() as one:
                await check(one)

        asyncio.run(run())


def _must(holds: bool, told: str) -> None:
    if not holds:
        raise AssertionError(told)
