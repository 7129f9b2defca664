"""What is in force: one policy and the masker that goes with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agentguard.masking import Masker
from agentguard.policy import Policy


@dataclass(frozen=True, kw_only=True, slots=True)
class InForce:
    """A policy, and the masker that its masking section describes. They change together or not at all."""

    policy: Policy
    masker: Masker


Now = Callable[[], InForce]
"""Gives what is in force now. Raises GuardUnavailable where a change of it can't be put on record."""
