"""OpenID Connect: a login provider says who a person is (OpenID Connect Core 1.0, authorization code flow with PKCE, RFC 7636).

Rules:
- the provider is the one of the settings: its issuer is compared with what it says of itself and with what each id token says;
- an id token counts with a signature by one of the provider's keys and an algorithm of ours, for this client, in time, with the
  nonce of this very login; everything else is nobody;
- a person is who has the token's `sub` as `subject` in approvers.yaml; who has no `subject` there, by an e-mail address that the
  provider verified, letter by letter;
- groups that the token claims can only narrow what approvers.yaml gives: the agent's side counts by that file, and by nothing that
  a server says.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlsplit

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import SecretStr

from agentguard.approval import Roster
from agentguard.errors import ConfigurationError
from agentguard.model.record import Record
from agentguard.server.local_login import is_loopback
from agentguard.server.settings import ServerSettings

ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "EdDSA")
SCOPES = "openid email profile"
TIMEOUT_SECONDS = 10.0
LEEWAY_SECONDS = 60
_METADATA_SECONDS = 3600.0
_log = logging.getLogger("agentguard.server")


class NotLoggedIn(Exception):
    """The login failed; the message is for the person, and holds nothing that the provider sent."""


class Begun(Record):
    """A login on its way, kept by the browser that began it. `next` is the page to go on with."""

    state: str
    nonce: str
    verifier: str
    next: str
    is_fresh: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Claims:
    """Whom the provider named, and what it said of them."""

    person: str
    authenticated_ms: int
    groups: tuple[str, ...] | None


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What the settings say of the provider. `groups`: its group to ours; empty: its groups are not asked for."""

    issuer: str
    client_id: str
    client_secret: SecretStr
    groups_claim: str
    groups: Mapping[str, str]
    redirect_uri: str
    step_up_seconds: int


