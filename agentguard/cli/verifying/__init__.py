"""Proof that the clauses of a policy are enforced: each is tried alone, by calls that go the whole road."""

from agentguard.cli.verifying.clauses import VERIFIERS, Present, present
from agentguard.cli.verifying.proving import Outcome, Verified, verified
from agentguard.cli.verifying.trials import Ground, open_ground

__all__ = ["VERIFIERS", "Ground", "Outcome", "Present", "Verified", "open_ground", "present", "verified"]
