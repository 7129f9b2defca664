"""Approvals: requests on Redis, votes that are signed, counted in one place, and waited for.

What stands over Redis is imported when it is first asked for: a policy is read and checked without it.
"""

from typing import TYPE_CHECKING

from agentguard.approval.notifier import CALLS_PEOPLE, Kind, NotDelivered, Notifier, Place, Turn, routed
from agentguard.approval.public_keys import is_public_key
from agentguard.approval.roster import Person, Roster, Signer
from agentguard.approval.roster_file import check_email, check_name, read_roster
from agentguard.approval.tally import Standing, Tally, Uncounted, obstacles, tally
from agentguard.model.on_demand import on_demand

if TYPE_CHECKING:
    from agentguard.approval.brake import SEEN_WITHIN_SECONDS, Brake
    from agentguard.approval.channel import Channel, How, Opened, Restraint
    from agentguard.approval.deeds import Attempt, Deeds, InTheWay, Run
    from agentguard.approval.desk import Desk
    from agentguard.approval.edits import changes_of, check_edit
    from agentguard.approval.freezes import Freezes, Running
    from agentguard.approval.grants import Granted, Grants, Listed, granted_by, holds
    from agentguard.approval.paging import Cursor, Page, Pages
    from agentguard.approval.showing import Shown
    from agentguard.approval.steps import Steps
    from agentguard.approval.stored import RecordMac, Stored
    from agentguard.approval.votes import check_vote, recount, sign_vote
    from agentguard.approval.waiting import Tell, Waiter, Waiters

__all__ = [
    "CALLS_PEOPLE",
    "SEEN_WITHIN_SECONDS",
    "Attempt",
    "Brake",
    "Channel",
    "Cursor",
    "Deeds",
    "Desk",
    "Freezes",
    "Granted",
    "Grants",
    "How",
    "InTheWay",
    "Kind",
    "Listed",
    "NotDelivered",
    "Notifier",
    "Opened",
    "Page",
    "Pages",
    "Person",
    "Place",
    "RecordMac",
    "Restraint",
    "Roster",
    "Run",
    "Running",
    "Shown",
    "Signer",
    "Standing",
    "Steps",
    "Stored",
    "Tally",
    "Tell",
    "Turn",
    "Uncounted",
    "Waiter",
    "Waiters",
    "changes_of",
    "check_edit",
    "check_email",
    "check_name",
    "check_vote",
    "granted_by",
    "holds",
    "is_public_key",
    "obstacles",
    "read_roster",
    "recount",
    "routed",
    "sign_vote",
    "tally",
]

__getattr__ = on_demand(
    __name__,
    {
        "brake": "SEEN_WITHIN_SECONDS Brake",
        "channel": "Channel How Opened Restraint",
        "deeds": "Attempt Deeds InTheWay Run",
        "desk": "Desk",
        "edits": "changes_of check_edit",
        "freezes": "Freezes Running",
        "grants": "Granted Grants Listed granted_by holds",
        "paging": "Cursor Page Pages",
        "showing": "Shown",
        "steps": "Steps",
        "stored": "RecordMac Stored",
        "votes": "check_vote recount sign_vote",
        "waiting": "Tell Waiter Waiters",
    },
)
