"""Shell commands: the function `shell_commands(text)` of conditions.

Each command is a map: `name` (the last part of its first word), `argv`, `assigns` (variables set for it alone), `reads` and `writes` (files
that are redirected from and to), and `open` (a word of it is only known when it runs).

Rules:
- commands in pipes, lists, substitutions, functions, aliases and heredocs are there, and those that other commands run (`shell_wrappers`),
  beside the ones around them;
- a program that is called by a path outside of the system's folders is there twice, by that path and by its last part: `./ls` may be any
  program, and `./rm` may be rm;
- what can't be parsed, or is only known when it runs, is a command of the name `unparsed`;
- pure and bounded: text over TEXT_MAX, and commands inside more than DEPTH_MAX others, are `unparsed`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import pairwise, starmap
from typing import NamedTuple

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from agentguard.model.record import Json
from agentguard.policy.shell_hidden import assigned_in, hides_commands
from agentguard.policy.shell_inner import Script, Unparsed
from agentguard.policy.shell_words import Word, word_of
from agentguard.policy.shell_wrappers import inner_commands

TEXT_MAX = 10_000
DEPTH_MAX = 8
TREE_MAX = 200
COMMANDS_MAX = 1_000
UNPARSED = "unparsed"
_READ_APART = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f]|(?<![ \t|&;(])\\\n|(?:\A|[\s;|&(){}<>])\\[ \t]|\\[ \t](?=\s|\Z)|\\[0-9]+[<>]"
)
"""What the parser takes for white space and a shell doesn't: control characters, a line that goes on inside a word, an escaped space."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[.*\])?", re.DOTALL)
_ENDS = frozenset({";", "|", "&", "\n", "&&", "||", "|&", ";;", "(", ")"})
"""Tokens behind which a word begins."""
_OF_THE_SYSTEM = re.compile(r"/(?:usr/(?:local/)?|opt/homebrew/)?s?bin/[^/]+")
"""Where a program is the one that its name says."""
_DECLARATIONS = frozenset({"declaration_command", "unset_command"})
_WRITES = frozenset({">", ">>", ">|", "&>", "&>>", "<>", ">&"})


class Command(NamedTuple):
    """One command as conditions see it."""

    name: str
    argv: tuple[str, ...] = ()
    assigns: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    open: bool = False

    def plain(self) -> Json:
        """As a map."""
        return {
            "name": self.name,
            "argv": list(self.argv),
            "assigns": list(self.assigns),
            "reads": list(self.reads),
            "writes": list(self.writes),
            "open": self.open,
        }


_NOT_PARSED = Command(UNPARSED)


class TooMuch(Exception):
    """The text holds more than is looked at."""


class _Around(NamedTuple):
    """The redirections that a command stands in, and the words behind them, which are its own."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    given: Script | Unparsed | None = None
    words: tuple[Word, ...] = ()


def shell_commands(text: str) -> list[Json]:
    """The commands in a text."""
    return [command.plain() for command in _commands(text)]


@lru_cache(maxsize=128)
def _commands(text: str) -> tuple[Command, ...]:
    try:
        return _capped(_script(text, 0))
    except TooMuch:
        return (_NOT_PARSED,)


def _capped(commands: Iterator[Command]) -> tuple[Command, ...]:
    found: list[Command] = []
    for command in commands:
        found.append(command)
        if len(found) > COMMANDS_MAX:
            raise TooMuch
    return tuple(found)


def _script(text: str, depth: int) -> Iterator[Command]:
    """The commands of a text that is run as a whole."""
    if depth > DEPTH_MAX or len(text) > TEXT_MAX:
        raise TooMuch
    written = text.encode(errors="replace")
    root = _parser().parse(written).root_node
    if root.has_error or _READ_APART.search(text):
        yield _NOT_PARSED
    yield from _within(root, _Around(), depth, 0)


@cache
def _parser() -> Parser:
    return Parser(Language(tree_sitter_bash.language()))


def _within(node: Node, around: _Around, depth: int, level: int) -> Iterator[Command]:
    """The commands in a part of the tree."""
    if level > TREE_MAX:
        raise TooMuch
    yield from _besides(node)
    if node.type == "command":
        yield from _command(node, around, depth)
    elif node.type in _DECLARATIONS:
        yield _declaration(node, around)
    elif node.type == "redirected_statement":
        around = _redirected(node, around)
        if node.child_by_field_name("body") is None:
            yield Command("", reads=around.reads, writes=around.writes)
    elif node.type == "heredoc_body":
        around = _Around()
    elif node.type == "pipeline":
        around = around._replace(given=None)
    for child in node.children:
        inner = around if child.type in ("command", "declaration_command") else around._replace(words=())
        yield from _within(child, inner, depth, level + 1)


def _besides(node: Node) -> Iterator[Command]:
    """What a part of the tree does without being a command: it can't be read, or it sets a variable."""
    if _is_misread(node) or hides_commands(node):
        yield _NOT_PARSED
    if assigned := assigned_in(node):
        yield Command("", assigns=(assigned,))


