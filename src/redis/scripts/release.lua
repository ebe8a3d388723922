-- Ends a term whose process tree is gone. RELEASED, or NOT_HELD: the record is not that term's, or
-- not as the term left it.
--
-- ARGV  10 token of the term   11 ms to keep the lease closed for, or 0    12 reason, for the history
--       13 ver that the term is known to have written while it was good; it is the record's, or the
--       one that the record goes back to (see renew.lua)
--
-- Why the version: a renewal that the network held up until the data was lost writes a dead term
-- again, while a later holder lives whose record was lost too. To release that would let a third in.

local TOKEN, HOLD, REASON = number(ARGV[10], MOST_TOKEN), number(ARGV[11], MOST_TTL), ARGV[12]
local VERSION = ARGV[13]

local function is_known(record)
    return VERSION ~= '' and (record.ver == VERSION or record.base == VERSION)
end

return run(function()
    look_around()
    local record = load_record()
    local foreign, value = foreign_value(record)
    if not (record.st == 'held' and record.id == ME and record.tok == TOKEN and
        record.ident == IDENT and is_known(record)) then
        return answer('NOT_HELD', record, foreign)
    end
    -- Refused either, the lease is left to its TTL.
    if value == ME then
        call('DEL', K)
    end
    stamp(record, HOLD > 0 and 'hold' or 'free')
    if HOLD > 0 then
        record.hold_until, record.hold = NOW + HOLD, HOLD
    end
    save(record)
    remember('end', record, REASON, lasted(record, NOW))
    announce(record, count_listeners())
    return answer('RELEASED', record, foreign)
end)
