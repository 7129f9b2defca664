"""Plain Python functions as tools: the signature is the schema, pydantic is the validation."""

from __future__ import annotations

import functools
import inspect
import typing
import warnings
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, PydanticUserError, TypeAdapter, create_model

from agentguard.errors import ConfigurationError
from agentguard.integrations.parsing import parsed_values, validate
from agentguard.model.calls import Parsed, Returns
from agentguard.model.record import Json

GATE_MARK = "__agentguard_gate__"
"""An attribute of functions that have a gate in them."""


@dataclass(frozen=True, kw_only=True)
class FunctionTool:
    """A function, sync or async, as a tool. Its arguments are validated by its annotations; others are refused."""

    name: str
    description: str
    function: Callable[..., Any]
    model: type[BaseModel]

    generates: ClassVar[bool] = False

    @classmethod
    def of(cls, function: Callable[..., Any], *, name: str | None = None, description: str | None = None) -> Self:
        """The tool of this function; name and description default to its own.

        Raises ConfigurationError for *args, **kwargs and positional-only parameters, which no model can fill by name, for a type that has
        no schema or is an Iterable, for a generator, and where there is no name.
        """
        named = name or getattr(function, "__name__", "")
        if not named:
            raise ConfigurationError(f"a {type(function).__name__} has no name of its own; give it one")
        return cls(
            name=named,
            description=description if description is not None else inspect.getdoc(function) or "",
            function=function,
            model=_model(function, named, generates=cls.generates),
        )

    @functools.cached_property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of the parameters."""
        return self.model.model_json_schema()

    @functools.cached_property
    def returns(self) -> Returns | None:
        """What its annotation says it gives; None where that says nothing, or is known in the function's own scope alone."""
        return returns_of(self.function)

    def parse(self, arguments: Mapping[str, Any]) -> Parsed:
        """The arguments as the annotations read them. Raises InvalidArguments."""
        instance = validate(self.model, arguments, tool=self.name)
        return parsed_values(self.model, vars(instance), arguments, tool=self.name, ready=instance)

    def call(self, arguments: dict[str, Json] | BaseModel) -> Any:
        """Run the function with parsed arguments, or with a dict to parse; an async function gives its coroutine."""
        is_parsed = type(arguments) is self.model
        instance = arguments if is_parsed else validate(self.model, dict(arguments), tool=self.name)
        return self.function(**vars(instance))

    async def __call__(self, arguments: dict[str, Json] | BaseModel) -> Any:
        """Run the function, awaiting it where it is async."""
        result = self.call(arguments)
        return await result if inspect.isawaitable(result) else result


class StreamTool(FunctionTool):
    """A function that yields its result in pieces of text, sync or async, for `Guard.stream`."""

    generates: ClassVar[bool] = True

    async def stream(self, arguments: dict[str, Json] | BaseModel) -> AsyncIterator[str]:
        """Run the function; each piece as it comes."""
        pieces = self.call(arguments)
        if isinstance(pieces, AsyncGenerator):
            async with aclosing(pieces):  # whoever stops reading ends it at once, not when it is collected
                async for piece in pieces:
                    yield piece
        elif isinstance(pieces, AsyncIterable):
            async for piece in pieces:
                yield piece
        else:
            for piece in pieces:
                yield piece


def returns_of(function: Callable[..., Any]) -> Returns | None:
    """What a function's annotation says of its result, awaited where it is async; None where it says nothing."""
    code = code_of(function)
    annotations = inspect.get_annotations(code)
    try:
        given = _resolved(code, {"return": annotations["return"]})["return"]
        schema = TypeAdapter(given).json_schema(mode="serialization")
    except (KeyError, NameError, AttributeError, TypeError, ValueError, SyntaxError, PydanticUserError):
        return None
    return None if schema in _OF_ANYTHING else Returns(schema)


def must_have_no_gate(function: Any) -> None:
    """Raise ConfigurationError for a function that `@guard.tool` made: a second gate would judge each call twice."""
    if getattr(function, GATE_MARK, False):
        named = getattr(function, "__name__", "the function")
        raise ConfigurationError(f"{named} is guarded already, by @guard.tool; give the bare function")


def _model(function: Callable[..., Any], name: str, *, generates: bool) -> type[BaseModel]:
    code = code_of(function)
    is_generator = inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code)
    if generates and not is_generator:
        raise ConfigurationError(f"tool {name}: it yields nothing; make it a FunctionTool, or yield pieces of text")
    if is_generator and not generates:
        raise ConfigurationError(
            f"tool {name}: a generator's results can't be masked as a whole; return a list, or make it a StreamTool"
        )
    must_have_no_gate(function)
    try:
        hints = _hints(code)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a parameter may be named like a method of BaseModel
            model: type[BaseModel] = create_model(name, __config__=_CONFIG, **_fields(function, name, hints))
    except (NameError, TypeError, ValueError, PydanticUserError) as error:
        raise ConfigurationError(f"tool {name}: its signature makes no schema: {error}") from error
    if _reads_once(model.__pydantic_core_schema__):
        raise ConfigurationError(
            f"tool {name}: an Iterable can be read only once, and judging it does; make it a list or a Sequence"
        )
    return model


def _reads_once(schema: object) -> bool:
    """Whether a schema of pydantic's core has a part that is read as it comes."""
    if isinstance(schema, Mapping):
        return schema.get("type") == "generator" or any(map(_reads_once, schema.values()))
    return isinstance(schema, (list, tuple)) and any(map(_reads_once, schema))


def _hints(code: Callable[..., Any]) -> dict[str, Any]:
    """The types of the parameters; that of the result may be known in the function's own scope alone."""
    annotations = inspect.get_annotations(code)
    return _resolved(code, {name: kind for name, kind in annotations.items() if name != "return"})


def _resolved(code: Callable[..., Any], annotations: dict[str, Any]) -> dict[str, Any]:
    """Some of the annotations of a function, as types."""

    def carrying() -> None:
        """Carries them."""

    carrying.__annotations__ = annotations
    known = getattr(inspect.unwrap(code), "__globals__", {})
    return typing.get_type_hints(carrying, globalns=known, include_extras=True)


def _fields(function: Callable[..., Any], name: str, hints: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ConfigurationError(
                f"tool {name}: parameter {parameter} can't be filled by name; give it a name of its own"
            )
        if parameter.name.startswith("_"):
            raise ConfigurationError(
                f"tool {name}: parameter {parameter.name} is private; name it without the underscore"
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints.get(parameter.name, Any), default)
    return fields


def code_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """Where the annotations stand: the function inside a partial, the `__call__` of an object."""
    if isinstance(function, functools.partial):
        return code_of(function.func)
    return function if inspect.isroutine(function) else type(function).__call__


_OF_ANYTHING: tuple[Mapping[str, Any], ...] = (
    {},
    {"additionalProperties": True, "type": "object"},
    {"items": {}, "type": "array"},
)
"""What annotations come to that say nothing of what stands in a result: Any, dict, list."""

_CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=False, protected_namespaces=())
