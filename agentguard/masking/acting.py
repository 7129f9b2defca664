"""What is put in the place of each finding of one value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from agentguard.masking.actions import TOKEN, Actions, carried_out
from agentguard.masking.known import KnownValues, is_findable
from agentguard.masking.known_rows import Value
from agentguard.masking.left_alone import Kept
from agentguard.masking.marked import marked_tokens
from agentguard.masking.masked import Masked
from agentguard.masking.tokens import TokenIds
from agentguard.model.tokens import Token

_BLOCK = "PRIVATE_KEY"


class Acting:
    """Carries out actions on the findings of one value, in order, and tells what came of it.

    `known`: what the session has seen, where each value is a spelling of the one that was seen first. `kept`: the tokens of the session
    that stand in the value already.
    """

    __slots__ = ("_acted", "_actions", "_counted", "_gone", "_made", "_stands_in", "_tokens", "kept", "known")

    def __init__(self, actions: Actions, tokens: TokenIds, known: KnownValues) -> None:
        self._actions, self._tokens, self.known = actions, tokens, known
        self._stands_in = tokens.has_stand_ins
        # No method of this object: it would hold itself, and wait for the garbage collector.
        self.kept = Kept(partial(_right_tokens, tokens), self._stands_in)
        self._made: dict[str, Token] = {}
        self._gone: dict[Value, None] = {}
        self._counted: dict[str, int] = {}
        self._acted: dict[tuple[str, str, tuple[int, ...]], str | None] = {}

    def replacement(self, entity_type: str, text: str, under: tuple[int, ...]) -> str | None:
        """What stands in the place of a finding; None: the text itself."""
        counted, acted = self._counted, self._acted
        counted[entity_type] = counted.get(entity_type, 0) + 1
        found = entity_type, text, under
        if found in acted:
            return acted[found]
        value = entity_type, text
        meant = self.known.seen.get(value) or self.known.meant(value)
        action = self._actions.found.get((entity_type, under)) or self._actions.of(entity_type, under)
        if action is TOKEN:
            token = self._tokens.made.get((entity_type, meant)) or self._tokens.token(entity_type, meant)
            new: str | None = token.text
            if token.text not in self._made:
                self._made[token.text] = token
            if self._stands_in and (given := self._tokens.stand_in(token)) is not None:
                self._made.setdefault(given.text, given)
                new = given.text
        else:
            new = carried_out(action, entity_type, meant, self._tokens)
        acted[found] = new
        if new is not None:
            self._gone[value] = None
        return new

    def masked(self, value: Any, *, changed: bool) -> Masked:
        """The value in which these replacements stand. What was replaced is known from now on."""
        if not self._acted:
            return Masked(value, (), {}, changed)
        made, gone = self._made, list(self._gone)
        self.known.learn(gone)
        if _BLOCK in self._counted:
            gone += self._inside(gone)
        hidden: tuple[Token, ...] = ()
        if self._stands_in or len(made) < len(gone):
            hidden = tuple({token.text: token for token in self._hidden(gone) if token.text not in made}.values())
        return Masked(value, tuple(made.values()), self._counted, changed, hidden)

    def _inside(self, gone: Iterable[Value]) -> list[Value]:
        """What is known of what stood in blocks that went as a whole: a key that is cut off takes the names after it with it."""
        return [
            (seen.entity_type, seen.value)
            for entity_type, text in gone
            if entity_type == _BLOCK
            for seen in self.known.find(text)
        ]

    def _hidden(self, gone: Iterable[Value]) -> Iterator[Token]:
        """The tokens of what was replaced, where it can be found again."""
        for found in gone:
            if is_findable(found[0]):
                yield self._tokens.token(found[0], self.known.meant(found))


def _right_tokens(tokens: TokenIds, text: str) -> list[tuple[int, int, str]]:
    return tokens.right(text, marked_tokens(text))
