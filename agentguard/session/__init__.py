"""What sessions have seen and used: tokens and what they stand for, labels, and limits."""

from agentguard.session.erasing import Erasing, Found
from agentguard.session.habits import Habits, Traits, Usual
from agentguard.session.ledger import Charged, Goal, Ledger
from agentguard.session.sessions import Collided, News, Seen, Sessions
from agentguard.session.vault import Vault
from agentguard.session.words import SeenWords, Standing, Words

__all__ = [
    "Charged",
    "Collided",
    "Erasing",
    "Found",
    "Goal",
    "Habits",
    "Ledger",
    "News",
    "Seen",
    "SeenWords",
    "Sessions",
    "Standing",
    "Traits",
    "Usual",
    "Vault",
    "Words",
]
