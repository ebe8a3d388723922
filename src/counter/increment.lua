-- The fenced increment: counts only for the newest term of the lease.
--
-- KEYS  1 the counter    2 {K}:term, the lease's record        ARGV  1 the caller's fencing token
--
-- {'OK', value}; {'FENCED', token} if a newer term exists or this one has ended; {'UNKNOWN'} if the
-- record is lost or in doubt: its holder will soon write it again, so ask again.

local record = redis.call('HMGET', KEYS[2], 'st', 'tok')
local newest, mine = tonumber(record[2] or 0), tonumber(ARGV[1])
if newest and newest > mine then
    return {'FENCED', record[2]}
end
if newest == mine and record[1] == 'held' then
    return {'OK', tostring(redis.call('INCR', KEYS[1]))}
end
if newest == mine and record[1] ~= 'vacant' then
    return {'FENCED', record[2]}
end
return {'UNKNOWN'}
