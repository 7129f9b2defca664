"""What a session has seen: tokens and what they stand for, and labels."""

from agentguard.session.sessions import News, Sessions

__all__ = ["News", "Sessions"]
