"""Commands that run other commands: which ones, as far as their words tell.

Rules:
- a command in front of another (`sudo`, `env`, `xargs`, ...) gives that one; an option that is not known may have taken a word with it,
  so the command behind it is not parsed;
- a shell gives what stands in its `-c`; one that reads its commands from elsewhere gives what is not parsed;
- git, find, tar, rsync, ssh and su give the commands that their options name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from agentguard.policy.shell_git import of_git
from agentguard.policy.shell_inner import UNPARSED, Inner, Script, Unparsed, put_together
from agentguard.policy.shell_words import Word

SHELLS = frozenset("sh bash dash ash zsh ksh mksh yash rbash csh tcsh fish".split())


class Options(NamedTuple):
    """How a command in front of another is written: flags, options with a value, and how many words come first."""

    flags: str = ""
    valued: str = ""
    long_flags: frozenset[str] = frozenset()
    long_valued: frozenset[str] = frozenset()
    before: int = 0


def _options(
    flags: str = "", valued: str = "", long_flags: str = "", long_valued: str = "", before: int = 0
) -> Options:
    return Options(flags, valued, frozenset(long_flags.split()), frozenset(long_valued.split()), before)


_IN_FRONT = {
    "sudo": _options("AbEeHiKklnPSsVv", "CDghpRrTtUu", "login shell non-interactive preserve-env stdin set-home", "user group"),
    "doas": _options("Lns", "Cu"),
    "env": _options("i0v", "uC", "ignore-environment null debug", "unset chdir"),
    "nice": _options("", "n", "", "adjustment"),
    "nohup": _options(),
    "time": _options("pavq", "fo", "portability append verbose quiet", "format output"),
    "timeout": _options("fpv", "ks", "foreground preserve-status verbose", "kill-after signal", before=1),
    "gtimeout": _options("fpv", "ks", "foreground preserve-status verbose", "kill-after signal", before=1),
    "stdbuf": _options("", "ioe", "", "input output error"),
    "setsid": _options("cfw", "", "ctty fork wait"),
    "ionice": _options("t", "cn", "ignore", "class classdata"),
    "chrt": _options("abfmoriv", "TPD", before=1),
    "taskset": _options("a", "", before=1),
    "chroot": _options("", "", "skip-chdir", "userspec groups", before=1),
    "command": _options("p"),
    "builtin": _options(),
    "exec": _options("cl", "a"),
    "xargs": _options("0oprtx", "adEILnPs", "null interactive no-run-if-empty verbose", "max-args max-procs replace delimiter arg-file"),
    "busybox": _options(),
    "toybox": _options(),
    "watch": _options("bcdegptwx", "n", "beep color errexit chgexit no-title precise exec", "interval"),
    "strace": _options("cCdfFhiqrtTvVxy", "abeEIoOpPsSuX"),
    "ltrace": _options("cCfiLrStT", "aAeEFlnopsuwx"),
    "unbuffer": _options("p"),
    "caffeinate": _options("dimsu", "tw"),
    "chronic": _options("ev"),
    "flock": _options("eFnosux", "Ew", "shared exclusive unlock nonblock close no-fork verbose", "timeout conflict-exit-code", before=1),
    "unshare": _options("cCfimnprTuU", "", "fork pid net mount user map-root-user ipc uts"),
    "nsenter": _options("aCiFmnpTuUw", "GSt"),
    "setpriv": _options("", "", "no-new-privs clear-groups keep-groups init-groups", "reuid regid groups"),
    "systemd-run": _options("GPqrSt", "EHMpu", "user scope system pty quiet wait collect", "unit property setenv"),
    "runuser": _options("", "u", "", "user"),
    "parallel": _options("kX", "jN", "keep-order dry-run", "jobs"),
    "winpty": _options(),
    "proxychains": _options("q", "f"),
    "proxychains4": _options("q", "f"),
    "torsocks": _options(),
    "fakeroot": _options(),
    "dbus-run-session": _options(),
    "xvfb-run": _options("ae", "s"),
    "direnv": _options(before=2),
    "npx": _options("yq", "", "yes quiet no-install"),
    "pnpx": _options(),
    "bunx": _options(),
    "uvx": _options("q"),
    "pipx": _options(before=1),
}  # fmt: skip
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_FIND_RUNS = frozenset({"-exec", "-execdir", "-ok", "-okdir"})
_STANDARD_INPUT = frozenset({"-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})


def inner_commands(argv: Sequence[Word], given: Script | Unparsed | None) -> Iterator[Inner]:
    """What a command runs besides itself. `given`: what it gets on its standard input, where that is text in the script."""
    name = argv[0].text.rpartition("/")[2]
    words = list(argv[1:])
    if name in SHELLS:
        yield from _shell(words, given)
    elif name in _IN_FRONT:
        yield from _in_front(name, words, _IN_FRONT[name])
    elif name in _KNOWN:
        yield from _KNOWN[name](words)
    elif name == "coproc" or (
        name in ("source", ".") and (words[0].open or words[0].text in _STANDARD_INPUT if words else True)
    ):
        yield UNPARSED


def _shell(words: Sequence[Word], given: Script | Unparsed | None) -> Iterator[Inner]:
    runs_text = False
    rest = list(words)
    while rest and ((rest[0].text[:1] in ("-", "+") and len(rest[0].text) > 1) or rest[0].open):
        word = rest.pop(0)
        if word.open:
            yield UNPARSED
            return
        if word.text == "--":
            break
        if word.text.startswith("--"):
            if word.text in ("--rcfile", "--init-file") and rest:
                rest.pop(0)
                yield UNPARSED
            continue
        runs_text = runs_text or "c" in word.text
        if word.text[1:].rstrip("c")[-1:] in ("o", "O") and rest:
            rest.pop(0)
    if runs_text:
        yield put_together(rest[:1]) if rest else UNPARSED
    elif not rest or rest[0].text in _STANDARD_INPUT or rest[0].text.startswith("<("):
        yield given or UNPARSED


def _in_front(name: str, words: list[Word], options: Options) -> Iterator[Inner]:
    """The command behind one that stands in front of it."""
    rest, certain = list(words), True
    while rest and rest[0].text.startswith("-") and len(rest[0].text) > 1:
        word = rest.pop(0)
        if word.text == "--":
            break
        if name == "env" and (
            word.text.startswith(("-S", "--split-string")) or ("S" in word.text and not word.text.startswith("--"))
        ):
            yield UNPARSED
            return
        known, takes_next = _option(word.text, options)
        certain = certain and known and not word.open
        if takes_next and rest:
            rest.pop(0)
    del rest[: options.before]
    if name == "flock" and rest and rest[0].text in ("-c", "--command"):
        yield put_together(rest[1:2])
        return
    while name in ("env", "sudo", "doas") and rest and _ASSIGNMENT.match(rest[0].text):
        rest.pop(0)
    if not certain:
        yield UNPARSED
    if rest:
        yield put_together(rest) if name in ("watch", "parallel") else rest


def _option(text: str, options: Options) -> tuple[bool, bool]:
    """Whether an option is known, and whether the next word is its value."""
    if text.startswith("--"):
        word, equals, _ = text[2:].partition("=")
        if equals:
            return word in options.long_valued or word in options.long_flags, False
        return word in options.long_flags or word in options.long_valued, word in options.long_valued
    for index, letter in enumerate(text[1:], start=1):
        if letter in options.valued:
            return True, index == len(text) - 1
        if letter not in options.flags and not letter.isdigit():
            return False, False
    return True, False


def _find(words: list[Word]) -> Iterator[Inner]:
    at = 0
    while at < len(words):
        if words[at].text in _FIND_RUNS or (words[at].open and words[at].text.startswith("$")):
            end = next((each for each in range(at + 1, len(words)) if words[each].text in (";", "+")), len(words))
            yield words[at + 1 : end] if words[at].text in _FIND_RUNS and end > at + 1 else UNPARSED
            at = end
        at += 1


def _evaluated(words: list[Word]) -> Iterator[Inner]:
    if words:
        yield put_together(words)


def _trap(words: list[Word]) -> Iterator[Inner]:
    rest = [word for word in words if word.text != "--"]
    if len(rest) > 1 and rest[0].text not in ("", "-"):
        yield put_together(rest[:1])


def _alias(words: list[Word]) -> Iterator[Inner]:
    for word in words:
        _, equals, value = word.text.partition("=")
        if word.open:
            yield UNPARSED
        elif equals:
            yield Script(value)


def _ssh(words: list[Word]) -> Iterator[Inner]:
    rest = list(words)
    while rest and rest[0].text.startswith("-"):
        word = rest.pop(0)
        if word.text[:2] in ("-o", "-F", "-S") and "command" in (word.text + (rest[0].text if rest else "")).lower():
            yield UNPARSED
        if word.text[-1] in "bcDEeFIiJLlmOopQRSWw" and len(word.text) == 2 and rest:
            rest.pop(0)
    if rest[1:]:
        yield put_together(rest[1:])


def _with_command(*names: str) -> Callable[[list[Word]], Iterator[Inner]]:
    """What is run by a command that takes a command line in one of these options."""

    def found(words: list[Word]) -> Iterator[Inner]:
        for index, word in enumerate(words):
            for name in names:
                following = words[index + 1 : index + 2]
                if word.text == name:
                    yield put_together(following) if following else UNPARSED
                elif word.text.startswith(f"{name}=") or (
                    len(name) == 2 and word.text.startswith(name) and name != word.text
                ):
                    yield put_together(
                        [Word(word.text.removeprefix(name).removeprefix("=").removeprefix("exec="), word.open)]
                    )

    return found


_KNOWN: dict[str, Callable[[list[Word]], Iterator[Inner]]] = {
    "find": _find,
    "fd": _with_command("-x", "-X", "--exec", "--exec-batch"),
    "git": of_git,
    "eval": _evaluated,
    "trap": _trap,
    "alias": _alias,
    "ssh": _ssh,
    "su": _with_command("-c", "--command"),
    "script": _with_command("-c", "--command"),
    "tar": _with_command("-I", "--to-command", "--checkpoint-action", "--use-compress-program", "--rsh-command", "-F", "--info-script"),
    "rsync": _with_command("-e", "--rsh", "--rsync-path"),
    "scp": _with_command("-S"),
    "sort": _with_command("--compress-program"),
    "split": _with_command("--filter"),
    "entr": lambda words: iter([words]) if words else iter(()),
    "complete": _with_command("-C", "-F"),
    "bind": _with_command("-x"),
    "mapfile": _with_command("-C"),
    "readarray": _with_command("-C"),
}  # fmt: skip
