"""Logging in: by a real provider (oidc-provider-mock, over HTTP), by the link for one's own machine, and in no other way."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey
from oidc_provider_mock import User, run_server_in_thread
from pydantic import SecretStr
from starlette.requests import Request

from agentguard.approval import Person, Roster
from agentguard.approval.roster_file import read_roster
from agentguard.errors import ConfigurationError, PolicyError
from agentguard.server.entrance import SESSION
from agentguard.server.identity import Identity
from agentguard.server.local_login import LocalLogin, local_login
from agentguard.server.oidc import NotLoggedIn, Provider, Terms, person_of, provider_of
from agentguard.server.settings import ServerSettings
from tests.approval.people import ROSTER
from tests.server.serving import now_ms, parts, serving
from tests.server.visiting import COOKIES, form, visitor

pytestmark = pytest.mark.anyio

CLIENT = "agentguard"
ISSUER = "https://login.acme.example"


def terms(issuer: str, base: str = "http://x", **changed: Any) -> Terms:
    """What settings would say of a provider."""
    given: dict[str, Any] = {
        "issuer": issuer,
        "client_id": CLIENT,
        "client_secret": SecretStr("s3cret"),
        "groups_claim": "groups",
        "groups": {},
        "redirect_uri": f"{base}/login/callback",
        "step_up_seconds": 300,
    }
    return Terms(**(given | changed))


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """A login provider with people."""
    now = int(time.time())
    people = [
        User(
            sub="1",
            claims={"email": "ann@acme.example", "email_verified": True, "auth_time": now, "groups": ["idp-stewards"]},
        ),
        User(sub="2", claims={"email": "bob@acme.example", "email_verified": False}),
        User(sub="3", claims={"email": "mallory@evil.example", "email_verified": True}),
        User(sub="5", claims={"email": "eve@acme.example", "email_verified": True, "auth_time": now + 10**6}),
        User(sub="4", claims={"email": "CAT@acme.example", "email_verified": True, "auth_time": now - 4000}),
    ]
    with run_server_in_thread(user_claims=people, require_nonce=True) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture(scope="module")
def base(valkey_url: str, provider: str) -> Iterator[str]:
    """A server whose people log in there."""
    line = Provider(terms=terms(provider, groups={"idp-stewards": "stewards"}))
    with serving(parts(valkey_url, "logins", provider=line)) as address:
        line.terms = terms(provider, address, groups={"idp-stewards": "stewards"})
        yield address


async def to_provider(client: httpx.AsyncClient, subject: str, path: str = "/login/oidc?next=/history") -> httpx.URL:
    """Where the provider sends the browser back to, after this person said yes."""
    there = (await client.get(path)).headers["location"]
    async with httpx.AsyncClient(trust_env=False) as browser:
        reply = await browser.post(there, data={"sub": subject})
    return httpx.URL(reply.headers["location"])


class TestProvider:
    """OpenID Connect."""

    async def test_a_person_logs_in(self, base: str) -> None:
        """With PKCE and a nonce; the cookie is HttpOnly and Strict, and the page goes on where it began."""
        async with visitor(base, None) as client:
            begun = await client.get("/login/oidc?next=/history")
            asked = parse_qs(urlsplit(begun.headers["location"]).query)
            reply = await client.get(await to_provider(client, "1"))
            assert (await client.get("/history")).status_code == 200
        assert asked["code_challenge_method"] == ["S256"]
        assert {"code_challenge", "nonce", "state"} <= set(asked)
        assert 'content="0; url=/history"' in reply.text
        session = next(text for text in reply.headers.get_list("set-cookie") if text.startswith("agentguard="))
        assert "HttpOnly" in session
        assert "SameSite=strict" in session

    @pytest.mark.parametrize(
        "subject", [pytest.param("2", id="address not verified"), pytest.param("3", id="not in approvers.yaml")]
    )
    async def test_t14_who_is_not_known_for_certain_is_nobody(self, base: str, subject: str) -> None:
        """A page that says so, and no cookie."""
        async with visitor(base, None) as client:
            reply = await client.get(await to_provider(client, subject))
            assert (reply.status_code, "approvers.yaml lists nobody" in reply.text) == (403, True)
            assert (await client.get("/session")).status_code == 401

    async def test_a_login_that_another_browser_began_is_refused(self, base: str) -> None:
        """So nobody is logged in as somebody else by a link."""
        async with visitor(base, None) as mallory, visitor(base, None) as ann:
            link = await to_provider(mallory, "1")
            assert (await ann.get(link)).status_code == 403
            await ann.get("/login/oidc")
            assert (await ann.get(link)).status_code == 403
            assert (await ann.get("/session")).status_code == 401

    async def test_a_code_is_good_once(self, base: str) -> None:
        """Its login was spent with it."""
        async with visitor(base, None) as client:
            link = await to_provider(client, "1")
            assert (await client.get(link)).status_code == 200
            assert (await client.get(link)).status_code == 403

    async def test_for_what_is_critical_the_provider_is_asked_for_a_fresh_login(self, base: str) -> None:
        """By max_age; what it then says of the time is what counts."""
        async with visitor(base, None) as client:
            begun = await client.get("/login/oidc?fresh=1")
        assert parse_qs(urlsplit(begun.headers["location"]).query)["max_age"] == ["300"]

    async def test_t8_a_login_is_never_fresher_than_now(self, base: str) -> None:
        """A provider whose clock is ahead would else make one that approves what is critical for as long as it lasts."""
        async with visitor(base, None) as client:
            await client.get(await to_provider(client, "5"))
            identity = Identity.read(COOKIES._serializer(SESSION).loads(client.cookies[SESSION]))
        assert identity.person == "eve"
        assert identity.authenticated_ms <= now_ms()

    @pytest.mark.parametrize(
        "next_page",
        ["https://evil.example", "//evil.example", r"/\evil.example", "javascript:alert(1)", "/%0d%0a x", ""],
    )
    async def test_a_login_goes_on_with_a_page_of_ours_alone(self, base: str, next_page: str) -> None:
        """Anything else is the inbox."""
        async with visitor(base, None) as client:
            path = f"/login/oidc?{httpx.QueryParams({'next': next_page})}"
            reply = await client.get(await to_provider(client, "1", path))
        assert 'content="0; url=/"' in reply.text

    async def test_a_provider_that_is_away_is_told(self, valkey_url: str) -> None:
        """503, and the page stands."""
        line = Provider(terms=terms("http://127.0.0.1:9"))
        with serving(parts(valkey_url, "logins", provider=line)) as base:
            async with visitor(base, None) as client:
                reply = await client.get("/login/oidc")
        assert (reply.status_code, "does not answer now" in reply.text) == (503, True)


class TestToken:
    """Id tokens that are none."""

    KEY = RSAKey.generate_key(2048, {"kid": "1"}, private=True)
    OTHER = RSAKey.generate_key(2048, {"kid": "1"}, private=True)

    def provider(self, token: str) -> Provider:
        """A provider that gives this token."""

        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("openid-configuration"):
                parts_ = {
                    "authorization_endpoint": f"{ISSUER}/a",
                    "token_endpoint": f"{ISSUER}/t",
                    "jwks_uri": f"{ISSUER}/k",
                }
                return httpx.Response(200, json={"issuer": ISSUER, **parts_})
            if request.url.path == "/k":
                return httpx.Response(200, json={"keys": [self.KEY.as_dict(private=False)]})
            return httpx.Response(200, json={"access_token": "x", "token_type": "Bearer", "id_token": token})

        return Provider(terms=terms(ISSUER), transport=httpx.MockTransport(answer))

    async def logged_in(self, key: Any = None, is_bare: bool = False, **changed: Any) -> str:
        """Who such a token logs in."""
        _, begun = await self.provider("").begin("/", is_fresh=False)
        now = int(time.time())
        claims = {
            "iss": ISSUER, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 60, "nonce": begun.nonce,
            "email": "ann@acme.example", "email_verified": True,
        } | changed  # fmt: skip
        given = {name: value for name, value in claims.items() if value is not None}
        token = jwt.encode({"alg": "RS256", "kid": "1"}, given, key or self.KEY)
        if is_bare:
            _, body, _ = token.split(".")
            none = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
            token = f"{none}.{body}."
        return (await self.provider(token).finish(begun, begun.state, "code", ROSTER)).person

    async def test_a_good_one_is_good(self) -> None:
        """The others differ from it by one thing."""
        assert await self.logged_in() == "ann"

    @pytest.mark.parametrize(
        "changed",
        [
            {"iss": "https://evil.example"},
            {"aud": "other"},
            {"aud": [CLIENT, "other"]},
            {"exp": 1},
            {"exp": None},
            {"nonce": "x"},
            {"nonce": None},
            {"sub": None},
            {"iat": 10**11},
            {"email_verified": "true"},
            {"email_verified": None},
            {"email": ["ann@acme.example"]},
        ],
        ids=str,
    )
    async def test_t14_another_issuer_audience_time_or_nonce_is_nobody(self, changed: dict[str, Any]) -> None:
        """Refused, and the message holds nothing of it."""
        with pytest.raises(NotLoggedIn) as refused:
            await self.logged_in(**changed)
        assert "evil" not in str(refused.value)

    async def test_t14_another_key_or_no_signature_is_nobody(self) -> None:
        """A key of the same name, and `none`."""
        with pytest.raises(NotLoggedIn):
            await self.logged_in(self.OTHER)
        with pytest.raises(NotLoggedIn):
            await self.logged_in(is_bare=True)

    async def test_a_provider_that_calls_itself_another_is_refused(self) -> None:
        """Before anybody is sent there."""
        provider = self.provider("")
        provider.terms = terms(ISSUER + "/other")
        with pytest.raises(NotLoggedIn):
            await provider.begin("/", is_fresh=False)


class TestPerson:
    """Who a subject is."""

    PEOPLE = Roster(
        people={
            "ann": Person(email="ann@acme.example", subject="abc"),
            "bob": Person(email="bob@acme.example", slack="U1"),
        }
    )

    def test_t15_one_human_is_one_person_by_whichever_name(self) -> None:
        """Subject, e-mail and Slack id lead to the same entry."""
        assert {self.PEOPLE.find(who) for who in ("abc", "ann", "ANN@acme.example")} == {"ann"}
        assert person_of({"sub": "abc"}, self.PEOPLE) == "ann"
        assert person_of({"sub": "x", "email": "Bob@acme.example", "email_verified": True}, self.PEOPLE) == "bob"

    def test_t14_who_has_a_subject_logs_in_by_it_alone(self) -> None:
        """An address can change hands at a provider; a subject doesn't."""
        with pytest.raises(NotLoggedIn):
            person_of({"sub": "other", "email": "ann@acme.example", "email_verified": True}, self.PEOPLE)

    @pytest.mark.parametrize(
        "email",
        [
            "kim@stra\u00dfe.example",
            "\u212aim@strasse.example",
            "\uff4bim@strasse.example",
            "kim@stra\u017f\u017fe.example",
            "kim@strasse.example ",
            "kim@strasse.example\u200b",
            "kim@strasse\uff0eexample",
            "kim@strasse.example\ud800",
        ],
    )
    def test_t14_an_address_that_only_looks_alike_is_another(self, email: str) -> None:
        """Its domain can be somebody else's, who has it verified as their own."""
        roster = Roster(people={"kim": Person(email="Kim@strasse.example")}, signers={})
        assert person_of({"sub": "1", "email": "kim@STRASSE.example", "email_verified": True}, roster) == "kim"
        with pytest.raises(NotLoggedIn):
            person_of({"sub": "1", "email": email, "email_verified": True}, roster)

    @pytest.mark.parametrize(
        "two",
        [("subject: abc", "subject: ABC"), ("subject: bob@acme.example", "slack: U1")],
        ids=["same subject", "other's e-mail"],
    )
    def test_t15_two_people_with_one_subject_do_not_load(self, two: tuple[str, str]) -> None:
        """They would be one human who counts twice."""
        text = "people:\n" + "".join(
            f"  {name}: {{email: {name}@acme.example, {more}}}\n"
            for name, more in zip(("ann", "bob"), two, strict=True)
        )
        with pytest.raises(PolicyError, match="one human is one person"):
            read_roster(text, "approvers.yaml")


