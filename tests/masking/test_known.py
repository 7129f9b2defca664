"""Known values: what stood under a personal field is found again in running text, with the same token."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from agentguard.errors import GuardUnavailable
from agentguard.masking import KnownValues, Masker, TokenIds
from tests.masking.samples import MASKER

SEEN: list[dict[str, Any]] = [
    {"full_name": "Anna Kowalska", "street": "12 Mill Lane, Springfield", "account_id": "AC-10045871"},
    {"full_name": "Jörg Müller", "password": "!Zx9#longer one"},
    {"full_name": "Mark Hunter"},
    {"full_name": "Ludwig van Beethoven"},
    {"full_name": "Sean O'Brien"},
    {"first_name": "Wilhelmina", "last_name": "Okonkwo-Duarte"},
    {"first_name": "Benedikta", "last_name": "Lorentzen"},
    {"full_name": "José Ñandú García", "customer_id": 88123456},
]


def session() -> TokenIds:
    """A session that has seen SEEN."""
    ids = TokenIds([b"test key that is long enough, 32"], "acme", "session-1", KnownValues())
    for value in SEEN:
        MASKER.mask(value, ids)
    return ids


IDS = session()

FOUND = {
    "as-seen": ("then Anna Kowalska called", "PERSON", "Anna Kowalska", "then @ called"),
    "upper": ("ANNA KOWALSKA CALLED", "PERSON", "Anna Kowalska", "@ CALLED"),
    "lower": ("it was anna kowalska again", "PERSON", "Anna Kowalska", "it was @ again"),
    "last-first": ("Re: Kowalska, Anna", "PERSON", "Anna Kowalska", "Re: @"),
    "last-first-bare": ("KOWALSKA Anna", "PERSON", "Anna Kowalska", "@"),
    "wrapped": ("a letter to Anna\nKowalska", "PERSON", "Anna Kowalska", "a letter to @"),
    "slug": ("see /people/anna-kowalska", "PERSON", "Anna Kowalska", "see /people/@"),
    "login": ("user anna.kowalska left", "PERSON", "Anna Kowalska", "user @ left"),
    "possessive": ("Anna Kowalska's order", "PERSON", "Anna Kowalska", "@'s order"),
    "middle": ("Anna M. Kowalska called", "PERSON", "Anna Kowalska", "@ called"),
    "initial": ("signed A. Kowalska", "PERSON", "Anna Kowalska", "signed @"),
    "title": ("Ms Kowalska called", "PERSON", "Anna Kowalska", "Ms @ called"),
    "last-alone": ("then Kowalska called", "PERSON", "Anna Kowalska", "then @ called"),
    "first-alone": ("Yesterday Anna called.", "PERSON", "Anna Kowalska", "Yesterday @ called."),
    "no-accents": ("Jorg Muller wrote", "PERSON", "Jörg Müller", "@ wrote"),
    "two-letters": ("from Joerg Mueller", "PERSON", "Jörg Müller", "from @"),
    "decomposed": ("from Jo\u0308rg Mu\u0308ller", "PERSON", "Jörg Müller", "from @"),
    "zero-width": ("from An\u200bna Kowalska", "PERSON", "Anna Kowalska", "from @"),
    "ordinary-words": ("ask Mark Hunter", "PERSON", "Mark Hunter", "ask @"),
    "ordinary-title": ("ask Mr. Hunter", "PERSON", "Mark Hunter", "ask Mr. @"),
    "particle": ("Beethoven, Ludwig van", "PERSON", "Ludwig van Beethoven", "@ van"),
    "apostrophe": ("Sean O’Brien here", "PERSON", "Sean O'Brien", "@ here"),
    "two-last-names": ("Jose Garcia was here", "PERSON", "José Ñandú García", "@ was here"),
    "last-name-field": ("Ms Okonkwo-Duarte was here", "PERSON", "Okonkwo-Duarte", "Ms @ was here"),
    "two-fields": ("so BENEDIKTA LORENTZEN signed", "PERSON", "Benedikta Lorentzen", "so @ signed"),
    "two-fields-turned": ("from Lorentzen, Benedikta", "PERSON", "Benedikta Lorentzen", "from @"),
    "two-fields-initial": ("signed B. Lorentzen", "PERSON", "Lorentzen", "signed @"),
    "initial-at-the-beginning": ("A. Kowalska wrote", "PERSON", "Anna Kowalska", "@ wrote"),
    "initial-before-a-particle": ("signed L. van Beethoven", "PERSON", "Ludwig van Beethoven", "signed @"),
    "ordinary-after-a-verb": ("please ask Hunter about it", "PERSON", "Mark Hunter", "please ask @ about it"),
    "particle-alone": ("they asked van Beethoven twice", "PERSON", "Ludwig van Beethoven", "they asked @ twice"),
    "address": ("send it to 12 mill lane", "ADDRESS", "12 Mill Lane, Springfield", "send it to @"),
    "account": ("about AC-10045871.", "ACCOUNT_ID", "AC-10045871", "about @."),
    "account-glued": ("about ac10045871.", "ACCOUNT_ID", "AC-10045871", "about @."),
    "number": ("about 88123456.", "CUSTOMER_ID", "88123456", "about @."),
    "secret": ("it is !Zx9#longer one, she said", "PASSWORD", "!Zx9#longer one", "it is @, she said"),
}


@pytest.mark.parametrize(("text", "entity_type", "value", "masked"), FOUND.values(), ids=FOUND.keys())
def test_a_known_value_has_its_token_wherever_it_stands(text: str, entity_type: str, value: str, masked: str) -> None:
    """In either order, in any case, with accents or without; and a part of a name where it stands like one."""
    # when
    found = MASKER.mask({"note": text}, IDS)
    # then
    assert found.value == {"note": masked.replace("@", IDS.token(entity_type, value).text)}


CLEAN = {
    "verbs": "we will mark it for the hunter",
    "sentence": "Mark this as done. Hunter gatherers moved on.",
    "lower": "please mark hunter as done",
    "somebody-else": "Anna Nowak and Peter Mueller-Lang",
    "company": "the Garcia Company",
    "other-order-of-address": "lane 12, mill 4",
    "part-of-a-number": "order 10045871",
    "longer-number": "order 881234567",
    "secret-in-other-case": "it is !zx9#LONGER one",
    "inside-a-word": "Annabel and Kowalskaya",
    "two-sentences": "It was for Mark. Hunter gatherers came.",
}


@pytest.mark.parametrize("text", CLEAN.values(), ids=CLEAN.keys())
def test_ordinary_words_are_no_names(text: str) -> None:
    """What only looks like a part of a known value stays."""
    assert MASKER.mask({"note": text}, IDS).value == {"note": text}


def test_one_result_tells_of_its_own_prose() -> None:
    """A name under a field is known to the text beside it, also where no session is."""
    value = {"note": "Anna Kowalska called", "customer": {"full_name": "Kowalska, Anna"}}
    masked = MASKER.mask(value, TokenIds([b"k" * 32], "t", "s")).value
    assert masked["note"] == f"{masked['customer']['full_name']} called"


@pytest.mark.parametrize("count", [8, 24, 25, 60, 80])
@pytest.mark.parametrize("field", ["full_name", "address", "account_id", "password"])
def test_a_long_value_is_found_again_whole(field: str, count: int) -> None:
    """In its own text and in a later one; what has only its first words, or one other word in it, is no such value."""
    ids = TokenIds([b"k" * 32], "acme", "session-1", KnownValues())
    words = [f"Ba{first}{second}" for first in "aeiou" for second in "abcdefghijklmnop"][: count - 1]
    value = " ".join([*words, "X7y"])
    others = [" ".join([*words, "X8z"]), " ".join([*words[1:], "X7y"])]
    told = MASKER.mask(f'{{"{field}": "{value}"}} Then {value} came, {value}.', ids).value
    text = f"It was {value}, not {others[0]}, nor {others[1]}."
    later, stream = MASKER.mask(text, ids).value, MASKER.stream(ids)
    pieces = [stream.feed(text[at : at + 7]).value for at in range(0, len(text), 7)]

    assert value not in told + later
    assert "".join([*pieces, stream.finish().value]) == later
    assert all(other in later for other in others)


def test_another_spelling_under_a_field_has_the_same_token() -> None:
    """The first spelling names the person."""
    ids = session()
    assert MASKER.mask({"full_name": "KOWALSKA, ANNA"}, ids).value == {
        "full_name": ids.token("PERSON", "Anna Kowalska").text
    }


def test_a_name_that_two_people_share_is_neither_of_them() -> None:
    """Alone it has a token of its own: hidden, and nobody's."""
    ids = session()
    MASKER.mask({"full_name": "Anna Nowak"}, ids)
    masked = MASKER.mask("Yesterday Anna called", ids)
    assert masked.value == f"Yesterday {ids.token('PERSON', 'Anna').text} called"


