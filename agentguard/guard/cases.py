"""Makes the case of a call that people are asked about, makes it anew where people change its arguments, and judges it once more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from agentguard.guard import refusals
from agentguard.guard.carding import Carding
from agentguard.guard.case import Case
from agentguard.guard.in_force import InForce, Now
from agentguard.guard.judging import Judgement, Judging
from agentguard.guard.offers import Offers
from agentguard.guard.principals import Principals
from agentguard.guard.records import Records
from agentguard.guard.revealing import Restored, restore_call, snapshot_of, still_revealed
from agentguard.guard.snapshot import Snapshot
from agentguard.guard.tokens import TokenBook
from agentguard.model.calls import Principal, Tool, ToolCall
from agentguard.model.facts import Facts
from agentguard.model.record import Json
from agentguard.model.verdicts import Effect, Verdict


@dataclass(frozen=True, kw_only=True)
class Cases:
    """Makes cases of one guard. Each coroutine raises CallRefused or GuardUnavailable."""

    in_force: Now
    principals: Principals
    tokens: TokenBook
    judging: Judging
    records: Records
    carding: Carding
    offers: Offers

    async def case(
        self,
        rules: InForce,
        call: ToolCall,
        tool: Tool,
        principal: Principal,
        snapshot: Snapshot,
        restored: Restored,
        judged: Judgement,
    ) -> Case:
        """The case of a call that was judged by these rules."""
        card = await self.carding.card(rules, call, principal, snapshot, restored, judged, self.principals.asked())
        offer = self.offers.offer(rules.policy, tool, judged.verdict, snapshot.arguments, card)
        return Case(
            call=call,
            tool=tool,
            principal=principal,
            snapshot=snapshot,
            tokens=restored.tokens,
            facts=judged.facts,
            verdict=judged.verdict,
            card_text=card.model_copy(update={"grant": offer}).canonical(),
            defers=rules.policy.defers(judged.verdict),
            revealed=restored.revealed,
            put=restored.put,
            notify=rules.policy.notified(judged.verdict),
            bill=judged.bill,
        )

    async def changed(self, case: Case, changes: Mapping[str, Json]) -> Case:
        """Steps 1 to 4 once more, with these changes of the model's own arguments: what the road refuses is refused here too."""
        rules, principal = self.in_force(), case.principal
        call = case.call._replace(arguments={**case.call.arguments, **changes})
        call = await rules.maskers.outgoing(call, self.tokens, principal)
        restored = await restore_call(
            call, case.tool, rules.policy.terms(call.tool).reveal, self.tokens, principal
        )  # 1
        snapshot = snapshot_of(case.tool, restored)  # 2
        masked = rules.masker.mask(restored.veil(snapshot.shown), self.tokens.ids(principal))
        evidence = await self.judging.evidence(
            rules.policy, case.tool, principal, masked.entities, restored.known, is_new=False
        )
        judged = await self.judging.edited(rules.policy, case, snapshot, snapshot.arguments, evidence)  # 3
        if judged.verdict.effect is Effect.DENY:
            raise refusals.denied(judged.verdict)
        await self.records.judged(
            principal, call, judged.verdict, snapshot, masked, restored.revealed, facts=judged.facts, bill=judged.bill
        )  # 4
        made = await self.case(rules, call, case.tool, principal, snapshot, restored, judged)
        return replace(made, call=case.call, changes=dict(changes))

    async def judge_again(self, case: Case, stored: Facts) -> tuple[Verdict, ...]:
        """The verdicts of the policy in force: with these stored facts, and with the facts of now.

        Nothing where it reveals less to the call.
        """
        policy = self.in_force().policy
        if not still_revealed(case.revealed, policy.terms(case.tool.name).reveal):
            return ()
        return await self.judging.again(policy, case, stored)
