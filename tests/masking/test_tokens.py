"""Tokens: stable, read however a model spells them, never invented; and the way back."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from agentguard.masking import TokenIds, restore
from tests.masking.samples import IDS, MASKER, token

ANN = IDS.token("EMAIL_ADDRESS", "ann@acme.example")
BO = IDS.token("PERSON", "Bo Ray")
RESOLVED = {ANN.text: ANN, BO.text: BO}


class Reveal(NamedTuple):
    parameter: str
    entity_types: tuple[str, ...]
    inside_text: bool = False


def test_a_token_is_stable_and_scoped() -> None:
    """The same value gives the same token in this session, another one elsewhere."""
    again = TokenIds([b"test key that is long enough, 32"], "acme", "session-1")
    assert again.token("EMAIL_ADDRESS", "ann@acme.example") == ANN
    others = [
        TokenIds([b"test key that is long enough, 32"], "acme", "session-2"),
        TokenIds([b"test key that is long enough, 32"], "other", "session-1"),
        TokenIds([b"another key that is long enough!"], "acme", "session-1"),
    ]
    assert len({ids.token("EMAIL_ADDRESS", "ann@acme.example").text for ids in others} | {ANN.text}) == 4


def test_parts_of_the_scope_do_not_run_together() -> None:
    """Tenant "a" with session "bc" is not tenant "ab" with session "c"."""
    key = [b"k" * 32]
    assert TokenIds(key, "a", "bc").token("PERSON", "x") != TokenIds(key, "ab", "c").token("PERSON", "x")


SAME = {
    "mail-domain": ("EMAIL_ADDRESS", "ann@acme.example", "ann@ACME.Example"),
    "phone": ("PHONE_NUMBER", "+1 (202) 555-0147", "+12025550147"),
    "card": ("CREDIT_CARD", "4111 1111 1111 1111", "4111-1111-1111-1111"),
    "iban": ("IBAN_CODE", "GB29 NWBK 6016 1331 9268 19", "gb29nwbk60161331926819"),
    "spaces": ("PERSON", "Bo Ray", " Bo Ray "),
    "width": ("PERSON", "Bo Ray", "\uff22o Ray"),
}


@pytest.mark.parametrize(("entity_type", "one", "other"), SAME.values(), ids=SAME.keys())
def test_spellings_of_one_value_share_a_token(entity_type: str, one: str, other: str) -> None:
    """The id is over the canonical value."""
    assert token(entity_type, one) == token(entity_type, other)


def _respelled(text: str) -> dict[str, str]:
    word, _, body = text[1:-1].partition("_")
    return {
        "as made": text,
        "upper": text.upper(),
        "lower": text.lower(),
        "no brackets": f"{word}_{body}",
        "round": f"({word}_{body})",
        "angle": f"<{word}_{body}>",
        "curly": f"{{{word}_{body}}}",
        "double": f"[{text}]",
        "markdown escape": f"\\[{word}\\_{body}\\]",
        "bold": f"**{text}**",
        "code": f"`{text}`",
        "quotes": f'"{text}"',
        "apostrophes": f"'{text}'",
        "url": f"%5B{word}_{body}%5D",
        "url all": f"%5B{word}%5F{body}%5D",
        "html": f"&#91;{word}_{body}&#93;",
        "space": f"[{word} {body}]",
        "dash": f"[{word}-{body}]",
        "en dash": f"[{word}\u2013{body}]",
        "sentence": f"  {text}. ",
        "full width": f"\uff3b{word}_{body}\uff3d",
    }


def _disguised(text: str) -> dict[str, str]:
    word, _, body = text[1:-1].partition("_")
    return {
        "json escapes": f"\\u005b{word}\\u005f{body}\\u005d",
        "hex escapes": f"\\x5b{word}_{body}\\x5d",
        "all percent": "".join(f"%{ord(c):02X}" for c in text),
        "entities": f"&lbrack;{word}&lowbar;{body}&rbrack;",
        "all entities": "".join(f"&#{ord(c)};" for c in text),
        "hex entities": "".join(f"&#x{ord(c):x};" for c in text),
        "wide letters": "".join(chr(ord(c) + 0xFEE0) for c in text),
        "zero width": "\u200b".join(text),
        "soft hyphens": f"[{word}_{body[:5]}\u00ad{body[5:]}]",
        "no-break space": f"[{word}\u00a0{body}]",
        "wide underscore": f"[{word}\uff3f{body}]",
    }


NAMES = list(_respelled(ANN.text))
DISGUISES = list(_disguised(ANN.text))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", range(24))
def test_t27_respelled_tokens_are_read(number: int, name: str) -> None:
    """24 tokens in the ways that models respell them: each is read as itself."""
    made = IDS.token(["EMAIL_ADDRESS", "PERSON", "CREDIT_CARD", "ACCOUNT_ID"][number % 4], f"value {number}").text
    assert [read for _, _, read in IDS.read(_respelled(made)[name])] == [made]


@pytest.mark.parametrize("name", DISGUISES)
@pytest.mark.parametrize("number", range(24))
def test_t27_disguised_tokens_are_read_where_a_model_wrote_them(number: int, name: str) -> None:
    """Escapes, entities, full-width letters, characters that show nothing: each is itself, and all of its text is meant."""
    made = IDS.token(["EMAIL_ADDRESS", "PERSON", "CREDIT_CARD", "ACCOUNT_ID"][number % 4], f"value {number}").text
    written = _disguised(made)[name]
    assert IDS.read_disguised(f"to {written}!") == [(3, 3 + len(written), made)]


def test_t27_no_typo_resolves_another_token() -> None:
    """Each character of 24 tokens changed to each other one: what passes the check by chance is none that was given."""
    made = {IDS.token("ACCOUNT_ID", f"value {number}").text for number in range(24)}
    typos = {
        text[:at] + c + text[at + 1 :]
        for text in made
        for at in range(9, 19)
        for c in "0123456789abcdefghjkmnpqrstvwxyz"
        if text[at] != c
    }
    read = {name for text in typos for _, _, name in IDS.read(text)}
    assert len(typos) == 24 * 10 * 31
    assert len(read) < 24
    assert read.isdisjoint(made)


def test_t27_invented_and_foreign_tokens_are_not_read() -> None:
    """Numbered placeholders, other sessions' tokens and guesses fail the check."""
    other = TokenIds([b"k" * 32], "acme", "session-9")
    guesses = [f"[EMAIL_{number:010d}]" for number in range(200)] + [
        other.token("EMAIL_ADDRESS", str(n)).text for n in range(200)
    ]
    read = [guess for guess in guesses if IDS.read(guess)]
    assert len(read) <= 4
    assert IDS.read("<EMAIL_1> [REDACTED_EMAIL_1] [EMAIL_k3q7xz2m4] the international conference") == []