class TestSettings:
    """What they must say."""

    @pytest.mark.parametrize(
        ("settings", "told"),
        [
            ({"oidc_issuer": "https://x.example"}, "OIDC_CLIENT_ID"),
            ({"oidc_issuer": "http://x.example", "oidc_client_id": "a"}, "write https"),
            ({"oidc_issuer": "https://x.example", "oidc_client_id": "a", "oidc_groups": ("x",)}, "THEIRS=OURS"),
        ],
    )
    def test_half_of_a_provider_is_an_error(self, settings: dict[str, Any], told: str) -> None:
        """Before anything listens."""
        with pytest.raises(ConfigurationError, match=told):
            provider_of(ServerSettings(**settings), "http://x")

    def test_none_is_none(self) -> None:
        """And a whole one is whole."""
        assert provider_of(ServerSettings(), "http://x") is None
        made = provider_of(
            ServerSettings(oidc_issuer="https://x.example", oidc_client_id="a", oidc_groups=("cn=a,b=stewards",)),
            "https://y/",
        )
        assert made is not None
        assert made.terms.redirect_uri == "https://y/login/callback"
        assert made.terms.groups == {"cn=a,b": "stewards"}


SECRET = "s" * 43


@pytest.fixture(scope="module")
def local_base(valkey_url: str) -> Iterator[str]:
    """A server with a link for Ann."""
    with serving(parts(valkey_url, "logins", local=LocalLogin(person="ann", secret=SECRET))) as address:
        yield address


