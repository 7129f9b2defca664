"""Pins: what each tool said of itself when a person looked, so that one that changed since is noticed.

Rules:
- a description or a schema that differs in anything is another tool, and so is one that was never pinned;
- a name that a person could take for a pinned one is nobody's;
- text that a person can't see is pinned nowhere;
- the file is the same for the same tools wherever it is written: sorted, digests of what is long, nothing of the machine.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, assert_never

from pydantic import ValidationError

from agentguard.errors import PolicyError
from agentguard.model.calls import Tool
from agentguard.model.facts import PinState
from agentguard.model.listings import Hints, Listing
from agentguard.model.problems import Place, Problem
from agentguard.model.record import Json, Record
from agentguard.policy.patterns import is_tool_name

BYTES_MAX = 16 * 1024 * 1024
_KNOWN_MAX = 4096
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that show nothing."""
_EMOJI_JOINER = re.compile(
    "(?<=[\\U0001f000-\\U0001faff\\u2600-\\u27bf\\ufe0f])\u200d(?=[\\U0001f000-\\U0001faff\\u2600-\\u27bf])"
)
_STRUCTURE = frozenset(
    "type properties required items prefixItems additionalProperties $ref $defs definitions anyOf oneOf allOf format"
    " minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength minItems maxItems uniqueItems".split()
)
"""What of a schema stands in the file to be read; defaults and examples may hold a machine's paths, and are in the digest only."""
_NAMED = frozenset({"properties", "$defs", "definitions"})


class Pin(Record):
    """One tool as it was pinned. `description` and `schema_digest` are digests over all of each; `input_schema` is its structure.

    `besides`: a digest over what else a client is shown; None where nobody looked.
    """

    description: str
    schema_digest: str
    besides: str | None = None
    hints: Hints = Hints()
    input_schema: dict[str, Json] = {}


class Lock(Record):
    """The form of tools.lock.json."""

    version: Literal[1]
    tools: dict[str, Pin] = {}


@dataclass(frozen=True, kw_only=True)
class Pins:
    """The pins of a policy. `lines`: where each tool stands in `file`."""

    tools: Mapping[str, Pin]
    file: str = ""
    lines: Mapping[str, int] = field(default_factory=dict)
    _known: dict[tuple[str, str, str, str | None], PinState] = field(default_factory=dict, repr=False, compare=False)
    _alike: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def state(self, tool: Tool) -> PinState:
        """How a tool compares with its pin. Each description and schema is digested once, and compared in full at each call."""
        besides = getattr(tool, "besides", None)
        key = (tool.name, tool.description, _text(dict(tool.schema)), None if besides is None else _text(besides))
        state = self._known.get(key)
        if state is None:
            state = self._state(*key)
            if len(self._known) < _KNOWN_MAX:
                self._known[key] = state
        return state

    def digest(self) -> str:
        """One digest over all pins."""
        return _digest(write_lock(Lock(version=1, tools=dict(self.tools))))

    def place(self, tool: str) -> Place:
        """Where a tool stands in the file; its beginning for one that is not there."""
        return Place(file=self.file, line=self.lines.get(tool, 1), column=5 if tool in self.lines else 1)

    def alike(self, name: str) -> str | None:
        """The pinned tool that a name could be taken for, if it isn't that name itself."""
        other = self._alike.get(skeleton(name))
        return other if other != name else None

    def _state(self, name: str, description: str, schema: str, besides: str | None) -> PinState:
        pin = self.tools.get(name)
        if pin is None:
            return PinState.ALIKE if self.alike(name) else PinState.UNPINNED
        same = pin.description == _digest(description) and pin.schema_digest == _digest(schema)
        same = same and (None in (pin.besides, besides) or pin.besides == _digest(str(besides)))
        return PinState.SAME if same else PinState.CHANGED


def pin_reason(state: PinState, alike: str | None) -> str:
    """Why a tool that is not what was pinned is no ordinary one, in words for people."""
    match state:
        case PinState.SAME:
            return ""
        case PinState.CHANGED:
            return "This tool's description or schema changed since it was pinned or first seen"
        case PinState.UNPINNED:
            return "This tool was never pinned, and others are"
        case PinState.ALIKE:
            return f"This tool was never pinned, and its name could be taken for {alike}"
        case _:
            assert_never(state)


