"""Text that arrives in pieces: nothing of a value goes out, whatever the cuts, and all together is what masking the whole gives."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentguard.errors import GuardUnavailable
from agentguard.masking import DEFAULT_DETECTORS, Finding, KnownValues, Limits, Masker, Page, TokenIds
from tests.masking.samples import MASKER, token

MAIL = token("EMAIL_ADDRESS", "ann@acme.example")
ANN = token("PERSON", "Ann Lee")


def _ids() -> TokenIds:
    return TokenIds([b"test key that is long enough, 32"], "acme", "session-1", KnownValues())


def streamed(text: str, sizes: Sequence[int], masker: Masker = MASKER, ids: TokenIds | None = None) -> list[str]:
    """What comes out, piece by piece, of a text that is cut into pieces of these sizes, again and again."""
    stream = masker.stream(ids or _ids())
    out, at, turn = [], 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        out.append(stream.feed(text[at : at + size]).value)
        at, turn = at + size, turn + 1
    return [*out, stream.finish().value]


def whole(text: str) -> str:
    """The same text masked as one."""
    return str(MASKER.mask(text, _ids()).value)


LONG = {
    "jwt-500": "eyJhbGciOiJIUzI1NiJ9.eyJ" + "abcDEF123" * 47 + "." + "Sig_na-ture" * 4 + "abcdefghij",
    "url-330": ("https://ann:s3cret@files.acme.example/download?" + "x=1&" * 40 + "token=" + "Zq9" * 60)[:330],
    "email-170": "anna.maria." + "x" * 50 + "@" + ".".join(["sub" + "d" * 20] * 4) + ".acme.example",
}


@pytest.mark.parametrize("value", LONG.values(), ids=LONG.keys())
def test_t25_no_character_of_a_long_value_goes_out(value: str) -> None:
    """At every size of pieces from 1 to 64, not even its first characters."""
    assert len(value) in (330, 170) or len(value) >= 500
    text = f"Here it is: {value} and that is all of it."
    expected = whole(text)
    assert expected.startswith("Here it is: [")
    assert expected.endswith("] and that is all of it.")
    assert {"".join(streamed(text, [size])) for size in range(1, 65)} == {expected}


PEM = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEpAIBAAKCAQEA\n" * 60 + "-----END RSA PRIVATE KEY-----"
HIDDEN = base64.b64encode(b"mail ann@acme.example now").decode()
FORMS = {
    "private-key": f"The key:\n{PEM}\nKeep it safe.",
    "private-key-cut-off": f"The key:\n{PEM[:700]}",
    "record": "Customer\nName: Ann Lee\nEmail: ann@acme.example\nCity: Springfield\nPhone: 030/23125178\n\nNothing else.\nName: a.pdf",
    "pairs": "Full name: Ann Lee, born 1980. Then Ann Lee went home. Ms Lee too.",
    "csv": "id,full_name,plan\n" + "".join(f"{i},Ann Lee{chr(97 + i) * 3},gold\n" for i in range(26)) + "\nDone, thanks.",
    "csv-quotes": 'id,full_name,note\n1,Ann Lee,"two\nlines, and more"\n2,Bo Ray,ok\n',
    "markdown": "Found 2 rows:\n\n| id | full name |\n|---|---|\n| 1 | Ann Lee |\n| 2 | Bo Ray |\n\nDear Bo Ray and Ann Lee, hello.",
    "psql": " id | full_name | note \n----+-----------+---\n  1 | Ann Lee   | \n  2 | Bo Ray    | x\n(2 rows)",
    "json": '{"data": [{"name": "Ann Lee", "email": "-"},{"name":"x.py","size":3}], "phone": 12025550147, "n": "\\"Ann Lee\\""}',
    "json-lines": '{"full_name": "Ann Lee", "n": 1}\n{"full_name": "Bo Ray", "n": 2}\nend',
    "log": '12:01 INFO saved {"full_name": "Ann Lee", "tags": []} in 3 ms\n12:02 user.full_name="Bo Ray" x=1\n',
    "xml": "<r><item><full_name>Ann Lee</full_name><id>1</id></item><item><name>Bo Ray</name><email>-</email></item></r> ok",
    "html": "<table><tr><th>Id</th><th>Full name</th></tr><tr><td></td><td>Ann Lee</td></tr></table><b>Full name:</b> Bo Ray",
    "html-label": "<p>Found:</p> <b>Full name:</b> Bo Ray\n\n<b>City:</b> Oslo\nand <i>so</i> on. <b>Full name:</b> Ann Lee\nsaid no more.",
    "insert": "INSERT INTO t (id, `full_name`) VALUES (1, 'Ann Lee'),\n(2, 'Bo Ray');\nSELECT 1",
    "insert-in-one-line": "INSERT INTO t (id, full_name) VALUES (1, 'Ann Lee'), (2, 'Bo Ray')",
    "yaml": "customer:\n  name: Ann Lee\n  since: 2020\nother:\n  full_name: Bo Ray\n\ntext: bye",
    "query": "GET /a?full_name=Ann+Lee&n=1&other=Blue%20Moon HTTP/1.1",
    "query-with-spaces": "see https://shop.example/a?n=1&full_name=Ann Lee today, or a?full_name=Bo Ray.",
    "mail": 'From: "Ann Lee" <ann@acme.example>\nTo: Bo Ray <bo@acme.example>\nSubject: x\n\nHello Ann Lee and Bo Ray.',
    "hidden": f"%61nn%40acme.example a\u200bnn@ac\u00adme.example {''.join(f'&#{ord(c)};' for c in 'ann@acme.example')} {HIDDEN} end",
    "groups": "Pay 4111 1111 1111 1111 or GB29 NWBK 6016 1331 9268 19. Call +1 (202) 555-0147 ext. 12 or 202 555 0148 (mobile).",
    "no-break-spaces": "Pay 4111\u00a01111\u00a01111\u00a01111 or \uff14\uff11\uff11\uff11 1111 1111 1111 ok",
    "tokens": f"was {MAIL} and [EMAIL_ADDRESS redacted] and EMAIL 12",
    "secrets": "password: hunter2hunter2 and api_key=abcDEF123456 sk-abcdefghijklmnopqrstuvwx end",
    "no-spaces": "你好，这是一个很长的句子，没有空格。" * 20 + "联系ann@acme.example谢谢。" + "再见。" * 30,
}  # fmt: skip


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_pieces_give_what_the_whole_gives(text: str) -> None:
    """Whatever form a text has, and however it is cut."""
    assert {"".join(streamed(text, sizes)) for sizes in ([1], [2], [3, 1, 8], [7], [16], [64], [1000])} == {whole(text)}


PIECES = st.sampled_from(
    [*FORMS.values(), "just some words here", "Then he left. ", "call 202 555 0199 now", "<b>", '{"a": ', "x=", "a | b"]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=3).map("\n\n".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS, st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_any_cuts_of_any_text_give_what_the_whole_gives(text: str, sizes: list[int]) -> None:
    """All but what only later text tells: names that a session knows before are found in both alike."""
    ids = _ids()
    assert ids.known is not None
    ids.known.learn([("PERSON", "Ann Lee"), ("PERSON", "Bo Ray")])
    for letter in "abcdefghijklmnopqrstuvwxyz":
        ids.known.learn([("PERSON", f"Ann Lee{letter * 3}")])
    expected = MASKER.mask(text, ids).value
    assert "".join(streamed(text, sizes, ids=ids)) == expected


def test_plain_words_go_out_at_once() -> None:
    """A sentence that holds nothing is behind by a word or two after its first words, not by a fixed look-back."""
    stream = MASKER.stream(_ids())
    said = "and this is how it went, in short: nobody knew what to say or do about all of that "
    out = "".join(stream.feed(word + " ").value for word in said.split())
    assert len(said) - len(out) < 16


def test_known_values_of_the_session_are_found_across_pieces() -> None:
    """A name that a result showed before is found in what the model writes, cut in the middle."""
    ids = _ids()
    MASKER.mask({"full_name": "Anna Kowalska"}, ids)
    out = "".join(streamed("We asked Anna Kowalska, and KOWALSKA, ANNA said yes.", [5], ids=ids))
    assert "nna" not in out.lower().replace("[person", "")
    assert out.count(ids.token("PERSON", "Anna Kowalska").text) == 2


def test_what_a_stream_hides_is_known_afterwards() -> None:
    """The tokens of each part come with it, and each finding is counted once."""
    stream = MASKER.stream(_ids())
    parts = [stream.feed("mail ann@acme.example, then ann@acme.ex"), stream.feed("ample again "), stream.finish()]
    assert [one.text for part in parts for one in part.tokens] == [MAIL, MAIL]
    assert sum(part.entities.get("EMAIL_ADDRESS", 0) for part in parts) == 2


TOO_LONG = {
    "word": ("x" * 5_000, " then ann@acme.example", f"see [TEXT redacted] then {MAIL}"),
    "document": (json.dumps({"rows": [{"full_name": "Ann Lee"}] * 200}), " then all else", "see [TEXT redacted]"),
}


@pytest.mark.parametrize(("value", "after", "expected"), TOO_LONG.values(), ids=TOO_LONG.keys())
def test_t29_what_is_longer_than_may_be_held_is_masked_whole(value: str, after: str, expected: str) -> None:
    """Memory is bounded, and what could not be judged as a whole never goes out."""
    masker = Masker(limits=Limits(held=1_000))
    assert "".join(streamed(f"see {value}{after}", [64], masker)) == expected


def test_t29_a_table_of_any_length_goes_out_row_by_row() -> None:
    """Its header types its columns however far back it stands, and little is held."""
    rows = "".join(f"{number},Ann Lee{'abcdefghij'[number % 10] * 3},x\n" for number in range(600))
    masker = Masker(limits=Limits(held=400))
    out = streamed("id,full_name,note\n" + rows, [50], masker)
    assert "Lee" not in "".join(out)
    assert max(map(len, out)) < 400


def test_a_key_that_waits_too_long_is_read_as_a_persons() -> None:
    """Whether `name` is a person's depends on what stands beside it; where that does not come, it is masked."""
    text = "Name: Ann Lee\n" + "some words that say nothing at all of it\n" * 80
    assert whole(text).startswith("Name: Ann Lee\n")
    out = "".join(streamed(text, [30]))
    assert out == text.replace("Ann Lee", ANN)


