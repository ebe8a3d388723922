-- All that is known of one lease, at one instant: {fields of the record and the wishes beside it,
-- value of K, TIME, entries of the history from the newest on, candidates}. It writes nothing.
--
-- KEYS  1 K    2 {K}:term    3 {K}:history    4 {K}:candidates
-- ARGV  1 how many entries at most
--
-- What K, the history or the candidates cannot be read for stands in their place, as an error.

return {
    redis.call('HMGET', KEYS[2], 'st', 'id', 'name', 'tok', 'ttl', 'at', 'until', 'hold',
        'term', 'pause', 'ask', 'cordon'),
    redis.pcall('GET', KEYS[1]),
    redis.call('TIME'),
    redis.pcall('XREVRANGE', KEYS[3], '+', '-', 'COUNT', ARGV[1]),
    redis.pcall('HGETALL', KEYS[4]),
}