def test_sessions_know_only_their_own() -> None:
    """What one session saw says nothing in another."""
    other = TokenIds([b"test key that is long enough, 32"], "acme", "session-2", KnownValues())
    assert MASKER.mask("Anna Kowalska called", other).value == "Anna Kowalska called"


def test_masking_again_leaves_tokens_alone() -> None:
    """A token's own word is no name, whoever is known."""
    ids = session()
    MASKER.mask({"first_name": "Person", "last_name": "Email"}, ids)
    once = MASKER.mask("Anna Kowalska, a@acme.example, [PERSON redacted]", ids).value
    assert MASKER.mask(once, ids).value == once
    assert MASKER.mask({"full_name": once}, ids).value == {"full_name": once}


@pytest.mark.parametrize("action", ["redact", "mask"])
def test_what_is_redacted_is_known_too(action: str) -> None:
    """Whatever the action, a value under a field is hidden in prose as well, and told of as `hidden`."""
    masker = Masker(actions={"PERSON": action})
    ids = TokenIds([b"k" * 32], "t", "s", KnownValues())
    first = masker.mask({"full_name": "Anna Kowalska"}, ids)
    assert [(token.entity_type, token.value) for token in first.hidden] == [("PERSON", "Anna Kowalska")]
    assert first.tokens == ()
    assert "Kowalska" not in masker.mask("kowalska, anna called", ids).value


