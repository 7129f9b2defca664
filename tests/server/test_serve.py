"""`agentguard serve` as it is started: settings, files, keys and a process of its own."""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import anyio
import httpx
import pytest
from standardwebhooks import Webhook

from agentguard.approval import Channel, Roster, Signer
from agentguard.config import Settings
from agentguard.errors import ConfigurationError, Fault
from agentguard.server import ServerSettings, read_settings, serve
from agentguard.server.app import create_app
from agentguard.server.running import listener, parts_of, signer_key
from agentguard.server.signatures import WebhookSecret
from agentguard.server.slack.office import slack_of
from agentguard.server.tokens import create, revoke
from agentguard.server.webhooks import webhooks_of
from agentguard.store.keys import SigningKey
from tests.approval.people import ROSTER
from tests.server.certificates import Authority
from tests.server.receiver import receiving
from tests.server.serving import now_ms, opened, serving

SECRET = WebhookSecret.new()
PEOPLE = """\
people:
  ann: {{email: ann@acme.example, groups: [stewards]}}
  user: {{email: user@acme.example}}
signers:
  inbox: {{key: "{key}", speaks_for: everyone}}
"""


class Home:
    """The folders of one deployment, with its server's key and Ann's token."""

    def __init__(self, folder: Path) -> None:
        self.policies = folder / "policies"
        self.settings = Settings(state_dir=folder / "state", config_dir=folder / "config")
        self.policies.mkdir()
        key = SigningKey.new()
        key.save(folder / "config" / "signers" / "inbox.key")
        self.approvers = self.policies / "approvers.yaml"
        self.approvers.write_text(PEOPLE.format(key=key.public))
        self.token_file = folder / "config" / "tokens.json"
        self.token, self.shown = create(self.token_file, "ann", ROSTER, now_ms=now_ms())

    def parts(self, url: str, **changed: Any) -> Any:
        """The parts of its server on a Redis."""
        settings = self.settings.model_copy(update={"redis_url": url})
        given: dict[str, Any] = {"server": ServerSettings(), "tenant": "t", "public_url": "http://x"}
        return parts_of(self.policies, settings=settings, **(given | changed))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A deployment."""
    return Home(tmp_path)


class TestSettings:
    """The environment."""

    def test_lists_are_written_with_commas(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Spaces around them do not matter."""
        # given
        monkeypatch.setenv("AGENTGUARD_SERVER_WEBHOOK_URLS", "https://a.acme.example/x , https://b.acme.example/y")
        monkeypatch.setenv("AGENTGUARD_SERVER_WEBHOOK_SECRETS", f"{SECRET.text},{WebhookSecret.new().text}")
        monkeypatch.setenv("AGENTGUARD_SERVER_WEBHOOK_RETRY_SECONDS", "1,2.5")

        # when
        settings = read_settings()

        # then
        assert settings.webhook_urls == ("https://a.acme.example/x", "https://b.acme.example/y")
        assert len(settings.webhook_secrets) == 2
        assert settings.webhook_retry_seconds == (1.0, 2.5)

    @pytest.mark.parametrize(
        ("public_url", "has_neighbours"),
        [
            ("https://approvals.acme.example", False),
            ("http://approvals.acme.example", True),
            ("http://127.0.0.1:8642", True),
            ("https://127.0.0.1:8642", True),
            ("https://localhost:8642", True),
            ("https://[::1]:8642", True),
            ("https://inbox.localhost", True),
        ],
    )
    def test_t13_what_is_of_no_host_of_its_own_has_one(self, home: Home, public_url: str, has_neighbours: bool) -> None:
        """Browsers count loopback as secure, and send it cookies of https over http too."""
        made = home.parts("", public_url=public_url)
        assert made.has_neighbours is has_neighbours

    def test_the_waits_between_attempts_are_those_of_every_place(self, home: Home) -> None:
        """Also where there are no webhooks, but chats or channels of installed packages."""
        made = home.parts("", server=ServerSettings(webhook_retry_seconds=(1.0, 2.5)))
        assert (made.webhooks, made.retry_seconds) == (None, (1.0, 2.5))

    def test_without_settings_there_are_no_webhooks(self) -> None:
        """And everything has a default."""
        assert webhooks_of(read_settings(), "http://127.0.0.1:1") is None

    @pytest.mark.parametrize(
        ("name", "value"),
        [("WEBHOOK_RETRY_SECONDS", "-1"), ("WEBHOOK_RETRY_SECONDS", "canary"), ("PUBLIC_URL", "canary")],
    )
    def test_t26_a_wrong_setting_is_named_and_not_shown(
        self, monkeypatch: pytest.MonkeyPatch, name: str, value: str
    ) -> None:
        """Some are secrets."""
        monkeypatch.setenv(f"AGENTGUARD_SERVER_{name}", value)
        with pytest.raises(ConfigurationError, match=f"AGENTGUARD_SERVER_{name}") as refused:
            read_settings()
        assert "canary" not in str(refused.value)

    def test_secrets_do_not_show_themselves(self) -> None:
        """Not where the settings are printed."""
        settings = ServerSettings(webhook_urls=("https://a.example/x",), webhook_secrets=(SECRET.text,))
        assert SECRET.text not in repr(settings)
        assert SECRET.text not in repr(webhooks_of(settings, ""))

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"webhook_urls": ("https://a.example/x",)}, "without a secret"),
            ({"webhook_urls": ("https://a.example/x",), "webhook_secrets": ("canary",)}, "whsec_"),
            ({"webhook_urls": ("http://a.example/x",), "webhook_secrets": (SECRET.text,)}, "https"),
        ],
        ids=["no secret", "no real secret", "http"],
    )
    def test_t30_webhooks_that_could_not_be_trusted_do_not_start(self, settings: dict[str, Any], told: str) -> None:
        """An error before anything listens."""
        with pytest.raises(ConfigurationError, match=told) as refused:
            webhooks_of(ServerSettings(**settings), "")
        assert "canary" not in str(refused.value)


