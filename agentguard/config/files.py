"""The files of a policy folder: policies, those that they take in, pins, people and cases."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path

from agentguard.approval import Roster
from agentguard.approval import read_roster as roster_of
from agentguard.config.clock import now_ms
from agentguard.config.masking import masking_checks
from agentguard.config.notifiers import notifier_checks
from agentguard.config.rotas import read_answers
from agentguard.config.warnings import idle_reveals, idle_types, lonely_approvals
from agentguard.errors import ConfigurationError
from agentguard.model.problems import Problem
from agentguard.policy import Check, NotUsable, Pins, Policy, Source, lint, load, read_lock, with_used
from agentguard.policy.layout import ROOT
from agentguard.store.keys import SigningKey, verify

APPROVERS = "approvers.yaml"
SIGNATURE = "approvers.yaml.sig"
CASES = ".cases.yaml"
LIBRARY = "library:"
LONGEST = 64_000_000
"""Characters that are read of a file, whatever it is; each kind of file has its own bound below that."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A policy, and the texts of the files that it was made from; those that its check looked at too are named only."""

    policy: Policy
    texts: Mapping[Path, str]
    beside: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that it hangs on, there or not."""
        return (*self.texts, *self.beside)


def read_policies(folder: Path) -> Policy:
    """The policy in a folder, checked against the people beside it. Raises PolicyError.

    A policy that asks somebody and has no approvers.yaml beside it is refused: nobody could ever approve.
    """
    return read_all(folder).policy


def read_all(folder: Path) -> Reading:
    """The same, with what it was made from. Raises PolicyError."""
    sources = _sources(folder)
    return Reading(
        policy=load(sources, checks=_checks(read_roster(folder)), pins=read_pins(folder)),
        texts={_file_of(source.file): source.text for source in sources},
        beside=(_folder(folder) / APPROVERS, lock_file(folder)),
    )


def read_library(folder: Path) -> Policy:
    """The policy in a folder; its approvals are checked against people only if there is an approvers.yaml. Raises PolicyError."""
    return load(_sources(folder), checks=_library_checks(folder), pins=read_pins(folder))


def policy_warnings(folder: Path, policy: Policy) -> tuple[Problem, ...]:
    """What is surely not meant in the policy of a folder, as it was read from there. Raises PolicyError for people that can't be read."""
    warn: list[Check] = [idle_reveals, idle_types, partial(lonely_approvals, read_roster(folder))]
    return lint(policy, warn=warn)


def has_people(folder: Path) -> bool:
    """Whether there is an approvers.yaml beside the policy, be it one that can't be read."""
    return os.path.lexists(_folder(folder) / APPROVERS)


def read_roster(folder: Path) -> Roster:
    """The people of approvers.yaml beside the policy; nobody where there is no such file. Raises PolicyError."""
    file = _folder(folder) / APPROVERS
    if not has_people(folder):
        return Roster(people={})
    return roster_of(_read_text(file), str(file), read_answers(_folder(folder)), now_ms=now_ms())


def read_signed_roster(folder: Path, keys: Sequence[str]) -> Roster:
    """The same, if one of these keys signed its very text, and with answers of commands if one signed those. Raises ConfigurationError."""
    text = _read_text(_folder(folder) / APPROVERS)
    signature = _read_text(_folder(folder) / SIGNATURE).strip()
    if not any(verify(key, roster_text(text), signature) for key in keys):
        raise ConfigurationError(
            f"{APPROVERS} is not signed by a key of AGENTGUARD_ROSTER_KEYS; `agentguard keys sign` signs it"
        )
    answers = read_answers(_folder(folder), keys)
    return roster_of(text, str(_folder(folder) / APPROVERS), answers, now_ms=now_ms())


def sign_roster(folder: Path, key: SigningKey) -> Path:
    """Sign the people beside a policy; gives the file of the signature. Raises PolicyError for what does not load."""
    read_roster(folder)
    file = _folder(folder) / SIGNATURE
    file.write_text(key.sign(roster_text(_read_text(_folder(folder) / APPROVERS))) + "\n", encoding="ascii")
    return file


def roster_text(text: str) -> bytes:
    """What the signature of an approvers.yaml covers."""
    return b"agentguard approvers 1\n" + text.encode()


def read_pins(folder: Path) -> Pins | None:
    """What tools.lock.json beside the policy pins; None where there is no such file. Raises PolicyError."""
    file = lock_file(folder)
    return read_lock(_read_text(file), str(file)) if os.path.lexists(file) else None


