"""The rules of the scripts: for each where its tests are, and changes of the script that break it."""

from __future__ import annotations

from dataclasses import dataclass

from tests.approval import (
    test_channel,
    test_deeds,
    test_edits,
    test_freezes,
    test_moves,
    test_restraint,
    test_states,
    test_steps,
    test_together,
)
from tests.approval.batteries import Test


@dataclass(frozen=True)
class Row:
    """A rule, by how it begins; its tests; and changes that break it, each as what stands in the script and what would stand there."""

    script: str
    rule: str
    tests: tuple[Test, ...]
    changes: tuple[tuple[str, str], ...]


_open, _defer, _deeds, _orders, _grants, _votes, _edit = (
    getattr(test_moves, f"Test{name}")() for name in ("Open", "Defer", "Deeds", "Orders", "Grants", "Vote", "Edit")
)
_steps = test_steps.TestTaking()
_read, _frozen = test_moves.TestRead(), test_moves.TestRedeem()
_opening, _vote, _withdraw, _expire, _redeem, _running = (
    getattr(test_channel, f"Test{name}")() for name in ("Open", "Vote", "Withdraw", "Expire", "Redeem", "Running")
)
_states = test_states.test_t8_the_state_follows_from_the_hashes_and_the_clock

ROWS = (
    Row(
        "begin",
        "all deeds of a call begin",
        (test_deeds.test_all_deeds_of_a_call_begin_or_none,),
        (("if not free then return", "if not free and index == 2 then return"),),
    ),
    Row(
        "begin",
        "the same fence again",
        (
            test_deeds.test_t7_a_lost_reply_does_not_stand_in_its_own_way,
            _deeds.test_the_same_fence_again_renews_the_lease,
        ),
        (
            ("deed.fence == fence or ", ""),
            (
                "redis.call('HSET', KEYS[index], 'until_ms', whole(now + tonumber(ARGV[3])))",
                "redis.call('HSETNX', KEYS[index], 'until_ms', whole(now + tonumber(ARGV[3])))",
            ),
        ),
    ),
    Row(
        "begin",
        "a deed that another fence began",
        (
            test_deeds.test_a_deed_begins_once,
            test_deeds.test_however_an_attempt_ended_it_stands_in_the_way,
            test_deeds.test_a_late_renewal_does_not_bring_an_ended_attempt_back,
        ),
        (
            ("local free = ", "local free = true or "),
            ("local free = ", "local free = deed.outcome == 'failed' or "),
            ("redis.call('HGET', KEYS[index], 'fence') ~= fence", "true"),
        ),
    ),
    Row(
        "begin",
        "only the very attempt",
        (
            _deeds.test_t7_only_the_attempt_that_did_not_happen_gives_way,
            _deeds.test_t7_an_attempt_that_takes_the_place_of_another_begins_afresh,
            test_deeds.test_a_person_settles_what_may_have_happened,
        ),
        (
            ("deed.fence == ARGV[2 * index + 2] and", "ARGV[2 * index + 2] ~= '' and"),
            (" and deed.outcome ~= 'done'", ""),
            ("redis.call('HDEL', KEYS[index], 'outcome')", ""),
        ),
    ),
    Row(
        "defer",
        "a pending request is deferred",
        (_defer.test_what_is_pending_is_deferred_and_stays_so,),
        (("if state == 'pending' then", "if state == 'approved' then"),),
    ),
    Row(
        "defer",
        "one that was decided meanwhile",
        (_defer.test_what_was_decided_meanwhile_is_left_alone,),
        (("if state == 'pending' then redis", "if true then redis"),),
    ),
    Row(
        "edit",
        "only a pending request is edited",
        (
            test_edits.test_t3_an_edit_after_the_decision_is_told_the_state,
            _edit.test_t3_an_edit_that_comes_too_late_or_is_of_another_call_is_not_put,
        ),
        (
            ("if state ~= 'pending' then", "if false then"),
            ("request.revision ~= ARGV[3] or ", ""),
            (" or request.digest ~= ARGV[4]", ""),
        ),
    ),
    Row(
        "edit",
        "the same edit again",
        (
            test_edits.test_an_edit_that_another_one_replaced_is_not_answered,
            test_edits.test_an_edit_waits_for_the_agents_side,
        ),
        (("'HSET', KEYS[2], 'edit'", "'HSETNX', KEYS[2], 'edit'"),),
    ),
    Row(
        "edit",
        "nothing of the request itself",
        (test_edits.test_an_edit_waits_for_the_agents_side,),
        (
            (
                "redis.call('HSET', KEYS[2], 'edit', ARGV[2])",
                "redis.call('HSET', KEYS[2], 'edit', ARGV[2], 'version', 9, 'resolution', 'approved')",
            ),
        ),
    ),
    Row(
        "end",
        "only the fence that began",
        (test_deeds.test_only_its_fence_ends_an_attempt_and_once,),
        (("deed.fence == ARGV[1] and ", ""), (" and not deed.outcome", "")),
    ),
    Row(
        "end",
        "a call that did not run",
        (
            test_deeds.test_what_did_not_run_leaves_no_trace,
            _deeds.test_t7_what_failed_stays_listed_until_somebody_found_out,
        ),
        (
            ("redis.call('HDEL', KEYS[index], 'fence', 'record', 'until_ms')", ""),
            ("ARGV[2] == 'nothing' or ARGV[2] == 'done'", "ARGV[2] == 'done'"),
        ),
    ),
    Row(
        "end",
        "what failed may have happened",
        (
            _deeds.test_t7_what_failed_stays_listed_until_somebody_found_out,
            test_deeds.test_what_is_not_known_to_be_done_is_listed,
        ),
        (
            ("ARGV[2] == 'nothing' or ARGV[2] == 'done'", "true"),
            ("ARGV[2] == 'nothing' or ARGV[2] == 'done'", "ARGV[2] == 'nothing'"),
        ),
    ),
    Row(
        "expire",
        "that a request is expired",
        (_expire.test_nothing_expires_early,),
        (("state == 'expired' and redis", "redis"),),
    ),
    Row(
        "expire",
        "the event is written once",
        (_expire.test_the_end_is_announced_once, _expire.test_whoever_lives_says_it_for_who_is_gone),
        ((" and redis.call('ZSCORE', KEYS[4], ARGV[1])", ""), ("announce(", "local _ = (")),
    ),
    Row(
        "expire",
        "an id whose record is gone",
        (_expire.test_an_id_that_is_gone_leaves_the_index,),
        (("  redis.call('ZREM', KEYS[4], ARGV[1])\n", ""),),
    ),
    Row(
        "finish",
        "only the fence that got",
        (_running.test_t7_the_wrong_fence_says_nothing, _running.test_t7_who_was_only_slow_wins_over_unknown),
        (("claim.fence ~= ARGV[2]", "false"), ("claim.fence ~= ARGV[2]", "state == 'unknown'")),
    ),
    Row(
        "finish",
        "the same outcome again",
        (_running.test_the_right_fence_says_how_it_ended, _running.test_another_outcome_later_is_refused),
        (
            ("claim.outcome == ARGV[3] and 'finished' or 'ended'", "'finished'"),
            ("claim.outcome == ARGV[3] and 'finished' or 'ended'", "'ended'"),
            ("if claim.outcome then", "if false then"),
        ),
    ),
    Row(
        "freeze",
        "one order for each scope",
        (test_freezes.test_an_order_of_a_scope_that_is_frozen_changes_nothing,),
        (("if before and before ~= ARGV[2]", "if false"),),
    ),
    Row(
        "freeze",
        "the same order again",
        (_orders.test_the_same_order_again_is_the_same_order,),
        ((" and before ~= ARGV[2] then return {'before', now, before}", " then return {'before', now, ''}"),),
    ),
    Row(
        "lift",
        "only the very order",
        (_orders.test_a_lift_ends_the_very_order_that_it_is_on,),
        (
            ("redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2]", "false"),
            ("redis.call('GET', KEYS[2]) == ARGV[3] and 'lifted' or 'missing'", "'missing'"),
        ),
    ),
    Row(
        "lift",
        "the word is kept beside it",
        (test_freezes.test_an_order_stands_until_a_second_person_lifts_it,),
        (("redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])", ""),),
    ),
    Row(
        "open",
        "the same id with the same record",
        (_open.test_the_same_record_under_the_same_id_is_one_opening, _opening.test_an_id_in_use_is_not_taken_over),
        (
            ("known == ARGV[2] and 'created' or 'taken'", "'taken'"),
            ("known == ARGV[2] and 'created' or 'taken'", "'created'"),
            ("if known then", "if false then"),
        ),
    ),
    Row(
        "open",
        "a call id names one call",
        (
            _opening.test_t2_the_same_call_is_found_in_whatever_state_it_is,
            _opening.test_t2_a_call_id_names_one_call,
            _opening.test_a_call_that_joined_finds_the_request_by_its_own_id,
        ),
        (
            ("call.model_digest == ARGV[7] and 'found' or 'reused'", "'found'"),
            ("if call.id then", "if false then"),
            ("    remember_call(other)\n", ""),
        ),
    ),
    Row(
        "open",
        "another call with the same digest in the session",
        (
            _opening.test_another_call_with_the_same_digest_joins_while_pending,
            _opening.test_t2_another_call_does_not_join_what_was_decided,
        ),
        (("state == 'pending' and 'joined' or ", ""), ("request.deferred and COMES_BACK[state]", "COMES_BACK[state]")),
    ),
    Row(
        "open",
        "where that was deferred",
        (
            _open.test_the_call_comes_back_to_what_was_deferred,
            _open.test_t7_a_deferred_call_that_runs_or_may_have_run_is_found,
            _open.test_a_deferred_call_that_was_withdrawn_is_asked_about_anew,
        ),
        (
            ("approved = 'joined', ", ""),
            ("rejected = 'found', ", ""),
            ("executing = 'found', ", ""),
            (", unknown = 'found'", ""),
            ("unknown = 'found'", "unknown = 'found', withdrawn = 'found'"),
        ),
    ),
    Row(
        "open",
        "another call with the same digest that a person rejected",
        (
            test_restraint.test_t19_a_call_that_was_just_rejected_finds_that_rejection,
            test_restraint.test_a_rejection_is_the_answer_to_that_call_alone_and_for_a_while,
            test_restraint.test_a_rejection_whose_time_is_lost_counts_from_the_deadline,
            _open.test_only_a_rejection_is_the_answer_for_a_while,
        ),
        (
            ("or is_just_rejected(state, other, request) and 'found'", ""),
            ("if state ~= 'rejected' then return false end", ""),
            ("return now < at + after_rejection", "return true"),
            (" or request.deadline_ms) or now", ") or 0"),
        ),
    ),
    Row(
        "open",
        "only what opens a new request counts",
        (
            test_restraint.test_what_opens_nothing_new_is_no_question,
            test_restraint.test_what_people_are_done_with_waits_no_longer,
        ),
        (
            (
                "local other = redis.call('GET', KEYS[5])",
                "if too_much() then return too_much() end\nlocal other = redis.call('GET', KEYS[5])",
            ),
            ("if not deadline then", "if false then"),
        ),
    ),
    Row(
        "open",
        "an agent whose requests would be too many",
        (
            test_restraint.test_t19_only_so_many_requests_of_one_agent_wait_at_once,
            test_restraint.test_t19_an_agent_that_asks_too_often_is_paused,
            test_restraint.test_a_question_that_is_over_still_counts_in_its_minute,
        ),
        (
            ("if refused then return refused end", ""),
            ("if count >= tonumber(ARGV[16]) then", "if false then"),
            ("  redis.call('ZADD', KEYS[14], whole(now), id)\n", ""),
            ("    redis.call('SET', KEYS[15], whole(now + pause), 'PX', whole(pause))\n", ""),
        ),
    ),
    Row(
        "open",
        "times come from Redis",
        (_opening.test_a_clock_that_is_off_is_set_right,),
        (("math.abs(now - opened) > 2000 or ", ""),),
    ),
    Row(
        "open",
        "a request that is past its deadline",
        (_open.test_t8_what_is_late_already_is_not_opened,),
        (("deadline <= now or ", ""), (" or redeem_by < deadline", "")),
    ),
    Row(
        "read",
        "writes nothing",
        (_read.test_reading_writes_nothing,),
        (("local found = {now}", "local found = {now}\nredis.call('HSET', KEYS[1], 'read_ms', now)"),),
    ),
    Row(
        "read",
        "all of them stand",
        (_read.test_all_stand_as_at_one_time, _opening.test_what_is_read_is_what_was_opened),
        (("standing(now, KEYS[first]", "standing(now + first * 1000000, KEYS[first]"),),
    ),
    Row(
        "redeem",
        "exactly one fence",
        (
            _redeem.test_t2_fifty_at_once_get_exactly_one_permit,
            _redeem.test_t7_a_lost_reply_does_not_lose_the_permit,
            _redeem.test_t7_the_same_fence_gets_nothing_once_its_lease_ran_out,
            _redeem.test_t7_the_same_fence_gets_nothing_once_it_finished,
        ),
        (
            ("state == 'executing' and claim.fence == ARGV[3]", "state == 'executing'"),
            ("state == 'executing' and claim.fence == ARGV[3]", "false"),
            ("state == 'executing' and claim.fence", "claim.fence"),
        ),
    ),
    Row(
        "redeem",
        "only an approved request",
        (_redeem.test_a_pending_request_gives_no_permit, _redeem.test_t8_a_permit_expires_on_its_own),
        (
            ("if state ~= 'approved' then", "if false then"),
            ("if state ~= 'approved' then", "if state ~= 'approved' and state ~= 'expired' then"),
        ),
    ),
    Row(
        "redeem",
        "only the very votes",
        (_redeem.test_only_the_votes_that_were_verified_give_a_permit,),
        (("if version ~= ARGV[2]", "if false"),),
    ),
    Row(
        "redeem",
        "none while the tenant",
        (_frozen.test_t32_an_order_that_anybody_wrote_stops_the_permit,),
        (("'tenant:', ", ""), ("'agent:' .. ARGV[7], ", ""), (", 'tool:' .. ARGV[8]", "")),
    ),
    Row(
        "remember",
        "an index only",
        (_grants.test_a_grant_is_found_where_later_calls_look_and_what_is_over_is_forgotten,),
        (("redis.call('ZADD', KEYS[index], ARGV[2], ARGV[1])", "redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])"),),
    ),
    Row(
        "remember",
        "what is over is forgotten",
        (_grants.test_a_grant_is_found_where_later_calls_look_and_what_is_over_is_forgotten,),
        (
            ("  redis.call('ZREMRANGEBYSCORE', KEYS[index], '-inf', whole(now))\n", ""),
            ("if last[2] then", "if false then"),
        ),
    ),
    Row(
        "renew",
        "only the fence that got",
        (_running.test_t7_the_wrong_fence_says_nothing, _running.test_nothing_is_renewed_after_the_end),
        (("claim.fence ~= ARGV[1] or ", ""), (" or claim.outcome then", " then")),
    ),
    Row(
        "renew",
        "a lease that ran out",
        (_running.test_t7_who_was_only_slow_wins_over_unknown,),
        (
            ("claim.fence ~= ARGV[1]", "state ~= 'executing' or claim.fence ~= ARGV[1]"),
            ("redis.call('HSET', KEYS[3], 'until_ms', whole(now + tonumber(ARGV[2])))", ""),
        ),
    ),
    Row(
        "revise",
        "only a pending request",
        (
            test_edits.test_t3_an_edit_after_the_decision_is_told_the_state,
            test_edits.test_an_edit_that_another_one_replaced_is_not_answered,
        ),
        (("if state ~= 'pending' then", "if false then"), ("votes.edit ~= ARGV[2] or ", "")),
    ),
    Row(
        "revise",
        "the next revision takes the place",
        (
            test_edits.test_a_revision_takes_the_place_of_what_was_and_keeps_it,
            test_edits.test_a_refused_edit_says_why_and_changes_nothing,
        ),
        (
            ("'record.' .. request.revision, request.record, ", ""),
            ("'input.' .. request.revision, input", "'input.' .. request.revision, ''"),
            ("if ARGV[4] == '' then", "if true then"),
            ("'input', ARGV[7], ", ""),
        ),
    ),
    Row("revise", "votes bind a revision", (test_edits.test_votes_bind_a_revision,), (("'revision', ARGV[8], ", ""),)),
    Row(
        "revise",
        "the same answer again",
        (test_edits.test_the_same_answer_again_is_the_same_answer,),
        (("if request.edit_done == ARGV[2]", "if false"),),
    ),
    Row(
        "settle",
        "only a run that held",
        (
            test_deeds.test_what_still_runs_is_not_settled,
            test_deeds.test_what_is_known_to_be_done_is_not_settled,
            _deeds.test_what_was_settled_is_listed_no_more,
        ),
        (
            ("if run.outcome == 'done' then", "if false then"),
            ("not run.outcome and now <", "false and now <"),
            ("redis.call('ZREM', KEYS[3], ARGV[1])", ""),
        ),
    ),
    Row(
        "settle",
        "the same word again",
        (test_deeds.test_a_run_is_settled_once,),
        (("if before then", "if false then"), ("before == ARGV[3] and 'settled' or 'differs'", "'settled'")),
    ),
    Row("state", "no request", (_states,), (("if not request.record then return 'missing' end", ""),)),
    Row(
        "state",
        "a claim with an outcome",
        (_states,),
        (
            ("ENDS[claim.outcome] or 'unknown'", "'done'"),
            ("or 'unknown' end\n  if claim.fence", "or 'approved' end\n  if claim.fence"),
            ("now < (tonumber(claim.until_ms) or 0)", "now <= (tonumber(claim.until_ms) or 0)"),
            ("and 'executing' or 'unknown'", "and 'executing' or 'approved'"),
        ),
    ),
    Row(
        "state",
        "a request taken back",
        (_states,),
        (
            ("if request.withdrawn then return 'withdrawn' end", ""),
            ("if votes.resolution == 'rejected' then return 'rejected' end", ""),
        ),
    ),
    Row(
        "state",
        'a resolution "approved"',
        (_states,),
        (
            ("now < (tonumber(request.redeem_by_ms) or 0)", "now <= (tonumber(request.redeem_by_ms) or 0)"),
            ("request.redeem_by_ms) or 0)", "request.redeem_by_ms) or 9e15)"),
        ),
    ),
    Row(
        "state",
        "any other resolution",
        (_states,),
        (
            ("if votes.resolution then return 'expired' end", ""),
            ("request.deadline_ms) or 0)", "request.deadline_ms) or 9e15)"),
        ),
    ),
    Row(
        "state",
        'else "pending"',
        (_states,),
        (("now < (tonumber(request.deadline_ms)", "now <= (tonumber(request.deadline_ms)"),),
    ),
    Row(
        "step",
        "a step is taken at its time",
        (
            _steps.test_t8_a_clock_that_is_ahead_tells_nothing_early,
            _steps.test_a_reminder_is_told_once_by_whichever_of_many_comes_first,
            _steps.test_after_the_last_step_nothing_is_due,
        ),
        (
            (" or now < tonumber(due)", ""),
            ("redis.call('ZADD', KEYS[4], ARGV[3], ARGV[1])", "redis.call('ZSCORE', KEYS[4], ARGV[1])"),
            ("if ARGV[3] == '' then redis.call('ZREM', KEYS[4], ARGV[1]) else", "if ARGV[3] ~= '' then"),
        ),
    ),
    Row(
        "step",
        "a request that is no longer pending",
        (_steps.test_what_no_longer_waits_is_not_urged,),
        (
            ("if state ~= 'pending' then", "if false then"),
            ("  redis.call('ZREM', KEYS[4], ARGV[1])\n  return", "  return"),
        ),
    ),
    Row(
        "use",
        "not at or after until_ms",
        (_grants.test_t8_a_grant_that_is_over_or_was_revoked_or_is_frozen_gives_no_permit,),
        (
            ("if now >= (tonumber(ARGV[2]) or 0)", "if false"),
            ("redis.call('EXISTS', KEYS[2]) == 1", "false"),
            ("'tenant:', ", ""),
            ("'agent:' .. ARGV[4], ", ""),
            (", 'tool:' .. ARGV[5]", ""),
        ),
    ),
    Row(
        "use",
        "no more uses than",
        (_grants.test_t2_no_more_uses_than_granted_and_no_call_twice,),
        (("if number > (", "if false and number > ("), ("redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1", "false")),
    ),
    Row(
        "vote",
        "the same vote again",
        (
            _vote.test_t3_the_same_vote_again_is_the_same_vote,
            test_together.test_t10_the_same_press_again_changes_nothing,
        ),
        (("redis.call('HGET', cast.votes_key, field) ~= cast.vote", "true"),),
    ),
    Row(
        "vote",
        "only a pending request",
        (_vote.test_t3_an_opposite_late_vote_gets_the_state, _vote.test_t8_a_vote_at_the_deadline_is_refused),
        (
            ("if state ~= 'pending' then", "if false then"),
            ("if state ~= 'pending' then", "if state ~= 'pending' and state ~= 'expired' then"),
        ),
    ),
    Row(
        "vote",
        "a vote on another revision",
        (_vote.test_t1_a_vote_on_another_call_is_refused, test_edits.test_votes_bind_a_revision),
        (("request.revision == cast.revision and ", ""), ("request.digest == cast.digest and ", "")),
    ),
    Row(
        "vote",
        "the answer holds only",
        (_vote.test_a_vote_that_was_tallied_on_something_else_is_refused, _vote.test_a_vote_is_kept_and_counts),
        ((" and version == cast.version", ""), ("  redis.call('HINCRBY', cast.votes_key, 'version', 1)\n", "")),
    ),
    Row(
        "vote",
        "a person has one vote",
        (_vote.test_a_person_has_one_vote, _vote.test_a_vote_makes_nothing_but_an_answer),
        (
            (
                "redis.call('HSET', cast.votes_key, field, cast.vote)",
                "redis.call('HSETNX', cast.votes_key, field, cast.vote)",
            ),
            ("if not BECOMES[cast.becomes] then", "if false then"),
        ),
    ),
    Row(
        "vote",
        "all votes are put, or none",
        (
            _votes.test_t38_of_votes_of_which_one_can_not_be_put_none_is,
            test_together.test_t38_where_one_ended_in_between_nothing_is_decided,
        ),
        (
            (
                "    table.insert(to_put, cast)",
                "    table.insert(to_put, cast)\n    redis.call('HSET', cast.votes_key, field, cast.vote)",
            ),
            (
                "if state ~= 'pending' then return {'ended', now, state, cast.id} end",
                "if state ~= 'pending' then break end",
            ),
        ),
    ),
    Row(
        "withdraw",
        "a pending request can be taken back",
        (
            _withdraw.test_what_did_not_run_can_be_taken_back,
            _withdraw.test_a_vote_after_the_withdrawal_is_refused,
            _withdraw.test_a_permit_after_the_withdrawal_is_refused,
        ),
        ((" and state ~= 'approved'", ""), ("redis.call('HSET', KEYS[1], 'withdrawn', ARGV[2])", "")),
    ),
    Row(
        "withdraw",
        "taking it back again",
        (_withdraw.test_what_did_not_run_can_be_taken_back,),
        (("if state == 'withdrawn' then return {'withdrawn', now, state} end", ""),),
    ),
    Row(
        "withdraw",
        "what ended, or runs",
        (_withdraw.test_what_runs_cannot_be_taken_back,),
        (("if state ~= 'pending' and state ~= 'approved' then return {'ended', now, state} end", ""),),
    ),
)
