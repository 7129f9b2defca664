"""Where objects are built, and settings and files are read.

Settings come from the environment: AGENTGUARD_REDIS_URL, AGENTGUARD_STATE_DIR, AGENTGUARD_CONFIG_DIR, AGENTGUARD_KEYS.

What opens something is imported when it is first asked for: a policy is read and checked without a guard.
"""

from typing import TYPE_CHECKING

from agentguard.config.files import (
    APPROVERS,
    case_sources,
    has_people,
    lock_file,
    policy_files,
    policy_library,
    policy_warnings,
    read_library,
    read_pins,
    read_policies,
    read_roster,
    sign_roster,
)
from agentguard.config.masking import masker_of
from agentguard.config.people import people_of
from agentguard.config.settings import (
    Settings,
    assurance_of,
    journal_keys,
    kept_calls,
    keyring_of,
    own_key,
    refuse_misspelt,
    wrong_settings,
)
from agentguard.model.on_demand import on_demand

if TYPE_CHECKING:
    from agentguard.config.opening import open_brake, open_connection, open_desk, open_erasure, open_guard

__all__ = [
    "APPROVERS",
    "Settings",
    "assurance_of",
    "case_sources",
    "has_people",
    "journal_keys",
    "kept_calls",
    "keyring_of",
    "lock_file",
    "masker_of",
    "open_brake",
    "open_connection",
    "open_desk",
    "open_erasure",
    "open_guard",
    "own_key",
    "people_of",
    "policy_files",
    "policy_library",
    "policy_warnings",
    "read_library",
    "read_pins",
    "read_policies",
    "read_roster",
    "refuse_misspelt",
    "sign_roster",
    "wrong_settings",
]

__getattr__ = on_demand(
    __name__,
    {
        "opening": "open_brake open_connection open_desk open_erasure open_guard",
    },
)
