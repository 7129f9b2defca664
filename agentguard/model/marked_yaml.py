"""Strict YAML in which every value knows its place.

Rules:
- one document, a size, depth and number of nodes that are capped before anything is built; no recursion;
- no aliases, anchors, tags, merge keys or directives; keys are text, each once;
- true, false, null, decimal integers and floats are what they look like; quoted text is text;
- what YAML 1.1 retypes in silence (`no`, `on`, `12:30`, `017`, `1_000`, `0x1F`) is refused; everything else is text;
- no characters that hide a line or turn its direction;
- every problem has file:line:column and says what to write instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, RootModel, ValidationError
from pydantic_core import ErrorDetails, to_json

from agentguard.errors import PolicyError
from agentguard.model.problems import Place, Problem
from agentguard.model.record import Json
from agentguard.model.yaml_scalars import plain_value, surprise

BYTES_MAX = 1024 * 1024
DEPTH_MAX = 32
NODES_MAX = 50_000
_PROBLEMS_MAX = 30

_WORDS = {
    "a valid array": "a list",
    "an object": "a mapping",
    "a valid string": "text",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "should be True": "should be true",
}

Path = tuple[str | int, ...]
R = TypeVar("R", bound=BaseModel)

_MISLEADING = re.compile("[\\x85\\u2028\\u2029\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""Line breaks of YAML 1.1 only, marks that turn the direction of text, and lone surrogates."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, kw_only=True)
class Marked:
    """A YAML document as JSON values, and where each of them stands."""

    value: Json
    file: str
    keys: dict[Path, tuple[int, int]] = field(repr=False)
    values: dict[Path, tuple[int, int]] = field(repr=False)

    def place(self, path: Sequence[str | int]) -> Place:
        """Where the entry at `path` begins (its key, in a mapping), or the nearest thing around it."""
        return self._nearest(self.keys, path)

    def value_place(self, path: Sequence[str | int]) -> Place:
        """Where the value at `path` begins, or the nearest value around it."""
        return self._nearest(self.values, path)

    def _nearest(self, marks: dict[Path, tuple[int, int]], path: Sequence[str | int]) -> Place:
        steps = tuple(path)
        while steps and steps not in marks:
            steps = steps[:-1]
        line, column = marks.get(steps, (1, 1))
        return Place(file=self.file, line=line, column=column)


def read_yaml(text: str, file: str) -> Marked:
    """The one document in `text`. Raises PolicyError with all problems that were found."""
    _check_text(text, file)
    building = _Building(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            building.take(event)
    except yaml.YAMLError as error:
        building.problems.append(_syntax_problem(error, file))
    if building.problems:
        raise PolicyError(sorted(building.problems, key=_position))
    if building.empty:
        raise PolicyError([_problem(file, 1, 1, "the file is empty", "write its content, or remove the file")])
    return Marked(value=building.root[0], file=file, keys=building.keys, values=building.values)


def parse(model: type[R], marked: Marked) -> R:
    """The record in a document. Raises PolicyError: each error with its place and what to write instead."""
    try:
        return model.model_validate_json(to_json(marked.value))
    except ValidationError as error:
        found = [_told(model, marked, detail) for detail in error.errors(include_url=False, include_input=False)]
        raise PolicyError(sorted(dict.fromkeys(found), key=_position)) from None


def unknown_key(key: str, permitted: Sequence[str]) -> tuple[str, str]:
    """What to say of a key that is not one of `permitted`: the problem, and what to write instead."""
    near = get_close_matches(key, permitted, n=2, cutoff=0.6)
    meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"unknown key {key!r}", f"{meant}permitted: {', '.join(permitted)}"


def _check_text(text: str, file: str) -> None:
    """Refuse what is too large to read, and characters that make the text look like another one."""
    if len(text) > BYTES_MAX or len(text.encode(errors="replace")) > BYTES_MAX:
        raise PolicyError([_problem(file, 1, 1, f"larger than {BYTES_MAX} bytes", "split it into several files")])
    misleading = _MISLEADING.search(text)
    if misleading:
        line = text.count("\n", 0, misleading.start()) + 1
        column = misleading.start() - text.rfind("\n", 0, misleading.start())
        what = f"the character U+{ord(misleading[0]):04X}, which readers show or break in different ways"
        raise PolicyError(
            [_problem(file, line, column, what, 'remove it, or write an escape in quoted text: "\\u...."')]
        )


class _Open:
    """A mapping or list that is being read."""

    def __init__(self, value: dict[str, Json] | list[Json], path: Path) -> None:
        self.value = value
        self.path = path
        self.key: str | None = None
        self.skipped = 0


class _Building:
    """Takes parser events one by one and builds the value, its marks and the problems; never recurses."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: list[Json] = []
        self.keys: dict[Path, tuple[int, int]] = {}
        self.values: dict[Path, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._documents = 0
        self._nodes = 0

    @property
    def empty(self) -> bool:
        return not self.root or self.root[0] is None

    def take(self, event: yaml.Event) -> None:
        match event:
            case yaml.DocumentStartEvent():
                self._start_document(event)
            case yaml.AliasEvent():
                self._refuse(event, f"alias *{event.anchor}", "write the value out")
                self._place_node(event, None)
            case yaml.MappingStartEvent():
                self._start_collection(event, {})
            case yaml.SequenceStartEvent():
                self._start_collection(event, [])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()
            case yaml.ScalarEvent():
                self._take_scalar(event)

    def _start_document(self, event: yaml.DocumentStartEvent) -> None:
        self._documents += 1
        if self._documents > 1:
            self._stop(event, "a second document", "keep one document in a file")
        if event.version or event.tags:
            self._refuse(event, "a YAML directive", "remove the line that begins with %")

    def _start_collection(self, event: yaml.CollectionStartEvent, value: dict[str, Json] | list[Json]) -> None:
        self._check_node(event)
        if len(self._open) >= DEPTH_MAX:
            self._stop(event, f"nested deeper than {DEPTH_MAX} levels", "make it flatter")
        if self._expects_key():
            self._stop(event, "a key that is not text", "write the key as one word or quoted text")
        path = self._place_node(event, value)
        self._open.append(_Open(value, path))

    def _take_scalar(self, event: yaml.ScalarEvent) -> None:
        self._check_node(event)
        value = self._scalar(event)
        if self._expects_key():
            self._take_key(event, value)
        else:
            self._place_node(event, value)

    def _take_key(self, event: yaml.ScalarEvent, value: Json) -> None:
        around = self._open[-1]
        if event.value == "<<" and not event.style:
            self._refuse(event, "a merge key", "write the entries out")
        elif not isinstance(value, str):
            self._refuse(event, f"the key {event.value[:40]!r} is not text", f'quote it: "{event.value[:40]}"')
        elif (*around.path, value) in self.keys:
            first, column = self.keys[(*around.path, value)]
            where = f"the first is at {self.file}:{first}:{column}"
            self._refuse(event, f"duplicate key {value[:80]!r}", f"remove one; {where}")
        else:
            around.key = value
            self.keys[(*around.path, value)] = _mark(event)
            return
        around.skipped += 1
        around.key = f"\0refused {around.skipped}"

    def _place_node(self, event: yaml.Event, value: Json) -> Path:
        """Put a finished scalar or a fresh collection where it belongs; its path."""
        if not self._open:
            self.root.append(value)
            self.keys[()] = self.values[()] = _mark(event)
            return ()
        around = self._open[-1]
        if isinstance(around.value, list):
            path: Path = (*around.path, len(around.value))
            around.value.append(value)
            self.keys[path] = _mark(event)
        else:
            key = around.key if around.key is not None else f"\0refused {around.skipped}"
            path = (*around.path, key)
            around.value[key] = value
            around.key = None
        self.values[path] = _mark(event)
        return path

    def _expects_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1].value, dict) and self._open[-1].key is None

    def _check_node(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            self._stop(event, f"more than {NODES_MAX} values", "split it into several files")
        if event.anchor is not None:
            self._refuse(event, f"anchor &{event.anchor}", "remove it and write values out")
        if event.tag is not None:
            self._refuse(event, "a tag", "remove it; quote the value if it is text")

    def _scalar(self, event: yaml.ScalarEvent) -> Json:
        if event.style:
            return event.value
        refusal = surprise(event.value)
        if refusal:
            self._refuse(event, *refusal)
            return event.value
        return plain_value(event.value)

    def _refuse(self, event: yaml.Event, what: str, instead: str) -> None:
        line, column = _mark(event)
        self.problems.append(_problem(self.file, line, column, what, instead))
        if len(self.problems) >= _PROBLEMS_MAX:
            raise PolicyError(self.problems)

    def _stop(self, event: yaml.Event, what: str, instead: str) -> None:
        self._refuse(event, what, instead)
        raise PolicyError(sorted(self.problems, key=_position))


def _mark(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _problem(file: str, line: int, column: int, what: str, instead: str) -> Problem:
    return Problem(place=Place(file=file, line=line, column=column), what=what, instead=instead)


def _position(problem: Problem) -> tuple[str, int, int]:
    return problem.place.file, problem.place.line, problem.place.column


def _syntax_problem(error: yaml.YAMLError, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    return _problem(file, line, column, f"not valid YAML: {what}", "quote text that holds ':' , '#' or braces")


def _told(model: type[BaseModel], marked: Marked, detail: ErrorDetails) -> Problem:
    """A validation error in words: its place, what is wrong, what to write instead."""
    path = _known_path(marked.value, detail["loc"])
    name = ".".join(map(str, path))
    match detail["type"]:
        case "extra_forbidden":
            what, instead = unknown_key(str(path[-1]), permitted_keys(model, path[:-1]))
            return Problem(place=marked.place(path), what=what, instead=instead)
        case "missing":
            missing = detail["loc"][-1]
            what = f"{missing!r} is missing" + (f" in {name}" if name else "")
            return Problem(place=marked.place(path), what=what, instead=f"add {missing}:")
    context = detail.get("ctx", {})
    what = _in_words_of_yaml(detail["msg"].removeprefix("Value error, ").removeprefix("Input ").rstrip("."))
    return Problem(
        place=marked.value_place(path),
        what=f"{name}: {what}" if name else what,
        instead=str(context.get("instead", "")),
    )


def _in_words_of_yaml(message: str) -> str:
    for pydantic, yaml_word in _WORDS.items():
        message = message.replace(pydantic, yaml_word)
    return message


def _known_path(value: Json, steps: Sequence[str | int]) -> Path:
    """The steps of an error's location that exist in the value: pydantic mixes in names of union members."""
    path: list[str | int] = []
    for step in steps:
        inside_dict = isinstance(value, dict) and step in value
        inside_list = isinstance(value, list) and isinstance(step, int) and step < len(value)
        if inside_dict or inside_list:
            value = value[step]
            path.append(step)
    return tuple(path)


def permitted_keys(model: Any, path: Sequence[str | int]) -> list[str]:
    """The keys that `model` permits in the mapping at `path`."""
    found = {key for kind in _models_at(model, tuple(path)) for key in _keys_of(kind)}
    return sorted(found)


def _keys_of(model: type[BaseModel]) -> Iterator[str]:
    return (info.alias or name for name, info in model.model_fields.items())


def _models_at(kind: Any, path: Path) -> Iterator[type[BaseModel]]:
    if get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, UnionType):
        for arm in get_args(kind):
            yield from _models_at(arm, path)
    elif isinstance(kind, type) and issubclass(kind, RootModel):
        yield from _models_at(kind.model_fields["root"].annotation, path)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        if not path:
            yield kind
            return
        fields = {info.alias or name: info.annotation for name, info in kind.model_fields.items()}
        if path[0] in fields:
            yield from _models_at(fields[str(path[0])], path[1:])
    elif get_origin(kind) is dict and path:
        yield from _models_at(get_args(kind)[1], path[1:])
    elif get_origin(kind) in (tuple, list) and path:
        yield from _models_at(get_args(kind)[0], path[1:])
