"""Bytes are text in whichever encoding a reader would take them for it."""

from __future__ import annotations

import base64
import codecs
import hashlib
import zlib

import pytest

from agentguard.masking import is_text
from tests.masking.samples import masked, token

MAIL = "anna.kowalska@mail.example"
TEXT = f"name,mail\nZo\xeb,{MAIL}\n"
TOKEN = token("EMAIL_ADDRESS", MAIL)

ENCODINGS = {
    "utf-8": TEXT.encode(),
    "utf-8 with a mark": codecs.BOM_UTF8 + TEXT.encode(),
    "latin-1": TEXT.encode("latin-1"),
    "utf-16": TEXT.encode("utf-16"),
    "utf-16-le": TEXT.encode("utf-16-le"),
    "utf-16-be": TEXT.encode("utf-16-be"),
    "utf-16 with a mark, of Japan": codecs.BOM_UTF16_BE + f"\u540d\u524d {MAIL} \u540d\u524d".encode("utf-16-be"),
    "utf-32": TEXT.encode("utf-32"),
    "utf-32-be": TEXT.encode("utf-32-be"),
}


@pytest.mark.parametrize("raw", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_t25_bytes_are_masked_in_their_own_encoding(raw: bytes) -> None:
    """What is left is text in the same encoding, with the token in it."""
    encoding = next(name for name in ENCODINGS if ENCODINGS[name] == raw).partition(" ")[0]
    result = masked([raw])[0]
    assert MAIL not in result.decode(encoding)
    assert TOKEN in result.decode(encoding)


@pytest.mark.parametrize("raw", ENCODINGS.values(), ids=ENCODINGS.keys())
@pytest.mark.parametrize("write", [base64.b64encode, base64.urlsafe_b64encode, codecs.encode], ids=["64", "url", "hex"])
def test_t25_so_are_words_in_base64_and_hex(raw: bytes, write: object) -> None:
    """As a command of PowerShell or a file in JSON has them: such a word is masked whole."""
    word = (codecs.encode(raw, "hex") if write is codecs.encode else write(raw)).decode()  # type: ignore[operator]
    assert word.rstrip("=") not in masked(f"data: {word}")


def test_t25_a_letter_too_few_at_the_end_hides_nothing() -> None:
    """Half a letter stays where it was."""
    raw = f"{MAIL} is who wrote.".encode("utf-16-le")[:-1]
    result = masked(raw)
    assert TOKEN in result[:-1].decode("utf-16-le")
    assert result.endswith(raw[-1:])


@pytest.mark.parametrize(
    "text", ["\0".join(MAIL), f"x {chr(0).join(MAIL)} " * 3000, f"1\0{MAIL}\0\0"], ids=["one", "long", "between"]
)
def test_t25_zeros_between_letters_hide_nothing(text: str) -> None:
    """UTF-16 that was read as UTF-8."""
    assert "kowalska" not in masked(text).replace("\0", "")


NO_TEXT = {
    "compressed": zlib.compress(TEXT.encode() * 20),
    "digests": b"".join(hashlib.sha256(bytes([n])).digest() for n in range(40)),
    "one digest": hashlib.sha256(b"x").digest(),
    "picture": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\x06\0\0\0\x1f\xf3\xffa",
    "numbers": b"".join(n.to_bytes(4, "little") for n in range(70_000, 90_000, 7)),
}


@pytest.mark.parametrize("raw", NO_TEXT.values(), ids=NO_TEXT.keys())
def test_what_is_no_text_is_taken_for_none_and_left(raw: bytes) -> None:
    """Pictures, archives, keys and tables of numbers come back as they were."""
    assert not is_text(raw)
    assert masked([raw])[0] is raw
    word = base64.b64encode(raw).decode()
    assert masked(f"data {word}") == f"data {word}"
