"""The command: who decides here, what must be there for it, and the screen that it opens."""

from __future__ import annotations

import sys

import anyio

from agentguard.cli.keys import my_key
from agentguard.cli.options import DEFAULT_FOLDER, Name, Policies, Tenant
from agentguard.config import Settings, open_desk
from agentguard.config.people import people_of
from agentguard.errors import ConfigurationError

_NO_TERMINAL = (
    "the inbox needs a terminal; programs use `agentguard approvals list --json`, `agentguard approvals show ID --json` "
    "and `agentguard approvals approve ID --card DIGEST`"
)


def inbox(policies: Policies = DEFAULT_FOLDER, name: Name = None, tenant: Tenant = "default") -> None:
    """See what waits as it comes, and decide it with your own key: arrows choose, `a` approves, `r` rejects, `e` edits, `q` quits."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigurationError(_NO_TERMINAL)
    try:
        from agentguard.cli.inbox.board import Board  # noqa: PLC0415 - where terminals are no files this fails
        from agentguard.cli.inbox.sitting import Sitting  # noqa: PLC0415 - as above
    except ImportError:
        raise ConfigurationError(f"this system has no such terminal: {_NO_TERMINAL}") from None
    settings = Settings()
    roster = people_of(policies)
    person, key = my_key(settings, name)
    person = roster().person(person)

    async def sitting() -> None:
        async with open_desk(policies, settings, tenant=tenant) as desk:
            board = Board(person=person)
            await Sitting(channel=desk.channel, roster=roster, person=person, key=key, board=board).run()

    anyio.run(sitting)
