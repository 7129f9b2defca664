"""Values that are written in another way are found, and their span is that of the original text."""

from __future__ import annotations

import base64
import time
from urllib.parse import quote

import pytest

from benchmarks.hiding import ENCODINGS, without_views
from benchmarks.hiding import found as hidden_found
from benchmarks.tool_results.clean import clean
from tests.masking.samples import MASKER, found, masked, token

MAIL, CARD, SSN = "ann@acme.example", "4111 1111 1111 1111", "536-22-1234"
TYPES = {MAIL: "EMAIL_ADDRESS", CARD: "CREDIT_CARD", SSN: "US_SSN"}


def _full_width(text: str) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def _arabic(text: str) -> str:
    return "".join(chr(0x660 + int(c)) if c.isdigit() else c for c in text)


HIDINGS = {
    "zero-width": "\u200b".join,
    "soft-hyphen": "\u00ad".join,
    "joiner": lambda text: text[:3] + "\u200d\ufeff" + text[3:],
    "bidi": lambda text: "\u202e" + text + "\u202c",
    "tags": lambda text: text[:2] + "\U000e0041\U000e0042" + text[2:],
    "no-break-space": lambda text: text.replace(" ", "\u00a0"),
    "full-width": _full_width,
    "arabic-digits": _arabic,
    "dashes": lambda text: text.replace("-", "\u2013"),
    "percent": lambda text: quote(text, safe=""),
    "percent-all": lambda text: "".join(f"%{ord(c):02X}" for c in text),
    "unicode-escapes": lambda text: "".join(f"\\u{ord(c):04x}" for c in text),
    "hex-escapes": lambda text: "".join(f"\\x{ord(c):02x}" for c in text),
    "entities": lambda text: "".join(f"&#{ord(c)};" for c in text),
    "entities-hex": lambda text: "".join(f"&#x{ord(c):x};" for c in text),
    "homoglyphs": lambda text: text.replace("a", "\u0430").replace("e", "\u0435"),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64url": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64-twice": lambda text: base64.b64encode(base64.b64encode(text.encode())).decode(),
    "hex": lambda text: text.encode().hex(),
    "percent-twice": lambda text: quote(quote(text, safe=""), safe="").replace("-", "%252D"),
    "entities-twice": lambda text: "".join(f"&amp;#{ord(c)};" for c in text),
    "tags-for-letters": lambda text: "".join(chr(0xE0000 + ord(c)) for c in text),
    "brackets": lambda text: text.replace(".", " [dot] ").replace("@", "(at)").replace("-", "{dash}"),
    "words": lambda text: text.replace(".", " dot ").replace("@", " at "),
    "markdown": lambda text: f"{text[:2]}**{text[2:6]}**{text[6:]}",
    "quoted-printable": lambda text: "".join(f"={ord(c):02X}" if c in "@-. " else c for c in text),
    "soft-line-break": lambda text: f"{text[:4]}=\n{text[4:]}",
}


@pytest.mark.parametrize("value", TYPES, ids=["email", "card", "ssn"])
@pytest.mark.parametrize("hide", HIDINGS.values(), ids=HIDINGS.keys())
def test_t25_hidden_values_are_found(hide: object, value: str) -> None:
    """The finding is of the right type, and covers the hidden value and nothing of the words around it."""
    assert callable(hide)
    hidden = hide(value)
    [(entity_type, span)] = found(f"see {hidden} there")
    assert entity_type == TYPES[value]
    assert span.strip("\u202e\u202c") == hidden.strip("\u202e\u202c")


def test_t25_a_hidden_value_has_the_token_of_the_plain_one() -> None:
    """The model sees one token for one value, whatever way it was written."""
    assert (
        masked("a %61nn@acme.example b ann@acme.ex\u200bample")
        == f"a {token('EMAIL_ADDRESS', MAIL)} b {token('EMAIL_ADDRESS', MAIL)}"
    )


def test_t25_a_name_in_a_query_is_found_by_its_key() -> None:
    """Fields inside an encoded text say what their values are."""
    assert found("GET /x?full_name=Ann%20Lee&page=2") == [("PERSON", "Ann%20Lee")]


def test_t25_nineteen_ways_to_hide_a_value() -> None:
    """Of 19 encodings of an e-mail address, an SSN and a card all are found whole; 51 of 57 is the least."""
    assert sum(map(len, hidden_found(MASKER).values())) == len(ENCODINGS) * 3 == 57


def test_views_raise_no_alarm_on_clean_results() -> None:
    """Undoing what hides values finds nothing in clean tool results that is not found without."""
    plain = [document.text for document in clean(11)]
    seen = sum(len(MASKER.find(text)) for text in plain)
    assert seen == without_views(lambda: sum(len(MASKER.find(text)) for text in plain))


PLAIN = {
    "code": "rows[at] = x**2 * y**3; a = b * c; `name` = ~~gone~~ and **bold** words at home",
    "polish": "Zażółć gęślą jaźń, 12,5 zł",
    "russian": "Привет, мир: отчёт готов",
    "greek": "Καλημέρα κόσμε",
    "chinese": "你好,世界。报告已完成",
    "arabic": "مرحبا بالعالم ١٢٣",
    "hindi": "नमस्ते दुनिया",
    "emoji": "👩‍👩‍👧 done ✅",
    "percent": "50%25 of 100%, a%20b",
    "base64-image": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
    "digest": "d41d8cd98f00b204e9800998ecf8427e",
    "entity": "a &amp; b &lt;c&gt;",
}


@pytest.mark.parametrize("text", PLAIN.values(), ids=PLAIN.keys())
def test_plain_text_of_any_script_raises_no_alarm(text: str) -> None:
    """Undoing encodings finds nothing where nothing is hidden, and leaves the text as it is."""
    assert found(text) == []
    assert masked(text) is text


def test_t25_many_encoded_words_take_bounded_time() -> None:
    """A megabyte of base64 in base64 is read in bounded time."""
    word = base64.b64encode(base64.b64encode(b"nothing to see here, move along " * 4)).decode()
    text = (word + " ") * (1_000_000 // len(word))
    started = time.process_time()
    found(text)
    assert time.process_time() - started < 5


def test_t25_a_long_encoded_word_is_read_to_its_end() -> None:
    """No length keeps a word from being decoded, and a character that shows nothing does not either."""
    long = base64.b64encode(b"nothing " * 60_000 + b"mail ann@acme.example now").decode()
    odd = base64.b64encode(b"mail \x01 ann@acme.example").decode()
    assert found(f"see {long} there") == [("EMAIL_ADDRESS", long)]
    assert found(f"see {odd} there") == [("EMAIL_ADDRESS", odd)]


def test_t25_json_in_base64_is_one_token_for_the_word() -> None:
    """The whole encoded word gives way to one token, without quotes of its own, and comes back by it."""
    word = base64.b64encode(b'{"account_id": 1234567, "note": "a \\"b\\""}').decode()
    assert masked(f"see {word} there") == f"see {token('ACCOUNT_ID', word)} there"
