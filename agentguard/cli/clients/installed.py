"""What was written into a client's configuration, and the way back.

Rules:
- before anything is written, the file is copied as it is, byte for byte, beside itself; the copy is read and written by nobody else;
- a file is exchanged whole or not at all, keeps its mode, and is left alone where somebody wrote it meanwhile;
- a file that nobody wrote since gets its old bytes back; of one that was written, each guarded entry gets its old text, and all else stays;
- an entry that somebody changed since is nobody's to restore: nothing is written, and it is named.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from agentguard.cli.clients.written_json import NotReadable, Written, exchanged
from agentguard.cli.clients.written_json import read as read_json
from agentguard.errors import ConfigurationError
from agentguard.model.canonical import canonical_json
from agentguard.model.record import Json, Record

_BACKUP = ".before-agentguard"


class Guarded(Record):
    """An entry that was put behind a guard: where it stands, and the digest of what was written there."""

    path: tuple[str, ...]
    digest: str


class Installed(Record):
    """What the file was and became (digests), and which entries were exchanged. Holds no text of the file."""

    before: str
    after: str
    guarded: tuple[Guarded, ...]


@dataclass(frozen=True, kw_only=True)
class ConfigFile:
    """A client's file, the copy of it from before, and the note of what was done (`note`, in the state directory)."""

    file: Path
    note: Path

    @classmethod
    def of(cls, file: Path, state_dir: Path) -> ConfigFile:
        """The file behind a path; a link is followed, so that it stays one."""
        real = Path(os.path.realpath(file))
        name = hashlib.sha256(os.fsencode(real)).hexdigest()[:32]
        return cls(file=real, note=state_dir / "mcp" / "installed" / f"{name}.json")

    @property
    def backup(self) -> Path:
        """Where the bytes from before are kept."""
        return self.file.with_name(self.file.name + _BACKUP)

    def read(self) -> bytes:
        """The file as it is. Raises ConfigurationError."""
        return _read(self.file)

    def installed(self) -> Installed | None:
        """What was done to it; None where nothing was. Raises ConfigurationError."""
        try:
            return Installed.model_validate_json(self.note.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError):
            raise ConfigurationError(
                f"{self.note}: can't be read; restore {self.file} by hand from {self.backup}"
            ) from None

    def before(self, current: bytes) -> bytes:
        """What the file would be without a guard, with whatever else changed in it since. Raises ConfigurationError."""
        installed = self.installed()
        if installed is None or digest(current) == installed.before:
            return current
        backup = _read(self.backup)
        if digest(backup) != installed.before:
            raise ConfigurationError(f"{self.backup} is not the file from before any more; restore {self.file} by hand")
        if digest(current) == installed.after:
            return backup
        return self._without(installed, text_of(current, self.file), text_of(backup, self.backup)).encode()

    def write(self, after: bytes, *, current: bytes, before: bytes, guarded: tuple[Guarded, ...]) -> None:
        """Keep the copy and the note, then exchange the file. Raises ConfigurationError."""
        _write(self.backup, before, stat.S_IRUSR | stat.S_IWUSR)
        note = Installed(before=digest(before), after=digest(after), guarded=guarded)
        self.note.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(self.note, note.model_dump_json(indent=1).encode(), stat.S_IRUSR | stat.S_IWUSR)
        self._exchange(after, current)

    def restore(self, before: bytes, *, current: bytes) -> None:
        """Exchange the file for what it was, then forget it. Raises ConfigurationError."""
        self._exchange(before, current)
        for kept in (self.note, self.backup):
            with suppress(FileNotFoundError):
                kept.unlink()

    def _exchange(self, new: bytes, current: bytes) -> None:
        if self.read() != current:
            raise ConfigurationError(f"{self.file} was written meanwhile; close the client, then run this again")
        _write(self.file, new, stat.S_IMODE(self.file.stat().st_mode))

    def _without(self, installed: Installed, current: str, backup: str) -> str:
        now, then = written(current, self.file), written(backup, self.backup)
        changed = [each.path[-1] for each in installed.guarded if _is_changed(each, now)]
        if changed:
            raise ConfigurationError(
                f"{self.file}: {', '.join(changed)} was changed since it was put behind a guard, so it can't be restored; write by hand "
                f"what should stand there ({self.backup} has what stood there), or remove it, then run this again"
            )
        return exchanged(current, dict(_old_texts(installed, now, then, backup)))


def _is_changed(guarded: Guarded, now: Written) -> bool:
    found = now.at(guarded.path)
    return found is not None and digest_of(found.value) != guarded.digest


def _old_texts(installed: Installed, now: Written, then: Written, backup: str) -> Iterator[tuple[tuple[int, int], str]]:
    for each in installed.guarded:
        place, old = now.at(each.path), then.at(each.path)
        if place is not None and old is not None:
            yield (place.start, place.end), backup[old.start : old.end]


def digest(data: bytes) -> str:
    """SHA-256, in hex."""
    return hashlib.sha256(data).hexdigest()


def digest_of(entry: Json) -> str:
    """The digest of what an entry says, however it is written."""
    return digest(canonical_json(entry).encode())


def text_of(data: bytes, file: Path) -> str:
    """The text of a file. Raises ConfigurationError."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{file}: not UTF-8 text (byte {error.start}); nothing was changed") from None


def written(text: str, file: Path) -> Written:
    """The values of a file, and where they stand. Raises ConfigurationError."""
    try:
        return read_json(text)
    except NotReadable as why:
        raise ConfigurationError(f"{file}: {why}; correct it, then run this again. Nothing was changed") from None


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file}: {error.strerror}; --config names another file") from None


def _write(file: Path, data: bytes, mode: int) -> None:
    """Put a file in place of what is there, whole or not at all."""
    beside = file.with_name(f".{file.name}.{os.getpid()}.new")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(data)
            opened.flush()
            os.fsync(opened.fileno())
        beside.chmod(mode)
        beside.replace(file)
    except OSError as error:
        with suppress(FileNotFoundError):
            beside.unlink()
        raise ConfigurationError(f"{file}: can't be written ({error.strerror}); nothing was changed") from None
