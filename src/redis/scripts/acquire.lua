-- Asks for the lease. GRANTED, with a new token, or REFUSED, and the record says why.
--
-- ARGV  10 highest token the asker ever saw  11, 12 ident and ver that it has itself seen, or ''
--       13 for how many ms unchanged          14 what is left, in ms, of the hold that it has seen
--       15 '1': there can have been no earlier holder
--       16 what the asker tells of itself, for {K}:candidates

local FLOOR, SEEN_IDENT, SEEN_VER = number(ARGV[10], MOST_TOKEN), ARGV[11], ARGV[12]
local SEEN_FOR, SEEN_HOLD = number(ARGV[13], MOST_TOKEN), whole_or(ARGV[14], MOST_TTL, MOST_TTL)
local ASSUME_FRESH, ABOUT = ARGV[15] == '1', ARGV[16]
local MOST_CANDIDATES = 100

-- Whoever has seen nothing yet tries what a term will need, in ways that change nothing: a candidate
-- that can never lead is to hear of it now and not when it is its turn.
local function try_rights(record, value)
    call('SET', K, ME, 'PX', text(MY_TTL), value and 'NX' or 'XX')
    if not value then
        call('DEL', K)
    end
    if is_certain(record) then
        call('HSET', TERM, 'tok', text(record.tok))
    end
end

-- Nobody can know whether an earlier holder still runs: say so, and from here on the record can be
-- observed. The id stays, because K may still carry it, and so does the rest of a hold.
local function vacate(record)
    local left = hold_left(record)
    stamp(record, 'vacant')
    if left > 0 then
        record.hold_until, record.hold = NOW + left, left
    end
    record.tok = math.max(record.tok, FLOOR)
    record.ttl = math.max(record.ttl, MY_TTL)
    save(record)
    announce(record, -1)
end

-- Where the server forgot the token, the first visitor may have been one who never saw it: whoever
-- did makes up for it. The version stays, because nothing that is observed has changed.
local function raise_token(record)
    if record.st == 'vacant' and record.tok < FLOOR then
        record.tok = FLOOR
        call('HSET', TERM, 'tok', text(FLOOR))
    end
end

-- Where the clock was set back, what was written in its future is as of now: a TTL or a hold lasts
-- for once as long again, and not for hours. The version stays.
local function follow_clock(record)
    if record.at > NOW then
        record.at = NOW
        record.hold_until = record.hold > 0 and NOW + record.hold or 0
        call('HSET', TERM, 'at', text(record.at), 'until', text(record.hold_until))
    end
end

-- The same of a wish, whose time stands behind the first group of `form`.
local function follow_clock_of(record, field, form)
    local head, at, rest = string.match(record[field] or '', form)
    if at and number(at, MOST_TOKEN) > NOW then
        record[field] = head .. text(NOW) .. rest
        call('HSET', TERM, field, record[field])
    end
end

local function is_seen(record)
    return SEEN_VER ~= '' and SEEN_IDENT == IDENT and SEEN_VER == record.ver
end

-- Whoever has watched a hold has counted it out by his own clock.
local function is_hold_over(record)
    if is_seen(record) then
        return SEEN_HOLD == 0
    end
    return hold_left(record) == 0
end

local function is_released(record)
    return record.st == 'free' or record.st == 'hold' and is_hold_over(record)
end

local function is_observed(record)
    return is_seen(record) and SEEN_FOR >= math.max(record.ttl, MY_TTL)
end

local function is_out_by_server_clock(record)
    return SERVER_CLOCK and NOW > record.at + math.max(record.ttl, MY_TTL) * 1.01 + 10
end

local function may_have_it(record)
    if is_released(record) then
        return true
    end
    return (record.st == 'held' or record.st == 'vacant') and is_hold_over(record) and
        (is_observed(record) or is_out_by_server_clock(record))
end

-- Whoever stands by can be seen, by 'at ttl about' under its id. It is a key of its own, not named
-- among the KEYS: to be seen is worth no more than a warning to a user who has no right to it. How
-- many have come is counted under '#'; after too many all are forgotten, and those that are still
-- there come back by themselves.
local function be_seen()
    local candidates = string.gsub(TERM, 'term$', 'candidates')
    local about = table.concat({text(NOW), text(MY_TTL), ABOUT}, ' ')
    if try('HSET', candidates, ME, about) ~= 1 then
        return
    end
    local field = try('HMGET', candidates, '#')
    local count = 1 + number(field and field[1], MOST_TOKEN)
    if count > MOST_CANDIDATES then
        try('DEL', candidates)
        count = 1
    end
    try('HSET', candidates, ME, about, '#', text(count))
end

-- While nobody may lead, K says so, as long as somebody asks.
local function show_pause(record, value)
    local pause, sign = pause_of(record), pause_sign(record)
    if pause and (not value or value == sign) then
        local most = 3 * MY_TTL
        redis.pcall('SET', K, sign, 'PX',
            text(pause.left > 0 and math.min(pause.left, most) or most))
    end
end

-- Why a term can begin, for the history.
local REASONS = {free = 'released', hold = 'hold over', held = 'expired', vacant = 'vacant'}

-- Returns the state that it ends.
local function grant(record)
    local before = {st = record.st, id = record.id, name = record.name, tok = record.tok,
        at = record.at, term = record.term}
    local certain = before.st == 'free' or before.st == 'hold' or before.st == 'held'
    local first = before.tok == 0
    own(record, math.max(record.tok + 1, FLOOR + 1, MICROSECONDS), '')
    begin_term(record)
    if before.st == 'held' then
        remember('end', before, 'expired', lasted(before, before.at))
    end
    remember('begin', record, first and 'first' or REASONS[before.st],
        certain and not first and text(math.max(0, NOW - before.at)) or '')
    announce(record, -1)
    return before.st
end

return run(function()
    look_around()
    local record = load_record()
    local foreign, value = foreign_value(record)
    if SEEN_VER == '' then
        try_rights(record, value)
    end
    follow_clock_of(record, 'pause', '^(%s*)(%d+)( .*)$')
    follow_clock_of(record, 'ask', '^(%d+ )(%d+)( .*)$')
    local wish = wish_of(record, false)
    if record.missing and ASSUME_FRESH and not value and wish == '' then
        record.st = 'free'
    elseif not is_certain(record) then
        vacate(record)
    else
        follow_clock(record)
    end
    raise_token(record)
    if foreign ~= '' or wish ~= '' or not may_have_it(record) then
        be_seen()
        show_pause(record, value)
        return answer('REFUSED', record, foreign, nil, wish)
    end
    local before = grant(record)
    return answer('GRANTED', record, '', before)
end)
