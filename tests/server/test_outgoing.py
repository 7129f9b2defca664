"""One POST to a judged address, against real receivers."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Sequence
from pathlib import Path

import httpx
import pytest

from agentguard.approval import NotDelivered
from agentguard.server.outgoing import Outgoing, open_outgoing
from tests.server.certificates import Authority
from tests.server.receiver import receiving

pytestmark = pytest.mark.anyio

HOST = "hooks.acme.example"


class Names:
    """A name server of the tests' own: each look-up of any name gives the next answer, the last one again and again."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of `host` now."""
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def failure(outgoing: Outgoing, url: str) -> NotDelivered:
    """Why a message is not delivered."""
    with pytest.raises(NotDelivered) as failed:
        await outgoing.post(httpx.URL(url), b"{}", {})
    return failed.value


async def test_a_message_arrives_as_it_was_written() -> None:
    """Body, headers and path; the Host header names the host and not its address."""
    # given
    with receiving() as receiver:
        url = httpx.URL(f"http://{HOST}:{receiver.port}/hook?x=1")

        # when
        async with open_outgoing({HOST}, resolve=Names(["127.0.0.1"])) as outgoing:
            await outgoing.post(url, '{"ä": 1}'.encode(), {"webhook-id": "msg_1"})

        # then
        came = receiver.next()
    assert (came.method, came.path, came.body) == ("POST", "/hook?x=1", '{"ä": 1}'.encode())
    assert came.headers["host"] == f"{HOST}:{receiver.port}"
    assert came.headers["webhook-id"] == "msg_1"
    assert came.headers["content-type"] == "application/json"


@pytest.mark.parametrize("address", ["127.0.0.1", "169.254.169.254", "10.1.2.3", "::1", "::ffff:127.0.0.1"])
async def test_t30_a_name_that_leads_inside_is_not_connected_to(address: str) -> None:
    """Nothing is sent."""
    # given
    with receiving() as receiver:
        async with open_outgoing(resolve=Names([address])) as outgoing:
            # when
            failed = await failure(outgoing, f"http://{HOST}:{receiver.port}/hook")

        # then
        assert "not a public address" in str(failed)
        assert receiver.nothing_more()


async def test_t30_one_address_inside_among_public_ones_is_enough_to_refuse() -> None:
    """Which of them a connection takes is not left to chance."""
    with receiving() as receiver:
        async with open_outgoing(resolve=Names(["93.184.215.14", "127.0.0.1"])) as outgoing:
            failed = await failure(outgoing, f"http://{HOST}:{receiver.port}/hook")
        assert "not a public address" in str(failed)
        assert receiver.nothing_more()


async def test_t30_the_address_that_was_judged_is_the_one_that_is_used() -> None:
    """DNS rebinding: the name is looked up once for an attempt, and each attempt is judged anew."""
    # given
    with receiving() as receiver:
        names = Names(["127.0.0.1"], ["169.254.169.254"])
        url = f"http://{HOST}:{receiver.port}/hook"
        async with open_outgoing({HOST}, resolve=names) as outgoing:
            # when
            await outgoing.post(httpx.URL(url), b"{}", {})
            failed = await failure(outgoing, url)

        # then
        assert names.asked == [HOST, HOST]
        assert receiver.next().path == "/hook"
        assert "169.254.169.254" in str(failed)
        assert receiver.nothing_more()


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "localhost"])
async def test_t30_the_systems_own_resolver_is_judged_too(host: str) -> None:
    """It reads numbers in disguise as addresses."""
    with receiving() as receiver:
        async with open_outgoing() as outgoing:
            await failure(outgoing, f"http://{host}:{receiver.port}/hook")
        assert receiver.nothing_more()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_t30_a_redirect_is_not_followed(status: int) -> None:
    """It is a failure."""
    with receiving() as inside, receiving((status, {"location": inside.url})) as receiver:
        async with open_outgoing({"127.0.0.1"}) as outgoing:
            failed = await failure(outgoing, receiver.url)
        assert str(failed) == f"answered {status}"
        assert inside.nothing_more()


