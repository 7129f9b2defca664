"""Step 8: mask what came back, remember what it brought, record how it ended.

Rules:
- what the model gets is masked, by the masking in force when it comes back, or nothing at all;
- a model whose call people changed is told what they changed, masked like the result, and kept apart from it;
- what a limit on subjects has no room for is kept back, before anything of it is stored;
- labels and tokens are stored before the result is returned;
- an error is masked too, its notes and causes with it, and raised without its context;
- a run that was cut off is unknown, never a failure; what stops a program passes, as what it is, and masked too;
- a permit is settled once, and how it ended is on record once, whatever interrupts that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from agentguard.errors import AgentGuardError, Fault, GuardUnavailable, ResultRefused, ResultWithheld
from agentguard.guard import refusals
from agentguard.guard.asking import Asking
from agentguard.guard.budgets import NOT_COUNTED, Budgets
from agentguard.guard.in_force import InForce, Now
from agentguard.guard.once import Once
from agentguard.guard.permit import Permit, Settled
from agentguard.guard.raising import raise_alone
from agentguard.guard.records import Records
from agentguard.guard.streaming import TextMasking
from agentguard.guard.tokens import TokenBook
from agentguard.guard.words import WordBook
from agentguard.masking import Masked, Masker, SaidAgain, TokenIds, bare_error, fitted, says_nothing
from agentguard.model.approvals import State
from agentguard.model.calls import Principal
from agentguard.model.events import Ended
from agentguard.model.limits import IfOver

P = ParamSpec("P")
T = TypeVar("T")

_KEPT_BACK = "its text can't be shown"
_DONE = Ended.DONE  # Python 3.11 looks a member of an Enum up in Python each time that it is named


@dataclass(frozen=True, kw_only=True)
class Settling:
    """Ends permits."""

    in_force: Now
    tokens: TokenBook
    words: WordBook
    records: Records
    asking: Asking
    budgets: Budgets
    once: Once

    async def returned(self, permit: Permit, result: Any) -> Settled:
        """What the model may see of `result`, with a word on what people changed.

        Raises ResultWithheld where masking, Redis or the journal fails.
        """
        _once(permit)
        try:
            ids = self.tokens.fresh(permit.principal) or await self.tokens.recall(permit.principal)
            rules = self.in_force()
            masked = _readable(self._masked, permit, result, ids, rules)
            settled = Settled(masked.value)
            if permit.changes:
                settled, masked = self._with_word(permit, masked, ids, rules)
            counted = await self.budgets.counted(permit.bill, masked.tokens) if permit.bill.charges else NOT_COUNTED
            labels = () if counted.withholding else await self._keep(permit, masked, rules)
            await self.records.settled(permit, _DONE, masked, counted, labels=labels)
        except GuardUnavailable as broken:
            await self._give_up(permit, Ended.DONE)
            raise ResultWithheld(permit.call.tool, broken) from None
        except BaseException:
            await self._give_up(permit, Ended.DONE)
            raise
        permit.trace.masked(masked.entities)
        await self._finish(permit, _DONE)
        if counted.withholding:
            raise _over_limit(permit, counted.withholding)
        return settled

    async def shown(self, principal: Principal, value: Any, origin: str) -> Any:
        """What the model may see of a value that no call gave. Its tokens are kept first."""
        ids = await self.tokens.recall(principal)
        masked = _readable(self.in_force().masker.mask, value, ids)
        await self.tokens.remember(principal, (*masked.tokens, *masked.hidden), (), origin)
        return masked.value

    async def streamed(self, permit: Permit, pieces: AsyncIterator[str]) -> AsyncGenerator[str, None]:
        """What the model may see of a text that comes in pieces, part by part; the last one after all is on record.

        What people changed of the call comes first. A tool that raises in the middle: what it gave is shown, then its error, masked.
        Where a limit counts whom the result shows, the result is given when it is whole.
        """
        _once(permit)
        at_once, failed, rest = not permit.bill.subjects, None, ""
        masking = self._text(permit, at_once=at_once)
        told = _after(f"{permit.word_on_changes}\n", pieces) if permit.changes else pieces
        try:
            while failed is None:
                try:
                    piece = await anext(told)
                except StopAsyncIteration:
                    break
                except Exception as error:  # noqa: BLE001 - whatever a tool raises is settled
                    failed = error
                    continue
                shown = await masking.feed(piece)
                if shown and at_once:
                    yield shown
            last = await masking.finish()
            rest = last if at_once else masking.whole.value
            ended = await self._streamed(permit, masking, failed)
        except GuardUnavailable as broken:
            await self._give_up(permit, Ended.DONE)
            raise ResultWithheld(permit.call.tool, broken) from None
        except BaseException as error:  # noqa: BLE001 - raised, as it may be shown
            raise_alone(await self._interrupted(permit, error))
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        if rest and not isinstance(ended, ResultRefused):
            yield rest
        if ended is not None:
            raise ended from None

    async def _streamed(self, permit: Permit, masking: TextMasking, failed: Exception | None) -> BaseException | None:
        """Record how a text in pieces ended: what to raise after it."""
        shown, masked, labels = None, masking.whole, masking.labels
        if failed is not None:
            masker, ids = self._masker(permit, self.in_force()), self.tokens.ids(permit.principal)
            shown, error = _readable(masker.mask_error, failed, ids)
            masked = masked._replace(tokens=(*masked.tokens, *error.tokens), hidden=error.hidden)
        counted = await self.budgets.counted(permit.bill, masked.tokens)
        if not counted.withholding:
            labels = await self._keep(permit, masked, self.in_force())
        ended = Ended.DONE if failed is None else Ended.FAILED
        await self.records.settled(permit, ended, masked, counted, labels=labels)
        permit.trace.masked(masked.entities)
        await self._finish(permit, ended, "" if failed is None else type(failed).__name__)
        return _over_limit(permit, counted.withholding) if counted.withholding else shown

    def text(self, principal: Principal, origin: str) -> TextMasking:
        """Masks one text in pieces that no call gave."""

        async def keep(masked: Masked) -> tuple[str, ...]:
            await self.tokens.remember(principal, (*masked.tokens, *masked.hidden), (), origin)
            return ()

        return TextMasking(principal=principal, tokens=self.tokens, masker=self.in_force().masker, keep=keep)

    def _text(self, permit: Permit, *, at_once: bool) -> TextMasking:
        async def keep(masked: Masked) -> tuple[str, ...]:
            return await self._keep(permit, masked, self.in_force()) if at_once else ()

        masker = self._masker(permit, self.in_force())
        return TextMasking(principal=permit.principal, tokens=self.tokens, masker=masker, keep=keep)

    async def raised(self, permit: Permit, error: BaseException) -> BaseException:
        """What to raise in the place of a tool's error: that, masked, or the Fault that kept it from being settled.

        What stops a program is never replaced by something that doesn't: see `interrupted`.
        """
        if not isinstance(error, Exception):
            return await self.interrupted(permit, error)
        _once(permit)
        try:
            return await self._raised(permit, error, Ended.FAILED)
        except Fault as fault:
            return fault

    async def _raised(self, permit: Permit, error: BaseException, ended: Ended) -> BaseException:
        """The error that may be shown: the same type where it can carry the masked text, else what stands for it."""
        try:
            ids, rules = await self.tokens.recall(permit.principal), self.in_force()
            shown, masked = _readable(self._masker(permit, rules).mask_error, error, ids)
            counted = await self.budgets.counted(permit.bill, masked.tokens)
            labels = () if counted.withholding else await self._keep(permit, masked, rules)
            await self.records.settled(permit, ended, masked, counted, labels=labels)
        except GuardUnavailable as broken:
            await self._give_up(permit, ended)
            raise ResultWithheld(permit.call.tool, broken) from None
        except BaseException as broken:  # noqa: BLE001 - raised
            # Whoever prints it, or what is raised over it, must not print the tool's own error with it.
            broken.__context__ = None
            await self._give_up(permit, ended)
            raise_alone(broken)
        permit.trace.masked(masked.entities)
        await self._finish(permit, ended, type(error).__name__ if ended is Ended.FAILED else "OutcomeUnknown")
        return _over_limit(permit, counted.withholding) if counted.withholding else shown

    async def interrupted(self, permit: Permit, error: BaseException) -> BaseException:
        """The run was cancelled or its process is going down: nobody knows what it did. What to raise: the very error, or that, masked."""
        _once(permit)
        return await self._interrupted(permit, error)

    async def _interrupted(self, permit: Permit, error: BaseException) -> BaseException:
        if isinstance(error, AgentGuardError) or says_nothing(error):
            await self._give_up(permit, Ended.UNKNOWN)
            return error
        try:
            shown = await self._raised(permit, error, Ended.UNKNOWN)
        except Fault:
            return bare_error(error, _KEPT_BACK)
        stops = not isinstance(error, Exception)
        return bare_error(error, _KEPT_BACK) if stops and isinstance(shown, Exception) else shown

    def _masked(self, permit: Permit, result: Any, ids: TokenIds, rules: InForce) -> Masked:
        """The result, masked, and still what the tool says it gives."""
        return fitted(self._masker(permit, rules).mask(result, ids), result, permit.returns, ids)

    def _with_word(self, permit: Permit, masked: Masked, ids: TokenIds, rules: InForce) -> tuple[Settled, Masked]:
        """A masked result with a word on what people changed: as the model may see them, and as one, to be kept and recorded."""
        word = self._masker(permit, rules).mask(permit.word_on_changes, ids)
        settled = Settled(masked.value, str(word.value))
        return settled, Masked(
            value=settled.told,
            tokens=tuple({token.text: token for token in (*word.tokens, *masked.tokens)}.values()),
            entities=Counter(word.entities) + Counter(masked.entities),
            changed=word.changed or masked.changed,
            hidden=(*word.hidden, *masked.hidden),
        )

    def _masker(self, permit: Permit, rules: InForce) -> Masker:
        """What masks the results of this call: what the tool was given in clear too, however little it looks like anything."""
        masker = rules.maskers.of_result(permit.call.tool)
        return masker.also(SaidAgain(permit.put)) if permit.put else masker

    async def _keep(self, permit: Permit, masked: Masked, rules: InForce) -> tuple[str, ...]:
        """Keep what the result brings into the session; its labels: those of its tool, and what masking found, where a clause asks."""
        policy, principal, tool = rules.policy, permit.principal, permit.call.tool
        labels = permit.verdict.labels
        if found := policy.found_labels(masked.entities):
            labels = tuple(sorted({*labels, *found}))
        if self.words.are_kept(policy):
            await self.words.keep(principal, tool, masked, self.tokens.ids(principal))
        await self.tokens.remember(principal, (*masked.tokens, *masked.hidden), labels, tool)
        return labels

    async def _finish(self, permit: Permit, ended: Ended, error: str = "") -> None:
        """Tell Redis. Where it is away the request will look as if it may have run; the journal knows better."""
        permit.trace.ended(str(ended), error)
        if permit.undertaking.deeds:
            await self.once.end(permit.undertaking, State(ended.value))
        if permit.claim is not None:
            with suppress(GuardUnavailable):
                await self.asking.finish(permit.claim, State(ended.value))

    async def _give_up(self, permit: Permit, ended: Ended) -> None:
        """The tool ran and what came of it is not shown: say so wherever it can still be said."""
        try:
            with suppress(GuardUnavailable):
                await self.records.settled(permit, ended, None)
        finally:  # also where the caller is cancelled again
            await self._finish(permit, ended, "ResultWithheld" if ended is not Ended.UNKNOWN else "OutcomeUnknown")


def _readable(mask: Callable[P, T], *values: P.args, **named: P.kwargs) -> T:
    """What `mask` gives for these. Reading a tool's own objects runs their code: what that raises is not shown either."""
    try:
        return mask(*values, **named)
    except AgentGuardError:
        raise
    except Exception as error:  # noqa: BLE001 - its text may hold a value
        what = f"what the tool gave can't be read ({type(error).__name__}); return text, numbers, lists or dicts"
    raise GuardUnavailable("masking", what)


async def _after(word: str, pieces: AsyncIterator[str]) -> AsyncIterator[str]:
    yield word
    async for piece in pieces:
        yield piece


def _over_limit(permit: Permit, over: Sequence[str]) -> ResultRefused:
    asks = all(each.if_over is IfOver.ASK for each in permit.bill.subjects if each.limit in over)
    return refusals.over_limit(permit.call.tool, over, asks)


def _once(permit: Permit) -> None:
    if permit.settled:
        raise RuntimeError(
            f"this permit for {permit.call.tool} was settled before; admit the call again to run it again"
        )
    permit.settled.append("settled")
