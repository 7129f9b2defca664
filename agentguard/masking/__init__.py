"""What is personal or secret, kept from the model: finding, masking, tokens, and the way back."""

from __future__ import annotations

from agentguard.masking.actions import ACTIONS, Action
from agentguard.masking.detectors import DEFAULT_DETECTORS, Detector
from agentguard.masking.encodings import is_text
from agentguard.masking.finding import ALL, Finding
from agentguard.masking.fitted import fitted, keeps_form
from agentguard.masking.known import KnownValues, same_value
from agentguard.masking.limits import Limits
from agentguard.masking.lists import AllowList, DenyList
from agentguard.masking.masked import Masked
from agentguard.masking.masker import Masker
from agentguard.masking.page import Page
from agentguard.masking.people import partial, visible
from agentguard.masking.raised import bare_error, says_nothing
from agentguard.masking.recognisers import BadPattern, Recogniser, Recognisers
from agentguard.masking.restoring import Left, Restoring, Why, by_parameter, restore
from agentguard.masking.standins import Form, is_stand_in
from agentguard.masking.stream import MaskedStream
from agentguard.masking.tokens import (
    TOKEN_PATTERN,
    TokenIds,
    candidates,
    canonical_value,
    form_wanted,
    takes_placeholder,
)
from agentguard.masking.veiling import Put, SaidAgain, veiled
from agentguard.masking.wanted import Wanted
from agentguard.masking.whole_names import ENTITY_TYPES

__all__ = [
    "ACTIONS",
    "ALL",
    "DEFAULT_DETECTORS",
    "ENTITY_TYPES",
    "TOKEN_PATTERN",
    "Action",
    "AllowList",
    "BadPattern",
    "DenyList",
    "Detector",
    "Finding",
    "Form",
    "KnownValues",
    "Left",
    "Limits",
    "Masked",
    "MaskedStream",
    "Masker",
    "Page",
    "Put",
    "Recogniser",
    "Recognisers",
    "Restoring",
    "SaidAgain",
    "TokenIds",
    "Wanted",
    "Why",
    "bare_error",
    "by_parameter",
    "candidates",
    "canonical_value",
    "fitted",
    "form_wanted",
    "is_stand_in",
    "is_text",
    "keeps_form",
    "partial",
    "restore",
    "same_value",
    "says_nothing",
    "takes_placeholder",
    "veiled",
    "visible",
]
