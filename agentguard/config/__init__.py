"""Where objects are built, and settings and files are read.

Settings come from the environment: AGENTGUARD_REDIS_URL, AGENTGUARD_STATE_DIR, AGENTGUARD_CONFIG_DIR, AGENTGUARD_KEYS.
"""

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
from agentguard.config.opening import open_brake, open_connection, open_desk, open_erasure, open_guard
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
