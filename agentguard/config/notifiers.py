"""Channels of installed packages that tell people of requests, found by their entry points.

Rules:
- a name that policy or settings say is a built-in kind, or the entry point of exactly one installed package that loads: else nothing loads;
- an entry point gives a function: from what makes the link of a request's page to a notifier.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from agentguard.approval import Notifier, Place
from agentguard.errors import ConfigurationError
from agentguard.policy import Check, Document

NOTIFIER_GROUP = "agentguard.notifiers"
BUILT_IN = ("slack", "teams", "webhook")

Link = Callable[[str], str]
"""The page of a request."""


def notifier_checks() -> list[Check]:
    """Checks of the places that a policy names, for its loader."""
    return [_check_places]


def named_places(document: Document) -> frozenset[str]:
    """The places that a policy sends requests to by name."""
    return frozenset(name for _, names in _named(document) for name in names)


def installed_place(name: str, link: Link) -> Place:
    """The place that an installed package makes. Raises ConfigurationError."""
    try:
        make = _installed(name)
    except LookupError as missing:
        raise ConfigurationError(f"AGENTGUARD_SERVER_NOTIFIERS: {missing.args[0]}; {_others()}") from None
    try:
        notifier: Any = make(link)
    except Exception as error:  # noqa: BLE001 - it is foreign code, and a server without it would tell nobody
        raise ConfigurationError(f"the notifier {name!r} could not be made ({type(error).__name__})") from None
    if not isinstance(notifier, Notifier):
        raise ConfigurationError(f"the notifier {name!r} is none: it needs wants(turn) and tell(turn, shown)")
    return Place(name=name, id=f"own-{name}", where=name, notifier=notifier)


def _check_places(document: Document) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    for path, names in _named(document):
        for index, name in enumerate(names):
            kind, colon, _ = name.partition(":")
            if name in names[:index]:
                yield (*path, index), f"{name} stands here twice", "name each place once"
            elif kind in BUILT_IN:
                continue
            elif colon:
                yield (*path, index), f"{kind!r} has no places with names", f"those with names: {', '.join(BUILT_IN)}"
            else:
                yield from _check_installed((*path, index), name)


def _check_installed(path: tuple[str | int, ...], name: str) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    try:
        _installed(name)
    except LookupError as missing:
        yield path, str(missing.args[0]), _others()


def _named(document: Document) -> Iterator[tuple[tuple[str | int, ...], tuple[str, ...]]]:
    for name, approval in document.approvals.items():
        yield ("approvals", name, "notify"), approval.notify or ()
    for number, rule in enumerate(document.rules):
        yield ("rules", number, "notify"), rule.notify or ()


def _others() -> str:
    names = sorted({entry.name for entry in entry_points(group=NOTIFIER_GROUP)})
    return f"there are: {', '.join([*BUILT_IN, *names])}"


def _installed(name: str) -> Callable[[Link], Any]:
    """What makes the notifier of this name. Raises LookupError where no one package has it, or it doesn't load."""
    found = [entry for entry in entry_points(group=NOTIFIER_GROUP) if entry.name == name]
    if len(found) != 1:
        raise LookupError(f"{len(found) or 'no'} installed packages have a notifier {name!r}")
    return _loaded(found[0])


def _loaded(entry: EntryPoint) -> Callable[[Link], Any]:
    try:
        made: Any = entry.load()
    except Exception as error:  # noqa: BLE001 - it is foreign code, and a policy that needs it must not load without it
        raise LookupError(f"the notifier {entry.name!r} can't be loaded ({type(error).__name__})") from None
    if callable(made):
        maker: Callable[[Link], Any] = made
        return maker
    raise LookupError(f"{entry.value} makes no notifier: it must be a function of the link of a request's page")
