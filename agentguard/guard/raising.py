"""Raise what may be shown where something else is being handled that may not."""

from __future__ import annotations

from typing import NoReturn


def raise_alone(error: BaseException) -> NoReturn:
    """Raise an error in the handler of another one, of which nothing hangs on it."""
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
