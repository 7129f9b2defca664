"""The calls that run in this process on policy's word alone: Redis knows nothing of them until somebody freezes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from weakref import ref

from agentguard.approval import Attempt, Running
from agentguard.guard.permit import Permit
from agentguard.model.approvals import Freeze


@dataclass(frozen=True, kw_only=True)
class UnderWay:
    """What was permitted here without asking anew, and is not settled. A permit that nobody holds any more runs nothing."""

    _permits: dict[int, ref[Permit]] = field(default_factory=dict)

    def began(self, permit: Permit) -> None:
        """This call may run from now on."""
        number = id(permit)  # nothing else has it before the permit is gone from here
        self._permits[number] = ref(permit, partial(self._permits.pop, number))

    def refused(self, permit: Permit) -> None:
        """This call does not run after all, however long its error is kept."""
        self._permits.pop(id(permit), None)

    def under(self, freeze: Freeze) -> Sequence[Running]:
        """Those that the freeze would stop, had they not begun before it; any thread may ask."""
        return [
            _running(permit)
            for permit in self._held()
            if not permit.settled and freeze.stops(permit.principal.tenant, permit.principal.agent, permit.call.tool)
        ]

    def __bool__(self) -> bool:
        """Whether anything runs."""
        return any(not permit.settled for permit in self._held())

    def _held(self) -> Iterator[Permit]:
        return (permit for reference in list(self._permits.values()) if (permit := reference()) is not None)


def _running(permit: Permit) -> Running:
    principal = permit.principal
    attempt = Attempt(
        tool=permit.call.tool, agent=principal.agent, user=principal.user, session=principal.session, request=None
    )
    return Running(id=f"{principal.session}/{permit.call.id or id(permit)}", attempt=attempt)
