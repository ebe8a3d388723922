-- Keeps a term going that is inside its own deadline. RENEWED, or LOST: proof that somebody else
-- has it now. Where the server lost data the record is written again: the term is as good as ever.
--
-- ARGV  10 token of the term   11 '1': the asker is not inside a deadline of its own, but takes up a
--       grant whose answer was lost; only a record that is as the grant left it will do
--       12 ver that the term is known to have written while it was good, or ''
--
-- Where a server stands still, renewals wait in it until long after their term. What they write is
-- known by its base: the ver that it goes back to without a gap, each renewal having found what the
-- one before it had left. Nobody else can have had the lease in between, so that it may be released.

local TOKEN, CLAIM = number(ARGV[10], MOST_TOKEN), ARGV[11] == '1'
local KNOWN = ARGV[12]

local function is_lost(record)
    local mine = record.id == ME and record.tok == TOKEN
    if CLAIM then
        return not (is_certain(record) and record.st == 'held' and mine)
    end
    if record.missing or record.tok < TOKEN then
        return false
    end
    if record.tok > TOKEN then
        return true
    end
    -- The same token: what is held must be mine, and a term that was released stays released, in
    -- whatever incarnation that was. Vacant with its token may be a living term's record that was
    -- lost, as well as a released one's: it has to be written again.
    return record.st == 'free' or record.st == 'hold' or record.st == 'held' and not mine
end

local function base_of(record)
    local mine = is_certain(record) and record.st == 'held' and record.id == ME and
        record.tok == TOKEN
    return mine and (record.ver == KNOWN or record.base == KNOWN) and KNOWN or ''
end

return run(function()
    look_around()
    local record = load_record()
    local foreign = foreign_value(record)
    if foreign ~= '' or is_lost(record) then
        return answer('LOST', record, foreign)
    end
    own(record, TOKEN, base_of(record))
    announce(record, count_listeners())
    return answer('RENEWED', record, '', nil, wish_of(record, true))
end)