def lock_file(folder: Path) -> Path:
    """Where the pins of a policy stand."""
    return _folder(folder) / "tools.lock.json"


def policy_files(folder: Path) -> list[Path]:
    """The policy files of a folder (or the one file given). Raises PolicyError where there is none, or one that would not be read."""
    try:
        if folder.is_file():
            return [folder]
        if not folder.is_dir():
            raise ConfigurationError(f"{folder}: no such folder; `agentguard init {folder}` writes a first policy")
        named = [file for file in folder.iterdir() if file.suffix.lower() in (".yaml", ".yml")]
    except OSError as error:
        raise ConfigurationError(f"{folder}: can't be read ({type(error).__name__})") from None
    if misnamed := sorted(file for file in named if file.suffix != ".yaml"):
        raise ConfigurationError(
            f"{misnamed[0]}: it would not be read; name it {misnamed[0].stem}.yaml, or move it away"
        )
    found = sorted(filter(_is_policy, named))
    if not found:
        raise ConfigurationError(f"{folder}: no policy in it; `agentguard init {folder}` writes a first one")
    return found


def policy_library() -> Path:
    """The policies that agentguard ships."""
    return Path(str(files("agentguard") / "tool_policies"))


def case_sources(folder: Path) -> list[Source]:
    """The cases beside the policies of a folder."""
    return [_source(file) for file in sorted(_folder(folder).glob(f"*{CASES}"))]


def _sources(folder: Path) -> list[Source]:
    """The policy files of a folder, and those that they take in. Raises PolicyError."""
    own = {_resolved(file): _source(file) for file in policy_files(folder)}

    def find(entry: str, user: Source) -> Source:
        file, shown = _meant(entry, user)
        used = own.get(_resolved(file)) or Source(file=shown, text=_read_text(file))
        copied = own.get(_resolved(_folder(folder) / file.name))
        return copied if copied is not None and copied.text == used.text else used

    return with_used(list(own.values()), find)


def _meant(entry: str, user: Source) -> tuple[Path, str]:
    """The file that an entry of `use` means, and what it is called in messages. Raises NotUsable."""
    shipped = entry.startswith(LIBRARY)
    if user.file.startswith(LIBRARY) and not shipped:
        raise NotUsable(f"{entry!r} is no policy of the library", f"a shipped policy takes in {LIBRARY}NAME only")
    file = _file_of(entry) if shipped else Path(user.file).parent / entry
    if file.name in (ROOT, APPROVERS) or file.name.endswith(CASES):
        raise NotUsable(f"{file.name} is no file of tools and rules", "take in files of tools and rules only")
    if not file.is_file():
        there = sorted(each.stem for each in policy_library().glob("*.yaml") if _is_policy(each) and each.name != ROOT)
        instead = f"there are: {', '.join(there)}" if shipped else f"write a path relative to {user.file}"
        raise NotUsable(f"there is no {entry!r}", instead)
    return file, entry if shipped else os.path.normpath(file)


def _file_of(shown: str) -> Path:
    """The file behind a name in messages."""
    return policy_library() / f"{shown.removeprefix(LIBRARY)}.yaml" if shown.startswith(LIBRARY) else Path(shown)


def _is_policy(file: Path) -> bool:
    return file.name != APPROVERS and not file.name.endswith(CASES)


def _checks(roster: Roster) -> list[Check]:
    return [*roster.checks(), *masking_checks(), *notifier_checks()]


def _library_checks(folder: Path) -> list[Check]:
    return _checks(read_roster(folder)) if has_people(folder) else [*masking_checks(), *notifier_checks()]


def _folder(path: Path) -> Path:
    return path.parent if path.is_file() else path


def _source(file: Path) -> Source:
    return Source(file=str(file), text=_read_text(file))


def _read_text(file: Path) -> str:
    """The text of a file; no pipe or device is waited for, and no end is awaited that may never come. Raises ConfigurationError."""
    try:
        with open(file, encoding="utf-8", opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)) as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise ConfigurationError(f"{file}: it is no file; write a file of UTF-8 text there")
            text = opened.read(LONGEST + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: can't be read ({type(error).__name__}); it must be UTF-8 text") from None
    if len(text) > LONGEST:
        raise ConfigurationError(f"{file}: larger than {LONGEST} characters; split it into several files")
    return text


def _resolved(file: Path) -> Path:
    try:
        return file.resolve()
    except (OSError, RuntimeError):  # links that lead to themselves
        raise ConfigurationError(f"{file}: can't be read; it is a link that leads to no file") from None
