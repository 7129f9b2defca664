"""Masking: what is personal or secret in a value, replaced on its way to the model, to people, and into errors."""

from __future__ import annotations

import copy
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from agentguard.errors import GuardUnavailable
from agentguard.masking.actions import TOKEN, Actions, Written, carried_out
from agentguard.masking.anchors import Anchor
from agentguard.masking.detectors import DEFAULT_DETECTORS, Anchored, Detector
from agentguard.masking.explaining import Explained, Explainer, words_in, worth_telling
from agentguard.masking.fields import NO_KEY, Fields
from agentguard.masking.finding import ALL, THRESHOLD, Finding, one_per_place
from agentguard.masking.known import KnownValues, is_findable
from agentguard.masking.leaves import NUMBER, Walk
from agentguard.masking.limits import Limits, refused
from agentguard.masking.lists import AllowList
from agentguard.masking.marked import marked_tokens
from agentguard.masking.masked import Masked
from agentguard.masking.page import Page
from agentguard.masking.people import partial, visible
from agentguard.masking.raised import masked_error
from agentguard.masking.recalled import KNOWN, recalled
from agentguard.masking.settled import Settling
from agentguard.masking.sheet import Bare, Placed, Sheet
from agentguard.masking.shown import json_ready
from agentguard.masking.stream import MaskedStream, Part
from agentguard.masking.tokens import TokenIds, candidates, canonical_value
from agentguard.model.tokens import Token

Replacement = Callable[[str, str, Sequence[int]], str | None]


class Kept(NamedTuple):
    """What is left alone in a text: (start, end, what it is). `everywhere`: also where no anchor tells of it."""

    spans: Callable[[str], Iterable[tuple[int, int, str]]]
    everywhere: bool = False


_TOKENS = Kept(marked_tokens)
_NOTHING_KEPT = Kept(lambda _: ())


