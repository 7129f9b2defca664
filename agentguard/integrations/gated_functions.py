"""A function with a gate in it, for `@guard.tool`: it is called as before, and each call takes the guard's road.

Rules:
- a function stays what it is: sync, async, or a generator of either kind, with its name, signature, types and docstring;
- nothing of it leads past the gate: there is no `__wrapped__`;
- arguments become JSON on their way in, as a model would write them, and are read by the annotations; what has no JSON form is refused;
- what it gives is masked; a generator's pieces are text, and go out when they are settled;
- a call that does not run raises: CallRefused, or a Fault.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, closing, suppress
from typing import Any, NamedTuple

from pydantic_core import PydanticSerializationError

from agentguard.errors import ConfigurationError, InvalidArguments
from agentguard.guard.pipeline import Guard
from agentguard.integrations.functions import GATE_MARK, FunctionTool, StreamTool, code_of
from agentguard.integrations.names import check_names
from agentguard.integrations.parsing import dump
from agentguard.integrations.signatures import resolved, sign
from agentguard.model.calls import ToolCall


def gated(guard: Guard, function: Callable[..., Any], name: str | None, description: str | None) -> Callable[..., Any]:
    """The function with a gate in it. Raises ConfigurationError for one that has a gate, and for what FunctionTool refuses."""
    code = code_of(function)
    generates = inspect.isgeneratorfunction(code) or inspect.isasyncgenfunction(code)
    _must_be_bound(function)
    tool = (StreamTool if generates else FunctionTool).of(function, name=name, description=description)
    check_names([tool.name])
    guard.expect(tool)
    return _like(function, _kind_of(code)(guard, tool, _Parameters.of(inspect.signature(function))))


class _Parameters(NamedTuple):
    """The parameters of a function, each of which can be filled by name: in order, those that also go by place, and what must be given."""

    signature: inspect.Signature
    names: tuple[str, ...]
    by_place: tuple[str, ...]
    needed: frozenset[str]
    all: frozenset[str]

    @classmethod
    def of(cls, signature: inspect.Signature) -> _Parameters:
        """Those of a signature."""
        parameters = signature.parameters.values()
        names = tuple(each.name for each in parameters)
        by_place = tuple(each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD)
        needed = frozenset(each.name for each in parameters if each.default is each.empty)
        return cls(signature, names, by_place, needed, frozenset(names))

    def given(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The arguments of a call by name, in order. Raises TypeError as the function itself would."""
        found = {**dict(zip(self.by_place, args, strict=False)), **kwargs}
        if len(found) != len(args) + len(kwargs) or not self.needed <= found.keys() <= self.all:
            return self.signature.bind(*args, **kwargs).arguments
        return {name: found[name] for name in self.names if name in found} if kwargs else found


def _must_be_bound(function: Callable[..., Any]) -> None:
    """Raise ConfigurationError for a method in its class: no model can give it the object that it is of."""
    first = next(iter(inspect.signature(function).parameters), "")
    if first in ("self", "cls"):
        named = getattr(function, "__qualname__", "the function")
        raise ConfigurationError(
            f"{named} is a method of a class; give the method of an object, guard.tool(thing.method)"
        )


def _kind_of(code: Callable[..., Any]) -> Callable[[Guard, Any, _Parameters], Callable[..., Any]]:
    if inspect.isasyncgenfunction(code):
        return _async_generator
    if inspect.isgeneratorfunction(code):
        return _generator
    return _coroutine_function if inspect.iscoroutinefunction(code) else _function


def _function(guard: Guard, tool: FunctionTool, parameters: _Parameters) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return guard.blocking.run(_call(tool, parameters, args, kwargs), tool)

    return call


def _coroutine_function(guard: Guard, tool: FunctionTool, parameters: _Parameters) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await guard.run(_call(tool, parameters, args, kwargs), tool)

    return call


def _generator(guard: Guard, tool: StreamTool, parameters: _Parameters) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Iterator[str]:
        with closing(guard.blocking.stream(_call(tool, parameters, args, kwargs), tool)) as pieces:
            yield from pieces

    return call


def _async_generator(guard: Guard, tool: StreamTool, parameters: _Parameters) -> Callable[..., Any]:
    async def call(*args: Any, **kwargs: Any) -> AsyncIterator[str]:
        async with aclosing(guard.stream(_call(tool, parameters, args, kwargs), tool)) as pieces:
            async for piece in pieces:
                yield piece

    return call


def _call(tool: FunctionTool, parameters: _Parameters, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolCall:
    """The call as a model would write it. Raises TypeError as the function itself would, and InvalidArguments."""
    given = parameters.given(args, kwargs)
    try:
        arguments = {name: _written(tool, name, value) for name, value in given.items()}
    except (PydanticSerializationError, TypeError, ValueError, RecursionError):
        raise InvalidArguments([("", "an argument has no JSON form")], tool=tool.name) from None
    return ToolCall(tool=tool.name, arguments=arguments)


def _written(tool: FunctionTool, name: str, value: Any) -> Any:
    """An argument as a model would write it; bytes as their annotation reads them: as text, or as what `Base64Bytes` decodes."""
    if isinstance(value, (bytes, bytearray)):
        with suppress(PydanticSerializationError):
            return tool.model.model_construct(None, **{name: value}).model_dump(
                mode="json", include={name}, warnings=False
            )[name]
    return dump(value)


def _like(function: Callable[..., Any], made: Callable[..., Any]) -> Callable[..., Any]:
    """`made` with everything that tells of `function`, but for the way to it."""
    functools.update_wrapper(made, function)
    told: Any = made
    del told.__wrapped__
    sign(made, resolved(function))
    setattr(made, GATE_MARK, True)
    return made
