"""What a forked child got from its parent and must leave alone.

A child shares the parent's epoll and sockets: closing an inherited transport, even by garbage collection, takes the parent's socket out
of the parent's loop. So what a child drops is kept here, out of reach of the collector, until the child ends.
"""

from __future__ import annotations

import os

_kept: list[object] = []

pid = os.getpid()
"""The id of this process, in a forked child its own: every call asks for it, and the kernel need not be asked each time."""


def keep(thing: object) -> None:
    """Never let this be collected."""
    _kept.append(thing)


os.register_at_fork(after_in_child=lambda: globals().update(pid=os.getpid()))
