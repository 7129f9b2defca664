"""What is seen of values under a policy: by the model of results, and by people of arguments. For cases."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from agentguard.guard.maskers import Maskers
from agentguard.masking import TokenIds
from agentguard.model.record import Json

_TOKEN = re.compile(r"\[([A-Z][A-Z0-9_]*)_[a-z0-9]{10}\]")
_KEYED = re.compile(r"\[([A-Z][A-Z0-9_]*) hmac [a-z0-9]+\]")


@dataclass(frozen=True, kw_only=True)
class CaseView:
    """See `policy.cases.View`."""

    maskers: Maskers

    def masked(self, tool: str, result: Json) -> Json:
        """What the model sees of what a tool gives."""
        ids = TokenIds(keys=[bytes(32)], tenant="cases", session="cases")
        return _alike(self.maskers.of_result(tool).mask(result, ids).value)

    def shown(self, arguments: Mapping[str, Json]) -> Json:
        """What people see of arguments."""
        return _alike(self.maskers.default.for_people(dict(arguments)))


def _alike(value: Json) -> Json:
    """The value with every token written as `[EMAIL_*]`."""
    if isinstance(value, dict):
        return {_starred(key): _alike(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_alike(each) for each in value]
    return _starred(value) if isinstance(value, str) else value


def _starred(text: str) -> str:
    return _KEYED.sub(r"[\1 hmac *]", _TOKEN.sub(r"[\1_*]", text))
