-- What an operator does to a lease. {done, name, token}: `done` is 'done', or why not: 'nothing'
-- (there is nothing to take back or to end) or 'led' (while somebody leads, it may not be done).
--
-- KEYS  1 K    2 {K}:term    3 {K}:history    4 {K}:candidates
-- ARGV  1 channel    2 the act    3 who does it    4 a fresh ver
--       5 a span in ms, or a name    6 a reason, or who is to lead next
--
-- What a wish looks like, and who heeds it, says prelude.lua. None gives anybody the lease, but for
-- 'break', which is the operator's word that no leader runs any more.

local K, TERM, HISTORY, CANDIDATES = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local CHANNEL, ACT, BY, VERSION = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local FIRST, SECOND = ARGV[5], ARGV[6]
local HISTORY_LENGTH = 1000
local SIGN_MS = 60000 -- for which K shows a pause where no candidate keeps it up

local function number(field)
    return tonumber(field or '') or 0
end

local function text(value)
    return string.format('%.0f', value)
end

local time = redis.call('TIME')
local NOW = number(time[1]) * 1000 + math.floor(number(time[2]) / 1000)
local field = redis.call('HMGET', TERM, 'st', 'id', 'name', 'tok', 'ver', 'ident', 'ttl', 'at',
    'until', 'hold', 'pause', 'cordon')
local record = {st = field[1], id = field[2] or '', name = field[3] or '', tok = field[4] or '0',
    ver = field[5] or '', ident = field[6] or '', ttl = field[7] or '0', at = field[8] or '0',
    hold_until = field[9], hold = field[10]}
local pause, cordon = field[11], field[12]

local function is_held()
    return record.st == 'held'
end

local function is_led()
    return is_held() and number(record.at) + number(record.ttl) > NOW
end

local function pause_sign(field_text)
    local by, reason = string.match(field_text or '', '^%d+ %d+ (%S+) ?(.*)$')
    return by and 'paused by ' .. by .. (reason ~= '' and ': ' .. reason or '')
end

-- Candidates that wait for a hint look again.
local function announce()
    if record.st then
        redis.pcall('PUBLISH', CHANNEL, table.concat({'1', record.st, record.ident, record.ver,
            record.tok, record.ttl, '-1', record.name}, '|'))
    end
end

local function remember(reason)
    redis.pcall('XADD', HISTORY, 'MAXLEN', '~', HISTORY_LENGTH, '*', 'event', ACT, 'token',
        record.tok, 'name', record.name, 'id', record.id, 'at', text(NOW), 'reason', reason, 'by', BY)
end

local function done(reason)
    remember(reason)
    return {'done', record.name, record.tok}
end

local function nothing()
    return {'nothing', record.name, record.tok}
end

-- The record as one that nobody holds, of a new version, so that it is observed anew.
local function free_record()
    record.st, record.ver = 'free', VERSION
    redis.call('HSET', TERM, 'st', 'free', 'ver', VERSION, 'at', text(NOW), 'until', '0', 'hold', '0',
        'base', '')
end

local acts = {}

function acts.pause()
    local value = redis.call('GET', K)
    local before = pause_sign(pause)
    pause = table.concat({text(NOW), FIRST, BY, SECOND}, ' ')
    redis.call('HSET', TERM, 'pause', pause)
    if not value or value == before then
        local span = number(FIRST)
        redis.call('SET', K, pause_sign(pause), 'PX',
            text(span > 0 and math.min(span, SIGN_MS) or SIGN_MS))
    end
    return done(SECOND)
end

function acts.resume()
    if not pause then
        return nothing()
    end
    if redis.call('GET', K) == pause_sign(pause) then
        redis.call('DEL', K)
    end
    redis.call('HDEL', TERM, 'pause')
    announce()
    return done('')
end

acts['step-down'] = function()
    if not is_led() then
        return nothing()
    end
    redis.call('HSET', TERM, 'ask', table.concat({record.tok, text(NOW), FIRST, BY, SECOND}, ' '))
    return done(SECOND)
end

-- The lines without that name, and whether there was one.
local function without(name)
    local lines, found = {}, false
    for line in string.gmatch(cordon or '', '[^\n]+') do
        if string.match(line, '^%d+ %S+ (.*)$') == name then
            found = true
        else
            lines[#lines + 1] = line .. '\n'
        end
    end
    return table.concat(lines), found
end

function acts.cordon()
    local others = without(FIRST)
    redis.call('HSET', TERM, 'cordon', others .. text(NOW) .. ' ' .. BY .. ' ' .. FIRST .. '\n')
    return done(FIRST)
end

function acts.uncordon()
    local others, found = without(FIRST)
    if not found then
        return nothing()
    elseif others == '' then
        redis.call('HDEL', TERM, 'cordon')
    else
        redis.call('HSET', TERM, 'cordon', others)
    end
    announce()
    return done(FIRST)
end

function acts.release()
    local left = math.min(number(record.hold), number(record.hold_until) - NOW)
    if is_held() then
        return {'led', record.name, record.tok}
    elseif left <= 0 then
        return nothing()
    elseif record.st == 'hold' then
        free_record()
    else
        redis.call('HSET', TERM, 'until', '0', 'hold', '0', 'ver', VERSION)
        record.ver = VERSION
    end
    announce()
    return done('')
end

acts['break'] = function()
    if not record.st then
        return nothing()
    end
    free_record()
    redis.call('DEL', K)
    announce()
    return done('')
end

function acts.rm()
    if is_held() then
        return {'led', record.name, record.tok}
    end
    local deleted = redis.call('DEL', K, TERM, HISTORY, CANDIDATES)
    return {deleted > 0 and 'done' or 'nothing', record.name, record.tok}
end

return acts[ACT]()
