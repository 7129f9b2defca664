"""What risk a tool seems to have, from what it says of itself: a proposal, which a person edits. Pure.

Rules:
- whatever may have an effect is high or critical; low is only what plainly reads, by its name or description, with nothing against it;
- each proposal says why, in words of the tool itself;
- a claim that a tool only reads lowers nothing; a claim that it destroys raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from agentguard.model.listings import Listing
from agentguard.model.verdicts import Risk
from agentguard.policy.tool_words import (
    BESIDE_READING,
    CHOOSING,
    CRITICAL,
    DETERMINERS,
    EFFECT,
    LEADING,
    NEGATIONS,
    NOT_VERBS,
    NOUNS,
    PAIRS,
    PREPOSITIONS,
    QUESTIONS,
    REACHING,
    READING,
    ROLES,
    RUNNING,
    SENDING,
    SWITCHES,
)

_WORDS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_SENTENCES = re.compile(r"[.;:!?\n]+(?=\s|$)|\n")
_PARAMETERS = re.compile(
    r"\n\s*(?:Args|Arguments|Parameters|Params|Returns|Raises|Examples?|Notes?)\s*:|:param\b|\n\s*@param\b"
)
"""Where a description goes on to its parameters."""
_JOINED = re.compile(r"(?:\b(?:and|then|or|also)|,)\s+(?:\w+ly\s+|then\s+|also\s+)*(\w+)")
_WILL_BE = re.compile(r"\b(?:will be|is then|are then)\s+(?:\w+ly\s+)?(\w+)")


_NEAR = 100
"""How far before a word it may be denied."""
_PLAIN_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_PLAIN = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Sign(NamedTuple):
    """Something that a tool says of itself: what it hints at, how grave that is, and in which words."""

    kind: Literal["effect", "reading"]
    why: str
    is_critical: bool = False


class Proposal(NamedTuple):
    """A risk for a tool, and why."""

    risk: Risk
    why: str


def propose(tool: Listing) -> Proposal:
    """The risk that a tool seems to have."""
    signs = list(signs_of(tool))
    effects = [sign for sign in signs if sign.kind == "effect"]
    if effects:
        risk = Risk.CRITICAL if any(sign.is_critical for sign in effects) else Risk.HIGH
        return Proposal(risk, "; ".join(dict.fromkeys(sign.why for sign in effects[:3])))
    reading = [sign for sign in signs if sign.kind == "reading"]
    if reading:
        return Proposal(Risk.LOW, "; ".join(dict.fromkeys(sign.why for sign in reading[:2])))
    return Proposal(Risk.HIGH, "nothing in it says that it only reads")


def roles_of(tool: Listing) -> dict[str, list[str]]:
    """The roles that its parameters seem to have, by role."""
    properties = tool.input_schema.get("properties")
    names = [name for name in properties if _PLAIN_PATH.fullmatch(name)] if isinstance(properties, dict) else []
    found = {
        role: [name for name in names if words_of(name)[-1:] and words_of(name)[-1] in words]
        for role, words in ROLES.items()
    }
    return {role: paths for role, paths in found.items() if paths}


def signs_of(tool: Listing) -> Iterator[Sign]:
    """All that a tool says for or against an effect."""
    name = words_of(tool.name)
    yield from _of_name(name)
    yield from _of_description(tool.description, named=any(_verb(word, READING) for word in name))
    yield from _of_schema(tool)
    if tool.hints.destructive and tool.hints.read_only is not True:
        yield Sign("effect", "it says that it is destructive", is_critical=True)
    if tool.hints.read_only is False:
        yield Sign("effect", "it says that it is not read-only")


def words_of(name: str) -> list[str]:
    """The words of a name: `getUserInfo`, `get_user_info` and `get-user-info` have the same."""
    return [word.lower() for word in _WORDS.findall(name)]


def _of_name(words: Sequence[str]) -> Iterator[Sign]:
    for pair in pairwise(words):
        if pair in PAIRS:
            yield Sign("effect", f"its name says {' '.join(pair)!r}")
    reads = next((index for index, word in enumerate(words) if _verb(word, READING)), None)
    acts = next((index for index, word in enumerate(words) if _verb(word, EFFECT)), None)
    if reads is not None and (acts is None or reads < acts):
        more = next((word for word in words[reads + 1 :] if word in BESIDE_READING), None)
        if more is None:
            yield Sign("reading", f"its name says {words[reads]!r}")
        else:
            yield _acting("its name says", words[reads], more)
    elif acts is not None:
        yield _acting("its name says", words[acts])
    else:
        noun = next((word for word in words if word in NOUNS or word.rstrip("s") in NOUNS), None)
        if noun is not None:
            yield Sign("effect", f"its name says {noun!r}")
    runs = next((word for word in words if word in ("bash", "shell", "repl", "terminal", "exec")), None)
    if runs is not None and reads is None:
        yield Sign("effect", f"its name says {runs!r}", is_critical=True)


def _of_description(text: str, *, named: bool) -> Iterator[Sign]:
    """`named`: its name has a word of reading, so that a description that is no sentence says nothing against it."""
    first, *others = _SENTENCES.split(_PARAMETERS.split(text.strip())[0])
    yield from _of_first(first, named=named)
    yield from _of_clauses(first)
    for sentence in others:
        words = _said(sentence)
        if words and words[0].endswith("s") and _verb(words[0], EFFECT) and not _is_noun_here(*words[:2]):
            yield _acting("its description says", words[0])
        if words and words[0] not in QUESTIONS:
            yield from _of_clauses(sentence)


def _of_first(sentence: str, *, named: bool) -> Iterator[Sign]:
    """What the first sentence of a description says that the tool does."""
    head, follows = (*_said(sentence), "", "")[:2]
    if head in QUESTIONS:
        yield Sign("reading", f"it tells {head}")
    elif _verb(head, EFFECT) and not _is_noun_here(head, follows):
        yield _acting("its description says", head)
    elif _verb(head, READING):
        yield Sign("reading", f"its description says {head!r}")
    elif head == "new":
        yield Sign("effect", "its description speaks of something new")
    elif not named and head not in NOT_VERBS and follows in DETERMINERS - {"in"}:
        yield Sign("effect", f"its description says {head!r}")
    elif head in NOT_VERBS or follows in PREPOSITIONS or (head and f"{head}," in sentence.lower()):
        yield Sign("reading", "its description names a thing, and no action")


def _of_clauses(sentence: str) -> Iterator[Sign]:
    """What else a sentence says that is done: `and marks it as read`, `the card will be charged`."""
    lowered = sentence.lower()
    for pattern, verbs in ((_JOINED, BESIDE_READING), (_WILL_BE, EFFECT)):
        for found in pattern.finditer(lowered):
            before = lowered[max(0, found.start() - _NEAR) : found.start()].split()
            denied = NEGATIONS & set(before[-6:])
            if not denied and _verb(found[1], verbs, past=verbs is EFFECT):
                yield _acting("its description says", found[1])


def _of_schema(tool: Listing) -> Iterator[Sign]:
    properties = tool.input_schema.get("properties")
    for name, schema in properties.items() if isinstance(properties, dict) else ():
        shown = name if _PLAIN.fullmatch(name) else "one of its parameters"
        kind = schema.get("type") if isinstance(schema, dict) else None
        words = words_of(name)
        if kind == "boolean":
            if words and words[0] in SWITCHES:
                yield Sign("effect", f"it can be told to {shown}")
        elif RUNNING & set(words) or (words == ["query"] and "sql" in words_of(f"{tool.name} {tool.description}")):
            yield Sign("effect", f"it runs what stands in {shown}", is_critical=True)
        elif REACHING & set(words):
            yield Sign("effect", f"it reaches the address in {shown}; reading one that somebody else chose is sending")
        elif SENDING & set(words):
            yield Sign("effect", f"it takes {shown} along")
        elif words[:1] == ["new"] or CHOOSING & set(words):
            yield Sign("effect", f"it takes {shown}")


def _acting(where: str, *words: str) -> Sign:
    critical = any(_verb(word, CRITICAL) for word in words)
    return Sign("effect", f"{where} {' ... '.join(map(repr, words))}", is_critical=critical)


def _said(sentence: str) -> list[str]:
    """The words of a sentence from where it begins to say something."""
    text = sentence.strip().lower()
    while True:
        lead = next((each for each in LEADING if text.startswith(each)), None)
        if lead is None:
            break
        text = text[len(lead) :]
    words = re.findall(r"[a-z][a-z'-]*", text)
    while len(words) > 1 and (words[0].endswith("ly") and words[0] not in ("reply", "apply")):
        words = words[1:]
    return words


def _is_noun_here(word: str, follows: str = "") -> bool:
    """Whether a word that could be a verb stands for a thing: `messages of`, `files that`."""
    return word.endswith("s") and follows in ("of", "that", "with", "by", "between", "for", "from", "and", "which")


def _verb(word: str, among: frozenset[str], *, past: bool = True) -> bool:
    """Whether a word is a form of one of these verbs."""
    return any(form in among for form in _plain_forms(word, past=past))


def _plain_forms(word: str, *, past: bool) -> Iterator[str]:
    yield word
    if word.endswith("ies"):
        yield word[:-3] + "y"
    if word.endswith("s") and not word.endswith("ss"):
        yield word[:-1]
        yield word.removesuffix("es")
    for ending in ("ing", "ed") if past else ():
        if word.endswith(ending) and len(word) > len(ending) + 2:
            stem = word.removesuffix(ending)
            yield from (stem, stem + "e", stem[:-1])
