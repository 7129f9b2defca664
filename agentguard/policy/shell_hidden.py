"""Commands that a shell finds where a text shows none: in what it reads a second time.

A shell evaluates arithmetic, tests and subscripts after quotes were taken away, and runs a substitution that it finds in them then:
`(( 'a[$(rm x)]' ))` runs rm, `x='a[$(rm x)]'; (( x ))` does, and so do `[[ -v 'a[$(rm x)]' ]]`, `test -v`, `printf -v`, `let`, `read`,
`declare` and `unset`. What bash takes for a test or for arithmetic is commands to other shells (`[[ x || rm y ]]`, `((rm y))`), and
`sh` is often one.
"""

from __future__ import annotations

import re
from collections.abc import Set

from tree_sitter import Node

_ARITHMETIC = frozenset({"arithmetic_expansion", "subscript", "c_style_for_statement"})
_OTHERS = frozenset({"declaration_command", "unset_command", "file_redirect"})
_COMMANDS = frozenset({b"test", b"printf", b"let", b"read", b"wait"})
_ON_ITS_OWN = frozenset({"command_substitution", "process_substitution", "simple_expansion", "regex", "do_group"})
"""Nodes whose text is looked at where it stands, or is no text of the shell's."""
_SUBSTITUTIONS = frozenset({"command_substitution"})
_EXPANSIONS = frozenset({"simple_expansion", "expansion", "command_substitution", "arithmetic_expansion"})
_QUOTED = _EXPANSIONS | {"string", "raw_string", "ansi_c_string", "translated_string"}
_SEPARATES = re.compile(rb"[<>;&|()\n]")
_MARKS = (b"$", b"`")
_EVALUATES = re.compile(rb"(?<!\S)-(?:v|R)(?!\S)|\A\[\[.*(?<!\S)-(?:eq|ne|l[te]|g[te])(?!\S)", re.DOTALL)
_DEFAULT = re.compile(rb"\$\{([A-Za-z_][A-Za-z0-9_]*)(?:\[.*?\])?:?=", re.DOTALL)


def hides_commands(node: Node) -> bool:
    """Whether a shell reads a part of a text a second time, and may then run what quotes hide or a substitution gives."""
    text = node.text or b""
    if node.type in ("compound_statement", "subshell") and text.startswith(b"(("):
        return True  # arithmetic to bash, and commands in brackets to other shells
    if node.type in _ARITHMETIC:
        return _hides(node, substitutions=True)
    if node.type == "variable_assignment":
        return (b"$(" in text or b"`" in text) and _hides(node)
    if node.type == "test_command":
        return _hides(node, substitutions=_EVALUATES.search(text) is not None) or _ends_elsewhere(node)
    if node.type == "command":
        name = node.child_by_field_name("name")
        return name is not None and (name.text or b"").rpartition(b"/")[2] in _COMMANDS and _hides(node)
    return node.type in _OTHERS and _hides(node)


def _ends_elsewhere(test: Node) -> bool:
    """Whether another shell than bash, to which `[[` is a command like others, sees its end, a redirection or more commands inside."""
    return (test.text or b"").startswith(b"[[") and _SEPARATES.search(_without(test, _QUOTED)) is not None


def assigned_in(node: Node) -> str:
    """The variable that a part of a text sets by itself: an assignment, a loop, `${x:=...}`; empty where it sets none."""
    match node.type:
        case "variable_assignment" if node.parent is None or node.parent.type not in ("command", "declaration_command"):
            name = node.child_by_field_name("name")
        case "for_statement":
            name = node.child_by_field_name("variable")
        case "expansion" if (found := _DEFAULT.match(node.text or b"")) is not None:
            return found[1].decode()
        case _:
            return ""
    return "" if name is None else (name.text or b"").decode(errors="replace")


def _hides(node: Node, *, substitutions: bool = False) -> bool:
    """Whether a substitution would appear in a part once its quotes and backslashes are gone, or, where they count, stands there."""
    left = _SUBSTITUTIONS if substitutions else frozenset[str]()
    pending = [node]
    while pending:
        part = pending.pop()
        if part.type in left or _is_literal_mark(part):
            return True
        pending += [each for each in part.children if each.type not in _ON_ITS_OWN - left]
    return False


def _is_literal_mark(part: Node) -> bool:
    """Whether the mark of a substitution stands in a part as text."""
    text = part.text or b""
    match part.type:
        case "raw_string":
            return any(mark in text for mark in _MARKS)
        case "ansi_c_string":
            return b"\\" in text or any(mark in text[1:] for mark in _MARKS)
        case "string" | "translated_string":
            written = _without(part, _EXPANSIONS)
            return any(mark in written.removeprefix(b"$") for mark in _MARKS)
    return not part.child_count and re.search(rb"\\[$`]|\$\Z", text) is not None


def _without(node: Node, kinds: Set[str]) -> bytes:
    """The text of a node with blanks in place of the parts that are of these kinds."""
    text, pending = bytearray(node.text or b""), list(node.children)
    while pending:
        part = pending.pop()
        if part.type in kinds:
            start, end = part.start_byte - node.start_byte, part.end_byte - node.start_byte
            text[start:end] = b" " * (end - start)
        else:
            pending += part.children
    return bytes(text)