@pytest.mark.parametrize("action", ["token", "redact"])
def test_what_a_key_that_is_cut_off_takes_with_it_is_known_too(action: str) -> None:
    """A field behind an unfinished key is masked as part of it, and told of as `hidden`, for the session's other processes."""
    masker = Masker(actions={"PRIVATE_KEY": action})
    ids = TokenIds([b"k" * 32], "t", "s", KnownValues())
    text = "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n\nFull name: Anna Kowalska\nCity: Springfield"
    first = masker.mask(text, ids)
    assert [(token.entity_type, token.value) for token in first.hidden] == [("PERSON", "Anna Kowalska")]
    assert first.entities == {"PRIVATE_KEY": 1}
    assert "Kowalska" not in masker.mask("kowalska, anna called", ids).value


def test_a_whole_key_hides_nothing_but_itself() -> None:
    """Nothing of its letters is taken for anybody."""
    ids = session()
    whole = "-----BEGIN PRIVATE KEY-----\nMIIEpAIBAAKCAQEA\n-----END PRIVATE KEY-----"
    assert MASKER.mask(f"{whole}\nFull name: Bo Ray", ids).hidden == ()


def test_people_are_shown_a_part_of_a_known_name() -> None:
    """A card shows no more of a name in prose than of one under a field."""
    assert MASKER.for_people({"text": "for Anna Kowalska"}, known=IDS.known) == {"text": "for A. K."}


def test_over_the_limit_a_value_is_refused() -> None:
    """What could not be found again is not let through as if it could."""
    ids = TokenIds([b"k" * 32], "t", "s", KnownValues(limit=2))
    with pytest.raises(GuardUnavailable, match="more than 2 known values"):
        MASKER.mask([{"full_name": name} for name in ("Anna Kowalska", "Bo Ray", "Cleo Stone")], ids)


def test_t28_search_is_linear_and_bounded() -> None:
    """Texts made to be hard (known words only, initials only, marks only) take no longer than their length explains."""
    texts = [
        "Anna Kowalska " * 8_000,
        "anna " * 20_000,
        "A. " * 30_000,
        "12 mill " * 12_000,
        "." * 100_000,
        "Ann\u00e4 " * 16_000,
    ]
    words = [f"w{number}x" for number in range(80)]
    ids = session()
    assert ids.known is not None
    ids.known.learn([("ADDRESS", " ".join(words[:count])) for count in range(24, 81)])
    texts.append(" ".join(words[:79]) * 1_000)
    started = time.process_time()
    masked = [MASKER.mask(text, ids).value for text in texts]
    assert time.process_time() - started < 6
    assert "Kowalska" not in masked[0]


@pytest.mark.parametrize("others", [0, 1, 5, 50])
def test_a_known_name_is_found_alike_beside_few_and_many_others(others: int) -> None:
    """Few words are looked for one by one, many among all words of a text: what is found is the same."""
    known = KnownValues()
    known.learn(
        [("PERSON", "Anna Kowalska"), *(("ACCOUNT_ID", f"AC-{number}") for number in range(70000, 70000 + others))]
    )

    seen = [(each.start, each.value) for each in known.find("then Anna Kowalska, and no Annapurna, called")]

    assert seen == [(5, "Anna Kowalska")]
    assert known.find("Annapurna, banana and kowalskas") == []


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    """Two threads that take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    with ThreadPoolExecutor(2) as pool:
        yield pool
    sys.setswitchinterval(interval)


def _found_meanwhile(pool: ThreadPoolExecutor) -> list[int]:
    """How much was found each time in a text that holds nothing known, while another thread learns a few names, one by one."""
    known, done = KnownValues(), Event()
    names = [("PERSON", f"{letter * 5} {letter * 6}".title()) for letter in "abcdef"]

    def find() -> list[int]:
        found: list[int] = []
        while not done.is_set():
            found.append(len(known.find("nothing of anyone is here")))
        return found

    finding = pool.submit(find)
    for name in names:
        known.learn([name])
    done.set()
    return finding.result()


def test_values_are_found_while_another_thread_learns(threads: ThreadPoolExecutor) -> None:
    """One session serves many threads: none fails because another one's call brings something new."""
    found = [_found_meanwhile(threads) for _ in range(300)]

    assert not any(map(any, found))
