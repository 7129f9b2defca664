"""The calls that run in this process on policy's word alone: Redis knows nothing of them until somebody freezes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from agentguard.approval import Attempt, Running
from agentguard.guard.permit import Permit
from agentguard.model.approvals import Freeze


@dataclass(frozen=True, kw_only=True)
class UnderWay:
    """What was permitted here without asking anew, and is not settled. A permit that nobody holds any more runs nothing."""

    _permits: WeakValueDictionary[int, Permit] = field(default_factory=WeakValueDictionary)

    def began(self, permit: Permit) -> None:
        """This call may run from now on."""
        self._permits[id(permit)] = permit

    def refused(self, permit: Permit) -> None:
        """This call does not run after all, however long its error is kept."""
        self._permits.pop(id(permit), None)

    def under(self, freeze: Freeze) -> Sequence[Running]:
        """Those that the freeze would stop, had they not begun before it; any thread may ask."""
        permits = [permit for reference in self._permits.valuerefs() if (permit := reference()) is not None]
        return [
            _running(permit)
            for permit in permits
            if not permit.settled and freeze.stops(permit.principal.tenant, permit.principal.agent, permit.call.tool)
        ]

    def __bool__(self) -> bool:
        """Whether anything runs."""
        references = self._permits.valuerefs()
        return any((permit := reference()) is not None and not permit.settled for reference in references)


def _running(permit: Permit) -> Running:
    principal = permit.principal
    attempt = Attempt(
        tool=permit.call.tool, agent=principal.agent, user=principal.user, session=principal.session, request=None
    )
    return Running(id=f"{principal.session}/{permit.call.id or id(permit)}", attempt=attempt)