@dataclass(kw_only=True)
class Provider:
    """One login provider. `transport` reaches it."""

    terms: Terms
    transport: httpx.AsyncBaseTransport | None = None
    _metadata: tuple[float, dict[str, Any]] | None = None
    _keys: KeySet | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def begin(self, next_page: str, *, is_fresh: bool) -> tuple[str, Begun]:
        """Where to send the browser, and what it keeps meanwhile. `is_fresh`: the person must prove themselves anew."""
        metadata = await self._known()
        begun = Begun(
            state=secrets.token_urlsafe(24),
            nonce=secrets.token_urlsafe(24),
            verifier=secrets.token_urlsafe(48),
            next=next_page,
            is_fresh=is_fresh,
        )
        more = {"max_age": str(self.terms.step_up_seconds)} if is_fresh else {}
        url = prepare_grant_uri(
            _text(metadata, "authorization_endpoint"),
            client_id=self.terms.client_id,
            response_type="code",
            redirect_uri=self.terms.redirect_uri,
            scope=SCOPES,
            state=begun.state,
            nonce=begun.nonce,
            code_challenge=create_s256_code_challenge(begun.verifier),
            code_challenge_method="S256",
            **more,
        )
        return str(url), begun

    async def finish(self, begun: Begun, state: str, code: str, roster: Roster) -> Claims:
        """Who came back. Raises NotLoggedIn."""
        if not secrets.compare_digest(begun.state.encode(), state.encode()):
            raise NotLoggedIn("this is not the login that this browser began; begin again")
        claims = await self._claims(await self._id_token(code, begun), begun)
        return Claims(
            person=person_of(claims, roster),
            authenticated_ms=_number(claims.get("auth_time")) * 1000,
            groups=self._groups(claims),
        )

    async def _id_token(self, code: str, begun: Begun) -> str:
        """What the provider gives for the code of this login. Raises NotLoggedIn."""
        terms = self.terms
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": terms.redirect_uri,
            "code_verifier": begun.verifier,
            "client_id": terms.client_id,
        }
        secret = terms.client_secret.get_secret_value()
        auth = httpx.BasicAuth(quote_plus(terms.client_id), quote_plus(secret)) if secret else None
        try:
            async with self._client(auth) as client:
                reply = await client.post(_text(await self._known(), "token_endpoint"), data=form)
                reply.raise_for_status()
                found = reply.json()
        except (httpx.HTTPError, ValueError) as error:
            _log.warning("the login provider gave no token: %s", type(error).__name__)
            raise NotLoggedIn("the login provider did not confirm this login; begin again") from None
        token = found.get("id_token") if isinstance(found, dict) else None
        if not isinstance(token, str):
            raise NotLoggedIn(
                "the login provider said nothing of who you are; it must know this server by the scope openid"
            )
        return token

    async def _claims(self, id_token: str, begun: Begun) -> Mapping[str, Any]:
        """The claims of an id token that is what it should be. Raises NotLoggedIn."""
        try:
            decoded = await self._decoded(id_token)
            rules = jwt.JWTClaimsRegistry(
                now=int(time.time()),
                leeway=LEEWAY_SECONDS,
                iss={"essential": True, "value": self.terms.issuer},
                aud={"essential": True, "value": self.terms.client_id},
                exp={"essential": True},
                iat={"essential": True},
                sub={"essential": True},
                nonce={"essential": True, "value": begun.nonce},
            )
            rules.validate(decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            _log.warning("an id token was refused: %s", type(error).__name__)
            raise NotLoggedIn("what the login provider sent does not verify; begin again") from None
        claims = decoded.claims
        if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 and claims.get("azp") != self.terms.client_id:
            raise NotLoggedIn("what the login provider sent is for another application")
        return claims

    async def _decoded(self, id_token: str) -> jwt.Token:
        """The token, its signature verified; keys are fetched anew where none fits, since providers change them."""
        for fetch_anew in (False, True):
            keys = await self._key_set(fetch_anew=fetch_anew)
            try:
                return jwt.decode(id_token, keys, algorithms=list(ALGORITHMS))
            except (JoseError, ValueError):
                if fetch_anew:
                    raise
        raise AssertionError

    async def _known(self) -> dict[str, Any]:
        """What the provider says of itself. Raises NotLoggedIn."""
        async with self._lock:
            if self._metadata is None or time.monotonic() - self._metadata[0] > _METADATA_SECONDS:
                self._metadata = (time.monotonic(), await self._discovered())
            return self._metadata[1]

    async def _discovered(self) -> dict[str, Any]:
        url = self.terms.issuer.rstrip("/") + "/.well-known/openid-configuration"
        found = await self._get(url)
        if found.get("issuer") != self.terms.issuer:
            _log.error("the login provider calls itself another issuer than AGENTGUARD_SERVER_OIDC_ISSUER")
            raise NotLoggedIn("the login provider is not the one of this server's settings; its log says more")
        return found

    async def _key_set(self, *, fetch_anew: bool) -> KeySet:
        if self._keys is None or fetch_anew:
            found: Any = await self._get(_text(await self._known(), "jwks_uri"))
            self._keys = KeySet.import_key_set(found)
        return self._keys

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            async with self._client() as client:
                reply = await client.get(url)
                reply.raise_for_status()
                found = reply.json()
        except (httpx.HTTPError, ValueError) as error:
            _log.error("the login provider can't be read: %s", type(error).__name__)  # its text may hold secrets
            raise NotLoggedIn("the login provider does not answer now; try again") from None
        if not isinstance(found, dict):
            raise NotLoggedIn("the login provider does not answer as one; this server's log says more")
        return found

    def _client(self, auth: httpx.Auth | None = None) -> httpx.AsyncClient:
        """Redirects are not followed: what is secret here goes to the provider alone."""
        return httpx.AsyncClient(transport=self.transport, auth=auth, timeout=TIMEOUT_SECONDS, trust_env=False)

    def _groups(self, claims: Mapping[str, Any]) -> tuple[str, ...] | None:
        if not self.terms.groups:
            return None
        said = claims.get(self.terms.groups_claim)
        names = said if isinstance(said, list) else [said]
        return tuple(
            sorted({self.terms.groups[name] for name in names if isinstance(name, str) and name in self.terms.groups})
        )


def provider_of(settings: ServerSettings, public_url: str) -> Provider | None:
    """The login provider that the settings name; None where they name none. Raises ConfigurationError."""
    if not settings.oidc_issuer:
        return None
    if not settings.oidc_client_id:
        raise ConfigurationError("AGENTGUARD_SERVER_OIDC_ISSUER needs AGENTGUARD_SERVER_OIDC_CLIENT_ID beside it")
    issuer = urlsplit(settings.oidc_issuer)
    if issuer.scheme != "https" and not is_loopback(issuer.hostname or ""):
        raise ConfigurationError(
            "AGENTGUARD_SERVER_OIDC_ISSUER: a login over http can be forged on the way; write https"
        )
    pairs = [entry.rpartition("=") for entry in settings.oidc_groups]
    if any(not theirs or not name for theirs, _, name in pairs):
        raise ConfigurationError("AGENTGUARD_SERVER_OIDC_GROUPS: write THEIRS=OURS, several with commas")
    return Provider(
        terms=Terms(
            issuer=settings.oidc_issuer,
            client_id=settings.oidc_client_id,
            client_secret=settings.oidc_client_secret,
            groups_claim=settings.oidc_groups_claim,
            groups={theirs: name for theirs, _, name in pairs},
            redirect_uri=f"{public_url.rstrip('/')}/login/callback",
            step_up_seconds=settings.step_up_seconds,
        )
    )


def person_of(claims: Mapping[str, Any], roster: Roster) -> str:
    """The person of approvers.yaml whom these claims name. Raises NotLoggedIn."""
    subject = claims["sub"]
    for name, person in roster.people.items():
        if person.subject is not None and person.subject == subject:
            return name
    email = claims.get("email")
    if isinstance(email, str) and claims.get("email_verified") is True:
        for name, person in roster.people.items():
            if person.subject is None and _address(person.email) == _address(email):
                return name
    raise NotLoggedIn(
        "you are logged in, but approvers.yaml lists nobody with your verified e-mail address or subject; ask who keeps that file"
    )


def _address(email: str) -> bytes:
    """An address without the case of its plain letters. Nothing else is folded: who registers a look-alike has it verified too."""
    return email.encode(errors="surrogatepass").lower()


def _text(metadata: Mapping[str, Any], name: str) -> str:
    found = metadata.get(name)
    if not isinstance(found, str):
        raise NotLoggedIn("the login provider does not say where its parts are; this server's log says more")
    return found


def _number(value: Any) -> int:
    return int(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 10**11 else 0