class TestPlaces:
    """Places with names, and the policy that sends requests to them."""

    POLICY = """\
version: 1
risk: {low: allow, medium: allow, high: {ask: stewards}, critical: {ask: stewards}}
approvals: {stewards: {approvers: [person:ann], deadline: 10m, notify: ["webhook:pager", "slack:#data"]}}
"""
    PAGER: ClassVar[dict[str, Any]] = {"webhook_secrets": (SECRET.text,)}
    SLACK: ClassVar[dict[str, Any]] = {
        "slack_bot_token": "xoxb-1",
        "slack_app_token": "xapp-1",
        "slack_channel": "C1",
        "slack_team": "T1",
    }

    def test_a_name_stands_before_its_url(self) -> None:
        """A sign in the URL itself is no name."""
        urls = ("pager=https://a.acme.example/x?y=z", "https://b.acme.example/x?name=https://c.example")
        made = webhooks_of(ServerSettings(webhook_urls=urls, **self.PAGER), "")
        assert made is not None
        assert [(each.name, str(each.url)) for each in made.endpoints] == [
            ("pager", "https://a.acme.example/x?y=z"),
            ("", urls[1]),
        ]
        assert made.names == {"webhook:pager", "webhook"}

    @pytest.mark.parametrize(
        "urls",
        [
            ("a=https://x.example/1", "a=https://x.example/2"),
            ("a=https://x.example/1", "b=https://x.example/1"),
            ("A!=https://x.example/canary",),
        ],
        ids=["a name twice", "a URL twice", "no name"],
    )
    def test_names_that_are_not_clear_do_not_start(self, urls: tuple[str, ...]) -> None:
        """Which place policy means must be plain."""
        with pytest.raises(ConfigurationError) as refused:
            webhooks_of(ServerSettings(webhook_urls=urls, **self.PAGER), "")
        assert "canary" not in str(refused.value)

    @pytest.mark.parametrize(
        "channels",
        [("C2",), ("#data=c2",), ("#data=C2", "#data=C3"), ("#data=C1",), ("#a=C2", "#b=C2"), ("Data=C2",)],
        ids=["no name", "no id", "a name twice", "the first channel's", "an id twice", "no such name"],
    )
    def test_slack_channels_that_are_not_clear_do_not_start(self, channels: tuple[str, ...]) -> None:
        """NAME=ID, each once."""
        with pytest.raises(ConfigurationError, match="write NAME=ID"):
            slack_of(ServerSettings(slack_channels=channels, **self.SLACK), "")

    @pytest.mark.anyio
    async def test_policy_calls_each_place_by_its_kind_and_name(self) -> None:
        """Those without a name are told of whatever goes to none by name."""
        urls = ("data=https://a.acme.example/1", "https://a.acme.example/2")
        made = webhooks_of(ServerSettings(webhook_urls=urls, teams_urls=urls, **self.PAGER), "")
        assert made is not None
        async with made.open() as places:
            names = [(place.name, place.is_named) for place in places]
        assert names == [("webhook:data", True), ("webhook", False), ("teams:data", True), ("teams", False)]
        assert made.names == {name for name, _ in names}

    def test_a_channel_that_settings_name_and_nobody_installed_does_not_start(
        self, home: Home, valkey_url: str
    ) -> None:
        """The settings are told, not the policy, which names none."""
        with pytest.raises(ConfigurationError, match="AGENTGUARD_SERVER_NOTIFIERS: no installed packages"):
            home.parts(valkey_url, server=ServerSettings(notifiers=("pidgeon",)))

    def test_slack_channels_without_a_slack_do_not_start(self, home: Home, valkey_url: str) -> None:
        """Nobody would be told there."""
        with pytest.raises(ConfigurationError, match="needs AGENTGUARD_SERVER_SLACK_BOT_TOKEN"):
            home.parts(valkey_url, server=ServerSettings(slack_channels=("#data=C2",)))

    def test_a_policy_that_names_a_place_which_is_not_here_does_not_start(self, home: Home, valkey_url: str) -> None:
        """With all of them it does."""
        # given
        (home.policies / "policy.yaml").write_text(self.POLICY)
        some = ServerSettings(webhook_urls=("pager=https://a.acme.example/x",), **self.PAGER)
        all_of_them = some.model_copy(
            update=ServerSettings(slack_channels=("#data=C2",), **self.SLACK).model_dump(exclude_unset=True)
        )

        # when
        with pytest.raises(ConfigurationError) as refused:
            home.parts(valkey_url, server=some)

        # then
        assert "slack:#data, which this server does not have; it has webhook:pager" in str(refused.value)
        assert home.parts(valkey_url, server=all_of_them).slack is not None

    @pytest.mark.parametrize(
        ("policy", "told"),
        [(POLICY, "it tells nobody, so another server must"), ("version: 2", "the policy here does not load")],
        ids=["a server of pages alone", "a policy that is broken"],
    )
    def test_what_does_not_keep_pages_from_being_served_is_in_the_log(
        self, home: Home, valkey_url: str, caplog: pytest.LogCaptureFixture, policy: str, told: str
    ) -> None:
        """People decide there all the same."""
        (home.policies / "policy.yaml").write_text(policy)
        with caplog.at_level(logging.WARNING, "agentguard.server"):
            home.parts(valkey_url)
        assert told in caplog.text


