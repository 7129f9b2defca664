"""What happens to a finding: an action, and which one applies.

Rules:
- asked in turn are the layers, the closest first (a tool's own words, then the policy's);
- in a layer the path that names most counts before the type, and the type before `*`;
- where nothing is said, the finding becomes a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from agentguard.masking.coarser import coarser
from agentguard.masking.finding import ALL
from agentguard.masking.people import partial, tail
from agentguard.masking.tokens import TokenIds


class Action(NamedTuple):
    """What is done. `keep`, of `mask` alone: how many characters at the end stay."""

    name: str
    keep: int | None = None


TOKEN = Action("token")
ACTIONS = ("allow", "token", "redact", "mask", "hmac", "generalise", "drop")
"""Left in clear, replaced by a token, named by its type alone, shown in part, replaced by a keyed hash, made coarser, taken out."""

Written = Mapping[str, str | Action | Mapping[str, str | Action]]
"""Entity types, `*` and paths of keys, each to an action or its name; a path also to actions by entity type."""


class PathRule(NamedTuple):
    """Actions of findings under a path. `layer`: in which layer it stands."""

    path: str
    layer: int
    by_type: Mapping[str, Action]


class Actions:
    """Which action applies to a finding. `layers`: the closest first. `found`: what `of` has told already."""

    def __init__(self, *layers: Written) -> None:
        self._layers = layers
        self.paths: tuple[PathRule, ...] = tuple(
            rule for number, layer in enumerate(layers) for rule in sorted(_rules(layer, number), key=_by_literals)
        )
        self._types: tuple[dict[str, Action], ...] = tuple(
            {key: _action(there) for key, there in layer.items() if not is_path(key) and not isinstance(there, Mapping)}
            for layer in layers
        )
        self.found: dict[tuple[str, tuple[int, ...]], Action] = {}
        unknown = sorted({action.name for action in self._all()} - set(ACTIONS))
        if unknown:
            raise ValueError(f"unknown masking action {unknown[0]!r}; write one of: {', '.join(ACTIONS)}")

    def of(self, entity_type: str, under: tuple[int, ...] = ()) -> Action:
        """The action for a finding of this type under these of `paths`, by number."""
        asked = entity_type, under
        found = self.found.get(asked)
        if found is None:
            found = self.found[asked] = self._found(*asked)
        return found

    def over(self, closer: Written) -> Actions:
        """These actions behind a closer layer."""
        return Actions(closer, *self._layers)

    def _found(self, entity_type: str, under: tuple[int, ...]) -> Action:
        rules = [self.paths[number] for number in sorted(under)]
        for number, by_type in enumerate(self._types):
            for there in (*(rule.by_type for rule in rules if rule.layer == number), by_type):
                action = there.get(entity_type) or there.get(ALL)
                if action is not None:
                    return action
        return TOKEN

    def _all(self) -> list[Action]:
        by_path = [action for rule in self.paths for action in rule.by_type.values()]
        return [*by_path, *(action for by_type in self._types for action in by_type.values())]


def is_path(key: str) -> bool:
    """Whether a key of actions is a path of keys, and no entity type."""
    return "." in key


def _rules(layer: Written, number: int) -> list[PathRule]:
    return [
        PathRule(key, number, {kind: _action(each) for kind, each in _by_type(there).items()})
        for key, there in layer.items()
        if is_path(key)
    ]


def _by_type(there: str | Action | Mapping[str, str | Action]) -> Mapping[str, str | Action]:
    return there if isinstance(there, Mapping) else {ALL: there}


def _action(written: str | Action) -> Action:
    action = Action(written) if isinstance(written, str) else written
    return TOKEN if action == TOKEN else action


def _by_literals(rule: PathRule) -> tuple[int, str]:
    """The path with most literal characters first."""
    return -len(rule.path.replace("*", "")), rule.path


def carried_out(action: Action, entity_type: str, text: str, tokens: TokenIds) -> str | None:
    """What stands in the place of a value by any action but `token`; None: the value itself."""
    match action.name:
        case "allow":
            return None
        case "mask":
            return partial(entity_type, text) if action.keep is None else tail(text, action.keep)
        case "hmac":
            return f"[{entity_type} hmac {tokens.pseudonym(entity_type, text)}]"
        case "drop":
            return ""
        case "generalise":
            return coarser(entity_type, text) or redacted(entity_type)
    return redacted(entity_type)


def redacted(entity_type: str) -> str:
    """The type in place of the value."""
    return f"[{entity_type} redacted]"
