"""What people are shown of a request: one record, every text in it safe to show, and the templates that write it out."""

from agentguard.cards.brief import Brief, brief_of
from agentguard.cards.cutting import Cut, cut
from agentguard.cards.face import Argument, Change, Face, Said, face_of
from agentguard.cards.rendering import environment, text_of
from agentguard.cards.spelling import Block, Line, block, line

__all__ = [
    "Argument",
    "Block",
    "Brief",
    "Change",
    "Cut",
    "Face",
    "Line",
    "Said",
    "block",
    "brief_of",
    "cut",
    "environment",
    "face_of",
    "line",
    "text_of",
]
