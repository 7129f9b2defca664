"""Step 1: tokens become values again, only in the parameters to which policy reveals them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from agentguard.errors import InvalidArguments, NotCanonical
from agentguard.guard import refusals
from agentguard.guard.snapshot import Snapshot, take_snapshot
from agentguard.guard.tokens import TokenBook
from agentguard.masking import Left, Put, Restoring, TokenIds, by_parameter, is_stand_in, veiled
from agentguard.model.calls import Principal, Tool, ToolCall
from agentguard.model.canonical import canonical_json
from agentguard.model.record import Json
from agentguard.model.tokens import Known, Token
from agentguard.policy import Reveal


class Restored(NamedTuple):
    """A call's arguments with tokens restored, as canonical JSON.

    `known`: every token of this session in the arguments, restored or not; a stand-in counts as the token that it stands in for.
    `revealed`: the entity types that each parameter got in clear; an unmasking is on record. `left`: where a token is the whole value.
    `put`: the values that were put in.
    """

    text: str
    known: dict[str, Known]
    revealed: dict[str, tuple[str, ...]]
    left: Sequence[Left] = ()
    put: Sequence[Put] = ()

    @property
    def tokens(self) -> dict[str, Token]:
        """What the tokens stand for."""
        return {text: entry.token for text, entry in self.known.items()}

    def veil(self, arguments: dict[str, Json]) -> dict[str, Json]:
        """Parsed arguments as they may be recorded and shown: the tokens in place of what was restored. Others are masked after."""
        return veiled(arguments, self.put) if self.put else arguments


async def restore_call(
    call: ToolCall, tool: Tool, reveals: Sequence[Reveal], tokens: TokenBook, principal: Principal
) -> Restored:
    """The call's arguments as the tool may see them.

    Raises InvalidArguments for what has no JSON form, CallRefused where a token would stand in the place of a value, GuardUnavailable.
    """
    written = _canonical(call, call.arguments)
    ids = tokens.ids(principal)
    found = ids.read_disguised(written)
    if not found:
        return Restored(written, {}, {})
    known = await tokens.resolve(principal, (text for _, _, text in found))
    resolved = {text: entry.token for text, entry in known.items()}
    restoring = Restoring(
        reveals=by_parameter(reveals),
        resolved=resolved,
        schema=tool.schema,
        read=ids.read_disguised,
        token_text=lambda token: _plain(token, ids).text,
    )
    arguments = restoring.restored(call.arguments)
    if any(left.stops for left in restoring.left):
        raise refusals.not_restored(call.tool, restoring.left)
    revealed = {
        reveal.parameter: types
        for reveal in reveals
        if (types := _restored_types(reveal, call.arguments, arguments, resolved))
    }
    return Restored(_canonical(call, arguments), dict(_as_tokens(known, ids)), revealed, restoring.left, restoring.put)


def _as_tokens(known: Mapping[str, Known], ids: TokenIds) -> Iterator[tuple[str, Known]]:
    for entry in known.values():
        token = _plain(entry.token, ids)
        yield token.text, entry._replace(token=token)


def _plain(token: Token, ids: TokenIds) -> Token:
    """The token, or the one that a stand-in stands in for."""
    return ids.token(token.entity_type, token.value) if is_stand_in(token.text) else token


def snapshot_of(tool: Tool, restored: Restored) -> Snapshot:
    """The snapshot of a call (step 2). Raises CallRefused, which says so where what the tool would not take is a token."""
    try:
        return take_snapshot(tool, restored.text)
    except InvalidArguments as invalid:
        refusal = refusals.explained(invalid, restored.left)
    raise refusal


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
