"""The demo's customers: 500 made-up people in a real SQLite file, the same ones each time."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

CUSTOMERS = 500
TODAY = date(2026, 11, 23)
"""The demo's own day, so that every run shows the same records."""

_FIRST = "Anna Bruno Carla Dmitri Elif Farid Greta Hugo Ines Jonas Katya Liam Mira Nils Olga Pablo Quinn Rosa Sven Tara".split()
_LAST = "Abbot Brandt Castell Dorn Eklund Fontane Grimm Holt Ivarsson Jansen Kowalska Lindt Moreau Novak Okafor Prager".split()
_STREETS = "Harbour Street,Mill Lane,Station Road,Chapel Hill,Orchard Way,Canal Walk".split(",")
_CITIES = "Springfield,Fairview,Riverton,Lakeside,Milltown".split(",")

_TABLE = """
CREATE TABLE customers (
    customer_id INTEGER PRIMARY KEY, full_name TEXT, email TEXT, phone TEXT, street_address TEXT, city TEXT,
    account_id TEXT, order_id INTEGER, order_status TEXT, changed_on TEXT
)
"""


def make_database(path: Path) -> None:
    """Write the customers to a new SQLite file."""
    chance = random.Random(500)  # noqa: S311 - made-up data, the same each time
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(_TABLE)
        database.executemany(
            "INSERT INTO customers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [_customer(number, chance) for number in range(1, CUSTOMERS + 1)],
        )


def find(path: Path, order_id: int) -> dict[str, Any] | None:
    """The customer who placed an order."""
    rows = _rows(path, "SELECT * FROM customers WHERE order_id = ?", order_id)
    return rows[0] if rows else None


def changed_since(path: Path, days: int) -> list[dict[str, Any]]:
    """The customers whose record changed in the last days."""
    first = (TODAY - timedelta(days=days)).isoformat()
    return _rows(path, "SELECT * FROM customers WHERE changed_on >= ? ORDER BY customer_id", first)


def personal_values(path: Path) -> set[str]:
    """Everything personal in the file, to search for where it must not be."""
    rows = _rows(path, "SELECT full_name, email, phone, street_address, account_id FROM customers")
    return {str(value) for row in rows for value in row.values()}


def _rows(path: Path, query: str, *values: Any) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(query, values)]


def _customer(number: int, chance: random.Random) -> tuple[Any, ...]:
    first, last = chance.choice(_FIRST), chance.choice(_LAST)
    return (
        number,
        f"{first} {last}",
        f"{first.lower()}.{last.lower()}{number}@mail.example",
        f"+1-202-555-01{number % 100:02d}",
        f"{chance.randint(1, 99)} {chance.choice(_STREETS)}",
        chance.choice(_CITIES),
        f"AC-{chance.randint(10_000_000, 99_999_999)}",
        1000 + number,
        chance.choice(("packed", "sent", "late")),
        (TODAY - timedelta(days=chance.randint(0, 364))).isoformat(),
    )
