-- What the three scripts share: who answers, what time it is, what the record says.
-- It is put in front of each of them when leaderwrap is built.
--
-- KEYS  1 K, the holder       2 {K}:term, the record       3 {K}:history
-- ARGV  1 channel             2 takeover mode              3 id of the asker
--       4 name of the asker   5 ttl in ms                  6 nonce of this request
--       7 fingerprint of the asker's command, or ''
--       8 config-epoch under which the asker's witnesses have placed this server, or ''
--       9 host of the asker
--
-- Every script answers {verdict, st, id, name, tok, ver, ident, ttl, age, hold left, value of a
-- foreign K, warning, st that a grant has ended, cmd, hold, wish}, all of them strings, as of after
-- what it did; the st is '' where nothing was granted, the wish where nobody has one. A script that
-- was refused a command answers an error, and what it had done before that stays done.
--
-- Beside the record, in the same hash, is what an operator wishes (leaderctl writes it):
--   pause   'at span by reason': nobody is to lead for that span, or, where it is 0, until further
--           notice
--   ask     'token at span by to': the term with that token is to end, and for that span nobody is
--           to have the lease but the one called `to`, if there is a `to`
--   cordon  a line 'at by name' for each one who is not to lead
-- Times are the server's, in ms, and `to` and `name` are names of candidates or of their hosts. A
-- wish gives nobody the lease: it keeps somebody from it, or has its holder end the term by itself.
-- So no promise depends on it, and what has another form counts as nothing.

local K, TERM, HISTORY = KEYS[1], KEYS[2], KEYS[3]
local CHANNEL, SERVER_CLOCK = ARGV[1], ARGV[2] == 'server-clock'
local ME, MY_NAME, MY_TTL, NONCE = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6]
local MY_COMMAND, EPOCH, MY_HOST = ARGV[7], ARGV[8], ARGV[9]

local STATES = {free = true, held = true, hold = true, vacant = true}
local MOST_TOKEN = 9e15           -- below 2^53, from where on doubles skip numbers
local MOST_TTL = 30 * 24 * 3600 * 1000
local HISTORY_LENGTH = 1000

local warning = ''

-- Lua's tostring() rounds to 14 digits. What is 0 most of the time need not be formatted.
local function text(number)
    return number == 0 and '0' or string.format('%.0f', number)
end

-- A whole number from 0 to most; what is none counts as `otherwise`.
local function whole_or(field, most, otherwise)
    local value = tonumber(field)
    if not value or not (value >= 0 and value <= most) then
        return otherwise
    end
    return math.floor(value)
end

-- A field of the record; 0 where somebody has broken it.
local function number(field, most)
    return whole_or(field, most, 0)
end

local function fail(message)
    error({refusal = message}, 0)
end

local function is_permission(message)
    return string.find(message, 'NOPERM', 1, true) or
        string.find(message, 'ACL failure', 1, true) or
        string.find(message, 'no permissions', 1, true) or
        string.find(message, "The user executing the script can't", 1, true)
end

-- A command that the server has not, or has renamed, or keeps from scripts.
local function is_missing_command(message)
    message = string.lower(message)
    return string.find(message, 'unknown [%a ]*command') or
        string.find(message, 'command is not allowed', 1, true)
end

-- One form for the error texts of all servers: before 7 they carry the place of the call, and a
-- missing right or command has other words in each version. What was refused is named for the one
-- who reads.
local function refusal(command, message)
    message = string.gsub(message, '^@[^:]*: %d+: ', '')
    message = string.gsub(message, '^%-', '')
    message = string.gsub(message, '%s+$', '')
    if is_permission(message) then
        return 'NOPERM in script: ' .. string.lower(command) .. ': ' .. message
    elseif is_missing_command(message) then
        return 'NOCOMMAND in script: ' .. string.lower(command) .. ': ' .. message
    end
    return message
end

local function is_error(reply)
    return type(reply) == 'table' and reply.err
end

local function call(command, ...)
    local reply = redis.pcall(command, ...)
    if is_error(reply) then
        local message, key = refusal(command, reply.err), ...
        if string.find(message, '^WRONGTYPE') then
            message = message .. ' (' .. key .. ')'
        end
        fail(message)
    end
    return reply
end

-- For what a term does not depend on: a refusal becomes a warning, and answers nothing.
local function try(command, ...)
    local reply = redis.pcall(command, ...)
    if not is_error(reply) then
        return reply
    elseif warning == '' then
        warning = refusal(command, reply.err)
    end
end

local function info(section)
    if not SERVER_CLOCK then
        return call('INFO', section)
    end
    -- By the server's clock one can do without.
    local reply = redis.pcall('INFO', section)
    return type(reply) == 'string' and reply or ''
