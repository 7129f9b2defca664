"""What people press in Slack, and what comes of it: the same rules as everywhere, behind Slack's word for who pressed.

Rules:
- who it is comes from Slack's own fields of a verified payload (team and user), never from what the card carries;
- only people of this workspace whose id stands in approvers.yaml: no guest, no stranger of a shared channel, no bot, nobody who left;
- each press counts once, however often Slack delivers it;
- what can't be done is told to that person alone; the card in the channel changes by what the channel of approvals then says.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from agentguard.cards import face_of
from agentguard.errors import ConfigurationError, DecisionRefused, GuardUnavailable
from agentguard.model.approvals import Decision
from agentguard.server.identity import Identity
from agentguard.server.office import Office
from agentguard.server.pace import TooMany
from agentguard.server.slack.blocks import (
    APPROVE,
    READ_ALL,
    REASON,
    REJECT,
    decided_of,
    everything_modal,
    inert,
    reject_modal,
)
from agentguard.server.slack.posts import BROKEN, SlackNotifier

REPLAY_MS = 15 * 60_000
"""How long a press is remembered; Slack's signatures are good for five minutes."""

_log = logging.getLogger("agentguard.server")


class Stranger(Exception):
    """Whoever pressed may decide nothing here; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Clicks:
    """Acts on what people press in one workspace. `critical`: whether what is critical may be approved here."""

    office: Office
    client: AsyncWebClient
    notifier: SlackNotifier
    team: str
    critical: bool = False

    async def act(self, payload: Mapping[str, Any]) -> None:
        """Act on one verified payload. What goes wrong is told to the person, or in the log."""
        try:
            if await self._is_new(payload):
                await self._act(payload)
        except (Stranger, DecisionRefused, TooMany) as refused:
            await self._tell(payload, str(refused))
        except (GuardUnavailable, ConfigurationError) as error:
            _log.error("a press in Slack could not be acted on: %s", error)
            await self._tell(
                payload, "Something that the server needs is away or broken; nothing was decided. Try again later."
            )
        except BROKEN as error:  # a decision is the last thing that is done, and asks Slack nothing
            _log.warning("Slack could not be asked while a press was acted on (%s)", type(error).__name__)
            await self._tell(payload, "Slack could not be asked just now; nothing was decided. Press again.")
        except (ValueError, KeyError, TypeError, AttributeError):
            _log.warning("a payload from Slack that is none of ours was dropped")

    async def _act(self, payload: Mapping[str, Any]) -> None:
        match payload.get("type"):
            case "block_actions":
                await self._pressed(payload, payload["actions"][0])
            case "view_submission":
                await self._submitted(payload, payload["view"])

    async def _pressed(self, payload: Mapping[str, Any], action: Mapping[str, Any]) -> None:
        if action["action_id"] not in (APPROVE, REJECT, READ_ALL):
            return
        request_id, card = decided_of(action["value"])
        identity = await self._identity(payload)
        if action["action_id"] == APPROVE:
            await self._decide(request_id, identity, Decision.APPROVE, card)
            return
        shown = await self.office.desk().show(request_id)
        if shown.card_digest != card:
            raise DecisionRefused("changed", "The card changed meanwhile; look at it again.")
        face = face_of(shown)
        is_rejecting = action["action_id"] == REJECT
        view = reject_modal(face) if is_rejecting else everything_modal(face, self.notifier.link(request_id))
        if view is None:
            raise Stranger(
                f"This is longer than Slack can show. Read and decide it here: {self.notifier.link(request_id)}"
            )
        await self.client.views_open(trigger_id=payload["trigger_id"], view=view)

    async def _submitted(self, payload: Mapping[str, Any], view: Mapping[str, Any]) -> None:
        request_id, card = decided_of(view["private_metadata"])
        identity = await self._identity(payload)
        if view["callback_id"] == APPROVE:
            await self._decide(request_id, identity, Decision.APPROVE, card)
        elif view["callback_id"] == REJECT:
            reason = view["state"]["values"].get(REASON, {}).get(REASON, {}).get("value") or ""
            await self._decide(request_id, identity, Decision.REJECT, card, str(reason))

    async def _decide(
        self, request_id: str, identity: Identity, decision: Decision, card: str, comment: str = ""
    ) -> None:
        try:
            await self.office.decide(request_id, identity, decision, card_digest=card, comment=comment)
        except DecisionRefused as refused:
            if refused.code != "step_up":
                raise
            told = f"This is critical: log in and approve it on its page, {self.notifier.link(request_id)}"
            raise DecisionRefused("step_up", told) from None

    async def _identity(self, payload: Mapping[str, Any]) -> Identity:
        """Who pressed, by Slack's word. Raises Stranger."""
        user, team = payload["user"]["id"], payload["user"].get("team_id") or payload["team"]["id"]
        if team != self.team:
            raise Stranger("You are not of this workspace, so you decide nothing here.")
        people = self.office.roster().people
        person = next((name for name, each in people.items() if each.slack == user), None)
        if person is None:
            raise Stranger(f"Your Slack id {user} stands beside nobody in approvers.yaml, so you decide nothing here.")
        await self._check_member(user)
        proved = self.office.now_ms() if self.critical else 0
        return Identity(person=person, how="slack", session=f"{team}.{user}", authenticated_ms=proved)

    async def _check_member(self, user: str) -> None:
        """Raise Stranger for who is no full member of the workspace today."""
        try:
            found = (await self.client.users_info(user=user))["user"]
        except SlackApiError:
            raise Stranger("Slack could not say who you are; try again.") from None
        wrong = [
            word
            for word in ("deleted", "is_bot", "is_restricted", "is_ultra_restricted", "is_stranger")
            if found.get(word)
        ]
        if wrong or found.get("team_id", self.team) != self.team:
            raise Stranger("Guests, bots and people of other workspaces decide nothing here.")

    async def _is_new(self, payload: Mapping[str, Any]) -> bool:
        """Whether this press was never acted on."""
        parts = [payload.get("trigger_id"), payload.get("user"), payload.get("actions"), payload.get("view", {})]
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
        key = self.notifier.names.press(digest)
        return bool(await self.notifier.connection.execute("SET", key, "1", "NX", "PX", REPLAY_MS))

    async def _tell(self, payload: Mapping[str, Any], text: str) -> None:
        """Tell one person alone."""
        user = payload.get("user", {}).get("id")
        channel = payload.get("channel", {}).get("id") or self.notifier.channel
        try:
            async with asyncio.timeout(10):
                await self.client.chat_postEphemeral(channel=channel, user=user, text=inert(text), blocks=_told(text))
        except Exception as error:  # noqa: BLE001 - whatever Slack's client raises, nothing more can be said
            _log.warning("somebody in Slack could not be told why nothing was decided (%s)", type(error).__name__)


def _told(text: str) -> list[dict[str, Any]]:
    return [{"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}}]
