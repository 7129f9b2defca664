"""Ways in which tools write records: each takes marked records of one source and gives text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from random import Random
from typing import Any
from urllib.parse import quote_plus

import yaml

from benchmarks.tool_results.planted import plain

Record = Mapping[str, Any]
Shape = Callable[[Sequence[Record], Random], str]


def _flat(record: Any, joint: str, above: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a record with the names of all keys above them."""
    if isinstance(record, (Mapping, list)):
        pairs = record.items() if isinstance(record, Mapping) else enumerate(record)
        for name, inner in pairs:
            yield from _flat(inner, joint, f"{above}{joint}{name}" if above else str(name))
    else:
        yield above, record


def _rows(records: Sequence[Record], joint: str) -> tuple[list[str], list[list[str]]]:
    flat = [dict(_flat(record, joint)) for record in records]
    names = list(flat[0])
    return names, [[_text(row.get(name, "")) for name in names] for row in flat]


def _text(value: Any) -> str:
    return (
        {None: "", True: "true", False: "false"}.get(value, value)
        if value is None or isinstance(value, bool)
        else str(value)
    )


def json_object(records: Sequence[Record], r: Random) -> str:
    return json.dumps(records[0], indent=r.choice((None, 2)), ensure_ascii=r.random() < 0.3)


def json_list(records: Sequence[Record], r: Random) -> str:
    whole = {"data": list(records), "has_more": False, "total": len(records)} if r.random() < 0.5 else list(records)
    return json.dumps(whole, ensure_ascii=False, separators=r.choice(((",", ":"), (", ", ": "))))


def json_in_string(records: Sequence[Record], r: Random) -> str:
    inner = json.dumps(records[0], ensure_ascii=False)
    once = {"statusCode": 200, "body": inner, "isBase64Encoded": False}
    return json.dumps(
        once if r.random() < 0.5 else {"Records": [{"messageId": "19dd0b57", "body": json.dumps({"Message": inner})}]}
    )


def json_lines(records: Sequence[Record], r: Random) -> str:
    return "\n".join(json.dumps(record, ensure_ascii=False) for record in records)


def python_repr(records: Sequence[Record], r: Random) -> str:
    return repr(list(records) if r.random() < 0.5 else records[0])


def csv_table(records: Sequence[Record], r: Random) -> str:
    names, rows = _rows(records, r.choice((".", "_", " ")))
    out = io.StringIO()
    mark = r.choice((",", ";", "\t"))
    writer = csv.writer(
        out,
        delimiter=mark,
        quoting=r.choice((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)),
        lineterminator=r.choice(("\n", "\r\n")),
    )
    writer.writerows([names, *rows])
    return out.getvalue()


def markdown_table(records: Sequence[Record], r: Random) -> str:
    names, rows = _rows(records, r.choice((".", " ")))
    title = r.choice(("", "## Result\n\n", f"Found {len(rows)} rows:\n\n"))
    lines = [f"| {' | '.join(row).replace(chr(10), ' ')} |" for row in [names, ["---"] * len(names), *rows]]
    return title + "\n".join(lines) + r.choice(("", "\n", "\n\nShowing all rows.\n"))


