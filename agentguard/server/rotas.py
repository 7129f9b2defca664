"""Asks the commands of groups who is in them, for as long as the server runs."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from agentguard.approval import Roster
from agentguard.config.rotas import ask_groups
from agentguard.errors import ConfigurationError
from agentguard.server.lasting import pause

INTERVAL_SECONDS = 5.0
_log = logging.getLogger("agentguard.server")


@dataclass(frozen=True, kw_only=True)
class Rotas:
    """The groups of the approvers.yaml in a folder."""

    folder: Path
    roster: Callable[[], Roster]
    interval_seconds: float = INTERVAL_SECONDS
    _wrong: dict[str, str] = field(default_factory=dict)

    async def ask(self) -> None:
        """One round: each command that is due; then a pause."""
        try:
            roster = self.roster()
            if roster.rotas:
                self._log(await asyncio.to_thread(self._ask_due, roster))
        except ConfigurationError as error:
            _log.error("who is in groups can't be asked: %s", error)  # no traceback
        await pause(self.interval_seconds)

    def _ask_due(self, roster: Roster) -> dict[str, str]:
        now_ms = time.time_ns() // 1_000_000
        return {each.group: each.wrong for each in ask_groups(self.folder, roster, now_ms=now_ms, only_due=True)}

    def _log(self, asked: dict[str, str]) -> None:
        """What goes wrong is said once, until it is right again."""
        for group, wrong in asked.items():
            if wrong and self._wrong.get(group) != wrong:
                _log.error("group %s: %s; its last answer counts for a while, then nobody is in it", group, wrong)
            self._wrong[group] = wrong
