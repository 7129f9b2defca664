"""`agentguard slack setup`: the app to make, whether it works, who in approvers.yaml is who there, and a first card."""

from __future__ import annotations

import json
from typing import Annotated, Any

import anyio
import typer

from agentguard.cli.options import DEFAULT_FOLDER, Policies
from agentguard.cli.screen import complain, say
from agentguard.config import read_roster
from agentguard.errors import ConfigurationError
from agentguard.server import read_settings

SCOPES = ("chat:write", "users:read", "users:read.email")
"""What the app may do; it reads no message."""

app = typer.Typer(help="Cards in a Slack channel.", no_args_is_help=True)


@app.callback()
def options() -> None:
    """Cards in a Slack channel."""


@app.command("setup")
def setup(
    policies: Policies = DEFAULT_FOLDER,
    url: Annotated[
        str | None, typer.Option("--url", help="This server's public URL, where there is to be no Socket Mode.")
    ] = None,
    test_card: Annotated[bool, typer.Option("--test-card", help="Post a test message to the channel.")] = False,
) -> None:
    """Print the manifest of the app to make; with its token set, check it and say who is who. Exit code 1: something is missing."""
    settings = read_settings()
    token = settings.slack_bot_token.get_secret_value()
    if test_card and not token:
        raise ConfigurationError(
            "--test-card: set AGENTGUARD_SERVER_SLACK_BOT_TOKEN to the token of the app that posts it"
        )
    if not token:
        say(json.dumps(manifest(url), indent=2))
        say(
            "make an app of this at api.slack.com/apps, install it, then set AGENTGUARD_SERVER_SLACK_BOT_TOKEN",
            style="dim",
        )
        return
    try:
        from slack_sdk.web.async_client import AsyncWebClient  # noqa: PLC0415 - only this command needs the extra
    except ImportError as error:
        raise ConfigurationError(f"Slack needs {error.name}: pip install 'agentguard[slack]'") from None
    client = AsyncWebClient(token=token, base_url=settings.slack_api_url, timeout=10)
    emails = {person.email: (name, person.slack) for name, person in read_roster(policies).people.items()}
    if test_card and not settings.slack_channel:
        raise ConfigurationError("--test-card: set AGENTGUARD_SERVER_SLACK_CHANNEL to the channel that gets it")
    missing = anyio.run(_checked, client, settings.slack_channel if test_card else "", emails)
    for line in missing:
        complain(line)
    if missing:
        raise typer.Exit(1)


def manifest(url: str | None) -> dict[str, Any]:
    """The Slack app: by Socket Mode, or with presses sent to a server at `url`."""
    interactivity: dict[str, Any] = {"is_enabled": True}
    if url is not None:
        interactivity["request_url"] = f"{url.rstrip('/')}/slack/interactions"
    return {
        "display_information": {"name": "agentguard", "description": "Agents ask people before they act"},
        "features": {"bot_user": {"display_name": "agentguard", "always_online": False}},
        "oauth_config": {"scopes": {"bot": list(SCOPES)}},
        "settings": {
            "interactivity": interactivity,
            "socket_mode_enabled": url is None,
            "org_deploy_enabled": False,
            "token_rotation_enabled": False,
        },
    }


async def _checked(client: Any, channel: str, emails: dict[str, tuple[str, str | None]]) -> list[str]:
    """The same, and what keeps Slack from being asked."""
    from aiohttp import ClientError  # noqa: PLC0415 - only this command needs the extra
    from slack_sdk.errors import SlackClientError  # noqa: PLC0415 - as above

    try:
        return await _check(client, channel, emails)
    except (ClientError, SlackClientError, TimeoutError, OSError) as error:
        return [f"Slack can't be reached ({type(error).__name__}) at {client.base_url}"]


async def _check(client: Any, channel: str, emails: dict[str, tuple[str, str | None]]) -> list[str]:
    """What is missing, in words; what works is said."""
    from slack_sdk.errors import SlackApiError  # noqa: PLC0415 - as above

    try:
        me = await client.auth_test()
    except SlackApiError as error:
        return [f"Slack does not take the token: {error.response.get('error')}"]
    say(f"workspace {me.get('team')}: set AGENTGUARD_SERVER_SLACK_TEAM={me.get('team_id')}")
    granted = {scope.strip() for scope in str(me.headers.get("x-oauth-scopes", "")).split(",")}
    missing = [f"the app lacks the scope {scope}" for scope in SCOPES if scope not in granted]
    for email, (name, slack) in sorted(emails.items()):
        try:
            found = (await client.users_lookupByEmail(email=email))["user"]["id"]
        except SlackApiError as error:
            missing.append(f"{name}: nobody there has {email} ({error.response.get('error')})")
            continue
        if slack == found:
            say(f"{name}: {found}")
        else:
            missing.append(f"{name} is {found}: put slack: {found} beside them in approvers.yaml")
    if channel:
        try:
            await client.chat_postMessage(channel=channel, text="agentguard is set up; requests of agents come here.")
            say(f"a test message is in {channel}")
        except SlackApiError as error:
            missing.append(f"no test message came to {channel}: {error.response.get('error')}")
    return missing
