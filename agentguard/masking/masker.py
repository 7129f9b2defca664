"""Masking: what is personal or secret in a value, replaced on its way to the model, to people, and into errors."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from agentguard.errors import GuardUnavailable
from agentguard.masking.acting import Acting
from agentguard.masking.actions import Actions, Written
from agentguard.masking.detectors import DEFAULT_DETECTORS, Anchored, Detector
from agentguard.masking.explaining import Explained, Explainer, words_in, worth_telling
from agentguard.masking.fields import Fields
from agentguard.masking.finding import ALL, THRESHOLD, Finding, is_trimmed, one_per_place
from agentguard.masking.known import KnownValues
from agentguard.masking.leaves import Walk
from agentguard.masking.left_alone import NOTHING, TOKENS, Kept, around, kept_in
from agentguard.masking.limits import Limits, refused
from agentguard.masking.lists import AllowList
from agentguard.masking.masked import Masked
from agentguard.masking.page import Page
from agentguard.masking.people import partial, visible
from agentguard.masking.placed import Placed, are_trimmed
from agentguard.masking.raised import masked_error
from agentguard.masking.recalled import KNOWN, Span, recalled, seen_elsewhere
from agentguard.masking.rewriting import Replacement, moved, rewritten
from agentguard.masking.settled import Settling
from agentguard.masking.sheet import Sheet
from agentguard.masking.shown import json_ready
from agentguard.masking.stream import MaskedStream, Part
from agentguard.masking.tokens import TokenIds, candidates
from agentguard.model.tokens import Token


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
            (detector, frozenset(detector.anchors) if isinstance(detector, Anchored) else None)
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
        sheet = Sheet.of_text(text, self._fields)
        found, values = self._located(sheet, None, TOKENS)
        kept = kept_in(sheet.page, TOKENS)
        if sheet.plain and kept is NOTHING and not self._allowed and is_trimmed(text, found):
            return found
        placed = self._placed(sheet, found, values).get(0, ())
        return [piece.finding for one in placed for piece in around(one, text, kept)]

    def explain(self, text: str) -> list[Explained]:
        """What was found in a text and what nearly was, what comes of it, and why; in order of place. No value is in it."""
        sheet = Sheet.of_text(text, self._fields)
        found = self._placed(sheet, *self._located(sheet, None, TOKENS)).get(0, ())
        masked = {placed.identity: placed for placed in found}
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
                kept = masked.pop(its.identity, None)
                if kept is not None or finding not in counting or self._is_allowed(its):
                    evidence = explainer.evidence(finding)
                    explained.append(Explained(its.finding, self._outcome(kept or its), evidence))
        explained += [
            Explained(rest.finding, self._outcome(rest), explainer.evidence(rest.finding)) for rest in masked.values()
        ]
        return sorted(explained)

    def mask(self, value: Any, tokens: TokenIds) -> Masked:
        """The value with findings replaced as `actions` say. Raises GuardUnavailable where it can't be masked for certain.

        What stands under personal fields is known to `tokens` from now on, and found again in later values.
        A number, date or Enum that is masked becomes text. Tokens of this session that stand in it already are left alone.
        """
        walk = Walk(value, self._fields, self._limits)
        if not walk.texts and not walk.shows_more:
            return Masked(value, (), {}, changed=False)
        acting = Acting(self._actions, tokens, KnownValues() if tokens.known is None else tokens.known)
        masked = self._replaced(walk, acting.replacement, acting.kept, acting.known)
        if walk.shows_more:
            shown = Walk(masked, self._fields, self._limits, by_looks=True)
            masked = self._replaced(shown, acting.replacement, acting.kept, acting.known)
        return acting.masked(masked, changed=masked is not value)

    def stream(self, tokens: TokenIds) -> MaskedStream:
        """Masks one text that arrives in pieces: `feed` each, `finish` it. What comes out together is what `mask` gives for the whole."""
        known = KnownValues() if tokens.known is None else tokens.known
        reach = 0 if all(detector in DEFAULT_DETECTORS for detector, _ in self._detectors) else _REACH

        def mask_part(text: str, start: int, end: int) -> Part:
            acting = Acting(self._actions, tokens, known)
            masked, ended = self._replaced_part(text, start, end, acting)
            return Part(acting.masked(masked, changed=masked != text[start:ended]), ended)

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

        walk = Walk(json_ready(value), self._fields, self._limits)
        masked = self._replaced(walk, _partial, TOKENS, KnownValues() if known is None else known)
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

    def _located(self, sheet: Sheet, known: KnownValues | None, kept: Kept) -> tuple[list[Finding], Mapping[Span, str]]:
        """What stays of all that is found on a page, in order, and the values of known ones as they were seen first."""
        page = sheet.page
        found, doubtful = self._detected(page)
        found += sheet.found
        if doubtful:
            found += seen_elsewhere(page.text, found, sheet.settled.values(), doubtful)
        if not (sheet.settled or sheet.found or known):
            return one_per_place(found), {}
        again, values = recalled(sheet, found, known, kept)
        return one_per_place(found + again if again else found), values

    def _placed(self, sheet: Sheet, found: Sequence[Finding], values: Mapping[Span, str]) -> dict[int, list[Placed]]:
        """The findings of a page by the leaf that they stand in, with what its key says by itself."""
        placed: dict[int, list[Placed]] = {}
        for finding in found:
            for leaf, its in sheet.place(finding):
                if its.detector == KNOWN:
                    its.value = values[finding[:2]]
                if self._actions.paths:
                    its.under = sheet.under(leaf, finding)
                placed.setdefault(leaf, []).append(its)
        if self._allowed:
            placed = {leaf: [one for one in its if not self._is_allowed(one)] for leaf, its in placed.items()}
        return placed if sheet.plain else {leaf: one_per_place(several) for leaf, several in placed.items()}

    def _detected(self, page: Page) -> tuple[list[Finding], list[Finding]]:
        """What the detectors find on a page, and what of it is too doubtful to count by itself."""
        found: list[Finding] = []
        doubtful: list[Finding] = []
        thresholds, threshold = self._thresholds, self._threshold
        asked = self._asked.get(page.anchors)
        for detector in self._to_ask(page.anchors) if asked is None else asked:
            failed = False
            try:
                for finding in detector.find(page):
                    counts = finding.score >= (
                        thresholds.get(finding.entity_type, threshold) if thresholds else threshold
                    )
                    (found if counts else doubtful).append(finding)
            except GuardUnavailable:
                raise
            except Exception:  # noqa: BLE001 - what failed may hold a value: only its name is told, and nothing passes
                failed = True
            if failed:
                raise refused(f"detector {detector.name} failed")
        return found, doubtful

    def _is_allowed(self, placed: Placed) -> bool:
        return bool(self._allowed) and self._allowed.holds(placed.entity_type, placed.value)

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

    def _replaced_part(self, text: str, start: int, end: int, acting: Acting) -> tuple[str, int]:
        """`text[start:end]` with its findings replaced, and the end: before a finding that it would have cut."""
        sheet = Sheet.of_text(text, self._fields)
        placed = self._placed(sheet, *self._located(sheet, acting.known, acting.kept)).get(0, ())
        kept = kept_in(sheet.page, acting.kept)
        found = [piece for one in placed for piece in around(one, text, kept)]
        end = min([end, *(max(start, one.start) for one in found if one.start < end < one.end)])
        inside = [moved(one, start) for one in found if one.end > start and one.start < end]
        bare = [one._replace(start=one.start - start, end=one.end - start) for one in sheet.bare.get(0, ())]
        return rewritten(text[start:end], inside, bare, acting.replacement), end

    def _replaced(self, walk: Walk, replacement: Replacement, kept: Kept, known: KnownValues) -> Any:
        """The value that was walked, with its findings replaced."""
        if not walk.texts:
            return walk.rebuilt({})
        sheet = Sheet(walk.texts, walk.keys, walk.scopes, walk.telling, self._fields)
        settled = sheet.settled
        found = self._placed(sheet, *self._located(sheet, known, kept))
        if not (found or settled):
            return walk.rebuilt({})
        kept = kept_in(sheet.page, kept)
        if not (sheet.plain and kept is NOTHING and are_trimmed(found.values())) or self._allowed:
            found = self._pieces(walk.texts, sheet, found, kept)
            settled = {}
        texts: dict[int, str] = {}
        for index in sorted({*settled, *found}):
            if index in settled:
                entity_type, text = settled[index]
                new = replacement(entity_type, text, sheet.over(index))
            else:
                text = walk.texts[index]
                new = rewritten(text, found[index], sheet.bare.get(index, ()), replacement)
            if new is not None and new != text:
                texts[index] = new
        return walk.rebuilt(texts)

    def _pieces(
        self, texts: Sequence[str], sheet: Sheet, found: dict[int, list[Placed]], kept: Kept
    ) -> dict[int, list[Placed]]:
        """What is settled or found in leaves, without what is allowed or left alone in it."""
        placed = dict(found)
        for leaf in sheet.settled:
            its = sheet.placed_whole(leaf)
            if not self._is_allowed(its):
                placed[leaf] = one_per_place([its, *found.get(leaf, ())])
        return {
            leaf: [piece for one in its for piece in around(one, texts[leaf], kept)] for leaf, its in placed.items()
        }


def _partial(entity_type: str, text: str, _: tuple[int, ...]) -> str:
    return partial(entity_type, text)


_COMBINATIONS_KEPT = 512
_REACH = 512  # what a detector of somebody else's may read at once
