-- The limits' counters, each verb in one step. KEYS[1] is the namespace; ARGV[1] the verb; ARGV[2] what is asked, in
-- msgpack, as is the answer. The rules are those of limiter.py and counter.py, and the same tests hold them.
--
-- {namespace}:n:COUNTER  hash: bucket -> amount, and `used` (their sum), `oldest` and `newest` bucket
-- {namespace}:h:COUNTER  sorted set: id of a running call, by when its lease ends
-- {namespace}:r:ID       what an open call has booked; empty once it is settled
-- {namespace}:restored    set: the counters that hold what was used before they were there
-- {namespace}:generation
--
-- Times are in microseconds; amounts, and their sums, at most 2^53 - 1: whole numbers that a double holds exactly.

local SECOND, DAY, MOST = 1000000, 86400000000, 9007199254740991
-- Keys live on for so many milliseconds after they have lost their meaning.
local SLACK = 60000
-- So long a settled call is remembered, in case its reservation arrives after its settlement.
local SETTLED = 30000

local space, verb, asked = KEYS[1], ARGV[1], cmsgpack.unpack(ARGV[2])
local now = asked.now
if not now then
    local time = redis.call('TIME')
    now = time[1] * SECOND + time[2]
end
local floor = math.floor

local function month(time)
    local days = floor(time / DAY) + 719468
    local era = floor(days / 146097)
    local day = days - era * 146097
    local year = floor((day - floor(day / 1460) + floor(day / 36524) - floor(day / 146096)) / 365)
    return (era * 400 + year) * 12 + floor((5 * (day - (365 * year + floor(year / 4) - floor(year / 100))) + 2) / 153)
end

local function month_start(number)
    local year, march = floor(number / 12), number % 12
    local days = year * 365 + floor(year / 4) - floor(year / 100) + floor(year / 400) + floor((153 * march + 2) / 5)
    return (days - 719468) * DAY
end

local function bucket_of(window, time)
    if window.kind == 'even' then return floor(time / window.width) end
    return window.kind == 'month' and month(time) or 0
end

-- When what is in a bucket stops counting; nil in a total.
local function end_of(window, bucket)
    local after = bucket + window.lasts + 1
    if window.kind == 'even' then return after * window.width end
    return window.kind == 'month' and month_start(after) or nil
end

local function live_until(key, milliseconds)
    if redis.call('PTTL', key) < milliseconds then redis.call('PEXPIRE', key, milliseconds) end
end

