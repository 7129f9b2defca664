"""A small labelled list of our own: what it takes to be useful, at a glance."""

from __future__ import annotations

import json

import pytest

from tests.masking.samples import MASKER, found

LABELLED = [
    ("Hi, I'm moving; mail ann@acme.example or ring me on 07700 900123.", 2),
    ("Your card 4111 1111 1111 1111 was charged $30.50 on 2024-05-01.", 1),
    ("Wire it to GB29NWBK60161331926819, ref 1042-77.", 1),
    ("SSN: 536-22-1234, DOB: 1980-02-29", 2),
    ("Tel. +49 30 901820, Fax: 030 901821, IP 203.0.113.7", 3),
    ("Der Kunde hat die Kontonummer: 1234567 und das Passwort: hunter2!", 2),
    ("user=ann password=hunter2! host=db-1", 1),
    ("The build 20240501123456 took 1234567 ms; 99.95 % of 1,000,000 passed.", 0),
    ("Meeting 12:30-13:45, room 4.12, dial-in code 8812345", 0),
    ("Release 1.2.3 of foo-bar fixes #1234 (commit 9fceb02d0ae598e95dc970b74767f19372d61af8).", 0),
]


@pytest.mark.parametrize(("text", "count"), LABELLED, ids=range(len(LABELLED)))
def test_prose(text: str, count: int) -> None:
    """Sentences of several languages: neither a value missed nor an alarm for nothing."""
    assert len(found(text)) == count


CLEAN = {
    "product": {"id": 42, "name": "Desk lamp", "sku": "LMP-2231-001", "price": 19.99, "ean": "4006381333931"},
    "file": {"name": "report.pdf", "path": "/srv/report.pdf", "size": 1699999999, "mtime": 1699999999.25},
    "tool": {"name": "send_email", "description": "Sends an email", "parameters": {"email": {"type": "string"}}},
    "company": {"name": "Acme GmbH", "industry": "metal", "website": "https://acme.example", "employees": 120},
    "order": {"order_id": 1234567890, "created_at": 1699999999, "updated_at": 1699999999123, "total": "1,234.50"},
    "git": {"sha": "9c1185a5c5e9fc54612808977ee8f548b2258d31", "branch": "fix-1234", "author": "build-bot"},
    "pod": {"uuid": "550e8400-e29b-41d4-a716-446655440000", "pid": 12345, "image": "nginx:1.25.3", "node": "node-7"},
    "vector": [0.1234567890123, -0.98765432101234, 0.4111111111111111],
    "weather": {"city": "Paris", "lat": 48.8566, "lon": 2.3522, "sunrise": 1699999999},
    "settings": {"password": None, "api_key": "${API_KEY}", "timeout": 30, "default_name": "none"},
    "schema": {"columns": ["name", "email", "phone"], "primary_key": "id"},
}


@pytest.mark.parametrize("value", CLEAN.values(), ids=CLEAN.keys())
def test_clean_tool_results_raise_no_alarm(value: object) -> None:
    """Products, files, tools, companies, orders and numbers stay as they are, as values and as JSON text."""
    assert found(json.dumps(value)) == []
    assert found(json.dumps(value, indent=2)) == []


def test_shapes_of_personal_records() -> None:
    """The name of a field tells names, addresses, births, accounts and passwords."""
    record = {
        "full_name": "Anna Kowalska",
        "billing_address": "12 Elm Street",
        "birthDate": "1980-02-29",
        "account_number": 1234567,
        "password": "hunter2!",
    }
    kinds = {finding.entity_type for finding in MASKER.find(json.dumps(record))}
    assert kinds == {"PERSON", "ADDRESS", "DATE_OF_BIRTH", "ACCOUNT_ID", "PASSWORD"}
