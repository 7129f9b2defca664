r"""Paths of files: the function `path_under(path, folder)` of conditions.

Rules:
- paths are compared as text, after `.`, `..` and repeated separators are worked out; the folder itself counts; no disk is looked at, so
  a link inside the folder that leads out of it is not seen;
- where the folder is a Windows one (`C:\work`), paths are read as Windows reads them: both separators, case doesn't count;
- a relative path under an absolute folder, or the other way round, could be anywhere;
- so could the links of Linux that lead wherever a process stands (`/proc/self/root`, `/proc/1/cwd`, `/dev/fd/3`, ...), and what goes up
  from an entry of `/proc`, which may be a link;
- whatever two programs could read differently is an error, and a condition that fails counts as met: escapes (`%2e`), `~`, `$HOME`,
  backslashes in a POSIX path, wildcards, characters that turn into dots or separators, names that differ from the folder in case alone.
"""

from __future__ import annotations

import re
import unicodedata

LENGTH_MAX = 4096
_LINK = re.compile(
    r"proc/(?:self|thread-self|[0-9]+)(?:/task/[0-9]+)?/(?:root|cwd|exe|fd|map_files)|dev/(?:fd|stdin|stdout|stderr)"
)
_LINK_STEPS = 5
_WINDOWS = re.compile(r"[A-Za-z]:[\\/]")
_DISPUTED = re.compile(r"[\x00-\x1f\x7f*?<>|\"`$]|%[0-9A-Fa-f]{2}|%[A-Za-z_]+%|\A~|\A[A-Za-z][A-Za-z0-9+.-]+:")
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_DISPUTED_PATH = "disputed path"
_SHORT_NAME = re.compile(r"~[0-9]")
_DEVICE = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(?:\..*)?")


def path_under(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it. Raises ValueError, without the path."""
    if _WINDOWS.match(folder):
        drive, steps = _windows(path)
        at, wanted = _windows(folder)
        return drive == at and steps[: len(wanted)] == wanted
    absolute, steps = _posix(path)
    rooted, wanted = _posix(folder)
    if absolute is not rooted:
        raise ValueError(_DISPUTED_PATH)
    if steps[: len(wanted)] == wanted:
        return True
    if [_folded(step) for step in steps[: len(wanted)]] == [_folded(step) for step in wanted]:
        raise ValueError(_DISPUTED_PATH)
    return False


def _posix(path: str) -> tuple[bool, list[str]]:
    """Whether a path is absolute, and its steps."""
    _check(path)
    if "\\" in path:
        raise ValueError(_DISPUTED_PATH)
    absolute, parts = path.startswith("/"), path.split("/")
    if ("proc" in parts or "dev" in parts) and _leads_anywhere(parts, absolute=absolute):
        raise ValueError(_DISPUTED_PATH)
    return absolute, _steps(parts, absolute=absolute)


def _leads_anywhere(parts: list[str], *, absolute: bool) -> bool:
    """Whether a path goes over a link that the kernel makes for each process; what is relative may have gone up to the root."""
    way: list[str] = []
    from_root = absolute
    for part in parts:
        if part == ".." and way:
            if from_root and way[0] == "proc" and len(way) > 1:
                return True
            way.pop()
        elif part == "..":
            from_root = True
        elif part not in ("", "."):
            way.append(part)
            if from_root and len(way) <= _LINK_STEPS and _LINK.fullmatch("/".join(way)):
                return True
    return False


def _windows(path: str) -> tuple[str, list[str]]:
    """The drive of an absolute path, and its steps as Windows compares them."""
    if not _WINDOWS.match(path):
        raise ValueError(_DISPUTED_PATH)
    _check(path[2:])
    steps = _steps(re.split(r"[\\/]", path[2:]), absolute=True)
    if any(
        step.endswith((".", " ")) or ":" in step or _SHORT_NAME.search(step) or _DEVICE.fullmatch(step)
        for step in steps
    ):
        raise ValueError(_DISPUTED_PATH)
    return path[0].upper(), [_folded(step) for step in steps]


def _check(path: str) -> None:
    if not path or len(path) > LENGTH_MAX or _DISPUTED.search(path):
        raise ValueError(_DISPUTED_PATH)
    if not path.isascii():
        plain = unicodedata.normalize("NFKC", path)
        if _marks(plain) != _marks(path) or any(unicodedata.category(character) in _INVISIBLE for character in path):
            raise ValueError(_DISPUTED_PATH)


def _marks(path: str) -> list[str]:
    """The characters of a path that mean something."""
    return [character for character in path if character in "./\\:~%$"]


def _steps(parts: list[str], *, absolute: bool) -> list[str]:
    steps: list[str] = []
    for part in parts:
        if part == "..":
            if steps and steps[-1] != "..":
                steps.pop()
            elif not absolute:
                steps.append(part)
        elif part not in ("", "."):
            steps.append(part)
    return steps


def _folded(step: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", step).casefold())
