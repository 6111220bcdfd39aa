-- KEYS: the rate, rates. ARGV: its name, limit, period, now, seconds to keep
-- it. A period that ends too late was begun before the clock went back. Of
-- those that have ended long ago, two are dropped from the index each time.
local limit, period = tonumber(ARGV[2]), tonumber(ARGV[3])
local now = tonumber(ARGV[4])
local taken, ends = string.match(redis.call('GET', KEYS[1]) or '',
	'^(%d+) (%-?%d+)$')
taken, ends = tonumber(taken), tonumber(ends)
if not ends or ends <= now or ends > now + period then
	taken, ends = 0, now + period
end
if taken >= limit then return 0 end
local old = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf',
	string.format('(%.0f', now - 86400), 'LIMIT', 0, 2)
if #old > 0 then redis.call('ZREM', KEYS[2], unpack(old)) end
ends = string.format('%.0f', ends)
redis.call('SET', KEYS[1], string.format('%.0f ', taken + 1) .. ends, 'EX',
	ARGV[5])
redis.call('ZADD', KEYS[2], ends, ARGV[1])
return 1
