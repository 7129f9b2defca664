"""Texts that have a form of their own: vCards, calendars, mail, directories, content blocks."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

from benchmarks.tool_results.people import Person

Writing = Callable[[Person, Random, Callable[[Any], Any]], str]


def vcard(p: Person, r: Random, mark: Callable[[Any], Any]) -> str:
    city, code = mark(p.city()), mark(p.postcode())
    return "\r\n".join(
        ["BEGIN:VCARD", f"VERSION:{r.choice(('3.0', '4.0'))}", f"FN:{mark(p.known_as())}", f"N:{mark(p.family())};{mark(p.given())};;;",
         f"TEL;TYPE={r.choice(('CELL', 'home,voice'))}:{mark(p.phone())}", f"EMAIL;TYPE=INTERNET:{mark(p.email())}",
         f"ADR;TYPE=HOME:;;{mark(p.street())};{city};;{code};Germany", f"BDAY:{mark(p.born())}", "ORG:Acme GmbH", "REV:20260101T000000Z",
         "END:VCARD"]
    )  # fmt: skip


def calendar(p: Person, r: Random, mark: Callable[[Any], Any]) -> str:
    other = Person.new(r)
    return "\r\n".join(
        ["BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT", f"UID:{r.randrange(10**9)}", "DTSTAMP:20260101T080000Z",
         f"ORGANIZER;CN={mark(p.known_as())}:mailto:{mark(p.email())}",
         f'ATTENDEE;ROLE=REQ-PARTICIPANT;CN="{mark(other.known_as())}'
         f'":mailto:{mark(other.email())}', "SUMMARY:Standup",
         "END:VEVENT", "END:VCALENDAR"]
    )  # fmt: skip


def mail(p: Person, r: Random, mark: Callable[[Any], Any]) -> str:
    other = Person.new(r)
    return (
        f'From: {mark(p.known_as())} <{mark(p.email())}>\nTo: "{mark(other.known_as())}" <{mark(other.email())}>\n'
        "Subject: Your order\nDate: Mon, 2 Feb 2026 10:00:00 +0100\nMIME-Version: 1.0\nContent-Type: text/plain\n\n"
        f"Please call {mark(p.phone())} or write to {mark(p.email())}.\n"
    )


def git_log(p: Person, r: Random, mark: Callable[[Any], Any]) -> str:
    return (
        f"commit {r.randrange(16**40):040x}\nAuthor: {mark(p.known_as())} <{mark(p.email())}>\nDate:   Mon Feb 2 10:00:00 2026 +0100\n\n"
        "    Fix the pager\n\n    Signed-off-by: "
        f"{mark(p.known_as())} <{mark(p.email())}>\n"
    )


def ldif(p: Person, r: Random, mark: Callable[[Any], Any]) -> str:
    return (
        f"dn: uid=u{r.randrange(1000)},ou=people,dc=acme,dc=example\n"
        f"objectClass: inetOrgPerson\ncn: {mark(p.known_as())}\nsn: {mark(p.family())}\n"
        f"givenName: {mark(p.given())}\nmail: {mark(p.email())}\ntelephoneNumber: {mark(p.phone())}\nstreet: {mark(p.street())}\n"
        f"postalCode: {mark(p.postcode())}\n"
    )


def content_blocks(p: Person, r: Random, mark: Callable[[Any], Any]) -> str:
    inner = {"customer": {"name": p.known_as(), "phone": p.phone(), "home_address": p.address()}, "status": "ok"}
    return json.dumps(
        [{"type": "text", "text": json.dumps(mark(inner), ensure_ascii=False)},
         {"type": "json", "json": mark({"first_name": p.given(), "email": p.email()})},
         {"type": "tool_use", "id": "call_1", "name": "send", "input": mark({"to": p.email(), "recipient_name": p.known_as()})},
         {"type": "image_url", "image_url": {"url": f"https://img.example/a.png?email={mark(p.email())}&w=200"}}],
        ensure_ascii=False,
    )  # fmt: skip


def name_value_pairs(p: Person, r: Random, mark: Callable[[Any], Any]) -> str:
    key, value = r.choice(
        (("name", "value"), ("key", "value"), ("field", "value"), ("label", "answer"), ("question", "answer"))
    )
    named = r.choice(
        (
            ("Full name", "Phone", "Street address", "Date of birth"),
            ("full_name", "phone", "street_address", "date_of_birth"),
        )
    )
    values = (p.known_as(), p.phone(), p.street(), p.born())
    return json.dumps(
        mark(
            [{key: one, value: its} for one, its in zip(named, values, strict=True)] + [{key: "Colour", value: "blue"}]
        ),
        ensure_ascii=False,
    )


def card_text(p: Person, r: Random, mark: Callable[[Any], Any]) -> str:
    return (
        f"Customer details\n================\nName:            {mark(p.known_as())}\nAddress:         {mark(p.address())}\n"
        f"Date of birth:   {mark(p.born())}\nPhone:           {mark(p.phone())}\nStatus:          active\nPlan:            Gold\n"
    )


WRITINGS: tuple[Writing, ...] = (vcard, calendar, mail, git_log, ldif, content_blocks, name_value_pairs, card_text)
