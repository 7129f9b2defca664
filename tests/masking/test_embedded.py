"""Text that has a form of its own: the names in it say what its values are, and nothing else of it changes."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

from agentguard.errors import GuardUnavailable
from agentguard.masking import Masker
from tests.masking.samples import found, masked, token

ANN, BO = token("PERSON", "Ann Lee"), token("PERSON", "Bo Ray")

FORMS = {
    "json-lines": (
        '{"full_name": "Ann Lee", "n": 1}\n{"full_name": "Bo Ray", "n": 2}',
        '{{"full_name": "{a}", "n": 1}}\n{{"full_name": "{b}", "n": 2}}',
    ),
    "json-in-a-log-line": (
        '12:01 INFO saved {"full_name": "Ann Lee", "tags": []} in 3 ms',
        '12:01 INFO saved {{"full_name": "{a}", "tags": []}} in 3 ms',
    ),
    "python-dict": (
        "{'full_name': 'Ann Lee', 'active': True, 'n': None}",
        "{{'full_name': '{a}', 'active': True, 'n': None}}",
    ),
    "columns-and-rows": (
        '{"columns": ["id", "full_name"], "rows": [[1, "Ann Lee"], [2, "Bo Ray"]]}',
        '{{"columns": ["id", "full_name"], "rows": [[1, "{a}"], [2, "{b}"]]}}',
    ),
    "label-and-value": (
        '[{"question": "Full name", "answer": "Ann Lee"}, {"question": "Colour", "answer": "Blue Moon"}]',
        '[{{"question": "Full name", "answer": "{a}"}}, {{"question": "Colour", "answer": "Blue Moon"}}]',
    ),
    "csv-line-break-in-a-cell": (
        'id,full_name,note\n1,Ann Lee,"two\nlines"\n2,Bo Ray,ok',
        'id,full_name,note\n1,{a},"two\nlines"\n2,{b},ok',
    ),
    "markdown-after-prose": (
        "Found 2 rows:\n\n| id | full name |\n|---|---|\n| 1 | Ann Lee |\n| 2 | Bo Ray |\n\nThat is all.",
        "Found 2 rows:\n\n| id | full name |\n|---|---|\n| 1 | {a} |\n| 2 | {b} |\n\nThat is all.",
    ),
    "psql": (
        " id | full_name | note \n----+-----------+------\n  1 | Ann Lee   | \n  2 | Bo Ray    | x\n(2 rows)",
        " id | full_name | note \n----+-----------+------\n  1 | {a}   | \n  2 | {b}    | x\n(2 rows)",
    ),
    "psql-expanded": (
        "-[ RECORD 1 ]-----\nid        | 1\nfull_name | Ann Lee\n-[ RECORD 2 ]-----\nid        | 2\nfull_name | Bo Ray",
        "-[ RECORD 1 ]-----\nid        | 1\nfull_name | {a}\n-[ RECORD 2 ]-----\nid        | 2\nfull_name | {b}",
    ),
    "odata-columns": (
        "@odata.id,full_name,note\n1,Ann Lee,x\n2,Bo Ray,y",
        "@odata.id,full_name,note\n1,{a},x\n2,{b},y",
    ),
    "mysql": (
        "+----+-----------+\n| id | full_name |\n+----+-----------+\n|  1 | Ann Lee   |\n|  2 | Bo Ray    |\n+----+-----------+",
        "+----+-----------+\n| id | full_name |\n+----+-----------+\n|  1 | {a}   |\n|  2 | {b}    |\n+----+-----------+",
    ),
    "insert": (
        "INSERT INTO t (id, `full_name`) VALUES (1, 'Ann Lee'),\n(2, 'Bo Ray');",
        "INSERT INTO t (id, `full_name`) VALUES (1, '{a}'),\n(2, '{b}');",
    ),
    "insert-in-one-line": (
        "insert into t (id, full_name) Values (1, 'Ann Lee'), (2, 'Bo Ray')",
        "insert into t (id, full_name) Values (1, '{a}'), (2, '{b}')",
    ),
    "tuples": (
        "Columns: ['id', 'full_name']\nRows: [(1, 'Ann Lee'), (2, 'Bo Ray')]",
        "Columns: ['id', 'full_name']\nRows: [(1, '{a}'), (2, '{b}')]",
    ),
    "xml": (
        "<r><item><full_name>Ann Lee</full_name><id>1</id></item><item><full_name>Bo Ray</full_name></item></r>",
        "<r><item><full_name>{a}</full_name><id>1</id></item><item><full_name>{b}</full_name></item></r>",
    ),
    "xml-siblings": (
        "<p><name>Ann Lee</name><email>-</email></p>",
        "<p><name>{a}</name><email>-</email></p>",
    ),
    "html-table": (
        "<table><tr><th>Id</th><th>Full name</th></tr><tr><td></td><td>Ann Lee</td></tr><tr><td>2</td><td><b>Bo Ray</b></td></tr></table>",
        "<table><tr><th>Id</th><th>Full name</th></tr><tr><td></td><td>{a}</td></tr><tr><td>2</td><td><b>{b}</b></td></tr></table>",
    ),
    "html-definitions": (
        "<dl><dt>Full name</dt><dd>Ann Lee</dd></dl><li><strong>Full name:</strong> Bo Ray</li>",
        "<dl><dt>Full name</dt><dd>{a}</dd></dl><li><strong>Full name:</strong> {b}</li>",
    ),
    "yaml-nested": (
        "customer:\n  name: Ann Lee\n  since: 2020\nother:\n  full_name: Bo Ray",
        "customer:\n  name: {a}\n  since: 2020\nother:\n  full_name: {b}",
    ),
    "toml": ('[[record]]\nfull_name = "Ann Lee"\nn = 1\n', '[[record]]\nfull_name = "{a}"\nn = 1\n'),
    "ini": ("[one]\nfull_name=Ann Lee\nn=1\n\n[two]\nfull_name=Bo Ray\nn=2", "[one]\nfull_name={a}\nn=1\n\n[two]\nfull_name={b}\nn=2"),
    "logfmt": ('level=info user.full_name="Ann Lee" n=1', 'level=info user.full_name="{a}" n=1'),
    "form": ("full_name=Ann+Lee&n=1&other=Bo%20Ray", "full_name={a}&n=1&other=Bo%20Ray"),
    "vcard": (
        "BEGIN:VCARD\nFN:Ann Lee\nORG:Acme Mills\nEND:VCARD",
        "BEGIN:VCARD\nFN:{a}\nORG:Acme Mills\nEND:VCARD",
    ),
    "cdata": ("<p><name><![CDATA[Ann Lee]]></name><email>-</email></p>", "<p><name><![CDATA[{a}]]></name><email>-</email></p>"),
    "input": (
        '<input name="full_name" value="Ann Lee"><input name="q" value="Blue Moon">',
        '<input name="full_name" value="{a}"><input name="q" value="Blue Moon">',
    ),
    "html-label-last": (
        "<table><tr><th>Id</th><td>1</td></tr></table><b>Full name:</b> Bo Ray",
        "<table><tr><th>Id</th><td>1</td></tr></table><b>Full name:</b> {b}",
    ),
    "html-label-and-paragraph": (
        "<b>Full name:</b> Bo Ray\n\nBlue Moon rose. <b>Full name:</b> Ann Lee\n \nBlue Moon <i>set</i>.",
        "<b>Full name:</b> {b}\n\nBlue Moon rose. <b>Full name:</b> {a}\n \nBlue Moon <i>set</i>.",
    ),
    "html-paragraph": (
        "<p>Full name: <b>Ann Lee</b></p><p>Note: <b>Blue Moon</b></p>",
        "<p>Full name: <b>{a}</b></p><p>Note: <b>Blue Moon</b></p>",
    ),
    "upright-csv": ("Full name,Ann Lee\nPhone,-\nColour,Blue Moon", "Full name,{a}\nPhone,-\nColour,Blue Moon"),
    "upright-markdown": (
        "| Full name | Ann Lee |\n|---|---|\n| Phone | - |\n| Colour | Blue Moon |",
        "| Full name | {a} |\n|---|---|\n| Phone | - |\n| Colour | Blue Moon |",
    ),
    "logfmt-siblings": ('level=info name="Ann Lee" n=1 email=- x=Blue', 'level=info name="{a}" n=1 email=- x=Blue'),
}  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), FORMS.values(), ids=FORMS.keys())
def test_names_in_a_text_say_what_its_values_are(text: str, expected: str) -> None:
    """Exactly the personal values give way to their tokens; every other character stays."""
    assert masked(text) == expected.format(a=ANN, b=BO)


def test_a_value_of_psql_goes_on_in_the_next_line() -> None:
    """An address with a line break is one value, and the record goes on behind it."""
    text = "-[ RECORD 1 ]---\naddress | 12 Mill Lane\n12345 Ashby\nfull_name | Ann Lee\n-[ RECORD 2 ]---\nid | 2\nfull_name | Bo Ray"
    assert [text[found.start : found.end] for found in Masker().find(text)] == [
        "12 Mill Lane\n12345 Ashby",
        "Ann Lee",
        "Bo Ray",
    ]


def test_a_name_before_an_address_in_angle_brackets_is_a_person() -> None:
    """Mail headers and commits name people so."""
    assert found("Signed-off-by: Ann Lee <ann@acme.example>") == [
        ("PERSON", "Ann Lee"),
        ("EMAIL_ADDRESS", "ann@acme.example"),
    ]


def test_a_value_inside_a_form_is_found_in_plain_form() -> None:
    """The token stands for what the form means, not for how it escapes it."""
    assert masked("street=12+Mill+Lane&n=1") == f"street={token('ADDRESS', '12 Mill Lane')}&n=1"


UNESCAPED = {
    "the last words": ("https://a.example/x?full_name={}", "Ann Lee"),
    "before prose": ("see https://a.example/x?n=1&full_name={} today", "Ann Lee"),
    "before a sentence": ("see /x?full_name={}. Then he left", "Ann Lee"),
    "with particles": ("/x?full_name={}, Oslo", "Anna-Lena von der Heide"),
    "with an initial": ("/x?full_name={}.", "Ann J. Lee"),
    "in quotes": ('<a href="/x?full_name={}">', "Ann Lee"),
    "before a protocol": ("GET /x?n=1&full_name={} HTTP/1.1", "Ann Lee"),
    "one word before a protocol": ("GET /x?n=1&full_name={} HTTP/1.1", "Ann"),
    "before a word of its own": ("/x?full_name={} Status=1", "Ann"),
    "before brackets": ("/x?full_name={} (admin)", "Ann"),
    "before a number": ("/x?full_name={} 2 times", "Ann"),
}


@pytest.mark.parametrize(("text", "name"), UNESCAPED.values(), ids=UNESCAPED.keys())
def test_a_name_that_ends_a_query_is_masked_whole(text: str, name: str) -> None:
    """Where nobody escaped its spaces too; what follows it stays."""
    assert masked(text.format(name)) == text.format(token("PERSON", name))


def test_a_number_whose_spaces_nobody_escaped_is_one_number() -> None:
    """What its pattern finds is not cut where the query ends."""
    assert masked("/x?phone=+1 (202) 555-0147") == f"/x?phone={token('PHONE_NUMBER', '+1 (202) 555-0147')}"


def test_a_hidden_value_inside_json_is_found() -> None:
    """Ways to hide a value are undone inside structured text as well."""
    assert (
        masked('{"m": "ann%40acme.example", "n": 1}')
        == f'{{"m": "{token("EMAIL_ADDRESS", "ann@acme.example")}", "n": 1}}'
    )


PLAIN = {
    "settings": "[server]\nname = indigo\naddress = 0.0.0.0:8080\nuser = www-data",
    "toml-arrays": "[[bin]]\nname = 'tool'\n[dependencies]\nserde = { version = '1.0' }",
    "traceback": 'File "a.py", line 12, in load\n    user = self.load(name, address=addr)\nValueError: no',
    "prose-with-commas": "Dear all, the release is out\nPlease, read the notes",
    "form-of-a-page": "<label>Name</label><input name='name'/><label>Email:</label><input name='email'/>",
    "code": "x = {'name': name, 'email': user.email}\nreturn [x for x in rows]",
    "sql": "SELECT name, email FROM customers WHERE id = 4",
    "headers": "Content-Type: application/json\nServer: nginx\nDate: Mon, 02 Feb 2026 10:00:00 GMT",
}


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN.keys())
def test_structured_text_without_people_raises_no_alarm(text: str) -> None:
    """Settings, code, pages and logs come back as they were."""
    assert masked(text) is text


SIZE = 100_000
CRAFTED = {
    "tags": "<a>",
    "strong": "<b>a:</b>b",
    "records": "a: b\n",
    "json-keys": '{"a" ',
    "python-keys": "{'a':",
    "json-documents": '{"a":"b"} ',
    "columns": "columns: a,b (",
    "insert": "INSERT INTO t (a) VALUES (1",
    "query": "?a=",
    "names in queries": "?full_name=Ann Lee ",
    "cards": "BEGIN:VCARD\nN:a;b\nEND:VCARD\n",
    "mailboxes": "Ann Lee <a@b>,",
    "pipes": "a|b\n",
    "open-quotes": 'a,"b\n',
}


@pytest.mark.slow
@pytest.mark.parametrize("piece", CRAFTED.values(), ids=CRAFTED.keys())
def test_t28_a_crafted_form_takes_linear_time(piece: str) -> None:
    """100 kB of beginnings are read in seconds at most, or refused."""
    text = piece * (SIZE // len(piece))
    started = time.process_time()
    with suppress(GuardUnavailable):
        masked(text)
    assert time.process_time() - started < 3


def test_much_text_behind_a_label_and_the_last_tag_is_no_value() -> None:
    """Nothing says how far a value would go there."""
    text = "<b>Full name:</b> Blue Moon" + " and so on" * 40
    assert masked(text) == text
