"""The road of one tool call, in eight steps.

    1 restore   2 snapshot   3 classify   4 record   5 ask   6 permit   7 run   8 settle

`admit` walks 1 to 6, whoever runs the tool does 7, `settle` does 8. Rules:
- a step that fails stops the call: nothing runs after an error;
- the verdict is on record before anything else happens, and a refusal before it is told;
- a call is judged, masked and shown to people by one policy and its masker; its permit and its result are held against those of then;
- Redis is reached only for a token or a label that this process has not seen, for session state that a clause reads, for limits that
  concern the tool, for what may happen once, and to ask; and first of all where this process does not know what is frozen now.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Final, ParamSpec, Protocol, TypeVar, assert_never, overload

from agentguard.errors import CallRefused, Fault
from agentguard.guard import refusals
from agentguard.guard.answering import Answering
from agentguard.guard.asking import Asking
from agentguard.guard.blocking import BlockingGuard
from agentguard.guard.case import Case
from agentguard.guard.cases import Cases
from agentguard.guard.confirming import Confirmation, Confirming
from agentguard.guard.freezing import Freezing
from agentguard.guard.in_force import Now
from agentguard.guard.judging import Judging
from agentguard.guard.once import Once
from agentguard.guard.permit import Permit, Settled
from agentguard.guard.principals import Principals
from agentguard.guard.records import Records
from agentguard.guard.revealing import restore_call, snapshot_of
from agentguard.guard.running import Running
from agentguard.guard.settling import Settling
from agentguard.guard.streaming import TextMasking
from agentguard.guard.tokens import TokenBook
from agentguard.guard.tools import RunnableTool, StreamingTool, check_names
from agentguard.guard.tracing import UNTRACED, Trace, Tracing
from agentguard.guard.words import WordBook
from agentguard.masking import Masker
from agentguard.model.approvals import State
from agentguard.model.calls import Principal, Tool, ToolCall
from agentguard.model.verdicts import Effect
from agentguard.policy import Policy, Reveal

P = ParamSpec("P")
R = TypeVar("R")

_RUN_STATE = "state of a run"
_ALLOW: Final = Effect.ALLOW  # Python 3.11 looks a member of an Enum up in Python each time that it is named


class Closing(Protocol):
    """Whatever must be closed with the guard."""

    def close(self) -> None:
        """Close it, once."""
        ...


class GateFunction(Protocol):
    """Puts a gate into a function: what `Guard.tool` does."""

    def __call__(
        self, guard: Guard, function: Callable[..., Any], name: str | None, description: str | None, /
    ) -> Callable[..., Any]:
        """The function, of its own kind, each of whose calls is admitted and settled."""
        ...


@dataclass(frozen=True, kw_only=True, repr=False)
class Guard:
    """Stands between an agent and its tools. Made by `open_guard`; use it as a context manager or `close()` it."""

    in_force: Now
    principals: Principals
    tokens: TokenBook
    words: WordBook
    judging: Judging
    records: Records
    freezing: Freezing
    once: Once
    confirming: Confirming
    asking: Asking
    cases: Cases
    settler: Settling
    closing: Closing
    gate_function: GateFunction
    tracing: Tracing = UNTRACED

    @property
    def policy(self) -> Policy:
        """The policy in force now."""
        return self.in_force().policy

    @property
    def masker(self) -> Masker:
        """The masker in force now."""
        return self.in_force().masker

    @contextmanager
    def session(
        self,
        *,
        user: str | None = None,
        id: str | None = None,
        run: str = "",
        autonomous: bool = False,
        asked: str = "",
    ) -> Iterator[Principal]:
        """Open a session: one conversation or run of the agent, on one user's behalf.

        Give the conversation's own `id` so that tokens and labels last across processes; left out, a new one is made.
        `run` tells attempts apart that may repeat the model's call ids. `asked`: the user's own words, which those who decide
        are shown, and which conditions compare values with (`user_wrote`). Raises ConfigurationError.
        """
        with self.principals.session(user=user, id=id, run=run, autonomous=autonomous, asked=asked) as principal:
            if asked:
                self.words.told(self.policy, principal, asked)
            yield principal

    async def user_said(self, text: str) -> None:
        """The user of the open session wrote this, besides what `session(asked=...)` told. Raises NoSession, GuardUnavailable.

        The user's own words alone: no result of a tool, no file, nothing that a model wrote.
        """
        principal = self.principals.current()
        self.principals.heard(principal, text)
        await self.words.tell(self.policy, principal, text)

    @overload
    def tool(self, function: Callable[P, R], /) -> Callable[P, R]: ...

    @overload
    def tool(
        self, /, *, name: str | None = None, description: str | None = None
    ) -> Callable[[Callable[P, R]], Callable[P, R]]: ...

    def tool(
        self, function: Callable[..., Any] | None = None, /, *, name: str | None = None, description: str | None = None
    ) -> Callable[..., Any]:
        """`@guard.tool`: the function with a gate in it, sync, async or a generator of text, called as before.

        A refused call raises CallRefused, and what the function gives comes back masked. Raises ConfigurationError.
        """
        if function is None:
            return lambda given: self.gate_function(self, given, name, description)
        return self.gate_function(self, function, name, description)

    def expect(self, *tools: Tool) -> None:
        """Say which tools the model may call. Integrations do.

        Where a tool gets a value in a parameter that takes no token (an e-mail address, a date, a number), the model is given such values
        as stand-ins of that format from now on. A tool that nobody announced is known from its first call on.
        """
        for tool in tools:
            self.tokens.expect(tool, self.reveals(tool.name))

    def reveals(self, tool: str) -> tuple[Reveal, ...]:
        """Where this tool gets values in place of tokens."""
        return self.in_force().policy.terms(tool).reveal

    @property
    def blocking(self) -> BlockingGuard:
        """The sync door: the same road, for code that doesn't await."""
        return BlockingGuard(self)

    async def run(self, call: ToolCall, tool: RunnableTool) -> Any:
        """Admit the call, run the tool, mask what comes back."""
        permit = await self.admit(call, tool)
        async with self.settling(permit) as outcome:
            outcome.result = await tool(permit.arguments)  # 7
        return outcome.masked

    async def admit(
        self,
        call: ToolCall,
        tool: Tool,
        *,
        hold_seconds: float | None = None,
        confirmation: Confirmation | None = None,
    ) -> Permit:
        """Steps 1 to 6: a permit to run this call once.

        `hold_seconds`: how long the caller can wait for people; after that (where policy says `wait: defer`, at once) it gets
        CallPending, and the same call made again comes back for the answer. None: until the deadline.

        `confirmation`: the caller can ask the user. For a call that they alone must confirm it gets CallUnconfirmed, with the question,
        and makes the call again with their answer.

        Raises CallRefused (an answer for the model), or a Fault, NoSession or ConfigurationError (nothing ran, and no model can
        help).
        """
        started = time.perf_counter_ns()
        principal = self.principals.current()
        check_names(call, tool)
        trace = self.tracing.begun(call, principal)
        try:
            permit, case = await self._judged(call, tool, principal, started, trace)  # 1 to 4
            if case is None:
                return permit
            return await self._asked(case, permit, 0.0 if case.defers else hold_seconds, confirmation)  # 5, 6
        except CallRefused as refusal:
            trace.ended(refusal.reason.value, type(refusal).__name__)
            await self.records.refused(principal, call, refusal)
            raise
        except Fault as fault:
            trace.ended("did not run", type(fault).__name__)
            self.records.fault(principal, call, fault)
            raise
        except BaseException as error:
            trace.ended("did not run", type(error).__name__)
            raise

    def allows_unasked(self, tool: str) -> bool:
        """Whether policy allows calls of a tool whatever they hold, and asks nobody: for tools that run where no guard stands."""
        return self.policy.allows_unasked(tool)

    async def masked(self, value: Any, *, origin: str) -> Any:
        """What the model may see of a value that no call gave: a listing, a prompt, what a server says meanwhile.

        `origin` is where it came from, kept with its tokens as a tool's name is. Raises GuardUnavailable.
        """
        return await self.settler.shown(self.principals.current(), value, origin)

    async def standing(self, request_id: str, *, hold_seconds: float = 0.0) -> str:
        """How a request of this session stands, in words for the model, after waiting so long for its decision. Runs nothing.

        Raises RequestNotFound for one of another session, as for none; GuardUnavailable.
        """
        return await self.asking.standing(self.principals.current(), request_id, hold_seconds)

    async def waits(self, call_id: str) -> bool | None:
        """Whether people have yet to decide on this session's call with this id; None where nobody was asked about it. Runs nothing.

        For frameworks whose runs sleep meanwhile. Raises GuardUnavailable, NoSession.
        """
        return await self.asking.waits(self.principals.current(), call_id)

    async def settle(self, permit: Permit, result: Any) -> Any:
        """Step 8 for a tool that returned: what the model may see of the result. Raises ResultWithheld."""
        return (await self.settler.returned(permit, result)).told

    async def settled(self, permit: Permit, result: Any) -> Settled:
        """The same, for who tells the model in a message of its own what people changed of the call."""
        return await self.settler.returned(permit, result)

    async def settle_error(self, permit: Permit, error: BaseException) -> BaseException:
        """Step 8 for a tool that raised: what to raise in its place, outside of any handler of `error`.

        The error, masked; or the Fault that kept it from being settled. What is no Exception stays none, and its outcome is unknown.
        """
        return await self.settler.raised(permit, error)

    def settling(self, permit: Permit) -> Running:
        """Run the tool inside, `async with guard.settling(permit) as outcome`: set `outcome.result`, read `outcome.masked` after.

        An error of the tool ends the block quietly and is raised, masked, by `outcome.masked`: raised by the block itself it would
        carry the raw error as its context. Cancellation passes, and leaves the outcome unknown.
        """
        return Running(self.settler, permit)

    async def stream(self, call: ToolCall, tool: StreamingTool) -> AsyncGenerator[str, None]:
        """Admit the call, run a tool that gives text in pieces, and give each part masked. See `Settling.streamed`."""
        permit = await self.admit(call, tool)
        async with aclosing(self.settler.streamed(permit, tool.stream(permit.arguments))) as parts:
            async for shown in parts:
                yield shown

    def masking(self, *, origin: str) -> TextMasking:
        """Masks one text that comes in pieces and no call gave, on its way to the model: `feed` each, `finish` it. Raises NoSession.

        `origin` is where it came from, kept with its tokens as a tool's name is.
        """
        return self.settler.text(self.principals.current(), origin)

    async def answer(self, text: str) -> str:
        """The final answer as its user may read it: tokens become values for the entity types of `masking.answer`, on record.

        Raises GuardUnavailable, NoSession.
        """
        return await self.answering().finish(text)

    def answering(self) -> Answering:
        """The same for an answer that comes in pieces: `feed` each, `finish` it. Raises NoSession."""
        return Answering(
            principal=self.principals.current(), tokens=self.tokens, records=self.records, in_force=self.in_force
        )

    def seal(self, state: bytes) -> bytes:
        """State of a run, for whoever stores it: unreadable and unchangeable without this side's keys."""
        return self.asking.sealer.seal(state, _RUN_STATE)

    def unseal(self, sealed: bytes) -> bytes:
        """What was sealed. Raises GuardUnavailable where it was changed, or is of other keys."""
        return self.asking.sealer.open(sealed, _RUN_STATE)

    def close(self) -> None:
        """Flush and close the journal, the line to Redis and the embedded server, if this was its last user."""
        self.closing.close()

    def __enter__(self) -> Guard:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def _judged(
        self, call: ToolCall, tool: Tool, principal: Principal, started: int, trace: Trace
    ) -> tuple[Permit, Case | None]:
        """Steps 1 to 4. The permit of a call that policy allows; of one to ask about what is to become it, and its case.

        Nothing else of these steps is kept while people think, which thousands of calls may wait for. Raises CallRefused.
        """
        rules = self.in_force()
        policy, terms = rules.policy, rules.policy.terms(tool.name)
        if terms.reveal:
            self.tokens.expect(tool, terms.reveal)
        ids = self.tokens.fresh(principal) or await self.tokens.recall(principal)
        if rules.maskers.arguments:
            call = await rules.maskers.outgoing(call, self.tokens, principal)
        restored = await restore_call(call, tool, terms.reveal, self.tokens, principal)  # 1
        snapshot = snapshot_of(tool, restored)  # 2
        arguments = snapshot.arguments
        shown = arguments if snapshot.shown_text is None else snapshot.shown
        masked = rules.masker.mask(restored.veil(shown), ids)
        evidence = await self.judging.evidence(policy, tool, principal, masked.entities, restored.known)
        judged = await self.judging.judge(policy, tool.name, snapshot, arguments, principal, evidence)  # 3
        verdict = judged.verdict
        trace.judged(verdict)
        await self.records.judged(
            principal, call, verdict, snapshot, masked, restored.revealed, facts=judged.facts, bill=judged.bill
        )  # 4
        permit = Permit(
            call=call,
            principal=principal,
            verdict=verdict,
            snapshot=snapshot,
            admitted_ns=started,
            bill=judged.bill,
            put=restored.put,
            trace=trace,
            returns=getattr(tool, "returns", None),
        )
        if verdict.effect is _ALLOW:
            deeds = self.once.named(policy, arguments, verdict) if policy.has_deeds else ()
            if not deeds:
                await self.freezing.begin(permit)
                return permit, None
            await self.freezing.check(principal, tool.name)
            return replace(permit, undertaking=await self.once.begin(principal, call, deeds)), None
        match verdict.effect:
            case Effect.DENY:
                raise refusals.denied(verdict)
            case Effect.ASK:
                return permit, await self.cases.case(rules, call, tool, principal, snapshot, restored, judged)
            case _:
                assert_never(verdict.effect)

    async def _asked(
        self, case: Case, permit: Permit, hold_seconds: float | None, confirmation: Confirmation | None
    ) -> Permit:
        """The permit that people gave. What the call takes from limits is held while they think, and spent before it runs."""
        deeds = self.once.named(self.policy, case.snapshot.arguments, case.verdict)
        await self.freezing.check(case.principal, case.tool.name)
        await self.once.must_be_free(case.principal, case.call, deeds)
        with self.judging.budgets.held(case.bill):
            permit, approved = await self._given(case, permit, hold_seconds, confirmation)
            try:
                permit = await self._undertaken(approved, permit)
                permit = replace(permit, bill=await self.judging.spend(self.policy, approved))
                if permit.claim is None and not permit.undertaking.deeds:
                    await self.freezing.begin(permit)
            except BaseException:
                await self.once.end(permit.undertaking, None)
                if permit.claim is not None:
                    await self.asking.finish(permit.claim, State.FAILED)
                raise
        self.cases.carding.learn(self.policy, approved.tool.name, approved.snapshot)
        return permit

    async def _given(
        self, case: Case, permit: Permit, hold_seconds: float | None, confirmation: Confirmation | None
    ) -> tuple[Permit, Case]:
        """The permit that a grant gives, or the user where they are, or else people who are asked; and the case as they approved it."""
        if await self.asking.granting.use(case) is not None or await self.confirming.confirmed(case, confirmation):
            return permit, case
        approved, claim = await self.asking.ask(case, hold_seconds)
        return replace(
            permit, snapshot=approved.snapshot, put=approved.put, claim=claim, changes=approved.changes
        ), approved

    async def _undertaken(self, approved: Case, permit: Permit) -> Permit:
        """The permit with what the approved call may do once begun, under the fence of its claim, if it has one."""
        deeds = self.once.named(self.policy, approved.snapshot.arguments, approved.verdict)
        if not deeds:
            return permit
        fence, request = ("", None) if permit.claim is None else (permit.claim.fence, permit.claim.request_id)
        undertaking = await self.once.begin(approved.principal, approved.call, deeds, fence=fence, request=request)
        return replace(permit, undertaking=undertaking)