class TestSigner:
    """The server's own key."""

    def test_a_key_is_made_where_there_is_none_and_the_line_to_add_is_said(self, tmp_path: Path) -> None:
        """Pasted into approvers.yaml, it works."""
        # given
        settings = Settings(config_dir=tmp_path)
        with pytest.raises(ConfigurationError, match="speaks_for: everyone") as refused:
            signer_key(settings, ServerSettings(), Roster(people=ROSTER.people))

        # when
        public = str(refused.value).split('"')[1]
        roster = Roster(people=ROSTER.people, signers={"inbox": Signer(key=public, speaks_for="everyone")})

        # then
        assert signer_key(settings, ServerSettings(), roster).public == public

    def test_t32_a_key_that_is_not_the_signers_does_not_start(self, tmp_path: Path) -> None:
        """Its votes would be refused one by one."""
        with pytest.raises(ConfigurationError, match="another key for 'inbox'"):
            signer_key(Settings(config_dir=tmp_path), ServerSettings(), ROSTER)

    def test_a_key_that_others_may_read_does_not_start(self, home: Home) -> None:
        """Chmod is named."""
        (home.settings.config_dir / "signers" / "inbox.key").chmod(0o644)
        with pytest.raises(ConfigurationError, match="chmod 600"):
            home.parts("unix:///nowhere")


