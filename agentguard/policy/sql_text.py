"""SQL: the function `sql_statements(text)` of conditions.

Each statement is a map: `kind` (`select`, `insert`, `drop`, ...), `tables` and `functions` (sorted, in lower case), `program` (it starts a
program, as COPY ... PROGRAM does) and `file` (it reads or writes a file of the server).

Rules:
- a write inside another statement (a CTE, what EXPLAIN explains, SELECT ... INTO) is a statement of its own, beside the one around it;
- what can't be parsed is a statement of kind `unparsed`, and so is what carries its statements as text (DO, EXECUTE, PREPARE, `/*! */`);
- without a dialect the text is read as each of several databases would read it, and all that any of them sees is there;
- pure and bounded: text over TEXT_MAX is `unparsed`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from functools import lru_cache
from typing import NamedTuple

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect

from agentguard.model.record import Json

TEXT_MAX = 10_000
DIALECTS = ("postgres", "mysql", "sqlite", "tsql")
UNPARSED = "unparsed"

_READ_APART = re.compile(r"\\|`|#|--(?!\s|$)|/\*[!+M]|/\*(?:(?!\*/).)*/\*|\$[A-Za-z0-9_]*\$|\[[^\]]*['\";-]", re.DOTALL)
"""What databases disagree about: where a text, a name or a comment ends."""
_RUN_BY_MYSQL = re.compile(r"/\*M?!")
_EXPLAINED = re.compile(
    r"\s*(?:analy[sz]e\b|verbose\b|query\s+plan\b|extended\b|format\s*=\s*\w+|\([^()]*\))", re.IGNORECASE
)
_OPAQUE = frozenset("do execute prepare call declare begin replace".split())
"""Commands that carry statements, or the name of what they run, as text."""
_FILES = frozenset(
    "pg_read_file pg_read_binary_file pg_ls_dir pg_stat_file lo_import lo_export pg_file_write load_file load_extension readfile writefile"
    " openrowset bulk xp_dirtree xp_fileexist read_csv read_csv_auto read_parquet read_text read_blob".split()
)
_OF_PATHS = frozenset("/\\:.*")
_PROGRAMS = frozenset("xp_cmdshell sp_oacreate sys_exec sys_eval load_extension dbms_scheduler".split())
_TEXT_RUN = frozenset(
    "dblink dblink_exec query_to_xml query_to_xml_and_xmlschema sp_executesql openquery exec_sql".split()
)
"""Functions that run a statement given as text."""
_KINDS: dict[type[exp.Expr], str] = {
    exp.TruncateTable: "truncate",
    exp.Commit: "transaction",
    exp.Rollback: "transaction",
    exp.Describe: "explain",
}
_WORDS = {"desc": "explain", "describe": "explain", "exec": "execute"}
_WRITES = (
    exp.Insert,
    exp.Update,
    exp.Delete,
    exp.Merge,
    exp.Create,
    exp.Drop,
    exp.Alter,
    exp.TruncateTable,
    exp.Copy,
    exp.Command,
)

_STATEMENTS = frozenset(
    "Set Use Transaction Commit Rollback Describe Show Pragma Attach Detach Kill Analyze Comment Grant Revoke Cache Uncache Refresh Execute"
    " Declare".split()
)
"""Statements of the parser besides queries and writes; whatever else stands alone is none."""


class Statement(NamedTuple):
    """One statement as conditions see it."""

    kind: str
    tables: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    program: bool = False
    file: bool = False

    def plain(self) -> Json:
        """As a map."""
        return {
            "kind": self.kind,
            "tables": list(self.tables),
            "functions": list(self.functions),
            "program": self.program,
            "file": self.file,
        }


def sql_statements(text: str, dialect: str = "") -> list[Json]:
    """The statements in a text. `dialect`: how to read it, such as postgres. Raises ValueError for one that nobody knows."""
    if dialect and (not dialect.isidentifier() or Dialect.get(dialect.lower()) is None):
        raise ValueError("no such dialect")
    return [statement.plain() for statement in _statements(text, dialect.lower())]


@lru_cache(maxsize=128)
def _statements(text: str, dialect: str) -> tuple[Statement, ...]:
    if len(text) > TEXT_MAX or "\0" in text:
        return (Statement(UNPARSED),)
    hidden = (Statement(UNPARSED),) if _RUN_BY_MYSQL.search(text) else ()
    if dialect:
        return (*(_read(text, dialect) or (Statement(UNPARSED),)), *hidden)
    readings = [_read(text, each) for each in DIALECTS]
    seen = dict.fromkeys(statement for reading in readings if reading is not None for statement in reading)
    failed = readings.count(None)
    if failed == len(DIALECTS) or (failed and _READ_APART.search(text)):
        seen[Statement(UNPARSED)] = None
    return (*seen, *hidden)


def _read(text: str, dialect: str) -> tuple[Statement, ...] | None:
    """The statements as one database would read them; None where it would refuse the text, or nobody knows."""
    quiet = _parsing.set(True)
    try:
        roots = [root for root in sqlglot.parse(text, dialect=dialect) if root is not None]
        return (
            tuple(statement for root in roots for statement in _told(root, dialect))
            if all(map(_stands_alone, roots))
            else None
        )
    except Exception:  # noqa: BLE001 - whatever a parser raises over hostile text, it has not read it
        return None
    finally:
        _parsing.reset(quiet)


def _stands_alone(root: exp.Expr) -> bool:
    """Whether this is a statement: the parser takes `selec 1` for a name with an alias."""
    return isinstance(root, (exp.Query, exp.Values, exp.Semicolon, *_WRITES)) or type(root).__name__ in _STATEMENTS


def _told(root: exp.Expr, dialect: str) -> Iterator[Statement]:
    if isinstance(root, exp.Semicolon):
        return
    if isinstance(root, exp.Command):
        yield from _command(root, dialect)
        return
    told = _statement(root)
    yield told
    if told.kind in _OPAQUE:
        yield Statement(UNPARSED)
    for inner in root.walk():
        if inner is not root and isinstance(inner, _WRITES):
            yield _statement(inner)
        elif isinstance(inner, exp.Into):
            yield Statement("create", tables=_tables([inner]), file=inner.this is None)
        elif isinstance(inner, exp.Func) and _name(inner) in _TEXT_RUN:
            yield Statement(UNPARSED)


def _command(command: exp.Command, dialect: str) -> Iterator[Statement]:
    """A statement that the parser only knows the first word of."""
    word, body = str(command.this).lower(), command.args.get("expression")
    rest = body.name if isinstance(body, exp.Expr) else str(body or "")
    kind = "transaction" if word == "begin" and not rest.strip() else _WORDS.get(word, word)
    yield Statement(kind, program=any(name in rest.lower() for name in _PROGRAMS))
    if kind == "explain":
        while found := _EXPLAINED.match(rest):
            rest = rest[found.end() :]
        inner = _read(rest, dialect)
        yield from (Statement(UNPARSED),) if inner is None else inner
    elif kind in _OPAQUE:
        yield Statement(UNPARSED)


def _statement(root: exp.Expr) -> Statement:
    functions = tuple(sorted({_name(each) for each in root.find_all(exp.Func)} - {""}))
    kind = _kind(root)
    copies_file = isinstance(root, exp.Copy) and not _is_stream(root)
    return Statement(
        kind=kind,
        tables=_tables([root]),
        functions=functions,
        program=bool(_PROGRAMS & set(functions))
        or (isinstance(root, exp.Copy) and "program" in _written(root))
        or _runs(root),
        file=copies_file or bool(_FILES & set(functions)) or kind in ("attach", "detach") or _names_a_file(root),
    )


def _kind(root: exp.Expr) -> str:
    if isinstance(root, (exp.Query, exp.Values)):
        return "select"
    if type(root) in _KINDS:
        return _KINDS[type(root)]
    return type(root).__name__.lower()


def _runs(root: exp.Expr) -> bool:
    """Whether a procedure that starts programs is called."""
    return isinstance(root, exp.Execute) and any(name in _written(root) for name in _PROGRAMS)


def _names_a_file(root: exp.Expr) -> bool:
    """Whether a table has the name of a file or an address, which DuckDB reads: `FROM 'a.csv'`."""
    return any(not _OF_PATHS.isdisjoint(part.name) for table in root.find_all(exp.Table) for part in table.parts)


def _tables(roots: Iterable[exp.Expr]) -> tuple[str, ...]:
    """Names of tables, qualified as written; those that a CTE defines are left out."""
    found: set[str] = set()
    for root in roots:
        defined = {cte.alias_or_name.lower() for cte in root.find_all(exp.CTE)}
        for table in root.find_all(exp.Table):
            name = ".".join(part.name for part in table.parts if part.name).lower()
            if name and name not in defined:
                found.add(name)
    return tuple(sorted(found))


_WORDS_OF_SQL = (exp.And, exp.Or, exp.Case, exp.Cast, exp.If)
"""What the parser takes for functions and people don't."""


def _name(function: exp.Expr) -> str:
    if isinstance(function, (exp.Anonymous, exp.AnonymousAggFunc)):
        return str(function.name).lower().strip('`"[]')
    return (
        str(function.sql_name()).lower()
        if isinstance(function, exp.Func) and not isinstance(function, _WORDS_OF_SQL)
        else ""
    )


def _is_stream(copy: exp.Copy) -> bool:
    return any(word in ("stdin", "stdout") for word in _words(copy.args.get("files") or ()))


def _words(nodes: Iterable[exp.Expr]) -> Iterator[str]:
    for node in nodes:
        yield node.name.lower()


def _written(root: exp.Expr) -> str:
    return root.sql().lower()


_parsing: ContextVar[bool] = ContextVar("agentguard_sql_parsing", default=False)


class _Silence(logging.Filter):
    """Keeps the parser from logging the text that it is given here; other users of the parser are not concerned."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _parsing.get()


logging.getLogger("sqlglot").addFilter(_Silence())
