"""Where a candidate begins, at the end of a text that goes on, which more text could complete or change.

Rules, each with the places it knows:
- a word that has not ended (an e-mail address, a URL, a web token, a key, a word in base64), and the word before it, which `[at]` may
  join to it;
- digits and codes in groups (a card, a telephone, an IBAN), and what may follow them: an extension, `(mobile)`;
- capitalised words, which may be the name before `<ann@acme.example>`; an opened bracket, which may be a token;
- what stands behind a word that tells what follows (`born on`, `passport number`);
- an opened tag; a private key whose end has not come; a statement whose rows have not.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from agentguard.masking.detectors.told import TOLD

_RUN_BACKWARDS = re.compile(r"\r?(?:[^\s\"<>\x1f]|\n\r?(?==))*")  # quoted-printable goes on after `=` and a line break
_RUN_SEEN = 512
_WIDE = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff01-\uff65]*\Z")
_WIDE_KEPT = 80
_WORD = re.compile(r"\S+")
_CODES_REACH, _AFTER = 240, 40
_NAME_WORD = r"[^\W\d_a-z][^\s<>\"@,;:()]*"
_NAME = re.compile(
    rf"(?:^|(?<=[\s,;:\"'(])){_NAME_WORD}(?:,?[ ](?:[a-z]{{1,4}}|{_NAME_WORD})){{0,5}},?\"?[ ]{{0,2}}(?:<[^\s<>]{{0,320}})?\Z"
)
_SPELLED = re.compile(
    r"(?<!\S)\S{1,128}(?:\s{0,2}[\[({]\s?(?:at|dot|dash|minus|hyphen|space|[@.])\s?[\])}]\s{0,2}\S*)*\s{0,2}"
    r"(?:[\[({]\s?[a-z@.]{0,6}\s?)?\Z|(?<!\S)\S{1,64} at(?: \S{0,64}(?: dot \S{0,64}| dot)*)?\Z",
    re.IGNORECASE,
)
_TAIL = 240
_TAG = re.compile(r"<[A-Za-z/!?][^<>]*\Z")
_LONGEST_TAG = 2100
_PEM = re.compile(r"-----BEGIN (?:[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|[A-Z0-9 ]{0,60}-{0,4}\Z)")
_PEM_END = re.compile(r"-----END [A-Z0-9 ]{0,60}-----")
_LONGEST_PEM = 20_100
_ROWS = re.compile(
    r"\b(?:INSERT|REPLACE)\s[^;]{0,4200}\Z|\b(?:columns?|fields|header)\s*[:=][^\n]{0,4000}\n?\s*(?:rows?|data|results?)?\s*[:=]?\s*\Z",
    re.IGNORECASE,
)
_ROWS_REACH = 4300
_TOLD = re.compile(rf"(?<![^\W_])(?:{'|'.join(re.escape(word) for word in TOLD)})(?![^\W_])", re.IGNORECASE)
_TOLD_REACH = 140


def unfinished(text: str, start: int) -> int:
    """Where the earliest open candidate begins, not before `start`; the length of the text where there is none."""
    return max(start, min(find(text, start) for find in _FINDERS))


def run_start(text: str) -> int:
    """Where the word begins that the text ends in."""
    found = _last_break(text[-_RUN_SEEN:]) + max(0, len(text) - _RUN_SEEN)
    if len(text) - found >= _RUN_SEEN:
        found = _last_break(text)
    wide = len(text) - _WIDE_KEPT
    return wide if found < wide and _WIDE.match(text[found:wide]) else found


def _last_break(text: str) -> int:
    match = _RUN_BACKWARDS.match(text[::-1])
    return len(text) - match.end() if match else len(text)


def _run(text: str, start: int) -> int:
    return run_start(text[start:]) + start


def _codes(text: str, start: int) -> int:
    """The first group of digits or codes that has not ended, or ended just now."""
    offset = max(start, len(text) - _CODES_REACH)
    first, last, digits = -1, -1, 0
    found = len(text)
    for match in _WORD.finditer(text, offset):
        word = match.group()
        if _is_code(word):
            first = match.start() if first < 0 else first
            last = match.end()
            digits += sum(map(str.isdigit, word))
        elif first >= 0:
            if digits >= 5 and len(text) - last < _AFTER:
                found = min(found, first)
            first, digits = -1, 0
    return min(found, first) if first >= 0 else found


def _is_code(word: str) -> bool:
    return any(map(str.isdigit, word)) or (len(word) <= 6 and word.isupper()) or not any(map(str.isalnum, word))


def _pattern(pattern: re.Pattern[str], reach: int) -> Callable[[str, int], int]:
    def find(text: str, start: int) -> int:
        match = pattern.search(text, max(start, len(text) - reach))
        return match.start() if match else len(text)

    return find


def _bracket(text: str, start: int) -> int:
    at = text.rfind("[", max(start, len(text) - 100))
    return at if at != -1 and "]" not in text[at:] else len(text)


def _told(text: str, start: int) -> int:
    match = _TOLD.search(text, max(start, len(text) - _TOLD_REACH))
    return match.start() if match else len(text)


def _private_key(text: str, start: int) -> int:
    for match in _PEM.finditer(text, start):
        if len(text) - match.end() < _LONGEST_PEM and _PEM_END.search(text, match.end()) is None:
            return match.start()
    return len(text)


_FINDERS: tuple[Callable[[str, int], int], ...] = (
    _run,
    _codes,
    _bracket,
    _told,
    _private_key,
    _pattern(_SPELLED, _TAIL),
    _pattern(_NAME, _TAIL),
    _pattern(_TAG, _LONGEST_TAG),
    _pattern(_ROWS, _ROWS_REACH),
)