class TestLocal:
    """The link for one's own machine."""

    async def test_its_button_logs_in(self, local_base: str) -> None:
        """Opening the link doesn't."""
        async with visitor(local_base, None) as client:
            assert "Log in as ann" in (await client.get("/login/local")).text
            assert (await client.get("/session")).status_code == 401
            await client.post("/login/local", data={"secret": SECRET})
            assert (await client.get("/session")).status_code == 204

    @pytest.mark.parametrize(
        ("headers", "secret", "status"),
        [
            ({}, "x", 403),
            ({}, "", 403),
            ({"host": "inbox.acme.example"}, SECRET, 404),
            ({"x-forwarded-for": "192.0.2.1"}, SECRET, 404),
            ({"forwarded": "for=192.0.2.1"}, SECRET, 404),
            ({"origin": "https://evil.example"}, SECRET, 403),
        ],
        ids=["wrong", "empty", "another name", "a proxy", "a proxy's other header", "another site"],
    )
    async def test_t13_it_opens_for_nobody_else(
        self, local_base: str, headers: dict[str, str], secret: str, status: int
    ) -> None:
        """Whatever they know."""
        async with visitor(local_base, None) as client:
            reply = await client.post("/login/local", data={"secret": secret}, headers=headers)
            assert reply.status_code == status
            assert "set-cookie" not in reply.headers

    def test_a_caller_from_elsewhere_finds_no_such_page(self) -> None:
        """Though the server should listen there."""
        scope = {
            "type": "http",
            "headers": [(b"host", b"localhost")],
            "client": ("192.0.2.1", 1),
            "path": "/",
            "scheme": "http",
        }
        assert not LocalLogin(person="ann").is_here(
            Request({**scope, "server": ("localhost", 80), "query_string": b""})
        )

    @pytest.mark.parametrize(
        ("host", "public_url"),
        [("0.0.0.0", "http://127.0.0.1:1"), ("127.0.0.1", "https://inbox.acme.example"), ("inbox", "http://inbox")],
    )
    def test_t13_off_loopback_it_refuses_to_exist(self, host: str, public_url: str) -> None:
        """An error before anything listens."""
        with pytest.raises(ConfigurationError, match="this machine alone"):
            local_login("ann", host, public_url)

    async def test_without_one_there_is_none(self, valkey_url: str) -> None:
        """404, and the login page says what to do."""
        with serving(parts(valkey_url, "logins")) as base:
            async with visitor(base, None) as client:
                assert (await client.post("/login/local", data={"secret": ""})).status_code == 404
                assert "This server has no login" in (await client.get("/login")).text
                assert not form((await client.get("/login/local")).text, "/login/local")


async def test_behind_https_cookies_are_secure_and_bound_to_the_host(valkey_url: str) -> None:
    """`__Host-`, which no neighbour can set."""
    local = LocalLogin(person="ann", secret=SECRET)
    with serving(parts(valkey_url, "logins", local=local, is_https=True)) as base:
        async with visitor(base, None) as client:
            reply = await client.post("/login/local", data={"secret": SECRET})
    assert re.match(
        r"__Host-agentguard=.*; HttpOnly; Max-Age=43200; Path=/; SameSite=strict; Secure$", reply.headers["set-cookie"]
    )
