"""What is personal or secret, kept from the model: finding, masking, tokens, and the way back."""

from __future__ import annotations

from agentguard.masking.detectors import DEFAULT_DETECTORS, Detector
from agentguard.masking.finding import Finding
from agentguard.masking.known import KnownValues
from agentguard.masking.limits import Limits
from agentguard.masking.masker import ACTIONS, Masked, Masker
from agentguard.masking.page import Page
from agentguard.masking.people import partial, visible
from agentguard.masking.restoring import restore
from agentguard.masking.tokens import TokenIds

__all__ = [
    "ACTIONS",
    "DEFAULT_DETECTORS",
    "Detector",
    "Finding",
    "KnownValues",
    "Limits",
    "Masked",
    "Masker",
    "Page",
    "TokenIds",
    "partial",
    "restore",
    "visible",
]
