"""What is in force: one policy and the maskers that go with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agentguard.guard.maskers import Maskers
from agentguard.masking import Masker
from agentguard.policy import Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class InForce:
    """A policy, and the maskers that it describes. They change together or not at all."""

    policy: Policy
    maskers: Maskers

    @property
    def masker(self) -> Masker:
        """The one of all tools of which the policy says nothing else."""
        return self.maskers.default


Now = Callable[[], InForce]
"""Gives what is in force now. Raises GuardUnavailable where a change of it can't be put on record."""