local function amounts(key, from, to)
    local names = {}
    for bucket = from, to do names[#names + 1] = bucket end
    return redis.call('HMGET', key, unpack(names))
end

-- A sum, after what does not count any more has been left out.
local function sum(name, window)
    local key = space .. ':n:' .. name
    local current = bucket_of(window, now)
    local state = redis.call('HMGET', key, 'used', 'oldest', 'newest', current)
    local one = {key = key, window = window, current = current, used = 0, oldest = current, newest = -1, seen = {}}
    one.seen[current] = state[4] or 0
    if not state[1] then return one end
    one.used, one.oldest, one.newest = tonumber(state[1]), tonumber(state[2]), tonumber(state[3])
    -- A clock that was set back stands still here.
    if current < one.newest then
        current = one.newest
        one.current = current
    end
    local first = current - window.lasts
    if one.oldest < first then
        local over = amounts(key, one.oldest, math.min(first, one.newest + 1) - 1)
        local gone = {}
        for i, amount in ipairs(over) do
            if amount then
                one.used = one.used - amount
                gone[#gone + 1] = one.oldest + i - 1
            end
        end
        one.oldest = first
        if one.used == 0 then
            redis.call('DEL', key)
            one.newest = -1
        else
            if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
            redis.call('HSET', key, 'used', one.used, 'oldest', first)
        end
    end
    return one
end

local function add(one, bucket, amount)
    bucket = math.min(bucket, one.current)
    if amount == 0 or bucket < one.current - one.window.lasts then return end
    local before = tonumber(one.seen[bucket] or redis.call('HGET', one.key, bucket) or 0)
    amount = math.min(math.max(amount, -before), MOST - one.used)
    if amount == 0 then return end
    one.used = one.used + amount
    if one.used == 0 then
        redis.call('DEL', one.key)
        one.newest = -1
        return
    end
    if bucket <= one.newest and bucket >= one.oldest then
        redis.call('HSET', one.key, bucket, before + amount, 'used', one.used)
        return
    end
    one.oldest, one.newest = math.min(one.oldest, bucket), math.max(one.newest, bucket)
    redis.call('HSET', one.key, bucket, before + amount, 'used', one.used, 'oldest', one.oldest, 'newest', one.newest)
    local ends = end_of(one.window, one.newest)
    if ends then live_until(one.key, math.ceil((ends - now) / 1000) + SLACK) end
end

-- In how many microseconds `over` less is used; -1 where time does not help.
local function wait(one, over)
    if one.newest < 0 then return -1 end
    for i, amount in ipairs(amounts(one.key, one.oldest, one.newest)) do
        over = over - (amount or 0)
        if amount and over <= 0 then
            local ends = end_of(one.window, one.oldest + i - 1)
            return ends and ends - now or -1
        end
    end
    return -1
end

-- The calls that run, after those whose leases have ended were left out.
local function slots(name)
    local key = space .. ':h:' .. name
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
    return {key = key, held = true, used = redis.call('ZCARD', key)}
end

local function hold(key, id, lease)
    redis.call('ZADD', key, now + lease, id)
    live_until(key, math.ceil(lease / 1000) + SLACK)
end

local function counter(limit)
    if limit.window.kind == 'held' then return slots(limit.counter) end
    return sum(limit.counter, limit.window)
end

-- What is used, and in how many microseconds nothing of it is; -1 where time does not bring that.
local function standing(one)
    if one.used == 0 then return 0, 0 end
    local ends = not one.held and end_of(one.window, one.newest)
    return one.used, ends and ends - now or -1
end

local verbs = {}

function verbs.reserve()
    local name = space .. ':r:' .. asked.id
    local record = redis.call('GET', name)
    if record == '' then return {'settled', {}} end
    local counters, fits = {}, true
    for i, claim in ipairs(asked.claims) do
        counters[i] = counter(claim.limit)
        if counters[i].used + claim.amount > claim.limit.most then fits = false end
    end
    local granted = fits or asked.forced or record
    if granted and not record then
        local booked = {}
        for i, claim in ipairs(asked.claims) do
            local one, limit = counters[i], claim.limit
            if one.held then
                hold(one.key, asked.id, asked.lease)
                one.used = redis.call('ZCARD', one.key)
                booked[i] = {counter = limit.counter, window = limit.window}
            else
                local bucket = asked.at and math.min(bucket_of(limit.window, asked.at), one.current) or one.current
                add(one, bucket, claim.amount)
                booked[i] = {
                    counter = limit.counter, window = limit.window, unit = limit.unit, bucket = bucket, amount = claim.amount,
                }
            end
        end
        redis.call('SET', name, cmsgpack.pack(booked), 'PX', asked.retention)
    end
    local standings = {}
    for i, claim in ipairs(asked.claims) do
        local one = counters[i]
        local used, reset = standing(one)
        local over = used - claim.limit.most + claim.amount
        standings[i] = {used, reset, not granted and over > 0 and not one.held and wait(one, over) or -1}
    end
    return {granted and 'granted' or 'refused', standings}
end

function verbs.settle()
    local name = space .. ':r:' .. asked.id
    local record = redis.call('GET', name)
    if record == '' then return false end
    redis.call('SET', name, '', 'PX', SETTLED)
    if not record then return false end
    for _, booked in ipairs(cmsgpack.unpack(record)) do
        local one = counter(booked)
        if one.held then
            redis.call('ZREM', one.key, asked.id)
        else
            local more = (asked.actual[booked.unit] or booked.amount) - booked.amount
            add(one, more > 0 and one.window.lasts > 0 and one.current or booked.bucket, more)
        end
    end
    return true
end

function verbs.renew()
    local unknown = {}
    for _, id in ipairs(asked.ids) do
        local name = space .. ':r:' .. id
        local record = redis.call('GET', name)
        if record and record ~= '' then
            redis.call('PEXPIRE', name, asked.retention)
            for _, booked in ipairs(cmsgpack.unpack(record)) do
                if booked.window.kind == 'held' then hold(counter(booked).key, id, asked.lease) end
            end
        else
            unknown[#unknown + 1] = id
        end
    end
    return unknown
end

function verbs.peek()
    local standings = {}
    for i, limit in ipairs(asked.limits) do standings[i] = {standing(counter(limit))} end
    return standings
end

function verbs.book()
    local one = counter(asked.limit)
    add(one, asked.at and bucket_of(asked.limit.window, asked.at) or one.current, asked.amount)
    return true
end

function verbs.forget()
    for _, limit in ipairs(asked.limits) do
        redis.call('DEL', space .. ':n:' .. limit.counter, space .. ':h:' .. limit.counter)
        redis.call('SREM', space .. ':restored', limit.counter)
    end
    return true
end

-- For each counter, whether it holds what was used before it was there.
function verbs.restored()
    local told = {}
    for i, limit in ipairs(asked.limits) do
        told[i] = redis.call('SISMEMBER', space .. ':restored', limit.counter) == 1
    end
    return told
end

-- Add what was used before a counter was there, once.
function verbs.restore()
    if redis.call('SADD', space .. ':restored', asked.limit.counter) == 0 then return false end
    for _, used in ipairs(asked.used) do
        local one = counter(asked.limit)
        add(one, bucket_of(asked.limit.window, used[1]), used[2])
    end
    return true
end

-- What tells these counters from others that took their place, and since when they are there; true for the one who asks
-- first.
function verbs.meet()
    local key = space .. ':generation'
    local first = redis.call('SET', key, asked.token .. '@' .. string.format('%d', now), 'NX')
    return {redis.call('GET', key), first and true or false}
end

if asked.generation and asked.generation ~= redis.call('GET', space .. ':generation') then
    return redis.error_reply('EMPTIED It has lost its counters')
end
return cmsgpack.pack(verbs[verb]())