class Broken:
    """A detector that fails at its second page."""

    name = "broken"
    pages = 0

    def find(self, page: Page) -> Iterable[Finding]:
        """Nothing once, then an error."""
        self.pages += 1
        if self.pages > 1:
            raise RuntimeError(page.text)
        return []


def test_after_an_error_nothing_more_comes_out() -> None:
    """A stream whose masking failed stays closed, with an error that holds no value."""
    stream = Masker([*DEFAULT_DETECTORS, Broken()]).stream(_ids())
    words = "some words that say nothing " * 60
    assert stream.feed(words).value
    with pytest.raises(GuardUnavailable, match="detector broken failed"):
        stream.feed(words)
    with pytest.raises(GuardUnavailable, match="this stream has failed or is finished; begin a new one"):
        stream.feed("more")
    with pytest.raises(GuardUnavailable):
        stream.finish()


class Staff:
    """A detector of one's own whose values hold spaces."""

    name = "staff"

    def find(self, page: Page) -> Iterable[Finding]:
        """`staff no 12 of Mill`."""
        at = page.text.find("staff no 12 of Mill")
        return [Finding(at, at + 19, "STAFF", 0.9, self.name)] if at >= 0 else []


def test_a_detector_of_ones_own_sees_its_whole_value() -> None:
    """Where a detector may look over spaces, more is held back."""
    masker = Masker([*DEFAULT_DETECTORS, Staff()])
    text = "words before it " * 60 + "staff no 12 of Mill" + " words after it" * 60
    assert "".join(streamed(text, [3], masker)) == str(masker.mask(text, _ids()).value)