class Masker:
    """Finds and masks. Pure: no I/O, no clock; one object may serve many threads.

    `detectors`: the default ones where None is given. `fields`: globs of dotted paths to entity types, on top of the field names that
    are known anyway. `actions`: entity type, `*` or path to an action; `token` where nothing is said. `thresholds`: entity type or `*`
    to the score from which a finding counts. `allowed`: what stays in clear, whatever finds it.
    """

    def __init__(
        self,
        detectors: Sequence[Detector] | None = None,
        *,
        fields: Mapping[str, str] | None = None,
        actions: Written | None = None,
        thresholds: Mapping[str, float] | None = None,
        allowed: AllowList | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._detectors = [
            (detector, frozenset(map(int, detector.anchors)) if isinstance(detector, Anchored) else None)
            for detector in (DEFAULT_DETECTORS if detectors is None else detectors)
        ]
        self._asked: dict[frozenset[int], list[Detector]] = {}
        self._paths = dict(fields or {})
        self._thresholds = dict(thresholds or {})
        self._threshold = self._thresholds.get(ALL, THRESHOLD)
        self._allowed = allowed or AllowList({})
        self._limits = limits or Limits()
        self._act_by(Actions(actions or {}))

    def under(self, closer: Written) -> Masker:
        """The same masker with actions that come before its own."""
        other = copy.copy(self)
        other._act_by(self._actions.over(closer))
        return other

    def also(self, detector: Detector) -> Masker:
        """The same masker with one more detector, for values that only this call knows of."""
        other = copy.copy(self)
        other._detectors = [*self._detectors, (detector, None)]
        other._asked = {}
        return other

    def _act_by(self, actions: Actions) -> None:
        self._actions = actions
        self._fields = Fields(self._paths, [rule.path for rule in actions.paths])

    def find(self, text: str) -> list[Finding]:
        """What is personal or secret in a text, in order of place."""
        if len(text) > self._limits.characters:
            raise refused(f"more than {self._limits.characters} characters in one value")
        sheet = Sheet([text], [(NO_KEY, self._fields.root)], (), self._fields)
        found = self._findings(sheet, KnownValues(), _TOKENS).get(0, ())
        kept = _kept_in(sheet, _TOKENS)
        return [Finding(*piece[:5]) for placed in found for piece in _around(placed, text, kept)]

    def explain(self, text: str) -> list[Explained]:
        """What was found in a text and what nearly was, what comes of it, and why; in order of place. No value is in it."""
        sheet = Sheet([text], [(NO_KEY, self._fields.root)], (), self._fields)
        masked = {
            (*placed[:3], placed.detector): placed
            for placed in self._findings(sheet, KnownValues(), _TOKENS).get(0, ())
        }
        counting, doubtful = self._detected(sheet.page)
        counting += sheet.found
        told = [*counting, *worth_telling(doubtful, counting)]
        explainer = Explainer(
            page=sheet.page,
            detectors=[detector for detector, _ in self._detectors],
            hidden=words_in(
                [*(sheet.page.text[each.start : each.end] for each in told), *(each.value for each in masked.values())]
            ),
        )
        explained = []
        for finding in told:
            for _, its in sheet.place(finding):
                kept = masked.pop((*its[:3], its.detector), None)
                if kept is not None or finding not in counting or self._is_allowed(its):
                    evidence = explainer.evidence(finding)
                    explained.append(Explained(Finding(*its[:5]), self._outcome(kept or its), evidence))
        explained += [
            Explained(Finding(*rest[:5]), self._outcome(rest), explainer.evidence(Finding(*rest[:5])))
            for rest in masked.values()
        ]
        return sorted(explained)

    def mask(self, value: Any, tokens: TokenIds) -> Masked:
        """The value with findings replaced as `actions` say. Raises GuardUnavailable where it can't be masked for certain.

        What stands under personal fields is known to `tokens` from now on, and found again in later values.
        A number, date or Enum that is masked becomes text. Tokens of this session that stand in it already are left alone.
        """
        known = KnownValues() if tokens.known is None else tokens.known
        return self._acted_on(value, tokens, known, lambda act, kept: self._replaced(value, act, kept, known))

    def stream(self, tokens: TokenIds) -> MaskedStream:
        """Masks one text that arrives in pieces: `feed` each, `finish` it. What comes out together is what `mask` gives for the whole."""
        known = KnownValues() if tokens.known is None else tokens.known
        reach = 0 if all(detector in DEFAULT_DETECTORS for detector, _ in self._detectors) else _REACH

        def mask_part(text: str, start: int, end: int) -> Part:
            ended = end

            def work(replacement: Replacement, kept: Kept) -> str:
                nonlocal ended
                masked, ended = self._replaced_part(text, start, end, replacement, kept, known)
                return masked

            masked = self._acted_on("", tokens, known, work)
            return Part(replace(masked, changed=masked.value != text[start:ended]), ended)

        return MaskedStream(mask_part, Settling(fields=self._fields, known=known, reach=reach), self._limits)

    def for_people(self, value: Any, shown: Mapping[str, Token] | None = None, known: KnownValues | None = None) -> Any:
        """The value as JSON, for a person who decides: findings in part, invisible characters as escapes.

        `known`: what the session has seen.
        Tokens stay as they are, but for those in `shown` (text to token), in whose place the partial value stands.
        """
        resolved = shown or {}

        def resolve(text: str) -> str:
            pieces: list[str] = []
            done = 0
            for start, end, name in candidates(text) if resolved else ():
                if name in resolved:
                    token = resolved[name]
                    pieces += (text[done:start], partial(token.entity_type, token.value))
                    done = end
            return "".join([*pieces, text[done:]])

        masked = self._replaced(json_ready(value), _partial, _TOKENS, KnownValues() if known is None else known)
        return json_ready(masked, lambda text: visible(resolve(text)))

    def mask_error(self, error: BaseException, tokens: TokenIds) -> tuple[BaseException, Masked]:
        """The error with nothing raw in its text, arguments, notes and causes; of the same type, or ToolFailed.

        `Masked.value` is the masked text. An error that holds nothing to mask comes back as it is.
        """
        made: dict[str, Token] = {}
        hidden: dict[str, Token] = {}
        counted: Counter[str] = Counter()

        def mask(value: Any) -> Any:
            masked = self.mask(value, tokens)
            made.update((token.text, token) for token in masked.tokens)
            hidden.update((token.text, token) for token in masked.hidden)
            counted.update(masked.entities)
            return masked.value

        masked = masked_error(error, mask)
        return masked, Masked(
            value=str(masked),
            tokens=tuple(made.values()),
            entities=dict(counted),
            changed=masked is not error,
            hidden=tuple(hidden.values()),
        )

    def _acted_on(
        self, value: Any, tokens: TokenIds, known: KnownValues, work: Callable[[Replacement, Kept], Any]
    ) -> Masked:
        """What `work` makes of a value, given what to put in the place of each finding."""
        made: dict[str, Token] = {}
        counted: dict[str, int] = {}
        acted: dict[tuple[str, str, Sequence[int]], str | None] = {}

        def replacement(entity_type: str, text: str, under: Sequence[int]) -> str | None:
            counted[entity_type] = counted.get(entity_type, 0) + 1
            found = entity_type, text, under
            if found not in acted:
                acted[found] = self._acted(entity_type, known.meant(found[:2]), under, tokens, made)
            return acted[found]

        spans = Kept(lambda text: tokens.right(text, marked_tokens(text)), everywhere=tokens.has_stand_ins)
        masked = work(replacement, spans)
        gone = list(dict.fromkeys(found[:2] for found, new in acted.items() if new is not None))
        known.learn(gone)
        hidden = _hidden(gone, tokens, known, made) if tokens.has_stand_ins or len(made) < len(gone) else ()
        return Masked(
            value=masked, tokens=tuple(made.values()), entities=counted, changed=masked is not value, hidden=hidden
        )

    def _acted(
        self, entity_type: str, text: str, under: Sequence[int], tokens: TokenIds, made: dict[str, Token]
    ) -> str | None:
        action = self._actions.of(entity_type, under)
        if action != TOKEN:
            return carried_out(action, entity_type, text, tokens)
        token = tokens.token(entity_type, text)
        made.setdefault(token.text, token)
        if tokens.has_stand_ins and (given := tokens.stand_in(token)) is not None:
            made.setdefault(given.text, given)
            return given.text
        return token.text

    def _findings(self, sheet: Sheet, known: KnownValues, kept: Kept) -> dict[int, list[Placed]]:
        """For each leaf that holds something: its findings in order."""
        page = sheet.page
        found, doubtful = self._detected(page)
        found += sheet.found
        if doubtful:
            found += _seen_elsewhere(page.text, found, sheet.settled.values(), doubtful)
        again = recalled(sheet, found, known, lambda text: _left_alone(text, kept), everywhere=kept.everywhere)
        found += again.findings
        placed = {leaf: [its] for leaf, its in sheet.settled.items()}
        for finding in one_per_place(found):
            for leaf, its in sheet.place(finding):
                meant = its._replace(value=again.values[finding[:2]]) if finding.detector == KNOWN else its
                meant = meant._replace(under=sheet.under(leaf, finding)) if self._actions.paths else meant
                placed.setdefault(leaf, []).append(meant)
        if self._allowed:
            placed = {leaf: [one for one in its if not self._is_allowed(one)] for leaf, its in placed.items()}
        return placed if sheet.plain else {leaf: one_per_place(several) for leaf, several in placed.items()}

    def _detected(self, page: Page) -> tuple[list[Finding], list[Finding]]:
        """What the detectors find on a page, and what of it is too doubtful to count by itself."""
        found, doubtful = list[Finding](), list[Finding]()
        thresholds, threshold = self._thresholds, self._threshold
        for detector in self._asked.get(page.anchors) or self._to_ask(page.anchors):
            try:
                for finding in detector.find(page):
                    counts = finding.score >= (
                        thresholds.get(finding.entity_type, threshold) if thresholds else threshold
                    )
                    (found if counts else doubtful).append(finding)
            except GuardUnavailable:
                raise
            except Exception:  # noqa: BLE001 - what failed may hold a value: only its name is told, and nothing passes
                raise refused(f"detector {detector.name} failed") from None
        return found, doubtful

    def _is_allowed(self, placed: Placed) -> bool:
        return self._allowed.holds(placed.entity_type, placed.value)

    def _outcome(self, placed: Placed) -> str:
        if self._is_allowed(placed):
            return "in clear: on the allow list"
        needed = self._thresholds.get(placed.entity_type, self._threshold)
        if placed.score < needed:
            return f"in clear: {needed:.2f} is needed"
        return self._actions.of(placed.entity_type, placed.under).name

    def _to_ask(self, anchors: frozenset[int]) -> list[Detector]:
        """The detectors that can find something on a page with these anchors."""
        asked = [detector for detector, needed in self._detectors if needed is None or not needed.isdisjoint(anchors)]
        if len(self._asked) < _COMBINATIONS_KEPT:
            self._asked[anchors] = asked
        return asked

    def _replaced_part(
        self, text: str, start: int, end: int, replacement: Replacement, kept: Kept, known: KnownValues
    ) -> tuple[str, int]:
        """`text[start:end]` with its findings replaced, and the end: before a finding that it would have cut."""
        sheet = Sheet([text], [(NO_KEY, self._fields.root)], (), self._fields)
        placed = self._findings(sheet, known, kept).get(0, ())
        kept = _kept_in(sheet, kept)
        found = [piece for one in placed for piece in _around(one, text, kept)]
        end = min([end, *(max(start, one.start) for one in found if one.start < end < one.end)])
        inside = [_moved(one, start) for one in found if one.end > start and one.start < end]
        bare = [one._replace(start=one.start - start, end=one.end - start) for one in sheet.bare.get(0, ())]
        return _rewritten(text[start:end], inside, bare, replacement), end

    def _replaced(self, value: Any, replacement: Replacement, kept: Kept, known: KnownValues) -> Any:
        walk = Walk(value, self._fields, self._limits)
        if not walk.texts:
            return value
        sheet = Sheet(walk.texts, walk.said, walk.telling, self._fields)
        found = self._findings(sheet, known, kept)
        kept = _kept_in(sheet, kept)
        plain = sheet.plain and kept is _NOTHING_KEPT and _is_trimmed(found)
        texts = {}
        for index in sorted(found):
            text, placed = walk.texts[index], found[index]
            if not plain:
                placed = [piece for one in placed for piece in _around(one, text, kept)]
            new = _rewritten(text, placed, sheet.bare.get(index, ()), replacement)
            if new != text:
                texts[index] = new
        return walk.rebuilt(texts)


def _partial(entity_type: str, text: str, _: Sequence[int]) -> str:
    return partial(entity_type, text)


def _hidden(
    gone: Iterable[tuple[str, str]], tokens: TokenIds, known: KnownValues, made: Mapping[str, Token]
) -> tuple[Token, ...]:
    """What was replaced and has no token in the value, where it can be found again."""
    hidden = (tokens.token(found[0], known.meant(found)) for found in gone if is_findable(found[0]))
    return tuple({token.text: token for token in hidden if token.text not in made}.values())


def _left_alone(text: str, kept: Kept) -> list[tuple[int, int]]:
    """Where tokens and redactions stand in a text, in order."""
    found = [(start, end) for start, end, _ in kept.spans(text)] if len(text) >= _SHORTEST_TOKEN else []
    if "redacted]" in text or " hmac " in text:
        found = sorted([*found, *(match.span() for match in _REDACTED.finditer(text))])
    return found


def _seen_elsewhere(
    text: str, found: Iterable[Finding], settled: Iterable[Placed], doubtful: Sequence[Finding]
) -> list[Finding]:
    """The doubtful findings whose value is certain at another place of the same value."""
    types = {finding.entity_type for finding in doubtful}
    certain = {_meaning(text, finding) for finding in found if finding.entity_type in types}
    certain |= {(one.entity_type, canonical_value(one.entity_type, one.value)) for one in settled}
    return [finding._replace(score=THRESHOLD) for finding in doubtful if _meaning(text, finding) in certain]


def _meaning(text: str, finding: Finding) -> tuple[str, str]:
    return finding.entity_type, canonical_value(finding.entity_type, text[finding.start : finding.end])


def _kept_in(sheet: Sheet, kept: Kept) -> Kept:
    """What is left alone on this page: nothing where no anchor tells of it."""
    return _NOTHING_KEPT if not kept.everywhere and _KEPT.isdisjoint(sheet.page.anchors) else kept


def _is_trimmed(found: Mapping[int, Sequence[Placed]]) -> bool:
    values = [placed.value for several in found.values() for placed in several]
    return values == [value.strip() for value in values]


def _around(placed: Placed, text: str, kept: Kept) -> list[Placed]:
    """The finding without tokens and redactions that stand in it, trimmed; nothing where nothing is left."""
    found = text[placed.start : placed.end]
    alone = _left_alone(found, kept) if kept is not _NOTHING_KEPT else []
    if not alone and found == found.strip():
        return [placed]
    pieces, done = [], 0
    for start, end in [*alone, (len(found), len(found))]:
        trimmed = found[done:start].strip()
        if any(c.isalnum() for c in trimmed):
            first = placed.start + found.index(trimmed, done)
            value = "" if alone else placed.value.strip()
            pieces.append(placed._replace(start=first, end=first + len(trimmed), value=value))
        done = max(done, end)
    return pieces


def _moved(placed: Placed, start: int) -> Placed:
    """A finding in the offsets of a text that begins later; what stood before is left out."""
    if placed.start >= start:
        return placed._replace(start=placed.start - start, end=placed.end - start)
    return placed._replace(start=0, end=placed.end - start, value="")


def _rewritten(text: str, findings: Sequence[Placed], bare: Sequence[Bare], replacement: Replacement) -> str:
    if len(findings) == 1 and not bare and (only := findings[0]).end - only.start == len(text):
        new = replacement(only.entity_type, only.value or text, only.under)
        return text if new is None else new
    pieces: list[str] = []
    done = 0
    for placed in findings:
        start, end, quote = _whole_number(placed, bare) if bare else (placed.start, placed.end, "")
        if start < done:
            continue
        meant = placed.value if not quote and placed.value else text[start:end]
        new = replacement(placed.entity_type, meant, placed.under)
        if new is not None:
            if quote and (not new or NUMBER.match(new)):
                new, quote = new or "null", ""
            pieces += (text[done:start], quote, new, quote)
            done = end
    return "".join([*pieces, text[done:]])


def _whole_number(placed: Placed, bare: Sequence[Bare]) -> tuple[int, int, str]:
    """The span to replace, and the quotes it needs: inside a JSON number it is the whole number."""
    at = bisect_right(bare, placed.start, key=lambda one: one.start) - 1
    if at >= 0 and bare[at].end > placed.start:
        return bare[at]
    return placed.start, placed.end, ""


_COMBINATIONS_KEPT = 512
_SHORTEST_TOKEN = 10
_KEPT = frozenset({Anchor.TOKEN, Anchor.REDACTED})
_REDACTED = re.compile(r"\[[A-Z0-9_]{2,64} (?:redacted|hmac [a-p]{20})\]")
_REACH = 512  # what a detector of somebody else's may read at once