end

-- The incarnation of this server, which must be a master. A process that starts as a master has a
-- replication id of its own, whatever data it loads, and whoever becomes one makes a new one.
local function incarnation()
    local replication = info('replication')
    local role = string.match(replication, '\nrole:(%a+)')
    if role and role ~= 'master' then
        fail('NOTMASTER this server is a replica')
    end
    local ident = string.match(replication, '\nmaster_replid:(%x+)')
    if role and ident and #ident == 40 then
        return ident
    end
    if not SERVER_CLOCK then
        fail('NOIDENT the server hides role or master_replid in INFO')
    end
    return '-'
end

local IDENT, NOW, MICROSECONDS

-- To be called first. Time stands still in a script on some servers and runs on others, so it is
-- taken once.
local function look_around()
    IDENT = incarnation()
    -- A server that is made the master again after another one was knows nothing of that one's
    -- time, even where it never was a replica meanwhile.
    if EPOCH ~= '' then
        IDENT = IDENT .. '/' .. EPOCH
    end
    local time = call('TIME')
    NOW = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
    MICROSECONDS = tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function load_record()
    local field = call('HMGET', TERM, 'st', 'id', 'name', 'tok', 'ver', 'ident', 'ttl', 'at', 'until',
        'hold', 'cmd', 'base', 'term', 'pause', 'ask', 'cordon')
    local missing = true
    for i = 1, 12 do
        missing = missing and not field[i]
    end
    return {
        missing = missing,
        st = field[1] or '',
        id = field[2] or '',
        name = field[3] or '',
        tok = number(field[4], MOST_TOKEN),
        ver = field[5] or '',
        ident = field[6] or '',
        ttl = number(field[7], MOST_TTL),
        at = number(field[8], MOST_TOKEN),
        hold_until = number(field[9], MOST_TOKEN),
        hold = number(field[10], MOST_TTL),
        cmd = field[11] or '',
        base = field[12] or '',
        term = field[13] or '',
        pause = field[14],
        ask = field[15],
        cordon = field[16],
    }
end

-- How many terms there have been, and when the last one began: 'number token begin', of which only
-- the number is of use where the token is not the record's, because a script of before wrote that.
local function term_of(record)
    local count, of, begun = string.match(record.term, '^(%d+) (%d+) (%d+)$')
    return number(count, MOST_TOKEN), of == text(record.tok) and number(begun, MOST_TOKEN)
end

-- What is left of a span, by this clock, which may be stepped: never more than the whole of it.
local function left_of(span, over_at)
    return math.max(0, math.min(span, over_at - NOW))
end

-- The parts of a wish: what is left of it, who has it, and its last word. Nothing where it is over.
local function read_wish(at, span, by, rest, lasts)
    span = whole_or(span, MOST_TTL, nil)
    local left = span and left_of(span, number(at, MOST_TOKEN) + span)
    if span and (left > 0 or lasts and span == 0) then
        return {left = left, by = by, rest = rest}
    end
end

local function pause_of(record)
    if record.pause then
        local at, span, by, reason = string.match(record.pause, '^(%d+) (%d+) (%S+) ?(.*)$')
        return at and read_wish(at, span, by, reason, true)
    end
end

local function is_me(name)
    return name ~= '' and (name == MY_NAME or name == MY_HOST)
end

local function cordon_of(record)
    for by, name in string.gmatch(record.cordon or '', '%d+ (%S+) ([^\n]+)') do
        if is_me(name) then
            return {left = 0, by = by, rest = ''}
        end
    end
end

-- Of another term than the record's it is void.
local function ask_of(record)
    if record.ask then
        local token, at, span, by, to = string.match(record.ask, '^(%d+) (%d+) (%d+) (%S+) ?(.*)$')
        return token == text(record.tok) and read_wish(at, span, by, to, false)
    end
end

-- What is wished of the asker: 'paused left by reason', 'cordoned left by', 'step-down left by to',
-- or ''. Who holds the lease is asked to end its term; others are only to let somebody go first.
local function wish_of(record, holds)
    local kind, wish = 'paused', pause_of(record)
    if not wish then
        kind, wish = 'cordoned', cordon_of(record)
    end
    if not wish then
        kind, wish = 'step-down', ask_of(record)
        if wish and not holds and (wish.rest == '' or is_me(wish.rest)) then
            wish = nil
        end
    end
    return wish and table.concat({kind, text(wish.left), wish.by, wish.rest}, ' ') or ''
end

