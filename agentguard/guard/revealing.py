"""Step 1: tokens become values again, only in the parameters to which policy reveals them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from agentguard.errors import InvalidArguments, NotCanonical
from agentguard.guard.tokens import TokenBook
from agentguard.masking import restore
from agentguard.model.calls import Principal, ToolCall
from agentguard.model.canonical import canonical_json
from agentguard.model.tokens import Known, Token
from agentguard.policy import Reveal


class Restored(NamedTuple):
    """A call's arguments with tokens restored, as canonical JSON.

    `known`: every token of this session in the arguments, restored or not. `revealed`: the entity types that each parameter
    got in clear; an unmasking is on record.
    """

    text: str
    known: dict[str, Known]
    revealed: dict[str, tuple[str, ...]]

    @property
    def tokens(self) -> dict[str, Token]:
        """What the tokens stand for."""
        return {text: entry.token for text, entry in self.known.items()}


async def restore_call(call: ToolCall, reveals: Sequence[Reveal], tokens: TokenBook, principal: Principal) -> Restored:
    """The call's arguments as the tool may see them. Raises InvalidArguments for what has no JSON form, GuardUnavailable."""
    written = _canonical(call, call.arguments)
    found = tokens.ids(principal).read(written)
    known = await tokens.resolve(principal, (text for _, _, text in found))
    if not known:
        return Restored(written, {}, {})
    resolved = {text: entry.token for text, entry in known.items()}
    arguments = restore(call.arguments, reveals, resolved)
    revealed = {
        reveal.parameter: types
        for reveal in reveals
        if (types := _restored_types(reveal, call.arguments, arguments, resolved))
    }
    return Restored(_canonical(call, arguments), known, revealed)


def still_revealed(revealed: Mapping[str, tuple[str, ...]], reveals: Sequence[Reveal]) -> bool:
    """Whether what a call got in clear is what these reveals would give it too."""
    now = {reveal.parameter: set(reveal.entity_types) for reveal in reveals}
    return all(set(types) <= now.get(parameter, set()) for parameter, types in revealed.items())


def _canonical(call: ToolCall, arguments: Mapping[str, Any]) -> str:
    try:
        return canonical_json(dict(arguments))
    except NotCanonical as error:
        raise InvalidArguments([(error.path, error.rule)], tool=call.tool) from None


def _restored_types(
    reveal: Reveal, before: Mapping[str, Any], after: Mapping[str, Any], resolved: Mapping[str, Token]
) -> tuple[str, ...]:
    """The entity types that this reveal put into its parameter, or could have: none where it changed nothing."""
    path = reveal.parameter.split(".")
    if _at(before, path) == _at(after, path):
        return ()
    return tuple(sorted({token.entity_type for token in resolved.values()} & set(reveal.entity_types)))


def _at(value: Any, path: Sequence[str]) -> Any:
    """What stands at a path; lists are looked through, as the reveal does."""
    if isinstance(value, (list, tuple)):
        return [_at(inner, path) for inner in value]
    if not path or not isinstance(value, Mapping):
        return value if not path else None
    return _at(value.get(path[0]), path[1:])
