"""Words of a shell command: what they come to, where that can be told from the text alone.

Rules:
- quotes and backslashes are taken away as bash takes them;
- variables, substitutions, braces, wildcards and a leading `~` make a word *open*: only running it tells what it becomes.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from tree_sitter import Node

_OPEN = re.compile(r"[*?{}]|\[|\A~|[@!+]\(")
_IN_QUOTES = re.compile(r"\\(\n|[$`\"\\])")
_BARE = re.compile(r"\\(\n|.)", re.DOTALL)
_ANSI = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{1,4}|U[0-9A-Fa-f]{1,8}|[0-7]{1,3}|c.|.)", re.DOTALL)
_LETTERS = {"a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_PLAIN = frozenset({"word", "number", "variable_name", "test_operator", "special_variable_name", "file_descriptor"})
_GLUED = frozenset({"concatenation", "command_name", "variable_assignment"})


class Word(NamedTuple):
    """A word without its quotes. `open`: it may become something else, or several words."""

    text: str
    open: bool = False


def word_of(node: Node) -> Word:
    """What a node that stands for a word comes to; an open one keeps its own text."""
    written = _text(node)
    match node.type:
        case "raw_string":
            return Word(written[1:-1])
        case "ansi_c_string":
            return _ansi(written)
        case "string" | "translated_string":
            return _quoted(node, written)
        case kind if kind in _GLUED and node.child_count:
            return _glued(node, written)
        case kind if kind in _PLAIN or not node.child_count:
            return Word(_BARE.sub(_unescaped, written), open=_OPEN.search(_BARE.sub("", written)) is not None)
    return Word(written, open=True)


def _text(node: Node) -> str:
    return (node.text or b"").decode(errors="replace")


def _unescaped(found: re.Match[str]) -> str:
    return "" if found[1] == "\n" else found[1]


def _quoted(node: Node, written: str) -> Word:
    """A text in double quotes; whatever stands in it besides text makes it open."""
    if any(child.is_named and child.type != "string_content" for child in node.children) or node.type != "string":
        return Word(written, open=True)
    inner = written[1:-1]
    return Word(_IN_QUOTES.sub(_unescaped, inner), open="$" in _IN_QUOTES.sub("", inner) and _expands(inner))


def _expands(inner: str) -> bool:
    return re.search(r"\$[A-Za-z0-9_{(\[@*#?$!-]", _IN_QUOTES.sub("", inner)) is not None


def _ansi(written: str) -> Word:
    try:
        text = _ANSI.sub(_letter, written[2:-1])
    except ValueError:
        return Word(written, open=True)
    return Word(written, open=True) if "\0" in text else Word(text)  # some shells end it there, others don't


def _letter(found: re.Match[str]) -> str:
    code = found[1]
    if code[0] in "xuU" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code[0] in "01234567":
        return chr(int(code, 8) & 255)
    if code[0] == "c":
        return chr(ord(code[1]) & 31)
    return _LETTERS.get(code, code if code in "\\'\"?" else f"\\{code}")


def _glued(node: Node, written: str) -> Word:
    """Pieces without space between them; `{a,b}` in pieces is open."""
    pieces = [word_of(child) for child in node.children]
    translated = any(
        _text(one).endswith("$") and other.type in ("string", "raw_string") for one, other in pairwise(node.children)
    )
    braces = "{" in _BARE.sub("", written) and any(
        child.type == "word" and "{" in _text(child) for child in node.children
    )
    return Word(
        "".join(piece.text for piece in pieces), open=any(piece.open for piece in pieces) or braces or translated
    )