def test_changed_characters_fail_the_check() -> None:
    """A token with one character changed is, but for chance, no token."""
    changed = [ANN.text[:at] + ("x" if ANN.text[at] != "x" else "y") + ANN.text[at + 1 :] for at in range(7, 17)]
    assert sum(bool(IDS.read(text)) for text in changed) <= 1


def test_old_keys_are_still_read() -> None:
    """After a rotation tokens of the older key are known, new ones are made by the newer."""
    old, new = b"o" * 32, b"n" * 32
    made = TokenIds([old], "t", "s").token("PERSON", "Bo")
    rotated = TokenIds([new, old], "t", "s")
    assert rotated.read(made.text) == [(0, len(made.text), made.text)]
    assert rotated.token("PERSON", "Bo") != made
    assert TokenIds([new], "t", "s").read(made.text) == []


def test_at_least_one_key() -> None:
    """An empty list of keys is an error, not a weak token."""
    with pytest.raises(ValueError, match="at least one key"):
        TokenIds([], "t", "s")


TO = Reveal("to", ("EMAIL_ADDRESS",))
BODY = Reveal("body", ("EMAIL_ADDRESS", "PERSON"), inside_text=True)

RESTORED: dict[str, tuple[dict[str, Any], tuple[Reveal, ...], dict[str, Any]]] = {
    "whole": ({"to": ANN.text}, (TO,), {"to": "ann@acme.example"}),
    "trimmed": ({"to": f' "{ANN.text}" '}, (TO,), {"to": "ann@acme.example"}),
    "list": ({"to": [ANN.text, "x"]}, (TO,), {"to": ["ann@acme.example", "x"]}),
    "nested": ({"m": [{"to": ANN.text}]}, (Reveal("m.to", ("EMAIL_ADDRESS",)),), {"m": [{"to": "ann@acme.example"}]}),
    "other-parameter": ({"url": ANN.text}, (TO,), {"url": ANN.text}),
    "same-key-deeper": ({"x": {"to": ANN.text}}, (TO,), {"x": {"to": ANN.text}}),
    "other-type": ({"to": BO.text}, (TO,), {"to": BO.text}),
    "inside-text-refused": ({"to": f"hi {ANN.text}"}, (TO,), {"to": f"hi {ANN.text}"}),
    "inside-text": ({"body": f"hi {BO.text}, {ANN.text}!"}, (BODY,), {"body": "hi Bo Ray, ann@acme.example!"}),
    "two-in-whole": ({"to": f"{ANN.text}, {BO.text}"}, (TO,), {"to": f"{ANN.text}, {BO.text}"}),
    "in-key": ({"to": {ANN.text: 1}}, (TO,), {"to": {ANN.text: 1}}),
    "unknown": (
        {"to": token("EMAIL_ADDRESS", "eve@acme.example")},
        (TO,),
        {"to": token("EMAIL_ADDRESS", "eve@acme.example")},
    ),
    "no-reveal": ({"to": ANN.text}, (), {"to": ANN.text}),
    "not-text": ({"to": 4, "x": None}, (TO,), {"to": 4, "x": None}),
}


