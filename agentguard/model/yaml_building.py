"""From the events of a YAML parser to a value with its marks, without recursion and within caps."""

from __future__ import annotations

import yaml

from agentguard.errors import PolicyError
from agentguard.model.marked import Path
from agentguard.model.problems import Place, Problem
from agentguard.model.record import Json
from agentguard.model.yaml_scalars import plain_value, surprise

DEPTH_MAX = 32
NODES_MAX = 50_000
PROBLEMS_MAX = 30


class _Open:
    """A mapping or list that is being read."""

    def __init__(self, value: dict[str, Json] | list[Json], path: Path) -> None:
        self.value = value
        self.path = path
        self.key: str | None = None
        self.skipped = 0


class Building:
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
        """Whether there was no value, or null."""
        return not self.root or self.root[0] is None

    def take(self, event: yaml.Event) -> None:
        """Take the next event. Raises PolicyError where reading on makes no sense."""
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
            self.keys[(*around.path, value)] = mark_of(event)
            return
        around.skipped += 1
        around.key = f"\0refused {around.skipped}"

    def _place_node(self, event: yaml.Event, value: Json) -> Path:
        """Put a finished scalar or a fresh collection where it belongs; its path."""
        if not self._open:
            self.root.append(value)
            self.keys[()] = self.values[()] = mark_of(event)
            return ()
        around = self._open[-1]
        if isinstance(around.value, list):
            path: Path = (*around.path, len(around.value))
            around.value.append(value)
            self.keys[path] = mark_of(event)
        else:
            key = around.key if around.key is not None else f"\0refused {around.skipped}"
            path = (*around.path, key)
            around.value[key] = value
            around.key = None
        self.values[path] = mark_of(event)
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
        line, column = mark_of(event)
        self.problems.append(problem_at(self.file, line, column, what, instead))
        if len(self.problems) >= PROBLEMS_MAX:
            raise PolicyError(self.problems)

    def _stop(self, event: yaml.Event, what: str, instead: str) -> None:
        self._refuse(event, what, instead)
        raise PolicyError(sorted(self.problems, key=position))


def mark_of(event: yaml.Event) -> tuple[int, int]:
    """Line and column of an event, from 1."""
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def problem_at(file: str, line: int, column: int, what: str, instead: str) -> Problem:
    """A problem at a line and column."""
    return Problem(place=Place(file=file, line=line, column=column), what=what, instead=instead)


def position(problem: Problem) -> tuple[str, int, int]:
    """What problems are sorted by."""
    return problem.place.file, problem.place.line, problem.place.column
