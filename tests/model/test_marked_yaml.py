"""Strict YAML: what is refused, what is read, and where each value stands."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import RootModel
from pydantic_core import to_json

from agentguard.errors import PolicyError
from agentguard.model.marked_yaml import parse, read_yaml
from agentguard.model.record import Json, Record


class Person(Record):
    email: str
    groups: tuple[str, ...] = ()
    level: Literal["junior", "senior"] = "junior"


class People(Record):
    people: dict[str, Person]
    quorum: int = 1


class Listed(RootModel[tuple[Person, ...]]):
    pass


def problems_of(text: str) -> str:
    with pytest.raises(PolicyError) as caught:
        parse(People, read_yaml(text, "people.yaml"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("12", 12),
        ("-3", -3),
        ("0", 0),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("text", "text"),
        ('"no"', "no"),
        ("'017'", "017"),
        ("2026-11-23", "2026-11-23"),
        ("y", "y"),
        ("group:on-call", "group:on-call"),
        ("10m", "10m"),
        ("[a, 1]", ["a", 1]),
        ("{b: c}", {"b": "c"}),
    ],
)
def test_a_plain_scalar_is_what_it_looks_like(written: str, value: Json) -> None:
    """Booleans, null and decimal numbers are read as such, everything else as text."""
    marked = read_yaml(f"a: {written}\n", "f.yaml")

    assert to_json(marked.value) == to_json({"a": value})


@pytest.mark.parametrize(
    "written",
    [
        "yes",
        "No",
        "ON",
        "off",
        "12:30",
        "1:30:00",
        "017",
        "-08",
        "0o17",
        "0x1F",
        "0b1",
        "1_000",
        "9" * 19,
        ".inf",
        "-.NaN",
        "1e999",
    ],
)
def test_t21_a_scalar_that_readers_disagree_about_is_refused(written: str) -> None:
    """Nothing is retyped in silence: the error shows the place and how to quote it."""
    with pytest.raises(PolicyError) as caught:
        read_yaml(f"a: {written}\n", "f.yaml")

    assert str(caught.value).startswith(f"f.yaml:1:4: {written}"[:50])
    assert f'quote it: "{written}"' in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("a: &x 1\n", "f.yaml:1:4: anchor &x", id="anchor"),
        pytest.param("a: 1\nb: *x\n", "f.yaml:2:4: alias *x", id="alias"),
        pytest.param("a: !!str 1\n", "f.yaml:1:4: a tag", id="tag"),
        pytest.param("a: !!python/object:os.system x\n", "f.yaml:1:4: a tag", id="python tag"),
        pytest.param("a: ! 1\n", "f.yaml:1:4: a tag", id="bare tag"),
        pytest.param("a: 1\n<<: {b: 2}\n", "f.yaml:2:1: a merge key", id="merge key"),
        pytest.param("a: allow\na: deny\n", "f.yaml:2:1: duplicate key 'a'", id="duplicate key"),
        pytest.param('a: 1\n"a": 2\n', "f.yaml:2:1: duplicate key 'a'", id="duplicate quoted key"),
        pytest.param("1: x\n", "f.yaml:1:1: the key '1' is not text", id="number as key"),
        pytest.param("no: x\n", "f.yaml:1:1: no may be read as a boolean", id="boolean as key"),
        pytest.param("~: x\n", "f.yaml:1:1: the key '~' is not text", id="null as key"),
        pytest.param("? [a]\n: x\n", "f.yaml:1:3: a key that is not text", id="list as key"),
        pytest.param("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document", id="second document"),
        pytest.param("%YAML 1.1\n---\na: 1\n", "a YAML directive", id="directive"),
        pytest.param("a: [1\n", "not valid YAML", id="unclosed"),
        pytest.param("a: \x07\n", "not valid YAML", id="control character"),
        pytest.param("a: \ud800\n", "f.yaml:1:4: the character U+D800", id="lone surrogate"),
        pytest.param('a: "\\ud800"\n', "not valid YAML", id="escaped surrogate"),
        pytest.param("a: 1\n# x\u2028b: 2\n", "f.yaml:2:4: the character U+2028", id="hidden line break"),
        pytest.param("a: 1 # \u202e\n", "f.yaml:1:8: the character U+202E", id="turned direction"),
        pytest.param("", "f.yaml:1:1: the file is empty", id="empty"),
        pytest.param("# nothing\n", "f.yaml:1:1: the file is empty", id="comment only"),
    ],
)
def test_t21_a_trick_is_refused_with_its_place(text: str, told: str) -> None:
    """What makes YAML mean something else than it looks like is an error with file, line and column."""
    with pytest.raises(PolicyError) as caught:
        read_yaml(text, "f.yaml")

    assert told in str(caught.value)


def test_t21_a_duplicate_key_names_both_places() -> None:
    """A key that stands twice is told with the place of the first one."""
    with pytest.raises(PolicyError, match=r"f\.yaml:3:3: duplicate key 'b'; remove one; the first is at f\.yaml:2:3"):
        read_yaml("a:\n  b: 1\n  b: 2\n", "f.yaml")


def test_t21_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    """Nested aliases cost nothing: the first of them is already an error."""
    bomb = "a: &a [x, x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n" for i in range(20)
    )

    with pytest.raises(PolicyError, match="anchor &a"):
        read_yaml(bomb, "f.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 2000,
        "[" * 2000 + "]" * 2000,
        "{a: " * 2000,
        "- " * 2000,
        "a:\n" + "".join(" " * i + "- \n" for i in range(1, 200)),
    ],
    ids=["flow lists", "closed flow lists", "flow mappings", "block lists", "indented lists"],
)
def test_t21_deep_nesting_is_an_error_and_no_crash(text: str) -> None:
    """2000 levels give an error with a place, not a recursion error."""
    with pytest.raises(PolicyError, match="nested deeper than 32 levels"):
        read_yaml(text, "f.yaml")


def test_nesting_up_to_the_cap_is_read() -> None:
    """32 levels are fine."""
    marked = read_yaml("[" * 32 + "]" * 32, "f.yaml")

    assert str(marked.value) == "[" * 32 + "]" * 32


@pytest.mark.parametrize(
    ("text", "told"),
    [("x" * 1_100_000, "larger than"), ("é" * 600_000, "larger than"), ("- a\n" * 60_000, "more than 50000 values")],
    ids=["characters", "bytes", "values"],
)
def test_t29_a_file_over_the_caps_is_refused_fast(text: str, told: str) -> None:
    """Size is checked before parsing, and the number of values while parsing."""
    started = time.process_time()

    with pytest.raises(PolicyError, match=told):
        read_yaml(text, "f.yaml")

    assert time.process_time() - started < 5


def test_many_problems_are_told_together_and_capped() -> None:
    """All problems of a file come at once, in the order of lines, and at most 30 of them."""
    with pytest.raises(PolicyError) as caught:
        read_yaml("".join(f"k{i}: yes\n" for i in range(100)), "f.yaml")

    assert [problem.place.line for problem in caught.value.problems] == list(range(1, 31))


def test_a_value_knows_the_place_of_its_key_and_its_own() -> None:
    """`place` is where an entry begins, `value_place` where its value does; list items begin at themselves."""
    marked = read_yaml("a:\n  b: [x, y]\n", "f.yaml")

    assert str(marked.place(("a", "b"))) == "f.yaml:2:3"
    assert str(marked.value_place(("a", "b"))) == "f.yaml:2:6"
    assert str(marked.place(("a", "b", 1))) == "f.yaml:2:10"


def test_a_path_that_is_not_there_has_the_nearest_place() -> None:
    """What is missing is told at the thing around it."""
    marked = read_yaml("a:\n  b: 1\n", "f.yaml")

    assert str(marked.place(("a", "c", 4))) == "f.yaml:1:1"


def test_a_document_becomes_a_record() -> None:
    """Lists become tuples and the types are kept."""
    record = parse(People, read_yaml("people:\n  ann: {email: ann@acme.example, groups: [board]}\n", "p.yaml"))

    assert record == People(people={"ann": Person(email="ann@acme.example", groups=("board",))})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param(
            "people:\n  ann: {emial: x, email: y}\n",
            "people.yaml:2:9: unknown key 'emial'; did you mean 'email'? permitted: email, groups, level",
            id="unknown key",
        ),
        pytest.param(
            "poeple: {}\npeople: {}\n", "people.yaml:1:1: unknown key 'poeple'; did you mean 'people'?", id="top"
        ),
        pytest.param(
            "people:\n  ann: {}\n", "people.yaml:2:3: 'email' is missing in people.ann; add email:", id="missing"
        ),
        pytest.param(
            "people: {}\nquorum: '2'\n", "people.yaml:2:9: quorum: should be a whole number", id="text for number"
        ),
        pytest.param(
            "people: {}\nquorum: true\n", "people.yaml:2:9: quorum: should be a whole number", id="boolean for number"
        ),
        pytest.param(
            "people:\n  ann: {email: x, level: boss}\n",
            "people.yaml:2:26: people.ann.level: should be 'junior' or 'senior'",
            id="not one of the words",
        ),
        pytest.param(
            "people:\n  ann: {email: x, groups: a}\n",
            "people.yaml:2:27: people.ann.groups: should be a list",
            id="no list",
        ),
        pytest.param("- people\n", "people.yaml:1:1: should be a mapping", id="list for mapping"),
    ],
)
def test_a_wrong_form_says_where_what_and_what_instead(text: str, told: str) -> None:
    """Errors of the form carry file, line, column and the permitted words."""
    assert told in problems_of(text)


def test_a_list_at_the_top_tells_permitted_keys_too() -> None:
    """A document that is a list gives the same errors."""
    with pytest.raises(PolicyError, match=r"l\.yaml:1:3: unknown key 'emial'; did you mean 'email'\?"):
        parse(Listed, read_yaml("- emial: x\n  email: y\n", "l.yaml"))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    """No text crashes the reader: a PolicyError is all that it may raise."""
    with suppress(PolicyError):
        read_yaml(text, "f.yaml")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.text("aé \t\n\"'#:{}[],&*!|>%@`-?~<=1.0", max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc xyz", max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(JSON.filter(lambda value: value is not None))
def test_json_reads_back_as_itself(value: Json) -> None:
    """JSON is YAML: what a program wrote as JSON is read unchanged."""
    assert read_yaml(to_json(value, indent=1).decode(), "f.yaml").value == value