@pytest.mark.anyio
class TestFiles:
    """People and tokens change while the server runs."""

    async def test_a_new_token_opens_and_a_revoked_one_does_not_at_once(self, home: Home, valkey_url: str) -> None:
        """No restart."""
        with serving(home.parts(valkey_url)) as base:
            async with httpx.AsyncClient(base_url=base, trust_env=False) as client:

                async def status(token: str) -> int:
                    reply = await client.get("/api/v1/requests", headers={"authorization": f"Bearer {token}"})
                    return reply.status_code

                # given
                before = await status(home.shown)

                # when
                _, other = create(home.token_file, "ann", ROSTER, now_ms=now_ms())
                revoke(home.token_file, home.token.id)

                # then
                assert (before, await status(home.shown), await status(other)) == (200, 401, 200)

    async def test_people_are_todays(self, home: Home, valkey_url: str) -> None:
        """Who is taken out is out; a file that is broken lets nobody in, until it is right again."""
        right = home.approvers.read_text()
        with serving(home.parts(valkey_url)) as base:
            headers = {"authorization": f"Bearer {home.shown}"}
            async with httpx.AsyncClient(base_url=base, headers=headers, trust_env=False) as client:
                statuses = []
                for text in (right, right.replace("ann:", "anna:"), "people: [", right):
                    home.approvers.write_text(text)
                    statuses.append((await client.get("/api/v1/requests")).status_code)
        assert statuses == [200, 401, 503, 200]

    async def test_https_is_served_where_a_certificate_is_given(
        self, home: Home, valkey_url: str, tmp_path: Path
    ) -> None:
        """With a header that keeps browsers on it."""
        # given
        authority = Authority.new(tmp_path)
        certificate, key = authority.files("localhost")
        server = ServerSettings(tls_certificate=certificate, tls_key=key)
        line = socket.create_server(("127.0.0.1", 0))
        listening = listener(create_app(home.parts(valkey_url)), host="127.0.0.1", port=0, server=server)

        # when
        async with anyio.create_task_group() as group:
            group.start_soon(listening.serve, [line])
            async with httpx.AsyncClient(verify=authority.trust(), trust_env=False) as client:
                reply = await client.get(f"https://localhost:{line.getsockname()[1]}/healthz")
            listening.should_exit = True

        # then
        assert reply.status_code == 200
        assert reply.headers["strict-transport-security"].startswith("max-age=")

    async def test_a_certificate_without_its_key_does_not_start(self, home: Home, tmp_path: Path) -> None:
        """The two settings are named."""
        with pytest.raises(ConfigurationError, match="go together"):
            serve(home.policies, settings=home.settings, server=ServerSettings(tls_certificate=tmp_path / "x.pem"))


