"""What people are shown of a request: one record, every text in it safe to show, and the templates that write it out."""

from agentguard.cards.brief import Brief, Called, brief_of, brief_of_turn
from agentguard.cards.cutting import Cut, cut
from agentguard.cards.face import Argument, Change, Face, Said, face_of
from agentguard.cards.question import question_of
from agentguard.cards.rendering import environment, text_of, text_of_turn
from agentguard.cards.spelling import Block, Line, block, line
from agentguard.cards.turn import TurnFace, digest_of, turn_of

__all__ = [
    "Argument",
    "Block",
    "Brief",
    "Called",
    "Change",
    "Cut",
    "Face",
    "Line",
    "Said",
    "TurnFace",
    "block",
    "brief_of",
    "brief_of_turn",
    "cut",
    "digest_of",
    "environment",
    "face_of",
    "line",
    "question_of",
    "text_of",
    "text_of_turn",
    "turn_of",
]
