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
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from agentguard.errors import PolicyError
from agentguard.model.form_errors import told
from agentguard.model.marked import Marked
from agentguard.model.problems import Problem
from agentguard.model.yaml_building import DEPTH_MAX, Building, position, problem_at

__all__ = ["Marked", "parse", "read_yaml"]

BYTES_MAX = 1024 * 1024

R = TypeVar("R", bound=BaseModel)

_MISLEADING = re.compile("[\\x85\\u2028\\u2029\\u061c\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069\\ud800-\\udfff]")
"""Line breaks of YAML 1.1 only, marks that turn the direction of text, and lone surrogates."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(text: str, file: str) -> Marked:
    """The one document in `text`. Raises PolicyError with all problems that were found."""
    _check_text(text, file)
    building = Building(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            building.take(event)
    except yaml.YAMLError as error:
        building.problems.append(_syntax_problem(error, file))
    if building.problems:
        raise PolicyError(sorted(building.problems, key=position))
    if building.empty:
        raise PolicyError([problem_at(file, 1, 1, "the file is empty", "write its content, or remove the file")])
    return Marked(value=building.root[0], file=file, keys=building.keys, values=building.values)


def parse(model: type[R], marked: Marked) -> R:
    """The record in a document. Raises PolicyError: each error with its place and what to write instead."""
    try:
        return model.model_validate_json(to_json(marked.value))
    except ValidationError as error:
        found = [told(model, marked, detail) for detail in error.errors(include_url=False, include_input=False)]
        raise PolicyError(sorted(dict.fromkeys(found), key=position)) from None


def _check_text(text: str, file: str) -> None:
    """Refuse what is too large to read, and characters that make the text look like another one."""
    if len(text) > BYTES_MAX or len(text.encode(errors="replace")) > BYTES_MAX:
        raise PolicyError([problem_at(file, 1, 1, f"larger than {BYTES_MAX} bytes", "split it into several files")])
    misleading = _MISLEADING.search(text)
    if misleading:
        line = text.count("\n", 0, misleading.start()) + 1
        column = misleading.start() - text.rfind("\n", 0, misleading.start())
        what = f"the character U+{ord(misleading[0]):04X}, which readers show or break in different ways"
        raise PolicyError(
            [problem_at(file, line, column, what, 'remove it, or write an escape in quoted text: "\\u...."')]
        )


def _syntax_problem(error: yaml.YAMLError, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    if "nesting" in what:  # the parser looks ahead, and newer ones stop at a depth of their own
        return problem_at(file, line, column, f"nested deeper than {DEPTH_MAX} levels", "make it flatter")
    return problem_at(file, line, column, f"not valid YAML: {what}", "quote text that holds ':' , '#' or braces")
