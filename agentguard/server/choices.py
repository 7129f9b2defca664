"""What one person may do with one request on its page, and why not."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from agentguard.approval import Stored
from agentguard.approval.edits import may_edit
from agentguard.errors import DecisionRefused
from agentguard.model.approvals import Decision
from agentguard.model.verdicts import Risk
from agentguard.server.entrance import Entrance
from agentguard.server.granting import Choice, choice_of
from agentguard.server.identity import Identity
from agentguard.server.office import Office


@dataclass(frozen=True, kw_only=True)
class Choices:
    """`why_not`: why they can't decide it, or nothing; `step_up`: where to log in again before approving, or nothing."""

    why_not: str
    has_approved: bool
    may_edit: bool
    may_unmask: bool
    offer: Choice | None
    step_up: str


def choices_of(entrance: Entrance, office: Office, stored: Stored, viewer: Identity, here: str) -> Choices:
    """What this person may do with this request. `here`: the page that they look at."""
    return Choices(
        why_not=_why_not(office, stored, viewer),
        has_approved=any(vote.person == viewer.person and vote.decision is Decision.APPROVE for vote in stored.votes),
        may_edit=_may_edit(office, stored, viewer),
        may_unmask=office.may_unmask(viewer),
        offer=choice_of(stored.request.card),
        step_up=_step_up(entrance, office, stored, viewer, here),
    )


def _why_not(office: Office, stored: Stored, viewer: Identity) -> str:
    try:
        office.desk().may_decide(stored, viewer.person, viewer.groups)
    except DecisionRefused as refused:
        return str(refused)
    return ""


def _may_edit(office: Office, stored: Stored, viewer: Identity) -> bool:
    try:
        may_edit(viewer.person, stored.request, office.roster(), now_ms=stored.now_ms)
    except DecisionRefused:
        return False
    return bool(stored.request.box)


def _step_up(entrance: Entrance, office: Office, stored: Stored, viewer: Identity, here: str) -> str:
    if stored.request.verdict.risk is not Risk.CRITICAL or office.is_fresh(viewer):
        return ""
    return f"/login/oidc?{urlencode({'next': here, 'fresh': 1})}" if entrance.provider is not None else "/login"
