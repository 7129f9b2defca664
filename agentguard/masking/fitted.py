"""A masked result made to fit what its tool says it gives: a masked number stays a number where nothing but a number may stand.

Rules:
- only what masking changed is looked at, and of that only what the schema refuses;
- a token goes without its brackets where the schema takes it so, and else gives way to a stand-in of the value's format (see `standins`),
  which leads back to the value as the token does;
- what masking took out, cut or made coarser leads back to nothing: in its place comes a stand-in that stands for nobody;
- what was a date or a UUID of Python is one again;
- where nothing of ours fits (a choice of words, a pattern of its own), and in sets, the masked text stays.
"""

from __future__ import annotations

import datetime
import re
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentguard.masking.leaves import record_fields
from agentguard.masking.masked import Masked
from agentguard.masking.remaking import remade
from agentguard.masking.standins import SAMPLES, Form, form_for
from agentguard.masking.tokens import TokenIds
from agentguard.masking.wanted import Wanted
from agentguard.model.calls import Returns
from agentguard.model.record import Json
from agentguard.model.tokens import Token


def fitted(masked: Masked, value: Any, returns: Returns | None, ids: TokenIds) -> Masked:
    """What was made of `value`, fit for what its tool returns; the stand-ins in it are among its tokens."""
    if returns is None or not masked.changed:
        return masked
    wanted = _wanted(returns.schema)
    if returns.key is None and type(value) in _CONTAINERS and not wanted.tells_of_parts:
        return masked
    fitting = _Fitting(ids=ids, tokens={token.text: token for token in masked.tokens})
    fit = fitting.under(returns.key, value, masked.value, wanted)
    if fit is masked.value:
        return masked
    return masked._replace(value=fit, tokens=tuple(fitting.tokens.values()))


def _wanted(schema: Mapping[str, Any]) -> Wanted:
    """What a tool's schema wants, worked out once: it is the same object for each of the tool's results."""
    known = _WANTED.get(id(schema))
    if known is None or known.root is not schema:
        if len(_WANTED) >= _SCHEMAS_KEPT:
            _WANTED.clear()
        known = _WANTED[id(schema)] = Wanted.of(schema)
    return known


_SCHEMAS_KEPT = 256
_WANTED: dict[int, Wanted] = {}
_CONTAINERS = frozenset({dict, list, tuple})


def keeps_form(schema: Mapping[str, Any]) -> bool:
    """Whether whatever is masked in a place of this schema has a stand-in there: numbers do, and texts of our formats."""
    takes = Wanted.of(schema).takes
    if schema.get("type") in ("integer", "number"):
        return takes(SAMPLES[Form.NUMBER][0])
    return "format" in schema and form_for(takes) is not None


@dataclass(frozen=True, kw_only=True)
class _Fitting:
    """`tokens`: what stands in the value, by its text; it grows."""

    ids: TokenIds
    tokens: dict[str, Token]

    def under(self, key: str | None, was: Any, now: Any, wanted: Wanted) -> Any:
        """The masked value, of which `wanted` says what stands under this key; None: what it is."""
        if key is None:
            return self._value(was, now, wanted)
        part = self._value(was.get(key), now.get(key), wanted)
        return now if part is now.get(key) else {**now, key: part}

    def _value(self, was: Any, now: Any, wanted: Wanted) -> Any:
        if was is now or not wanted.alternatives:
            return now
        parts = _masked_parts(was, now)
        if parts is None:
            return now if wanted.takes(_plain(now)) else self._leaf(was, now, wanted)
        changes = {}
        for slot, name, before, after in parts if wanted.tells_of_parts else ():
            fit = self._value(before, after, wanted.item(slot) if name is None else wanted.key(name))
            if fit is not after:
                changes[slot] = fit
        return remade(now, _slots(now), changes) if changes else now

    def _leaf(self, was: Any, now: Any, wanted: Wanted) -> Any:
        token, bare = None, None
        if isinstance(now, str):
            token, bare = self.tokens.get(now), _TOKEN.sub(r"\1", now)
        if bare != now and wanted.takes(bare):
            return bare
        for form in (Form.NUMBER,) if isinstance(was, (int, float)) else Form:
            given = self.ids.nobody(form, str(_plain(was))) if token is None else self.ids.stand_in_as(token, form)
            written = None if given is None else self._fit(was, given.text, wanted)
            if given is not None and written is not None:
                if token is not None:
                    self.tokens[given.text] = given
                return written
        return now

    def _fit(self, was: Any, text: str, wanted: Wanted) -> Any:
        """A stand-in as the schema takes it: of the type of what it stands for, or as text."""
        return next((each for each in (_like(was, text), text) if wanted.takes(_plain(each))), None)


class _Part(NamedTuple):
    """A part of a container that masking changed: its slot, its key (None: of a list), and what it was and is."""

    slot: int
    name: str | None
    was: Any
    now: Any


def _masked_parts(was: Any, now: Any) -> list[_Part] | None:
    """The parts of a container that masking changed; None for what is no container."""
    if isinstance(now, Mapping):
        parts = zip(was, was.values(), now.values(), strict=True)
        return [_Part(at, str(key), old, new) for at, (key, old, new) in enumerate(parts) if old is not new]
    if isinstance(now, (set, frozenset)):
        return []
    if isinstance(now, (list, tuple, deque)):
        return [_Part(at, None, old, new) for at, (old, new) in enumerate(zip(was, now, strict=True)) if old is not new]
    if (names := record_fields(now)) is not None:
        fields = [
            _Part(at, _written_as(now, name), getattr(was, name), getattr(now, name)) for at, name in enumerate(names)
        ]
        return [field for field in fields if field.was is not field.now]
    return None


def _slots(now: Any) -> tuple[Any, ...]:
    """What `remade` wants to know of a container."""
    return record_fields(now) or tuple(now)


def _written_as(record: Any, name: str) -> str:
    """The name of a field in what the record is written as."""
    field = getattr(type(record), "model_fields", {}).get(name)
    return getattr(field, "serialization_alias", None) or getattr(field, "alias", None) or name


def _plain(value: Any) -> Json:
    """A leaf as JSON has it."""
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID) else value


def _like(was: Any, text: str) -> Any:
    """A stand-in as a value of the type of what it stands for; its text where it is none of that type."""
    kind = next((kind for kind in _READERS if type(was) is kind), None)
    try:
        return text if kind is None else _READERS[kind](text)
    except ValueError:
        return text


_READERS: dict[type, Any] = {
    int: int,
    float: float,
    datetime.datetime: datetime.datetime.fromisoformat,
    datetime.date: datetime.date.fromisoformat,
    uuid.UUID: uuid.UUID,
}
_TOKEN = re.compile(r"\[([A-Z][A-Z0-9]{0,23}_[0-9a-z]{10})\]")