-- What K has in it while nobody may lead, for whoever looks.
local function pause_sign(record)
    local by, reason = string.match(record.pause or '', '^%d+ %d+ (%S+) ?(.*)$')
    return by and 'paused by ' .. by .. (reason ~= '' and ': ' .. reason or '')
end

-- Whether the record was written by this incarnation of the server, by a script of leaderwrap.
local function is_certain(record)
    return STATES[record.st] and record.ident == IDENT and #record.ver <= 16 and
        string.find(record.ver, '^%w+$') ~= nil
end

-- What is in K where neither the holder on record nor the asker put it there; '' if nothing is.
local function foreign_value(record)
    local value = call('GET', K)
    if value == '' then
        return '(empty)', value
    end
    if not value or value == record.id or value == ME or value == pause_sign(record) then
        return '', value
    end
    return value, value
end

local function save(record)
    call('HSET', TERM, 'st', record.st, 'id', record.id, 'name', record.name,
        'tok', text(record.tok), 'ver', record.ver, 'ident', record.ident,
        'ttl', text(record.ttl), 'at', text(record.at), 'until', text(record.hold_until),
        'hold', text(record.hold), 'cmd', record.cmd, 'base', record.base)
end

-- A term begins, with the record's token.
local function begin_term(record)
    record.term = table.concat({text(term_of(record) + 1), text(record.tok), text(NOW)}, ' ')
    call('HSET', TERM, 'term', record.term)
end

-- For how long the record's term lasted, until then; '' where that is not known.
local function lasted(record, time)
    local _, begun = term_of(record)
    return begun and text(math.max(0, time - begun)) or ''
end

-- The record as of now, by the asker.
local function stamp(record, state)
    record.st, record.ver, record.ident, record.at = state, NONCE, IDENT, NOW
    record.hold_until, record.hold, record.base = 0, 0, ''
end

-- Does all that a term depends on, or nothing: whoever may not write both keys must not leave half
-- of a term behind. To write the token once more tries the right and changes nothing; where there
-- was no record, what it has begun goes again, and no wish with it.
local function own(record, token, base)
    call('HSET', TERM, 'tok', text(record.tok))
    local reply = redis.pcall('SET', K, ME, 'PX', text(MY_TTL))
    if is_error(reply) then
        if record.missing and (record.pause or record.ask or record.cordon) then
            call('HDEL', TERM, 'tok')
        elseif record.missing then
            call('DEL', TERM)
        end
        fail(refusal('SET', reply.err))
    end
    stamp(record, 'held')
    record.id, record.name, record.tok, record.ttl = ME, MY_NAME, token, MY_TTL
    record.cmd, record.base = MY_COMMAND, base
    save(record)
end

local function hold_left(record)
    return left_of(record.hold, record.hold_until)
end

-- `span` is how long a term has lasted that ends, or nobody has led when one begins, in ms.
local function remember(event, record, reason, span)
    try('XADD', HISTORY, 'MAXLEN', '~', HISTORY_LENGTH, '*', 'event', event,
        'token', text(record.tok), 'name', record.name, 'id', record.id,
        'at', text(NOW), 'reason', reason, 'term', text((term_of(record))),
        event == 'begin' and 'gap' or 'lasted', span)
end

-- How many wait for news, so that they do not all ask at one time. Only a courtesy: -1 where the
-- server does not say.
local function count_listeners()
    local reply = redis.pcall('PUBSUB', 'NUMSUB', CHANNEL)
    return type(reply) == 'table' and tonumber(reply[2]) or -1
end

-- Last of all, for it is only a hint.
local function announce(record, listeners)
    try('PUBLISH', CHANNEL, table.concat({'1', record.st, record.ident, record.ver,
        text(record.tok), text(record.ttl), text(listeners), record.name}, '|'))
end

local function answer(verdict, record, foreign, before, wish)
    return {
        verdict,
        STATES[record.st] and record.st or '',
        string.sub(record.id, 1, 81),
        string.sub(record.name, 1, 64),
        text(record.tok),
        string.sub(record.ver, 1, 16),
        string.sub(record.ident, 1, 61),
        text(record.ttl),
        text(math.max(0, NOW - record.at)),
        text(hold_left(record)),
        string.sub(foreign, 1, 81),
        string.sub(warning, 1, 255),
        before or '',
        string.sub(record.cmd, 1, 8),
        text(record.hold),
        string.sub(wish or '', 1, 255),
    }
end

local function run(script)
    local done, result = pcall(script)
    if done then
        return result
    end
    if type(result) == 'table' and result.refusal then
        return redis.error_reply(result.refusal)
    end
    return redis.error_reply('ERR in script: ' .. tostring(result))
end
