"""What git runs besides itself: aliases, hooks, pagers, editors and whatever else its settings and options name.

Rules:
- a setting that names a program gives that program, whether it is set for this call (`-c`) or for later ones (`git config`);
- a setting that names a folder of programs, or a file with settings, is not parsed;
- of the options that take a command line, those of `rebase`, `bisect`, `submodule` and of transports are known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest

from agentguard.policy.shell_inner import UNPARSED, Inner, Script, put_together
from agentguard.policy.shell_words import Word

_VALUED = frozenset({"-C", "--git-dir", "--work-tree", "--namespace", "--super-prefix", "--attr-source"})
_RUNS = re.compile(
    r"(?i)core\.(?:pager|editor|sshcommand|fsmonitor|askpass|gitproxy|alternaterefscommand)|sequence\.editor|diff\.external|gpg(?:\..+)?\.program"
    r"|pager\..+|interactive\.difffilter|(?:merge|diff)tool\..+\.(?:cmd|path)|merge\..+\.driver|diff\..+\.(?:command|textconv)"
    r"|filter\..+\.(?:clean|smudge|process)|(?:remote\..+\.)?(?:uploadpack|receivepack)|trailer\..+\.(?:cmd|command)|web\.browser|browser\..+\.cmd"
    r"|man\..+\.cmd|sendemail\..*cmd|difftool\.guidefault|remote\..+\.vcs|tar\..+\.command|uploadpack\.packobjectshook"
)
_UNSEEN = re.compile(r"(?i)core\.(?:hookspath|attributesfile|excludesfile)|include(?:if\..+)?\.path|init\.templatedir")
_OPTIONS = frozenset("--exec --upload-pack --receive-pack --open-files-in-pager --extcmd".split())
_SHORT_OPTIONS = {"-x": frozenset({"rebase", "difftool"}), "-u": frozenset({"clone", "fetch", "pull"})}


def of_git(words: Sequence[Word]) -> Iterator[Inner]:
    """What a git command with these words runs."""
    rest = list(words)
    while rest and rest[0].text.startswith("-"):
        word = rest.pop(0)
        following = rest[:1] if word.text in ("-c", *_VALUED) else []
        del rest[: len(following)]
        yield from _before_the_verb(word, following)
    if rest:
        yield from _behind_the_verb(rest[0], rest[1:])


def _before_the_verb(word: Word, following: Sequence[Word]) -> Iterator[Inner]:
    if word.open or word.text.startswith(("--config-env", "--exec-path=")):
        yield UNPARSED
    elif word.text.startswith("-c"):
        setting = following[0] if following else Word(word.text.removeprefix("-c"))
        yield from _setting(*setting)


def _behind_the_verb(verb: Word, words: Sequence[Word]) -> Iterator[Inner]:
    if verb.open or verb.text == "filter-branch":
        yield UNPARSED
    if verb.text == "config":
        for key, value in pairwise(words):
            yield from _setting(f"{key.text}={value.text}", key.open or value.open) if "." in key.text else ()
    if (verb.text, *(word.text for word in words[:1])) in (("submodule", "foreach"), ("bisect", "run")):
        commands = [word for word in words[1:] if not word.text.startswith("-")]
        yield put_together(commands) if commands else UNPARSED
    for word, following in zip_longest(words, words[1:]):
        yield from _argument(verb.text, word, following)


def _argument(verb: str, word: Word, following: Word | None) -> Iterator[Inner]:
    option, equals, value = word.text.partition("=")
    if word.text.startswith("ext::"):
        yield put_together([Word(word.text.removeprefix("ext::"), word.open)])
    elif option in _OPTIONS or verb in _SHORT_OPTIONS.get(option, ()):
        given = Word(value, word.open) if equals else following
        yield UNPARSED if given is None else put_together([given])


def _setting(setting: str, is_open: bool) -> Iterator[Inner]:
    key, _, value = setting.partition("=")
    if is_open or _UNSEEN.fullmatch(key):
        yield UNPARSED
    elif value.startswith("!") or _RUNS.fullmatch(key):
        yield Script(value.removeprefix("!"))
    elif key.lower().startswith("alias."):
        yield [Word("git"), *map(Word, value.split())]
