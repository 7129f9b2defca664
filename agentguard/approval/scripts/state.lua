-- How a request stands: the one place where its state is derived. This text stands before every script of this folder.
--
-- A request is three hashes, one for each writer, so that access rules can keep each side from the other's:
--   request  the agent's side: record, mac, input, revision, digest, deadline_ms, redeem_by_ms, withdrawn (a reason), deferred, edit_done (the
--            last edit that was answered), edit_why (it was refused), changes (all edits so far, sealed), record.N and input.N (earlier revisions)
--   votes    the approvers' side: "vote:" .. person, version (a count of writes), resolution (approved | rejected), edit (the last one)
--   claim    the agent's side: fence, until_ms, outcome (done | failed | unknown), ended_ms
--
-- Rules, the first that fits:
-- - no request: "missing";
-- - a claim with an outcome is that outcome (a strange one is "unknown"); one whose lease runs is "executing"; one whose lease ran out is "unknown";
-- - a request taken back is "withdrawn"; a resolution "rejected" is "rejected";
-- - a resolution "approved" is "approved" before redeem_by_ms, "expired" from then on;
-- - any other resolution, or a time that is no number, is "expired": broken means no;
-- - else "pending" before deadline_ms, "expired" from then on.

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local ENDS = {done = 'done', failed = 'failed', unknown = 'unknown'}

local function derive(now, request, votes, claim)
  if not request.record then return 'missing' end
  if claim.outcome then return ENDS[claim.outcome] or 'unknown' end
  if claim.fence then
    return now < (tonumber(claim.until_ms) or 0) and 'executing' or 'unknown'
  end
  if request.withdrawn then return 'withdrawn' end
  if votes.resolution == 'rejected' then return 'rejected' end
  if votes.resolution == 'approved' then
    return now < (tonumber(request.redeem_by_ms) or 0) and 'approved' or 'expired'
  end
  if votes.resolution then return 'expired' end
  return now < (tonumber(request.deadline_ms) or 0) and 'pending' or 'expired'
end

local function fields(key, names)
  local values = redis.call('HMGET', key, unpack(names))
  local found = {}
  for index, name in ipairs(names) do found[name] = values[index] or nil end
  return found
end

local function standing(now, request_key, votes_key, claim_key)
  local request = fields(request_key,
    {'record', 'revision', 'digest', 'deadline_ms', 'redeem_by_ms', 'withdrawn', 'deferred', 'edit_done'})
  local votes = fields(votes_key, {'version', 'resolution', 'edit'})
  local claim = fields(claim_key, {'fence', 'until_ms', 'outcome', 'ended_ms'})
  local version = (request.revision or '0') .. '.' .. (votes.version or '0')
  return derive(now, request, votes, claim), version, request, votes, claim
end

local function whole(number) return string.format('%.0f', number) end

-- Keys live for the retention after the last move, and at least after the permit could last be redeemed.
local function keep_until(now, request, retention_ms)
  return whole(math.max(now, tonumber(request.redeem_by_ms) or 0) + retention_ms)
end

local function announce(events_key, events_max, now, id, kind, state)
  redis.call('XADD', events_key, 'MAXLEN', '~', events_max, '*', 'request', id, 'kind', kind, 'state', state, 'time_ms', whole(now))
end

local function leave_pending(pending_key, ended_key, now, id, retention_ms)
  redis.call('ZADD', ended_key, whole(now), id)
  redis.call('ZREMRANGEBYSCORE', ended_key, '-inf', '(' .. whole(now - retention_ms))
  return redis.call('ZREM', pending_key, id)
end