class TestStarting:
    """What is said when it starts, or does not."""

    @pytest.mark.parametrize(
        ("host", "warned"), [("127.0.0.1", False), ("::1", False), ("localhost", False), ("0.0.0.0", True)]
    )
    def test_off_loopback_without_tls_is_said(
        self, home: Home, caplog: pytest.LogCaptureFixture, host: str, warned: bool
    ) -> None:
        """In the log, before it listens; here Redis is not there, so it does not."""
        settings = home.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"})
        with caplog.at_level(logging.WARNING, "agentguard.server"), pytest.raises(Fault, match="did not start"):
            serve(home.policies, settings=settings, server=ServerSettings(), host=host, port=_free_port())
        assert ("without TLS" in caplog.text) is warned

    def test_a_port_that_is_taken_is_an_error(self, home: Home, valkey_url: str) -> None:
        """Not a server that nobody reaches."""
        settings = home.settings.model_copy(update={"redis_url": valkey_url})
        with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Fault, match="did not start"):
            serve(home.policies, settings=settings, server=ServerSettings(), port=taken.getsockname()[1])

    def test_a_redis_that_does_not_answer_is_one_line(
        self, home: Home, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """It says which setting names it, and nothing is told with a traceback."""
        settings = home.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"})
        with caplog.at_level(logging.INFO), pytest.raises(Fault, match=r"did not start.*AGENTGUARD_REDIS_URL"):
            serve(home.policies, settings=settings, server=ServerSettings(), port=_free_port())
        assert "Traceback" not in caplog.text + capsys.readouterr().err

    def test_a_state_folder_that_can_not_be_used_is_one_line(
        self, home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The embedded server has no place there: which setting names it is said, and nothing with a traceback."""
        (tmp_path / "file").write_text("no folder")
        settings = home.settings.model_copy(update={"redis_url": "", "state_dir": tmp_path / "file" / "state"})
        server = ServerSettings(tokens=home.token_file)
        with (
            caplog.at_level(logging.INFO),
            pytest.raises(ConfigurationError, match=r"can't be used.*AGENTGUARD_STATE_DIR"),
        ):
            serve(home.policies, settings=settings, server=server, port=_free_port())
        assert "Traceback" not in caplog.text + capsys.readouterr().err

    def test_no_tokens_yet_is_said(self, home: Home, caplog: pytest.LogCaptureFixture) -> None:
        """With the command that makes one."""
        home.token_file.unlink()
        settings = home.settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"})
        with caplog.at_level(logging.WARNING, "agentguard.server"), pytest.raises(Fault):
            serve(home.policies, settings=settings, server=ServerSettings(), port=_free_port())
        assert "agentguard token create" in caplog.text


class Process:
    """`serve` in a process of its own."""

    CODE = (
        "import json, sys; from pathlib import Path; from agentguard.config import Settings;"
        "from agentguard.server import read_settings, serve;"
        "serve(Path(sys.argv[1]), settings=Settings(), server=read_settings(), port=int(sys.argv[2]), tenant=sys.argv[3])"
    )

    def __init__(self, home: Home, port: int, tenant: str, **environment: str) -> None:
        own = {
            "AGENTGUARD_STATE_DIR": str(home.settings.state_dir),
            "AGENTGUARD_CONFIG_DIR": str(home.settings.config_dir),
        }
        self.base = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.CODE, str(home.policies), str(port), tenant],
            env={**os.environ, **own, **environment},
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Process:
        give_up = time.monotonic() + 20
        while not self._ready():
            assert time.monotonic() < give_up, "the server did not start"
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGTERM)

    def stop(self, number: signal.Signals) -> None:
        """End it as `number` does, and wait for the end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(20)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.base}/readyz", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@pytest.mark.slow
@pytest.mark.anyio
async def test_t4_a_killed_server_loses_nothing_and_decides_again_after_its_restart(
    home: Home, agent: Channel, valkey_url: str, tenant: str
) -> None:
    """Killed with a message undelivered: the next process delivers it, and what happened meanwhile."""
    # given
    port = _free_port()
    with receiving(500) as receiver:
        environment = {
            "AGENTGUARD_REDIS_URL": valkey_url,
            "AGENTGUARD_SERVER_WEBHOOK_URLS": receiver.url,
            "AGENTGUARD_SERVER_WEBHOOK_SECRETS": SECRET.text,
            "AGENTGUARD_SERVER_WEBHOOK_ALLOW_HOSTS": "127.0.0.1",
            "AGENTGUARD_SERVER_WEBHOOK_RETRY_SECONDS": "1.5,1.5",
        }
        with Process(home, port, tenant, **environment) as first:
            request = await opened(agent)
            failed = await anyio.to_thread.run_sync(receiver.next)
            await kept(agent, '"attempts":1')
            first.stop(signal.SIGKILL)

        # when
        with Process(home, port, tenant, **environment) as second:
            again = await anyio.to_thread.run_sync(receiver.next)
            async with httpx.AsyncClient(base_url=second.base, trust_env=False) as client:
                decided = await client.post(
                    f"/api/v1/requests/{request.id}/approve",
                    json={"card_digest": request.card.digest()},
                    headers={"authorization": f"Bearer {home.shown}"},
                )
            end = await anyio.to_thread.run_sync(receiver.next)
            second.stop(signal.SIGTERM)

    # then
    assert again.headers["webhook-id"] == failed.headers["webhook-id"]
    assert decided.json()["state"] == "approved"
    told = Webhook(SECRET.text).verify(end.body, end.headers)
    assert (told["type"], told["data"]["url"]) == (
        "request.ended",
        f"http://127.0.0.1:{port}/requests/{request.id}",
    )
    assert second.process.returncode in {0, -signal.SIGTERM}


@pytest.mark.slow
@pytest.mark.anyio
async def test_serve_prints_a_login_link_and_lets_open_screens_go_when_it_stops(
    home: Home, agent: Channel, valkey_url: str, tenant: str
) -> None:
    """As `agentguard serve --local-login ann` is started by hand, and stopped with a page open."""
    # given
    request, port = await opened(agent), _free_port()
    command = ["agentguard", "serve", "--policies", str(home.policies), "--port", str(port), "--tenant", tenant]
    environment = {
        "AGENTGUARD_REDIS_URL": valkey_url,
        "AGENTGUARD_STATE_DIR": str(home.settings.state_dir),
        "AGENTGUARD_CONFIG_DIR": str(home.settings.config_dir),
        "PYTHONUNBUFFERED": "1",
    }
    process = await anyio.open_process(
        [sys.executable, "-m", *command, "--local-login", "ANN@acme.example"],
        env={**os.environ, **environment},
        stderr=None,
    )
    assert process.stdout is not None
    printed = (await process.stdout.receive()).decode()
    link = re.search(r"log in as ann, on this machine alone: (http://127\.0\.0\.1:\d+)/login/local#(\S+)", printed)
    assert link is not None

    # when
    async with httpx.AsyncClient(base_url=link[1], trust_env=False, timeout=10) as browser:
        with anyio.fail_after(20):
            while not await _answers(browser):
                await anyio.sleep(0.05)
        await browser.post("/login/local", data={"secret": link[2]})
        page = await browser.get(f"/requests/{request.id}")
        async with browser.stream("GET", "/live") as screen:
            assert await anext(screen.aiter_lines()) == "event: anew"
            process.send_signal(signal.SIGTERM)
            with anyio.fail_after(5):
                await process.wait()

    # then
    assert "Export 500 customers" in page.text


async def _answers(browser: httpx.AsyncClient) -> bool:
    try:
        return (await browser.get("/readyz")).status_code == 200
    except httpx.TransportError:
        return False


async def kept(agent: Channel, text: str) -> None:
    """Wait until `text` stands in what is still to be delivered."""
    with anyio.fail_after(10):
        while text not in str(await agent.connection.execute("HVALS", f"{agent.names.events}:webhooks:deliveries")):
            await anyio.sleep(0.02)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as line:
        port: int = line.getsockname()[1]
    return port