def _is_misread(node: Node) -> bool:
    """Whether the parser sees something where a shell sees a word, or words where a shell sees one."""
    match node.type:
        case "variable_assignment":
            return _VARIABLE.fullmatch(_assigned(node)) is None
        case "comment":
            return not _stands_apart(node.prev_sibling, node)
        case "heredoc_redirect":
            return not _is_quoted(node) and b"`" in (node.text or b"")
        case "command" | "declaration_command" | "unset_command" | "negated_command" | "test_command":
            pieces = [child for child in node.children if child.type not in ("subscript", "]", "]]")]
            return any(child.type == "$" for child in pieces) or not all(starmap(_stands_apart, pairwise(pieces)))
        case "string" | "raw_string" | "ansi_c_string":
            return b"\n" in (node.text or b"") and _stands_in_heredoc(node)
    return False


def _stands_in_heredoc(node: Node) -> bool:
    """Whether a node stands on the line of a heredoc's mark: the heredoc begins on the next line, inside or behind it."""
    around = node.parent
    while around is not None and around.type not in ("heredoc_redirect", "heredoc_body"):
        around = around.parent
    return around is not None and around.type == "heredoc_redirect"


def _stands_apart(before: Node | None, node: Node) -> bool:
    return (
        before is None or before.end_byte < node.start_byte or before.type in _ENDS or node.type.endswith("_redirect")
    )


def _command(node: Node, around: _Around, depth: int) -> Iterator[Command]:
    """A command, and what it runs."""
    around = _redirected(node, around)
    words = [*(word_of(child) for child in node.children if _is_word(child)), *around.words]
    assigns = tuple(_assigned(child) for child in node.children if child.type == "variable_assignment")
    yield from _told(words, assigns, around, depth)


def _told(words: Sequence[Word], assigns: tuple[str, ...], around: _Around, depth: int) -> Iterator[Command]:
    if depth > DEPTH_MAX:
        raise TooMuch
    if not words:
        yield Command("", assigns=assigns, reads=around.reads, writes=around.writes)
        return
    command = Command(
        name=UNPARSED if words[0].open else words[0].text.rpartition("/")[2] or UNPARSED,
        argv=tuple(word.text for word in words),
        assigns=assigns,
        reads=around.reads,
        writes=around.writes,
        open=any(word.open for word in words),
    )
    if not words[0].open and "/" in words[0].text and _OF_THE_SYSTEM.fullmatch(words[0].text) is None:
        yield command._replace(name=words[0].text)  # `./ls` may be any program
    yield command
    for inner in () if words[0].open else inner_commands(words, around.given):
        if isinstance(inner, Unparsed):
            yield _NOT_PARSED
        elif isinstance(inner, Script):
            yield from _script(inner.text, depth + 1)
        else:
            yield from _told(inner, (), around, depth + 1)


def _is_word(node: Node) -> bool:
    return node.is_named and not node.type.endswith(("_redirect", "comment")) and node.type != "variable_assignment"


def _declaration(node: Node, around: _Around) -> Command:
    words = [word_of(child) for child in node.children]
    return Command(
        name=words[0].text,
        argv=tuple(word.text for word in words),
        reads=around.reads,
        writes=around.writes,
        open=any(word.open for word in words),
    )


def _assigned(node: Node) -> str:
    name = node.child_by_field_name("name")
    return word_of(name).text if name is not None else ""


def _redirected(node: Node, around: _Around) -> _Around:
    """The redirections of a node, added to those that it stands in."""
    reads, writes, words, given = list(around.reads), list(around.writes), list(around.words), around.given
    for child in node.children:
        if child.type == "file_redirect":
            to, *behind = map(word_of, child.children_by_field_name("destination") or [child])
            is_write = any(each.type in _WRITES for each in child.children)
            (writes if is_write else reads).extend([] if to.text.isdigit() or to.text == "-" else [to.text])
            words += behind  # the parser takes them for more places to redirect to
            given = given if is_write else Unparsed()
        elif child.type in ("heredoc_redirect", "herestring_redirect"):
            given = _given(child)
            words += map(word_of, child.children_by_field_name("argument"))
    return _Around(tuple(reads), tuple(writes), given, tuple(words))


def _given(redirect: Node) -> Script | Unparsed:
    """The text of a heredoc or herestring, where it stands there as it is."""
    if redirect.type == "herestring_redirect":
        word = word_of(redirect.children[-1])
        return Unparsed() if word.open else Script(word.text)
    body = next((child for child in redirect.children if child.type == "heredoc_body"), None)
    text = "" if body is None or body.text is None else body.text.decode(errors="replace")
    return Script(text) if _is_quoted(redirect) or not set(text) & set("$`\\") else Unparsed()


def _is_quoted(heredoc: Node) -> bool:
    """Whether a heredoc's text stays as it is."""
    start = next((child for child in heredoc.children if child.type == "heredoc_start"), None)
    return start is not None and bool(set(start.text or b"") & set(b"'\"\\"))
