"""Masking as a policy describes it: the packs that it names, the detectors of installed packages, its own patterns and lists."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Literal

from agentguard.errors import ConfigurationError, PolicyError
from agentguard.guard.maskers import Maskers
from agentguard.masking import (
    DEFAULT_DETECTORS,
    Action,
    AllowList,
    DenyList,
    Detector,
    Limits,
    Masker,
    Recogniser,
    Recognisers,
)
from agentguard.masking.actions import Written
from agentguard.masking.checks import check_masking, check_patterns
from agentguard.masking.recognisers import recogniser_of
from agentguard.model.marked_yaml import parse, read_yaml
from agentguard.model.problems import Problem
from agentguard.model.record import Record
from agentguard.policy import Check, Document, MaskingSection, Policy
from agentguard.policy.forms import Name
from agentguard.policy.masking_section import ActionEntry, Actions, PatternEntry

DETECTOR_GROUP = "agentguard.detectors"
ALL_PACKS = "all"


class PackFile(Record):
    """A pack: recognisers for the numbers of one country."""

    version: Literal[1]
    title: str
    patterns: dict[Name, PatternEntry]


def masker_of(policy: Policy, detectors: Sequence[Detector] = ()) -> Masker:
    """The masker that a policy's `masking` section describes, with these detectors beside the default ones.

    Raises ConfigurationError for a detector that is none.
    """
    for detector in detectors:
        if not _is_detector(detector):
            raise ConfigurationError(
                f"a {type(detector).__name__} is no detector: it needs a name and find(page); see docs/masking.md"
            )
    section = policy.masking
    return Masker(
        [*DEFAULT_DETECTORS, *_written(section), *(_installed(name) for name in section.detectors), *detectors],
        fields=section.fields,
        actions=_written_actions(section.actions),
        thresholds=section.thresholds,
        allowed=AllowList(section.allow),
        limits=Limits(**section.limits.model_dump()),
    )


def maskers_of(policy: Policy, detectors: Sequence[Detector] = ()) -> Maskers:
    """The maskers of all tools of a policy."""
    return Maskers(
        default=masker_of(policy, detectors),
        results={
            pattern: _written_actions(entry.masking.result)
            for pattern, entry in policy.document.tools.items()
            if entry.masking is not None and entry.masking.result
        },
        arguments={
            pattern: _written_actions(entry.masking.arguments)
            for pattern, entry in policy.document.tools.items()
            if entry.masking is not None and entry.masking.arguments
        },
        pattern_of=lambda tool: policy.terms(tool).pattern,
    )


def _written_actions(section: Actions) -> Written:
    """The actions of a policy as masking takes them."""
    return {
        key: {kind: _action(each) for kind, each in there.items()} if isinstance(there, dict) else _action(there)
        for key, there in section.items()
    }


def _action(written: str | ActionEntry) -> str | Action:
    return Action(written.action, written.keep) if isinstance(written, ActionEntry) else written


def masking_checks() -> list[Check]:
    """What masking has to say of a policy when it is loaded."""
    return [check_masking, _check_packs, _check_detectors]


def packs() -> list[str]:
    """The names of the packs that are shipped."""
    return sorted(file.name.removesuffix(".yaml") for file in _folder().iterdir() if file.name.endswith(".yaml"))


def pack_examples(name: str) -> list[str]:
    """A text for each recogniser of a shipped pack, in which it finds something."""
    marked = read_yaml((_folder() / f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml")
    return [entry.match[0] for entry in parse(PackFile, marked).patterns.values()]


@cache
def read_pack(name: str) -> tuple[Recogniser, ...]:
    """The recognisers of a shipped pack. Raises PolicyError where one of its examples fails."""
    file = f"{name}.yaml"
    marked = read_yaml((_folder() / file).read_text(encoding="utf-8"), file)
    pack = parse(PackFile, marked)
    failed = [
        Problem(place=marked.place(path), what=what, instead=instead)
        for path, what, instead in check_patterns(("patterns",), pack.patterns, {})
    ]
    if failed:
        raise PolicyError(failed)
    return tuple(recogniser_of(each, written) for each, written in pack.patterns.items())


def _written(section: MaskingSection) -> Iterator[Detector]:
    """What the policy's own words find."""
    chosen = packs() if ALL_PACKS in section.packs else section.packs
    recognisers = [recogniser for name in chosen for recogniser in read_pack(name)]
    recognisers += [recogniser_of(name, written) for name, written in section.patterns.items()]
    if recognisers:
        yield Recognisers(recognisers)
    if section.deny:
        yield DenyList(section.deny)


def _folder() -> Traversable:
    return files("agentguard") / "masking" / "packs"


def _check_packs(document: Document) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    there = packs()
    for index, name in enumerate(document.masking.packs):
        path = ("masking", "packs", index)
        if name not in (*there, ALL_PACKS):
            yield path, f"there is no pack {name!r}", f"there are: {', '.join(there)}; {ALL_PACKS} is all of them"
        elif name in document.masking.packs[:index]:
            yield path, f"the pack {name!r} stands here twice", "name it once"


def _check_detectors(document: Document) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    for index, name in enumerate(document.masking.detectors):
        try:
            _installed(name)
        except LookupError as missing:
            yield ("masking", "detectors", index), str(missing.args[0]), f"install the package that has it; {_others()}"


def _others() -> str:
    names = sorted({entry.name for entry in entry_points(group=DETECTOR_GROUP)})
    return f"there are: {', '.join(names)}" if names else "no installed package has any"


def _installed(name: str) -> Detector:
    """The detector of an installed package. Raises LookupError where there is none that works."""
    found = [entry for entry in entry_points(group=DETECTOR_GROUP) if entry.name == name]
    if len(found) != 1:
        raise LookupError(f"{len(found) or 'no'} installed packages have a detector {name!r}")
    return _loaded(found[0])


def _loaded(entry: EntryPoint) -> Detector:
    try:
        loaded: Any = entry.load()
        detector: Any = loaded() if callable(loaded) else loaded
    except Exception as error:  # noqa: BLE001 - it is foreign code, and a policy that needs it must not load without it
        raise LookupError(f"the detector {entry.name!r} can't be loaded ({type(error).__name__})") from None
    if _is_detector(detector):
        made: Detector = detector
        return made
    raise LookupError(f"{entry.value} is no detector: it needs a name and find(page)")


def _is_detector(given: Any) -> bool:
    """Whether it can be asked, and be named where it fails: an error over a nameless one would carry what it failed over."""
    return isinstance(getattr(given, "name", None), str) and callable(getattr(given, "find", None))
