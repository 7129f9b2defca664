"""What a forked child got from its parent and must leave alone.

A child shares the parent's epoll and sockets: closing an inherited transport, even by garbage collection, takes the parent's socket out
of the parent's loop. So what a child drops is kept here, out of reach of the collector, until the child ends.
"""

from __future__ import annotations

_kept: list[object] = []


def keep(thing: object) -> None:
    """Never let this be collected."""
    _kept.append(thing)
