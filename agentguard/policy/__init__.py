"""Policy: what may run, what must be asked for, and what never runs. Pure: no I/O, no clock, no environment."""

from agentguard.policy.cases import Case, CaseResult, Expectation, milliseconds, read_cases, run_cases, verdict_of
from agentguard.policy.changes import Answer, Change, between
from agentguard.policy.comparing import compare
from agentguard.policy.conditions import SessionPart
from agentguard.policy.deeds import NoDeed
from agentguard.policy.directions import Way
from agentguard.policy.document import Document
from agentguard.policy.limits import BadAmount, amounts
from agentguard.policy.lint import lint
from agentguard.policy.loading import Source, load
from agentguard.policy.masking_section import MaskingSection
from agentguard.policy.pins import Lock, Pins, hidden_in, pin, read_lock, unpinnable, write_lock
from agentguard.policy.policy import Policy
from agentguard.policy.replaying import Undecided, judge_kept
from agentguard.policy.roles import role_values
from agentguard.policy.soundness import Check
from agentguard.policy.terms import Reveal, ToolTerms
from agentguard.policy.using import NotUsable, with_used

__all__ = [
    "Answer",
    "BadAmount",
    "Case",
    "CaseResult",
    "Change",
    "Check",
    "Document",
    "Expectation",
    "Lock",
    "MaskingSection",
    "NoDeed",
    "NotUsable",
    "Pins",
    "Policy",
    "Reveal",
    "SessionPart",
    "Source",
    "ToolTerms",
    "Undecided",
    "Way",
    "amounts",
    "between",
    "compare",
    "hidden_in",
    "judge_kept",
    "lint",
    "load",
    "milliseconds",
    "pin",
    "read_cases",
    "read_lock",
    "role_values",
    "run_cases",
    "unpinnable",
    "verdict_of",
    "with_used",
    "write_lock",
]
