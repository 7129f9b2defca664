"""What pydantic finds wrong in a document, in words of the file: place, what is wrong, what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel
from pydantic_core import ErrorDetails

from agentguard.model.marked import Marked, Path
from agentguard.model.problems import Problem
from agentguard.model.record import Json

_KEY_MAX = 80
"""How much of a key stands in a message."""

_WORDS = {
    "a valid array": "a list",
    "an object": "a mapping",
    "a valid string": "text",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
    "should be True": "should be true",
}


def told(model: type[BaseModel], marked: Marked, detail: ErrorDetails) -> Problem:
    """A validation error in words: its place, what is wrong, what to write instead."""
    path = _known_path(marked.value, detail["loc"])
    name = ".".join(_shown(step) for step in path)
    match detail["type"]:
        case "extra_forbidden":
            what, instead = unknown_key(_shown(path[-1]), permitted_keys(model, path[:-1]))
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


def _shown(step: str | int) -> str:
    """A key as it stands in a message: a long one is cut."""
    text = str(step)
    return text if len(text) <= _KEY_MAX else f"{text[:_KEY_MAX]}..."


def unknown_key(key: str, permitted: Sequence[str]) -> tuple[str, str]:
    """What to say of a key that is not one of `permitted`: the problem, and what to write instead."""
    near = get_close_matches(key, permitted, n=2, cutoff=0.6)
    meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
    return f"unknown key {key!r}", f"{meant}permitted: {', '.join(permitted)}"


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