def pins_of(lock: Lock, *, file: str = "", text: str = "") -> Pins:
    """The pins in a lock; `text` is the file's, for places."""
    lines = {
        found[1]: number
        for number, line in enumerate(text.splitlines(), start=1)
        if (found := re.match(r' {4}"([a-zA-Z0-9_-]{1,64})": \{', line))
    }
    alike = {skeleton(name): name for name in lock.tools}
    return Pins(tools=dict(lock.tools), file=file, lines=lines, _alike=alike)


def pin(listing: Listing) -> Pin:
    """The pin of a tool as it is listed now. Raises NotCanonical for a schema without a canonical form."""
    return Pin(
        description=_digest(listing.description),
        schema_digest=_digest(_text(listing.input_schema)),
        besides=None if listing.besides is None else _digest(_text(listing.besides)),
        hints=listing.hints,
        input_schema=_structure(listing.input_schema),
    )


def write_lock(lock: Lock) -> str:
    """The text of tools.lock.json: two equal locks give equal texts, one line a value."""
    return json.dumps(lock.model_dump(mode="json", exclude_none=True), indent=2, sort_keys=True) + "\n"


def read_lock(text: str, file: str) -> Pins:
    """The pins in the text of a tools.lock.json. Raises PolicyError."""
    instead = "write it anew: agentguard policy pin"
    if len(text) > BYTES_MAX:
        raise PolicyError(
            [Problem(place=Place(file=file, line=1, column=1), what="larger than 16 MiB", instead=instead)]
        )
    try:
        lock = Lock.model_validate_json(json.dumps(json.loads(text, object_pairs_hook=_without_twice)))
    except json.JSONDecodeError as error:
        place = Place(file=file, line=error.lineno, column=error.colno)
        raise PolicyError([Problem(place=place, what=f"not JSON: {error.msg}", instead=instead)]) from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise PolicyError([Problem(place=Place(file=file, line=1, column=1), what=what, instead=instead)]) from None
    except (ValueError, RecursionError) as error:
        place = Place(file=file, line=1, column=1)
        raise PolicyError([Problem(place=place, what=f"can't be read ({error})", instead=instead)]) from None
    return pins_of(lock, file=file, text=text)


def unpinnable(listings: Iterable[Listing]) -> Iterator[tuple[str, str]]:
    """The tools that must not be pinned, each with why: no name for a tool, names twice or alike, text that nobody sees."""
    seen: dict[str, str] = {}
    for listing in listings:
        name, shown = listing.name, ascii(listing.name[:64])[1:-1]
        look = skeleton(name)
        if not is_tool_name(name):
            yield shown, "is no name for a tool: 1 to 64 of letters, digits, '_' and '-'"
        elif look in seen:
            told = "is listed twice" if seen[look] == name else f"could be taken for {seen[look]}"
            yield shown, f"{told}; rename one of them"
        seen.setdefault(look, name)
        hidden = hidden_in(listing)
        if hidden:
            yield shown, f"has text that nobody sees: {', '.join(hidden)}"


def hidden_in(listing: Listing) -> list[str]:
    """The characters in what a tool says of itself that nobody sees, as U+XXXX."""
    texts = _texts([listing.description, listing.input_schema, listing.besides or {}])
    return sorted({each for text in texts for each in hidden_characters(text)})


def hidden_characters(text: str) -> set[str]:
    """The characters of a text that show nothing or turn its direction, as U+XXXX."""
    bare = _EMOJI_JOINER.sub("", text)
    hidden = {c for c in bare if c not in "\n\r\t" and (unicodedata.category(c) in _UNSEEN or c in _BLANK)}
    hidden |= {c for c in bare if "\U000e0100" <= c <= "\U000e01ef" or ("\ufe00" <= c <= "\ufe0e")}
    return {f"U+{ord(c):04X}" for c in hidden}


def skeleton(name: str) -> str:
    """What is left of a name once all that looks alike is the same: case, separators, l 1 I, O 0, rn m, vv w."""
    return re.sub("[_-]", "", name.lower()).translate(_LOOKS).replace("rn", "m").replace("vv", "w")


_LOOKS = str.maketrans({"1": "l", "i": "l", "0": "o", "5": "s"})


def _structure(schema: Any, *, named: bool = False) -> Any:
    """What of a schema says which arguments there are. `named`: its keys are names, and no words of JSON Schema."""
    if isinstance(schema, dict):
        return {
            key: _structure(value, named=key in _NAMED and not named)
            for key, value in schema.items()
            if named or (key in _STRUCTURE and not (key == "$ref" and not str(value).startswith("#")))
        }
    return [_structure(each) for each in schema] if isinstance(schema, list) else schema


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def _without_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=repr)


def _digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
