"""What sessions have seen and used: tokens and what they stand for, labels, and limits."""

from agentguard.session.habits import Habits, Traits, Usual
from agentguard.session.ledger import Charged, Goal, Ledger
from agentguard.session.sessions import News, Sessions

__all__ = ["Charged", "Goal", "Habits", "Ledger", "News", "Sessions", "Traits", "Usual"]
