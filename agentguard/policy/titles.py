"""Titles of calls: one line for people, from a template over masked arguments.

Rules:
- a template reads `args` and `tool`, prints, filters and chooses with `if`; loops, calls and arithmetic are load
  errors, because the arguments are the model's and the text must stay small;
- `args.x` is the argument x and never an attribute of an object;
- a template that fails gives the tool's name, and a long text is cut with the cut said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, Undefined, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from agentguard.model.record import Json

LENGTH_MAX = 200
_FILTERS = ("default", "first", "int", "join", "last", "length", "lower", "round", "title", "trim", "upper")
_FORBIDDEN = (
    nodes.Call, nodes.CallBlock, nodes.FilterBlock, nodes.Macro, nodes.For, nodes.Block, nodes.Extends, nodes.Include,
    nodes.Import, nodes.FromImport, nodes.Assign, nodes.AssignBlock, nodes.BinExpr,
)  # fmt: skip
_LOGIC = (nodes.And, nodes.Or)


class BadTitle(Exception):
    """A title template that can't be used; says what is wrong."""


class _Titles(ImmutableSandboxedEnvironment):
    """Jinja2 with a few filters, where a dot or a bracket reads an argument and nothing else."""

    def __init__(self) -> None:
        super().__init__(undefined=StrictUndefined, autoescape=False)
        self.globals.clear()
        self.tests = {name: self.tests[name] for name in ("defined", "none")}
        self.filters = {name: self.filters[name] for name in _FILTERS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if isinstance(obj, Mapping) and argument in obj:
            return obj[argument]
        if isinstance(obj, (list, tuple)) and isinstance(argument, int) and -len(obj) <= argument < len(obj):
            return obj[argument]
        missing: Undefined = self.undefined(name="argument")
        return missing


_ENVIRONMENT = _Titles()


def compile_title(text: str) -> Template:
    """The template in a text. Raises BadTitle."""
    try:
        tree = _ENVIRONMENT.parse(text)
        _check(tree)
        return _ENVIRONMENT.from_string(text)
    except TemplateError as error:
        raise BadTitle(f"not a title template: {error.message or type(error).__name__}") from None


def render_title(template: Template | None, tool: str, arguments: Mapping[str, Json]) -> str:
    """The title of a call, or the tool's name where there is no template or it fails."""
    if template is None:
        return tool
    try:
        text = " ".join(template.render(args=arguments, tool=tool).split())
    except (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        return tool
    return _cut(text) or tool


def _check(tree: nodes.Template) -> None:
    strange = sorted(meta.find_undeclared_variables(tree) - {"args", "tool"})
    if strange:
        raise BadTitle(f"a title reads args and tool, not {', '.join(strange)}")
    for node in tree.find_all(_FORBIDDEN):
        if not isinstance(node, _LOGIC):
            raise BadTitle(
                f"a title has no {type(node).__name__.lower()}: it prints values, filters them and chooses with if"
            )


def _cut(text: str) -> str:
    if len(text) <= LENGTH_MAX:
        return text
    return f"{text[:LENGTH_MAX]}… ({len(text) - LENGTH_MAX} more characters)"
