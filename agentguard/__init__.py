"""agentguard stands between an LLM agent and its tools.

What a user needs is here; each name is imported when it is first asked for, so `import agentguard` loads no framework.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentguard.config import Settings, open_guard
    from agentguard.errors import (
        AgentGuardError,
        CallPending,
        CallRefused,
        CallUnconfirmed,
        ConfigurationError,
        DecisionRefused,
        Fault,
        GuardUnavailable,
        InvalidArguments,
        NoSession,
        OutcomeUnknown,
        PolicyError,
        RefusalReason,
        ResultRefused,
        ResultWithheld,
        ToolFailed,
    )
    from agentguard.guard.blocking import BlockingGuard
    from agentguard.guard.confirming import Confirmation
    from agentguard.guard.permit import Permit
    from agentguard.guard.pipeline import Guard
    from agentguard.masking import Finding, Masker
    from agentguard.model.approvals import Resolution, Vote
    from agentguard.model.calls import Principal, Tool, ToolCall
    from agentguard.model.verdicts import Effect, Risk, Verdict
    from agentguard.policy import Policy

__version__ = "0.1.0"

__all__ = [
    "AgentGuardError",
    "BlockingGuard",
    "CallPending",
    "CallRefused",
    "CallUnconfirmed",
    "ConfigurationError",
    "Confirmation",
    "DecisionRefused",
    "Effect",
    "Fault",
    "Finding",
    "Guard",
    "GuardUnavailable",
    "InvalidArguments",
    "Masker",
    "NoSession",
    "OutcomeUnknown",
    "Permit",
    "Policy",
    "PolicyError",
    "Principal",
    "RefusalReason",
    "Resolution",
    "ResultRefused",
    "ResultWithheld",
    "Risk",
    "Settings",
    "Tool",
    "ToolCall",
    "ToolFailed",
    "Verdict",
    "Vote",
    "__version__",
    "open_guard",
]

_HOME = {
    "agentguard.config": ["Settings", "open_guard"],
    "agentguard.errors": [
        "AgentGuardError",
        "CallPending",
        "CallRefused",
        "CallUnconfirmed",
        "ConfigurationError",
        "DecisionRefused",
        "Fault",
        "GuardUnavailable",
        "InvalidArguments",
        "NoSession",
        "OutcomeUnknown",
        "PolicyError",
        "RefusalReason",
        "ResultRefused",
        "ResultWithheld",
        "ToolFailed",
    ],
    "agentguard.guard.blocking": ["BlockingGuard"],
    "agentguard.guard.confirming": ["Confirmation"],
    "agentguard.guard.permit": ["Permit"],
    "agentguard.guard.pipeline": ["Guard"],
    "agentguard.masking": ["Finding", "Masker"],
    "agentguard.model.approvals": ["Resolution", "Vote"],
    "agentguard.model.calls": ["Principal", "Tool", "ToolCall"],
    "agentguard.model.verdicts": ["Effect", "Risk", "Verdict"],
    "agentguard.policy": ["Policy"],
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}


def __getattr__(name: str) -> object:
    """The exported name, imported now and kept."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What can be imported from here."""
    return sorted({*globals(), *__all__})
