"""Says which extra an integration needs, where its framework is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def needed_from(extra: str) -> Iterator[None]:
    """Around imports of a framework that comes with this extra. Raises ModuleNotFoundError that names both."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"this needs {error.name}: pip install 'agentguard[{extra}]'", name=error.name
        ) from None
