"""Signatures with types in place of their names: these can't be looked up where a gate stands, and each look takes time."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any


def resolved(function: Callable[..., Any]) -> inspect.Signature:
    """The signature of a function with its types; as it is where some can't be found."""
    signature = inspect.signature(function)
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, AttributeError):
        return signature
    parameters = [
        each.replace(annotation=hints.get(each.name, each.annotation)) for each in signature.parameters.values()
    ]
    return signature.replace(parameters=parameters, return_annotation=hints.get("return", signature.return_annotation))


def sign(made: Any, signature: inspect.Signature) -> None:
    """Let a function that stands for another one tell its signature."""
    kinds = {each.name: each.annotation for each in signature.parameters.values()}
    kinds["return"] = signature.return_annotation
    made.__signature__ = signature
    made.__annotations__ = {name: kind for name, kind in kinds.items() if kind is not signature.empty}
