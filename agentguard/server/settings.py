"""What `agentguard serve` is told by its environment: variables that begin with AGENTGUARD_SERVER_.

Rules:
- a list is written with commas;
- a URL that no webhook could go to, a secret that is none, or webhooks without a secret are errors before anything starts;
- no error shows the value of a setting, because some are secrets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PositiveFloat, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from agentguard.config import Settings, refuse_misspelt, wrong_settings

PREFIX = "AGENTGUARD_SERVER_"

RETRY_SECONDS = (5.0, 30.0, 120.0, 600.0, 3600.0, 10800.0, 21600.0, 43200.0)
"""Waits between the attempts to send one message; after the last one it is a dead letter, about a day later."""

STEP_UP_SECONDS = 300
"""How long ago a person may have proved who they are, to approve what is critical."""


def _listed(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Listed = BeforeValidator(_listed)


class ServerSettings(BaseSettings):
    """Settings of the server; the defaults serve one machine, without webhooks."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True)

    public_url: str = Field(default="", pattern=r"^(https?://[^\s?#]+)?$")
    """How people reach this server; links in webhooks begin with it. Empty: the address it listens on."""

    signer: str = "inbox"
    """The name under `signers:` in approvers.yaml that this server's votes are signed by."""

    signer_key: Path | None = None
    """That signer's private key; by default `signers/NAME.key` in the configuration folder."""

    tokens: Path | None = None
    """The file of `agentguard token`; by default `tokens.json` in the configuration folder."""

    tls_certificate: Path | None = None
    """PEM certificate chain to serve https with; needs `tls_key`."""

    tls_key: Path | None = None
    """PEM private key of the certificate."""

    oidc_issuer: str = Field(default="", pattern=r"^(https?://[^\s?#]+)?$")
    """The login provider, as it calls itself. Empty: nobody logs in by one. http for one on this machine alone."""

    oidc_client_id: str = ""
    """What the provider calls this server."""

    oidc_client_secret: SecretStr = SecretStr("")
    """The secret that it gave; empty for a public client."""

    oidc_groups_claim: str = "groups"
    """The claim of an id token that lists groups."""

    oidc_groups: Annotated[tuple[str, ...], NoDecode, Listed] = ()
    """`THEIRS=OURS`: the provider's group that confirms one of ours. Empty: its groups are not looked at."""

    step_up_seconds: Annotated[int, Field(ge=10, le=86400)] = STEP_UP_SECONDS
    """How long ago a person may have logged in, to approve what is critical."""

    unmask_group: str = ""
    """The group of approvers.yaml whose people may look at real values. Empty: nobody; else the server needs the agent side's keyring."""

    webhook_urls: Annotated[tuple[str, ...], NoDecode, Listed] = ()
    """Where a request's opening and end are told: `URL`, or `NAME=URL` for what policy sends to `webhook:NAME`. https, unless the host is
    in `webhook_allow_hosts`."""

    webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode, Listed] = ()
    """`whsec_...`, newest first; each message carries a signature of every one, so that a secret can be rotated."""

    webhook_allow_hosts: Annotated[tuple[str, ...], NoDecode, Listed] = ()
    """Hosts that webhooks may reach by http, and at loopback and private addresses."""

    teams_urls: Annotated[tuple[SecretStr, ...], NoDecode, Listed] = ()
    """Workflows webhooks of Teams channels, where a card links to each request's page: `URL`, or `NAME=URL` for `teams:NAME`."""

    notifiers: Annotated[tuple[str, ...], NoDecode, Listed] = ()
    """Channels of installed packages (entry points in the group `agentguard.notifiers`), by name."""

    slack_bot_token: SecretStr = SecretStr("")
    """`xoxb-...` of the Slack app. Empty: no Slack."""

    slack_app_token: SecretStr = SecretStr("")
    """`xapp-...`, for Socket Mode: Slack needs no way to reach this server."""

    slack_signing_secret: SecretStr = SecretStr("")
    """What Slack signs presses with that it sends to `/slack/interactions`, where there is no Socket Mode."""

    slack_channel: str = Field(default="", pattern=r"^[A-Z0-9]{0,32}$")
    """The id of the channel that gets the cards, such as C012AB3CD."""

    slack_channels: Annotated[tuple[str, ...], NoDecode, Listed] = ()
    """`NAME=ID`: more channels, which get the cards that policy sends to `slack:NAME`."""

    slack_team: str = Field(default="", pattern=r"^[A-Z0-9]{0,32}$")
    """The id of the workspace, such as T012AB3CD: presses of people of others count for nothing."""

    slack_approves_critical: bool = False
    """Whether a press in Slack is enough to approve what is critical; else it is approved on its page, after a login."""

    slack_api_url: str = Field(default="https://slack.com/api/", pattern=r"^https?://[^\s?#]+/$")
    """Where Slack's Web API is."""

    webhook_retry_seconds: Annotated[tuple[PositiveFloat, ...], NoDecode, Listed] = RETRY_SECONDS
    """Waits between attempts; when they are used up, the message goes to the dead letters."""


def read_settings() -> ServerSettings:
    """The settings in the environment. Raises ConfigurationError, which names the variable and not its value."""
    refuse_misspelt(PREFIX, ServerSettings.model_fields)
    try:
        return ServerSettings()
    except ValidationError as error:
        raise wrong_settings(error, PREFIX) from None


def token_path(settings: Settings, server: ServerSettings) -> Path:
    """The file of `agentguard token`."""
    return server.tokens or settings.config_dir / "tokens.json"
