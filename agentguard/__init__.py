"""agentguard stands between an LLM agent and its tools.

What a user needs is here; each name is imported when it is first asked for, so `import agentguard` loads no framework.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentguard.model.on_demand import on_demand

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

__getattr__ = on_demand(
    __name__,
    {
        "config": "Settings open_guard",
        "errors": (
            "AgentGuardError CallPending CallRefused CallUnconfirmed ConfigurationError DecisionRefused Fault GuardUnavailable "
            "InvalidArguments NoSession OutcomeUnknown PolicyError RefusalReason ResultRefused ResultWithheld ToolFailed"
        ),
        "guard.blocking": "BlockingGuard",
        "guard.confirming": "Confirmation",
        "guard.permit": "Permit",
        "guard.pipeline": "Guard",
        "masking": "Finding Masker",
        "model.approvals": "Resolution Vote",
        "model.calls": "Principal Tool ToolCall",
        "model.verdicts": "Effect Risk Verdict",
        "policy": "Policy",
    },
)


def __dir__() -> list[str]:
    """What can be imported from here."""
    return sorted({*globals(), *__all__})