TOLD_TEXTS = {
    "birth": "She was born on 12 March 1980 in Leeds, as everybody knows.",
    "birth-es": "Nacido el 29 de febrero de 1980 en Leeds, como se sabe.",
    "passport": "His passport number is X1234567, valid for years.",
    "licence": "The driver's license D123-4567-8901 was shown.",
    "insurance": "It says AB 12 34 56 C on the letter, and more.",
    "password": "The password is hunter2! and will change.",
    "bearer": "curl -H 'Authorization: Bearer q7Zk2XwP9sLf4TbN8vRm3YcH6dJg1KaE' now",
    "query": "see https://acme.example/?token=q7Zk2XwP9sLf4TbN8vRm3YcH&x=1 for it",
}


@pytest.mark.parametrize("text", TOLD_TEXTS.values(), ids=TOLD_TEXTS.keys())
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 11, 16, 40])
def test_what_a_word_tells_is_masked_in_pieces_as_in_the_whole(text: str, size: int) -> None:
    """A value behind a telling word waits until it has ended."""
    stream = MASKER.stream(_ids())
    pieces = [stream.feed(text[at : at + size]).value for at in range(0, len(text), size)]
    assert "".join([*pieces, stream.finish().value]) == whole(text) != text


def test_t29_a_stream_is_bounded_as_a_whole() -> None:
    """However short its pieces are."""
    stream = Masker(limits=Limits(characters=10)).stream(_ids())
    stream.feed("12345 ")
    with pytest.raises(GuardUnavailable, match="more than 10 characters"):
        stream.feed("67890")


def test_t26_a_piece_of_a_class_of_its_own_is_the_characters_that_it_holds() -> None:
    """As LangChain's `chunk.text` is one; whatever its methods say, which may be another thing each time."""

    class Other(str):
        def __str__(self) -> str:
            return "***"

        def __len__(self) -> int:
            return 0

        __add__ = __radd__ = __getitem__ = lambda *_: "***"

    stream = MASKER.stream(_ids())
    pieces = [stream.feed(Other("to ann@ac")), stream.feed(Other("me.example, ")), stream.finish()]
    told = "".join(piece.value for piece in pieces)
    assert re.fullmatch(r"to \[EMAIL_[0-9a-z]{10}\], ", told)


@pytest.mark.parametrize("piece", [b"x", 1, None], ids=repr)
def test_a_piece_that_is_no_text_is_refused(piece: Any) -> None:
    """Nothing is made text of."""
    with pytest.raises(GuardUnavailable, match="was given a"):
        MASKER.stream(_ids()).feed(piece)