@pytest.mark.parametrize(
    ("status", "gone"),
    [(400, False), (401, False), (404, False), (410, True), (429, False), (500, False), (503, False)],
)
async def test_only_2xx_is_delivered(status: int, gone: bool) -> None:
    """After 410 no attempt is worth while."""
    with receiving(status) as receiver:
        async with open_outgoing({"127.0.0.1"}) as outgoing:
            failed = await failure(outgoing, receiver.url)
    assert failed.gone is gone


async def test_t30_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would look the name up itself."""
    with receiving() as receiver, receiving() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        async with open_outgoing({"127.0.0.1"}) as outgoing:
            await outgoing.post(httpx.URL(receiver.url), b"{}", {})
        assert receiver.next().path == "/hook"
        assert proxy.nothing_more()


async def test_the_next_address_is_tried_where_one_takes_no_connection() -> None:
    """A host with a dead address is still reached."""
    with receiving() as receiver:
        async with open_outgoing({HOST}, resolve=Names(["127.0.0.2", "127.0.0.1"])) as outgoing:
            await outgoing.post(httpx.URL(f"http://{HOST}:{receiver.port}/hook"), b"{}", {})
        assert receiver.next().path == "/hook"
        assert receiver.nothing_more()


async def test_a_receiver_that_never_answers_costs_a_bounded_time() -> None:
    """It takes the connection, and says nothing."""
    # given
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = httpx.URL(f"http://127.0.0.1:{silent.getsockname()[1]}/hook")
        async with open_outgoing({"127.0.0.1"}) as opened:
            outgoing = Outgoing(client=opened.client, allowed_hosts={"127.0.0.1"}, attempt_seconds=0.2)

            # when
            started = time.monotonic()
            failed = await failure(outgoing, str(url))

    # then
    assert str(failed) == "no answer in time"
    assert time.monotonic() - started < 3


async def test_a_name_without_an_address_is_a_failure() -> None:
    """It may have one later."""
    async with open_outgoing() as outgoing:
        failed = await failure(outgoing, "https://no-such-host.invalid/hook")
    assert str(failed) == "its host has no address now"


async def test_the_certificate_is_checked_against_the_name_and_not_the_address(tmp_path: Path) -> None:
    """Though the connection goes to an address."""
    authority = Authority.new(tmp_path)
    with receiving(tls=authority.server(HOST)) as receiver:
        async with open_outgoing({HOST}, trust=authority.trust(), resolve=Names(["127.0.0.1"])) as outgoing:
            await outgoing.post(httpx.URL(f"https://{HOST}:{receiver.port}/hook"), b"{}", {})
        assert receiver.next().headers["host"] == f"{HOST}:{receiver.port}"


async def test_another_names_certificate_is_refused(tmp_path: Path) -> None:
    """Nothing is sent to it, not even after a message to the right name at the same address."""
    # given
    authority = Authority.new(tmp_path)
    with receiving(tls=authority.server(HOST)) as receiver:
        allowed = {HOST, "other.acme.example"}
        async with open_outgoing(allowed, trust=authority.trust(), resolve=Names(["127.0.0.1"])) as outgoing:
            await outgoing.post(httpx.URL(f"https://{HOST}:{receiver.port}/hook"), b"{}", {})
            receiver.next()

            # when
            failed = await failure(outgoing, f"https://other.acme.example:{receiver.port}/hook")

        # then
        assert str(failed) == "could not be sent (ConnectError)"
        assert receiver.nothing_more()


async def test_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    """The usual authorities do not know it."""
    with receiving(tls=Authority.new(tmp_path).server(HOST)) as receiver:
        async with open_outgoing({HOST}, resolve=Names(["127.0.0.1"])) as outgoing:
            failed = await failure(outgoing, f"https://{HOST}:{receiver.port}/hook")
        assert str(failed) == "could not be sent (ConnectError)"
        assert receiver.nothing_more()


async def test_t26_the_url_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Not even where everything logs at INFO."""
    with caplog.at_level(logging.INFO), receiving(204, 500) as receiver:
        async with open_outgoing({"127.0.0.1"}) as outgoing:
            await outgoing.post(httpx.URL(receiver.url), b"{}", {})
            failed = await failure(outgoing, receiver.url)
    assert "/hook" not in caplog.text + str(failed)