def _padded(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    rows = [[cell.replace("\n", " ") for cell in row] for row in rows]
    widths = [max(len(plain(row[i])) for row in rows) for i in range(len(rows[0]))]
    return [[cell + " " * (width - len(plain(cell))) for cell, width in zip(row, widths, strict=True)] for row in rows]


def psql_table(records: Sequence[Record], r: Random) -> str:
    names, rows = _rows(records, "_")
    header, *padded = _padded([[name.lower() for name in names], *rows])
    ruler = "+".join("-" * (len(cell) + 2) for cell in header)
    return "\n".join(
        [f" {' | '.join(header)} ", ruler, *(f" {' | '.join(row)}" for row in padded), f"({len(rows)} rows)"]
    )


def psql_expanded(records: Sequence[Record], r: Random) -> str:
    lines = []
    for number, record in enumerate(records, 1):
        pairs = dict(_flat(record, "_"))
        width = max(map(len, pairs))
        lines += [
            f"-[ RECORD {number} ]-{'-' * 20}",
            *(f"{name.lower():{width}} | {_text(value)}" for name, value in pairs.items()),
        ]
    return "\n".join(lines)


def mysql_table(records: Sequence[Record], r: Random) -> str:
    names, rows = _rows(records, "_")
    header, *padded = _padded([names, *rows])
    ruler = f"+{'+'.join('-' * (len(cell) + 2) for cell in header)}+"
    return "\n".join(
        [
            ruler,
            f"| {' | '.join(header)} |",
            ruler,
            *(f"| {' | '.join(row)} |" for row in padded),
            ruler,
            f"{len(rows)} rows in set (0.00 sec)",
        ]
    )


def sql_insert(records: Sequence[Record], r: Random) -> str:
    names, rows = _rows(records, "_")
    quoted = [
        "(" + ", ".join("'" + cell.replace("'", "''") + "'" if cell else "NULL" for cell in row) + ")" for row in rows
    ]
    columns = ", ".join(f"`{name}`" if r.random() < 0.5 else name for name in names)
    return f"INSERT INTO customers ({columns}) VALUES\n" + ",\n".join(quoted) + ";"


def tuples(records: Sequence[Record], r: Random) -> str:
    names, rows = _rows(records, "_")
    rows_text = "[" + ", ".join("(" + ", ".join(map(repr, row)) + ")" for row in rows) + "]"
    return f"Columns: {names!r}\nRows: {rows_text}" if r.random() < 0.5 else f"columns: {', '.join(names)}\n{rows_text}"


def columns_and_rows(records: Sequence[Record], r: Random) -> str:
    names, rows = _rows(records, "_")
    return json.dumps({"columns": names, "rows": rows, "row_count": len(rows)}, ensure_ascii=False)


def key_value_lines(records: Sequence[Record], r: Random) -> str:
    joint = r.choice((".", " ", "_"))
    start = r.choice(("", "- ", "* **"))
    end = "**" if "*" in start else ""
    blocks = [
        "\n".join(f"{start}{name}:{end} {_one_line(value)}" for name, value in _flat(record, joint))
        for record in records
    ]
    return "\n\n".join(blocks)


def _one_line(value: Any) -> str:
    return _text(value).replace("\n", ", ")


def logfmt(records: Sequence[Record], r: Random) -> str:
    lines = []
    for record in records:
        pairs = " ".join(
            f'{name}="{_one_line(value)}"' if " " in plain(_text(value)) else f"{name}={_text(value)}"
            for name, value in _flat(record, ".")
        )
        lines.append(f"2026-03-0{r.randrange(1, 9)}T10:12:0{r.randrange(9)}Z level=info msg=updated {pairs}")
    return "\n".join(lines)


def log_lines(records: Sequence[Record], r: Random) -> str:
    return "\n".join(
        f"2026-03-01 10:1{r.randrange(9)}:12,{r.randrange(100, 999)} INFO "
        f"[worker-{r.randrange(4)}] app.sync: saved record "
        f"{json.dumps(record, ensure_ascii=False)}"
        for record in records
    )


def xml_elements(records: Sequence[Record], r: Random) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<records>'
        + "".join(_xml("record", record, r.choice(("", "\n  "))) for record in records)
        + "</records>"
    )


def _xml(name: str, value: Any, between: str) -> str:
    tag = "".join(c if c.isalnum() or c in "_-" else "" for c in name)
    if isinstance(value, list):
        return "".join(_xml(name, item, between) for item in value)
    inner = (
        "".join(_xml(key, item, between) for key, item in value.items())
        if isinstance(value, Mapping)
        else escape(_text(value), quote=False)
    )
    return f"{between}<{tag}>{inner}</{tag}>"


def xml_attributes(records: Sequence[Record], r: Random) -> str:
    lines = []
    for record in records:
        pairs = " ".join(
            f'{"".join(c for c in name if c.isalnum() or c == "_")}="{escape(_one_line(value))}"'
            for name, value in _flat(record, "_")
        )
        lines.append(f"  <row {pairs}/>")
    return "<rows>\n" + "\n".join(lines) + "\n</rows>"


def html_table(records: Sequence[Record], r: Random) -> str:
    names, rows = _rows(records, r.choice((" ", ".", "_")))
    between = r.choice(("", "\n    "))
    head = between.join(f"<th>{escape(name)}</th>" for name in names)
    body = "\n".join(f"<tr>{between.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<table class="list"><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>'


def html_definitions(records: Sequence[Record], r: Random) -> str:
    kind = r.choice(("<dt>{}</dt><dd>{}</dd>", "<tr><th>{}</th><td>{}</td></tr>", "<li><strong>{}:</strong> {}</li>"))
    return "\n".join(
        kind.format(escape(name), escape(_text(value))) for record in records for name, value in _flat(record, " ")
    )


def yaml_text(records: Sequence[Record], r: Random) -> str:
    return yaml.safe_dump(
        list(records) if r.random() < 0.5 else records[0], allow_unicode=True, sort_keys=False, width=1000
    )


def toml_text(records: Sequence[Record], r: Random) -> str:
    return "\n\n".join(
        "[[record]]\n"
        + "\n".join(f"{name} = {json.dumps(_text(value), ensure_ascii=False)}" for name, value in _flat(record, "_"))
        for record in records
    )


def ini_text(records: Sequence[Record], r: Random) -> str:
    joint = r.choice((" = ", "="))
    return "\n\n".join(
        f"[record {i}]\n" + "\n".join(f"{name}{joint}{_one_line(value)}" for name, value in _flat(record, "_"))
        for i, record in enumerate(records)
    )


def form(records: Sequence[Record], r: Random) -> str:
    return "&".join(f"{quote_plus(name)}={quote_plus(_text(value))}" for name, value in _flat(records[0], "_"))


SHAPES: tuple[Shape, ...] = (
    json_object, json_list, json_in_string, json_lines, python_repr, csv_table, markdown_table, psql_table, psql_expanded, mysql_table,
    sql_insert, tuples, columns_and_rows, key_value_lines, logfmt, log_lines, xml_elements, xml_attributes, html_table,
    html_definitions, yaml_text, toml_text, ini_text, form,
)  # fmt: skip