@pytest.mark.parametrize(("arguments", "reveals", "expected"), RESTORED.values(), ids=RESTORED.keys())
def test_t27_restores_only_where_revealed(
    arguments: dict[str, Any], reveals: tuple[Reveal, ...], expected: dict[str, Any]
) -> None:
    """Only in the parameter of a reveal, only its types, only whole values unless it says otherwise."""
    assert restore(arguments, reveals, RESOLVED) == expected


def test_restore_leaves_its_input_alone() -> None:
    """The model's own arguments stay as they came."""
    arguments = {"to": [ANN.text]}
    restore(arguments, (TO,), RESOLVED)
    assert arguments == {"to": [ANN.text]}


def test_a_restored_value_is_not_read_again() -> None:
    """A value that looks like a token is not resolved in its turn."""
    tricky = IDS.token("PERSON", ANN.text)
    resolved = {tricky.text: tricky, ANN.text: ANN}
    assert restore({"body": f"a {tricky.text}"}, (BODY,), resolved) == {"body": f"a {ANN.text}"}


def test_tokens_in_a_text_are_left_alone() -> None:
    """Masking what was masked changes nothing, also where a field's name says person."""
    value = {"full_name": BO.text, "note": f"{ANN.text} and ann@acme.example"}
    once = MASKER.mask(value, IDS)
    assert once.value == {"full_name": BO.text, "note": f"{ANN.text} and {ANN.text}"}
    assert MASKER.mask(once.value, IDS).value is once.value


@pytest.mark.parametrize("name", ["Anna Wisniewska", "Ola Montgomery", "Jean-Christophe Montgomery", "AB 1234567890"])
def test_a_name_with_a_word_as_long_as_an_id_is_no_token(name: str) -> None:
    """Ten letters after a space are what a model may write for a token, and a name: nobody's name is left alone for that."""
    text = f'{{"full_name": "{name}", "passport_number": "{name}"}}'
    assert [text[found.start : found.end] for found in MASKER.find(text)] == [name, name]
    assert name not in str(MASKER.for_people({"full_name": name, "passport_number": name}))
