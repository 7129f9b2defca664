"""Commands that a shell finds where a text shows none: in what it reads a second time.

A shell evaluates arithmetic, tests and subscripts after quotes were taken away, and runs a substitution that it finds in them then:
`(( 'a[$(rm x)]' ))` runs rm, `x='a[$(rm x)]'; (( x ))` does, and so do `[[ -v 'a[$(rm x)]' ]]`, `test -v`, `printf -v`, `let`, `read`,
`declare` and `unset`.
"""

from __future__ import annotations

import re

from tree_sitter import Node

_ARITHMETIC = frozenset({"arithmetic_expansion", "subscript"})
_OTHERS = frozenset({"declaration_command", "unset_command", "file_redirect"})
_ROUND = frozenset({"compound_statement", "c_style_for_statement"})
"""Arithmetic where two brackets stand first."""
_COMMANDS = frozenset({b"test", b"printf", b"let", b"read", b"wait"})
_ON_ITS_OWN = frozenset({"command_substitution", "process_substitution", "simple_expansion", "regex", "do_group"})
"""Nodes whose text is looked at where it stands, or is no text of the shell's."""
_SUBSTITUTIONS = frozenset({"command_substitution"})
_EXPANSIONS = frozenset({"simple_expansion", "expansion", "command_substitution", "arithmetic_expansion"})
_MARKS = (b"$", b"`")
_EVALUATES = re.compile(rb"(?<!\S)-(?:v|R)(?!\S)|\A\[\[.*(?<!\S)-(?:eq|ne|l[te]|g[te])(?!\S)", re.DOTALL)
_DEFAULT = re.compile(rb"\$\{([A-Za-z_][A-Za-z0-9_]*)(?:\[.*?\])?:?=", re.DOTALL)


def hides_commands(node: Node) -> bool:
    """Whether a shell reads a part of a text a second time, and may then run what quotes hide or a substitution gives."""
    text = node.text or b""
    if node.type in _ARITHMETIC or (node.type in _ROUND and text.removeprefix(b"for").lstrip().startswith(b"((")):
        return _hides(node, substitutions=True)
    if node.type == "subshell":
        return text.startswith(b"((")  # arithmetic, which the parser takes for brackets behind some words
    if node.type == "variable_assignment":
        return (b"$(" in text or b"`" in text) and _hides(node)
    if node.type == "test_command":
        return _hides(node, substitutions=_EVALUATES.search(text) is not None)
    if node.type == "command":
        name = node.child_by_field_name("name")
        return name is not None and (name.text or b"").rpartition(b"/")[2] in _COMMANDS and _hides(node)
    return node.type in _OTHERS and _hides(node)


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
            return any(mark in _without_expansions(part) for mark in _MARKS)
    return not part.child_count and re.search(rb"\\[$`]|\$\Z", text) is not None


def _without_expansions(string: Node) -> bytes:
    """What stands in double quotes as it is."""
    text = bytearray(string.text or b"")
    for child in string.children:
        if child.type in _EXPANSIONS:
            start, end = child.start_byte - string.start_byte, child.end_byte - string.start_byte
            text[start:end] = b" " * (end - start)
    return bytes(text[1:] if string.type == "translated_string" else text)
